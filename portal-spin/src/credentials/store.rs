//! Credentials in the database.

use shared::credential::{Environment, KeyHash};
use shared::feed::{Change, RemovedCredential};
use shared::ids::{AppId, CredentialId};

use super::model::Credential;
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row};
use crate::edges::feed;
use crate::params;
use crate::web::paging::{PageRequest, finds};

const COLUMNS: &str = "credential_id, app_id, environment, name, prefix, last_four, hash, scopes,
    addresses, expires_at_ms, created_at_ms, created_by, issued_position, activated_at_ms,
    revoked_at_ms, revoked_position, refused_at_ms, rotated_from";

/// What stands in place of a key's prefix where the credential is an OAuth client.
pub const CLIENT_PREFIX: &str = "oauth";

/// Revoked credentials are forgotten by edges after this long: 90 days.
const FORGOTTEN_AFTER_MS: i64 = 90 * 24 * 60 * 60 * 1000;

fn read(row: &Row) -> Result<Credential, DatabaseError> {
    let shape = |what: &str| DatabaseError::Shape(format!("credentials.{what} does not parse"));
    let environment =
        Environment::from_name(&row.get::<String>(2)?).ok_or_else(|| shape("environment"))?;
    let hash: [u8; 16] = row
        .get::<Vec<u8>>(6)?
        .try_into()
        .map_err(|_| shape("hash"))?;
    let scopes: Option<String> = row.get(7)?;
    Ok(Credential {
        id: row.parse(0)?,
        app_id: row.parse(1)?,
        environment,
        name: row.get(3)?,
        prefix: row.get(4)?,
        last_four: row.get(5)?,
        hash: KeyHash(hash),
        scopes: scopes.map(|text| words(&text)),
        addresses: words(&row.get::<String>(8)?),
        expires_at_ms: row.get(9)?,
        created_at_ms: row.get(10)?,
        created_by: row.get(11)?,
        issued_position: row.get(12)?,
        activated_at_ms: row.get(13)?,
        revoked_at_ms: row.get(14)?,
        revoked_position: row.get(15)?,
        refused_at_ms: row.get(16)?,
        rotated_from: row.parse_optional(17)?,
    })
}

/// Neither scopes nor networks hold spaces.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Stores a new credential and tells the edges. Call it inside a transaction.
pub async fn insert(
    connection: &Connection,
    credential: &mut Credential,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    credential.issued_position = feed::publish(
        connection,
        now_ms,
        &Change::Credential(credential.wire(now_ms)),
    )
    .await?;
    connection
        .execute(
            "INSERT INTO credentials (credential_id, app_id, environment, name, prefix, last_four,
                hash, scopes, addresses, expires_at_ms, created_at_ms, created_by, issued_position,
                rotated_from)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            params![
                credential.id.to_string(),
                credential.app_id.to_string(),
                credential.environment.as_str(),
                &credential.name,
                &credential.prefix,
                &credential.last_four,
                credential.hash.0,
                credential.scopes.as_ref().map(|scopes| scopes.join(" ")),
                credential.addresses.join(" "),
                credential.expires_at_ms,
                credential.created_at_ms,
                &credential.created_by,
                credential.issued_position,
                credential.rotated_from.map(|id| id.to_string()),
            ],
        )
        .await?;
    Ok(())
}

/// Sets when a credential ends, if nothing ended it before. Call it inside a transaction, and [`revoke`] behind
/// the audit record.
pub async fn begin_end(
    connection: &Connection,
    credential: &Credential,
    revoked_at_ms: i64,
) -> Result<bool, DatabaseError> {
    let changed = connection
        .execute(
            "UPDATE credentials SET revoked_at_ms = $2 WHERE credential_id = $1 AND revoked_at_ms IS NULL",
            params![credential.id.to_string(), revoked_at_ms],
        )
        .await?;
    Ok(changed == 1)
}

/// Sets when a credential is revoked, and tells the edges. Call it inside a transaction.
pub async fn revoke(
    connection: &Connection,
    credential: &mut Credential,
    revoked_at_ms: i64,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    credential.revoked_at_ms = Some(revoked_at_ms);
    let position = feed::publish(
        connection,
        now_ms,
        &Change::Credential(credential.wire(now_ms)),
    )
    .await?;
    credential.revoked_position = Some(position);
    credential.refused_at_ms = None;
    connection
        .execute(
            "UPDATE credentials SET revoked_at_ms = $2, revoked_position = $3, refused_at_ms = NULL
             WHERE credential_id = $1",
            params![credential.id.to_string(), revoked_at_ms, position],
        )
        .await?;
    Ok(())
}

/// Revokes every credential of an app. Call it inside a transaction.
pub async fn revoke_all(context: &Context, app_id: AppId) -> Result<(), DatabaseError> {
    let now_ms = context.now_ms;
    let sql = format!(
        "SELECT {COLUMNS} FROM credentials WHERE app_id = $1
            AND (revoked_at_ms IS NULL OR revoked_at_ms > $2) ORDER BY credential_id"
    );
    let rows = context
        .connection
        .query(&sql, params![app_id.to_string(), now_ms])
        .await?;
    for row in &rows {
        revoke(&context.connection, &mut read(row)?, now_ms, now_ms).await?;
    }
    Ok(())
}

/// A credential of any kind, revoked or not.
pub async fn find_any(
    connection: &Connection,
    credential_id: CredentialId,
) -> Result<Option<Credential>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM credentials WHERE credential_id = $1");
    let row = connection
        .query_optional(&sql, params![credential_id.to_string()])
        .await?;
    row.as_ref().map(read).transpose()
}

/// A key of an app. OAuth clients are credentials too, but have pages and rules of their own.
pub async fn find(
    connection: &Connection,
    app_id: AppId,
    credential_id: CredentialId,
) -> Result<Option<Credential>, DatabaseError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM credentials WHERE app_id = $1 AND credential_id = $2
            AND prefix <> '{CLIENT_PREFIX}'"
    );
    let row = connection
        .query_optional(&sql, params![app_id.to_string(), credential_id.to_string()])
        .await?;
    row.as_ref().map(read).transpose()
}

/// Keys of an app, newest first.
pub async fn list(
    connection: &Connection,
    app_id: AppId,
    page: &PageRequest,
    environment: &str,
) -> Result<Vec<Credential>, DatabaseError> {
    let found = finds("$3", &["name", "prefix", "last_four", "credential_id"]);
    let sql = format!(
        "SELECT {COLUMNS} FROM credentials WHERE app_id = $1 AND credential_id < $2
            AND prefix <> '{CLIENT_PREFIX}' AND {found} AND ($4 = '' OR environment = $4)
         ORDER BY credential_id DESC LIMIT $5"
    );
    let parameters = params![
        app_id.to_string(),
        page.before.as_str(),
        page.wanted.as_str(),
        environment,
        page.limit_and_one()
    ];
    let rows = connection.query(&sql, parameters).await?;
    rows.iter().map(read).collect()
}

/// How many credentials of an app are neither revoked nor expired.
pub async fn count_standing(
    connection: &Connection,
    app_id: AppId,
    now_ms: i64,
) -> Result<i64, DatabaseError> {
    connection
        .query_one(
            "SELECT COUNT(*) FROM credentials WHERE app_id = $1
                AND (revoked_at_ms IS NULL OR revoked_at_ms > $2)
                AND (expires_at_ms IS NULL OR expires_at_ms > $2)",
            params![app_id.to_string(), now_ms],
        )
        .await?
        .get(0)
}

/// Takes note that every live edge has applied the feed up to `position`: credentials issued up to it
/// are active, and those revoked up to it are refused.
pub async fn mark_applied(
    connection: &Connection,
    position: i64,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "UPDATE credentials SET activated_at_ms = $2
             WHERE activated_at_ms IS NULL AND issued_position <= $1",
            params![position, now_ms],
        )
        .await?;
    connection
        .execute(
            "UPDATE credentials SET refused_at_ms = CASE WHEN revoked_at_ms > $2 THEN revoked_at_ms ELSE $2 END
             WHERE revoked_position IS NOT NULL AND refused_at_ms IS NULL AND revoked_position <= $1",
            params![position, now_ms],
        )
        .await?;
    Ok(())
}

/// Lets edges forget credentials that were revoked long ago, at most 500 at a time. Answers how many.
pub async fn forget_old(connection: &Connection, now_ms: i64) -> Result<u64, DatabaseError> {
    connection
        .transaction(async || {
            let rows = connection
                .query(
                    "SELECT credential_id, hash FROM credentials WHERE forgotten_at_ms IS NULL
                        AND revoked_at_ms < $1 ORDER BY credential_id LIMIT 500",
                    params![now_ms - FORGOTTEN_AFTER_MS],
                )
                .await?;
            for row in &rows {
                let credential: CredentialId = row.parse(0)?;
                let hash: [u8; 16] = row.get::<Vec<u8>>(1)?.try_into().map_err(|_| {
                    DatabaseError::Shape("credentials.hash is not 16 bytes".to_owned())
                })?;
                let change = RemovedCredential {
                    credential,
                    hash: KeyHash(hash),
                };
                feed::publish(connection, now_ms, &Change::CredentialRemoved(change)).await?;
                connection
                    .execute(
                        "UPDATE credentials SET forgotten_at_ms = $2 WHERE credential_id = $1",
                        params![credential.to_string(), now_ms],
                    )
                    .await?;
            }
            Ok(rows.len() as u64)
        })
        .await
}
