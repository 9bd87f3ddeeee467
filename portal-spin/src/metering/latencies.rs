//! Histograms of how long answers took: of the minutes, and of days that are over.
//!
//! Only calls that were let through have one: a refusal says nothing about the API.

use std::collections::BTreeMap;

use shared::usage::LATENCY_BUCKETS;

use super::cells::{latency_text, parse_latency};
use super::organisation_reads::{CallFilter, SCOPE};
use crate::database::{Connection, DatabaseError, Value, placeholders};
use crate::params;

/// Outcomes that have a latency.
const LET_THROUGH: &str = "('1xx', '2xx', '3xx', '4xx', '5xx', 'aborted')";
const DAY_MINUTES: i64 = 1_440;
const ROWS_PER_STATEMENT: usize = 1_000;

/// Adds up the histograms of a boot's days, from this one up to but without that one. Call it inside the
/// roll-up's transaction.
pub(super) async fn sum_up_days(
    connection: &Connection,
    boot: &str,
    from: i64,
    until: i64,
) -> Result<(), DatabaseError> {
    if from >= until {
        return Ok(());
    }
    connection
        .execute(
            "DELETE FROM usage_day_latencies WHERE day >= $2 AND day < $3
                AND series IN (SELECT series FROM usage_series WHERE edge_boot_id = $1)",
            params![boot, from, until],
        )
        .await?;
    let cells = format!(
        "FROM usage_series s JOIN usage_cells c ON c.series = s.series
         WHERE s.edge_boot_id = $1 AND s.outcome IN {LET_THROUGH} AND c.latency <> ''
            AND c.minute >= $2 AND c.minute < $3"
    );
    let span = params![boot, from * DAY_MINUTES, until * DAY_MINUTES];
    // The histogram of a single minute is the day's.
    connection
        .execute(
            &format!(
                "INSERT INTO usage_day_latencies (series, day, latency)
                 SELECT c.series, c.minute / 1440, MIN(c.latency) {cells}
                 GROUP BY c.series, c.minute / 1440 HAVING COUNT(*) = 1"
            ),
            span.clone(),
        )
        .await?;
    let rows = connection
        .query(
            &format!(
                "SELECT c.series, c.minute / 1440, c.latency, COUNT(*) {cells}
                    AND NOT EXISTS (SELECT 1 FROM usage_day_latencies l
                        WHERE l.series = c.series AND l.day = c.minute / 1440)
                 GROUP BY c.series, c.minute / 1440, c.latency"
            ),
            span,
        )
        .await?;
    let mut days: BTreeMap<(Vec<u8>, i64), [u64; LATENCY_BUCKETS]> = BTreeMap::new();
    for row in rows {
        let histogram = days
            .entry((row.get(0)?, row.get(1)?))
            .or_insert([0; LATENCY_BUCKETS]);
        add(histogram, &row.get::<String>(2)?, row.get(3)?);
    }
    let days: Vec<_> = days.into_iter().collect();
    for chunk in days.chunks(ROWS_PER_STATEMENT) {
        let mut parameters: Vec<Value> = Vec::with_capacity(chunk.len() * 3);
        for ((series, day), histogram) in chunk {
            parameters.extend(params![series.clone(), *day, histogram_text(histogram)]);
        }
        let sql = format!(
            "INSERT INTO usage_day_latencies (series, day, latency) VALUES {}",
            placeholders(chunk.len(), 3)
        );
        connection.execute(&sql, parameters).await?;
    }
    Ok(())
}

/// Adds a cell's histogram, so many times.
fn add(histogram: &mut [u64; LATENCY_BUCKETS], text: &str, times: u64) {
    for (bucket, calls) in parse_latency(text) {
        if let Some(sum) = histogram.get_mut(bucket) {
            *sum += calls * times;
        }
    }
}

fn histogram_text(histogram: &[u64; LATENCY_BUCKETS]) -> String {
    let buckets: Vec<(u8, u64)> = (0_u8..)
        .zip(histogram)
        .filter(|(_, calls)| **calls > 0)
        .map(|(bucket, calls)| (bucket, *calls))
        .collect();
    latency_text(&buckets)
}

/// How long answers took that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencySum {
    /// The point's first minute.
    pub minute: i64,
    /// The app.
    pub app_id: String,
    /// `test` or `live`.
    pub environment: String,
    /// The credential.
    pub credential_id: String,
    /// The operation; empty where none matched.
    pub operation: String,
    /// Calls by bucket.
    pub histogram: [u64; LATENCY_BUCKETS],
}

/// Histograms of the calls let through in a span of minutes, by points of so many minutes. Points of whole
/// days are read from the days that are over, and from minutes only where a day is not.
pub async fn list_latencies(
    connection: &Connection,
    filter: &CallFilter,
    minutes: std::ops::Range<i64>,
    width: i64,
) -> Result<Vec<LatencySum>, DatabaseError> {
    let mut parameters = filter.parameters();
    parameters.extend(params![minutes.start, minutes.end]);
    let source = if width % DAY_MINUTES == 0 {
        parameters.extend(params![
            minutes.start.div_euclid(DAY_MINUTES),
            minutes.end.div_euclid(DAY_MINUTES)
        ]);
        DAYS_AND_MINUTES
    } else {
        "SELECT p.*, m.minute AS minute, m.latency AS latency
         FROM p JOIN usage_cells m ON m.series = p.series AND m.minute >= $6 AND m.minute < $7"
    };
    let sql = format!(
        "WITH p AS (
            SELECT s.series, s.edge_boot_id, s.app_id, s.environment, s.credential_id, s.operation,
                COALESCE(r.hours_until, 0) / 24 AS edge_day
            FROM usage_series s LEFT JOIN usage_rollups r ON r.edge_boot_id = s.edge_boot_id
            WHERE {SCOPE} AND s.outcome IN {LET_THROUGH})
         SELECT c.minute / {width}, c.app_id, c.environment, c.credential_id, c.operation, c.latency,
            COUNT(*)
         FROM ({source}) c GROUP BY 1, 2, 3, 4, 5, 6"
    );
    let mut sums: BTreeMap<(i64, String, String, String, String), [u64; LATENCY_BUCKETS]> =
        BTreeMap::new();
    for row in connection.query(&sql, parameters).await? {
        let point = (
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        );
        let histogram = sums.entry(point).or_insert([0; LATENCY_BUCKETS]);
        add(histogram, &row.get::<String>(5)?, row.get(6)?);
    }
    Ok(sums
        .into_iter()
        .map(
            |((point, app_id, environment, credential_id, operation), histogram)| LatencySum {
                minute: point * width,
                app_id,
                environment,
                credential_id,
                operation,
                histogram,
            },
        )
        .collect())
}

/// Days that are over and none of whose hours changed since; the minutes behind them; the minutes of days
/// that changed. Parameters: `$6`, `$7` minutes, `$8`, `$9` days.
const DAYS_AND_MINUTES: &str = "
    SELECT p.*, l.day * 1440 AS minute, l.latency AS latency
    FROM p JOIN usage_day_latencies l ON l.series = p.series AND l.day >= $8 AND l.day < $9
        AND l.day < p.edge_day
    WHERE NOT EXISTS (SELECT 1 FROM usage_stale_hours x WHERE x.edge_boot_id = p.edge_boot_id
        AND x.hour >= l.day * 24 AND x.hour < l.day * 24 + 24)
    UNION ALL
    SELECT p.*, m.minute, m.latency
    FROM p JOIN usage_cells m ON m.series = p.series AND m.minute >= $6 AND m.minute < $7
        AND m.minute >= p.edge_day * 1440
    UNION ALL
    SELECT p.*, m.minute, m.latency
    FROM p JOIN (SELECT DISTINCT edge_boot_id, hour / 24 AS day FROM usage_stale_hours) x
        ON x.edge_boot_id = p.edge_boot_id AND x.day >= $8 AND x.day < $9 AND x.day < p.edge_day
    JOIN usage_cells m ON m.series = p.series AND m.minute >= x.day * 1440
        AND m.minute < x.day * 1440 + 1440";
