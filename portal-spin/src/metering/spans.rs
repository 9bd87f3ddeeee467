//! Cells of a span of time, from the coarsest source that holds them whole: days, hours, minutes.
//!
//! One statement, so that what a report or a roll-up changes meanwhile is seen whole or not at all.

use crate::database::{Connection, DatabaseError, Row, Value};

/// The coarsest points that a read can do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coarsest {
    /// Only minutes.
    Minute,
    /// Hours where they are rolled up.
    Hour,
    /// Days where they are rolled up.
    Day,
}

/// What a read wants of the cells of a span.
pub(super) struct Span<'a> {
    /// Columns of `c`: those of `usage_series`, `minute` (the point's first), `count`, `units`, `bytes`.
    pub select: &'a str,
    /// A condition on `s` (`usage_series`), with parameters from `$1`.
    pub scope: &'a str,
    /// `GROUP BY …` or nothing.
    pub group: &'a str,
    /// The parameters of `scope`, and behind the span's seven those of `select`, from `$8 + scope`.
    pub scope_parameters: Vec<Value>,
    /// First minute.
    pub from: i64,
    /// The minute behind the last.
    pub to: i64,
    /// How coarse the source may be.
    pub coarsest: Coarsest,
}

/// What every source gives.
const COLUMNS: &str =
    "p.app_id, p.environment, p.credential_id, p.subscription_id, p.installation_id,
    p.meter_id, p.operation, p.outcome, p.is_call_count";

impl Span<'_> {
    /// Runs the read.
    pub(super) async fn read(self, connection: &Connection) -> Result<Vec<Row>, DatabaseError> {
        let (sql, parameters) = self.statement();
        connection.query(&sql, parameters).await
    }

    /// Puts what it reads into a table: `table (columns)`.
    pub(super) async fn insert_into(
        self,
        connection: &Connection,
        table: &str,
    ) -> Result<u64, DatabaseError> {
        let (sql, parameters) = self.statement();
        let sql = format!("INSERT INTO {table} {sql}");
        connection.execute(&sql, parameters).await
    }

    fn statement(self) -> (String, Vec<Value>) {
        let first = self.scope_parameters.len() + 1;
        let hour_from = div_up(self.from, 60);
        let hour_to = self.to.div_euclid(60);
        let uses_hours = self.coarsest >= Coarsest::Hour && hour_from < hour_to;
        let mut parameters = self.scope_parameters;
        parameters.extend([Value::Integer(self.from), Value::Integer(self.to)]);
        if uses_hours {
            let day_from = match self.coarsest {
                Coarsest::Day => div_up(hour_from, 24),
                _ => i64::MAX / 24,
            };
            parameters.extend([hour_from, hour_to, day_from].map(Value::Integer));
        }
        let sources = sources(first, uses_hours);
        let edge_hour = if uses_hours {
            let (from, to) = (number(first + 2), number(first + 3));
            format!(
                "CASE WHEN COALESCE(r.hours_until, 0) < {from} THEN {from}
                    WHEN r.hours_until > {to} THEN {to} ELSE r.hours_until END"
            )
        } else {
            "0".to_owned()
        };
        let sql = format!(
            "WITH p AS (
                SELECT s.series, s.edge_boot_id, s.app_id, s.environment, s.credential_id,
                    s.subscription_id, s.installation_id, s.meter_id, s.operation, s.outcome,
                    s.is_call_count, {edge_hour} AS edge_hour
                FROM usage_series s LEFT JOIN usage_rollups r ON r.edge_boot_id = s.edge_boot_id
                WHERE {scope})
             SELECT {select} FROM ({sources}) c {group}",
            scope = self.scope,
            select = self.select,
            group = self.group,
        );
        (sql, parameters)
    }
}

/// The union of sources. Parameters from `first`: from, to (minutes), hour_from, hour_to, day_from.
/// `p.edge_hour` is the hour from which minutes are read: what is not rolled up, and the span's tail.
fn sources(first: usize, uses_hours: bool) -> String {
    let minutes = |condition: &str| {
        format!(
            "SELECT {COLUMNS}, c.minute AS minute, c.count AS count, c.units AS units,
                c.bytes_in + c.bytes_out AS bytes
             FROM p JOIN usage_cells c ON c.series = p.series {condition}"
        )
    };
    let (from, to) = (number(first), number(first + 1));
    if !uses_hours {
        return minutes(&format!("AND c.minute >= {from} AND c.minute < {to}"));
    }
    let (hour_from, day_from) = (number(first + 2), number(first + 4));
    let stale = |hour: &str| {
        format!(
            "SELECT 1 FROM usage_stale_hours x WHERE x.edge_boot_id = p.edge_boot_id AND x.hour {hour}"
        )
    };
    let hours = |condition: &str| {
        format!(
            "SELECT {COLUMNS}, h.hour * 60, h.count, h.units, h.bytes_in + h.bytes_out
             FROM p JOIN usage_hours h ON h.series = p.series AND {condition}
                AND h.hour < p.edge_hour AND NOT EXISTS ({})",
            stale("= h.hour")
        )
    };
    let stale_day = |day: &str| stale(&format!(">= {day} * 24 AND x.hour < {day} * 24 + 24"));
    [
        // The span's head, and what is not rolled up.
        minutes(&format!(
            "AND c.minute >= {from} AND c.minute < {hour_from} * 60"
        )),
        minutes(&format!(
            "AND c.minute >= p.edge_hour * 60 AND c.minute < {to}"
        )),
        // Hours that changed after they were rolled up.
        format!(
            "SELECT {COLUMNS}, c.minute, c.count, c.units, c.bytes_in + c.bytes_out
             FROM p JOIN usage_stale_hours x ON x.edge_boot_id = p.edge_boot_id
                AND x.hour >= {hour_from} AND x.hour < p.edge_hour
             JOIN usage_cells c ON c.series = p.series
                AND c.minute >= x.hour * 60 AND c.minute < x.hour * 60 + 60"
        ),
        // Hours before the first whole day, behind the last, and of days with a stale hour.
        hours(&format!(
            "h.hour >= {hour_from} AND h.hour < {day_from} * 24"
        )),
        hours(&format!(
            "h.hour >= {day_from} * 24 AND h.hour >= p.edge_hour / 24 * 24"
        )),
        hours(&format!(
            "h.hour >= {day_from} * 24 AND h.hour < p.edge_hour / 24 * 24 AND EXISTS ({})",
            stale_day("(h.hour / 24)")
        )),
        format!(
            "SELECT {COLUMNS}, d.day * 1440, d.count, d.units, d.bytes_in + d.bytes_out
             FROM p JOIN usage_days d ON d.series = p.series
                AND d.day >= {day_from} AND d.day < p.edge_hour / 24 AND NOT EXISTS ({})",
            stale_day("d.day")
        ),
    ]
    .join(" UNION ALL ")
}

/// A parameter whose type PostgreSQL need not guess: beside a literal it would take it for a smaller one.
fn number(place: usize) -> String {
    format!("CAST(${place} AS BIGINT)")
}

fn div_up(value: i64, width: i64) -> i64 {
    value.saturating_add(width - 1).div_euclid(width)
}
