//! Behaviour of usage: merged once, shown soon, the same number everywhere.

use serde_json::{Value, json};
use shared::usage::{Cell, RequestSample};

use super::{counted_calls, drop_old_samples, merge_cells};
use crate::edges::test_edge::TestEdge;
use crate::testing::{Actor, TestPortal, on_every_database};

struct Scene {
    actor: Actor,
    app_id: String,
    edge: TestEdge,
    credential: shared::ids::CredentialId,
}

/// A partner with a test key that an edge knows.
async fn start(portal: &TestPortal) -> Scene {
    portal.post("/dev/seed", "", json!({})).await.expect(200);
    let actor = portal.sign_up("ada@partner.example", "Partner").await;
    let path = format!("/api/v1/organisations/{}/apps", actor.organisation_id);
    let app = portal
        .post(&path, &actor.token, json!({ "name": "App" }))
        .await
        .expect(201)
        .json();
    let app_id = app["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/apps/{app_id}/credentials");
    let issued = portal
        .post(&path, &actor.token, json!({ "environment": "test" }))
        .await
        .expect(201)
        .json();
    let mut edge = TestEdge::new(portal, "edge-1", 1);
    edge.beat(portal).await;
    let credential = edge
        .find_key(portal, issued["key"].as_str().unwrap())
        .unwrap();
    Scene {
        actor,
        app_id,
        edge,
        credential,
    }
}

impl Scene {
    fn cell(&self, portal: &TestPortal, outcome: &str, count: u64) -> Cell {
        self.edge
            .cell(portal, &self.app_id, self.credential, outcome, count)
    }

    async fn usage(&self, portal: &TestPortal, query: &str) -> Value {
        let path = format!("/api/v1/apps/{}/usage{query}", self.app_id);
        portal
            .get(&path, &self.actor.token)
            .await
            .expect(200)
            .json()
    }
}

on_every_database! {
    async fn reports_that_come_again_late_or_shuffled_change_nothing(portal: TestPortal) {
        let mut scene = start(&portal).await;
        let growing: Vec<Cell> = [3, 1, 7, 5, 7, 2].iter().map(|count| scene.cell(&portal, "2xx", *count)).collect();
        for cell in &growing {
            scene.edge.report_cells(&portal, vec![cell.clone()]).await;
        }
        // The same cell twice in one report, in either order.
        scene.edge.report_cells(&portal, growing.clone()).await;
        let usage = scene.usage(&portal, "").await;
        assert_eq!(usage["totals"]["calls"], 7);
        assert_eq!(usage["totals"]["bytes"], 700);
        assert_eq!(usage["totals"]["latency_p50_ms"], 1.0);
    }

    async fn page_quota_and_parts_are_one_number(portal: TestPortal) {
        let mut scene = start(&portal).await;
        let cells = [("2xx", 10), ("4xx", 3), ("5xx", 2), ("aborted", 1), ("rate_limited", 4)]
            .map(|(outcome, count)| scene.cell(&portal, outcome, count));
        scene.edge.report_cells(&portal, cells.to_vec()).await;
        let usage = scene.usage(&portal, "?granularity=minute&environment=test").await;
        let totals = &usage["totals"];
        assert_eq!((totals["calls"].as_i64(), totals["refused"].as_i64()), (Some(16), Some(4)));
        assert_eq!((totals["errors"].as_i64(), totals["server_errors"].as_i64()), (Some(5), Some(2)));
        // 5xx and refused calls do not count.
        assert_eq!(totals["units"], 14);
        assert_eq!(usage["quotas"][0]["used"], 14);
        assert_eq!(usage["quotas"][0]["remaining"], 10_000 - 14);
        let sum = |list: &str, member: &str| -> i64 {
            usage[list].as_array().unwrap().iter().map(|part| part[member].as_i64().unwrap()).sum()
        };
        for list in ["by_operation", "by_outcome", "series"] {
            assert_eq!((sum(list, "calls"), sum(list, "units")), (16, 14), "{list}");
        }
        let live = scene.usage(&portal, "?environment=live").await;
        assert_eq!(live["totals"]["calls"], 0);
    }

    async fn calls_of_nobody_known_are_kept_and_shown_to_nobody(portal: TestPortal) {
        let mut scene = start(&portal).await;
        let stranger = Cell {
            credential: None,
            subscription: None,
            meter: None,
            operation: String::new(),
            ..scene.cell(&portal, "unknown_credential", 5)
        };
        scene.edge.report_cells(&portal, vec![stranger]).await;
        assert_eq!(scene.usage(&portal, "").await["totals"]["refused"], 0);
        let context = portal.context().await;
        let boot = scene.edge.description.boot.to_string();
        assert_eq!(counted_calls(&context.connection, &boot).await.unwrap(), 5);
    }

    async fn the_request_log_has_each_line_once_newest_first(portal: TestPortal) {
        let mut scene = start(&portal).await;
        let line = |number: u64| RequestSample {
            at_ms: portal.now_ms().unsigned_abs() + number,
            request_id: format!("request-{number}"),
            credential: Some(scene.credential),
            installation: None,
            operation: "listOrders".to_owned(),
            method: "GET".to_owned(),
            status: 429,
            code: Some("rate_limited".to_owned()),
            latency_us: 1_500,
        };
        let lines: Vec<RequestSample> = (0..3).map(line).collect();
        scene.edge.report_requests(&portal, lines.clone()).await;
        scene.edge.report_requests(&portal, lines).await;
        let path = format!("/api/v1/apps/{}/requests?limit=2", scene.app_id);
        let first = portal.get(&path, &scene.actor.token).await.expect(200).json();
        assert_eq!(first["items"][0]["request_id"], "request-2");
        assert_eq!(first["items"][0]["latency_ms"], 1.5);
        let path = format!("{path}&cursor={}", first["next_cursor"].as_str().unwrap());
        let second = portal.get(&path, &scene.actor.token).await.expect(200).json();
        assert_eq!(second["items"].as_array().unwrap().len(), 1);
        assert!(second["next_cursor"].is_null());
    }

    async fn a_full_request_log_drops_its_oldest_lines(portal: TestPortal) {
        let mut scene = start(&portal).await;
        let first_ms = portal.now_ms().unsigned_abs();
        let lines = (0..2_100).map(|number| RequestSample {
            at_ms: first_ms + number,
            request_id: format!("request-{number}"),
            credential: Some(scene.credential),
            installation: None,
            operation: "listOrders".to_owned(),
            method: "GET".to_owned(),
            status: 200,
            code: None,
            latency_us: 1,
        }).collect();
        scene.edge.report_requests(&portal, lines).await;
        let context = portal.context().await;
        assert_eq!(drop_old_samples(&context.connection, portal.now_ms()).await.unwrap(), 100);
        assert_eq!(drop_old_samples(&context.connection, portal.now_ms()).await.unwrap(), 0);
    }

    async fn wrong_questions_name_their_field(portal: TestPortal) {
        let scene = start(&portal).await;
        for (query, field) in [
            ("?granularity=week", "granularity"),
            ("?environment=prod", "environment"),
            ("?from=yesterday", "from"),
            ("?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
            ("?granularity=minute&from=2025-01-02T00:00:00Z", "granularity"),
        ] {
            let path = format!("/api/v1/apps/{}/usage{query}", scene.app_id);
            let answer = portal.get(&path, &scene.actor.token).await.expect(422).json();
            assert_eq!(answer["errors"][0]["field"], field, "{query}");
        }
    }
}

/// Not a benchmark but a guard: merging must stay one statement per batch.
#[tokio::test]
async fn merging_a_large_report_takes_few_statements() {
    let portal = TestPortal::on_sqlite().await;
    let scene = start(&portal).await;
    let template = scene.cell(&portal, "2xx", 1);
    let cells: Vec<Cell> = (0..20_000)
        .map(|number| Cell {
            operation: format!("operation{}", number % 500),
            minute: template.minute + number / 500,
            ..template.clone()
        })
        .collect();
    let context = portal.context().await;
    let connection = &context.connection;
    let merge = async || {
        connection
            .transaction(async || {
                merge_cells(connection, scene.edge.description.boot, &cells).await
            })
            .await
            .unwrap();
    };
    merge().await;
    merge().await;
    let row = connection
        .query_one(
            "SELECT COUNT(*), CAST(SUM(count) AS BIGINT) FROM usage_cells",
            vec![],
        )
        .await
        .unwrap();
    assert_eq!(
        (row.get::<i64>(0), row.get::<i64>(1)),
        (Ok(20_000), Ok(20_000))
    );
}
