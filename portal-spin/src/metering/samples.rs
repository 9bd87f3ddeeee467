//! The request log.

use std::collections::HashMap;

use shared::usage::RequestSample;

use crate::database::{Connection, DatabaseError, Value, placeholders};
use crate::params;

/// How long the log reaches back: 14 days.
const KEPT_MS: i64 = 14 * 24 * 60 * 60 * 1000;
/// How many lines an app has at most.
pub const KEPT_PER_APP: i64 = 2_000;
const ROWS_PER_STATEMENT: usize = 300;

/// Stores samples of known credentials. Call it inside a transaction.
pub async fn keep_samples(
    connection: &Connection,
    edge_name: &str,
    samples: &[RequestSample],
) -> Result<(), DatabaseError> {
    for chunk in samples.chunks(ROWS_PER_STATEMENT) {
        let owners = find_owners(connection, chunk).await?;
        let mut parameters = Vec::new();
        let mut rows = 0;
        for sample in chunk {
            let Some(credential) = sample.credential.map(|id| id.to_string()) else {
                continue;
            };
            let Some((app_id, environment)) = owners.get(&credential) else {
                continue;
            };
            rows += 1;
            parameters.extend(params![
                app_id,
                i64::try_from(sample.at_ms).unwrap_or(i64::MAX),
                &sample.request_id,
                &credential,
                sample
                    .installation
                    .map(|id| id.to_string())
                    .unwrap_or_default(),
                environment,
                &sample.operation,
                &sample.method,
                i64::from(sample.status),
                sample.code.clone().unwrap_or_default(),
                i64::try_from(sample.latency_us).unwrap_or(i64::MAX),
                edge_name,
            ]);
        }
        if rows == 0 {
            continue;
        }
        let sql = format!(
            "INSERT INTO request_samples (app_id, at_ms, request_id, credential_id, installation_id,
                environment, operation, method, status, code, latency_us, edge_name)
             VALUES {} ON CONFLICT (app_id, at_ms, request_id) DO NOTHING",
            placeholders(rows, 12)
        );
        connection.execute(&sql, parameters).await?;
    }
    Ok(())
}

async fn find_owners(
    connection: &Connection,
    samples: &[RequestSample],
) -> Result<HashMap<String, (String, String)>, DatabaseError> {
    let mut ids: Vec<String> = samples
        .iter()
        .filter_map(|sample| Some(sample.credential?.to_string()))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let list: Vec<String> = (1..=ids.len()).map(|place| format!("${place}")).collect();
    let sql = format!(
        "SELECT credential_id, app_id, environment FROM credentials WHERE credential_id IN ({})",
        list.join(", ")
    );
    let rows = connection
        .query(&sql, ids.into_iter().map(Value::from).collect())
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
        .collect()
}

/// Forgets lines that are too old, and of each app those beyond its share. Answers how many.
pub async fn drop_old(connection: &Connection, now_ms: i64) -> Result<u64, DatabaseError> {
    let mut dropped = connection
        .execute(
            "DELETE FROM request_samples WHERE at_ms < $1",
            params![now_ms - KEPT_MS],
        )
        .await?;
    let full = connection
        .query(
            "SELECT app_id FROM request_samples GROUP BY app_id HAVING COUNT(*) > $1 LIMIT 200",
            params![KEPT_PER_APP],
        )
        .await?;
    for row in full {
        let app_id: String = row.get(0)?;
        dropped += connection
            .execute(
                "DELETE FROM request_samples WHERE app_id = $1 AND at_ms < (
                    SELECT at_ms FROM request_samples WHERE app_id = $1
                    ORDER BY at_ms DESC LIMIT 1 OFFSET $2)",
                params![app_id, KEPT_PER_APP - 1],
            )
            .await?;
    }
    Ok(dropped)
}
