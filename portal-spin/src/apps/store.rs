//! Apps in the database.

use shared::feed::{self as wire, Change};
use shared::ids::{AppId, OrganisationId};

use crate::database::{Connection, DatabaseError, Row};
use crate::edges::feed;
use crate::params;
use crate::web::paging::{PageRequest, finds};

/// An app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// The app.
    pub id: AppId,
    /// Its owner.
    pub organisation_id: OrganisationId,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// When it was created.
    pub created_at_ms: i64,
    /// When its credentials began to be refused.
    pub suspended_at_ms: Option<i64>,
    /// When it was deleted.
    pub deleted_at_ms: Option<i64>,
}

const COLUMNS: &str =
    "app_id, organisation_id, name, description, created_at_ms, suspended_at_ms, deleted_at_ms";

fn read(row: &Row) -> Result<App, DatabaseError> {
    Ok(App {
        id: row.parse(0)?,
        organisation_id: row.parse(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        created_at_ms: row.get(4)?,
        suspended_at_ms: row.get(5)?,
        deleted_at_ms: row.get(6)?,
    })
}

/// Stores an app, new or changed, and tells the edges. Call it inside a transaction.
pub async fn put(connection: &Connection, app: &App, now_ms: i64) -> Result<(), DatabaseError> {
    connection
        .execute(
            "INSERT INTO apps (app_id, organisation_id, name, description, created_at_ms)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (app_id) DO UPDATE SET name = excluded.name, description = excluded.description",
            params![
                app.id.to_string(),
                app.organisation_id.to_string(),
                &app.name,
                &app.description,
                app.created_at_ms,
            ],
        )
        .await?;
    connection
        .execute(
            "UPDATE apps SET suspended_at_ms = $2, deleted_at_ms = $3 WHERE app_id = $1",
            params![app.id.to_string(), app.suspended_at_ms, app.deleted_at_ms],
        )
        .await?;
    let state = wire::App {
        app: app.id,
        organisation: app.organisation_id,
        suspended: app.suspended_at_ms.is_some() || app.deleted_at_ms.is_some(),
    };
    feed::publish(connection, now_ms, &Change::App(state)).await?;
    Ok(())
}

/// An app by id, unless it was deleted.
pub async fn find_app(
    connection: &Connection,
    app_id: AppId,
) -> Result<Option<App>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM apps WHERE app_id = $1 AND deleted_at_ms IS NULL");
    let row = connection
        .query_optional(&sql, params![app_id.to_string()])
        .await?;
    row.as_ref().map(read).transpose()
}

/// Apps of an organisation, newest first.
pub async fn list(
    connection: &Connection,
    organisation_id: OrganisationId,
    page: &PageRequest,
    state: &str,
) -> Result<Vec<App>, DatabaseError> {
    let found = finds("$3", &["name", "description", "app_id"]);
    let sql = format!(
        "SELECT {COLUMNS} FROM apps WHERE organisation_id = $1 AND app_id < $2
            AND deleted_at_ms IS NULL AND {found}
            AND ($4 = '' OR $4 = CASE WHEN suspended_at_ms IS NULL THEN 'active' ELSE 'suspended' END)
         ORDER BY app_id DESC LIMIT $5"
    );
    let parameters = params![
        organisation_id.to_string(),
        page.before.as_str(),
        page.wanted.as_str(),
        state,
        page.limit_and_one()
    ];
    let rows = connection.query(&sql, parameters).await?;
    rows.iter().map(read).collect()
}
