//! OAuth access tokens (JWT, RFC 9068).
//!
//! Owns: the verification keys of the feed's JWK set, a token's form, signature
//! and claims, and a bounded cache of tokens already verified. A key fixes its
//! algorithm; a token that names another is refused. Does not own: what the
//! credential that a token names may do.

use crate::access::TokenGrant;
use crate::ports::Host;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use shared::problem::Code;
use std::collections::HashMap;

/// Most tokens remembered.
const CACHED: usize = 10_000;
/// Longest token looked at.
const MAX_LENGTH: usize = 8 * 1024;
/// How far `nbf` may lie ahead of this clock, in seconds.
const NOT_BEFORE_LEEWAY_SECS: u64 = 5;

struct VerificationKey {
    id: String,
    algorithm: Algorithm,
    key: DecodingKey,
    /// The key as SubjectPublicKeyInfo, for algorithms that Envoy can verify.
    der: Option<Vec<u8>>,
}

/// The keys that sign access tokens.
#[derive(Default)]
pub struct VerificationKeys(Vec<VerificationKey>);

/// A token that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The credential id's text, as the `client_id` claim has it.
    pub client_id: String,
    /// What it adds to the credential.
    pub grant: TokenGrant,
    expires_at_secs: u64,
    not_before_secs: u64,
}

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// Its `iss`.
    pub issuer: &'a str,
    /// Among its `aud`.
    pub audience: &'a str,
    /// The time.
    pub now_ms: u64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood: there are none here (RFC 7515, 4.1.11).
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: f64,
    #[serde(default)]
    nbf: f64,
    #[serde(default)]
    iat: f64,
    client_id: String,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    installation: Option<String>,
}

impl VerificationKeys {
    /// Reads a JWK set. Keys of other kinds, and those for encryption, are left out.
    #[must_use]
    pub fn read(set: &serde_json::Value) -> Self {
        let keys = set.get("keys").and_then(serde_json::Value::as_array);
        Self(keys.into_iter().flatten().filter_map(read_key).collect())
    }
}

fn read_key(value: &serde_json::Value) -> Option<VerificationKey> {
    let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
    if text("use").is_some_and(|usage| usage != "sig") {
        return None;
    }
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let (algorithm, der) = match (text("kty")?, text("crv")) {
        ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, None),
        ("EC", Some("P-256")) => (Algorithm::ES256, der::p256_key(&bytes("x")?, &bytes("y")?)),
        ("RSA", _) => (
            Algorithm::RS256,
            Some(der::rsa_key(&bytes("n")?, &bytes("e")?)),
        ),
        _ => return None,
    };
    // A set may say which algorithm; it must be the one of the key's kind.
    let name = text("alg").unwrap_or_else(|| algorithm_name(algorithm));
    if name != algorithm_name(algorithm) {
        return None;
    }
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    Some(VerificationKey {
        id: text("kid")?.to_owned(),
        algorithm,
        key: DecodingKey::from_jwk(&jwk).ok()?,
        der,
    })
}

const fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EdDSA => "EdDSA",
        Algorithm::ES256 => "ES256",
        _ => "RS256",
    }
}

/// Whether a credential's text is a token rather than a key: keys have no dots.
#[must_use]
pub fn is_token(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Tokens already verified, by digest.
#[derive(Default)]
pub struct TokenCache {
    verified: HashMap<[u8; 32], VerifiedToken>,
    keys_version: u64,
}

impl TokenCache {
    /// Forgets what was verified with other keys.
    pub fn follow(&mut self, keys_version: u64) {
        if self.keys_version != keys_version {
            self.keys_version = keys_version;
            self.verified.clear();
        }
    }

    /// Verifies a token, or remembers that it was.
    ///
    /// # Errors
    /// `malformed_credential` for whatever is not a token of this programme,
    /// `expired_credential`.
    pub fn verify(
        &mut self,
        host: &impl Host,
        keys: &VerificationKeys,
        token: &str,
        expected: &Expectations<'_>,
    ) -> Result<VerifiedToken, Code> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.verified.get(&digest) {
            return known.check_time(expected.now_ms).map(|()| known.clone());
        }
        let verified = verify(host, keys, token, expected)?;
        if self.verified.len() >= CACHED {
            let now_secs = expected.now_ms / 1_000;
            self.verified
                .retain(|_, known| known.expires_at_secs > now_secs);
            if self.verified.len() >= CACHED {
                self.verified.clear();
            }
        }
        self.verified.insert(digest, verified.clone());
        Ok(verified)
    }
}

impl VerifiedToken {
    fn check_time(&self, now_ms: u64) -> Result<(), Code> {
        let now_secs = now_ms / 1_000;
        if self.expires_at_secs <= now_secs {
            return Err(Code::ExpiredCredential);
        }
        if self.not_before_secs > now_secs + NOT_BEFORE_LEEWAY_SECS {
            return Err(Code::MalformedCredential);
        }
        Ok(())
    }
}

fn part<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, Code> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Code::MalformedCredential)?;
    serde_json::from_slice(&bytes).map_err(|_| Code::MalformedCredential)
}

fn verify(
    host: &impl Host,
    keys: &VerificationKeys,
    token: &str,
    expected: &Expectations<'_>,
) -> Result<VerifiedToken, Code> {
    let malformed = Code::MalformedCredential;
    if token.len() > MAX_LENGTH {
        return Err(malformed);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(malformed)?;
    let (header, claims) = message.split_once('.').ok_or(malformed)?;
    let header: Header = part(header)?;
    let key = keys
        .0
        .iter()
        .find(|key| Some(&key.id) == header.kid.as_ref())
        .ok_or(malformed)?;
    if header.alg != algorithm_name(key.algorithm) || header.crit.is_some() {
        return Err(malformed);
    }
    // Claims first: they cost nothing to read, a signature does.
    let claims: Claims = part(claims)?;
    let is_for_us = match &claims.aud {
        Audience::One(audience) => audience == expected.audience,
        Audience::Many(audiences) => audiences.iter().any(|other| other == expected.audience),
    };
    if claims.iss != expected.issuer || !is_for_us {
        return Err(malformed);
    }
    let installation = claims.installation.as_deref().map(str::parse).transpose();
    let verified = VerifiedToken {
        client_id: claims.client_id,
        grant: TokenGrant {
            scopes: claims
                .scope
                .map(|scope| scope.split_whitespace().map(str::to_owned).collect()),
            installation: installation.map_err(|_| malformed)?,
            issued_at_ms: (claims.iat * 1_000.0) as u64,
        },
        expires_at_secs: claims.exp as u64,
        not_before_secs: claims.nbf as u64,
    };
    if !is_signed(host, key, message, signature) {
        return Err(malformed);
    }
    verified.check_time(expected.now_ms)?;
    Ok(verified)
}

/// Envoy's own verification is some thirty times as fast; where it is missing
/// (another proxy, or Ed25519) the signature is verified here.
fn is_signed(host: &impl Host, key: &VerificationKey, message: &str, signature: &str) -> bool {
    let Ok(raw) = URL_SAFE_NO_PAD.decode(signature) else {
        return false;
    };
    if let Some(key_der) = &key.der {
        let signature_der = match key.algorithm {
            Algorithm::ES256 => der::ecdsa_signature(&raw),
            _ => Some(raw),
        };
        let Some(signature_der) = signature_der else {
            return false;
        };
        if let Some(valid) = host.verify_signature(key_der, &signature_der, message.as_bytes()) {
            return valid;
        }
    }
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.key, key.algorithm)
        .unwrap_or(false)
}

/// The little DER that keys and signatures need (ITU-T X.690).
mod der {
    const INTEGER: u8 = 0x02;
    const BIT_STRING: u8 = 0x03;
    const SEQUENCE: u8 = 0x30;
    /// AlgorithmIdentifier of rsaEncryption with NULL parameters.
    const RSA: [u8; 15] = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    /// AlgorithmIdentifier of id-ecPublicKey on prime256v1.
    const P256: [u8; 21] = [
        0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        if content.len() < 0x80 {
            bytes.push(content.len() as u8);
        } else {
            let length = (content.len() as u32).to_be_bytes();
            let digits: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
            bytes.push(0x80 | digits.len() as u8);
            bytes.extend_from_slice(&digits);
        }
        bytes.extend_from_slice(content);
        bytes
    }

    fn unsigned(number: &[u8]) -> Vec<u8> {
        let mut content: Vec<u8> = number
            .iter()
            .copied()
            .skip_while(|byte| *byte == 0)
            .collect();
        if content.first().is_none_or(|first| *first >= 0x80) {
            content.insert(0, 0);
        }
        element(INTEGER, &content)
    }

    fn public_key(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
        let mut bits = vec![0];
        bits.extend_from_slice(key);
        element(SEQUENCE, &[algorithm, &element(BIT_STRING, &bits)].concat())
    }

    /// An RSA key from modulus and exponent.
    pub fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let numbers = [unsigned(modulus), unsigned(exponent)].concat();
        public_key(&RSA, &element(SEQUENCE, &numbers))
    }

    /// A P-256 key from its coordinates; `None` unless both have 32 bytes.
    pub fn p256_key(x: &[u8], y: &[u8]) -> Option<Vec<u8>> {
        (x.len() == 32 && y.len() == 32).then(|| public_key(&P256, &[&[4], x, y].concat()))
    }

    /// An ECDSA signature from JOSE's `r || s`; `None` unless it has 64 bytes.
    pub fn ecdsa_signature(raw: &[u8]) -> Option<Vec<u8>> {
        let (r, s) = raw.split_at_checked(32)?;
        (s.len() == 32).then(|| element(SEQUENCE, &[unsigned(r), unsigned(s)].concat()))
    }
}
