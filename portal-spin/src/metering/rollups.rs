//! Hours and days, derived from minutes: rolled up by the tick, checked against the minutes, rebuilt
//! where they differ.
//!
//! The row of `usage_rollups` is locked by a report before it writes cells and by the roll-up before it
//! reads them, so that no cell slips in behind an hour that is being summed.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::latencies;
use crate::database::{Connection, DatabaseError, Value, placeholders};
use crate::params;

const HOUR_MS: i64 = 3_600_000;
/// An hour is rolled up when it has been over for so long: the last reports of it are in by then.
const SETTLE_MS: i64 = 120_000;
/// Hours rolled up at a time, per boot.
const HOURS_PER_STEP: i64 = 7 * 24;
const BOOTS_PER_TICK: i64 = 50;
/// How often each boot's newest hours are checked by the tick, and how many of them.
const CHECK_EVERY_MS: i64 = HOUR_MS;
const CHECKED_HOURS: i64 = 48;

/// Takes the boot's lock and notes which rolled-up hours get new cells. Call it inside the transaction,
/// before the cells are written.
pub(super) async fn note_minutes(
    connection: &Connection,
    edge_boot_id: &str,
    minutes: impl Iterator<Item = i64>,
) -> Result<(), DatabaseError> {
    let mut hours = BTreeSet::new();
    let mut last_minute = 0;
    for minute in minutes {
        last_minute = last_minute.max(minute);
        hours.insert(minute.div_euclid(60));
    }
    if hours.is_empty() {
        return Ok(());
    }
    let hours_until: i64 = connection
        .query_one(
            "INSERT INTO usage_rollups (edge_boot_id, hours_until, last_minute, checked_at_ms)
             VALUES ($1, 0, $2, 0)
             ON CONFLICT (edge_boot_id) DO UPDATE SET last_minute =
                CASE WHEN excluded.last_minute > usage_rollups.last_minute THEN excluded.last_minute
                    ELSE usage_rollups.last_minute END
             RETURNING hours_until",
            params![edge_boot_id, last_minute],
        )
        .await?
        .get(0)?;
    let stale: Vec<i64> = hours.range(..hours_until).copied().collect();
    mark_stale(connection, edge_boot_id, &stale).await
}

async fn mark_stale(
    connection: &Connection,
    edge_boot_id: &str,
    hours: &[i64],
) -> Result<(), DatabaseError> {
    for chunk in hours.chunks(500) {
        let mut parameters: Vec<Value> = Vec::with_capacity(chunk.len() * 2);
        for hour in chunk {
            parameters.extend(params![edge_boot_id, *hour]);
        }
        let sql = format!(
            "INSERT INTO usage_stale_hours (edge_boot_id, hour) VALUES {}
             ON CONFLICT (edge_boot_id, hour) DO NOTHING",
            placeholders(chunk.len(), 2)
        );
        connection.execute(&sql, parameters).await?;
    }
    Ok(())
}

/// Rolls up what is due, at most so many boots at a time. Answers how many hours.
pub async fn roll_up(connection: &Connection, now_ms: i64) -> Result<u64, DatabaseError> {
    let closed = (now_ms - SETTLE_MS).div_euclid(HOUR_MS);
    let boots = connection
        .query(
            "SELECT edge_boot_id FROM usage_rollups r
             WHERE (hours_until < $1 AND hours_until * 60 <= last_minute)
                OR EXISTS (SELECT 1 FROM usage_stale_hours x WHERE x.edge_boot_id = r.edge_boot_id)
             ORDER BY edge_boot_id LIMIT $2",
            params![closed, BOOTS_PER_TICK],
        )
        .await?;
    let mut rolled = 0;
    for row in boots {
        let boot: String = row.get(0)?;
        rolled += connection
            .transaction(async || roll_up_boot(connection, &boot, closed).await)
            .await?;
    }
    Ok(rolled)
}

/// Takes the boot's lock; answers the hour up to which it is rolled up.
async fn lock(connection: &Connection, boot: &str) -> Result<i64, DatabaseError> {
    connection
        .query_one(
            "UPDATE usage_rollups SET checked_at_ms = checked_at_ms WHERE edge_boot_id = $1
             RETURNING hours_until",
            params![boot],
        )
        .await?
        .get(0)
}

async fn roll_up_boot(
    connection: &Connection,
    boot: &str,
    closed: i64,
) -> Result<u64, DatabaseError> {
    let hours_until = lock(connection, boot).await?;
    let mut rolled = 0;
    let stale = connection
        .query(
            "SELECT hour FROM usage_stale_hours WHERE edge_boot_id = $1 ORDER BY hour LIMIT $2",
            params![boot, HOURS_PER_STEP],
        )
        .await?;
    for row in stale {
        let hour: i64 = row.get(0)?;
        sum_up(connection, &HOURS, boot, hour, hour + 1).await?;
        let day = hour.div_euclid(24);
        if (day + 1) * 24 <= hours_until {
            sum_up(connection, &DAYS, boot, day, day + 1).await?;
            latencies::sum_up_days(connection, boot, day, day + 1).await?;
        }
        note_changed_days(connection, day, day).await?;
        connection
            .execute(
                "DELETE FROM usage_stale_hours WHERE edge_boot_id = $1 AND hour = $2",
                params![boot, hour],
            )
            .await?;
        rolled += 1;
    }
    let from = if hours_until == 0 {
        first_hour(connection, boot).await?.unwrap_or(closed)
    } else {
        hours_until
    };
    let until = closed.min(from + HOURS_PER_STEP);
    if from < until {
        sum_up(connection, &HOURS, boot, from, until).await?;
        let days = from.div_euclid(24)..until.div_euclid(24);
        sum_up(connection, &DAYS, boot, days.start, days.end).await?;
        latencies::sum_up_days(connection, boot, days.start, days.end).await?;
        note_changed_days(connection, from.div_euclid(24), (until - 1).div_euclid(24)).await?;
        connection
            .execute(
                "UPDATE usage_rollups SET hours_until = $2 WHERE edge_boot_id = $1",
                params![boot, until],
            )
            .await?;
        rolled += (until - from).unsigned_abs();
    }
    Ok(rolled)
}

/// Tells whoever sums days further that these changed. A row that stands is locked, not left alone: who
/// takes it meanwhile waits and then reads what was changed.
async fn note_changed_days(
    connection: &Connection,
    first: i64,
    last: i64,
) -> Result<(), DatabaseError> {
    for day in first..=last {
        connection
            .execute(
                "INSERT INTO usage_changed_days (day) VALUES ($1)
                 ON CONFLICT (day) DO UPDATE SET day = excluded.day",
                params![day],
            )
            .await?;
    }
    Ok(())
}

async fn first_hour(connection: &Connection, boot: &str) -> Result<Option<i64>, DatabaseError> {
    let minute: Option<i64> = connection
        .query_one(
            "SELECT MIN(c.minute) FROM usage_series s JOIN usage_cells c ON c.series = s.series
             WHERE s.edge_boot_id = $1",
            params![boot],
        )
        .await?
        .get(0)?;
    Ok(minute.map(|minute| minute.div_euclid(60)))
}

/// A table of sums and what it is summed from.
struct Level {
    table: &'static str,
    /// Its column of time, and how many points of the source are in one of it.
    column: &'static str,
    width: i64,
    source: &'static str,
    source_column: &'static str,
}

const HOURS: Level = Level {
    table: "usage_hours",
    column: "hour",
    width: 60,
    source: "usage_cells",
    source_column: "minute",
};

const DAYS: Level = Level {
    table: "usage_days",
    column: "day",
    width: 24,
    source: "usage_hours",
    source_column: "hour",
};

/// Sums the points of a level anew, from this one up to but without that one.
async fn sum_up(
    connection: &Connection,
    level: &Level,
    boot: &str,
    from: i64,
    until: i64,
) -> Result<(), DatabaseError> {
    if from >= until {
        return Ok(());
    }
    let Level {
        table,
        column,
        width,
        source,
        source_column,
    } = level;
    let forget = format!(
        "DELETE FROM {table} WHERE {column} >= $2 AND {column} < $3
            AND series IN (SELECT series FROM usage_series WHERE edge_boot_id = $1)"
    );
    connection
        .execute(&forget, params![boot, from, until])
        .await?;
    let sum = format!(
        "INSERT INTO {table} (series, {column}, count, units, bytes_in, bytes_out)
         SELECT c.series, c.{source_column} / {width}, CAST(SUM(c.count) AS BIGINT),
            CAST(SUM(c.units) AS BIGINT), CAST(SUM(c.bytes_in) AS BIGINT), CAST(SUM(c.bytes_out) AS BIGINT)
         FROM usage_series s JOIN {source} c ON c.series = s.series
         WHERE s.edge_boot_id = $1 AND c.{source_column} >= $2 AND c.{source_column} < $3
         GROUP BY c.series, c.{source_column} / {width}"
    );
    connection
        .execute(&sum, params![boot, from * width, until * width])
        .await?;
    Ok(())
}

/// An hour of a boot whose roll-up differs from its minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RollupMismatch {
    /// The edge boot.
    pub edge_boot_id: String,
    /// The hour's first moment.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub hour: i64,
    /// What the minutes sum to.
    pub units_of_minutes: i64,
    /// What the hours say.
    pub units_of_hours: i64,
    /// What the day's hours say, where the day differs from its hours.
    pub is_day: bool,
}

/// Compares the hours and days of a boot, from this hour on, with what they were summed from. What
/// differs is read from the minutes from now on, and done again by the next roll-up.
pub async fn check_boot(
    connection: &Connection,
    boot: &str,
    from_hour: i64,
) -> Result<Vec<RollupMismatch>, DatabaseError> {
    connection
        .transaction(async || {
            let hours_until = lock(connection, boot).await?;
            let hours = connection
                .query(
                    "SELECT hour, CAST(SUM(mu) AS BIGINT), CAST(SUM(hu) AS BIGINT) FROM (
                        SELECT c.series, c.minute / 60 AS hour, c.units AS mu, c.count AS mc, 0 AS hu, 0 AS hc
                        FROM usage_series s JOIN usage_cells c ON c.series = s.series
                        WHERE s.edge_boot_id = $1 AND c.minute >= $2 AND c.minute < $3
                        UNION ALL
                        SELECT h.series, h.hour, 0, 0, h.units, h.count
                        FROM usage_series s JOIN usage_hours h ON h.series = s.series
                        WHERE s.edge_boot_id = $1 AND h.hour >= $4 AND h.hour < $5) b
                     WHERE NOT EXISTS (SELECT 1 FROM usage_stale_hours x
                        WHERE x.edge_boot_id = $1 AND x.hour = b.hour)
                     GROUP BY series, hour HAVING SUM(mu) <> SUM(hu) OR SUM(mc) <> SUM(hc)",
                    params![boot, from_hour * 60, hours_until * 60, from_hour, hours_until],
                )
                .await?;
            let days = connection
                .query(
                    "SELECT day * 24, CAST(SUM(hu) AS BIGINT), CAST(SUM(du) AS BIGINT) FROM (
                        SELECT h.series, h.hour / 24 AS day, h.units AS hu, h.count AS hc, 0 AS du, 0 AS dc
                        FROM usage_series s JOIN usage_hours h ON h.series = s.series
                        WHERE s.edge_boot_id = $1 AND h.hour >= $2 AND h.hour < $3
                        UNION ALL
                        SELECT d.series, d.day, 0, 0, d.units, d.count
                        FROM usage_series s JOIN usage_days d ON d.series = s.series
                        WHERE s.edge_boot_id = $1 AND d.day >= $4 AND d.day < $5) b
                     WHERE NOT EXISTS (SELECT 1 FROM usage_stale_hours x WHERE x.edge_boot_id = $1
                        AND x.hour >= b.day * 24 AND x.hour < b.day * 24 + 24)
                     GROUP BY series, day HAVING SUM(hu) <> SUM(du) OR SUM(hc) <> SUM(dc)",
                    params![
                        boot,
                        from_hour.div_euclid(24) * 24,
                        hours_until.div_euclid(24) * 24,
                        from_hour.div_euclid(24),
                        hours_until.div_euclid(24)
                    ],
                )
                .await?;
            let mut found = Vec::new();
            for (rows, is_day) in [(&hours, false), (&days, true)] {
                for row in rows {
                    let hour: i64 = row.get(0)?;
                    found.push(RollupMismatch {
                        edge_boot_id: boot.to_owned(),
                        hour: hour * HOUR_MS,
                        units_of_minutes: row.get(1)?,
                        units_of_hours: row.get(2)?,
                        is_day,
                    });
                }
            }
            let stale: BTreeSet<i64> = found.iter().map(|one| one.hour.div_euclid(HOUR_MS)).collect();
            mark_stale(connection, boot, &stale.into_iter().collect::<Vec<_>>()).await?;
            Ok(found)
        })
        .await
}

/// Checks the newest hours of the boot that was not checked for longest. Answers how many differed.
pub async fn check_next(connection: &Connection, now_ms: i64) -> Result<u64, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT edge_boot_id, hours_until FROM usage_rollups
             WHERE hours_until > 0 AND checked_at_ms < $1
                AND last_minute >= $2 ORDER BY checked_at_ms LIMIT 1",
            params![
                now_ms - CHECK_EVERY_MS,
                (now_ms / 60_000) - CHECKED_HOURS * 60
            ],
        )
        .await?;
    let Some(row) = row else { return Ok(0) };
    let boot: String = row.get(0)?;
    let hours_until: i64 = row.get(1)?;
    let found = check_boot(connection, &boot, hours_until - CHECKED_HOURS).await?;
    connection
        .execute(
            "UPDATE usage_rollups SET checked_at_ms = $2 WHERE edge_boot_id = $1",
            params![&boot, now_ms],
        )
        .await?;
    Ok(found.len() as u64)
}

/// Boots with cells, newest first.
pub async fn list_rolled_boots(connection: &Connection) -> Result<Vec<String>, DatabaseError> {
    connection
        .query(
            "SELECT edge_boot_id FROM usage_rollups ORDER BY last_minute DESC LIMIT 1000",
            vec![],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// Forgets every hour and day; the tick makes them anew from the minutes. Reads use the minutes meanwhile.
pub async fn forget_rollups(connection: &Connection) -> Result<(), DatabaseError> {
    connection
        .transaction(async || {
            for statement in [
                "UPDATE usage_rollups SET hours_until = 0",
                "DELETE FROM usage_stale_hours",
                "DELETE FROM usage_hours",
                "DELETE FROM usage_days",
                "DELETE FROM usage_day_latencies",
            ] {
                connection.execute(statement, vec![]).await?;
            }
            Ok(())
        })
        .await
}
