use super::*;
use crate::commands::mock::programme::Programme;
use sandbox_mock::serve::Gate as _;
use shared::credential::{Environment, PlainKey};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const DOCUMENT: &[u8] = b"openapi: 3.0.3
info: {title: t, version: '1'}
components: {securitySchemes: {key: {type: oauth2, flows: {}}}}
paths:
  /orders:
    get: {operationId: listOrders, security: [{key: ['orders:read']}], responses: {'200': {description: ok}}}
    post: {operationId: createOrder, security: [{key: ['orders:write']}], responses: {'201': {description: ok}}}
";

fn key(seed: u8, environment: Environment) -> String {
    let mut next = seed;
    let key = PlainKey::generate("pk", environment, |bytes| {
        for byte in bytes {
            next = next.wrapping_mul(167).wrapping_add(13);
            *byte = next;
        }
    });
    key.unwrap().expose().to_owned()
}

fn start(file: &str) -> Gate {
    let outline = sandbox_mock::document::outline(DOCUMENT).unwrap();
    let programme = Programme::parse(file.as_bytes()).unwrap();
    let changes = programme
        .changes(&outline, SECRET, wall_clock_ms())
        .unwrap();
    Gate::start(changes, SECRET.to_owned()).unwrap()
}

async fn ask(gate: &Gate, method: &str, path: &str, headers: &[(&str, &str)]) -> Judgement {
    let asked = Asked {
        method: method.to_owned(),
        target: path.to_owned(),
        open: path == "/health",
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    };
    let judgement = gate.judge(asked, ([127, 0, 0, 1], 5000).into()).await;
    if let Judgement::Pass(pass) = &judgement {
        let answer = Response {
            status: 200,
            headers: Vec::new(),
            body: b"{}".to_vec(),
        };
        gate.finish(pass.stream, &answer);
    }
    judgement
}

async fn code(gate: &Gate, method: &str, path: &str, key: &str) -> String {
    let bearer = format!("Bearer {key}");
    match ask(gate, method, path, &[("authorization", &bearer)]).await {
        Judgement::Pass(_) => "ok".to_owned(),
        Judgement::Refuse(refusal) => {
            let body: serde_json::Value = serde_json::from_slice(&refusal.body).unwrap();
            assert_eq!(body["status"], refusal.status);
            body["code"].as_str().unwrap().to_owned()
        }
    }
}

#[tokio::test]
async fn every_refusal_has_the_code_of_the_gateway() {
    let keys: Vec<String> = (1..=9).map(|seed| key(seed, Environment::Test)).collect();
    let live = key(20, Environment::Live);
    let file = format!(
        "plans: {{free: {{}}}}
credentials:
  - {{key: {}, app: good, plan: free}}
  - {{key: {}, app: revoked, plan: free, revoked: true}}
  - {{key: {}, app: expired, plan: free, expires_at: '2020-01-01T00:00:00Z'}}
  - {{key: {}, app: reader, plan: free, scopes: ['orders:read']}}
  - {{key: {}, app: elsewhere, plan: free, addresses: ['10.0.0.0/8']}}
  - {{key: {}, app: bare}}
  - {{key: {}, app: bad, plan: free, suspended: true}}
  - {{key: {live}, app: unsigned, plan: free, accepted: false}}
",
        keys[0], keys[1], keys[2], keys[3], keys[4], keys[5], keys[6]
    );
    let gate = start(&file);
    let mut typo = keys[0].clone();
    typo.pop();
    typo.push('!');
    for (method, path, key, expected) in [
        ("GET", "/orders", keys[0].as_str(), "ok"),
        ("GET", "/orders", typo.as_str(), "malformed_credential"),
        ("GET", "/orders", keys[8].as_str(), "unknown_credential"),
        ("GET", "/orders", keys[1].as_str(), "revoked_credential"),
        ("GET", "/orders", keys[2].as_str(), "expired_credential"),
        ("GET", "/orders", keys[3].as_str(), "ok"),
        ("POST", "/orders", keys[3].as_str(), "insufficient_scope"),
        ("GET", "/orders", keys[4].as_str(), "address_not_allowed"),
        ("GET", "/orders", keys[5].as_str(), "subscription_required"),
        ("GET", "/elsewhere", keys[0].as_str(), "unknown_operation"),
        ("GET", "/orders", keys[6].as_str(), "organisation_suspended"),
        ("GET", "/orders", live.as_str(), "agreement_required"),
        ("GET", "/.portico/requests", keys[0].as_str(), "ok"),
    ] {
        assert_eq!(
            code(&gate, method, path, key).await,
            expected,
            "{method} {path} {key}"
        );
    }
    let Judgement::Refuse(refusal) = ask(&gate, "GET", "/orders", &[]).await else {
        panic!("a request without a credential passes");
    };
    assert_eq!(refusal.status, 401);
    assert!(refusal.header("www-authenticate").is_some());
    let two = [
        ("x-api-key", keys[0].as_str()),
        ("authorization", "Bearer other"),
    ];
    let Judgement::Refuse(refusal) = ask(&gate, "GET", "/orders", &two).await else {
        panic!("two credentials pass");
    };
    assert_eq!(refusal.status, 400);
}

#[tokio::test]
async fn limits_and_quota_are_spent_exactly_and_told_in_the_gateways_headers() {
    let (limited, metered) = (key(1, Environment::Test), key(2, Environment::Test));
    let file = format!(
        "plans:
  limited: {{rate_limits: [{{name: burst, limit: 3, window_secs: 3600}}]}}
  metered: {{quota: {{limit: 5, period_secs: 3600}}}}
credentials:
  - {{key: {limited}, app: a, plan: limited}}
  - {{key: {metered}, app: b, plan: metered}}
"
    );
    let gate = start(&file);
    for _ in 0..3 {
        assert_eq!(code(&gate, "GET", "/orders", &limited).await, "ok");
    }
    let Judgement::Refuse(refusal) = ask(&gate, "GET", "/orders", &[("x-api-key", &limited)]).await
    else {
        panic!("the fourth call passes");
    };
    assert_eq!(refusal.status, 429);
    assert_eq!(
        refusal.header("ratelimit-policy"),
        Some("\"burst\";q=3;w=3600")
    );
    assert!(
        refusal
            .header("ratelimit")
            .unwrap()
            .starts_with("\"burst\";r=0;t=")
    );
    assert!(refusal.header("retry-after").is_some());
    // What spends nothing passes all the same.
    assert_eq!(code(&gate, "POST", "/.portico/reset", &limited).await, "ok");
    let mut passed = Vec::new();
    for _ in 0..8 {
        passed.push(code(&gate, "GET", "/orders", &metered).await);
    }
    assert_eq!(passed[..5], ["ok"; 5]);
    assert_eq!(passed[5..], ["quota_exceeded"; 3]);
    // The next billing period of one app comes with its own clock.
    let app = shared::ids::AppId::from_bytes(super::super::programme::bytes_of("app", "b"));
    gate.move_clock(&app.to_string(), 3_600_000);
    assert_eq!(code(&gate, "GET", "/orders", &metered).await, "ok");
    assert_eq!(
        code(&gate, "GET", "/orders", &limited).await,
        "rate_limited"
    );
}

#[tokio::test]
async fn identity_is_set_by_the_gate_alone_and_the_credential_is_removed() {
    let own = key(1, Environment::Test);
    let gate = start(&format!(
        "plans: {{free: {{}}}}\ncredentials: [{{key: {own}, plan: free}}]"
    ));
    let headers = [("x-api-key", own.as_str()), ("x-portico-app", "app_forged")];
    let Judgement::Pass(pass) = ask(&gate, "GET", "/orders", &headers).await else {
        panic!("a good key is refused");
    };
    assert!(pass.remove.contains(&"x-api-key".to_owned()));
    assert!(pass.remove.contains(&"x-portico-app".to_owned()));
    let app = pass.add.iter().find(|(name, _)| name == "x-portico-app");
    assert!(app.is_some_and(|(_, value)| value.starts_with("app_") && value != "app_forged"));
    assert!(pass.add.iter().any(|(name, _)| name == "x-request-id"));
}

#[tokio::test]
async fn an_operation_that_needs_no_credential_is_open_without_one_only() {
    let own = key(1, Environment::Test);
    let gate = start(&format!(
        "plans: {{free: {{}}}}\ncredentials: [{{key: {own}, plan: free}}]"
    ));
    let forged = [("x-portico-app", "app_forged")];
    let Judgement::Pass(pass) = ask(&gate, "GET", "/health", &forged).await else {
        panic!("an open operation is refused");
    };
    assert_eq!(pass.remove, ["x-portico-app"]);
    assert!(pass.add.iter().all(|(name, _)| name == "x-request-id"));
    // Who shows a credential is judged by it.
    assert_eq!(
        code(&gate, "GET", "/health", &key(2, Environment::Test)).await,
        "unknown_credential"
    );
}

#[tokio::test]
async fn limits_are_as_before_when_the_clock_is_set_right_again() {
    let limited = key(1, Environment::Test);
    let gate = start(&format!(
        "plans: {{limited: {{rate_limits: [{{name: burst, limit: 2, window_secs: 60}}]}}}}
credentials: [{{key: {limited}, app: a, plan: limited}}]"
    ));
    let app = shared::ids::AppId::from_bytes(super::super::programme::bytes_of("app", "a"));
    let wait = async || {
        let headers = [("x-api-key", limited.as_str())];
        match ask(&gate, "GET", "/orders", &headers).await {
            Judgement::Pass(_) => None,
            Judgement::Refuse(refusal) => {
                assert_eq!(refusal.status, 429);
                refusal.header("retry-after").unwrap().parse::<u64>().ok()
            }
        }
    };
    for ahead_ms in [0, 86_400_000, 0] {
        gate.move_clock(&app.to_string(), ahead_ms);
        assert_eq!((wait().await, wait().await), (None, None), "{ahead_ms}");
        let secs = wait().await;
        assert!(secs.is_some_and(|secs| secs <= 60), "{ahead_ms}: {secs:?}");
    }
}

#[tokio::test]
async fn a_changed_programme_takes_the_place_of_the_old_one() {
    let (stays, goes) = (key(1, Environment::Test), key(2, Environment::Test));
    let outline = sandbox_mock::document::outline(DOCUMENT).unwrap();
    let programme = |file: String| Programme::parse(file.as_bytes()).unwrap();
    let before = programme(format!(
        "plans: {{free: {{}}}}\ncredentials: [{{key: {stays}, app: a, plan: free}}, {{key: {goes}, app: b, plan: free}}]"
    ));
    let after = programme(format!(
        "plans: {{free: {{}}}}\ncredentials: [{{key: {stays}, app: a, plan: free, scopes: ['orders:read']}}]"
    ));
    let from_ms = wall_clock_ms();
    let changes = before.changes(&outline, SECRET, from_ms).unwrap();
    let gate = Gate::start(changes, SECRET.to_owned()).unwrap();
    assert_eq!(code(&gate, "POST", "/orders", &stays).await, "ok");
    assert_eq!(code(&gate, "GET", "/orders", &goes).await, "ok");
    let mut changes = after.changes(&outline, SECRET, from_ms).unwrap();
    changes.extend(after.removals(&before, SECRET));
    gate.publish(changes);
    assert_eq!(
        code(&gate, "POST", "/orders", &stays).await,
        "insufficient_scope"
    );
    assert_eq!(
        code(&gate, "GET", "/orders", &goes).await,
        "unknown_credential"
    );
}
