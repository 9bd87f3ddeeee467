//! `private_key_jwt`: a client proves itself by a token it signed (RFC 7523, RFC 9700 section 2.5).

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::OAuthError;
use super::jwt;
use crate::context::Context;
use crate::params;

/// `client_assertion_type`.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The longest life of an assertion: its id is remembered so long.
const LONGEST_LIFE_SECS: f64 = 3_600.0;
const LEEWAY_SECS: f64 = 30.0;

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    jti: Option<String>,
}

/// Who claims to speak, before anything is verified.
pub fn claimed_client(assertion: &str) -> Option<String> {
    Some(jwt::split(assertion)?.claims::<Claims>()?.sub)
}

/// Verifies an assertion of this client and uses it up.
pub async fn accept_assertion(
    context: &Context,
    client_id: &str,
    keys: &Value,
    assertion: &str,
) -> Result<(), OAuthError> {
    let refused = |detail: &str| OAuthError::new("invalid_client", detail);
    let malformed =
        || refused("The client assertion is not a signed JWT with iss, sub, aud and exp.");
    let parts = jwt::split(assertion).ok_or_else(malformed)?;
    let claims: Claims = parts.claims().ok_or_else(malformed)?;
    let now_secs = context.now_ms as f64 / 1_000.0;
    if claims.iss != client_id || claims.sub != client_id {
        return Err(refused(
            "iss and sub of the assertion must both be the client's id.",
        ));
    }
    if !is_for_us(context, &claims.aud) {
        return Err(refused(
            "aud of the assertion must be this server's issuer or token endpoint.",
        ));
    }
    if claims.exp <= now_secs - LEEWAY_SECS
        || claims.exp > now_secs + LONGEST_LIFE_SECS
        || claims.nbf.is_some_and(|nbf| nbf > now_secs + LEEWAY_SECS)
    {
        return Err(refused(
            "The assertion has expired, is not valid yet, or lives longer than an hour.",
        ));
    }
    let is_signed = keys
        .get("keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(
            |key| match (&parts.header.kid, key.get("kid").and_then(Value::as_str)) {
                (Some(wanted), Some(kid)) => wanted == kid,
                _ => true,
            },
        )
        .any(|key| parts.is_signed_by(key));
    if !is_signed {
        return Err(refused(
            "No registered key of the client has signed the assertion.",
        ));
    }
    // Without a jti the assertion itself is what must not come twice.
    let id = claims.jti.as_deref().unwrap_or(assertion);
    let mut digest = Sha256::new();
    digest.update(client_id.as_bytes());
    digest.update([0]);
    digest.update(id.as_bytes());
    let connection = &context.connection;
    connection
        .execute(
            "DELETE FROM oauth_assertions WHERE expires_at_ms < $1",
            params![context.now_ms],
        )
        .await?;
    let is_new = connection
        .execute(
            "INSERT INTO oauth_assertions (assertion_hash, expires_at_ms) VALUES ($1, $2)
             ON CONFLICT (assertion_hash) DO NOTHING",
            params![
                digest.finalize().to_vec(),
                ((claims.exp + LEEWAY_SECS) * 1_000.0) as i64
            ],
        )
        .await?;
    if is_new == 0 {
        return Err(refused(
            "This assertion was used before. Sign a new one for every request.",
        ));
    }
    Ok(())
}

fn is_for_us(context: &Context, audience: &Value) -> bool {
    let issuer = &context.configuration().public_url;
    let is_ours = |value: &Value| {
        value.as_str().is_some_and(|text| {
            text == issuer
                || ["token", "revoke", "introspect"]
                    .iter()
                    .any(|end| text == format!("{issuer}/oauth/{end}"))
        })
    };
    match audience {
        Value::Array(list) => list.iter().any(is_ours),
        one => is_ours(one),
    }
}
