//! Production's exchanges against the document.

use sandbox_mock::Mock;
use sandbox_mock::drift::{Drift, Kind, Report, read_exchange};

const DOCUMENT: &[u8] = b"openapi: 3.0.3
info: {title: t, version: '1'}
paths:
  /orders:
    get:
      operationId: listOrders
      parameters: [{name: limit, in: query, schema: {type: integer, maximum: 10}}]
      responses:
        '200':
          description: ok
          headers: {x-total: {required: true, schema: {type: integer}}}
          content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Order'}}}}
    post:
      operationId: createOrder
      requestBody: {required: true, content: {application/json: {schema: {type: object, required: [sku], properties: {sku: {type: string}}}}}}
      responses: {'201': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Order'}}}}}
components:
  schemas:
    Order:
      type: object
      required: [id, status]
      properties:
        id: {type: string}
        status: {type: string, enum: [open, paid]}
        note: {type: string}
        contact: {type: object, properties: {email: {type: string, format: email}, phone: {type: string, pattern: '^[1-9]+$'}}}
";

fn report(lines: &[&str]) -> Report {
    let (mock, _) = Mock::from_source(DOCUMENT).unwrap();
    let mut drift = Drift::new(&mock);
    for line in lines {
        drift.add(&read_exchange(line.as_bytes()).unwrap());
    }
    drift.finish()
}

/// The kinds and places of what was found about an operation.
fn found(report: &Report, operation: &str) -> Vec<(Kind, String)> {
    let found = report.operations[operation].differences.keys();
    found
        .map(|difference| (difference.kind, difference.place.clone()))
        .collect()
}

fn get(url: &str, headers: &str, status: u16, body: &str) -> String {
    format!(
        r#"{{"request":{{"method":"GET","url":"{url}","headers":{{}}}},"response":{{"status":{status},"headers":{headers},"body":{body}}}}}"#
    )
}

const TOTAL: &str = r#"{"content-type":"application/json","x-total":"1"}"#;

#[test]
fn what_follows_the_document_has_full_fidelity() {
    let line = get(
        "/orders?limit=3",
        TOTAL,
        200,
        r#"[{"id":"1","status":"open","note":"n","contact":{"email":"a@b.example","phone":"123"}}]"#,
    );
    let report = report(&[&line]);
    assert_eq!(report.score(), 100.0, "{}", report.to_json());
}

#[test]
fn every_kind_of_difference_is_told_in_its_place() {
    for (line, kind, place) in [
        (
            get("/orders", TOTAL, 200, r#"[{"id":"1"}]"#),
            Kind::Missing,
            "response 200 /*",
        ),
        (
            get("/orders", TOTAL, 200, r#"[{"id":7,"status":"open"}]"#),
            Kind::Type,
            "response 200 /*/id",
        ),
        (
            get("/orders", TOTAL, 200, r#"[{"id":"1","status":"lost"}]"#),
            Kind::Enum,
            "response 200 /*/status",
        ),
        (
            get(
                "/orders",
                TOTAL,
                200,
                r#"[{"id":"1","status":"open","tax":1}]"#,
            ),
            Kind::New,
            "response 200 /*/tax",
        ),
        (
            get(
                "/orders",
                r#"{"content-type":"application/json"}"#,
                200,
                "[]",
            ),
            Kind::Header,
            "response 200 header x-total",
        ),
        (
            get("/orders", TOTAL, 418, "{}"),
            Kind::Status,
            "response 418",
        ),
        (
            get("/orders?limit=50", TOTAL, 200, "[]"),
            Kind::Request,
            "request query limit",
        ),
        (
            get("/orders?sort=id", TOTAL, 200, "[]"),
            Kind::Request,
            "request query sort",
        ),
    ] {
        let report = report(&[&line]);
        let found = found(&report, "listOrders");
        assert!(
            found.contains(&(kind, place.to_owned())),
            "{line}: {found:?}"
        );
        assert_eq!(report.score(), 0.0, "{line}");
    }
}

#[test]
fn a_member_that_only_the_mock_shows_is_told_and_costs_nothing() {
    let line = get("/orders", TOTAL, 200, r#"[{"id":"1","status":"open"}]"#);
    let report = report(&[&line]);
    assert!(
        found(&report, "listOrders")
            .iter()
            .any(|(kind, _)| *kind == Kind::MockOnly)
    );
    assert_eq!(report.score(), 100.0);
}

#[test]
fn an_operation_that_the_document_does_not_have_is_listed_by_its_path() {
    let report = report(&[&get("/refunds", TOTAL, 200, "[]")]);
    assert_eq!(report.operations["GET /refunds"].score(), 0.0);
    assert_eq!(report.to_json().get("operations_seen"), Some(&0_i64.into()));
}

#[test]
fn redaction_makes_no_difference_of_its_own() {
    // Masked, neither the pattern nor the format would hold; the type still does.
    let line = get(
        "/orders",
        TOTAL,
        200,
        r#"[{"id":"1","status":"open","note":"sk_live_abcdefghijklmnop","contact":{"email":"ines@shop.example","phone":"5551234"}}]"#,
    );
    assert_eq!(report(&[&line]).score(), 100.0);
    let line = get(
        "/orders",
        TOTAL,
        200,
        r#"[{"id":"1","status":"open","contact":{"email":7}}]"#,
    );
    assert_eq!(report(&[&line]).score(), 0.0);
}

#[test]
fn scores_are_by_operation_and_in_total() {
    let good = get("/orders", TOTAL, 200, "[]");
    let bad = get("/orders", TOTAL, 200, "[{}]");
    let post = r#"{"request":{"method":"POST","url":"/orders","headers":{"content-type":"application/json"},"body":{"sku":"a"}},"response":{"status":201,"headers":{"content-type":"application/json"},"body":{"id":"1","status":"open"}}}"#;
    let report = report(&[&good, &good, &good, &bad, post]);
    assert_eq!(report.operations["listOrders"].score(), 75.0);
    assert_eq!(report.operations["createOrder"].score(), 100.0);
    assert_eq!(report.score(), 80.0);
}
