//! Who gets through, where to, and what everybody else is told.

use crate::portal::now_ms;
use crate::programme::{AGREEMENT, APP, ORGANISATION, Programme, organisation, subscription};
use crate::stack::{Envoy, Options};
use shared::credential::Environment;
use shared::feed::{Agreement, App, Change, RequiredVersion};
use shared::ids::AppId;

#[test]
fn test_keys_reach_the_sandbox_and_live_keys_the_upstream() {
    let programme = Programme::start();
    let envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    let test = envoy.call(&programme.test_key, "/hello");
    assert_eq!(
        (test.status(), &test.json()["upstream"]),
        (200, &"sandbox".into())
    );
    let live = envoy.call(&programme.live_key, "/v1/orders/7?expand=1");
    assert_eq!(
        (live.status(), &live.json()["upstream"]),
        (200, &"upstream".into())
    );
    programme.portal.wait_until_counted("2xx", 2);
}

#[test]
fn every_source_is_read_and_nothing_of_it_goes_further() {
    let programme = Programme::start();
    let envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    let key = &programme.live_key;
    let basic = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{key}:"))
    };
    let query = format!("/hello?a=1&api_key={key}");
    let sources: [(&str, Vec<(&str, String)>); 4] = [
        ("/hello", vec![("authorization", format!("Bearer {key}"))]),
        ("/hello", vec![("authorization", format!("Basic {basic}"))]),
        ("/hello", vec![("x-api-key", key.clone())]),
        (&query, vec![]),
    ];
    for (target, mut headers) in sources {
        headers.push(("x-portico-organisation", "org_forged".to_owned()));
        headers.push(("x-portico-made-up", "forged".to_owned()));
        headers.push(("x-portico-environment", "test".to_owned()));
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = envoy.get(target, &headers);
        assert_eq!(
            answer.status(),
            200,
            "{target} {}",
            String::from_utf8_lossy(&answer.body)
        );
        let seen = answer.json();
        assert_eq!(seen["upstream"], "upstream");
        assert!(
            !answer
                .body
                .windows(key.len())
                .any(|text| text == key.as_bytes())
        );
        assert!(
            seen["headers"]["authorization"].is_null() && seen["headers"]["x-api-key"].is_null()
        );
        let identity = |name: &str| seen["headers"][format!("x-portico-{name}")].clone();
        assert_eq!(identity("organisation"), ORGANISATION.to_string());
        assert_eq!(identity("app"), APP.to_string());
        assert_eq!(identity("environment"), "live");
        assert_eq!(identity("scopes"), "orders:read orders:write");
        assert!(identity("credential").as_str().unwrap().starts_with("crd_"));
        assert!(identity("plan").as_str().unwrap().starts_with("pln_"));
        assert!(identity("made-up").is_null());
    }
    let both = envoy.get(
        "/hello",
        &[
            ("x-api-key", key),
            ("authorization", &format!("Bearer {}", programme.test_key)),
        ],
    );
    assert_eq!(
        (both.status(), &both.json()["code"]),
        (400, &"ambiguous_credential".into())
    );
    let log = [
        envoy.log(),
        envoy.access_log(),
        envoy.admin("/stats"),
        envoy.admin("/config_dump"),
    ]
    .concat();
    assert!(
        !log.contains(key.as_str()),
        "no raw key in logs, stats or the config dump"
    );
    assert!(!log.contains(crate::portal::EDGE_SECRET) && !log.contains(crate::portal::KEY_PEPPER));
}

#[test]
fn every_refusal_has_its_code_and_what_clients_need() {
    let mut programme = Programme::start();
    let past = now_ms() - 1_000;
    let revoked = programme.issue(Environment::Live, |c| c.revoked_at_ms = Some(past));
    let expired = programme.issue(Environment::Live, |c| c.expires_at_ms = Some(past));
    let scoped = programme.issue(Environment::Live, |c| {
        c.scopes = Some(vec!["orders:write".into()])
    });
    let elsewhere = programme.issue(Environment::Live, |c| {
        c.addresses = vec!["192.0.2.0/24".into()]
    });
    let here = programme.issue(Environment::Live, |c| {
        c.addresses = vec!["::1".into(), "127.0.0.0/8".into()]
    });
    let other_app = AppId::from_bytes([0x22; 16]);
    programme.portal.publish(Change::App(App {
        app: other_app,
        organisation: ORGANISATION,
        suspended: false,
    }));
    let unsubscribed = programme.issue(Environment::Live, |c| c.app = other_app);
    let unknown = programme.new_credential(Environment::Live).0;
    let mut mistyped = programme.live_key.clone();
    let last = mistyped.pop().unwrap();
    mistyped.push(if last == 'a' { 'b' } else { 'a' });
    let envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    let cases = [
        (&mistyped, "/hello", 401, "malformed_credential"),
        (&unknown, "/hello", 401, "unknown_credential"),
        (&revoked, "/hello", 401, "revoked_credential"),
        (&expired, "/hello", 401, "expired_credential"),
        (&unsubscribed, "/hello", 403, "subscription_required"),
        (&scoped, "/v1/orders", 403, "insufficient_scope"),
        (&elsewhere, "/hello", 403, "address_not_allowed"),
        (&programme.live_key, "/nowhere", 404, "unknown_operation"),
    ];
    for (key, target, status, code) in cases {
        let answer = envoy.call(key, target);
        let body = answer.json();
        assert_eq!(
            (answer.status(), &body["code"]),
            (status, &code.into()),
            "{body}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(body["status"], status);
        assert_eq!(body["help"], format!("https://portal.example/help/{code}"));
        assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"));
        assert!(body["request_id"].as_str().unwrap().len() > 30);
        let challenged = answer
            .header("www-authenticate")
            .is_some_and(|value| value.starts_with("Bearer realm="));
        assert_eq!(challenged, status == 401 || code == "insufficient_scope");
        programme.portal.wait_until_counted(code, 1);
        let logged = format!("code={code}");
        assert!(
            wait_until(|| envoy.access_log().contains(&logged)),
            "{}",
            envoy.access_log()
        );
    }
    assert_eq!(
        envoy.get("/hello", &[]).json()["code"],
        "missing_credential"
    );
    assert_eq!(envoy.call(&here, "/hello").status(), 200);
    let post = envoy
        .client()
        .send("POST", "/v1/orders", &[("x-api-key", &scoped)], b"{}")
        .unwrap();
    assert_eq!(post.status(), 200);
}

#[test]
fn an_address_list_sees_the_address_that_trusted_proxies_vouch_for() {
    let mut programme = Programme::start();
    let key = programme.issue(Environment::Live, |c| {
        c.addresses = vec!["2001:db8::/32".into()]
    });
    let options = Options {
        trusted_hops: 1,
        ..Options::default()
    };
    let envoy = Envoy::start(&programme.portal, &options);
    programme.portal.wait_until_applied();
    let from = |address: &str| {
        envoy
            .get(
                "/hello",
                &[("x-api-key", &key), ("x-forwarded-for", address)],
            )
            .status()
    };
    assert_eq!(from("2001:db8::7"), 200);
    assert_eq!(from("2001:db9::7"), 403);
    assert_eq!(
        from("2001:db8::7, 198.51.100.1"),
        403,
        "only the last hop is trusted"
    );
}

#[test]
fn the_law_follows_the_feed_within_a_second() {
    let mut programme = Programme::start();
    let envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    let (live, test) = (programme.live_key.clone(), programme.test_key.clone());
    let code = |key: &str| {
        let answer = envoy.call(key, "/hello");
        if answer.status() == 200 {
            String::new()
        } else {
            answer.json()["code"].as_str().unwrap().to_owned()
        }
    };
    let becomes = |key: &str, wanted: &str| {
        let start = std::time::Instant::now();
        assert!(wait_until(|| code(key) == wanted), "never {wanted}");
        assert!(
            start.elapsed().as_millis() < 1_000,
            "{wanted} took {:?}",
            start.elapsed()
        );
    };
    let mut suspended = organisation(1);
    suspended.suspended = true;
    programme.portal.publish(Change::Organisation(suspended));
    becomes(&live, "organisation_suspended");
    assert_eq!(code(&test), "", "the sandbox goes on working");
    programme
        .portal
        .publish(Change::Organisation(organisation(1)));
    becomes(&live, "");
    let required = |version, from_ms| RequiredVersion { version, from_ms };
    programme.portal.publish(Change::Agreement(Agreement {
        agreement: AGREEMENT,
        products: None,
        required: vec![required(1, 1), required(2, now_ms())],
    }));
    becomes(&live, "agreement_required");
    assert_eq!(code(&test), "");
    programme
        .portal
        .publish(Change::Organisation(organisation(2)));
    becomes(&live, "");
    let mut ended = subscription();
    ended.ends_at_ms = Some(now_ms());
    programme.portal.publish(Change::Subscription(ended));
    becomes(&live, "subscription_required");
    programme
        .portal
        .publish(Change::Subscription(subscription()));
    becomes(&live, "");
    let (key, mut credential) = programme.new_credential(Environment::Live);
    programme
        .portal
        .publish(Change::Credential(credential.clone()));
    becomes(&key, "");
    credential.revoked_at_ms = Some(now_ms());
    programme.portal.publish(Change::Credential(credential));
    becomes(&key, "revoked_credential");
    programme.portal.wait_until_applied();
}

#[test]
fn public_paths_pass_untouched_and_other_environments_do_not() {
    let programme = Programme::start();
    let options = Options {
        configuration: r#""public_paths": ["/health", "/docs/*"], "environments": ["live"]"#.into(),
        ..Options::default()
    };
    let envoy = Envoy::start(&programme.portal, &options);
    programme.portal.wait_until_applied();
    let headers = [
        ("authorization", "Bearer anything"),
        ("x-portico-app", "forged"),
    ];
    let public = envoy.get("/docs/a", &headers);
    assert_eq!(public.status(), 200);
    assert_eq!(public.json()["headers"]["authorization"], "Bearer anything");
    assert!(public.json()["headers"]["x-portico-app"].is_null());
    let wrong = envoy.call(&programme.test_key, "/hello");
    assert_eq!(
        (wrong.status(), &wrong.json()["code"]),
        (403, &"wrong_environment".into())
    );
    programme
        .portal
        .wait_for("the public call, apart", |state| {
            state.cells.values().any(|cell| {
                cell.credential.is_none() && cell.meter.is_none() && cell.outcome == "2xx"
            })
        });
}

#[test]
fn before_the_first_feed_every_call_is_told_to_come_back() {
    let programme = Programme::start();
    programme.portal.state().is_down = true;
    let envoy = Envoy::start(&programme.portal, &Options::default());
    let early = envoy.call(&programme.live_key, "/hello");
    assert_eq!(
        (early.status(), &early.json()["code"]),
        (503, &"portal_stale".into())
    );
    assert!(early.header("retry-after").is_some());
    programme.portal.state().is_down = false;
    assert!(wait_until(|| envoy
        .call(&programme.live_key, "/hello")
        .status()
        == 200));
}

/// Whether `done` becomes true within ten seconds.
pub fn wait_until(mut done: impl FnMut() -> bool) -> bool {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while std::time::Instant::now() < deadline {
        if done() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    false
}
