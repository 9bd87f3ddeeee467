//! Signatures of the Standard Webhooks specification: HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What secrets begin with.
const PREFIX: &str = "whsec_";

/// A secret as its owner keeps it.
pub fn secret_text(secret: &[u8]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(secret))
}

/// The `webhook-signature` header: one signature a secret, so that a receiver that knows the old or the
/// new one accepts it while a rotation overlaps.
pub fn sign(secrets: &[Vec<u8>], id: &str, timestamp_secs: i64, body: &str) -> String {
    let signed = format!("{id}.{timestamp_secs}.{body}");
    secrets
        .iter()
        .filter_map(|secret| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
            mac.update(signed.as_bytes());
            Some(format!(
                "v1,{}",
                STANDARD.encode(mac.finalize().into_bytes())
            ))
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &str = "{\"test\": 2432232314}";
    /// Of the reference libraries' own test.
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn reference_secret() -> Vec<u8> {
        STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
    }

    #[test]
    fn the_reference_vector_is_met() {
        let secret = reference_secret();
        assert_eq!(
            secret_text(&secret),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        );
        assert_eq!(sign(&[secret], ID, AT, BODY), SIGNATURE);
    }

    #[test]
    fn two_secrets_give_two_signatures_and_every_part_counts() {
        let (old, new) = (reference_secret(), vec![7; 32]);
        let both = sign(&[new.clone(), old.clone()], ID, AT, BODY);
        let parts: Vec<&str> = both.split(' ').collect();
        assert_eq!(parts, [sign(&[new], ID, AT, BODY).as_str(), SIGNATURE]);
        for other in [
            sign(std::slice::from_ref(&old), "msg_other", AT, BODY),
            sign(std::slice::from_ref(&old), ID, AT + 1, BODY),
            sign(&[old], ID, AT, "{\"test\":2432232314}"),
        ] {
            assert_ne!(other, SIGNATURE);
        }
    }
}
