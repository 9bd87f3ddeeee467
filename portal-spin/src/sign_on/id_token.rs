//! What a provider says, judged: its metadata (OpenID Connect Discovery 1.0) and its ID tokens (OpenID
//! Connect Core 1.0, section 3.1.3.7). Pure.

use serde::Deserialize;
use serde_json::Value;

use crate::encoding::from_base64url;
use crate::signatures::{EcdsaForm, PublicKey};

/// How far two clocks may differ.
const SKEW_SECS: i64 = 60;

/// What discovery tells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// Must be the issuer that was asked.
    pub issuer: String,
    /// Where browsers go.
    pub authorization_endpoint: String,
    /// Where codes are exchanged.
    pub token_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// How clients prove themselves; without, `client_secret_basic`.
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// Whether its answers name it (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// What an ID token must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `aud`.
    pub client_id: &'a str,
    /// `nonce`.
    pub nonce: &'a str,
    /// The time.
    pub now_ms: i64,
}

/// Whom an ID token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: the person at this issuer, for ever.
    pub subject: String,
    /// Lower case; only if the provider says that it is verified.
    pub email: Option<String>,
    /// The name, if given.
    pub name: Option<String>,
}

/// Why an ID token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a signed JWT.
    #[error("the token is malformed")]
    Malformed,
    /// `none`, a shared-key algorithm, or one that is not known here.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// No key of the provider fits.
    #[error("the provider has no such key")]
    UnknownKey,
    /// Not signed by the provider.
    #[error("the signature does not hold")]
    BadSignature,
    /// From another issuer.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// For another client.
    #[error("the token is for another client")]
    WrongAudience,
    /// Too old, or from the future.
    #[error("the token is not valid now")]
    NotNow,
    /// For another log-in.
    #[error("the token is for another log-in")]
    WrongNonce,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Body {
    iss: String,
    sub: String,
    aud: Value,
    #[serde(default)]
    azp: Option<String>,
    exp: i64,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Value,
    #[serde(default)]
    name: Option<String>,
}

/// The keys of a JWK set (RFC 7517) with their `kid`; of those that cannot be used here, none.
fn keys(jwks: &Value) -> Vec<(Option<&str>, PublicKey)> {
    let list = jwks.get("keys").and_then(Value::as_array);
    list.map_or(&[][..], Vec::as_slice)
        .iter()
        .filter(|key| key.get("use").and_then(Value::as_str) != Some("enc"))
        .filter_map(|key| {
            let text = |name: &str| key.get(name).and_then(Value::as_str);
            let bytes = |name: &str| from_base64url(text(name)?);
            let read = match (text("kty")?, text("crv")) {
                ("EC", Some("P-256")) => PublicKey::es256(&bytes("x")?, &bytes("y")?)?,
                ("OKP", Some("Ed25519")) => PublicKey::ed25519(&bytes("x")?)?,
                ("RSA", _) => PublicKey::rs256(&bytes("n")?, &bytes("e")?)?,
                _ => return None,
            };
            if text("alg").is_some_and(|named| !read.is_called(named)) {
                return None;
            }
            Some((text("kid"), read))
        })
        .collect()
}

/// Believes an ID token, or says why not.
pub fn verify_id_token(
    token: &str,
    jwks: &Value,
    expected: &Expected<'_>,
) -> Result<Claims, TokenError> {
    let mut parts = token.split('.');
    let (Some(head), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Malformed);
    };
    let decoded = |part: &str| from_base64url(part).ok_or(TokenError::Malformed);
    let header: Header =
        serde_json::from_slice(&decoded(head)?).map_err(|_| TokenError::Malformed)?;
    if header.crit.is_some() {
        return Err(TokenError::Malformed);
    }
    if !["ES256", "EdDSA", "Ed25519", "RS256"].contains(&header.alg.as_str()) {
        return Err(TokenError::Algorithm);
    }
    let fitting: Vec<PublicKey> = keys(jwks)
        .into_iter()
        .filter(|(kid, _)| header.kid.is_none() || *kid == header.kid.as_deref())
        .map(|(_, key)| key)
        .filter(|key| key.is_called(&header.alg))
        .collect();
    if fitting.is_empty() {
        return Err(TokenError::UnknownKey);
    }
    let signature = decoded(signature)?;
    let signed = format!("{head}.{payload}");
    if !fitting
        .iter()
        .any(|key| key.verifies(signed.as_bytes(), &signature, EcdsaForm::Fixed))
    {
        return Err(TokenError::BadSignature);
    }
    let body: Body =
        serde_json::from_slice(&decoded(payload)?).map_err(|_| TokenError::Malformed)?;
    check_body(&body, expected)?;
    let is_verified =
        body.email_verified == Value::Bool(true) || body.email_verified.as_str() == Some("true");
    Ok(Claims {
        subject: body.sub,
        email: body.email.filter(|_| is_verified),
        name: body.name,
    })
}

fn check_body(body: &Body, expected: &Expected<'_>) -> Result<(), TokenError> {
    if body.iss != expected.issuer {
        return Err(TokenError::WrongIssuer);
    }
    let audience: Vec<&str> = match &body.aud {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let azp = body.azp.as_deref();
    let is_ours = audience.contains(&expected.client_id)
        && (audience.len() == 1 || azp.is_some())
        && azp.is_none_or(|azp| azp == expected.client_id);
    if !is_ours {
        return Err(TokenError::WrongAudience);
    }
    let now = expected.now_ms.div_euclid(1000);
    let begins = body.nbf.into_iter().chain(body.iat).max().unwrap_or(now);
    if body.exp.saturating_add(SKEW_SECS) <= now || begins > now.saturating_add(SKEW_SECS) {
        return Err(TokenError::NotNow);
    }
    if body.nonce.as_deref() != Some(expected.nonce) {
        return Err(TokenError::WrongNonce);
    }
    if body.sub.is_empty() || body.sub.len() > 255 {
        return Err(TokenError::Malformed);
    }
    Ok(())
}
