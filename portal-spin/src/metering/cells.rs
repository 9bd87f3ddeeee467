//! Merging cells by maximum.
//!
//! A cell's counters only grow while its edge boot lives, and a report carries current totals. So the
//! maximum per cell is right whatever the order, the repetition and the loss of reports. What a cell
//! is about (its series) is kept once; a cell then is a digest, a minute and its counters.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};
use shared::ids::EdgeBootId;
use shared::usage::Cell;

use super::rollups;
use crate::database::{Connection, DatabaseError, Value, placeholders};
use crate::params;

/// Rows per statement. Larger ones gain nothing and pass SQLite's limit of parameters sooner.
const ROWS_PER_STATEMENT: usize = 500;

/// A digest of what a cell is about: 128 bits, so that no two series are ever taken for one.
pub type Series = [u8; 16];

/// What a cell is about, as text; empty where absent.
struct Subject<'a> {
    boot: &'a str,
    slot: u16,
    credential: String,
    subscription: String,
    installation: String,
    meter: String,
    operation: &'a str,
    outcome: &'a str,
}

impl<'a> Subject<'a> {
    fn of(boot: &'a str, cell: &'a Cell) -> Self {
        let text = |id: Option<String>| id.unwrap_or_default();
        Self {
            boot,
            slot: cell.slot,
            credential: text(cell.credential.map(|id| id.to_string())),
            subscription: text(cell.subscription.map(|id| id.to_string())),
            installation: text(cell.installation.map(|id| id.to_string())),
            meter: text(cell.meter.map(|id| id.to_string())),
            operation: &cell.operation,
            outcome: &cell.outcome,
        }
    }
}

/// The digest that names a cell's series. Over the ids' bytes: their text is only needed for a series
/// that is new.
fn series_of(boot: EdgeBootId, cell: &Cell) -> Series {
    let mut digest = Sha256::new();
    digest.update(boot.as_bytes());
    digest.update(cell.slot.to_be_bytes());
    for id in [
        cell.credential.as_ref().map(|id| id.as_bytes()),
        cell.subscription.as_ref().map(|id| id.as_bytes()),
        cell.installation.as_ref().map(|id| id.as_bytes()),
        cell.meter.as_ref().map(|id| id.as_bytes()),
    ] {
        digest.update([u8::from(id.is_some())]);
        digest.update(id.unwrap_or(&[0; 16]));
    }
    digest.update((cell.operation.len() as u64).to_be_bytes());
    digest.update(cell.operation.as_bytes());
    digest.update(cell.outcome.as_bytes());
    let full: [u8; 32] = digest.finalize().into();
    let mut series = [0; 16];
    for (to, from) in series.iter_mut().zip(full) {
        *to = from;
    }
    series
}

/// Merges the cells of a report. Call it inside a transaction.
pub async fn merge_cells(
    connection: &Connection,
    boot: EdgeBootId,
    cells: &[Cell],
) -> Result<(), DatabaseError> {
    // One row per cell in a statement, and rows in the order of the tree they go into.
    let mut merged: BTreeMap<(Series, u64), &Cell> = BTreeMap::new();
    for cell in cells {
        let known = merged
            .entry((series_of(boot, cell), cell.minute))
            .or_insert(cell);
        if cell.count > known.count {
            *known = cell;
        }
    }
    let merged: Vec<((Series, u64), &Cell)> = merged.into_iter().collect();
    let minutes = merged.iter().map(|((_, minute), _)| saturating(*minute));
    rollups::note_minutes(connection, &boot.to_string(), minutes).await?;
    for rows in merged.chunks(ROWS_PER_STATEMENT) {
        add_new_series(connection, boot, rows).await?;
        upsert(connection, rows).await?;
    }
    Ok(())
}

async fn upsert(
    connection: &Connection,
    rows: &[((Series, u64), &Cell)],
) -> Result<(), DatabaseError> {
    let mut parameters = Vec::with_capacity(rows.len() * 7);
    for ((series, minute), cell) in rows {
        parameters.extend(params![
            series,
            number(*minute)?,
            number(cell.count)?,
            number(cell.units)?,
            number(cell.bytes_in)?,
            number(cell.bytes_out)?,
            latency_text(&cell.latency),
        ]);
    }
    // Latencies belong to the larger count: they are totals of the same moment.
    let sql = format!(
        "INSERT INTO usage_cells (series, minute, count, units, bytes_in, bytes_out, latency)
         VALUES {}
         ON CONFLICT (series, minute) DO UPDATE SET
            count = CASE WHEN excluded.count > usage_cells.count THEN excluded.count ELSE usage_cells.count END,
            units = CASE WHEN excluded.units > usage_cells.units THEN excluded.units ELSE usage_cells.units END,
            bytes_in = CASE WHEN excluded.bytes_in > usage_cells.bytes_in THEN excluded.bytes_in ELSE usage_cells.bytes_in END,
            bytes_out = CASE WHEN excluded.bytes_out > usage_cells.bytes_out THEN excluded.bytes_out ELSE usage_cells.bytes_out END,
            latency = CASE WHEN excluded.count >= usage_cells.count THEN excluded.latency ELSE usage_cells.latency END",
        placeholders(rows.len(), 7)
    );
    connection.execute(&sql, parameters).await?;
    Ok(())
}

/// Stores what cells are about, for series that are new.
async fn add_new_series(
    connection: &Connection,
    boot: EdgeBootId,
    rows: &[((Series, u64), &Cell)],
) -> Result<(), DatabaseError> {
    let mut wanted: BTreeMap<Series, &Cell> = rows
        .iter()
        .map(|((series, _), cell)| (*series, *cell))
        .collect();
    let list: Vec<String> = (1..=wanted.len())
        .map(|place| format!("${place}"))
        .collect();
    let known = connection
        .query(
            &format!(
                "SELECT series FROM usage_series WHERE series IN ({})",
                list.join(", ")
            ),
            wanted.keys().map(Value::from).collect(),
        )
        .await?;
    for row in known {
        let series: Vec<u8> = row.get(0)?;
        if let Ok(series) = Series::try_from(series) {
            wanted.remove(&series);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let boot = boot.to_string();
    let subjects: Vec<(Series, Subject)> = wanted
        .into_iter()
        .map(|(series, cell)| (series, Subject::of(&boot, cell)))
        .collect();
    let apps = find_apps(connection, &subjects).await?;
    let other_meters = find_other_meters(connection, &subjects).await?;
    let nobody = (String::new(), String::new());
    let mut parameters = Vec::with_capacity(subjects.len() * 12);
    for (series, subject) in &subjects {
        let (app_id, environment) = apps.get(&subject.credential).unwrap_or(&nobody);
        let is_call_count = !other_meters.contains(&subject.meter);
        parameters.extend(params![
            series,
            subject.boot,
            i64::from(subject.slot),
            &subject.credential,
            &subject.subscription,
            &subject.installation,
            &subject.meter,
            subject.operation,
            subject.outcome,
            app_id,
            environment,
            i64::from(is_call_count),
        ]);
    }
    connection
        .execute(
            &format!(
                "INSERT INTO usage_series (series, edge_boot_id, slot, credential_id, subscription_id,
                    installation_id, meter_id, operation, outcome, app_id, environment, is_call_count)
                 VALUES {} ON CONFLICT (series) DO NOTHING",
                placeholders(subjects.len(), 12)
            ),
            parameters,
        )
        .await?;
    Ok(())
}

/// App and environment of each credential named.
async fn find_apps(
    connection: &Connection,
    subjects: &[(Series, Subject<'_>)],
) -> Result<HashMap<String, (String, String)>, DatabaseError> {
    let mut apps = HashMap::new();
    for (id, row) in find_in(
        connection,
        "SELECT credential_id, app_id, environment FROM credentials WHERE credential_id IN",
        subjects
            .iter()
            .map(|(_, subject)| subject.credential.as_str()),
    )
    .await?
    {
        apps.insert(id, (row.get(1)?, row.get(2)?));
    }
    Ok(apps)
}

/// Those of the meters named that count something else than calls.
async fn find_other_meters(
    connection: &Connection,
    subjects: &[(Series, Subject<'_>)],
) -> Result<Vec<String>, DatabaseError> {
    let rows = find_in(
        connection,
        "SELECT meter_id FROM meters WHERE position > 0 AND meter_id IN",
        subjects.iter().map(|(_, subject)| subject.meter.as_str()),
    )
    .await?;
    Ok(rows.into_iter().map(|(id, _)| id).collect())
}

async fn find_in<'a>(
    connection: &Connection,
    select: &str,
    ids: impl Iterator<Item = &'a str>,
) -> Result<Vec<(String, crate::database::Row)>, DatabaseError> {
    let mut distinct: Vec<&str> = ids.filter(|id| !id.is_empty()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<String> = (1..=distinct.len())
        .map(|place| format!("${place}"))
        .collect();
    let rows = connection
        .query(
            &format!("{select} ({})", list.join(", ")),
            distinct.into_iter().map(Value::from).collect(),
        )
        .await?;
    rows.into_iter()
        .map(|row| Ok((row.get::<String>(0)?, row)))
        .collect()
}

fn saturating(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn number(value: u64) -> Result<i64, DatabaseError> {
    i64::try_from(value).map_err(|_| DatabaseError::Shape("a counter passes 2^63".to_owned()))
}

/// `2:30 3:10`: bucket and calls.
pub(super) fn latency_text(latency: &[(u8, u64)]) -> String {
    let parts: Vec<String> = latency
        .iter()
        .map(|(bucket, calls)| format!("{bucket}:{calls}"))
        .collect();
    parts.join(" ")
}

/// Reads what [`latency_text`] wrote.
pub(super) fn parse_latency(text: &str) -> impl Iterator<Item = (usize, u64)> + '_ {
    text.split(' ').filter_map(|part| {
        let (bucket, calls) = part.split_once(':')?;
        Some((bucket.parse().ok()?, calls.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_reads_back() {
        let latency = [(2, 30), (38, 10)];
        let read: Vec<(usize, u64)> = parse_latency(&latency_text(&latency)).collect();
        assert_eq!(read, [(2, 30), (38, 10)]);
        assert_eq!(parse_latency("").count(), 0);
    }

    #[test]
    fn series_differ_in_every_part_and_not_in_minute_or_counters() {
        let boot = EdgeBootId::from_bytes([1; 16]);
        let cell = Cell {
            slot: 1,
            credential: None,
            subscription: None,
            installation: None,
            meter: None,
            operation: "ab".to_owned(),
            outcome: "2xx".to_owned(),
            minute: 1,
            count: 1,
            units: 1,
            bytes_in: 0,
            bytes_out: 0,
            latency: Vec::new(),
        };
        let same = Cell {
            minute: 2,
            count: 9,
            ..cell.clone()
        };
        assert_eq!(series_of(boot, &cell), series_of(boot, &same));
        let others = [
            Cell {
                slot: 2,
                ..cell.clone()
            },
            Cell {
                credential: Some(shared::ids::CredentialId::from_bytes([0; 16])),
                ..cell.clone()
            },
            Cell {
                meter: Some(shared::ids::MeterId::from_bytes([0; 16])),
                ..cell.clone()
            },
            Cell {
                operation: "a".to_owned(),
                outcome: "b2xx".to_owned(),
                ..cell.clone()
            },
        ];
        for other in others {
            assert_ne!(series_of(boot, &cell), series_of(boot, &other));
        }
        assert_ne!(
            series_of(boot, &cell),
            series_of(EdgeBootId::from_bytes([2; 16]), &cell)
        );
    }
}
