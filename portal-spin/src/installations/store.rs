//! Installations in the database.

use serde_json::{Map, Value};
use shared::credential::Environment;
use shared::feed::{self as wire, Change};
use shared::ids::{AppId, CredentialId, InstallationId, PersonId};

use crate::database::{Connection, DatabaseError, Row};
use crate::edges::feed;
use crate::params;
use crate::web::paging::{PageRequest, finds};

/// An installation.
#[derive(Debug, Clone, PartialEq)]
pub struct Installation {
    /// The installation.
    pub id: InstallationId,
    /// The app.
    pub app_id: AppId,
    /// The client it was granted to.
    pub credential_id: CredentialId,
    /// Where its tokens work.
    pub environment: Environment,
    /// The customer.
    pub person_id: PersonId,
    /// Scopes granted.
    pub scopes: Vec<String>,
    /// Answers of the configuration form; secrets sealed.
    pub configuration: Map<String, Value>,
    /// When it was installed.
    pub installed_at_ms: i64,
    /// When it was last configured.
    pub configured_at_ms: i64,
    /// Tokens issued up to this time are refused.
    pub tokens_revoked_at_ms: Option<i64>,
    /// When it was removed.
    pub removed_at_ms: Option<i64>,
    /// The feed position that carries it.
    pub position: i64,
}

const COLUMNS: &str =
    "installation_id, app_id, credential_id, environment, person_id, scopes, configuration,
    installed_at_ms, configured_at_ms, tokens_revoked_at_ms, removed_at_ms, position";

fn read(row: &Row) -> Result<Installation, DatabaseError> {
    let shape = |what: &str| DatabaseError::Shape(format!("installations.{what} does not parse"));
    Ok(Installation {
        id: row.parse(0)?,
        app_id: row.parse(1)?,
        credential_id: row.parse(2)?,
        environment: Environment::from_name(&row.get::<String>(3)?)
            .ok_or_else(|| shape("environment"))?,
        person_id: row.parse(4)?,
        scopes: row
            .get::<String>(5)?
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        configuration: serde_json::from_str(&row.get::<String>(6)?)
            .map_err(|_| shape("configuration"))?,
        installed_at_ms: row.get(7)?,
        configured_at_ms: row.get(8)?,
        tokens_revoked_at_ms: row.get(9)?,
        removed_at_ms: row.get(10)?,
        position: row.get(11)?,
    })
}

async fn find_where(
    connection: &Connection,
    condition: &str,
    parameters: Vec<crate::database::Value>,
) -> Result<Option<Installation>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM installations WHERE {condition}");
    let row = connection.query_optional(&sql, parameters).await?;
    row.as_ref().map(read).transpose()
}

/// An installation, removed or not.
pub async fn find_installation(
    connection: &Connection,
    id: InstallationId,
) -> Result<Option<Installation>, DatabaseError> {
    find_where(connection, "installation_id = $1", params![id]).await
}

/// The customer's installation of this client that stands.
pub async fn find_standing(
    connection: &Connection,
    credential_id: CredentialId,
    person_id: PersonId,
) -> Result<Option<Installation>, DatabaseError> {
    let condition = "credential_id = $1 AND person_id = $2 AND removed_at_ms IS NULL";
    find_where(connection, condition, params![credential_id, person_id]).await
}

/// Installations of a customer that stand, newest first.
pub async fn list_of_person(
    connection: &Connection,
    person_id: PersonId,
    page: &PageRequest,
    environment: &str,
) -> Result<Vec<Installation>, DatabaseError> {
    list_where(
        connection,
        "person_id = $1 AND removed_at_ms IS NULL",
        person_id.to_string(),
        page,
        environment,
    )
    .await
}

/// A page of the installations that a condition on `$1` names: by the app's name, the id and what they
/// may do.
async fn list_where(
    connection: &Connection,
    condition: &str,
    parameter: String,
    page: &PageRequest,
    environment: &str,
) -> Result<Vec<Installation>, DatabaseError> {
    let app = "(SELECT a.name FROM apps a WHERE a.app_id = installations.app_id)";
    let found = finds("$3", &["installation_id", "scopes", app]);
    let sql = format!(
        "SELECT {COLUMNS} FROM installations WHERE {condition} AND installation_id < $2 AND {found}
            AND ($4 = '' OR environment = $4) ORDER BY installation_id DESC LIMIT $5"
    );
    let parameters = params![
        parameter,
        page.before.as_str(),
        page.wanted.as_str(),
        environment,
        page.limit_and_one()
    ];
    let rows = connection.query(&sql, parameters).await?;
    rows.iter().map(read).collect()
}

/// Installations of an app, removed ones too, newest first.
pub async fn list_of_app(
    connection: &Connection,
    app_id: AppId,
    page: &PageRequest,
    environment: &str,
) -> Result<Vec<Installation>, DatabaseError> {
    list_where(
        connection,
        "app_id = $1",
        app_id.to_string(),
        page,
        environment,
    )
    .await
}

/// Stores an installation, new or changed, and tells the edges. Call it inside a transaction, last.
pub async fn publish_installation(
    connection: &Connection,
    installation: &mut Installation,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    let state = wire::Installation {
        installation: installation.id,
        app: installation.app_id,
        scopes: installation.scopes.clone(),
        revoked_at_ms: installation
            .removed_at_ms
            .or(installation.tokens_revoked_at_ms)
            .map(i64::unsigned_abs),
    };
    installation.position = feed::publish(connection, now_ms, &Change::Installation(state)).await?;
    let configuration = Value::Object(installation.configuration.clone()).to_string();
    connection
        .execute(
            "INSERT INTO installations (installation_id, app_id, credential_id, environment, person_id,
                scopes, configuration, installed_at_ms, configured_at_ms, tokens_revoked_at_ms,
                removed_at_ms, position)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (installation_id) DO UPDATE SET
                scopes = excluded.scopes, configuration = excluded.configuration,
                configured_at_ms = excluded.configured_at_ms,
                tokens_revoked_at_ms = excluded.tokens_revoked_at_ms,
                removed_at_ms = excluded.removed_at_ms, position = excluded.position",
            params![
                installation.id,
                installation.app_id,
                installation.credential_id,
                installation.environment.as_str(),
                installation.person_id,
                installation.scopes.join(" "),
                configuration,
                installation.installed_at_ms,
                installation.configured_at_ms,
                installation.tokens_revoked_at_ms,
                installation.removed_at_ms,
                installation.position,
            ],
        )
        .await?;
    Ok(())
}
