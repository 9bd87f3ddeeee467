//! A partner in the demonstration programme, for tests of apps, keys and plans.

use serde_json::json;
use shared::usage::Cell;

use crate::edges::test_edge::TestEdge;
use crate::testing::{Actor, TestPortal};

/// A partner with an app in the demonstration programme.
pub async fn start(portal: &TestPortal) -> (Actor, String) {
    portal.post("/dev/seed", "", json!({})).await.expect(200);
    let actor = portal.sign_up("ada@partner.example", "Partner").await;
    let path = format!("/api/v1/organisations/{}/apps", actor.organisation_id);
    let app = portal
        .post(&path, &actor.token, json!({ "name": "App" }))
        .await
        .expect(201)
        .json();
    (
        actor,
        format!("/api/v1/apps/{}", app["id"].as_str().unwrap()),
    )
}

pub async fn accept_all(portal: &TestPortal, actor: &Actor) {
    let base = format!("/api/v1/organisations/{}", actor.organisation_id);
    for agreement in portal
        .get("/api/v1/agreements", "")
        .await
        .expect(200)
        .json()["items"]
        .as_array()
        .unwrap()
    {
        let version = agreement["versions"].as_array().unwrap().last().unwrap();
        let body = json!({ "agreement_version_id": version["agreement_version_id"], "has_authority": true });
        portal
            .post(&format!("{base}/acceptances"), &actor.token, body)
            .await
            .expect(201);
    }
}

/// Issues a key. Answers an edge that knows it, and the cell of one successful call with it.
pub async fn key_at_edge(
    portal: &TestPortal,
    actor: &Actor,
    app: &str,
    environment: &str,
) -> (TestEdge, Cell) {
    let issued = portal
        .post(
            &format!("{app}/credentials"),
            &actor.token,
            json!({ "environment": environment }),
        )
        .await
        .expect(201)
        .json();
    let mut edge = TestEdge::new(portal, "edge-1", 1);
    edge.beat(portal).await;
    let credential = edge
        .find_key(portal, issued["key"].as_str().unwrap())
        .unwrap();
    let app_id = app.rsplit('/').next().unwrap();
    let cell = edge.cell(portal, app_id, credential, "2xx", 1);
    (edge, cell)
}

/// Issues a test key and has an edge count a successful call with it.
pub async fn first_call(portal: &TestPortal, actor: &Actor, app: &str) -> TestEdge {
    let (mut edge, cell) = key_at_edge(portal, actor, app, "test").await;
    edge.report_cells(portal, vec![cell]).await;
    edge
}

pub async fn subscription(portal: &TestPortal, actor: &Actor, app: &str) -> String {
    let list = portal
        .get(&format!("{app}/subscriptions"), &actor.token)
        .await
        .expect(200)
        .json();
    format!(
        "{app}/subscriptions/{}",
        list["items"][0]["id"].as_str().unwrap()
    )
}
