//! Who is told of usage and of what becomes of an invoice: partner and operator, by mail and webhook.

use bytes::Bytes;
use serde_json::{Value, json};

use super::test_scene::{DAY_MS, HOUR_MS, Scene, run_at};
use super::{run_dunning, send_alerts};
use crate::testing::{Actor, PASSWORD, TestPortal, on_every_database};

const EVENTS: [&str; 8] = [
    "usage.threshold_reached",
    "invoice.issued",
    "invoice.overdue",
    "billing.suspended",
    "invoice.paid",
    "billing.restored",
    "budget.threshold_reached",
    "invoice.marked_uncollectible",
];

fn terms() -> Value {
    json!({
        "quota": { "name": "month", "limit": 1000, "enforcement": { "kind": "soft" } },
        "price": { "model": "per_unit", "currency": "EUR", "unit_amount": "0.01" },
        "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "EUR", "amount": "10" }]
    })
}

/// Adds an endpoint for these events; answers its path.
async fn add_endpoint(portal: &TestPortal, list: &str, of: &str, token: &str, url: &str) -> String {
    portal
        .http
        .addresses
        .borrow_mut()
        .push("93.184.216.34".parse().unwrap());
    let body = json!({ "url": url, "event_types": EVENTS });
    let made = portal.post(list, token, body).await.expect(201).json();
    format!("{of}/{}", made["endpoint"]["id"].as_str().unwrap())
}

/// What an endpoint was sent, oldest first: type and percent.
async fn told(portal: &TestPortal, path: &str, token: &str) -> Vec<String> {
    let list = portal
        .get(&format!("{path}/deliveries?limit=100"), token)
        .await
        .expect(200)
        .json();
    let mut told = Vec::new();
    for item in list["items"].as_array().unwrap().iter().rev() {
        let id = item["event_id"].as_str().unwrap();
        let detail = portal
            .get(&format!("{path}/deliveries/{id}"), token)
            .await
            .expect(200)
            .json();
        let payload: Value = match &detail["payload"] {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            other => other.clone(),
        };
        let percent = payload["data"]["percent"]
            .as_i64()
            .map(|percent| format!(" {percent}"));
        told.push(format!(
            "{}{}",
            item["event_type"].as_str().unwrap(),
            percent.unwrap_or_default()
        ));
    }
    told
}

async fn staff(portal: &TestPortal) -> Actor {
    let staff = portal.sign_up("finance@operator.example", "Operator").await;
    portal.make_operator(&staff, "finance").await;
    portal.make_operator(&staff, "administrator").await;
    staff
}

on_every_database! {
    async fn usage_and_every_step_of_an_invoice_reach_partner_and_operator(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms()).await;
        let staff = staff(&portal).await;
        let operators = "/api/v1/operator/webhook-endpoints";
        let operator = add_endpoint(&portal, operators, operators, &staff.token, "https://operator.example.com/in").await;
        let partners = format!("/api/v1/organisations/{}/webhook-endpoints", scene.actor.organisation_id);
        let partner = add_endpoint(&portal, &partners, "/api/v1/webhook-endpoints", &scene.actor.token, "https://partner.example.com/in").await;
        // Another partner's endpoint hears nothing of it.
        let other = portal.sign_up("other@example.com", "Other").await;
        let others = format!("/api/v1/organisations/{}/webhook-endpoints", other.organisation_id);
        let deaf = add_endpoint(&portal, &others, "/api/v1/webhook-endpoints", &other.token, "https://other.example.com/in").await;
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        for (used, percent) in [(499_u64, None), (500, Some(50)), (799, None), (800, Some(80)), (1_000, Some(100)), (1_400, None)] {
            portal.advance_ms(60_000);
            scene.merge(&portal, &[scene.cell_at(portal.now_ms() / DAY_MS * DAY_MS, used), scene.cell_at(portal.now_ms(), 0)]).await;
            let sent = send_alerts(&portal.context().await).await.unwrap();
            assert_eq!(sent, u64::from(percent.is_some()), "{used}");
            if let Some(percent) = percent {
                let subject = format!("App has used {percent}% of its allowance");
                for reader in [&scene.actor.email, &staff.email] {
                    assert_eq!(portal.newest_email(reader).await["subject"], subject.as_str());
                }
            }
        }
        portal.advance_ms(15 * DAY_MS);
        assert_eq!(run_dunning(&portal.context().await).await.unwrap(), 1);
        portal.advance_ms(14 * DAY_MS);
        run_dunning(&portal.context().await).await.unwrap();
        let finance = portal.log_in(&staff.email, PASSWORD).await;
        let list = portal.get("/api/v1/operator/invoices", &finance).await.expect(200).json();
        let invoice = list["items"].as_array().unwrap().iter().find(|one| one["number"] == "INV-000001").unwrap();
        let path = format!("/api/v1/operator/invoices/{}/payments", invoice["id"].as_str().unwrap());
        portal.post(&path, &finance, json!({ "reference": "transfer" })).await.expect(204);
        let expected = [
            "invoice.issued", "usage.threshold_reached 50", "usage.threshold_reached 80", "usage.threshold_reached 100",
            "invoice.overdue", "billing.suspended", "invoice.paid", "billing.restored",
        ];
        let mut heard = told(&portal, &operator, &finance).await;
        assert_eq!(heard.len(), expected.len(), "{heard:?}");
        // Two of one moment come in either order.
        heard[6..].sort_by_key(|name| name == "billing.restored");
        assert_eq!(heard, expected);
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        assert_eq!(told(&portal, &partner, &token).await.len(), expected.len());
        let stranger = portal.log_in(&other.email, PASSWORD).await;
        assert_eq!(told(&portal, &deaf, &stranger).await, Vec::<String>::new());
        // They are sent signed, and again when the operator asks for it.
        let answer = || http::Response::builder().status(204).body(Bytes::new()).unwrap();
        portal.http.answers.borrow_mut().extend((0..64).map(|_| answer()));
        crate::webhooks::send_due_deliveries(&portal.context().await).await.unwrap();
        let to_operator = || portal.http.requests.borrow().iter().filter(|request| request.uri().host() == Some("operator.example.com"))
            .map(|request| request.headers()["webhook-signature"].to_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(to_operator().len(), expected.len());
        assert!(to_operator().iter().all(|signature| signature.starts_with("v1,")));
        let page = portal.page(&operator.replace("/api/v1", ""), &finance).await.expect(200).text();
        assert!(page.contains("usage.threshold_reached") && page.contains("delivered"), "{page}");
        let list = portal.get(&format!("{operator}/deliveries"), &finance).await.expect(200).json();
        let event = list["items"][0]["event_id"].as_str().unwrap();
        portal.post(&format!("{operator}/deliveries/{event}/resends"), &finance, json!({})).await.expect(202);
        crate::webhooks::send_due_deliveries(&portal.context().await).await.unwrap();
        assert_eq!(to_operator().len(), expected.len() + 1);
    }

    async fn a_budget_is_told_of_once_at_each_threshold_by_mail_and_webhook(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, json!({
            "price": { "model": "per_unit", "currency": "EUR", "unit_amount": "0.01" },
            "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "EUR", "amount": "10" }]
        })).await;
        let partners = format!("/api/v1/organisations/{}/webhook-endpoints", scene.actor.organisation_id);
        let partner = add_endpoint(&portal, &partners, "/api/v1/webhook-endpoints", &scene.actor.token, "https://partner.example.com/in").await;
        let account = json!({ "budget": "40", "budget_currency": "EUR" });
        let path = format!("/api/v1/organisations/{}/billing/account", scene.actor.organisation_id);
        portal.call("PUT", &path, &scene.actor.token, Some(account)).await.expect(200);
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        // The fee of the next month is on the same invoice: 10, and a cent a call.
        for (used, percent, so_far) in [(999_u64, None, ""), (1_000, Some(50), "20.00"), (2_199, None, ""), (2_200, Some(80), "32.00"), (3_000, Some(100), "40.00"), (9_000, None, "")] {
            portal.advance_ms(60_000);
            scene.merge(&portal, &[scene.cell_at(portal.now_ms() / DAY_MS * DAY_MS, used), scene.cell_at(portal.now_ms(), 0)]).await;
            assert_eq!(send_alerts(&portal.context().await).await.unwrap(), u64::from(percent.is_some()), "{used}");
            assert_eq!(send_alerts(&portal.context().await).await.unwrap(), 0, "once");
            if let Some(percent) = percent {
                let mail = portal.newest_email(&scene.actor.email).await;
                assert_eq!(mail["subject"], format!("{percent}% of your budget is spent"));
                assert!(mail["text"].as_str().unwrap().contains(&format!("{so_far} EUR, with a budget of 40.00 EUR")), "{mail}");
            }
        }
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let budget = |percent: i64| format!("budget.threshold_reached {percent}");
        assert_eq!(told(&portal, &partner, &token).await, ["invoice.issued".to_owned(), budget(50), budget(80), budget(100)]);
    }

    async fn an_invoice_given_up_leaves_dunning_and_may_be_paid_after_all(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms()).await;
        let staff = staff(&portal).await;
        let operators = "/api/v1/operator/webhook-endpoints";
        let operator = add_endpoint(&portal, operators, operators, &staff.token, "https://operator.example.com/in").await;
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        portal.advance_ms(29 * DAY_MS);
        while run_dunning(&portal.context().await).await.unwrap() > 0 {}
        let finance = portal.log_in(&staff.email, PASSWORD).await;
        let suspended = async || {
            let organisation = scene.actor.organisation_id.parse().unwrap();
            super::super::is_suspended_for_payment(&portal.context().await.connection, organisation).await.unwrap()
        };
        assert!(suspended().await);
        let list = portal.get("/api/v1/operator/invoices", &finance).await.expect(200).json();
        let path = format!("/api/v1/operator/invoices/{}", list["items"][0]["id"].as_str().unwrap());
        portal.post(&format!("{path}/uncollectible"), &finance, json!({ "reason": "insolvent" })).await.expect(204);
        let state = async || portal.get(&path, &finance).await.expect(200).json()["state"].clone();
        // Given up is not forgiven: live calls stay stopped unless the operator's policy says otherwise.
        assert_eq!((state().await, suspended().await), (json!("uncollectible"), true));
        portal.advance_ms(30 * DAY_MS);
        assert_eq!(run_dunning(&portal.context().await).await.unwrap(), 0);
        let finance = portal.log_in(&staff.email, PASSWORD).await;
        assert_eq!(portal.post(&format!("{path}/void"), &finance, json!({ "reason": "late" })).await.expect(409).code(), "invoice_closed");
        let page = portal.page(&path.replace("/api/v1", ""), &finance).await.expect(200).text();
        assert!(page.contains("Mark as paid") && !page.contains("Why nobody will pay"), "{page}");
        portal.post(&format!("{path}/payments"), &finance, json!({ "reference": "from the estate" })).await.expect(204);
        let paid = portal.get(&path, &finance).await.expect(200).json();
        assert_eq!((&paid["state"], suspended().await), (&json!("paid"), false));
        let heard = told(&portal, &operator, &finance).await;
        assert_eq!(heard.iter().filter(|name| *name == "invoice.marked_uncollectible").count(), 1, "{heard:?}");
        assert!(heard.contains(&"invoice.paid".to_owned()) && heard.contains(&"billing.restored".to_owned()), "{heard:?}");
    }
}
