//! JSON Web Tokens: writing our own, reading others'. No I/O, no clock.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::encoding::base64url;
use crate::signatures::is_called;

/// The longest token looked at.
const MAX_LENGTH: usize = 8 * 1024;

/// The header of a token.
#[derive(Debug, Deserialize)]
pub struct Header {
    /// The algorithm.
    pub alg: String,
    /// The key.
    #[serde(default)]
    pub kid: Option<String>,
    /// Extensions that must be understood; there are none here.
    #[serde(default)]
    crit: Option<Value>,
}

/// A token taken apart, not yet verified.
pub struct Parts<'a> {
    /// The header.
    pub header: Header,
    message: &'a str,
    claims: &'a str,
    signature: &'a str,
}

/// Signs claims with ES256.
pub fn sign(key: &SigningKey, kid: &str, kind: &str, claims: &Value) -> String {
    let header = serde_json::json!({ "alg": "ES256", "kid": kid, "typ": kind });
    let message = format!(
        "{}.{}",
        base64url(header.to_string().as_bytes()),
        base64url(claims.to_string().as_bytes())
    );
    let signature: Signature = key.sign(message.as_bytes());
    format!("{message}.{}", base64url(&signature.to_bytes()))
}

/// Takes a token apart; `None` if it has not the form of one.
pub fn split(token: &str) -> Option<Parts<'_>> {
    if token.len() > MAX_LENGTH {
        return None;
    }
    let (message, signature) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let header: Header = decode(header)?;
    header.crit.is_none().then_some(Parts {
        header,
        message,
        claims,
        signature,
    })
}

fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

impl Parts<'_> {
    /// The claims; only to be believed once [`Parts::is_signed_by`] has said so.
    pub fn claims<T: DeserializeOwned>(&self) -> Option<T> {
        decode(self.claims)
    }

    /// Whether this key signed the token. The key fixes the algorithm; a token that names another is
    /// refused.
    pub fn is_signed_by(&self, jwk: &Value) -> bool {
        let Some((algorithm, name)) = algorithm_of(jwk) else {
            return false;
        };
        let is_named = is_called(name, &self.header.alg);
        let mut jwk = jwk.clone();
        if let Some(members) = jwk.as_object_mut() {
            members.remove("alg");
        }
        let Some(key) = serde_json::from_value::<Jwk>(jwk)
            .ok()
            .and_then(|jwk| DecodingKey::from_jwk(&jwk).ok())
        else {
            return false;
        };
        is_named
            && jsonwebtoken::crypto::verify(
                self.signature,
                self.message.as_bytes(),
                &key,
                algorithm,
            )
            .unwrap_or(false)
    }
}

/// The one algorithm a public key is used with; `None` for keys we do not take.
pub fn algorithm_of(jwk: &Value) -> Option<(Algorithm, &'static str)> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    match (text("kty")?, text("crv")) {
        ("EC", Some("P-256")) => Some((Algorithm::ES256, "ES256")),
        ("OKP", Some("Ed25519")) => Some((Algorithm::EdDSA, "EdDSA")),
        ("RSA", _) => {
            // 2 048 bits and more (RFC 7518, 3.3).
            let bytes = URL_SAFE_NO_PAD.decode(text("n")?).ok()?;
            (256..=1_024)
                .contains(&bytes.len())
                .then_some((Algorithm::RS256, "RS256"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_ed25519_signature_counts_by_either_name_of_its_algorithm_and_by_no_other() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let public = base64url(key.verifying_key().as_bytes());
        let token = |algorithm: &str| {
            let header = json!({ "alg": algorithm }).to_string();
            let message = format!("{}.{}", base64url(header.as_bytes()), base64url(b"{}"));
            let signature = key.sign(message.as_bytes());
            format!("{message}.{}", base64url(&signature.to_bytes()))
        };
        for named in [json!("EdDSA"), json!("Ed25519"), Value::Null] {
            let mut jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": public, "use": "sig" });
            if !named.is_null() {
                jwk["alg"] = named;
            }
            for (algorithm, is_good) in [
                ("EdDSA", true),
                ("Ed25519", true),
                ("ES256", false),
                ("HS256", false),
                ("none", false),
            ] {
                let token = token(algorithm);
                let parts = split(&token).unwrap();
                assert_eq!(parts.is_signed_by(&jwk), is_good, "{algorithm} {jwk}");
            }
        }
    }
}
