//! ID tokens of a provider written here, honest and not.

use p256::ecdsa::signature::Signer as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::id_token::{Expected, TokenError, verify_id_token};
use crate::encoding::base64url;

pub const NOW_MS: i64 = 1_767_225_600_000;

/// A provider's signing key.
pub fn signer(number: u8) -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[number; 32]).unwrap()
}

pub fn jwks(signer: &p256::ecdsa::SigningKey) -> Value {
    let point = signer.verifying_key().to_encoded_point(false);
    json!({ "keys": [
        { "kty": "RSA", "kid": "enc", "use": "enc", "n": "AQAB", "e": "AQAB" },
        { "kty": "EC", "crv": "P-256", "kid": "one", "use": "sig", "alg": "ES256",
          "x": base64url(point.x().unwrap()), "y": base64url(point.y().unwrap()) },
    ] })
}

pub fn claims() -> Value {
    json!({
        "iss": "https://login.example.com", "aud": "client", "sub": "248289761001", "nonce": "n-0S6",
        "exp": NOW_MS / 1000 + 300, "iat": NOW_MS / 1000, "email": "Ada@Example.com", "email_verified": true,
    })
}

pub fn token(signer: &p256::ecdsa::SigningKey, header: &Value, claims: &Value) -> String {
    let signed = format!(
        "{}.{}",
        base64url(header.to_string().as_bytes()),
        base64url(claims.to_string().as_bytes())
    );
    let signature: p256::ecdsa::Signature = signer.sign(signed.as_bytes());
    format!("{signed}.{}", base64url(&signature.to_bytes()))
}

pub fn header() -> Value {
    json!({ "alg": "ES256", "kid": "one", "typ": "JWT" })
}

fn expected() -> Expected<'static> {
    Expected {
        issuer: "https://login.example.com",
        client_id: "client",
        nonce: "n-0S6",
        now_ms: NOW_MS,
    }
}

fn judge(header: &Value, claims: &Value) -> Result<String, TokenError> {
    let signer = signer(3);
    let token = token(&signer, header, claims);
    verify_id_token(&token, &jwks(&signer), &expected()).map(|claims| claims.subject)
}

#[test]
fn an_honest_token_is_believed() {
    assert_eq!(judge(&header(), &claims()), Ok("248289761001".to_owned()));
    assert_eq!(
        judge(&json!({ "alg": "ES256" }), &claims()),
        Ok("248289761001".to_owned())
    );
    let mut several = claims();
    several["aud"] = json!(["other", "client"]);
    several["azp"] = json!("client");
    assert!(judge(&header(), &several).is_ok());
}

#[test]
fn a_claim_that_is_not_as_expected_is_refused() {
    let now = NOW_MS / 1000;
    for (name, value, error) in [
        (
            "iss",
            json!("https://evil.example"),
            TokenError::WrongIssuer,
        ),
        (
            "iss",
            json!("https://login.example.com/"),
            TokenError::WrongIssuer,
        ),
        ("aud", json!("other"), TokenError::WrongAudience),
        ("aud", json!(["client", "other"]), TokenError::WrongAudience),
        ("aud", json!({}), TokenError::WrongAudience),
        ("azp", json!("other"), TokenError::WrongAudience),
        ("exp", json!(now - 61), TokenError::NotNow),
        ("exp", json!(i64::MIN), TokenError::NotNow),
        ("iat", json!(now + 3600), TokenError::NotNow),
        ("nbf", json!(now + 3600), TokenError::NotNow),
        ("nonce", json!("another"), TokenError::WrongNonce),
        ("nonce", Value::Null, TokenError::WrongNonce),
        ("sub", json!(""), TokenError::Malformed),
    ] {
        let mut wrong = claims();
        wrong[name] = value.clone();
        assert_eq!(judge(&header(), &wrong), Err(error), "{name} = {value}");
    }
}

#[test]
fn no_algorithm_but_the_providers_own_is_accepted() {
    for (header, error) in [
        (json!({ "alg": "none" }), TokenError::Algorithm),
        (
            json!({ "alg": "HS256", "kid": "one" }),
            TokenError::Algorithm,
        ),
        (
            json!({ "alg": "es256", "kid": "one" }),
            TokenError::Algorithm,
        ),
        (
            json!({ "alg": "RS256", "kid": "one" }),
            TokenError::UnknownKey,
        ),
        (
            json!({ "alg": "ES256", "kid": "two" }),
            TokenError::UnknownKey,
        ),
        (
            json!({ "alg": "ES256", "kid": "one", "crit": ["b64"], "b64": false }),
            TokenError::Malformed,
        ),
    ] {
        assert_eq!(judge(&header, &claims()), Err(error), "{header}");
    }
    let unsigned = token(&signer(3), &json!({ "alg": "none" }), &claims());
    let unsigned = format!("{}.", unsigned.rsplit_once('.').unwrap().0);
    assert_eq!(
        verify_id_token(&unsigned, &jwks(&signer(3)), &expected()),
        Err(TokenError::Algorithm)
    );
}

#[test]
fn a_token_signed_by_another_or_changed_afterwards_is_refused() {
    let forged = token(&signer(4), &header(), &claims());
    let keys = jwks(&signer(3));
    assert_eq!(
        verify_id_token(&forged, &keys, &expected()),
        Err(TokenError::BadSignature)
    );
    let honest = token(&signer(3), &header(), &claims());
    let mut parts: Vec<String> = honest.split('.').map(str::to_owned).collect();
    let mut other = claims();
    other["sub"] = json!("1");
    parts[1] = base64url(other.to_string().as_bytes());
    let changed = parts.join(".");
    assert_eq!(
        verify_id_token(&changed, &keys, &expected()),
        Err(TokenError::BadSignature)
    );
}

#[test]
fn ed25519_is_believed_under_either_of_its_names() {
    let signer = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let public = base64url(signer.verifying_key().as_bytes());
    for named in ["EdDSA", "Ed25519"] {
        for header in ["EdDSA", "Ed25519", "ES256"] {
            let keys =
                json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": named, "x": public }] });
            let signed = format!(
                "{}.{}",
                base64url(json!({ "alg": header }).to_string().as_bytes()),
                base64url(claims().to_string().as_bytes())
            );
            let signature =
                base64url(&ed25519_dalek::Signer::sign(&signer, signed.as_bytes()).to_bytes());
            let found = verify_id_token(&format!("{signed}.{signature}"), &keys, &expected());
            assert_eq!(found.is_ok(), header != "ES256", "{named} {header}");
        }
    }
}

#[test]
fn an_address_that_is_not_verified_does_not_count() {
    for value in [json!(false), Value::Null, json!("false"), json!(1)] {
        let mut given = claims();
        given["email_verified"] = value;
        let signer = signer(3);
        let token = token(&signer, &header(), &given);
        assert_eq!(
            verify_id_token(&token, &jwks(&signer), &expected())
                .unwrap()
                .email,
            None
        );
    }
}

proptest! {
    #[test]
    fn no_text_is_believed_or_panics(text in "[A-Za-z0-9_.-]{0,120}") {
        prop_assert!(verify_id_token(&text, &jwks(&signer(3)), &expected()).is_err());
    }
}
