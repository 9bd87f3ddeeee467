//! Usage of an app over a span of time, summed from cells.

use std::collections::BTreeMap;

use super::meter_use::MeterUse;
use crate::edges::Gap;
use schemars::JsonSchema;
use serde::Serialize;
use shared::usage::{LATENCY_BOUNDS_US, LATENCY_BUCKETS, outcome};

/// Width of a point in the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// A minute; spans up to a day.
    Minute,
    /// An hour; spans up to 31 days.
    Hour,
    /// A day, UTC; spans up to 400 days.
    Day,
}

impl Granularity {
    /// As in the query.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "minute" => Some(Self::Minute),
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            _ => None,
        }
    }

    /// As in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Minutes in a point.
    pub const fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 24 * 60,
        }
    }

    /// The longest span that may be asked for, in milliseconds.
    pub const fn longest_ms(self) -> i64 {
        let days = match self {
            Self::Minute => 1,
            Self::Hour => 31,
            Self::Day => 400,
        };
        days * 24 * 60 * 60 * 1000
    }
}

/// A sum of cells of one operation, outcome and point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The point's number since the epoch.
    pub point: i64,
    /// The operation.
    pub operation: String,
    /// The outcome.
    pub outcome: String,
    /// Calls, of the meter that counts them.
    pub calls: i64,
    /// Units that count as used, of the meter that the quota counts.
    pub units: i64,
    /// Bytes of bodies, both ways.
    pub bytes: i64,
}

/// Usage in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UsageView {
    /// The app.
    pub app_id: String,
    /// `test`, `live`, or `all`.
    pub environment: String,
    /// The span's first moment.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub from: i64,
    /// The first moment behind the span.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub to: i64,
    /// `minute`, `hour` or `day`.
    pub granularity: String,
    /// Everything in the span.
    pub totals: Totals,
    /// By operation, most calls first. Empty name: no operation matched.
    pub by_operation: Vec<Part>,
    /// By outcome, most calls first.
    pub by_outcome: Vec<Part>,
    /// By point, in order; points without a call are left out.
    pub series: Vec<Point>,
    /// Quotas of the app's subscriptions in their current period.
    pub quotas: Vec<QuotaView>,
    /// What counts as used of each meter in the current period.
    pub meters: Vec<MeterUse>,
    /// Spans in which an edge ended without a last report, or is silent: calls of these may be missing.
    pub gaps: Vec<Gap>,
}

/// Sums.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Totals {
    /// Calls that went to the API.
    pub calls: i64,
    /// Calls that the gateway refused.
    pub refused: i64,
    /// Units that count as used.
    pub units: i64,
    /// Calls that ended in 4xx or 5xx, of those that went to the API.
    pub errors: i64,
    /// Calls that ended in 5xx.
    pub server_errors: i64,
    /// Bytes of bodies, both ways.
    pub bytes: i64,
    /// Half of the calls took at most so long, in milliseconds; null without calls.
    pub latency_p50_ms: Option<f64>,
    /// 95 of 100 calls took at most so long.
    pub latency_p95_ms: Option<f64>,
}

/// Sums of one operation or outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Part {
    /// The operation or outcome.
    pub name: String,
    /// Calls that went to the API.
    pub calls: i64,
    /// Calls that the gateway refused.
    pub refused: i64,
    /// Units that count as used.
    pub units: i64,
    /// Calls that ended in 4xx or 5xx.
    pub errors: i64,
}

/// Sums of one point in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Point {
    /// The point's first moment.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub at: i64,
    /// Calls that went to the API.
    pub calls: i64,
    /// Calls that the gateway refused.
    pub refused: i64,
    /// Units that count as used.
    pub units: i64,
    /// Calls that ended in 4xx or 5xx.
    pub errors: i64,
}

/// A quota in its current period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuotaView {
    /// The subscription.
    pub subscription_id: String,
    /// `test` or `live`.
    pub environment: String,
    /// The quota's name.
    pub name: String,
    /// Units per period.
    pub limit: i64,
    /// Units used: the cells of the period that count.
    pub used: i64,
    /// Units left.
    pub remaining: i64,
    /// The period's start.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub period_start: i64,
    /// The period's end.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub period_end: i64,
    /// Both ends as they read in the plan's time zone: `2026-11-01 to 2026-11-30 (Europe/Berlin)`.
    pub period: String,
}

/// Whether the gateway refused a call with this outcome.
pub fn is_refusal(outcome_text: &str) -> bool {
    outcome::status_class(outcome_text).is_none() && outcome_text != outcome::ABORTED
}

fn is_error(outcome_text: &str) -> bool {
    matches!(outcome_text, "4xx" | "5xx")
}

#[derive(Default)]
struct Tally {
    calls: i64,
    refused: i64,
    units: i64,
    errors: i64,
}

impl Tally {
    fn add(&mut self, sum: &Sum) {
        if is_refusal(&sum.outcome) {
            self.refused += sum.calls;
            return;
        }
        self.calls += sum.calls;
        self.units += sum.units;
        if is_error(&sum.outcome) {
            self.errors += sum.calls;
        }
    }

    fn part(self, name: String) -> Part {
        Part {
            name,
            calls: self.calls,
            refused: self.refused,
            units: self.units,
            errors: self.errors,
        }
    }
}

/// Totals, parts and points of these sums.
pub fn summarise(
    sums: &[Sum],
    granularity: Granularity,
    latency: &[u64; LATENCY_BUCKETS],
) -> (Totals, Vec<Part>, Vec<Part>, Vec<Point>) {
    let mut all = Tally::default();
    let mut operations: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut outcomes: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut points: BTreeMap<i64, Tally> = BTreeMap::new();
    let (mut server_errors, mut bytes) = (0, 0);
    for sum in sums {
        all.add(sum);
        operations.entry(&sum.operation).or_default().add(sum);
        outcomes.entry(&sum.outcome).or_default().add(sum);
        points.entry(sum.point).or_default().add(sum);
        bytes += sum.bytes;
        if sum.outcome == "5xx" {
            server_errors += sum.calls;
        }
    }
    let totals = Totals {
        calls: all.calls,
        refused: all.refused,
        units: all.units,
        errors: all.errors,
        server_errors,
        bytes,
        latency_p50_ms: percentile(latency, 50),
        latency_p95_ms: percentile(latency, 95),
    };
    let width_ms = granularity.minutes() * 60_000;
    let series = points
        .into_iter()
        .map(|(point, tally)| Point {
            at: point * width_ms,
            calls: tally.calls,
            refused: tally.refused,
            units: tally.units,
            errors: tally.errors,
        })
        .collect();
    (totals, parts(operations), parts(outcomes), series)
}

fn parts(tallies: BTreeMap<&str, Tally>) -> Vec<Part> {
    let mut parts: Vec<Part> = tallies
        .into_iter()
        .map(|(name, tally)| tally.part(name.to_owned()))
        .collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.calls + part.refused));
    parts
}

/// The upper bound of the bucket that holds this percentile, in milliseconds.
pub fn percentile(latency: &[u64; LATENCY_BUCKETS], percent: u64) -> Option<f64> {
    let all: u64 = latency.iter().sum();
    let wanted = (all * percent).div_ceil(100);
    let mut seen = 0;
    for (bucket, calls) in latency.iter().enumerate() {
        seen += calls;
        if *calls > 0 && seen >= wanted {
            let bound = LATENCY_BOUNDS_US.get(bucket).or(LATENCY_BOUNDS_US.last())?;
            #[allow(clippy::cast_precision_loss)] // bounds are below 2^27
            return Some(*bound as f64 / 1_000.0);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(point: i64, operation: &str, outcome: &str, calls: i64) -> Sum {
        Sum {
            point,
            operation: operation.to_owned(),
            outcome: outcome.to_owned(),
            calls,
            units: calls,
            bytes: 10,
        }
    }

    #[test]
    fn parts_and_points_add_up_to_the_totals() {
        let sums = [
            sum(1, "a", "2xx", 5),
            sum(1, "a", "rate_limited", 2),
            sum(2, "b", "4xx", 1),
            sum(2, "b", "5xx", 1),
            sum(2, "", "aborted", 1),
        ];
        let mut latency = [0; LATENCY_BUCKETS];
        latency[0] = 9;
        latency[4] = 1;
        let (totals, operations, outcomes, series) = summarise(&sums, Granularity::Hour, &latency);
        assert_eq!(
            (
                totals.calls,
                totals.refused,
                totals.errors,
                totals.server_errors
            ),
            (8, 2, 2, 1)
        );
        assert_eq!(
            (totals.latency_p50_ms, totals.latency_p95_ms),
            (Some(0.25), Some(1.0))
        );
        for parts in [&operations, &outcomes] {
            assert_eq!(
                parts.iter().map(|part| part.calls).sum::<i64>(),
                totals.calls
            );
            assert_eq!(
                parts.iter().map(|part| part.refused).sum::<i64>(),
                totals.refused
            );
        }
        assert_eq!(
            series.iter().map(|point| point.units).sum::<i64>(),
            totals.units
        );
        assert_eq!(series[1].at, 2 * 3_600_000);
        assert_eq!(operations[0].name, "a");
    }

    #[test]
    fn without_calls_there_is_no_latency() {
        assert_eq!(percentile(&[0; LATENCY_BUCKETS], 95), None);
    }
}
