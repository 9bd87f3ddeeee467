//! Sessions: a random 256-bit token in the client, its SHA-256 in the database, an idle and an
//! absolute limit (ASVS 5.0, 7.3).

use sha2::{Digest, Sha256};
use shared::ids::{OrganisationId, PersonId, SessionId};

use super::model::{MemberRole, OperatorRole};
use crate::context::{Context, SignedIn};
use crate::database::{Connection, DatabaseError};
use crate::encoding::base64url;
use crate::params;
use crate::web::{csrf, languages};

/// A session ends after this long without a request.
pub const IDLE_LIMIT_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// A session ends after this long in any case.
pub const ABSOLUTE_LIMIT_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// `last_seen_at` is written at most this often.
const TOUCH_EVERY_MS: i64 = 60 * 1000;

/// What is stored of a token. Tokens are random, so a fast hash is enough.
pub fn hash_token(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// Starts a session and answers its token, which exists nowhere else.
pub async fn start_session(
    context: &Context,
    person_id: PersonId,
    second_factor_at: Option<i64>,
) -> Result<(SessionId, String), DatabaseError> {
    let token = base64url(&context.random::<32>());
    let session_id = context.new_id(SessionId::new);
    context
        .connection
        .execute(
            "INSERT INTO sessions (session_id, token_hash, person_id, created_at, last_seen_at,
                expires_at, address, user_agent, second_factor_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                session_id,
                hash_token(&token),
                person_id,
                context.now_ms,
                context.now_ms,
                context.now_ms + ABSOLUTE_LIMIT_MS,
                context.address(),
                context.user_agent(),
                second_factor_at,
            ],
        )
        .await?;
    Ok((session_id, token))
}

/// Notes that the person of this request has just shown a second factor in this session.
pub async fn note_second_factor(context: &Context) -> Result<(), DatabaseError> {
    let Some(person) = context.person_optional() else {
        return Ok(());
    };
    context
        .connection
        .execute(
            "UPDATE sessions SET second_factor_at = $1 WHERE session_id = $2",
            params![context.now_ms, person.session_id],
        )
        .await?;
    Ok(())
}

/// The person of a token, if its session is alive.
pub async fn find_signed_in(
    context: &Context,
    token: &str,
) -> Result<Option<SignedIn>, DatabaseError> {
    let row = context
        .connection
        .query_optional(
            "SELECT s.session_id, s.person_id, p.email, p.name, s.last_seen_at,
                (SELECT COUNT(*) FROM operator_members o WHERE o.person_id = p.person_id),
                s.second_factor_at, p.language
             FROM sessions s JOIN people p ON p.person_id = s.person_id
             WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND p.disabled_at IS NULL
                AND s.expires_at > $2 AND s.last_seen_at > $3",
            params![
                hash_token(token),
                context.now_ms,
                context.now_ms - IDLE_LIMIT_MS
            ],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let session_id: SessionId = row.parse(0)?;
    let person_id: PersonId = row.parse(1)?;
    if row.get::<i64>(4)? < context.now_ms - TOUCH_EVERY_MS {
        context
            .connection
            .execute(
                "UPDATE sessions SET last_seen_at = $1 WHERE session_id = $2",
                params![context.now_ms, session_id],
            )
            .await?;
    }
    let operator_roles = if row.get::<i64>(5)? > 0 {
        list_operator_roles(&context.connection, person_id).await?
    } else {
        Vec::new()
    };
    Ok(Some(SignedIn {
        person_id,
        session_id,
        email: row.get(2)?,
        name: row.get(3)?,
        operator_roles,
        membership: None,
        csrf_token: csrf::token_of(token),
        has_second_factor: row.get::<Option<i64>>(6)?.is_some(),
        language: languages::find(&row.get::<String>(7)?),
    }))
}

/// A person's roles on the operator's side.
pub async fn list_operator_roles(
    connection: &Connection,
    person_id: PersonId,
) -> Result<Vec<OperatorRole>, DatabaseError> {
    connection
        .query(
            "SELECT role FROM operator_members WHERE person_id = $1",
            params![person_id],
        )
        .await?
        .iter()
        .map(|row| row.parse(0))
        .collect()
}

/// A person's role in an organisation.
pub async fn find_member_role(
    connection: &Connection,
    organisation_id: OrganisationId,
    person_id: PersonId,
) -> Result<Option<MemberRole>, DatabaseError> {
    connection
        .query_optional(
            "SELECT role FROM members WHERE organisation_id = $1 AND person_id = $2",
            params![organisation_id, person_id],
        )
        .await?
        .map(|row| row.parse(0))
        .transpose()
}
