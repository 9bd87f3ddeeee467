//! Stripe's side of payments as data: the requests that ask for a payment, and what its webhooks say.
//!
//! Nothing of a card comes here: partners pay on Stripe's own page.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use shared::money::Money;
use subtle::ConstantTimeEq;

/// How old or how early a signed event may be, in seconds.
pub const TOLERANCE_SECS: i64 = 300;
/// The version of the API these requests are written for.
const API_VERSION: &str = "2024-06-20";

/// An amount as Stripe counts it: minor units, except in two currencies that it still counts in
/// hundredths, and rounded up to tens where a minor unit is a thousandth.
pub fn stripe_amount(amount: Money) -> i64 {
    match amount.currency.as_str() {
        "ISK" | "UGX" => amount.minor.saturating_mul(100),
        _ if amount.currency.decimals() == 3 => amount.minor.saturating_add(9) / 10 * 10,
        _ => amount.minor,
    }
}

/// A call of Stripe's API. The key makes a call that comes again answer as the first did.
pub fn request(
    base: &str,
    path: &str,
    secret_key: &str,
    idempotency_key: &str,
    fields: &[(&str, &str)],
) -> Result<http::Request<Bytes>, http::Error> {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    http::Request::builder()
        .method(http::Method::POST)
        .uri(format!("{}{path}", base.trim_end_matches('/')))
        .header("authorization", format!("Bearer {secret_key}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("stripe-version", API_VERSION)
        .header("idempotency-key", idempotency_key)
        .body(Bytes::from(body.finish()))
}

/// What an answer has that is used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answer {
    pub id: String,
    pub hosted_invoice_url: Option<String>,
    pub error: Option<AnswerError>,
}

/// Stripe's error body.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AnswerError {
    pub message: String,
    pub code: String,
}

/// Reads an answer; an error in Stripe's words.
pub fn read_answer(response: &http::Response<Bytes>) -> Result<Answer, String> {
    let status = response.status();
    let answer: Answer = serde_json::from_slice(response.body())
        .map_err(|_| format!("Stripe answered {status} with something that is not JSON"))?;
    if status.is_success() && !answer.id.is_empty() {
        return Ok(answer);
    }
    let error = answer.error.unwrap_or_default();
    Err(format!(
        "Stripe answered {status}: {} {}",
        error.code, error.message
    ))
}

/// Why a webhook's body is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureProblem {
    #[error("The header Stripe-Signature is missing or malformed.")]
    Malformed,
    #[error("The event was signed too long ago, or in the future: check the clocks.")]
    OutOfTime,
    #[error("The signature does not fit the body: check the endpoint's signing secret.")]
    Wrong,
}

/// Checks `Stripe-Signature: t=…,v1=…[,v1=…]`: HMAC-SHA-256 over `t.body`, hexadecimal. Several `v1` are
/// there while a secret is rolled; other schemes are passed over.
pub fn verify_signature(
    secret: &str,
    header: &str,
    body: &[u8],
    now_secs: i64,
) -> Result<(), SignatureProblem> {
    let mut timestamp = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => timestamp = Some(value),
            Some(("v1", value)) => signatures.push(value),
            _ => {}
        }
    }
    let timestamp = timestamp.ok_or(SignatureProblem::Malformed)?;
    let at: i64 = timestamp.parse().map_err(|_| SignatureProblem::Malformed)?;
    if signatures.is_empty() {
        return Err(SignatureProblem::Malformed);
    }
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| SignatureProblem::Wrong)?;
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let expected = crate::encoding::hex(&mac.finalize().into_bytes());
    let fits = signatures
        .iter()
        .any(|given| bool::from(given.as_bytes().ct_eq(expected.as_bytes())));
    if !fits {
        return Err(SignatureProblem::Wrong);
    }
    if now_secs.abs_diff(at) > TOLERANCE_SECS.unsigned_abs() {
        return Err(SignatureProblem::OutOfTime);
    }
    Ok(())
}

/// An event, as far as it is used.
#[derive(Debug, Deserialize)]
pub struct Event {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub data: EventData,
}

/// What an event is about.
#[derive(Debug, Deserialize)]
pub struct EventData {
    pub object: EventObject,
}

/// An invoice at Stripe.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct EventObject {
    pub id: String,
    pub amount_paid: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1","object":"event"}"#;
    /// `printf '1700000000.{"id":"evt_1","object":"event"}' | openssl dgst -sha256 -hmac whsec_test_secret`
    const RECORDED: &str = "0c8670ed117751cc551a20e35839447075c42800ea3cf3e8a2fbda99cd1e6edd";

    #[test]
    fn a_recorded_signature_is_believed_within_its_time() {
        let header = format!("t=1700000000,v1={RECORDED},v0=ignored");
        let check = |secret: &str, header: &str, body: &[u8], now| {
            verify_signature(secret, header, body, now)
        };
        assert_eq!(
            check("whsec_test_secret", &header, BODY, 1_700_000_300),
            Ok(())
        );
        assert_eq!(
            check("whsec_test_secret", &header, BODY, 1_700_000_301),
            Err(SignatureProblem::OutOfTime)
        );
        assert_eq!(
            check("whsec_test_secret", &header, BODY, 1_699_999_699),
            Err(SignatureProblem::OutOfTime)
        );
        assert_eq!(
            check("whsec_other", &header, BODY, 1_700_000_000),
            Err(SignatureProblem::Wrong)
        );
        assert_eq!(
            check("whsec_test_secret", &header, b"{}", 1_700_000_000),
            Err(SignatureProblem::Wrong)
        );
        let rolled = format!("t=1700000000,v1={},v1={RECORDED}", "0".repeat(64));
        assert_eq!(
            check("whsec_test_secret", &rolled, BODY, 1_700_000_000),
            Ok(())
        );
        for header in [
            "",
            "t=1700000000",
            "v1=00",
            "t=x,v1=00",
            "t=1700000000,v0=00",
        ] {
            assert_eq!(
                check("whsec_test_secret", header, BODY, 1_700_000_000),
                Err(SignatureProblem::Malformed),
                "{header}"
            );
        }
    }

    #[test]
    fn amounts_are_counted_as_stripe_counts_them() {
        let amount =
            |code: &str, minor| stripe_amount(Money::from_minor(code.parse().unwrap(), minor));
        assert_eq!(amount("USD", 1_234), 1_234);
        assert_eq!(amount("JPY", 500), 500);
        assert_eq!(amount("ISK", 500), 50_000);
        assert_eq!(amount("KWD", 1_234), 1_240);
    }
}
