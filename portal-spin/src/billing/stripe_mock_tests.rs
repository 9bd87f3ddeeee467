//! Payment by Stripe against a mock of Stripe that our own sandbox makes of Stripe's OpenAPI document: every
//! request is checked against the document and answered from it.
//!
//! The document is no part of this repository. It is looked for in `../shared/specs`, or in the folder that
//! `PORTICO_SPECS` names; where it is not, the test says so and checks nothing.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use bytes::Bytes;
use sandbox_mock::state::MemoryStore;
use sandbox_mock::{Context as MockContext, Mock, Request};
use serde_json::{Value, json};

use super::push_payments;
use super::test_scene::{DAY_MS, HOUR_MS, Scene, run_at};
use crate::testing::{TestDatabase, TestPortal};

fn document() -> Option<Vec<u8>> {
    let folder = std::env::var_os("PORTICO_SPECS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/specs"),
        PathBuf::from,
    );
    let path = folder.join("stripe.spec3.json");
    let read = std::fs::read(&path).ok();
    if read.is_none() {
        println!("skipped: there is no {}", path.display());
    }
    read
}

/// A mock of Stripe, and what it was asked and answered.
struct StripeMock {
    mock: Mock,
    store: MemoryStore,
    /// Whether the document is older than the parameter `currency` of invoices (API version 2022-11-15).
    is_old: bool,
    exchanges: Rc<RefCell<Vec<(String, u16, Value)>>>,
}

impl StripeMock {
    fn answer(&mut self, request: &http::Request<Bytes>) -> http::Response<Bytes> {
        let path = request.uri().path();
        let headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let mut body = request.body().to_vec();
        if self.is_old && path == "/v1/invoices" {
            let mut without = form_urlencoded::Serializer::new(String::new());
            without
                .extend_pairs(form_urlencoded::parse(&body).filter(|(name, _)| name != "currency"));
            body = without.finish().into_bytes();
        }
        let response = self.mock.respond_now(
            Request {
                method: request.method().as_str(),
                path,
                query: request.uri().query().unwrap_or_default(),
                headers: &headers,
                body: &body,
            },
            &mut self.store,
            &MockContext {
                seed: 7,
                tenant: "portico".to_owned(),
                now_ms: 1_767_225_600_000,
                stateful: true,
            },
        );
        let json = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        self.exchanges
            .borrow_mut()
            .push((path.to_owned(), response.status, json));
        http::Response::builder()
            .status(response.status)
            .body(Bytes::from(response.body))
            .unwrap()
    }
}

async fn call(portal: &TestPortal, path: &str, fields: &[(&str, &str)]) -> u16 {
    let request =
        super::stripe::request("https://api.stripe.com", path, "sk_test_1", "key", fields);
    let answer = portal.app.http.send(request.unwrap()).await.unwrap();
    answer.status().as_u16()
}

#[tokio::test]
async fn every_request_to_stripe_is_one_that_its_document_takes() {
    let Some(document) = document() else { return };
    let version: Value = serde_json::from_slice(&document).unwrap();
    let (mock, _) = Mock::from_source(&document).unwrap();
    let exchanges = Rc::new(RefCell::new(Vec::new()));
    let mut stripe = StripeMock {
        mock,
        store: MemoryStore::default(),
        is_old: version["info"]["version"].as_str() < Some("2022-11-15"),
        exchanges: Rc::clone(&exchanges),
    };
    let settings = [("stripe_secret_key", "sk_test_1")];
    let portal = TestPortal::with(TestDatabase::sqlite(), &settings).await;
    *portal.http.answerer.borrow_mut() = Some(Box::new(move |request| stripe.answer(request)));

    // The mock is no yes-man: what the document does not take is refused.
    assert_eq!(
        call(&portal, "/v1/invoices", &[("amount_of_money", "1")]).await,
        400
    );
    assert_eq!(
        call(&portal, "/v1/invoiceitems", &[("amount", "1")]).await,
        400,
        "no customer"
    );
    let wrong = [("customer", "cus_1"), ("amount", "a lot")];
    assert_eq!(call(&portal, "/v1/invoiceitems", &wrong).await, 400);

    let scene = Scene::on_plan(
        &portal,
        json!({
            "price": { "model": "flat", "currency": "USD", "flat_amount": "0" },
            "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "31" }]
        }),
    )
    .await;
    run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
    exchanges.borrow_mut().clear();
    assert_eq!(push_payments(&portal.context().await).await.unwrap(), 1);
    let asked = exchanges.take();
    let paths: Vec<&str> = asked.iter().map(|(path, ..)| path.as_str()).collect();
    let made = asked[1].2["id"].as_str().unwrap();
    assert_eq!(
        paths,
        [
            "/v1/customers",
            "/v1/invoices",
            "/v1/invoiceitems",
            &format!("/v1/invoices/{made}/finalize")
        ]
    );
    for (path, status, answer) in &asked {
        assert_eq!(*status, 200, "{path}: {answer}");
    }

    // Paid by transfer, void, given up: Stripe is told of each in words that it takes.
    let staff = portal.sign_up("finance@operator.example", "Operator").await;
    portal.make_operator(&staff, "finance").await;
    for (action, body, step) in [
        ("payments", json!({ "reference": "transfer 1" }), "pay"),
        ("void", json!({ "reason": "a mistake" }), "void"),
        (
            "uncollectible",
            json!({ "reason": "insolvent" }),
            "mark_uncollectible",
        ),
    ] {
        let token = portal.log_in(&staff.email, crate::testing::PASSWORD).await;
        let list = portal
            .get("/api/v1/operator/invoices", &token)
            .await
            .expect(200)
            .json();
        let open = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["state"] == "open")
            .unwrap();
        let path = format!(
            "/api/v1/operator/invoices/{}/{action}",
            open["id"].as_str().unwrap()
        );
        portal.post(&path, &token, body).await.expect(204);
        assert_eq!(
            push_payments(&portal.context().await).await.unwrap(),
            1,
            "{action}"
        );
        let told = exchanges.take();
        assert!(told[0].0.ends_with(&format!("/{step}")), "{told:?}");
        assert_eq!(told[0].1, 200, "{told:?}");
        // The next month's invoice.
        run_at(&portal, portal.now_ms() + 31 * DAY_MS).await;
        push_payments(&portal.context().await).await.unwrap();
        exchanges.borrow_mut().clear();
    }
    drop(scene);
}
