//! Requests, errors and latency percentiles: of all, by point in time, and by what calls are about.

use std::collections::BTreeMap;

use shared::usage::LATENCY_BUCKETS;

use super::super::chart::lines;
use super::super::report::{Column, Datum, Figure, Table, column, defined};
use super::grain::Grain;
use crate::analytics::period::Days;
use crate::metering::{self, CallSum, LatencySum};

/// What a sum of calls and one of latencies belong to: the id of an app, say.
type PartOf = (fn(&CallSum) -> &str, fn(&LatencySum) -> &str);

/// What latency is.
const LATENCY: &str = "upper bound of the histogram's bucket that the percentile falls into, of calls let through, measured at the gateway from first byte in to last byte out";
const PERCENTILES: [(&str, &str, u64); 3] = [
    ("latency_p50", "Half within", 50),
    ("latency_p95", "95 of 100 within", 95),
    ("latency_p99", "99 of 100 within", 99),
];

/// What the cells of one thing say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    calls: i64,
    client_errors: i64,
    server_errors: i64,
    refused: i64,
    bytes: i64,
    histogram: [u64; LATENCY_BUCKETS],
}

impl Default for Part {
    fn default() -> Self {
        Self {
            calls: 0,
            client_errors: 0,
            server_errors: 0,
            refused: 0,
            bytes: 0,
            histogram: [0; LATENCY_BUCKETS],
        }
    }
}

impl Part {
    fn add(&mut self, sum: &CallSum) {
        self.bytes += sum.bytes;
        if metering::is_refusal(&sum.outcome) {
            self.refused += sum.calls;
            return;
        }
        self.calls += sum.calls;
        match sum.outcome.as_str() {
            "4xx" => self.client_errors += sum.calls,
            "5xx" => self.server_errors += sum.calls,
            _ => {}
        }
    }

    fn add_latency(&mut self, sum: &LatencySum) {
        for (all, calls) in self.histogram.iter_mut().zip(&sum.histogram) {
            *all += calls;
        }
    }

    fn within(&self, percent: u64) -> Datum {
        metering::percentile(&self.histogram, percent)
            .map_or(Datum::Nothing, |ms| Datum::Text(format!("{ms} ms")))
    }

    fn values(&self) -> Vec<Datum> {
        let mut values = vec![
            Datum::Count(self.calls),
            Datum::Share(self.client_errors, self.calls),
            Datum::Share(self.server_errors, self.calls),
            Datum::Count(self.refused),
            Datum::Count(self.bytes),
        ];
        values.extend(PERCENTILES.map(|(_, _, percent)| self.within(percent)));
        values
    }

    fn columns(key: &str) -> Vec<Column> {
        let mut columns = vec![
            column(key),
            defined(
                "Requests",
                "let through by the gateway, whatever the answer",
            ),
            defined("4xx", "share of the requests answered 4xx by the API"),
            defined("5xx", "share of the requests answered 5xx"),
            defined(
                "Refused",
                "answered by the gateway itself; never counted as used",
            ),
            defined("Bytes", "of bodies, both ways"),
        ];
        columns.extend(PERCENTILES.map(|(_, label, _)| defined(label, LATENCY)));
        columns
    }
}

/// What was read of a span.
#[derive(Debug, Default)]
pub struct Sums {
    /// Calls.
    pub calls: Vec<CallSum>,
    /// How long they took.
    pub latencies: Vec<LatencySum>,
}

impl Sums {
    /// All of it.
    pub fn total(&self) -> Part {
        let by_nothing = self.by(|_| (), |_| ());
        by_nothing.into_values().next().unwrap_or_default()
    }

    fn by<K: Ord>(
        &self,
        call: impl Fn(&CallSum) -> K,
        latency: impl Fn(&LatencySum) -> K,
    ) -> BTreeMap<K, Part> {
        let mut parts: BTreeMap<K, Part> = BTreeMap::new();
        for sum in &self.calls {
            parts.entry(call(sum)).or_default().add(sum);
        }
        for sum in &self.latencies {
            parts.entry(latency(sum)).or_default().add_latency(sum);
        }
        parts
    }

    /// A row for each point of the span that is not in the future.
    pub fn by_time(&self, days: Days, grain: Grain, now_ms: i64) -> Table {
        let known = self.by(|sum| sum.minute, |sum| sum.minute);
        let minutes = super::minutes(days);
        let end = minutes.end.min(now_ms / 60_000 + 1);
        let step = usize::try_from(grain.minutes()).unwrap_or(1);
        let rows = (minutes.start..end)
            .step_by(step)
            .map(|minute| {
                let mut row = vec![Datum::Text(grain.label(minute))];
                row.extend(known.get(&minute).copied().unwrap_or_default().values());
                row
            })
            .collect();
        Table {
            name: "time",
            title: format!("By {grain}"),
            definition: "UTC. Newest minutes arrive within seconds.".to_owned(),
            columns: Part::columns(grain.heading()),
            rows,
            chart: lines(&[1, 4]),
        }
    }

    /// A row for each app, operation, credential or environment, most calls first.
    pub fn by_part(
        &self,
        name: &'static str,
        title: &str,
        key: &str,
        of: PartOf,
        label: impl Fn(&str) -> Datum,
    ) -> Table {
        let parts = self.by(|sum| of.0(sum).to_owned(), |sum| of.1(sum).to_owned());
        let mut parts: Vec<(String, Part)> = parts.into_iter().collect();
        parts.sort_by_key(|(_, part)| std::cmp::Reverse(part.calls + part.refused));
        Table {
            name,
            title: title.to_owned(),
            definition: "In the span, most calls first.".to_owned(),
            columns: Part::columns(key),
            rows: parts
                .into_iter()
                .map(|(id, part)| {
                    let mut row = vec![label(&id)];
                    row.extend(part.values());
                    row
                })
                .collect(),
            chart: None,
        }
    }
}

/// The numbers that lead, beside those of the span before.
pub fn figures(now: &Part, before: &Part) -> Vec<Figure> {
    let figure = |name, label, of: fn(&Part) -> Datum, definition: &str, table: &str| Figure {
        name,
        label,
        value: of(now),
        before: of(before),
        definition: definition.to_owned(),
        href: format!("#{table}"),
    };
    let mut figures = vec![
        figure(
            "requests",
            "Requests",
            |part| Datum::Count(part.calls),
            "let through by the gateway, whatever the answer; the cells that quota and invoice are made of",
            "time",
        ),
        figure(
            "errors",
            "Errors",
            |part| Datum::Share(part.client_errors + part.server_errors, part.calls),
            "share of the requests answered 4xx or 5xx by the API",
            "operations",
        ),
        figure(
            "refused",
            "Refused",
            |part| Datum::Count(part.refused),
            "answered by the gateway itself, for a limit, a quota or a credential; never counted as used",
            "refusals",
        ),
    ];
    figures.extend(PERCENTILES.map(|(name, label, percent)| Figure {
        name,
        label,
        value: now.within(percent),
        before: before.within(percent),
        definition: LATENCY.to_owned(),
        href: "#operations".to_owned(),
    }));
    figures
}
