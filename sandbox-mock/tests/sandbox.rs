//! What a tenant can see and set of its sandbox, below `/.portico/`.

use sandbox_mock::json::{Value, read};
use sandbox_mock::state::MemoryStore;
use sandbox_mock::{Context, Mock, Request, Response, events};

const DOCUMENT: &[u8] = include_bytes!("../../examples/demo-api/openapi.yaml");
const CUSTOMER: &str = r#"{"email":"ines@example.com","name":"Ines Moreau"}"#;
const NOW_MS: i64 = 1_767_225_600_000;

struct Sandbox {
    mock: Mock,
    store: MemoryStore,
}

impl Sandbox {
    fn of(document: &[u8]) -> Sandbox {
        let (mock, _) = Mock::from_source(document).unwrap();
        Sandbox {
            mock,
            store: MemoryStore::default(),
        }
    }

    fn new() -> Sandbox {
        Sandbox::of(DOCUMENT)
    }

    fn send(
        &mut self,
        tenant: &str,
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
        let own = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        all.extend(own);
        let request = Request {
            method,
            path,
            query,
            headers: &all,
            body: body.as_bytes(),
        };
        let context = Context {
            seed: 1,
            tenant: tenant.to_owned(),
            now_ms: NOW_MS,
            stateful: true,
        };
        let response = self.mock.respond_now(request, &mut self.store, &context);
        let value = read(&response.body).unwrap_or(Value::Null);
        (response, value)
    }

    fn get(&mut self, target: &str) -> (Response, Value) {
        self.send("one", "GET", target, &[], "")
    }

    fn put(&mut self, target: &str, body: &str) -> (Response, Value) {
        self.send("one", "PUT", target, &[], body)
    }

    fn post(&mut self, target: &str, body: &str) -> (Response, Value) {
        self.send("one", "POST", target, &[], body)
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    let found = value.get(name).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    let found = value.get(name).and_then(Value::as_array);
    found.unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn the_log_says_which_operation_answered_and_from_what() {
    let mut sandbox = Sandbox::new();
    let (_, customer) = sandbox.post("/v1/customers", CUSTOMER);
    let path = format!("/v1/customers/{}", text(&customer, "id"));
    sandbox.get(&path);
    let (_, why) = sandbox.get("/.portico/why");
    assert_eq!(text(&why, "operation"), "getCustomer");
    assert_eq!(text(&why, "template"), "/v1/customers/{customer_id}");
    assert_eq!(text(&why, "outcome"), "answered");
    assert_eq!(text(&why, "source"), "state");
    assert!(
        why.get("line")
            .and_then(Value::as_i64)
            .is_some_and(|line| line > 1)
    );
    let (_, log) = sandbox.get("/.portico/requests");
    assert_eq!(
        list(&log, "requests").len(),
        2,
        "its own paths are not logged"
    );
    let (_, other) = sandbox.send("two", "GET", "/.portico/requests", &[], "");
    assert_eq!(list(&other, "requests"), [], "each tenant has its own");
}

#[test]
fn the_log_says_which_rule_a_refused_request_broke() {
    let mut sandbox = Sandbox::new();
    let (refused, _) = sandbox.post("/v1/customers", r#"{"name":7}"#);
    assert!((400..500).contains(&refused.status));
    let (_, why) = sandbox.get("/.portico/why");
    assert_eq!(text(&why, "outcome"), "invalid_body");
    let rules: Vec<&str> = list(&why, "violations")
        .iter()
        .map(|violation| text(violation, "rule"))
        .collect();
    assert!(
        rules.contains(&"type") && rules.contains(&"required"),
        "{why}"
    );
    sandbox.get("/v1/nothing?api_key=pk_live_secret&limit=2");
    let (_, why) = sandbox.get("/.portico/why");
    assert_eq!(text(&why, "outcome"), "unknown_path");
    let target = text(&why, "target");
    assert!(
        !target.contains("pk_live_secret") && target.contains("limit=2"),
        "{target}"
    );
    let (_, same) = sandbox.get(&format!("/.portico/requests/{}", text(&why, "id")));
    assert_eq!(same, why);
}

#[test]
fn the_log_is_bounded_and_keeps_the_newest() {
    let mut sandbox = Sandbox::new();
    for _ in 0..400 {
        sandbox.get("/v1/balance");
    }
    let (_, log) = sandbox.get("/.portico/requests?limit=1000");
    let entries = list(&log, "requests");
    assert!((10..200).contains(&entries.len()), "{}", entries.len());
    assert_eq!(text(&entries[0], "id"), "req_400");
}

#[test]
fn a_seeded_item_is_there_and_one_that_does_not_fit_changes_nothing() {
    let mut sandbox = Sandbox::new();
    let (seeded, created) = sandbox.post(
        "/.portico/seed",
        r#"{"/v1/customers":[{"id":"cus_0000000000","name":"Ines","email":"ines@example.com"}],"/v1/products":3}"#,
    );
    assert_eq!(seeded.status, 200, "{created}");
    let ids = created.get("created").unwrap();
    let id = list(ids, "/v1/customers")[0].as_str().unwrap().to_owned();
    let (shown, customer) = sandbox.get(&format!("/v1/customers/{id}"));
    assert_eq!((shown.status, text(&customer, "name")), (200, "Ines"));
    let (_, products) = sandbox.get("/v1/products");
    assert_eq!(list(&products, "data").len(), 3);
    let (refused, problem) = sandbox.post("/.portico/seed", r#"{"/v1/customers":[{"email":5}]}"#);
    assert_eq!(refused.status, 422);
    assert!(
        text(&problem, "detail").contains("/v1/customers/0"),
        "{problem}"
    );
    let (refused, problem) = sandbox.post("/.portico/seed", r#"{"/v1/whoami":1}"#);
    assert_eq!(refused.status, 422);
    assert!(text(&problem, "detail").contains("/v1/orders"), "{problem}");
}

#[test]
fn a_snapshot_brings_back_what_was_and_a_reset_forgets_everything() {
    let mut sandbox = Sandbox::new();
    let (_, customer) = sandbox.post("/v1/customers", CUSTOMER);
    let path = format!("/v1/customers/{}", text(&customer, "id"));
    sandbox.put(
        "/.portico/faults",
        r#"[{"operation":"listOrders","status":503}]"#,
    );
    let (_, snapshot) = sandbox.get("/.portico/snapshot");
    let (_, before) = sandbox.get("/v1/customers");
    let (reset, _) = sandbox.post("/.portico/reset", "");
    assert_eq!(reset.status, 204);
    assert_eq!(
        sandbox.get("/.portico/snapshot").1.get("collections"),
        Some(&Value::Object(vec![]))
    );
    assert_eq!(sandbox.get("/v1/orders").0.status, 200);
    assert_ne!(
        sandbox.get(&path).0.header("x-portico-mock-source"),
        Some("state")
    );
    let (restored, problem) = sandbox.put("/.portico/snapshot", &snapshot.to_string());
    assert_eq!(restored.status, 204, "{problem}");
    assert_eq!(sandbox.get("/v1/customers").1, before);
    assert_eq!(sandbox.get(&path).1, customer);
    assert_eq!(sandbox.get("/v1/orders").0.status, 503);
    // Into another tenant as well, and no half of a bad one.
    let (copied, _) = sandbox.send(
        "two",
        "PUT",
        "/.portico/snapshot",
        &[],
        &snapshot.to_string(),
    );
    assert_eq!(copied.status, 204);
    assert_eq!(sandbox.send("two", "GET", &path, &[], "").1, customer);
    for bad in [
        "{}",
        r#"{"version":1,"collections":{"x":{}}}"#,
        r#"{"version":1,"collections":{"/x":{"items":[1]}}}"#,
    ] {
        assert_eq!(
            sandbox.put("/.portico/snapshot", bad).0.status,
            422,
            "{bad}"
        );
        assert_eq!(sandbox.get(&path).1, customer);
    }
}

#[test]
fn faults_and_scenarios_that_are_bound_to_a_key_work_without_any_header() {
    let mut sandbox = Sandbox::new();
    let set = r#"[{"operation":"getBalance","status":429,"latency_ms":7},{"operation":"listOrders","rate":0.5,"status":500}]"#;
    assert_eq!(sandbox.put("/.portico/faults", set).0.status, 200);
    let (refused, _) = sandbox.get("/v1/balance");
    assert_eq!(
        (refused.status, refused.header("x-portico-mock-latency")),
        (429, Some("7"))
    );
    let failed = (0..200)
        .filter(|_| sandbox.get("/v1/orders").0.status == 500)
        .count();
    assert!((60..140).contains(&failed), "{failed}");
    assert_eq!(
        sandbox.send("two", "GET", "/v1/balance", &[], "").0.status,
        200
    );
    sandbox.send("one", "DELETE", "/.portico/faults", &[], "");
    assert_eq!(sandbox.get("/v1/balance").0.status, 200);
    let set = r#"[{"scenario":"not_found","operation":"getBalance","header":"x-case","value":"gone"},{"scenario":"unavailable","operation":"listOrders"}]"#;
    assert_eq!(sandbox.put("/.portico/scenarios", set).0.status, 200);
    assert_eq!(sandbox.get("/v1/orders").0.status, 503);
    assert_eq!(sandbox.get("/v1/balance").0.status, 200);
    let (gone, _) = sandbox.send("one", "GET", "/v1/balance", &[("x-case", "gone")], "");
    assert_eq!(gone.status, 404);
    // What the request itself says comes first.
    let (own, _) = sandbox.send("one", "GET", "/v1/orders", &[("prefer", "code=200")], "");
    assert_eq!(own.status, 200);
    assert_eq!(
        sandbox
            .put("/.portico/scenarios", r#"[{"scenario":""}]"#)
            .0
            .status,
        422
    );
    let late = [("prefer", "latency=12")];
    let (late, _) = sandbox.send("one", "GET", "/v1/balance", &late, "");
    assert_eq!(late.header("x-portico-mock-latency"), Some("12"));
}

#[test]
fn an_item_expires_when_the_clock_is_moved_past_its_end() {
    let document = br#"
openapi: 3.0.3
info: {title: t, version: '1'}
paths:
  /quotes:
    post:
      requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/New'}}}}
      responses: {'201': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Quote'}}}}}
    get:
      responses: {'200': {description: ok, content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Quote'}}}}}}
  /quotes/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Quote'}}}}}
components:
  schemas:
    New: {type: object, properties: {status: {type: string}, expires_at: {type: string, format: date-time}}}
    Quote:
      type: object
      required: [id, status, expires_at]
      properties: {id: {type: string}, status: {type: string, enum: [open, expired]}, expires_at: {type: string, format: date-time}}
"#;
    let mut sandbox = Sandbox::of(document);
    let (_, quote) = sandbox.post(
        "/quotes",
        r#"{"status":"open","expires_at":"2026-01-02T00:00:00Z"}"#,
    );
    let path = format!("/quotes/{}", text(&quote, "id"));
    assert_eq!(text(&sandbox.get(&path).1, "status"), "open");
    let (_, clock) = sandbox.post("/.portico/clock/advance", r#"{"seconds":90000}"#);
    assert_eq!(text(&clock, "now"), "2026-01-02T01:00:00Z");
    assert_eq!(text(&sandbox.get(&path).1, "status"), "expired");
    let (_, all) = sandbox.get("/quotes");
    assert_eq!(text(&all.as_array().unwrap()[0], "status"), "expired");
    assert_eq!(
        sandbox
            .put("/.portico/clock", r#"{"now":"2020-01-01T00:00:00Z"}"#)
            .0
            .status,
        422
    );
    sandbox.send("one", "DELETE", "/.portico/clock", &[], "");
    assert_eq!(text(&sandbox.get(&path).1, "status"), "open");
}

#[test]
fn a_list_that_was_generated_is_walked_by_limit_and_cursor_to_its_end() {
    let mut sandbox = Sandbox::new();
    let (_, all) = sandbox.get("/v1/orders");
    let whole = list(&all, "data").to_vec();
    assert!(whole.len() > 1, "{all}");
    let (_, one) = sandbox.get("/v1/orders?limit=1");
    assert_eq!(list(&one, "data"), &whole[..1]);
    let (mut walked, mut target) = (Vec::new(), "/v1/orders?limit=1".to_owned());
    for _ in 0..20 {
        let (_, page) = sandbox.get(&target);
        walked.extend(list(&page, "data").to_vec());
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(cursor) if !cursor.is_empty() => {
                target = format!("/v1/orders?limit=1&cursor={cursor}");
            }
            _ => break,
        }
    }
    assert_eq!(walked, whole);
    let (_, empty) = sandbox.send(
        "one",
        "GET",
        "/v1/orders",
        &[("x-portico-scenario", "empty")],
        "",
    );
    assert_eq!(list(&empty, "data"), []);
}

#[test]
fn a_declared_webhook_follows_the_call_signed_and_is_retried_on_the_tenants_clock() {
    let mut sandbox = Sandbox::new();
    let set = r#"[{"url":"https://shop.example/hooks","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]"#;
    assert_eq!(sandbox.put("/.portico/webhooks", set).0.status, 200);
    let order = r#"{"customer_id":"cus_7Hq2LmX9aB","currency":"EUR","items":[{"product_id":"prod_4kTz81WqYc","quantity":2}]}"#;
    let (_, order) = sandbox.post("/v1/orders", order);
    let (_, why) = sandbox.get("/.portico/why");
    let ids = list(&why, "deliveries").to_vec();
    assert_eq!(ids.len(), 1, "{why}");
    let context = Context {
        seed: 1,
        tenant: "one".to_owned(),
        now_ms: NOW_MS,
        stateful: true,
    };
    let due = |sandbox: &mut Sandbox| ready(events::due(&mut sandbox.store, &context));
    let outgoing = due(&mut sandbox);
    let [first] = outgoing.as_slice() else {
        panic!("{outgoing:?}");
    };
    assert_eq!(first.url, "https://shop.example/hooks");
    let event = read(&first.body).unwrap();
    let holds_order = event.to_string().contains(text(&order, "id"));
    assert!(holds_order, "{event} is not about {order}");
    let names: Vec<&str> = first
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
            "content-type"
        ]
    );
    let fail = |sandbox: &mut Sandbox, id: &str| {
        ready(events::settle(&mut sandbox.store, &context, id, Ok(500)));
    };
    fail(&mut sandbox, &first.delivery);
    assert_eq!(due(&mut sandbox), [], "the next attempt is not due");
    sandbox.post("/.portico/clock/advance", r#"{"seconds":6}"#);
    assert_eq!(due(&mut sandbox).len(), 1);
    // A day passes: each attempt of that day is made, and then it is given up.
    sandbox.post("/.portico/clock/advance", r#"{"seconds":999999}"#);
    for _ in 0..20 {
        for outgoing in due(&mut sandbox) {
            fail(&mut sandbox, &outgoing.delivery);
        }
    }
    let (_, listed) = sandbox.get("/.portico/deliveries");
    let delivery = &list(&listed, "deliveries")[0];
    assert_eq!(text(delivery, "state"), "failed");
    assert_eq!(list(delivery, "attempts").len(), 10);
    assert!(delivery.get("secret").is_none());
    let (_, sent) = sandbox.post("/.portico/events/refundSucceeded", "");
    assert_eq!(list(&sent, "deliveries").len(), 1);
    let id = due(&mut sandbox)[0].delivery.clone();
    ready(events::settle(&mut sandbox.store, &context, &id, Ok(204)));
    let (_, listed) = sandbox.get("/.portico/deliveries");
    assert_eq!(text(&list(&listed, "deliveries")[0], "state"), "delivered");
    assert_eq!(sandbox.post("/.portico/events/nothing", "").0.status, 404);
    for bad in [
        "{}",
        r#"[{}]"#,
        r#"[{"url":"ftp://a"}]"#,
        r#"[{"url":"https://a","secret":"x"}]"#,
    ] {
        assert_eq!(
            sandbox.put("/.portico/webhooks", bad).0.status,
            422,
            "{bad}"
        );
    }
}

#[test]
fn a_callback_goes_where_the_request_says() {
    let document = br#"
openapi: 3.0.3
info: {title: t, version: '1'}
paths:
  /streams:
    post:
      parameters: [{name: callbackUrl, in: query, required: true, schema: {type: string}}]
      responses: {'201': {description: ok, content: {application/json: {schema: {type: object, required: [subscriptionId], properties: {subscriptionId: {type: string}}}}}}}
      callbacks:
        onData:
          '{$request.query.callbackUrl}/data':
            post:
              requestBody: {content: {application/json: {schema: {type: object, required: [userData], properties: {userData: {type: string, minLength: 3}}}}}}
              responses: {'202': {description: ok}}
"#;
    let mut sandbox = Sandbox::of(document);
    let (created, _) = sandbox.post("/streams?callbackUrl=http%3A%2F%2Fclient.example%2Fx", "");
    assert_eq!(created.status, 201);
    let context = Context {
        seed: 1,
        tenant: "one".to_owned(),
        now_ms: NOW_MS,
        stateful: true,
    };
    let outgoing = ready(events::due(&mut sandbox.store, &context));
    assert_eq!(outgoing[0].url, "http://client.example/x/data");
    assert!(text(&read(&outgoing[0].body).unwrap(), "userData").len() >= 3);
}

/// Runs a future that waits for nothing.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut task) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the store in memory waits"),
    }
}
