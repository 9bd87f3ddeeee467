//! The portal's signing key, from the variable `signing_seed`.

use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use crate::configuration::Configuration;
use crate::encoding::unhex;
use crate::web::Failure;

/// The key that signs evidence. Development derives one; production must set it, for evidence signed
/// with a guessable key would prove nothing.
pub fn signing_key(configuration: &Configuration) -> Result<SigningKey, Failure> {
    let missing = || {
        let mut failure = Failure::new(
            http::StatusCode::SERVICE_UNAVAILABLE,
            "signing_key_missing",
            "Acceptances cannot be signed: the operator has not set `signing_seed` to 64 hexadecimal digits.",
        );
        failure.internal = Some("signing_seed is missing or malformed".into());
        failure
    };
    let seed: [u8; 32] = match configuration.get("signing_seed") {
        "" if configuration.development => Sha256::digest(b"development-only signing seed").into(),
        text => unhex(text)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(missing)?,
    };
    Ok(SigningKey::from_bytes(&seed))
}

/// The public key, hexadecimal.
pub fn public_key(key: &SigningKey) -> String {
    crate::encoding::hex(key.verifying_key().as_bytes())
}

/// The signature over these bytes.
pub fn sign(key: &SigningKey, bytes: &[u8]) -> [u8; 64] {
    key.sign(bytes).to_bytes()
}
