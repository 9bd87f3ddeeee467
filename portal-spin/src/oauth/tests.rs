use serde_json::{Value, json};
use shared::feed::Change;

use super::jwt;
use super::test_app::*;
use crate::edges::feed;
use crate::testing::{TestPortal, on_every_database};

async fn installation_state(portal: &TestPortal, id: &str) -> shared::feed::Installation {
    let context = portal.context().await;
    match feed::find_head(&context.connection, id).await.unwrap() {
        Some(Change::Installation(state)) => state,
        other => panic!("{other:?}"),
    }
}

on_every_database! {
    async fn a_customer_consents_and_the_app_gets_tokens_that_edges_accept(portal: TestPortal) {
        let app = TestApp::start(&portal, "test").await;
        let query: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(app.request())
            .finish();
        let page = portal.page(&format!("/oauth/authorize?{query}"), &app.owner).await.expect(200);
        let text = page.text();
        for shown in ["See orders", "To copy new orders.", "copied to the warehouse", "config.region"] {
            assert!(text.contains(shown), "{shown}");
        }
        assert!(page.header("content-security-policy").contains("form-action 'self' https://app.example"));
        let answer = app.consent(&portal, &app.owner, &app.request(), "install").await.expect(303);
        let place = answer.header("location").to_owned();
        assert_eq!(parameter(&place, "iss").as_deref(), Some("http://portal.test"));
        assert_eq!(parameter(&place, "state").as_deref(), Some("state-1"));
        let tokens = app.redeem(&portal, &parameter(&place, "code").unwrap()).await.expect(200);
        assert_eq!(tokens.header("cache-control"), "no-store");
        let tokens = tokens.json();
        let access = tokens["access_token"].as_str().unwrap();
        let parts = jwt::split(access).unwrap();
        let claims: Value = parts.claims().unwrap();
        assert_eq!(claims["client_id"], app.client_id);
        assert_eq!(claims["scope"], "orders:read");
        assert_eq!(claims["installation"], tokens["installation_id"]);
        let keys = portal.get("/oauth/jwks", "").await.expect(200).json();
        let kid = parts.header.kid.clone().unwrap();
        let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap();
        assert!(parts.is_signed_by(key));
        let state = installation_state(&portal, tokens["installation_id"].as_str().unwrap()).await;
        assert_eq!(state.scopes, ["orders:read"]);
        assert_eq!(state.revoked_at_ms, None);
        let bearer = format!("Bearer {access}");
        let own = portal
            .request("GET", "/oauth/installation", &[("authorization", &bearer)], "")
            .await
            .expect(200)
            .json();
        assert_eq!(own["configuration"], json!({ "region": "eu", "token": "warehouse-secret" }));
    }

    async fn a_secret_answer_is_stored_sealed_and_shown_to_nobody_else(portal: TestPortal) {
        let app = TestApp::start(&portal, "test").await;
        app.code(&portal, &app.owner).await;
        let context = portal.context().await;
        let stored: String = context.connection
            .query_one("SELECT configuration FROM installations", vec![])
            .await.unwrap().get(0).unwrap();
        assert!(!stored.contains("warehouse-secret"), "{stored}");
        let list = portal.get("/api/v1/installations", &app.owner).await.expect(200);
        assert!(!list.text().contains("warehouse-secret"));
        let id = list.json()["items"][0]["id"].as_str().unwrap().to_owned();
        let page = portal.page(&format!("/installations/{id}"), &app.owner).await.expect(200);
        assert!(!page.text().contains("warehouse-secret"));
        let stranger = portal.sign_up("stranger@example.com", "Other").await;
        portal.get(&format!("/api/v1/installations/{id}"), &stranger.token).await.expect(404);
        portal.call("DELETE", &format!("/api/v1/installations/{id}"), &stranger.token, None).await.expect(404);
        portal.submit(&format!("/installations/{id}/remove"), &stranger.token, &[]).await.expect(404);
    }

    async fn a_replayed_code_ends_what_came_of_it(portal: TestPortal) {
        let app = TestApp::start(&portal, "test").await;
        let code = app.code(&portal, &app.owner).await;
        let tokens = app.redeem(&portal, &code).await.expect(200).json();
        let again = app.redeem(&portal, &code).await.expect(400);
        assert_eq!(error(&again), "invalid_grant");
        let refresh = tokens["refresh_token"].as_str().unwrap();
        assert_eq!(error(&app.refresh(&portal, refresh).await.expect(400)), "invalid_grant");
        assert!(!app.is_active(&portal, tokens["access_token"].as_str().unwrap()).await);
        let state = installation_state(&portal, tokens["installation_id"].as_str().unwrap()).await;
        assert!(state.revoked_at_ms.is_some());
    }

    async fn a_reused_refresh_token_ends_its_family(portal: TestPortal) {
        let app = TestApp::start(&portal, "test").await;
        let code = app.code(&portal, &app.owner).await;
        let first = app.redeem(&portal, &code).await.expect(200).json();
        let first_refresh = first["refresh_token"].as_str().unwrap();
        portal.advance_ms(2_000);
        let second = app.refresh(&portal, first_refresh).await.expect(200).json();
        let second_refresh = second["refresh_token"].as_str().unwrap();
        assert_ne!(first_refresh, second_refresh);
        assert!(app.is_active(&portal, second_refresh).await);
        assert!(!app.is_active(&portal, first_refresh).await);
        assert_eq!(error(&app.refresh(&portal, first_refresh).await.expect(400)), "invalid_grant");
        assert_eq!(error(&app.refresh(&portal, second_refresh).await.expect(400)), "invalid_grant");
        assert!(!app.is_active(&portal, second["access_token"].as_str().unwrap()).await);
    }

    async fn removal_ends_every_token_at_once_and_a_new_installation_works(portal: TestPortal) {
        let app = TestApp::start(&portal, "test").await;
        let code = app.code(&portal, &app.owner).await;
        let tokens = app.redeem(&portal, &code).await.expect(200).json();
        let id = tokens["installation_id"].as_str().unwrap().to_owned();
        portal.call("DELETE", &format!("/api/v1/installations/{id}"), &app.owner, None).await.expect(200);
        assert!(installation_state(&portal, &id).await.revoked_at_ms.is_some());
        assert!(!app.is_active(&portal, tokens["access_token"].as_str().unwrap()).await);
        let refresh = tokens["refresh_token"].as_str().unwrap();
        assert_eq!(error(&app.refresh(&portal, refresh).await.expect(400)), "invalid_grant");
        let fields = [("grant_type", "client_credentials"), ("installation", id.as_str())];
        assert_eq!(error(&app.post(&portal, "/oauth/token", &fields).await.expect(400)), "invalid_grant");
        let code = app.code(&portal, &app.owner).await;
        let again = app.redeem(&portal, &code).await.expect(200).json();
        assert_ne!(again["installation_id"], id.as_str());
    }

    async fn a_suspended_app_gets_no_tokens_and_edges_refuse_its_client(portal: TestPortal) {
        let app = TestApp::start(&portal, "live").await;
        let code = app.code(&portal, &app.owner).await;
        let tokens = app.redeem(&portal, &code).await.expect(200).json();
        let app_id = app.path.rsplit('/').next().unwrap().parse().unwrap();
        let context = portal.context().await;
        for is_suspended in [true, false] {
            context.connection
                .transaction(async || crate::oauth::set_suspended(&context, app_id, is_suspended).await)
                .await
                .unwrap();
            let head = feed::find_head(&context.connection, &app.client_id).await.unwrap();
            let Some(Change::Credential(state)) = head else { panic!("no credential") };
            assert_eq!(state.revoked_at_ms.is_some(), is_suspended);
            let access = tokens["access_token"].as_str().unwrap();
            assert_eq!(app.is_active(&portal, access).await, !is_suspended);
            let answer = app.post(&portal, "/oauth/token", &[("grant_type", "client_credentials")]).await;
            assert_eq!(answer.status, if is_suspended { 400 } else { 200 });
        }
    }
}

#[tokio::test]
async fn bad_authorization_requests_never_reach_a_foreign_address() {
    let portal = TestPortal::on_sqlite().await;
    let app = TestApp::start(&portal, "test").await;
    let with = |name: &'static str, value: &str| {
        let mut request = app.request();
        request.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            request.push((name, value.to_owned()));
        }
        request
    };
    // Shown here, never redirected.
    for (name, value) in [
        ("client_id", "crd_unknown"),
        ("redirect_uri", "https://evil.example/callback"),
        ("redirect_uri", "https://app.example/callback/"),
        ("redirect_uri", "https://app.example/callback?more=1"),
        ("redirect_uri", "https://app.example.evil.example/callback"),
        ("redirect_uri", ""),
    ] {
        let answer = app
            .consent(&portal, &app.owner, &with(name, value), "install")
            .await;
        assert_eq!(answer.status, 400, "{name}={value}");
        assert_eq!(answer.header("location"), "");
    }
    // Told to the app, with `iss`.
    for (name, value, code) in [
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("response_mode", "fragment", "invalid_request"),
        ("request", "eyJ9.e30.", "request_not_supported"),
        ("request_uri", "urn:example:1", "request_uri_not_supported"),
        ("scope", "orders:read everything", "invalid_scope"),
        ("resource", "https://other.example", "invalid_target"),
    ] {
        let answer = app
            .consent(&portal, &app.owner, &with(name, value), "install")
            .await
            .expect(303);
        let place = answer.header("location").to_owned();
        assert_eq!(
            parameter(&place, "error").as_deref(),
            Some(code),
            "{name}={value}"
        );
        assert_eq!(
            parameter(&place, "iss").as_deref(),
            Some("http://portal.test")
        );
        assert_eq!(parameter(&place, "code"), None);
    }
    // A parameter that comes twice is nobody's.
    let mut twice = app.request();
    twice.push(("state", "state-2".to_owned()));
    let answer = app.consent(&portal, &app.owner, &twice, "install").await;
    assert_eq!((answer.status, answer.header("location")), (400, ""));
    let declined = app
        .consent(&portal, &app.owner, &app.request(), "decline")
        .await
        .expect(303);
    assert_eq!(
        parameter(declined.header("location"), "error").as_deref(),
        Some("access_denied")
    );
    // A private app is not for strangers.
    let stranger = portal.sign_up("stranger@example.com", "Other").await;
    let answer = app
        .consent(&portal, &stranger.token, &app.request(), "install")
        .await
        .expect(303);
    assert_eq!(
        parameter(answer.header("location"), "error").as_deref(),
        Some("access_denied")
    );
}

#[tokio::test]
async fn a_private_app_is_installed_by_the_customers_it_names_without_review() {
    let portal = TestPortal::on_sqlite().await;
    let app = TestApp::start(&portal, "live").await;
    let customer = portal.sign_up("customer@example.com", "Shop").await;
    let body = json!({ "customers": ["Customer@example.com"] });
    portal
        .call(
            "PATCH",
            &format!("{}/listing", app.path),
            &app.owner,
            Some(body),
        )
        .await
        .expect(200);
    let code = app.code(&portal, &customer.token).await;
    let tokens = app.redeem(&portal, &code).await.expect(200).json();
    let list = portal
        .get("/api/v1/installations", &customer.token)
        .await
        .expect(200)
        .json();
    assert_eq!(list["items"][0]["id"], tokens["installation_id"]);
    let funnel = portal
        .get(&format!("{}/listing/funnel", app.path), &app.owner)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&funnel["installed"], &funnel["active"]),
        (&json!(1), &json!(1))
    );
    portal
        .page("/installations", &customer.token)
        .await
        .expect(200);
    let app_page = app.path.replace("/api/v1", "");
    portal
        .page(&format!("{app_page}/installs"), &app.owner)
        .await
        .expect(200);
    portal
        .page(&format!("{app_page}/oauth-clients"), &app.owner)
        .await
        .expect(200);
    let records = portal
        .get(
            &format!(
                "/api/v1/organisations/{}/audit-records",
                organisation(&portal, &app).await
            ),
            &app.owner,
        )
        .await
        .expect(200);
    assert!(records.text().contains("app.installed"));
    assert!(!records.text().contains("warehouse-secret"));
}

#[tokio::test]
async fn an_installation_that_begins_at_the_apps_page_leads_there_without_a_redirect() {
    let portal = TestPortal::on_sqlite().await;
    let app = TestApp::start(&portal, "live").await;
    let listing = format!("{}/listing", app.path);
    let shown = portal.get(&listing, &app.owner).await.expect(200).json();
    let path = format!("/directory/{}/install", shown["slug"].as_str().unwrap());
    for (url, status) in [
        ("https://app.example/install?from=directory", 200),
        ("http://app.example/install", 409),
        ("javascript:alert(1)", 409),
    ] {
        let mut draft = draft();
        draft["install_url"] = json!(url);
        let body = Some(json!({ "draft": draft }));
        portal
            .call("PATCH", &listing, &app.owner, body)
            .await
            .expect(200);
        let page = portal.page(&path, &app.owner).await.expect(status);
        let leads = format!("content=\"0; url={url}\"");
        assert_eq!(page.text().contains(&leads), status == 200, "{url}");
    }
}
