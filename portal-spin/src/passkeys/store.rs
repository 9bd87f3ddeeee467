//! SQL of passkeys and challenges.

use schemars::JsonSchema;
use serde::Serialize;
use shared::ids::PersonId;

use super::ceremony::{KnownPasskey, NewPasskey};
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::encoding::{base64url, hex};
use crate::organisations::sessions::hash_token;
use crate::params;

/// A challenge is answered within this time.
const CHALLENGE_LIFETIME_MS: i64 = 5 * 60 * 1000;

/// A passkey, as its owner sees it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PasskeyView {
    /// Names it.
    pub passkey_id: String,
    /// What its owner calls it.
    pub name: String,
    /// Whether it is kept on several devices.
    pub is_synced: bool,
    /// When it was added.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub created_at: i64,
    /// When it was last used.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub last_used_at: Option<i64>,
}

/// Draws a challenge; for `person_id`'s new passkey, or for logging in.
pub async fn give_challenge(
    context: &Context,
    person_id: Option<PersonId>,
) -> Result<String, DatabaseError> {
    let challenge = base64url(&context.random::<32>());
    let connection = &context.connection;
    connection
        .execute(
            "DELETE FROM passkey_challenges WHERE expires_at_ms <= $1",
            params![context.now_ms],
        )
        .await?;
    connection
        .execute(
            "INSERT INTO passkey_challenges (challenge_hash, person_id, expires_at_ms)
             VALUES ($1, $2, $3)",
            params![
                hash_token(&challenge),
                person_id.map(|id| id.to_string()),
                context.now_ms + CHALLENGE_LIFETIME_MS
            ],
        )
        .await?;
    Ok(challenge)
}

/// Uses a challenge up; `false` if it was not given for this, was used before or is too old.
pub async fn take_challenge(
    context: &Context,
    challenge: &[u8],
    person_id: Option<PersonId>,
) -> Result<bool, DatabaseError> {
    let person_id = person_id.map_or_else(String::new, |id| id.to_string());
    let taken = context
        .connection
        .execute(
            "DELETE FROM passkey_challenges WHERE challenge_hash = $1
                AND COALESCE(person_id, '') = $2 AND expires_at_ms > $3",
            params![hash_token(&base64url(challenge)), person_id, context.now_ms],
        )
        .await?;
    Ok(taken == 1)
}

/// Stores a new passkey. Answers its id, or `None` if the authenticator's credential is known already.
pub async fn insert_passkey(
    context: &Context,
    person_id: PersonId,
    name: &str,
    new: &NewPasskey,
) -> Result<Option<String>, DatabaseError> {
    let passkey_id = format!("pky_{:012x}{}", context.now_ms, hex(&context.random::<8>()));
    let added = context
        .connection
        .execute(
            "INSERT INTO passkeys (passkey_id, person_id, credential_id, public_key, sign_count,
                is_synced, name, created_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (credential_id) DO NOTHING",
            params![
                passkey_id.as_str(),
                person_id,
                new.credential_id.as_slice(),
                new.public_key.as_slice(),
                new.sign_count,
                i64::from(new.is_synced),
                name,
                context.now_ms,
            ],
        )
        .await?;
    Ok((added == 1).then_some(passkey_id))
}

/// A person's passkeys, oldest first.
pub async fn list_passkeys(
    connection: &Connection,
    person_id: PersonId,
) -> Result<Vec<PasskeyView>, DatabaseError> {
    connection
        .query(
            "SELECT passkey_id, name, is_synced, created_at_ms, last_used_at_ms FROM passkeys
             WHERE person_id = $1 ORDER BY passkey_id LIMIT 100",
            params![person_id],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(PasskeyView {
                passkey_id: row.get(0)?,
                name: row.get(1)?,
                is_synced: row.get(2)?,
                created_at: row.get(3)?,
                last_used_at: row.get(4)?,
            })
        })
        .collect()
}

/// The authenticators' ids of a person's passkeys: none of them is registered twice.
pub async fn list_credential_ids(
    connection: &Connection,
    person_id: PersonId,
) -> Result<Vec<Vec<u8>>, DatabaseError> {
    connection
        .query(
            "SELECT credential_id FROM passkeys WHERE person_id = $1 ORDER BY passkey_id LIMIT 100",
            params![person_id],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// The passkey that an authenticator names, and whose it is.
pub async fn find_passkey(
    connection: &Connection,
    credential_id: &[u8],
) -> Result<Option<(String, PersonId, KnownPasskey)>, DatabaseError> {
    connection
        .query_optional(
            "SELECT k.passkey_id, k.person_id, k.public_key, k.sign_count FROM passkeys k
             JOIN people p ON p.person_id = k.person_id
             WHERE k.credential_id = $1 AND p.disabled_at IS NULL",
            params![credential_id],
        )
        .await?
        .map(|row| {
            let known = KnownPasskey {
                public_key: row.get(2)?,
                sign_count: row.get(3)?,
            };
            Ok((row.get(0)?, row.parse(1)?, known))
        })
        .transpose()
}

/// Notes a use. `false` if another use with as high a counter came first.
pub async fn note_use(
    context: &Context,
    passkey_id: &str,
    before: u32,
    sign_count: u32,
) -> Result<bool, DatabaseError> {
    let changed = context
        .connection
        .execute(
            "UPDATE passkeys SET sign_count = $1, last_used_at_ms = $2
             WHERE passkey_id = $3 AND sign_count = $4",
            params![sign_count, context.now_ms, passkey_id, before],
        )
        .await?;
    Ok(changed == 1)
}

/// Removes a person's passkey.
pub async fn delete_passkey(
    connection: &Connection,
    person_id: PersonId,
    passkey_id: &str,
) -> Result<bool, DatabaseError> {
    let removed = connection
        .execute(
            "DELETE FROM passkeys WHERE passkey_id = $1 AND person_id = $2",
            params![passkey_id, person_id],
        )
        .await?;
    Ok(removed == 1)
}
