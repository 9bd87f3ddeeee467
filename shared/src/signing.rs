//! How an edge and the portal prove themselves to each other.
//!
//! A request carries three headers: the edge's boot id, the time of signing in
//! Unix milliseconds, and `v1=` with the hexadecimal HMAC-SHA-256, keyed with
//! the edge secret, of
//!
//! ```text
//! v1 LF METHOD LF path?query LF timestamp LF sha256(body) in hexadecimal
//! ```
//! A response's body is signed the same way under the method `RESPONSE` and the
//! request's path, with timestamp 0, so that immutable feed pages stay
//! byte-identical in any HTTP cache. A replay inside the allowed skew is
//! harmless by design: reports are cumulative and reads change nothing.

use crate::encoding::{hex_decode, hex_encode};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The header with the edge's boot id.
pub const EDGE_HEADER: &str = "x-portico-edge";
/// The header with the time of signing, Unix milliseconds.
pub const TIMESTAMP_HEADER: &str = "x-portico-timestamp";
/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "x-portico-signature";
/// How far the two clocks may differ, in milliseconds.
pub const ALLOWED_SKEW_MS: u64 = 5 * 60 * 1000;

const RESPONSE_METHOD: &str = "RESPONSE";

/// Why a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not `v1=` and 64 hexadecimal digits.
    #[error("the signature is not of the form v1=<64 hexadecimal digits>")]
    Malformed,
    /// The timestamp is further from the receiver's clock than five minutes.
    #[error("the timestamp is more than five minutes from this clock")]
    Skewed,
    /// The signature is not that of this message under this secret.
    #[error("the signature does not match: check that both sides have the same edge secret")]
    Mismatch,
}

/// The secret shared by the portal and its edges.
#[derive(Clone)]
pub struct EdgeSecret(Hmac<Sha256>);

impl EdgeSecret {
    /// A secret from bytes; use at least 32 of them.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        // HMAC takes a key of any length, so this cannot fail.
        Self(
            Hmac::new_from_slice(secret)
                .unwrap_or_else(|_| <Hmac<Sha256> as KeyInit>::new(&Default::default())),
        )
    }

    fn mac(&self, method: &str, path: &str, timestamp_ms: u64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        let digest = hex_encode(&Sha256::digest(body));
        mac.update(format!("v1\n{method}\n{path}\n{timestamp_ms}\n{digest}").as_bytes());
        mac
    }

    /// The value of [`SIGNATURE_HEADER`] for a request. `path` includes the query.
    #[must_use]
    pub fn sign_request(&self, method: &str, path: &str, timestamp_ms: u64, body: &[u8]) -> String {
        let mac = self.mac(method, path, timestamp_ms, body);
        format!("v1={}", hex_encode(&mac.finalize().into_bytes()))
    }

    /// Checks a request's signature, at the receiver's time `now_ms`.
    ///
    /// # Errors
    /// The first of [`SignatureError`] that applies.
    pub fn verify_request(
        &self,
        method: &str,
        path: &str,
        timestamp_ms: u64,
        body: &[u8],
        signature: &str,
        now_ms: u64,
    ) -> Result<(), SignatureError> {
        if timestamp_ms.abs_diff(now_ms) > ALLOWED_SKEW_MS {
            return Err(SignatureError::Skewed);
        }
        verify(self.mac(method, path, timestamp_ms, body), signature)
    }

    /// The value of [`SIGNATURE_HEADER`] for the body of the response to `path`.
    #[must_use]
    pub fn sign_response(&self, path: &str, body: &[u8]) -> String {
        let mac = self.mac(RESPONSE_METHOD, path, 0, body);
        format!("v1={}", hex_encode(&mac.finalize().into_bytes()))
    }

    /// Checks a response's signature.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] or [`SignatureError::Mismatch`].
    pub fn verify_response(
        &self,
        path: &str,
        body: &[u8],
        signature: &str,
    ) -> Result<(), SignatureError> {
        verify(self.mac(RESPONSE_METHOD, path, 0, body), signature)
    }
}

fn verify(mac: Hmac<Sha256>, signature: &str) -> Result<(), SignatureError> {
    let claimed: [u8; 32] = signature
        .strip_prefix("v1=")
        .and_then(hex_decode)
        .ok_or(SignatureError::Malformed)?;
    mac.verify_slice(&claimed)
        .map_err(|_| SignatureError::Mismatch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_bound_to_method_path_time_and_body() {
        let secret = EdgeSecret::new(b"secret");
        let signature = secret.sign_request("POST", "/edge/v1/report", 1_000, b"{}");
        let check = |method, path, at, body: &[u8], now| {
            secret.verify_request(method, path, at, body, &signature, now)
        };
        assert_eq!(
            check("POST", "/edge/v1/report", 1_000, b"{}", 2_000),
            Ok(())
        );
        let mismatch = Err(SignatureError::Mismatch);
        assert_eq!(
            check("GET", "/edge/v1/report", 1_000, b"{}", 2_000),
            mismatch
        );
        assert_eq!(
            check("POST", "/edge/v1/feed", 1_000, b"{}", 2_000),
            mismatch
        );
        assert_eq!(
            check("POST", "/edge/v1/report", 1_001, b"{}", 2_000),
            mismatch
        );
        assert_eq!(
            check("POST", "/edge/v1/report", 1_000, b"{ }", 2_000),
            mismatch
        );
        assert_eq!(
            check(
                "POST",
                "/edge/v1/report",
                1_000,
                b"{}",
                1_001 + ALLOWED_SKEW_MS
            ),
            Err(SignatureError::Skewed)
        );
    }

    #[test]
    fn a_response_is_bound_to_its_path_and_a_request_signature_does_not_pass_for_it() {
        let secret = EdgeSecret::new(b"secret");
        let signature = secret.sign_response("/edge/v1/feed?after=0", b"x");
        assert_eq!(
            secret.verify_response("/edge/v1/feed?after=0", b"x", &signature),
            Ok(())
        );
        assert_eq!(
            secret.verify_response("/edge/v1/feed?after=1", b"x", &signature),
            Err(SignatureError::Mismatch)
        );
        assert_eq!(
            secret.verify_response("/edge/v1/feed", b"x", "v1=zz"),
            Err(SignatureError::Malformed)
        );
    }
}
