//! Reports in the database.

use shared::ids::ProductId;

use super::model::Report;
use crate::database::{Connection, DatabaseError};
use crate::params;

/// A report, the version of the product it is about, and when it came.
pub type Stored = (Report, i64, i64);

/// Stores the report of a version, in place of an older one.
pub async fn put(
    connection: &Connection,
    product_id: ProductId,
    version: i64,
    report: &Report,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    let body =
        serde_json::to_string(report).map_err(|error| DatabaseError::Schema(error.to_string()))?;
    connection
        .execute(
            "INSERT INTO fidelity_reports (product_id, version, body, reported_at_ms)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (product_id, version) DO UPDATE SET body = excluded.body,
                reported_at_ms = excluded.reported_at_ms",
            params![product_id.to_string(), version, body, now_ms],
        )
        .await?;
    Ok(())
}

/// The report of a version, or of the newest one before it that has a report.
pub async fn find(
    connection: &Connection,
    product_id: ProductId,
    version: i64,
) -> Result<Option<Stored>, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT body, version, reported_at_ms FROM fidelity_reports
             WHERE product_id = $1 AND version <= $2 ORDER BY version DESC LIMIT 1",
            params![product_id.to_string(), version],
        )
        .await?;
    row.map(|row| {
        let body: String = row.get(0)?;
        let report = serde_json::from_str(&body)
            .map_err(|error| DatabaseError::Schema(error.to_string()))?;
        Ok((report, row.get(1)?, row.get(2)?))
    })
    .transpose()
}
