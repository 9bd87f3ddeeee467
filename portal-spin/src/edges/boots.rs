//! Boots of edges: who is alive, what each has applied, how each ended.

use shared::ids::EdgeBootId;
use shared::usage::Report;

use super::model::{AWAY_AT_MOST_MS, LIVE_FOR_MS, Progress, SILENT_AFTER_MS, saturating};
use crate::database::{Connection, DatabaseError, Row};
use crate::encoding::readable_time;
use crate::params;
use crate::web::paging::{PageRequest, finds};

/// One boot as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct EdgeView {
    /// The boot.
    pub id: String,
    /// The edge's stable name.
    pub name: String,
    /// The filter's version.
    pub version: String,
    /// When the boot began.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub started_at: i64,
    /// When it last reported.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub last_seen_at: i64,
    /// The feed position that all its workers have applied.
    pub applied_position: i64,
    /// Calls it has decided.
    pub decided: i64,
    /// `live`, `silent`, `ended` (cleanly) or `lost`.
    pub state: String,
    /// What may be missing after an unclean end.
    pub gap: Option<Gap>,
}

/// A span of which calls may be missing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Gap {
    /// The last report.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub from: i64,
    /// When the edge was known to be gone; null while it is only silent.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub until: Option<i64>,
    /// At most this many calls are missing.
    pub at_most_calls: Option<i64>,
}

impl Gap {
    /// The gap in a sentence, for whoever's calls it may concern.
    pub fn describe(&self) -> String {
        let from = readable_time(self.from);
        let Some(until) = self.until.map(readable_time) else {
            return format!(
                "Since {from} an edge of the gateway is silent: what it counted meanwhile is still to come."
            );
        };
        let calls = match self.at_most_calls {
            Some(calls) => format!("at most {calls} calls, of all callers together, are"),
            None => "calls may be".to_owned(),
        };
        format!(
            "From {from} to {until} an edge of the gateway ended without a last report: {calls} not counted and not charged."
        )
    }
}

/// Takes note of a report. An older report than the newest known only proves life.
pub async fn record_report(
    connection: &Connection,
    report: &Report,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    let boot = report.edge.boot.to_string();
    let known = connection
        .query_optional(
            "SELECT sequence, sent_at_ms, decided, peak_rate FROM edges WHERE edge_boot_id = $1",
            params![&boot],
        )
        .await?;
    let Some(known) = known else {
        return insert_boot(connection, report, now_ms).await;
    };
    let known = progress(&known)?;
    if saturating(report.sequence) < known.sequence {
        connection
            .execute(
                "UPDATE edges SET last_seen_at_ms = $2, gap_from_ms = NULL, gap_until_ms = NULL,
                    gap_calls = NULL WHERE edge_boot_id = $1",
                params![&boot, now_ms],
            )
            .await?;
        return Ok(());
    }
    let progress = known.advanced(report);
    let ended_at_ms = report.ended.then_some(now_ms);
    // A report proves that the boot lives: cells are cumulative, so a gap that was feared is healed.
    connection
        .execute(
            "UPDATE edges SET last_seen_at_ms = $2, sequence = $3, sent_at_ms = $4,
                applied_position = $5, decided = $6, peak_rate = $7, ended_at_ms = $8,
                gap_from_ms = NULL, gap_until_ms = NULL, gap_calls = NULL
             WHERE edge_boot_id = $1",
            params![
                &boot,
                now_ms,
                progress.sequence,
                progress.sent_at_ms,
                saturating(report.applied_position),
                progress.decided,
                progress.peak_rate,
                ended_at_ms,
            ],
        )
        .await?;
    Ok(())
}

async fn insert_boot(
    connection: &Connection,
    report: &Report,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    let edge = &report.edge;
    let started_at_ms = saturating(edge.started_at_ms);
    close_earlier_boots(connection, &edge.name, started_at_ms).await?;
    let start = Progress {
        sent_at_ms: started_at_ms,
        ..Progress::default()
    };
    let progress = start.advanced(report);
    connection
        .execute(
            "INSERT INTO edges (edge_boot_id, name, version, started_at_ms, first_seen_at_ms,
                last_seen_at_ms, sequence, sent_at_ms, applied_position, decided, peak_rate, ended_at_ms)
             VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10, $11)",
            params![
                edge.boot.to_string(),
                &edge.name,
                &edge.version,
                started_at_ms,
                now_ms,
                progress.sequence,
                progress.sent_at_ms,
                saturating(report.applied_position),
                progress.decided,
                progress.peak_rate,
                report.ended.then_some(now_ms),
            ],
        )
        .await?;
    Ok(())
}

/// A new boot of a name shows that the boots before it are gone. Those without a last report leave a
/// gap, from their last report to the new boot's start.
async fn close_earlier_boots(
    connection: &Connection,
    name: &str,
    started_at_ms: i64,
) -> Result<(), DatabaseError> {
    let rows = connection
        .query(
            "SELECT edge_boot_id, sequence, sent_at_ms, decided, peak_rate FROM edges
             WHERE name = $1 AND started_at_ms < $2 AND ended_at_ms IS NULL AND gap_until_ms IS NULL",
            params![name, started_at_ms],
        )
        .await?;
    for row in rows {
        let boot: String = row.get(0)?;
        let progress = Progress {
            sequence: row.get(1)?,
            sent_at_ms: row.get(2)?,
            decided: row.get(3)?,
            peak_rate: row.get(4)?,
        };
        let counted = crate::metering::counted_calls(connection, &boot).await?;
        connection
            .execute(
                "UPDATE edges SET gap_from_ms = $2, gap_until_ms = $3, gap_calls = $4
                 WHERE edge_boot_id = $1",
                params![
                    &boot,
                    progress.sent_at_ms,
                    started_at_ms,
                    progress.gap_calls(counted, started_at_ms),
                ],
            )
            .await?;
    }
    Ok(())
}

/// Opens a gap for every boot that went silent. Answers how many.
pub async fn find_silent_boots(connection: &Connection, now_ms: i64) -> Result<u64, DatabaseError> {
    connection
        .execute(
            "UPDATE edges SET gap_from_ms = sent_at_ms
             WHERE ended_at_ms IS NULL AND gap_from_ms IS NULL AND last_seen_at_ms < $1",
            params![now_ms - SILENT_AFTER_MS],
        )
        .await
}

/// What live edges have applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Liveness {
    /// How many edges live.
    pub edges: u64,
    /// The position that all of them have applied; 0 if none lives.
    pub applied_by_all: i64,
}

/// Who lives, and what all of them know.
pub async fn liveness(connection: &Connection, now_ms: i64) -> Result<Liveness, DatabaseError> {
    let row = connection
        .query_one(
            "SELECT COUNT(*), COALESCE(MIN(applied_position), 0) FROM edges
             WHERE ended_at_ms IS NULL AND gap_from_ms IS NULL AND last_seen_at_ms >= $1",
            params![now_ms - LIVE_FOR_MS],
        )
        .await?;
    Ok(Liveness {
        edges: row.get(0)?,
        applied_by_all: row.get(1)?,
    })
}

/// The newest boots, newest first.
pub async fn list_boots(
    connection: &Connection,
    now_ms: i64,
    page: &PageRequest,
) -> Result<Vec<EdgeView>, DatabaseError> {
    let found = finds("$2", &["name", "version", "edge_boot_id"]);
    let rows = connection
        .query(
            &format!(
                "SELECT edge_boot_id, name, version, started_at_ms, last_seen_at_ms, applied_position,
                    decided, ended_at_ms, gap_from_ms, gap_until_ms, gap_calls
                 FROM edges WHERE edge_boot_id < $1 AND {found} ORDER BY edge_boot_id DESC LIMIT $3"
            ),
            params![
                page.before.as_str(),
                page.wanted.as_str(),
                page.limit_and_one()
            ],
        )
        .await?;
    rows.iter().map(|row| view(row, now_ms)).collect()
}

/// Gaps that touch a span, oldest first. They concern every caller of the edge, so no edge is named. Who is
/// silent for longer than an edge may be away is gone: its gap ends there.
pub async fn list_gaps(
    connection: &Connection,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<Gap>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT gap_from_ms, gap_until_ms, gap_calls FROM edges
             WHERE ended_at_ms IS NULL AND gap_from_ms < $1
                AND (gap_until_ms > $2 OR (gap_until_ms IS NULL AND gap_from_ms > $3))
                AND (gap_calls IS NULL OR gap_calls > 0)
             ORDER BY gap_from_ms LIMIT 100",
            params![to_ms, from_ms, from_ms - AWAY_AT_MOST_MS],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Gap {
                from: row.get(0)?,
                until: row.get(1)?,
                at_most_calls: row.get(2)?,
            })
        })
        .collect()
}

fn view(row: &Row, now_ms: i64) -> Result<EdgeView, DatabaseError> {
    let last_seen_at: i64 = row.get(4)?;
    let ended_at: Option<i64> = row.get(7)?;
    let gap_from: Option<i64> = row.get(8)?;
    let until: Option<i64> = row.get(9)?;
    let state = match (ended_at, until) {
        (Some(_), _) => "ended",
        (None, Some(_)) => "lost",
        (None, None) if last_seen_at < now_ms - LIVE_FOR_MS => "silent",
        (None, None) => "live",
    };
    let at_most_calls = row.get(10)?;
    Ok(EdgeView {
        id: row.parse::<EdgeBootId>(0)?.to_string(),
        name: row.get(1)?,
        version: row.get(2)?,
        started_at: row.get(3)?,
        last_seen_at,
        applied_position: row.get(5)?,
        decided: row.get(6)?,
        state: state.to_owned(),
        gap: gap_from.map(|from| Gap {
            from,
            until,
            at_most_calls,
        }),
    })
}

fn progress(row: &Row) -> Result<Progress, DatabaseError> {
    Ok(Progress {
        sequence: row.get(0)?,
        sent_at_ms: row.get(1)?,
        decided: row.get(2)?,
        peak_rate: row.get(3)?,
    })
}
