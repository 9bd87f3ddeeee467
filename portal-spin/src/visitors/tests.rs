//! Visitors, through their routes: a key before there is an account, claimed or ended.

use serde_json::json;

use crate::testing::{PASSWORD, on_every_database};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

on_every_database! {
    async fn who_registers_keeps_the_key_and_the_app_of_the_first_call(portal: TestPortal) {
        portal.post("/dev/seed", "", json!({})).await.expect(200);
        let visitor = portal.post("/api/v1/visitors", "", json!({})).await.expect(201).json();
        let key = visitor["test_key"].as_str().unwrap();
        assert!(key.starts_with("pk_test_") && visitor["first_call"].as_str().unwrap().contains(key));

        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "manager").await;
        let listed = portal.get("/api/v1/operator/organisations?limit=100", &boss.token).await.expect(200).text();
        assert!(!listed.contains("Visitor"), "nobody's organisation is in no list: {listed}");

        let body = json!({
            "email": "ada@example.com", "password": PASSWORD, "organisation_name": "Acme",
            "source": "home", "visitor_token": visitor["visitor_token"],
        });
        portal.post("/api/v1/registrations", "", body.clone()).await.expect(202);
        let code = portal.newest_email("ada@example.com").await["code"].clone();
        let session = portal.post("/api/v1/verifications", "", json!({ "email": "ada@example.com", "code": code }))
            .await.expect(201).json();
        let (token, organisation) = (session["session_token"].as_str().unwrap(), session["organisation_id"].as_str().unwrap());
        let name = portal.get(&format!("/api/v1/organisations/{organisation}"), token).await.expect(200).json();
        assert_eq!(name["name"], "Acme");
        let apps = portal.get(&format!("/api/v1/organisations/{organisation}/apps"), token).await.expect(200).json();
        let app = apps["items"][0]["id"].as_str().unwrap();
        let keys = portal.get(&format!("/api/v1/apps/{app}/credentials"), token).await.expect(200).json();
        assert!(key.ends_with(keys["items"][0]["last_four"].as_str().unwrap()), "{keys}");
        let listed = portal.get("/api/v1/operator/organisations?limit=100", &boss.token).await.expect(200).text();
        assert!(listed.contains("Acme"), "a claimed organisation is like any other");

        // The day's end does not touch what was claimed, and the token opens nothing any more.
        portal.advance_ms(DAY_MS + 1);
        let context = portal.context().await;
        assert_eq!(crate::visitors::sweep(&context).await.unwrap(), 0);
        assert!(crate::visitors::find_open(&context, visitor["visitor_token"].as_str().unwrap()).await.unwrap().is_none());
    }

    async fn two_registrations_with_one_token_get_one_visitor_and_one_new_organisation(portal: TestPortal) {
        portal.post("/dev/seed", "", json!({})).await.expect(200);
        let visitor = portal.post("/api/v1/visitors", "", json!({})).await.expect(201).json();
        let mut organisations = Vec::new();
        for email in ["ada@example.com", "eve@example.com"] {
            let body = json!({
                "email": email, "password": PASSWORD, "organisation_name": "Acme",
                "visitor_token": visitor["visitor_token"],
            });
            portal.post("/api/v1/registrations", "", body).await.expect(202);
        }
        for email in ["ada@example.com", "eve@example.com"] {
            let code = portal.newest_email(email).await["code"].clone();
            let session = portal.post("/api/v1/verifications", "", json!({ "email": email, "code": code }))
                .await.expect(201).json();
            let organisation = session["organisation_id"].as_str().unwrap().to_owned();
            let path = format!("/api/v1/organisations/{organisation}/apps");
            let apps = portal.get(&path, session["session_token"].as_str().unwrap()).await.expect(200).json();
            organisations.push((organisation, apps["items"].as_array().unwrap().len()));
        }
        assert_ne!(organisations[0].0, organisations[1].0);
        assert_eq!((organisations[0].1, organisations[1].1), (1, 0));
    }

    async fn a_key_that_nobody_claims_is_revoked_after_a_day(portal: TestPortal) {
        portal.post("/dev/seed", "", json!({})).await.expect(200);
        portal.post("/api/v1/visitors", "", json!({})).await.expect(201);
        let context = portal.context().await;
        assert_eq!(crate::visitors::sweep(&context).await.unwrap(), 0, "not before");
        portal.advance_ms(DAY_MS + 1);
        let context = portal.context().await;
        assert_eq!(crate::visitors::sweep(&context).await.unwrap(), 1);
        assert_eq!(crate::visitors::sweep(&context).await.unwrap(), 0, "once");
        let standing = context.connection.query_one(
            "SELECT COUNT(*) FROM visitors v JOIN credentials c ON c.app_id = v.app_id
             WHERE c.revoked_at_ms IS NULL OR c.revoked_at_ms > $1",
            crate::params![context.now_ms],
        ).await.unwrap();
        assert_eq!(standing.get::<i64>(0).unwrap(), 0);
    }

    async fn the_home_page_gives_a_key_even_where_the_gateway_cannot_be_reached_from_here(portal: TestPortal) {
        portal.post("/dev/seed", "", json!({})).await.expect(200);
        let page = portal.page("/", "").await.expect(200).text();
        assert!(page.contains("Get a key and send it") && page.contains("your test key"), "{page}");
        let answer = portal.submit("/first-call", "", &[]).await.expect(200);
        assert!(answer.header("set-cookie").starts_with("portico_visitor="));
        let page = answer.text();
        assert!(page.contains("Bearer pk_test_") && page.contains("Keep it: create account"), "{page}");
    }

    async fn an_empty_programme_offers_no_call(portal: TestPortal) {
        let page = portal.page("/", "").await.expect(200).text();
        assert!(!page.contains("Get a key and send it"));
    }
}

#[tokio::test]
async fn an_operator_can_switch_calls_without_an_account_off() {
    let portal = crate::testing::TestPortal::with(
        crate::testing::TestDatabase::sqlite(),
        &[("visitor_calls", "off")],
    )
    .await;
    portal.post("/dev/seed", "", json!({})).await.expect(200);
    let refused = portal.post("/api/v1/visitors", "", json!({})).await;
    assert_eq!(refused.expect(403).code(), "visitors_off");
    let page = portal.page("/", "").await.expect(200).text();
    assert!(!page.contains("Get a key and send it"));
}
