//! Secrets of endpoints, sealed in the database under a key made from `key_pepper`.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use sha2::{Digest, Sha256};
use shared::ids::WebhookEndpointId;

use super::store;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::web::Failure;

/// The specification asks for 24 to 64 bytes.
const SECRET_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

fn cipher(context: &Context) -> Result<ChaCha20Poly1305, DatabaseError> {
    let pepper = context
        .configuration()
        .secret("key_pepper")
        .ok_or_else(|| {
            DatabaseError::Shape("webhook secrets need the variable `key_pepper`".to_owned())
        })?;
    let mut digest = Sha256::new();
    digest.update(b"portico webhook secrets\0");
    digest.update(pepper.as_bytes());
    let key: [u8; 32] = digest.finalize().into();
    Ok(ChaCha20Poly1305::new(&Key::from(key)))
}

/// Adds a new secret and answers it; the others expire at `others_expire_at_ms`. Call it inside a
/// transaction.
pub async fn add_secret(
    context: &Context,
    endpoint_id: WebhookEndpointId,
    others_expire_at_ms: i64,
) -> Result<Vec<u8>, Failure> {
    let secret = context.random::<SECRET_BYTES>();
    let nonce = context.random::<NONCE_BYTES>();
    let mut sealed = nonce.to_vec();
    let encrypted = cipher(context)?
        .encrypt(&Nonce::from(nonce), secret.as_slice())
        .map_err(|_| Failure::internal("a webhook secret cannot be sealed"))?;
    sealed.extend(encrypted);
    store::insert_secret(context, endpoint_id, sealed, others_expire_at_ms).await?;
    Ok(secret.to_vec())
}

/// The secrets that sign now, newest first.
pub async fn list_secrets(
    context: &Context,
    endpoint_id: &str,
) -> Result<Vec<Vec<u8>>, DatabaseError> {
    let cipher = cipher(context)?;
    store::list_sealed_secrets(context, endpoint_id)
        .await?
        .iter()
        .map(|sealed| {
            let opened = sealed
                .split_at_checked(NONCE_BYTES)
                .and_then(|(nonce, encrypted)| {
                    let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
                    cipher.decrypt(&Nonce::from(nonce), encrypted).ok()
                });
            opened.ok_or_else(|| {
                DatabaseError::Shape(
                    "a webhook secret does not open: was `key_pepper` changed?".to_owned(),
                )
            })
        })
        .collect()
}
