//! Payment by Stripe against a scripted HTTP port, and usage sent out as CloudEvents.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

use super::push_payments;
use super::test_scene::{DAY_MS, HOUR_MS, Scene, run_at};
use crate::testing::{Answer, TestDatabase, TestPortal};

const SECRET: &str = "whsec_test_secret";

async fn portal() -> TestPortal {
    let settings = [
        ("stripe_secret_key", "sk_test_1"),
        ("stripe_webhook_secret", SECRET),
        ("usage_events_url", "https://sink.test/events"),
    ];
    TestPortal::with(TestDatabase::sqlite(), &settings).await
}

fn script(portal: &TestPortal, answers: &[(u16, Value)]) {
    for (status, body) in answers.iter().rev() {
        let answer = http::Response::builder()
            .status(*status)
            .body(Bytes::from(body.to_string()))
            .unwrap();
        portal.http.answers.borrow_mut().push(answer);
    }
}

fn sent(portal: &TestPortal) -> Vec<(String, String)> {
    portal
        .http
        .requests
        .borrow_mut()
        .drain(..)
        .map(|request| {
            (
                request.uri().path().to_owned(),
                String::from_utf8(request.body().to_vec()).unwrap(),
            )
        })
        .collect()
}

async fn tell(portal: &TestPortal, event: &Value, secret: &str, at_secs: i64) -> Answer {
    let body = event.to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at_secs}.{body}").as_bytes());
    let header = format!(
        "t={at_secs},v1={}",
        crate::encoding::hex(&mac.finalize().into_bytes())
    );
    let headers = [
        ("stripe-signature", header.as_str()),
        ("content-type", "application/json"),
    ];
    portal
        .request("POST", "/api/v1/payments/stripe/events", &headers, &body)
        .await
}

fn terms() -> Value {
    json!({
        "price": { "model": "flat", "currency": "USD", "flat_amount": "0" },
        "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "31" }]
    })
}

#[tokio::test]
async fn an_invoice_is_asked_for_at_stripe_and_paid_by_its_signed_event_once() {
    let portal = portal().await;
    let scene = Scene::on_plan(&portal, terms()).await;
    run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
    sent(&portal);
    // The provider is away: noted, tried again later, nothing lost.
    script(
        &portal,
        &[(503, json!({ "error": { "message": "try later" } }))],
    );
    assert_eq!(push_payments(&portal.context().await).await.unwrap(), 0);
    assert_eq!(
        push_payments(&portal.context().await).await.unwrap(),
        0,
        "not before its time"
    );
    portal.advance_ms(6 * 60_000);
    sent(&portal);
    script(
        &portal,
        &[
            (200, json!({ "id": "cus_1" })),
            (200, json!({ "id": "in_1" })),
            (200, json!({ "id": "ii_1" })),
            (
                200,
                json!({ "id": "in_1", "hosted_invoice_url": "https://pay.test/in_1" }),
            ),
        ],
    );
    assert_eq!(push_payments(&portal.context().await).await.unwrap(), 1);
    let calls = sent(&portal);
    assert_eq!(
        calls
            .iter()
            .map(|(path, _)| path.as_str())
            .collect::<Vec<_>>(),
        [
            "/v1/customers",
            "/v1/invoices",
            "/v1/invoiceitems",
            "/v1/invoices/in_1/finalize"
        ]
    );
    assert!(
        calls[2].1.contains("amount=3100") && calls[2].1.contains("currency=usd"),
        "{}",
        calls[2].1
    );
    let token = portal
        .log_in(&scene.actor.email, crate::testing::PASSWORD)
        .await;
    let list = format!(
        "/api/v1/organisations/{}/invoices",
        scene.actor.organisation_id
    );
    let invoice = async || portal.get(&list, &token).await.expect(200).json()["items"][0].clone();
    assert_eq!(invoice().await["payment_url"], "https://pay.test/in_1");
    let event = |id: &str, paid: i64| {
        json!({
            "id": id, "type": "invoice.paid", "data": { "object": { "id": "in_1", "amount_paid": paid } }
        })
    };
    let now = portal.now_ms() / 1_000;
    assert_eq!(
        tell(&portal, &event("evt_0", 3_100), "whsec_guess", now)
            .await
            .expect(400)
            .code(),
        "bad_signature"
    );
    assert_eq!(
        tell(&portal, &event("evt_0", 3_100), SECRET, now - 400)
            .await
            .expect(400)
            .code(),
        "bad_signature"
    );
    assert_eq!(
        tell(&portal, &event("evt_1", 100), SECRET, now)
            .await
            .expect(200)
            .json()["outcome"],
        "too_little"
    );
    assert_eq!(invoice().await["state"], "open");
    assert_eq!(
        tell(&portal, &event("evt_2", 3_100), SECRET, now)
            .await
            .expect(200)
            .json()["outcome"],
        "paid"
    );
    assert_eq!(
        tell(&portal, &event("evt_2", 3_100), SECRET, now)
            .await
            .expect(200)
            .json()["outcome"],
        "known"
    );
    assert_eq!(
        tell(&portal, &event("evt_3", 3_100), SECRET, now)
            .await
            .expect(200)
            .json()["outcome"],
        "already_closed"
    );
    assert_eq!(invoice().await["state"], "paid");
    assert_eq!(
        push_payments(&portal.context().await).await.unwrap(),
        0,
        "Stripe told us"
    );
    assert!(sent(&portal).is_empty());
}

#[tokio::test]
async fn an_invoice_paid_by_transfer_is_closed_at_stripe_too() {
    let portal = portal().await;
    let scene = Scene::on_plan(&portal, terms()).await;
    run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
    script(
        &portal,
        &[
            (200, json!({ "id": "cus_1" })),
            (200, json!({ "id": "in_1" })),
            (200, json!({ "id": "ii_1" })),
            (200, json!({ "id": "in_1" })),
        ],
    );
    push_payments(&portal.context().await).await.unwrap();
    let staff = portal.sign_up("finance@operator.example", "Operator").await;
    portal.make_operator(&staff, "finance").await;
    let all = portal
        .get("/api/v1/operator/invoices", &staff.token)
        .await
        .expect(200)
        .json();
    let mine = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["organisation_id"] == scene.actor.organisation_id.as_str())
        .unwrap();
    let path = format!(
        "/api/v1/operator/invoices/{}/payments",
        mine["id"].as_str().unwrap()
    );
    portal
        .post(&path, &staff.token, json!({ "reference": "transfer" }))
        .await
        .expect(204);
    sent(&portal);
    script(&portal, &[(200, json!({ "id": "in_1" }))]);
    assert_eq!(push_payments(&portal.context().await).await.unwrap(), 1);
    assert_eq!(
        sent(&portal),
        [(
            "/v1/invoices/in_1/pay".to_owned(),
            "paid_out_of_band=true".to_owned()
        )]
    );
}

#[tokio::test]
async fn usage_goes_out_once_and_late_usage_as_its_own_event() {
    let portal = portal().await;
    let scene = Scene::on_plan(&portal, terms()).await;
    let start = portal.now_ms();
    scene
        .merge(
            &portal,
            &[scene.cell_at(start, 5), scene.cell_at(start + 60_000, 2)],
        )
        .await;
    portal.advance_ms(DAY_MS);
    let export = async || {
        let context = portal.context().await;
        crate::metering::roll_up(&context.connection, portal.now_ms())
            .await
            .unwrap();
        crate::metering::export_usage(&context).await.unwrap()
    };
    sent(&portal);
    script(&portal, &[(500, json!({}))]);
    assert_eq!(export().await, 0);
    script(&portal, &[(202, json!({}))]);
    assert_eq!(export().await, 1);
    let tries = sent(&portal);
    assert_eq!(tries[0], tries[1], "what is sent again has the same ids");
    let events: Value = serde_json::from_str(&tries[0].1).unwrap();
    assert_eq!(
        (&events[0]["data"]["units"], &events[0]["specversion"]),
        (&json!(7), &json!("1.0"))
    );
    assert_eq!(events[0]["subject"], scene.actor.organisation_id.as_str());
    assert_eq!(export().await, 0);
    scene.merge(&portal, &[scene.cell_at(start, 9)]).await;
    script(&portal, &[(202, json!({}))]);
    assert_eq!(export().await, 1);
    let late: Value = serde_json::from_str(&sent(&portal)[0].1).unwrap();
    assert_eq!(late[0]["data"]["units"], 4);
    assert_ne!(late[0]["id"], events[0]["id"]);
}
