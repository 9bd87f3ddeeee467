//! Families: every token that descends from one authorization code, ended together.

use shared::ids::{CredentialId, InstallationId};

use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::encoding::base64url;
use crate::installations::{Installation, find_installation, publish_installation};
use crate::organisations::sessions::hash_token;
use crate::params;

/// A refresh token works for this long: 90 days. Each use gives a new one.
pub const REFRESH_LIFE_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// What descends from one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub id: String,
    /// The client.
    pub credential_id: CredentialId,
    /// The installation.
    pub installation_id: InstallationId,
    /// Scopes granted.
    pub scopes: Vec<String>,
    /// When all of it was revoked.
    pub revoked_at_ms: Option<i64>,
}

/// Begins a family.
pub async fn begin_family(
    context: &Context,
    installation: &Installation,
) -> Result<String, DatabaseError> {
    let id = base64url(&context.random::<16>());
    context
        .connection
        .execute(
            "INSERT INTO oauth_families (family_id, credential_id, installation_id, scopes, created_at_ms)
             VALUES ($1, $2, $3, $4, $5)",
            params![
                &id,
                installation.credential_id,
                installation.id,
                installation.scopes.join(" "),
                context.now_ms
            ],
        )
        .await?;
    Ok(id)
}

/// A family by name.
pub async fn find_family(
    connection: &Connection,
    id: &str,
) -> Result<Option<Family>, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT family_id, credential_id, installation_id, scopes, revoked_at_ms
             FROM oauth_families WHERE family_id = $1",
            params![id],
        )
        .await?;
    row.map(|row| {
        let scopes: String = row.get(3)?;
        Ok(Family {
            id: row.get(0)?,
            credential_id: row.parse(1)?,
            installation_id: row.parse(2)?,
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
            revoked_at_ms: row.get(4)?,
        })
    })
    .transpose()
}

/// A new refresh token of a family. It exists in the answer and in the client only.
pub async fn issue_refresh_token(
    context: &Context,
    family_id: &str,
) -> Result<String, DatabaseError> {
    let token = format!("prt_{}", base64url(&context.random::<32>()));
    context
        .connection
        .execute(
            "INSERT INTO oauth_refresh_tokens (token_hash, family_id, issued_at_ms, expires_at_ms)
             VALUES ($1, $2, $3, $4)",
            params![
                hash_token(&token),
                family_id,
                context.now_ms,
                context.now_ms + REFRESH_LIFE_MS
            ],
        )
        .await?;
    Ok(token)
}

/// Ends one family: its refresh tokens, and at the edges every access token of the installation issued
/// until now. Call it inside a transaction.
pub async fn revoke_family(context: &Context, family: &Family) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    connection
        .execute(
            "UPDATE oauth_families SET revoked_at_ms = $2 WHERE family_id = $1 AND revoked_at_ms IS NULL",
            params![&family.id, context.now_ms],
        )
        .await?;
    end_access_tokens(context, family.installation_id).await
}

/// At the edges, refuses every access token of an installation issued until now. Inside a transaction.
pub async fn end_access_tokens(context: &Context, id: InstallationId) -> Result<(), DatabaseError> {
    if let Some(mut installation) = find_installation(&context.connection, id).await? {
        installation.tokens_revoked_at_ms = Some(context.now_ms);
        publish_installation(&context.connection, &mut installation, context.now_ms).await?;
    }
    Ok(())
}

/// Ends every token of an installation and tells the edges its state. Call it inside a transaction, last.
pub async fn revoke_installation_tokens(
    context: &Context,
    installation: &mut Installation,
) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "UPDATE oauth_families SET revoked_at_ms = $2
             WHERE installation_id = $1 AND revoked_at_ms IS NULL",
            params![installation.id, context.now_ms],
        )
        .await?;
    installation.tokens_revoked_at_ms = Some(context.now_ms);
    publish_installation(&context.connection, installation, context.now_ms).await
}
