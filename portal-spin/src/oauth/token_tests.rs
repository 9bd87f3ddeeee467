//! The token endpoint, clients that sign, keys that rotate, revocation and discovery.

use serde_json::{Value, json};
use shared::feed::Change;

use super::assertion::ASSERTION_TYPE;
use super::jwt;
use super::test_app::*;
use crate::edges::feed;
use crate::testing::TestPortal;

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
