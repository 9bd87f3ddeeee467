//! Taxes, coupons, credit, payment and its absence, as partners and operators meet them.

use serde_json::{Value, json};

use super::run_dunning;
use super::test_scene::{DAY_MS, HOUR_MS, Scene, documents, publish_plan, run_at};
use crate::testing::{PASSWORD, TestPortal, on_every_database};
use shared::feed::Change;

/// 2026-02-01.
const FEBRUARY_MS: i64 = 1_769_904_000_000;

fn terms(fee: &str) -> Value {
    json!({
        "quota": { "name": "month", "limit": 1000, "enforcement": { "kind": "soft" } },
        "price": { "model": "per_unit", "currency": "EUR", "unit_amount": "0.01" },
        "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "EUR", "amount": fee }]
    })
}

async fn finance(portal: &TestPortal) -> String {
    let staff = portal.sign_up("finance@operator.example", "Operator").await;
    portal.make_operator(&staff, "finance").await;
    staff.token
}

async fn invoices(portal: &TestPortal, scene: &Scene, token: &str) -> Vec<Value> {
    let path = format!(
        "/api/v1/organisations/{}/invoices",
        scene.actor.organisation_id
    );
    portal.get(&path, token).await.expect(200).json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

on_every_database! {
    async fn coupon_tax_and_credit_apply_in_order_and_are_stated(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms("100")).await;
        let finance = finance(&portal).await;
        let base = format!("/api/v1/organisations/{}/billing", scene.actor.organisation_id);
        let post = async |path: &str, body: Value, status: u16| portal.post(path, &finance, body).await.expect(status).json_or_null();
        post("/api/v1/operator/tax-rates", json!({ "name": "VAT 19%", "country": "de", "percent": "19" }), 201).await;
        post("/api/v1/operator/coupons", json!({ "code": "spring", "percent": "10", "periods": 1 }), 201).await;
        let wallet = format!("/api/v1/operator/wallets/{}/entries", scene.actor.organisation_id);
        post(&wallet, json!({ "amount": "50", "currency": "EUR", "note": "paid in" }), 204).await;
        let account = json!({ "legal_name": "Partner GmbH", "country": "DE", "budget": "120", "budget_currency": "EUR" });
        portal.call("PUT", &format!("{base}/account"), &scene.actor.token, Some(account)).await.expect(200);
        portal.post(&format!("{base}/coupons"), &scene.actor.token, json!({ "code": "Spring" })).await.expect(204);
        let again = portal.post(&format!("{base}/coupons"), &scene.actor.token, json!({ "code": "spring" })).await.expect(422);
        assert_eq!(again.json()["errors"][0]["code"], "taken");
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        let issued = documents(&portal).await;
        let document = &issued[0].1;
        assert_eq!(document["discounts"][0]["amount"], "-10.00", "{document}");
        // The boundary lies before the rate was entered: no tax is charged for the time before it.
        assert_eq!(document["taxes"], json!([]));
        assert_eq!((&document["total"], &document["credit_drawn"], &document["amount_due"]), (&json!("90.00"), &json!("50.00"), &json!("40.00")));
        run_at(&portal, FEBRUARY_MS + 25 * HOUR_MS).await;
        let document = &documents(&portal).await[1].1;
        assert_eq!(document["discounts"], json!([]), "the coupon was for one invoice");
        assert_eq!(document["taxes"][0]["formula"], "19% of 100.00 = 19.00");
        assert_eq!((&document["total"], &document["buyer"]["name"]), (&json!("119.00"), &json!("Partner GmbH")));
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let id = invoices(&portal, &scene, &token).await[0]["id"].as_str().unwrap().to_owned();
        let csv = portal.get(&format!("/api/v1/invoices/{id}/csv"), &token).await.expect(200).text();
        assert!(csv.contains("INV-000002,tax,,VAT 19%,,,,,,19% of 100.00 = 19.00,19.00,EUR"), "{csv}");
        let page = portal.page(&format!("/invoices/{id}"), &token).await.expect(200).text();
        assert!(page.contains("Partner GmbH") && page.contains("119.00 EUR"));
        let page = portal.page(&format!("/organisations/{}/billing", scene.actor.organisation_id), &token).await.expect(200).text();
        assert!(page.contains("INV-000002") && page.contains("Forecast"));
    }

    async fn an_overdue_invoice_stops_live_calls_until_it_is_paid(portal: TestPortal) {
        let mut scene = Scene::on_plan(&portal, terms("100")).await;
        let at = portal.now_ms() + 25 * HOUR_MS;
        run_at(&portal, at).await;
        let secret = portal.app.configuration.secret("tick_secret").unwrap();
        let suspended = async |scene: &mut Scene| {
            scene.edge.catch_up(&portal).await;
            let id = scene.actor.organisation_id.clone();
            scene.edge.newest(|change| match change {
                Change::Organisation(known) if known.organisation.to_string() == id => Some(known.suspended),
                _ => None,
            }).unwrap()
        };
        portal.advance_ms(14 * DAY_MS + HOUR_MS);
        for _ in 0..2 {
            portal.post("/internal/tick", &secret, json!({})).await.expect(200);
        }
        let told = portal.newest_email(&scene.actor.email).await;
        assert_eq!(told["subject"], "Reminder: invoice INV-000001 is overdue");
        assert!(!suspended(&mut scene).await);
        portal.advance_ms(14 * DAY_MS);
        assert_eq!(run_dunning(&portal.context().await).await.unwrap(), 1);
        assert_eq!(run_dunning(&portal.context().await).await.unwrap(), 0);
        assert!(suspended(&mut scene).await);
        let finance = finance(&portal).await;
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let overdue: Vec<Value> = invoices(&portal, &scene, &token).await.into_iter().filter(|one| one["state"] == "overdue").collect();
        let path = format!("/api/v1/operator/invoices/{}/payments", overdue[0]["id"].as_str().unwrap());
        portal.post(&path, &finance, json!({ "reference": "transfer 1" })).await.expect(204);
        // The same transaction told the edges: the next poll of the feed, within a second, lifts it.
        assert!(!suspended(&mut scene).await);
        assert_eq!(portal.post(&path, &finance, json!({ "reference": "transfer 2" })).await.expect(409).code(), "invoice_closed");
    }

    async fn a_credit_note_by_hand_goes_off_what_is_due_or_into_the_wallet(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms("100")).await;
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        let finance = finance(&portal).await;
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let invoice = invoices(&portal, &scene, &token).await.remove(0);
        let path = format!("/api/v1/operator/invoices/{}", invoice["id"].as_str().unwrap());
        let credit = async |amount: &str, status: u16| {
            portal.post(&format!("{path}/credit-notes"), &finance, json!({ "amount": amount, "reason": "an outage" })).await.expect(status);
        };
        credit("100.01", 422).await;
        credit("30", 201).await;
        assert_eq!(portal.get(&path, &finance).await.expect(200).json()["amount_due"], "70.00");
        portal.post(&format!("{path}/payments"), &finance, json!({ "reference": "t" })).await.expect(204);
        credit("70.01", 422).await;
        credit("20", 201).await;
        let billing = portal.get(&format!("/api/v1/organisations/{}/billing", scene.actor.organisation_id), &token).await.expect(200).json();
        assert_eq!(billing["wallet"][0]["amount"], "20.00");
        assert_eq!(invoices(&portal, &scene, &token).await[0]["number"], "CRN-000002");
    }

    async fn what_is_used_so_far_is_forecast_compared_and_told(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms("10")).await;
        publish_plan(&portal, "Cheaper", json!({ "price": { "model": "flat", "currency": "EUR", "flat_amount": "5" } })).await;
        let start = portal.now_ms();
        portal.advance_ms(FEBRUARY_MS - 21 * DAY_MS - start);
        scene.merge(&portal, &[scene.cell_at(portal.now_ms() - 60_000, 820)]).await;
        let context = portal.context().await;
        assert_eq!(super::super::send_alerts(&context).await.unwrap(), 1);
        assert_eq!(super::super::send_alerts(&context).await.unwrap(), 0);
        let told = portal.newest_email(&scene.actor.email).await;
        assert_eq!(told["subject"], "App has used 80% of its allowance");
        assert!(told["text"].as_str().unwrap().contains("On the plan Cheaper"), "{told}");
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let billing = portal.get(&format!("/api/v1/organisations/{}/billing", scene.actor.organisation_id), &token).await.expect(200).json();
        let draft = billing["drafts"].as_array().unwrap().iter().find(|draft| draft["state"] == "running").unwrap();
        let usage = draft["so_far"]["lines"].as_array().unwrap().iter().find(|line| line["charge"] == "Usage").unwrap();
        assert_eq!((usage["quantity"].as_str(), usage["amount"].as_str()), (Some("820"), Some("8.20")));
        // Quota, usage page and draft: one number.
        let usage = portal.get(&format!("{}/usage?environment=live&granularity=day&from=2026-01-01T00:00:00Z", scene.app), &token).await.expect(200).json();
        assert_eq!(usage["totals"]["units"], 820);
        let quota = usage["quotas"].as_array().unwrap().iter().find(|quota| quota["environment"] == "live").unwrap();
        assert_eq!(quota["used"], 820);
        let plans = billing["plans"].as_array().unwrap();
        let cheaper = plans.iter().find(|plan| plan["plan"] == "Cheaper").unwrap();
        assert_eq!(cheaper["amount"], "5.00");
        let current = plans.iter().find(|plan| plan["is_current"] == true).unwrap();
        let cents = |text: &Value| (text.as_str().unwrap().parse::<f64>().unwrap() * 100.0).round();
        assert_eq!(cents(&current["amount"]) - cents(&cheaper["amount"]), cents(&cheaper["saving"]));
    }
}
