//! Behaviour of webhooks, on both databases.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::model::RETRY_AFTER_MS;
use super::{EVENTS, emit, signature};
use crate::testing::{Actor, TestDatabase, TestPortal, on_every_database};

const PUBLIC: &str = "93.184.216.34";

/// A partner with an endpoint; answers its path and its secret.
async fn with_endpoint(portal: &TestPortal, body: Json) -> (Actor, String, String) {
    portal
        .http
        .addresses
        .borrow_mut()
        .push(PUBLIC.parse().unwrap());
    let ada = portal.sign_up("ada@example.com", "Acme").await;
    let list = format!(
        "/api/v1/organisations/{}/webhook-endpoints",
        ada.organisation_id
    );
    let made = portal
        .post(&list, &ada.token, body)
        .await
        .expect(201)
        .json();
    let path = format!(
        "/api/v1/webhook-endpoints/{}",
        made["endpoint"]["id"].as_str().unwrap()
    );
    (ada, path, made["secret"].as_str().unwrap().to_owned())
}

fn answer(status: u16) -> http::Response<Bytes> {
    http::Response::builder()
        .status(status)
        .body(Bytes::from("text"))
        .unwrap()
}

/// One tick in which the endpoint answers so.
async fn tick(portal: &TestPortal, status: u16) -> u64 {
    portal.http.answers.borrow_mut().push(answer(status));
    let tried = super::send_due_deliveries(&portal.context().await)
        .await
        .unwrap();
    portal.http.answers.borrow_mut().clear();
    tried
}

fn sent(portal: &TestPortal) -> Vec<(Json, String, String)> {
    let requests = portal.http.requests.borrow();
    let text = |request: &http::Request<Bytes>, name: &str| {
        request.headers()[name].to_str().unwrap().to_owned()
    };
    requests
        .iter()
        .map(|request| {
            let body = String::from_utf8(request.body().to_vec()).unwrap();
            let id = text(request, "webhook-id");
            (
                serde_json::from_str(&body).unwrap(),
                id,
                text(request, "webhook-signature"),
            )
        })
        .collect()
}

async fn create_app(portal: &TestPortal, actor: &Actor) -> String {
    let path = format!("/api/v1/organisations/{}/apps", actor.organisation_id);
    let app = portal
        .post(&path, &actor.token, json!({ "name": "App" }))
        .await
        .expect(201)
        .json();
    app["id"].as_str().unwrap().to_owned()
}

on_every_database! {
    async fn what_happens_is_sent_signed_and_tried_again_until_it_is_taken(portal: TestPortal) {
        let body = json!({ "url": "https://hooks.example.com/in", "event_types": ["app.created"] });
        let (ada, path, secret) = with_endpoint(&portal, body).await;
        let app_id = create_app(&portal, &ada).await;
        assert_eq!(tick(&portal, 500).await, 1);
        assert_eq!(tick(&portal, 200).await, 0, "not before 5 seconds have passed");
        portal.advance_ms(5_000);
        assert_eq!(tick(&portal, 200).await, 1);
        portal.advance_ms(400_000_000);
        assert_eq!(tick(&portal, 200).await, 0);
        let sent = sent(&portal);
        assert_eq!(sent.len(), 2);
        assert_eq!((&sent[0].0, &sent[0].1), (&sent[1].0, &sent[1].1), "the same event and bytes");
        assert_eq!(sent[0].0["type"], "app.created");
        assert_eq!(sent[0].0["data"]["id"], app_id.as_str());
        assert_eq!(sent[0].0["data"]["organisation_id"], ada.organisation_id.as_str());
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        for request in portal.http.requests.borrow().iter() {
            let timestamp = request.headers()["webhook-timestamp"].to_str().unwrap().parse().unwrap();
            let body = std::str::from_utf8(request.body()).unwrap();
            let expected = signature::sign(std::slice::from_ref(&key), &sent[0].1, timestamp, body);
            assert_eq!(request.headers()["webhook-signature"], expected.as_str());
        }
        let list = portal.get(&format!("{path}/deliveries"), &ada.token).await.expect(200).json();
        assert_eq!(list["items"][0]["state"], "delivered");
        let detail = portal.get(&format!("{path}/deliveries/{}", sent[0].1), &ada.token).await.expect(200).json();
        assert_eq!(detail["attempts"][0]["status"], 500);
        assert_eq!(detail["attempts"][1]["outcome"], "delivered");
        portal.post(&format!("{path}/deliveries/{}/resends", sent[0].1), &ada.token, json!({})).await.expect(202);
        assert_eq!(tick(&portal, 204).await, 1);
        portal.call("PATCH", &path, &ada.token, Some(json!({ "is_disabled": true }))).await.expect(200);
        let refused = portal.post(&format!("{path}/deliveries/{}/resends", sent[0].1), &ada.token, json!({})).await.expect(409);
        assert_eq!(refused.code(), "endpoint_disabled");
    }

    async fn an_event_of_a_change_that_was_rolled_back_is_never_sent(portal: TestPortal) {
        let (ada, _, _) = with_endpoint(&portal, json!({ "url": "https://hooks.example.com/" })).await;
        let context = portal.context().await;
        let organisation_id = ada.organisation_id.parse().unwrap();
        let outcome: Result<(), crate::database::DatabaseError> = context.connection.transaction(async || {
            emit(&context, Some(organisation_id), "app.created", json!({})).await?;
            Err(crate::database::DatabaseError::Failed("later".to_owned()))
        }).await;
        assert!(outcome.is_err());
        assert_eq!(tick(&portal, 200).await, 0);
        assert!(emit(&context, None, "no.such_event", json!({})).await.is_err());
    }

    async fn everyone_gets_what_concerns_them_and_the_operator_gets_all(portal: TestPortal) {
        let (ada, _, _) = with_endpoint(&portal, json!({ "url": "https://ada.example.com/" })).await;
        let bob = portal.sign_up("bob@example.com", "Bobs").await;
        let list = format!("/api/v1/organisations/{}/webhook-endpoints", bob.organisation_id);
        portal.post(&list, &bob.token, json!({ "url": "https://bob.example.com/" })).await.expect(201);
        let chief = portal.sign_up("chief@example.com", "Operator").await;
        portal.make_operator(&chief, "administrator").await;
        let body = json!({ "url": "https://operator.example.com/", "event_types": ["app.created", "agreement.published"] });
        portal.post("/api/v1/operator/webhook-endpoints", &chief.token, body).await.expect(201);
        create_app(&portal, &ada).await;
        let agreement = portal.post("/api/v1/operator/agreements", &chief.token, json!({ "title": "Terms", "kind": "other" })).await.expect(201).json();
        let path = format!("/api/v1/operator/agreements/{}/versions", agreement["agreement_id"].as_str().unwrap());
        portal.post(&path, &chief.token, json!({ "label": "1", "markdown": "Text" })).await.expect(201);
        tick(&portal, 200).await;
        let mut got: Vec<(String, String)> = portal.http.requests.borrow().iter().map(|request| {
            let body: Json = serde_json::from_slice(request.body()).unwrap();
            (request.uri().host().unwrap().to_owned(), body["type"].as_str().unwrap().to_owned())
        }).collect();
        got.sort();
        let expected = [
            ("ada.example.com", "agreement.published"), ("ada.example.com", "app.created"),
            ("bob.example.com", "agreement.published"),
            ("operator.example.com", "agreement.published"), ("operator.example.com", "app.created"),
        ];
        assert_eq!(got, expected.map(|(host, kind)| (host.to_owned(), kind.to_owned())));
    }

    async fn while_a_rotation_overlaps_both_secrets_sign(portal: TestPortal) {
        let (ada, path, old) = with_endpoint(&portal, json!({ "url": "https://hooks.example.com/" })).await;
        let rotated = portal.post(&format!("{path}/secrets"), &ada.token, json!({ "overlap_secs": 60 })).await.expect(201).json();
        let new = rotated["secret"].as_str().unwrap().to_owned();
        assert_ne!(old, new);
        let count = async || {
            portal.http.requests.borrow_mut().clear();
            portal.post(&format!("{path}/test-events"), &ada.token, json!({})).await.expect(202);
            tick(&portal, 200).await;
            sent(&portal)[0].2.split(' ').count()
        };
        assert_eq!(count().await, 2);
        portal.advance_ms(61_000);
        assert_eq!(count().await, 1);
        let shown = portal.get(&path, &ada.token).await.expect(200).text();
        assert!(!shown.contains("whsec_"));
        let row = portal.context().await.connection.query_one("SELECT sealed FROM webhook_secrets", vec![]).await.unwrap();
        let sealed: Vec<u8> = row.get(0).unwrap();
        let plain = STANDARD.decode(new.strip_prefix("whsec_").unwrap()).unwrap();
        assert!(!sealed.windows(plain.len()).any(|window| window == plain));
    }

    async fn after_three_days_of_failures_an_endpoint_is_disabled_and_its_owner_told(portal: TestPortal) {
        let (ada, path, _) = with_endpoint(&portal, json!({ "url": "https://hooks.example.com/" })).await;
        create_app(&portal, &ada).await;
        for wait in std::iter::once(0).chain(RETRY_AFTER_MS) {
            portal.advance_ms(wait);
            assert_eq!(tick(&portal, 302).await, 1);
        }
        let endpoint = portal.get(&path, &ada.token).await.expect(200).json();
        assert_eq!(endpoint["state"], "disabled");
        assert!(endpoint["disabled_reason"].as_str().unwrap().contains("redirects are not followed"), "{endpoint}");
        let email = portal.newest_email("ada@example.com").await;
        assert_eq!(email["subject"], "A webhook endpoint was disabled");
        assert!(email["links"][0].as_str().unwrap().ends_with(path.strip_prefix("/api/v1").unwrap()));
        // What happens meanwhile waits.
        create_app(&portal, &ada).await;
        assert_eq!(tick(&portal, 200).await, 0);
        portal.call("PATCH", &path, &ada.token, Some(json!({ "is_disabled": false }))).await.expect(200);
        assert!(tick(&portal, 200).await > 0);
    }

    async fn an_endpoint_that_is_gone_is_left_alone(portal: TestPortal) {
        let (ada, path, _) = with_endpoint(&portal, json!({ "url": "https://hooks.example.com/", "event_types": ["app.created"] })).await;
        create_app(&portal, &ada).await;
        tick(&portal, 410).await;
        assert_eq!(portal.get(&path, &ada.token).await.expect(200).json()["state"], "disabled");
        portal.call("DELETE", &path, &ada.token, None).await.expect(204);
        portal.get(&path, &ada.token).await.expect(404);
        create_app(&portal, &ada).await;
        portal.advance_ms(10_000);
        assert_eq!(tick(&portal, 200).await, 0);
    }

    async fn a_name_that_stands_for_a_private_address_gets_nothing(portal: TestPortal) {
        let (ada, path, _) = with_endpoint(&portal, json!({ "url": "https://hooks.example.com/", "event_types": ["app.created"] })).await;
        let list = format!("/api/v1/organisations/{}/webhook-endpoints", ada.organisation_id);
        for url in ["https://10.0.0.1/", "https://169.254.169.254/", "http://hooks.example.com/", "https://db/"] {
            let refused = portal.post(&list, &ada.token, json!({ "url": url })).await.expect(422).json();
            assert_eq!(refused["errors"][0]["field"], "url");
        }
        portal.http.addresses.borrow_mut().push("10.0.0.7".parse::<IpAddr>().unwrap());
        create_app(&portal, &ada).await;
        tick(&portal, 200).await;
        assert!(portal.http.requests.borrow().is_empty());
        let event_id = portal.get(&format!("{path}/deliveries"), &ada.token).await.json()["items"][0]["event_id"].as_str().unwrap().to_owned();
        let detail = portal.get(&format!("{path}/deliveries/{event_id}"), &ada.token).await.expect(200).text();
        assert!(detail.contains("10.0.0.7 is not of the public internet"), "{detail}");
    }

    async fn the_pages_lead_from_an_endpoint_to_its_tries(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        portal.http.addresses.borrow_mut().push(PUBLIC.parse().unwrap());
        let list = format!("/organisations/{}/webhooks", ada.organisation_id);
        let page = portal.page(&list, &ada.token).await.expect(200).text();
        assert!(page.contains("credential.issued") && !page.contains("request.waiting"));
        let wrong = portal.submit(&list, &ada.token, &[("url", "https://10.0.0.1/")]).await.expect(422).text();
        assert!(wrong.contains("not of the public internet"));
        let made = portal.submit(&list, &ada.token, &[("url", "https://hooks.example.com/"), ("event_types", "app.created")]).await.expect(200).text();
        assert!(made.contains("whsec_"));
        let at = made.find("/webhook-endpoints/").unwrap();
        let path = made[at..].split(['"', '/']).take(3).collect::<Vec<_>>().join("/");
        assert!(!portal.page(&path, &ada.token).await.expect(200).text().contains("whsec_"));
        portal.submit(&format!("{path}/test-events"), &ada.token, &[]).await.expect(303);
        tick(&portal, 503).await;
        let shown = portal.page(&format!("{path}?state=pending"), &ada.token).await.expect(200).text();
        assert!(shown.contains("webhook.test") && shown.contains("failing"), "{shown}");
        let at = shown.find("/deliveries/").unwrap();
        let delivery = format!("{path}{}", shown[at..].split('"').next().unwrap());
        assert!(portal.page(&delivery, &ada.token).await.expect(200).text().contains("answered 503"));
        portal.submit(&format!("{delivery}/resend"), &ada.token, &[]).await.expect(303);
        portal.submit(&format!("{path}/secrets"), &ada.token, &[]).await.expect(200);
        portal.submit(&format!("{path}/delete"), &ada.token, &[]).await.expect(303);
    }
}

#[tokio::test]
async fn in_production_this_machine_gets_nothing() {
    let settings = [
        ("environment", "production"),
        ("public_url", "http://portal.test"),
    ];
    let portal = TestPortal::with(TestDatabase::sqlite(), &settings).await;
    assert!(!portal.app.configuration.development);
    assert!(
        super::address::check_url(
            "http://127.0.0.1:9000/",
            portal.app.configuration.development
        )
        .is_err()
    );
}

#[test]
fn the_catalogue_has_each_name_once_in_order() {
    let names: Vec<&str> = EVENTS.iter().map(|event| event.name).collect();
    for pair in names.windows(2) {
        assert!(pair[0] < pair[1], "{} before {}", pair[0], pair[1]);
    }
}
