//! OAuth access tokens: every algorithm, every claim, and what ends them.

use crate::access::wait_until;
use crate::portal::{KEY_PEPPER, now_ms};
use crate::programme::{APP, Programme};
use crate::stack::{Envoy, Options};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use shared::credential::{Environment, Pepper};
use shared::feed::{Change, Installation};
use shared::ids::InstallationId;

const INSTALLATION: InstallationId = InstallationId::from_bytes([8; 16]);

/// Keys made for these tests alone.
fn keys() -> Value {
    serde_json::from_str(include_str!("../token-keys.json")).unwrap()
}

fn sign(algorithm: Algorithm, kid: &str, claims: &Value) -> String {
    let name = format!("{algorithm:?}");
    let der = STANDARD
        .decode(keys()[&name]["der"].as_str().unwrap())
        .unwrap();
    let key = match algorithm {
        Algorithm::EdDSA => EncodingKey::from_ed_der(&der),
        Algorithm::ES256 => EncodingKey::from_ec_der(&der),
        _ => EncodingKey::from_rsa_der(&der),
    };
    let header = Header {
        kid: Some(kid.to_owned()),
        ..Header::new(algorithm)
    };
    encode(&header, claims, &key).unwrap()
}

/// Publishes the keys and an OAuth client; the client's id.
fn open_programme() -> (Programme, String) {
    let mut programme = Programme::start();
    let set = keys()
        .as_object()
        .unwrap()
        .values()
        .map(|key| key["jwk"].clone())
        .collect::<Vec<_>>();
    programme
        .portal
        .publish(Change::Jwks(json!({ "keys": set })));
    programme.portal.publish(Change::Installation(Installation {
        installation: INSTALLATION,
        app: APP,
        scopes: vec!["orders:read".into()],
        revoked_at_ms: None,
    }));
    let (_, mut client) = programme.new_credential(Environment::Live);
    let id = client.credential.to_string();
    client.hash = Pepper::new(KEY_PEPPER.as_bytes()).digest(&id);
    programme.portal.publish(Change::Credential(client));
    (programme, id)
}

fn claims(client: &str) -> Value {
    let now = now_ms() / 1_000;
    json!({
        "iss": "https://portal.example", "aud": ["https://api.example"], "client_id": client,
        "iat": now, "nbf": now, "exp": now + 600, "scope": "orders:read orders:write",
    })
}

fn with(mut claims: Value, name: &str, value: impl Into<Value>) -> Value {
    claims[name] = value.into();
    claims
}

#[test]
fn tokens_of_every_algorithm_pass_and_nothing_else_does() {
    let (programme, client) = open_programme();
    let envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    let good = claims(&client);
    for (algorithm, kid) in [
        (Algorithm::EdDSA, "ed"),
        (Algorithm::ES256, "ec"),
        (Algorithm::RS256, "rsa"),
    ] {
        let token = sign(algorithm, kid, &good);
        for _ in 0..2 {
            let answer = envoy.call(&token, "/v1/orders");
            assert_eq!(
                answer.status(),
                200,
                "{kid} {}",
                String::from_utf8_lossy(&answer.body)
            );
            assert_eq!(answer.json()["headers"]["x-portico-credential"], client);
            assert_eq!(answer.json()["upstream"], "upstream");
        }
        let (rest, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        let tampered = format!("{rest}.{first}{}", &signature[1..]);
        let other_kid = sign(algorithm, if kid == "ed" { "ec" } else { "ed" }, &good);
        for bad in [tampered, other_kid, sign(algorithm, "none", &good)] {
            assert_eq!(
                envoy.call(&bad, "/hello").json()["code"],
                "malformed_credential",
                "{kid}"
            );
        }
    }
    let now = now_ms() / 1_000;
    for (claims, code) in [
        (with(good.clone(), "exp", now), "expired_credential"),
        (with(good.clone(), "nbf", now + 60), "malformed_credential"),
        (
            with(good.clone(), "iss", "https://elsewhere.example"),
            "malformed_credential",
        ),
        (
            with(good.clone(), "aud", "https://elsewhere.example"),
            "malformed_credential",
        ),
        (
            with(good.clone(), "client_id", "crd_nobody"),
            "unknown_credential",
        ),
        (
            with(good.clone(), "scope", "orders:write"),
            "insufficient_scope",
        ),
    ] {
        let answer = envoy.call(&sign(Algorithm::EdDSA, "ed", &claims), "/v1/orders");
        assert_eq!(answer.json()["code"], code, "{claims}");
    }
    let unsigned = "eyJhbGciOiJub25lIiwia2lkIjoiZWQifQ.e30.";
    assert_eq!(
        envoy.call(unsigned, "/hello").json()["code"],
        "malformed_credential"
    );
}

#[test]
fn a_token_ends_with_its_time_and_with_its_installation() {
    let (programme, client) = open_programme();
    let envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    let short = with(claims(&client), "exp", now_ms() / 1_000 + 2);
    let token = sign(Algorithm::ES256, "ec", &short);
    assert_eq!(envoy.call(&token, "/hello").status(), 200);
    assert!(
        wait_until(|| envoy.call(&token, "/hello").status() == 401),
        "a cached token expires too"
    );
    let installed = with(claims(&client), "installation", INSTALLATION.to_string());
    let token = sign(Algorithm::RS256, "rsa", &installed);
    let answer = envoy.call(&token, "/v1/orders");
    assert_eq!(
        answer.json()["headers"]["x-portico-installation"],
        INSTALLATION.to_string()
    );
    assert_eq!(
        answer.json()["headers"]["x-portico-scopes"],
        "orders:read",
        "what the customer granted"
    );
    programme.portal.publish(Change::Installation(Installation {
        installation: INSTALLATION,
        app: APP,
        scopes: vec!["orders:read".into()],
        revoked_at_ms: Some(now_ms()),
    }));
    programme.portal.wait_until_applied();
    assert_eq!(
        envoy.call(&token, "/v1/orders").json()["code"],
        "revoked_credential"
    );
}
