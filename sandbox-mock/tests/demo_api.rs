//! What a partner sees of the demo API's mock.

use sandbox_mock::json::{Value, read};
use sandbox_mock::state::{MemoryStore, NoStore};
use sandbox_mock::{Context, Mock, Request, Response};

const DOCUMENT: &[u8] = include_bytes!("../../examples/demo-api/openapi.yaml");

struct Client {
    mock: Mock,
    store: MemoryStore,
    tenant: &'static str,
}

impl Client {
    fn new() -> Client {
        let (mock, summary) = Mock::from_source(DOCUMENT).unwrap();
        assert_eq!(summary.findings, []);
        Client {
            mock,
            store: MemoryStore::default(),
            tenant: "app_one",
        }
    }

    fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (Response, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut all = vec![("authorization".to_owned(), "Bearer pk_test_x".to_owned())];
        if !body.is_empty() {
            all.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        all.extend(
            headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let request = Request {
            method,
            path,
            query,
            headers: &all,
            body: body.as_bytes(),
        };
        let context = Context {
            seed: 1,
            tenant: self.tenant.to_owned(),
            now_ms: 0,
            stateful: true,
        };
        let response = self.mock.respond_now(request, &mut self.store, &context);
        let value = read(&response.body).unwrap_or(Value::Null);
        (response, value)
    }

    fn get(&mut self, target: &str) -> (Response, Value) {
        self.send("GET", target, &[], "")
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no {name} in {value}"))
}

const ORDER: &str = r#"{"customer_id":"cus_7Hq2LmX9aB","currency":"EUR","items":[{"product_id":"prod_4kTz81WqYc","quantity":2}]}"#;
const CUSTOMER: &str = r#"{"email":"ines@example.com","name":"Ines Moreau"}"#;

#[test]
fn whoami_shows_the_identity_that_the_gateway_established() {
    let mut client = Client::new();
    let (response, body) = client.send(
        "GET",
        "/v1/whoami",
        &[
            ("x-portico-organisation", "org_1"),
            ("x-portico-app", "app_2"),
            ("x-portico-environment", "test"),
        ],
        "",
    );
    assert_eq!(response.status, 200);
    assert_eq!(
        (
            text(&body, "organisation"),
            text(&body, "app"),
            text(&body, "environment")
        ),
        ("org_1", "app_2", "test")
    );
}

#[test]
fn a_created_customer_is_shown_listed_changed_and_gone_after_deletion() {
    let mut client = Client::new();
    let (created, customer) = client.send("POST", "/v1/customers", &[], CUSTOMER);
    assert_eq!(created.status, 201);
    assert_eq!(
        (text(&customer, "email"), text(&customer, "name")),
        ("ines@example.com", "Ines Moreau")
    );
    let path = format!("/v1/customers/{}", text(&customer, "id"));
    assert_eq!(created.header("location"), Some(path.as_str()));
    let (shown, same) = client.get(&path);
    assert_eq!(shown.header("x-portico-mock-source"), Some("state"));
    assert_eq!(same, customer);
    let (_, list) = client.get("/v1/customers");
    assert_eq!(
        list.get("data").and_then(Value::as_array),
        Some(&[customer.clone()][..])
    );
    let (_, changed) = client.send("PATCH", &path, &[], r#"{"name":"Ines Costa"}"#);
    assert_eq!(
        (text(&changed, "name"), text(&changed, "email")),
        ("Ines Costa", "ines@example.com")
    );
    assert_eq!(client.get(&path).1, changed);
    assert_eq!(client.send("DELETE", &path, &[], "").0.status, 204);
    let (gone, error) = client.get(&path);
    assert_eq!(gone.status, 404);
    assert!(text(error.get("error").unwrap(), "message").contains(text(&customer, "id")));
    assert_eq!(
        client
            .get("/v1/customers")
            .1
            .get("data")
            .and_then(Value::as_array),
        Some(&[][..])
    );
}

#[test]
fn a_walk_over_137_created_orders_returns_exactly_these() {
    let mut client = Client::new();
    let mut created = Vec::new();
    for _ in 0..137 {
        let (response, order) = client.send("POST", "/v1/orders", &[], ORDER);
        assert_eq!(response.status, 201);
        created.push(text(&order, "id").to_owned());
    }
    let mut seen = Vec::new();
    let mut target = "/v1/orders?limit=10".to_owned();
    loop {
        let (_, page) = client.get(&target);
        seen.extend(
            page.get("data")
                .and_then(Value::as_array)
                .unwrap()
                .iter()
                .map(|order| text(order, "id").to_owned()),
        );
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(cursor) => target = format!("/v1/orders?limit=10&cursor={cursor}"),
            None => {
                assert_eq!(page.get("has_more"), Some(&Value::Bool(false)));
                break;
            }
        }
    }
    seen.reverse();
    assert_eq!(seen, created);
}

#[test]
fn a_list_is_filtered_by_a_member() {
    let mut client = Client::new();
    client.send("POST", "/v1/customers", &[], CUSTOMER);
    client.send(
        "POST",
        "/v1/customers",
        &[],
        r#"{"email":"ben@example.com","name":"Ben Berg"}"#,
    );
    let (_, list) = client.get("/v1/customers?email=ben@example.com");
    let names: Vec<&str> = list
        .get("data")
        .and_then(Value::as_array)
        .unwrap()
        .iter()
        .map(|customer| text(customer, "name"))
        .collect();
    assert_eq!(names, ["Ben Berg"]);
}

#[test]
fn an_idempotency_key_repeats_the_answer_and_refuses_another_request() {
    let mut client = Client::new();
    let key = [("Idempotency-Key", "k1")];
    let first = client.send("POST", "/v1/orders", &key, ORDER);
    assert_eq!(client.send("POST", "/v1/orders", &key, ORDER), first);
    assert_eq!(
        client
            .get("/v1/orders")
            .1
            .get("data")
            .and_then(Value::as_array)
            .unwrap()
            .len(),
        1
    );
    let other = ORDER.replace("EUR", "USD");
    assert_eq!(
        client.send("POST", "/v1/orders", &key, &other).0.status,
        409
    );
}

#[test]
fn tenants_do_not_see_each_other() {
    let mut client = Client::new();
    let (_, customer) = client.send("POST", "/v1/customers", &[], CUSTOMER);
    client.tenant = "app_two";
    let (response, other) = client.get(&format!("/v1/customers/{}", text(&customer, "id")));
    assert_eq!(response.header("x-portico-mock-source"), Some("generated"));
    assert_ne!(text(&other, "email"), "ines@example.com");
}

#[test]
fn the_same_seed_tenant_and_history_give_the_same_bytes() {
    let run = || {
        let mut client = Client::new();
        let created = client.send("POST", "/v1/orders", &[], ORDER).0;
        let shown = client.get("/v1/products/prod_aaaaaaaaaa").0;
        (created, shown, client.get("/v1/products/prod_bbbbbbbbbb").0)
    };
    assert_eq!(run(), run());
    let (_, a, b) = run();
    assert_ne!(a.body, b.body);
    assert!(
        String::from_utf8(a.body)
            .unwrap()
            .contains("prod_aaaaaaaaaa")
    );
}

#[test]
fn refusals_use_the_documents_error_schema_and_name_the_place_and_the_rule() {
    let mut client = Client::new();
    let (response, body) = client.send("POST", "/v1/orders", &[], r#"{"customer_id":"cus_7Hq2LmX9aB","currency":"EUR","items":[{"product_id":"prod_4kTz81WqYc","quantity":0}]}"#);
    assert_eq!(response.status, 422);
    let error = body.get("error").unwrap();
    assert_eq!(
        text(error, "message"),
        "body /items/0/quantity must be at least 1."
    );
    assert_eq!(text(error, "param"), "/items/0/quantity");
    let (response, body) = client.get("/v1/orders?limit=1000");
    assert_eq!(response.status, 400);
    assert_eq!(
        text(body.get("error").unwrap(), "message"),
        "query limit must be at most 100."
    );
    let (response, body) = client.send("POST", "/v1/customers", &[], r#"{"name":"x"}"#);
    assert_eq!(response.status, 422);
    assert!(text(body.get("error").unwrap(), "message").contains("email is missing"));
    assert_eq!(client.send("POST", "/v1/customers", &[], "{").0.status, 422);
    assert_eq!(client.get("/v1/customers/wrong").0.status, 400);
    assert_eq!(client.get("/v1/nowhere").0.status, 404);
    let (response, _) = client.send("PUT", "/v1/orders", &[], "{}");
    assert_eq!(
        (response.status, response.header("allow")),
        (405, Some("GET, HEAD, POST"))
    );
}

#[test]
fn without_credentials_every_operation_refuses() {
    let (mock, _) = Mock::from_source(DOCUMENT).unwrap();
    let context = Context {
        seed: 1,
        tenant: String::new(),
        now_ms: 0,
        stateful: false,
    };
    for (index, operation) in mock.operations().iter().enumerate() {
        let sample = sandbox_mock::sample::sample_without_credentials(&mock, index, 1).unwrap();
        let request = Request {
            method: &sample.method,
            path: &sample.path,
            query: &sample.query,
            headers: &sample.headers,
            body: &sample.body,
        };
        let response = mock.respond_now(request, &mut NoStore, &context);
        assert_eq!(response.status, 401, "{}", operation.id);
        assert!(response.header("www-authenticate").is_some());
    }
}

#[test]
fn preferences_choose_status_example_and_seed() {
    let mut client = Client::new();
    let prefer = |client: &mut Client, value: &str| {
        client.send("GET", "/v1/orders/ord_aaaaaaaaaa", &[("prefer", value)], "")
    };
    let (response, body) = prefer(&mut client, "code=404");
    assert_eq!(
        (response.status, response.header("x-portico-mock-source")),
        (404, Some("example"))
    );
    assert_eq!(text(body.get("error").unwrap(), "code"), "not_found");
    assert_ne!(
        prefer(&mut client, "dynamic=true, seed=1").1,
        prefer(&mut client, "dynamic=true, seed=2").1
    );
    let (response, body) = client.send(
        "POST",
        "/v1/orders",
        &[("prefer", "example=created")],
        ORDER,
    );
    assert_eq!(
        (response.status, text(&body, "id")),
        (201, "ord_9fWk3TzQ1r")
    );
    let (response, _) = client.send(
        "GET",
        "/v1/orders",
        &[("x-portico-scenario", "rate_limited")],
        "",
    );
    assert_eq!(response.status, 429);
    assert!(response.header("retry-after").is_some());
    assert_eq!(
        client
            .send("GET", "/v1/orders", &[("accept", "image/png")], "")
            .0
            .status,
        406
    );
    assert_eq!(client.send("HEAD", "/v1/orders", &[], "").0.body, b"");
}
