//! How the API behaves, by operation: what a sandbox needs in order to feel like it.

use std::collections::BTreeMap;

use shared::usage::{LATENCY_BUCKETS, outcome};

use super::cells::parse_latency;
use crate::database::{Connection, DatabaseError};
use crate::params;

/// Calls of one operation, over all partners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// How long answers took that were no errors, by bucket.
    pub latency: [u64; LATENCY_BUCKETS],
    /// How many calls reached the API.
    pub calls: u64,
    /// How many of them it answered with a 5xx.
    pub errors: u64,
}

/// What the gateway counted since a minute, by operation.
pub async fn list_behaviour(
    connection: &Connection,
    environment: &str,
    since_minute: i64,
) -> Result<BTreeMap<String, Behaviour>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT s.operation, s.outcome, c.latency, COUNT(*), CAST(SUM(c.count) AS BIGINT)
             FROM usage_series s JOIN usage_cells c ON c.series = s.series
             WHERE s.environment = $1 AND s.is_call_count = 1 AND s.operation <> ''
                AND s.outcome IN ('1xx', '2xx', '3xx', '4xx', '5xx') AND c.minute >= $2
             GROUP BY s.operation, s.outcome, c.latency",
            params![environment, since_minute],
        )
        .await?;
    let mut found: BTreeMap<String, Behaviour> = BTreeMap::new();
    for row in rows {
        let (operation, word): (String, String) = (row.get(0)?, row.get(1)?);
        let (text, times, calls): (String, u64, u64) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let behaviour = found.entry(operation).or_insert(Behaviour {
            latency: [0; LATENCY_BUCKETS],
            calls: 0,
            errors: 0,
        });
        behaviour.calls += calls;
        if outcome::status_class(&word) == Some(5) {
            behaviour.errors += calls;
            continue;
        }
        for (bucket, calls) in parse_latency(&text) {
            if let Some(sum) = behaviour.latency.get_mut(bucket) {
                *sum += calls * times;
            }
        }
    }
    Ok(found)
}
