//! Reads of usage that other domains need.

use std::collections::BTreeSet;

use shared::ids::{AppId, CredentialId};
use shared::plan::Operation;

use super::spans::{Coarsest, Span};
use crate::database::{Connection, DatabaseError};
use crate::params;
use crate::subscriptions::SandboxFacts;

/// Calls of an edge boot that are counted, refused ones included.
pub async fn counted_calls(
    connection: &Connection,
    edge_boot_id: &str,
) -> Result<i64, DatabaseError> {
    connection
        .query_one(
            "SELECT COALESCE(CAST(SUM(c.count) AS BIGINT), 0) FROM usage_series s
             JOIN usage_cells c ON c.series = s.series
             WHERE s.edge_boot_id = $1 AND s.is_call_count = 1",
            params![edge_boot_id],
        )
        .await?
        .get(0)
}

/// The minute of a credential's last call, as Unix milliseconds.
pub async fn last_used(
    connection: &Connection,
    credential_id: CredentialId,
) -> Result<Option<i64>, DatabaseError> {
    let minute: Option<i64> = connection
        .query_one(
            "SELECT MAX(c.minute) FROM usage_series s JOIN usage_cells c ON c.series = s.series
             WHERE s.credential_id = $1",
            params![credential_id.to_string()],
        )
        .await?
        .get(0)?;
    Ok(minute.map(|minute| minute.saturating_mul(60_000)))
}

/// What an app did in the sandbox with these operations.
pub async fn sandbox_facts(
    connection: &Connection,
    app_id: AppId,
    operations: &[Operation],
) -> Result<SandboxFacts, DatabaseError> {
    let rows = connection
        .query(
            "SELECT s.operation, s.outcome, CAST(SUM(c.count) AS BIGINT), MAX(c.minute)
             FROM usage_series s JOIN usage_cells c ON c.series = s.series
             WHERE s.app_id = $1 AND s.environment = 'test' AND s.is_call_count = 1
             GROUP BY s.operation, s.outcome",
            params![app_id.to_string()],
        )
        .await?;
    let mut facts = SandboxFacts {
        operations: operations.len() as u64,
        ..SandboxFacts::default()
    };
    let mut tried: BTreeSet<String> = BTreeSet::new();
    for row in rows {
        let operation: String = row.get(0)?;
        if !operations.iter().any(|known| known.name == operation) {
            continue;
        }
        let (outcome, calls, minute): (String, u64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        match outcome.as_str() {
            "2xx" | "3xx" => {
                facts.calls += calls;
                facts.successes += calls;
                facts.last_success_minute = facts.last_success_minute.max(Some(minute));
                tried.insert(operation);
            }
            "4xx" => {
                facts.calls += calls;
                facts.last_client_error_minute = facts.last_client_error_minute.max(Some(minute));
            }
            "1xx" | "5xx" | "aborted" => facts.calls += calls,
            "rate_limited" => {
                facts.last_rate_limit_minute = facts.last_rate_limit_minute.max(Some(minute));
            }
            _ => {}
        }
    }
    facts.operations_tried = tried.len() as u64;
    Ok(facts)
}

/// Days whose hours were rolled up or made again since they were last taken, oldest first. Call it inside
/// the transaction that reads them: a day that changes later comes again.
pub async fn take_changed_days(
    connection: &Connection,
    limit: i64,
) -> Result<Vec<i64>, DatabaseError> {
    let mut days = connection
        .query(
            "DELETE FROM usage_changed_days WHERE day IN (
                SELECT day FROM usage_changed_days ORDER BY day LIMIT $1) RETURNING day",
            params![limit],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect::<Result<Vec<i64>, _>>()?;
    days.sort_unstable();
    Ok(days)
}

/// Sums the calls of known apps in whole days into another domain's table. `select` and `tail` read `c`:
/// the series' columns, `minute`, `count`; each call is counted once.
pub async fn insert_calls_of_days(
    connection: &Connection,
    table: &str,
    select: &str,
    tail: &str,
    days: std::ops::Range<i64>,
) -> Result<u64, DatabaseError> {
    // Boots that ended before have nothing in these days: without them, what a day costs does not grow with
    // the programme's age.
    Span {
        select,
        scope: "s.app_id <> '' AND s.is_call_count = 1 AND s.edge_boot_id IN (
            SELECT edge_boot_id FROM usage_rollups WHERE last_minute >= $1)",
        group: tail,
        scope_parameters: params![days.start * 1_440],
        from: days.start * 1_440,
        to: days.end * 1_440,
        coarsest: Coarsest::Day,
    }
    .insert_into(connection, table)
    .await
}
