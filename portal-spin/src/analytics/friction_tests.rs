//! Errors of each step, made through the routes that partners use.

use serde_json::{Value as Json, json};

use crate::credentials::test_partner;
use crate::testing::{PASSWORD, TestPortal, on_every_database};

async fn errors(portal: &TestPortal, token: &str) -> std::collections::BTreeMap<String, i64> {
    let report = portal
        .get("/api/v1/operator/analytics/friction", token)
        .await
        .expect(200)
        .json();
    let rows: Vec<Json> = report["tables"][0]["rows"].as_array().unwrap().clone();
    rows.iter()
        .map(|row| {
            let step = row[0].as_str().unwrap().rsplit(" → ").next().unwrap();
            (step.to_owned(), row[4].as_i64().unwrap())
        })
        .collect()
}

on_every_database! {
    async fn an_error_on_the_way_to_a_step_counts_at_that_step_alone(portal: TestPortal) {
        let (actor, app) = test_partner::start(&portal).await;
        let staff = portal.sign_up("staff@operator.example", "Operator").await;
        portal.make_operator(&staff, "manager").await;
        let token = portal.log_in("staff@operator.example", PASSWORD).await;
        let before = errors(&portal, &token).await;
        let base = format!("/api/v1/organisations/{}", actor.organisation_id);
        let subscription = test_partner::subscription(&portal, &actor, &app).await;
        let refused = async |method: &str, path: &str, body: Json| {
            let answer = portal.call(method, path, &actor.token, Some(body)).await;
            assert!((400..500).contains(&answer.status), "{path} {}", answer.status);
        };
        refused("POST", "/api/v1/verifications", json!({ "email": "nobody@partner.example", "code": "000000" })).await;
        refused("POST", &format!("{base}/acceptances"), json!({ "agreement_version_id": "agv_none", "has_authority": true })).await;
        refused("POST", &format!("{base}/apps"), json!({ "name": "" })).await;
        refused("POST", &format!("{app}/credentials"), json!({ "environment": "moon" })).await;
        refused("POST", &format!("{subscription}/go-live"), json!({})).await;
        refused("PUT", &format!("{base}/billing/account"), json!({ "country": "Atlantis" })).await;
        // A call that the API answered 4xx, before the first that went well.
        let (mut edge, cell) = test_partner::key_at_edge(&portal, &actor, &app, "test").await;
        let failed = shared::usage::Cell { outcome: "4xx".to_owned(), count: 3, ..cell.clone() };
        edge.report_cells(&portal, vec![failed]).await;
        portal.advance_ms(2 * 3_600_000);
        let context = portal.context().await;
        while crate::metering::roll_up(&context.connection, portal.now_ms()).await.unwrap() > 0 {}
        while super::super::refresh(&context).await.unwrap() > 0 {}
        let token = portal.log_in("staff@operator.example", PASSWORD).await;
        let after = errors(&portal, &token).await;
        let grown = |step: &str| after[step] - before[step];
        assert_eq!(["Verified", "Agreed", "Keyed", "First sandbox call", "First live call", "Paying", "Retained"].map(grown), [1, 1, 2, 3, 1, 1, 0]);
        let report = portal.get("/api/v1/operator/analytics/friction", &token).await.expect(200).json();
        let named: Vec<&str> = report["tables"][1]["rows"].as_array().unwrap().iter().map(|row| row[1].as_str().unwrap()).collect();
        assert!(named.contains(&"go_live") && named.contains(&"create_app"), "{named:?}");
        // Who stands behind a count is listed behind it.
        let listed = portal.get("/api/v1/operator/analytics/at-step?step=verified&standing=reached", &token).await.expect(200).json();
        let funnel = portal.get("/api/v1/operator/analytics/funnel", &token).await.expect(200).json();
        let verified = funnel["tables"][0]["rows"][2][1].as_u64().unwrap();
        assert_eq!(listed["tables"][0]["rows"].as_array().unwrap().len() as u64, verified);
        portal.get("/api/v1/operator/analytics/at-step?step=moon", &token).await.expect(422);
    }
}
