//! Reports, through their routes.

use serde_json::{Value, json};
use shared::usage::Cell;

use crate::credentials::test_partner::key_at_edge;
use crate::testing::{TestPortal, on_every_database};

fn report() -> Value {
    json!({
        "fidelity": 99.9, "exchanges": 1_003, "operations_declared": 25, "operations_seen": 2,
        "operations": [
            { "operation": "getOrder", "route": "GET /v1/orders/{order_id}", "exchanges": 3, "faithful": 2, "fidelity": 66.67,
              "differences": [{ "kind": "new_member", "place": "response 200 /gift_<b>", "message": "is not declared", "exchanges": 1, "counts": true }] },
            { "operation": "listOrders", "route": "GET /v1/orders", "exchanges": 997, "faithful": 997, "fidelity": 100.0, "differences": [] },
            { "operation": "GET /internal/secret", "route": "GET /internal/secret", "exchanges": 3, "faithful": 0, "fidelity": 0.0,
              "differences": [{ "kind": "unknown_operation", "place": "request", "message": "is not in the document", "exchanges": 3, "counts": true }] },
        ],
    })
}

/// A partner's app with calls that an edge has counted.
async fn count_calls(portal: &TestPortal) {
    let actor = portal.sign_up("ada@partner.example", "Partner").await;
    let path = format!("/api/v1/organisations/{}/apps", actor.organisation_id);
    let app = portal
        .post(&path, &actor.token, json!({ "name": "App" }))
        .await
        .expect(201)
        .json();
    let app = format!("/api/v1/apps/{}", app["id"].as_str().unwrap());
    let (mut edge, cell) = key_at_edge(portal, &actor, &app, "test").await;
    let of = |outcome: &str, count: u64, latency: &[(u8, u64)]| Cell {
        outcome: outcome.to_owned(),
        count,
        units: count,
        bytes_out: 100 * count,
        latency: latency.to_vec(),
        ..cell.clone()
    };
    let fine = of("2xx", 90, &[(12, 80), (20, 10)]);
    let broken = of("5xx", 10, &[(30, 10)]);
    let refused = of("rate_limited", 500, &[(4, 500)]);
    edge.report_cells(portal, vec![fine, broken, refused]).await;
}

on_every_database! {
    async fn the_sandbox_gets_the_latencies_and_errors_that_the_edge_counted(portal: TestPortal) {
        portal.post("/dev/seed", "", json!({})).await.expect(200);
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "manager").await;
        count_calls(&portal).await;
        let path = "/api/v1/operator/sandbox-faults?environment=test";
        let faults = portal.get(path, &boss.token).await.expect(200).json();
        let list = faults.as_array().unwrap();
        assert_eq!(list.len(), 1, "{faults}");
        assert_eq!(list[0]["histogram"], json!([[12, 80], [20, 10]]));
        let with_errors = portal.get(&format!("{path}&errors=yes"), &boss.token).await.expect(200).json();
        assert_eq!(with_errors[0]["rate"], 0.1);
        assert_eq!(with_errors[0]["status"], 503);
        // It is what the sandbox takes.
        let document = b"openapi: 3.0.0\ninfo: {title: t, version: '1'}\npaths: {}";
        let (mut mock, _) = sandbox_mock::Mock::from_source(document).unwrap();
        mock.set_faults(with_errors.to_string().as_bytes()).unwrap();
        portal.get("/api/v1/operator/sandbox-faults?hours=0", &boss.token).await.expect(422);
    }

    async fn partners_see_the_score_of_the_sandbox_beside_it_and_no_calls_that_are_not_theirs(portal: TestPortal) {
        portal.post("/dev/seed", "", json!({})).await.expect(200);
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "manager").await;
        let products = portal.get("/api/v1/products", "").await.expect(200).json();
        let products = products["items"].as_array().unwrap();
        let product = products.iter().find(|product| product["slug"] == "meridian-commerce").unwrap();
        let id = product["id"].as_str().unwrap();
        let public = format!("/api/v1/products/{id}/fidelity");
        portal.get(&public, "").await.expect(404);
        let before = portal.page("/products/meridian-commerce/reference", "").await.expect(200).text();
        assert!(!before.contains("like production"));

        let path = format!("/api/v1/operator/products/{id}/fidelity");
        let stored = portal.call("PUT", &path, &boss.token, Some(report())).await.expect(200).json();
        assert_eq!(stored["operations"].as_array().unwrap().len(), 3);
        assert_eq!(stored["fidelity"], 99.6);

        let seen = portal.get(&public, "").await.expect(200).json();
        assert_eq!(seen["fidelity"], 99.9);
        assert_eq!(seen["exchanges"], 1_000);
        assert_eq!(seen["operations"][0]["operation"], "getOrder");
        assert_eq!(seen["operations"][0]["fidelity"], 66.66);
        assert!(!seen.to_string().contains("internal"), "{seen}");
        let overview = portal.page("/products/meridian-commerce/reference", "").await.expect(200).text();
        assert!(overview.contains("99.90 % like production"), "{overview}");
        let orders = portal.page("/products/meridian-commerce/reference/orders", "").await.expect(200).text();
        assert!(orders.contains("66.66 % like production") && orders.contains("in 3 exchanges"), "{orders}");
        let page = portal.page("/products/meridian-commerce/fidelity", "").await.expect(200).text();
        assert!(page.contains("/gift_&#60;b&#62;") || page.contains("/gift_&lt;b&gt;"), "{page}");
        assert!(page.contains("is not declared") && !page.contains("internal"), "{page}");
        let own = portal.page(&format!("/operator/products/{id}/fidelity"), &boss.token).await.expect(200).text();
        assert!(own.contains("/internal/secret"), "{own}");
    }

    async fn a_report_that_cannot_be_is_refused_with_the_place(portal: TestPortal) {
        portal.post("/dev/seed", "", json!({})).await.expect(200);
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "manager").await;
        let products = portal.get("/api/v1/products", "").await.expect(200).json();
        let id = products["items"][0]["id"].as_str().unwrap();
        let path = format!("/api/v1/operator/products/{id}/fidelity");
        let mut wrong = report();
        wrong["operations"][0]["faithful"] = json!(4);
        let refused = portal.call("PUT", &path, &boss.token, Some(wrong)).await.expect(422).text();
        assert!(refused.contains("operations.0.faithful"), "{refused}");
        let mut other = report();
        other["version"] = json!(7);
        let refused = portal.call("PUT", &path, &boss.token, Some(other)).await.expect(422).text();
        assert!(refused.contains("no such version"), "{refused}");
        let page = format!("/operator/products/{id}/fidelity");
        let fields = [("report", "no report")];
        let again = portal.submit(&page, &boss.token, &fields).await.expect(422).text();
        assert!(again.contains("no report of") && again.contains(">no report</textarea>"), "{again}");
        let text = report().to_string();
        portal.submit(&page, &boss.token, &[("report", &text)]).await.expect(303);
        let shown = portal.page(&page, &boss.token).await.expect(200).text();
        assert!(shown.contains("99.60 %"), "{shown}");
    }
}
