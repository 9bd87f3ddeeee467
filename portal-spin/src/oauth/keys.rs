//! The keys that sign access tokens, and their rotation.
//!
//! Each key is derived from the variable `signing_seed` and its number, so the database holds no
//! secret. Edges and clients always know the next key too: a rotation needs no waiting.

use p256::ecdsa::SigningKey;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::feed::Change;

use crate::agreements::signing;
use crate::audit;
use crate::configuration::Configuration;
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::edges::feed;
use crate::encoding::{base64url, hex};
use crate::params;
use crate::routes::Outcome;
use crate::web::{Failure, response};

/// A key is replaced after this long: 90 days.
const ROTATED_AFTER_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// The former key verifies for this long: a day, where access tokens live ten minutes.
const VERIFIES_FOR_MS: i64 = 24 * 60 * 60 * 1000;

/// The key in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Current {
    number: i64,
    from_ms: i64,
}

/// A signing key and its name.
pub struct NamedKey {
    /// The private key.
    pub key: SigningKey,
    /// Its `kid`.
    pub kid: String,
}

/// The key in use, in JSON.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyView {
    /// Its `kid`.
    pub kid: String,
    /// Since when it signs.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub from: i64,
}

fn derive(configuration: &Configuration, number: i64) -> Result<NamedKey, Failure> {
    let seed = signing::signing_key(configuration)?.to_bytes();
    // A digest is no scalar of P-256 about once in 2^32: then the next one is tried.
    for attempt in 0u8..8 {
        let mut digest = Sha256::new();
        digest.update(b"portico access token key\0");
        digest.update(seed);
        digest.update(number.to_be_bytes());
        digest.update([attempt]);
        if let Ok(key) = SigningKey::from_slice(&digest.finalize()) {
            let point = key.verifying_key().to_encoded_point(true);
            let print = hex(&Sha256::digest(point.as_bytes()));
            let kid = format!("at-{number}-{}", print.get(..8).unwrap_or_default());
            return Ok(NamedKey { key, kid });
        }
    }
    Err(Failure::internal("no access token key can be derived"))
}

fn public_jwk(named: &NamedKey) -> Value {
    let point = named.key.verifying_key().to_encoded_point(false);
    let part = |bytes: Option<&[u8]>| base64url(bytes.unwrap_or_default());
    json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": named.kid,
        "x": part(point.x().map(|x| &x[..])), "y": part(point.y().map(|y| &y[..])),
    })
}

async fn find_current(connection: &Connection) -> Result<Option<Current>, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT number, from_ms FROM oauth_keys ORDER BY number DESC LIMIT 1",
            vec![],
        )
        .await?;
    row.map(|row| {
        Ok(Current {
            number: row.get(0)?,
            from_ms: row.get(1)?,
        })
    })
    .transpose()
}

/// Current, next, and the former while it verifies.
fn key_set(configuration: &Configuration, current: Current, now_ms: i64) -> Result<Value, Failure> {
    let mut numbers = vec![current.number, current.number + 1];
    if current.number > 1 && now_ms < current.from_ms + VERIFIES_FOR_MS {
        numbers.push(current.number - 1);
    }
    let keys: Result<Vec<Value>, Failure> = numbers
        .into_iter()
        .map(|number| Ok(public_jwk(&derive(configuration, number)?)))
        .collect();
    Ok(json!({ "keys": keys? }))
}

/// The public keys in force.
pub async fn public_keys(context: &Context) -> Result<Value, Failure> {
    let current = find_current(&context.connection).await?.unwrap_or(Current {
        number: 1,
        from_ms: context.now_ms,
    });
    key_set(context.configuration(), current, context.now_ms)
}

/// The key that signs now.
pub async fn current_key(context: &Context) -> Result<NamedKey, Failure> {
    ensure_keys_published(context).await?;
    let current = find_current(&context.connection).await?;
    derive(
        context.configuration(),
        current.map_or(1, |current| current.number),
    )
}

/// Begins the first key, replaces an old one, and tells edges the set if they do not have it.
pub async fn ensure_keys_published(context: &Context) -> Result<(), Failure> {
    let connection = &context.connection;
    let current = find_current(connection).await?;
    let is_due = current.is_none_or(|current| context.now_ms > current.from_ms + ROTATED_AFTER_MS);
    if !is_due {
        let change = Change::Jwks(public_keys(context).await?);
        if feed::find_head(connection, &change.key()).await?.as_ref() == Some(&change) {
            return Ok(());
        }
    }
    connection
        .transaction(async || {
            if is_due {
                let number = current.map_or(1, |current| current.number + 1);
                begin_key(connection, number, context.now_ms).await?;
            }
            publish(context).await
        })
        .await
}

async fn begin_key(connection: &Connection, number: i64, now_ms: i64) -> Result<(), DatabaseError> {
    connection
        .execute(
            "INSERT INTO oauth_keys (number, from_ms) VALUES ($1, $2) ON CONFLICT (number) DO NOTHING",
            params![number, now_ms],
        )
        .await?;
    Ok(())
}

async fn publish(context: &Context) -> Result<(), Failure> {
    let change = Change::Jwks(public_keys(context).await?);
    feed::publish(&context.connection, context.now_ms, &change).await?;
    Ok(())
}

/// `POST /api/v1/operator/oauth-keys/rotations`
pub async fn rotate_keys(context: &Context) -> Outcome {
    let number = find_current(&context.connection)
        .await?
        .map_or(1, |current| current.number + 1);
    let named = derive(context.configuration(), number)?;
    context
        .connection
        .transaction(async || {
            audit::record(context, None, "oauth_key.rotated", &named.kid, json!({})).await?;
            begin_key(&context.connection, number, context.now_ms).await?;
            publish(context).await
        })
        .await?;
    response::created(&KeyView {
        kid: named.kid,
        from: context.now_ms,
    })
}
