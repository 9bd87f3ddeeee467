//! Reads of usage that other domains need.

use std::collections::BTreeSet;

use shared::ids::{AppId, CredentialId};
use shared::plan::Operation;

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
