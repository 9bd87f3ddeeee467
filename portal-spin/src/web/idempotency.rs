//! `Idempotency-Key` on POST: the same key and body give the same answer again, without a second effect.
//!
//! The stored answer may hold an API key, which must exist nowhere in plain text. It is therefore
//! encrypted under a key made from the idempotency key and the session token, neither of which is
//! stored: only the client that can repeat the request can have the answer read back.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use sha2::{Digest, Sha256};

use super::{Failure, Response};
use crate::context::{Caller, Context};
use crate::params;

/// How long an answer is kept.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// After this long an unfinished first try counts as dead.
const ABANDONED_MS: i64 = 60 * 1000;

/// Runs the handler, once per idempotency key.
pub async fn run(context: &Context) -> Result<Response, Failure> {
    let key = context
        .header("idempotency-key")
        .filter(|key| !key.is_empty());
    let (Some(key), Caller::Person(person)) = (key, &context.caller) else {
        return (context.route.handler)(context).await;
    };
    if context.route.method != http::Method::POST || !context.is_api() {
        return (context.route.handler)(context).await;
    }
    if key.len() > 255 {
        return Err(Failure::field(
            "Idempotency-Key",
            "too_long",
            "Use at most 255 characters.",
        ));
    }
    let place = digest(&["place", &person.person_id.to_string(), key]);
    let request = digest_request(context);
    let connection = &context.connection;
    connection
        .execute(
            "DELETE FROM idempotency_keys WHERE place = $1 AND
                (created_at < $2 OR (response IS NULL AND created_at < $3))",
            params![
                place.clone(),
                context.now_ms - KEPT_MS,
                context.now_ms - ABANDONED_MS
            ],
        )
        .await?;
    let is_first = connection
        .execute(
            "INSERT INTO idempotency_keys (place, request_digest, created_at) VALUES ($1, $2, $3)
             ON CONFLICT (place) DO NOTHING",
            params![place.clone(), request.clone(), context.now_ms],
        )
        .await?
        == 1;
    let cipher = cipher(context, key);
    if !is_first {
        return replay(context, &place, &request, &cipher).await;
    }
    let outcome = (context.route.handler)(context).await;
    match &outcome {
        Ok(response) => {
            let sealed = seal(&cipher, context, response)?;
            connection
                .execute(
                    "UPDATE idempotency_keys SET status = $1, response = $2 WHERE place = $3",
                    params![i64::from(response.status().as_u16()), sealed, place],
                )
                .await?;
        }
        // A refusal changed nothing: the same key may be used for the corrected request.
        Err(_) => {
            connection
                .execute(
                    "DELETE FROM idempotency_keys WHERE place = $1",
                    params![place],
                )
                .await?;
        }
    }
    outcome
}

async fn replay(
    context: &Context,
    place: &[u8],
    request: &[u8],
    cipher: &ChaCha20Poly1305,
) -> Result<Response, Failure> {
    let row = context
        .connection
        .query_optional(
            "SELECT request_digest, status, response FROM idempotency_keys WHERE place = $1",
            params![place],
        )
        .await?;
    let Some(row) = row else {
        return Err(still_running());
    };
    if row.get::<Vec<u8>>(0)? != request {
        return Err(Failure::field(
            "Idempotency-Key",
            "idempotency_key_reused",
            "This key was used for another request. Use a new key for each request.",
        ));
    }
    let (Some(status), Some(sealed)) = (row.get::<Option<u32>>(1)?, row.get::<Option<Vec<u8>>>(2)?)
    else {
        return Err(still_running());
    };
    let unreadable = || {
        Failure::conflict(
            "idempotent_answer_unreadable",
            "The first request with this key was made in another session, so its answer cannot be shown again.",
        )
    };
    let (nonce, text) = sealed.split_at_checked(12).ok_or_else(unreadable)?;
    let nonce = Nonce::try_from(nonce).map_err(|_| unreadable())?;
    let body = cipher.decrypt(&nonce, text).map_err(|_| unreadable())?;
    let status = u16::try_from(status)
        .ok()
        .and_then(|status| http::StatusCode::from_u16(status).ok())
        .ok_or_else(unreadable)?;
    let mut response = super::response::with_body(status, "application/json", body);
    super::response::set_header(
        &mut response,
        http::HeaderName::from_static("idempotency-replayed"),
        "true",
    );
    Ok(response)
}

fn still_running() -> Failure {
    Failure::conflict(
        "request_in_progress",
        "The first request with this idempotency key is still running. Try again in a second.",
    )
}

fn digest(parts: &[&str]) -> Vec<u8> {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    digest.finalize().to_vec()
}

fn digest_request(context: &Context) -> Vec<u8> {
    let mut digest = Sha256::new();
    digest.update(context.request.uri().path().as_bytes());
    digest.update([0]);
    digest.update(context.request.body());
    digest.finalize().to_vec()
}

fn cipher(context: &Context, idempotency_key: &str) -> ChaCha20Poly1305 {
    let token = crate::access::session_token(context).unwrap_or_default();
    let mut digest = Sha256::new();
    for part in ["portico idempotent answer", token.as_str(), idempotency_key] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let key: [u8; 32] = digest.finalize().into();
    ChaCha20Poly1305::new(&Key::from(key))
}

fn seal(
    cipher: &ChaCha20Poly1305,
    context: &Context,
    response: &Response,
) -> Result<Vec<u8>, Failure> {
    let nonce = context.random::<12>();
    let mut sealed = nonce.to_vec();
    let text = cipher
        .encrypt(&Nonce::from(nonce), response.body().as_ref())
        .map_err(|_| Failure::internal("an idempotent answer could not be sealed"))?;
    sealed.extend_from_slice(&text);
    Ok(sealed)
}
