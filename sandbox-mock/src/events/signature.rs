//! Standard Webhooks: secrets and signatures.

use crate::random::Random;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &str = "whsec_";

/// Whether a text is a secret: `whsec_` and base64 of 24 to 64 bytes.
pub(super) fn is_secret(text: &str) -> bool {
    key_of(text).is_some_and(|key| (24..=64).contains(&key.len()))
}

fn key_of(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()
}

/// The secret of an endpoint that was given none: of this sandbox alone, so that it may be told.
pub(super) fn made_secret(seed: u64, tenant: &str, url: &str) -> String {
    let mut random = Random::for_parts(seed, &["webhook", tenant, url]);
    let bytes: Vec<u8> = (0..4).flat_map(|_| random.next().to_be_bytes()).collect();
    format!("{PREFIX}{}", STANDARD.encode(bytes))
}

/// The value of `webhook-signature`.
pub(super) fn sign(secret: &str, id: &str, timestamp_secs: i64, body: &str) -> String {
    let key = key_of(secret).unwrap_or_default();
    // HMAC takes a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)
        .unwrap_or_else(|_| <Hmac<Sha256> as KeyInit>::new(&Default::default()));
    mac.update(format!("{id}.{timestamp_secs}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_of_standard_webhooks_is_signed_as_published() {
        let signature = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_made_secret_is_one_and_differs_by_endpoint() {
        let one = made_secret(1, "app", "https://a.example");
        assert!(is_secret(&one));
        assert_ne!(one, made_secret(1, "app", "https://b.example"));
        assert!(!is_secret("whsec_short") && !is_secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    }
}
