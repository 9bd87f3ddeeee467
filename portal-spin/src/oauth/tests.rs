use serde_json::{Value, json};
use shared::feed::Change;

use super::assertion::ASSERTION_TYPE;
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

async fn organisation(portal: &TestPortal, app: &TestApp) -> String {
    let app = portal.get(&app.path, &app.owner).await.expect(200).json();
    app["organisation_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_token_endpoint_answers_by_the_rfcs() {
    let portal = TestPortal::on_sqlite().await;
    let app = TestApp::start(&portal, "test").await;
    let other = {
        let body = json!({ "environment": "test" });
        let issued = portal
            .post(&format!("{}/oauth-clients", app.path), &app.owner, body)
            .await
            .expect(201)
            .json();
        TestApp {
            path: app.path.clone(),
            owner: app.owner.clone(),
            client_id: issued["client"]["client_id"].as_str().unwrap().to_owned(),
            secret: issued["client_secret"].as_str().unwrap().to_owned(),
        }
    };
    // Mix-up: another client cannot redeem the code, and does not spoil it.
    let code = app.code(&portal, &app.owner).await;
    assert_eq!(
        error(&other.redeem(&portal, &code).await.expect(400)),
        "invalid_grant"
    );
    app.redeem(&portal, &code).await.expect(200);
    for (redirect, verifier) in [
        ("https://app.example/other", VERIFIER),
        (
            REDIRECT,
            "another-verifier-of-at-least-forty-three-characters-01",
        ),
    ] {
        let code = app.code(&portal, &app.owner).await;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        let answer = app.post(&portal, "/oauth/token", &fields).await.expect(400);
        assert_eq!(error(&answer), "invalid_grant");
    }
    // PKCE downgrade: no verifier.
    let code = app.code(&portal, &app.owner).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
    ];
    assert_eq!(
        error(&app.post(&portal, "/oauth/token", &fields).await.expect(400)),
        "invalid_request"
    );
    // Too late.
    portal.advance_ms(61_000);
    assert_eq!(
        error(&app.redeem(&portal, &code).await.expect(400)),
        "invalid_grant"
    );
    for (fields, code) in [
        (vec![], "invalid_request"),
        (vec![("grant_type", "password")], "unsupported_grant_type"),
        (
            vec![
                ("grant_type", "client_credentials"),
                ("scope", "everything"),
            ],
            "invalid_scope",
        ),
        (
            vec![
                ("grant_type", "client_credentials"),
                ("resource", "https://other.example"),
            ],
            "invalid_target",
        ),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (
            vec![("grant_type", "refresh_token"), ("refresh_token", "prt_x")],
            "invalid_grant",
        ),
        (
            vec![
                ("grant_type", "client_credentials"),
                ("grant_type", "password"),
            ],
            "invalid_request",
        ),
        (
            vec![
                ("grant_type", "client_credentials"),
                ("client_secret", "twice"),
            ],
            "invalid_request",
        ),
    ] {
        let answer = app.post(&portal, "/oauth/token", &fields).await.expect(400);
        assert_eq!(error(&answer), code, "{fields:?}");
    }
    let wrong = format!("Basic {}", base64(&format!("{}:wrong", app.client_id)));
    let fields = [("grant_type", "client_credentials")];
    let answer = app
        .post_with(
            &portal,
            "/oauth/token",
            &fields,
            &[("authorization", &wrong)],
        )
        .await
        .expect(401);
    assert_eq!(error(&answer), "invalid_client");
    assert!(answer.header("www-authenticate").starts_with("Basic"));
    assert_eq!(answer.header("cache-control"), "no-store");
    let wrong = [
        ("grant_type", "client_credentials"),
        ("client_id", app.client_id.as_str()),
        ("client_secret", "wrong"),
    ];
    let answer = app
        .post_with(&portal, "/oauth/token", &wrong, &[])
        .await
        .expect(401);
    assert_eq!(error(&answer), "invalid_client");
    assert!(!answer.header("www-authenticate").is_empty());
    // The secret in the form works too; a replaced one no longer does.
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", app.client_id.as_str()),
        ("client_secret", app.secret.as_str()),
        ("scope", "orders:read"),
    ];
    let tokens = app
        .post_with(&portal, "/oauth/token", &form, &[])
        .await
        .expect(200)
        .json();
    assert_eq!(tokens["scope"], "orders:read");
    assert!(tokens.get("refresh_token").is_none());
    // Another client's token is inactive to it.
    assert!(
        !other
            .is_active(&portal, tokens["access_token"].as_str().unwrap())
            .await
    );
    let path = format!("{}/oauth-clients/{}/secrets", app.path, app.client_id);
    portal.post(&path, &app.owner, json!({})).await.expect(201);
    app.post_with(&portal, "/oauth/token", &form, &[])
        .await
        .expect(401);
}

#[tokio::test]
async fn a_client_may_sign_instead_of_sharing_a_secret() {
    let portal = TestPortal::on_sqlite().await;
    let app = TestApp::start(&portal, "test").await;
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let point = key.verifying_key().to_encoded_point(false);
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "kid": "own",
        "x": crate::encoding::base64url(&point.x().unwrap()[..]),
        "y": crate::encoding::base64url(&point.y().unwrap()[..]),
    });
    let clients = format!("{}/oauth-clients", app.path);
    let body = json!({ "environment": "test", "authentication": "private_key_jwt" });
    portal.post(&clients, &app.owner, body).await.expect(422);
    let body = json!({ "environment": "test", "authentication": "private_key_jwt", "keys": { "keys": [jwk] } });
    let issued = portal
        .post(&clients, &app.owner, body)
        .await
        .expect(201)
        .json();
    let id = issued["client"]["client_id"].as_str().unwrap().to_owned();
    let now = portal.now_ms() / 1_000;
    let good = json!({ "iss": id, "sub": id, "aud": "http://portal.test/oauth/token", "exp": now + 60, "jti": "1" });
    let ask = async |claims: &Value, key: &p256::ecdsa::SigningKey| {
        let assertion = jwt::sign(key, "own", "JWT", claims);
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion.as_str()),
        ];
        app.post_with(&portal, "/oauth/token", &fields, &[]).await
    };
    ask(&good, &key).await.expect(200);
    assert_eq!(error(&ask(&good, &key).await.expect(401)), "invalid_client");
    let stranger = p256::ecdsa::SigningKey::from_slice(&[8; 32]).unwrap();
    for (name, value) in [
        ("aud", json!("https://elsewhere.example")),
        ("exp", json!(now - 60)),
        ("exp", json!(now + 100_000)),
        ("iss", json!("someone")),
        ("nbf", json!(now + 600)),
    ] {
        let mut claims = good.clone();
        claims["jti"] = json!(format!("{name}{value}"));
        claims[name] = value;
        assert_eq!(
            error(&ask(&claims, &key).await.expect(401)),
            "invalid_client",
            "{claims}"
        );
    }
    let mut claims = good.clone();
    claims["jti"] = json!("2");
    ask(&claims, &stranger).await.expect(401);
    ask(&claims, &key).await.expect(200);
}

#[tokio::test]
async fn keys_rotate_without_a_token_being_refused() {
    let portal = TestPortal::on_sqlite().await;
    let app = TestApp::start(&portal, "test").await;
    let administrator = portal.sign_up("root@example.com", "Operator").await;
    portal.make_operator(&administrator, "administrator").await;
    let token = async || {
        let fields = [("grant_type", "client_credentials")];
        let tokens = app
            .post(&portal, "/oauth/token", &fields)
            .await
            .expect(200)
            .json();
        tokens["access_token"].as_str().unwrap().to_owned()
    };
    let kids = async || {
        let keys = portal.get("/oauth/jwks", "").await.expect(200).json();
        let kids = keys["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["kid"].to_string());
        kids.collect::<Vec<_>>()
    };
    let before = token().await;
    let known = kids().await;
    portal
        .post(
            "/api/v1/operator/oauth-keys/rotations",
            &administrator.token,
            json!({}),
        )
        .await
        .expect(201);
    let after = token().await;
    let kid = jwt::split(&after).unwrap().header.kid.unwrap();
    assert!(
        known.contains(&format!("\"{kid}\"")),
        "the next key was known before it was used"
    );
    assert!(app.is_active(&portal, &before).await && app.is_active(&portal, &after).await);
    portal.advance_ms(25 * 60 * 60 * 1000);
    assert_eq!(kids().await.len(), 2, "the former key is gone after a day");
    let context = portal.context().await;
    super::ensure_keys_published(&context).await.unwrap();
    let Some(Change::Jwks(set)) = feed::find_head(&context.connection, "jwks").await.unwrap()
    else {
        panic!("no keys in the feed")
    };
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn revocation_ends_the_family_and_discovery_says_where_everything_is() {
    let portal = TestPortal::on_sqlite().await;
    let app = TestApp::start(&portal, "test").await;
    let code = app.code(&portal, &app.owner).await;
    let tokens = app.redeem(&portal, &code).await.expect(200).json();
    let refresh = tokens["refresh_token"].as_str().unwrap();
    app.post(&portal, "/oauth/revoke", &[("token", refresh)])
        .await
        .expect(200);
    assert!(!app.is_active(&portal, refresh).await);
    assert!(
        !app.is_active(&portal, tokens["access_token"].as_str().unwrap())
            .await
    );
    app.post(&portal, "/oauth/revoke", &[("token", "unknown")])
        .await
        .expect(200);
    let metadata = portal
        .get("/.well-known/oauth-authorization-server", "")
        .await
        .expect(200)
        .json();
    assert_eq!(metadata["issuer"], "http://portal.test");
    assert_eq!(
        metadata["code_challenge_methods_supported"],
        json!(["S256"])
    );
    assert_eq!(
        metadata["authorization_response_iss_parameter_supported"],
        true
    );
}
