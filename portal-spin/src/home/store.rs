//! Questions to several domains' tables, for one page each.

use shared::ids::{AppId, OrganisationId};

use crate::database::{Connection, DatabaseError};
use crate::params;

/// The newest call of an organisation in one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCall {
    pub app_id: String,
    pub at_ms: i64,
    pub method: String,
    pub operation: String,
    pub status: i64,
    pub code: String,
}

/// The newest line of the request log.
pub async fn find_last_call(
    connection: &Connection,
    organisation_id: OrganisationId,
    environment: &str,
) -> Result<Option<LastCall>, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT r.app_id, r.at_ms, r.method, r.operation, r.status, r.code
             FROM apps a JOIN request_samples r ON r.app_id = a.app_id
             WHERE a.organisation_id = $1 AND r.environment = $2 ORDER BY r.at_ms DESC LIMIT 1",
            params![organisation_id, environment],
        )
        .await?;
    row.map(|row| {
        Ok(LastCall {
            app_id: row.get(0)?,
            at_ms: row.get(1)?,
            method: row.get(2)?,
            operation: row.get(3)?,
            status: row.get(4)?,
            code: row.get(5)?,
        })
    })
    .transpose()
}

/// Calls of an organisation since a minute: those that succeeded, those that reached the API, those
/// that the gateway refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    pub succeeded: i64,
    pub answered: i64,
    pub refused: i64,
}

/// Counts them from the cells, as usage page and invoice do.
pub async fn count_calls(
    connection: &Connection,
    organisation_id: OrganisationId,
    environment: &str,
    since_minute: i64,
) -> Result<Calls, DatabaseError> {
    let rows = connection
        .query(
            "SELECT s.outcome, CAST(SUM(c.count) AS BIGINT)
             FROM apps a JOIN usage_series s ON s.app_id = a.app_id
             JOIN usage_cells c ON c.series = s.series
             WHERE a.organisation_id = $1 AND s.environment = $2 AND s.is_call_count = 1
               AND c.minute >= $3 GROUP BY s.outcome",
            params![organisation_id, environment, since_minute],
        )
        .await?;
    let mut calls = Calls::default();
    for row in rows {
        let (outcome, count): (String, i64) = (row.get(0)?, row.get(1)?);
        if crate::metering::is_refusal(&outcome) {
            calls.refused += count;
            continue;
        }
        calls.answered += count;
        if matches!(outcome.as_str(), "2xx" | "3xx") {
            calls.succeeded += count;
        }
    }
    Ok(calls)
}

/// An app of the organisation and its keys of one environment that stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppLine {
    pub app_id: AppId,
    pub name: String,
    pub keys: i64,
    pub live_subscriptions: i64,
}

/// The organisation's apps, oldest first, at most 20.
pub async fn list_apps(
    connection: &Connection,
    organisation_id: OrganisationId,
    environment: &str,
    now_ms: i64,
) -> Result<Vec<AppLine>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT a.app_id, a.name,
                (SELECT COUNT(*) FROM credentials k WHERE k.app_id = a.app_id AND k.environment = $1
                    AND k.revoked_at_ms IS NULL AND (k.expires_at_ms IS NULL OR k.expires_at_ms > $2)),
                (SELECT COUNT(*) FROM subscriptions s WHERE s.app_id = a.app_id
                    AND s.live_from_ms IS NOT NULL AND s.cancelled_at_ms IS NULL)
             FROM apps a WHERE a.organisation_id = $3 AND a.deleted_at_ms IS NULL
             ORDER BY a.app_id LIMIT 20",
            params![environment, now_ms, organisation_id],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(AppLine {
                app_id: row.parse(0)?,
                name: row.get(1)?,
                keys: row.get(2)?,
                live_subscriptions: row.get(3)?,
            })
        })
        .collect()
}

/// One number of a table.
pub async fn count(
    connection: &Connection,
    sql: &str,
    parameters: Vec<crate::database::Value>,
) -> Result<i64, DatabaseError> {
    connection.query_one(sql, parameters).await?.get(0)
}
