//! Visitors: opened by a call, claimed by a registration, swept after a day.

use shared::ids::{AppId, OrganisationId};

use crate::apps;
use crate::context::Context;
use crate::credentials::{self, Credential};
use crate::database::DatabaseError;
use crate::encoding::base64url;
use crate::organisations::sessions::hash_token;
use crate::organisations::store::insert_organisation;
use crate::web::Failure;
use crate::{audit, params, reactions};

/// A visitor's key works this long, and can be claimed this long.
pub const LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;
/// So many are swept by one tick.
const SWEPT_AT_ONCE: i64 = 50;

/// Somebody without an account.
#[derive(Debug, Clone, Copy)]
pub struct Visitor {
    /// Nobody's yet.
    pub organisation_id: OrganisationId,
    /// Its only app.
    pub app_id: AppId,
    /// Until when it can be claimed, Unix milliseconds.
    pub expires_at: i64,
}

/// Opens a visitor; the token claims it.
pub async fn open(context: &Context) -> Result<(Visitor, String), Failure> {
    let token = base64url(&context.random::<32>());
    let connection = &context.connection;
    let organisation_id = connection
        .transaction(async || {
            let organisation_id = insert_organisation(context, "Visitor", "visitor").await?;
            reactions::organisation_created(context, organisation_id).await?;
            Ok::<_, Failure>(organisation_id)
        })
        .await?;
    let app = apps::create_first(context, organisation_id).await?;
    let visitor = Visitor {
        organisation_id,
        app_id: app.id,
        expires_at: context.now_ms + LIFETIME_MS,
    };
    connection
        .execute(
            "INSERT INTO visitors (organisation_id, app_id, token_hash, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5)",
            params![
                organisation_id,
                visitor.app_id.to_string(),
                hash_token(&token),
                context.now_ms,
                visitor.expires_at,
            ],
        )
        .await?;
    Ok((visitor, token))
}

/// A test key for a visitor.
pub async fn issue_key(
    context: &Context,
    visitor: &Visitor,
) -> Result<(Credential, String), Failure> {
    let app = apps::find_app(&context.connection, visitor.app_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let (credential, key) = credentials::issue_first(context, &app).await?;
    Ok((credential, key.expose().to_owned()))
}

/// The visitor that a token can still claim.
pub async fn find_open(context: &Context, token: &str) -> Result<Option<Visitor>, DatabaseError> {
    if token.is_empty() {
        return Ok(None);
    }
    context
        .connection
        .query_optional(
            "SELECT organisation_id, app_id, expires_at FROM visitors
             WHERE token_hash = $1 AND claimed_at IS NULL AND expires_at > $2",
            params![hash_token(token), context.now_ms],
        )
        .await?
        .map(|row| {
            Ok(Visitor {
                organisation_id: row.parse(0)?,
                app_id: row.parse(1)?,
                expires_at: row.get(2)?,
            })
        })
        .transpose()
}

/// Gives a visitor's organisation to who has just registered: `false` if it has been claimed already or
/// its day is over. Call it inside the transaction of the registration.
pub async fn claim(
    context: &Context,
    organisation_id: OrganisationId,
    name: &str,
    source: &str,
) -> Result<bool, DatabaseError> {
    let connection = &context.connection;
    let claimed = connection
        .execute(
            "UPDATE visitors SET claimed_at = $1
             WHERE organisation_id = $2 AND claimed_at IS NULL AND expires_at > $1",
            params![context.now_ms, organisation_id],
        )
        .await?
        == 1;
    if claimed {
        connection
            .execute(
                "UPDATE organisations SET name = $1, source = $2, created_at = $3
                 WHERE organisation_id = $4",
                params![name, source, context.now_ms, organisation_id],
            )
            .await?;
    }
    Ok(claimed)
}

/// Revokes the keys of visitors whose day is over; how many visitors.
pub async fn sweep(context: &Context) -> Result<u64, DatabaseError> {
    let connection = &context.connection;
    let rows = connection
        .query(
            "SELECT organisation_id, app_id FROM visitors
             WHERE claimed_at IS NULL AND swept_at IS NULL AND expires_at <= $1
             ORDER BY expires_at LIMIT $2",
            params![context.now_ms, SWEPT_AT_ONCE],
        )
        .await?;
    let mut swept = 0;
    for row in rows {
        let organisation_id: OrganisationId = row.parse(0)?;
        let app_id: AppId = row.parse(1)?;
        swept += connection
            .transaction(async || {
                let is_first = connection
                    .execute(
                        "UPDATE visitors SET swept_at = $1
                         WHERE organisation_id = $2 AND claimed_at IS NULL AND swept_at IS NULL",
                        params![context.now_ms, organisation_id],
                    )
                    .await?;
                if is_first == 1 {
                    audit::record(
                        context,
                        Some(organisation_id),
                        "visitor.ended",
                        &organisation_id.to_string(),
                        serde_json::json!({}),
                    )
                    .await?;
                    credentials::revoke_all(context, app_id).await?;
                }
                Ok::<_, DatabaseError>(is_first)
            })
            .await?;
    }
    Ok(swept)
}
