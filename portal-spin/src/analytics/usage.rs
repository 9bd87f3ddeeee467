//! A partner's own analytics: every call of its apps, by day or hour and by whatever it is about.

use std::collections::BTreeMap;

use shared::problem::Code;
use shared::usage::LATENCY_BUCKETS;

use super::calendar::{day_label, day_of};
use super::chart::lines;
use super::frame::frame;
use super::pages::{ReportPage, csv, csv_address, query_pairs};
use super::period::Days;
use super::report::{Column, Datum, Figure, Report, Table, column, defined};
use crate::apps::{find_app, organisation_page};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::encoding::readable_time;
use crate::metering::{self, CallFilter, CallSum};
use crate::params;
use crate::routes::Outcome;
use crate::web::{Failure, response};

/// Latencies are kept by the minute: percentiles are for spans up to this many days.
const LATENCY_DAYS: i64 = 31;
/// Spans up to this many days are drawn by hour.
const HOURLY_DAYS: i64 = 3;
/// Lines of the request log.
const LINES: i64 = 100;
const DAY_MINUTES: i64 = 1_440;

/// Sums of what the cells of one thing say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    calls: i64,
    client_errors: i64,
    server_errors: i64,
    refused: i64,
    bytes: i64,
}

impl Tally {
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

    fn values(&self) -> Vec<Datum> {
        vec![
            Datum::Count(self.calls),
            Datum::Share(self.client_errors, self.calls),
            Datum::Share(self.server_errors, self.calls),
            Datum::Count(self.refused),
            Datum::Count(self.bytes),
        ]
    }

    fn columns(key: &str) -> Vec<Column> {
        vec![
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
        ]
    }
}

fn text(text: impl Into<String>) -> Datum {
    Datum::Text(text.into())
}

fn total(sums: &[CallSum]) -> Tally {
    let mut all = Tally::default();
    for sum in sums {
        all.add(sum);
    }
    all
}

fn tally_by<K: Ord>(sums: &[CallSum], key: impl Fn(&CallSum) -> K) -> BTreeMap<K, Tally> {
    let mut tallies: BTreeMap<K, Tally> = BTreeMap::new();
    for sum in sums {
        tallies.entry(key(sum)).or_default().add(sum);
    }
    tallies
}

fn minutes(days: Days) -> std::ops::Range<i64> {
    days.from * DAY_MINUTES..days.to * DAY_MINUTES
}

fn latency(histogram: &[u64; LATENCY_BUCKETS], percent: u64) -> Datum {
    metering::percentile(histogram, percent).map_or(Datum::Nothing, |ms| text(format!("{ms} ms")))
}

fn filter(context: &Context) -> Result<CallFilter, Failure> {
    let environment = context.query("environment").unwrap_or_default();
    if !matches!(environment.as_str(), "" | "test" | "live") {
        let detail = "Give `test` or `live`, or leave it out.";
        return Err(Failure::field("environment", "unknown_value", detail));
    }
    Ok(CallFilter {
        organisation_id: context.organisation_id()?.to_string(),
        environment,
        app_id: context.query("app").unwrap_or_default(),
        operation: context.query("operation").unwrap_or_default(),
        credential_id: context.query("credential").unwrap_or_default(),
    })
}

/// The same page, narrowed to one value.
fn narrowed(context: &Context, name: &str, value: &str, label: &str) -> Datum {
    if value.is_empty() {
        return text(label);
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (known, kept) in query_pairs(context) {
        if known != name && known != "format" && known != "table" {
            query.append_pair(&known, &kept);
        }
    }
    query.append_pair(name, value);
    Datum::Link(label.to_owned(), format!("?{}", query.finish()))
}

async fn names(
    context: &Context,
    sql: &str,
    organisation_id: &str,
) -> Result<BTreeMap<String, String>, DatabaseError> {
    let rows = context
        .connection
        .query(sql, params![organisation_id])
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}

async fn make(context: &Context) -> Result<Report, Failure> {
    let connection = &context.connection;
    let filter = filter(context)?;
    let days = Days::read_or_last(context, 30)?;
    let mut report = frame(
        "usage",
        "Usage",
        "How do our calls go, and what is left?",
        days,
    );
    let is_hourly = days.to - days.from <= HOURLY_DAYS;
    let width = if is_hourly { 60 } else { DAY_MINUTES };
    let sums = metering::list_calls(connection, &filter, minutes(days), width).await?;
    let before =
        metering::list_calls(connection, &filter, minutes(days.before()), DAY_MINUTES).await?;
    let histograms = if days.to - days.from <= LATENCY_DAYS {
        metering::list_latencies(connection, &filter, minutes(days)).await?
    } else {
        BTreeMap::new()
    };
    report.figures = figures(&total(&sums), &total(&before), &histograms);
    report
        .tables
        .push(by_time(&sums, days, is_hourly, context.now_ms));
    let organisation_id = filter.organisation_id.clone();
    let apps = names(
        context,
        "SELECT app_id, name FROM apps WHERE organisation_id = $1",
        &organisation_id,
    )
    .await?;
    let credentials = names(
        context,
        "SELECT c.credential_id, c.name || ' ' || c.prefix || '…' || c.last_four
         FROM credentials c JOIN apps a ON a.app_id = c.app_id WHERE a.organisation_id = $1",
        &organisation_id,
    )
    .await?;
    let label = |names: &BTreeMap<String, String>, id: &str| {
        names.get(id).map_or_else(|| id.to_owned(), Clone::clone)
    };
    report.tables.push(by_part(
        "apps",
        "By app",
        "App",
        tally_by(&sums, |sum| sum.app_id.clone()),
        |id| narrowed(context, "app", id, &label(&apps, id)),
    ));
    report
        .tables
        .push(by_operation(context, &sums, &histograms));
    report.tables.push(by_part(
        "credentials",
        "By credential",
        "Credential",
        tally_by(&sums, |sum| sum.credential_id.clone()),
        |id| narrowed(context, "credential", id, &label(&credentials, id)),
    ));
    report.tables.push(by_part(
        "environments",
        "By environment",
        "Environment",
        tally_by(&sums, |sum| sum.environment.clone()),
        |name| narrowed(context, "environment", name, name),
    ));
    report.tables.push(refusals(&sums));
    report.tables.push(quotas(context, &apps).await?);
    report.tables.push(requests(context, &filter, &apps).await?);
    Ok(report)
}

fn figures(
    now: &Tally,
    before: &Tally,
    histograms: &BTreeMap<String, [u64; LATENCY_BUCKETS]>,
) -> Vec<Figure> {
    let mut all = [0; LATENCY_BUCKETS];
    for histogram in histograms.values() {
        for (sum, calls) in all.iter_mut().zip(histogram) {
            *sum += calls;
        }
    }
    let figure = |name, label, value, before, definition: &str| Figure {
        name,
        label,
        value,
        before,
        definition: definition.to_owned(),
    };
    let latency_definition = "upper bound of the histogram's bucket that the percentile falls into, measured at the gateway from first byte in to last byte out; spans up to 31 days";
    vec![
        figure(
            "requests",
            "Requests",
            Datum::Count(now.calls),
            Datum::Count(before.calls),
            "let through by the gateway, whatever the answer; the cells that quota and invoice are made of",
        ),
        figure(
            "errors",
            "Errors",
            Datum::Share(now.client_errors + now.server_errors, now.calls),
            Datum::Share(before.client_errors + before.server_errors, before.calls),
            "share of the requests answered 4xx or 5xx by the API",
        ),
        figure(
            "refused",
            "Refused",
            Datum::Count(now.refused),
            Datum::Count(before.refused),
            "answered by the gateway itself, for a limit, a quota or a credential; never counted as used",
        ),
        figure(
            "latency_p50",
            "Half within",
            latency(&all, 50),
            Datum::Nothing,
            latency_definition,
        ),
        figure(
            "latency_p95",
            "95 of 100 within",
            latency(&all, 95),
            Datum::Nothing,
            latency_definition,
        ),
        figure(
            "latency_p99",
            "99 of 100 within",
            latency(&all, 99),
            Datum::Nothing,
            latency_definition,
        ),
    ]
}

fn by_time(sums: &[CallSum], days: Days, is_hourly: bool, now_ms: i64) -> Table {
    let known = tally_by(sums, |sum| sum.minute);
    let step = if is_hourly { 60 } else { DAY_MINUTES };
    let end = (days.to * DAY_MINUTES).min(now_ms / 60_000 + 1);
    let points = (days.from * DAY_MINUTES..end).step_by(usize::try_from(step).unwrap_or(1));
    let rows = points
        .map(|minute| {
            let label = if is_hourly {
                readable_time(minute * 60_000)
            } else {
                day_label(day_of(minute * 60_000))
            };
            let mut row = vec![text(label)];
            row.extend(known.get(&minute).copied().unwrap_or_default().values());
            row
        })
        .collect();
    Table {
        name: "time",
        title: if is_hourly { "By hour" } else { "By day" }.to_owned(),
        definition:
            "UTC. Spans up to three days are shown by hour; newest minutes arrive within seconds."
                .to_owned(),
        columns: Tally::columns(if is_hourly { "Hour" } else { "Day" }),
        rows,
        chart: lines(&[1, 4]),
    }
}

fn by_part(
    name: &'static str,
    title: &str,
    key: &str,
    tallies: BTreeMap<String, Tally>,
    label: impl Fn(&str) -> Datum,
) -> Table {
    let mut parts: Vec<(String, Tally)> = tallies.into_iter().collect();
    parts.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.calls + tally.refused));
    Table {
        name,
        title: title.to_owned(),
        definition: "In the span, most calls first.".to_owned(),
        columns: Tally::columns(key),
        rows: parts
            .into_iter()
            .map(|(id, tally)| {
                let mut row = vec![label(&id)];
                row.extend(tally.values());
                row
            })
            .collect(),
        chart: None,
    }
}

fn by_operation(
    context: &Context,
    sums: &[CallSum],
    histograms: &BTreeMap<String, [u64; LATENCY_BUCKETS]>,
) -> Table {
    let mut table = by_part(
        "operations",
        "By operation",
        "Operation",
        tally_by(sums, |sum| sum.operation.clone()),
        |name| {
            let label = if name.is_empty() {
                "(none matched)"
            } else {
                name
            };
            narrowed(context, "operation", name, label)
        },
    );
    for (label, percent) in [("Half within", 50), ("95 of 100", 95), ("99 of 100", 99)] {
        table.columns.push(defined(
            label,
            "latency at the gateway; spans up to 31 days",
        ));
        for row in &mut table.rows {
            let name = row.first().map(Datum::text).unwrap_or_default();
            let name = if name == "(none matched)" { "" } else { &name };
            let value = histograms
                .get(name)
                .map_or(Datum::Nothing, |one| latency(one, percent));
            row.push(value);
        }
    }
    table
}

fn refusals(sums: &[CallSum]) -> Table {
    let refused = sums.iter().filter(|sum| metering::is_refusal(&sum.outcome));
    let mut codes: BTreeMap<&str, i64> = BTreeMap::new();
    for sum in refused {
        *codes.entry(&sum.outcome).or_default() += sum.calls;
    }
    let mut codes: Vec<(&str, i64)> = codes.into_iter().collect();
    codes.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
    Table {
        name: "refusals",
        title: "Why the gateway refused".to_owned(),
        definition: "Refused calls of the span by code.".to_owned(),
        columns: ["Code", "Calls", "What it means"].map(column).to_vec(),
        rows: codes
            .into_iter()
            .map(|(code, calls)| {
                vec![
                    Datum::Link(code.to_owned(), format!("/help/{code}")),
                    Datum::Count(calls),
                    text(explain(code)),
                ]
            })
            .collect(),
        chart: None,
    }
}

fn explain(code: &str) -> &'static str {
    Code::from_name(code).map_or("", |code| code.detail())
}

async fn quotas(context: &Context, apps: &BTreeMap<String, String>) -> Result<Table, Failure> {
    let mut rows = Vec::new();
    for (id, name) in apps {
        let Ok(app_id) = id.parse() else { continue };
        if find_app(&context.connection, app_id).await?.is_none() {
            continue;
        }
        for quota in metering::quotas_of_app(context, app_id).await? {
            rows.push(vec![
                text(name.clone()),
                text(quota.environment),
                text(quota.name),
                Datum::Count(quota.used),
                Datum::Count(quota.remaining),
                Datum::Count(quota.limit),
                Datum::Share(quota.used, quota.limit),
                text(readable_time(quota.period_end)),
            ]);
        }
    }
    Ok(Table {
        name: "quotas",
        title: "What is left".to_owned(),
        definition: "Quotas of standing subscriptions in their current period, whatever span is shown: the sum that the gateway enforces and the invoice states.".to_owned(),
        columns: ["App", "Environment", "Quota", "Used", "Left", "Limit", "Share", "Period ends"]
            .map(column)
            .to_vec(),
        rows,
        chart: None,
    })
}

async fn requests(
    context: &Context,
    filter: &CallFilter,
    apps: &BTreeMap<String, String>,
) -> Result<Table, Failure> {
    let kind = context.query("status").unwrap_or_default();
    let lines = metering::list_sampled_requests(&context.connection, filter, &kind, LINES).await?;
    Ok(Table {
        name: "requests",
        title: "Newest requests".to_owned(),
        definition: format!(
            "The newest {LINES} kept, whatever span is shown: all failures and a sample of successes, 14 days. Narrow with `?status=4xx`, `5xx`, `refused` or a code, and `app`, `operation`, `credential`, `environment`."
        ),
        columns: [
            "Time",
            "Request",
            "App",
            "Environment",
            "Operation",
            "Status",
            "ms",
            "Refused with",
            "What it means",
        ]
        .map(column)
        .to_vec(),
        rows: lines
            .into_iter()
            .map(|line| {
                vec![
                    text(readable_time(line.at_ms)),
                    text(line.request_id),
                    text(apps.get(&line.app_id).cloned().unwrap_or_default()),
                    text(line.environment),
                    text(format!("{} {}", line.method, line.operation)),
                    Datum::Count(line.status),
                    Datum::Count(line.latency_us / 1_000),
                    if line.code.is_empty() {
                        Datum::Nothing
                    } else {
                        narrowed(context, "status", &line.code, &line.code)
                    },
                    text(explain(&line.code)),
                ]
            })
            .collect(),
        chart: None,
    })
}

/// `GET /api/v1/organisations/{organisation_id}/usage`
pub async fn read_usage(context: &Context) -> Outcome {
    let report = make(context).await?;
    match csv(context, &report)? {
        Some(file) => Ok(file),
        None => response::ok(&report),
    }
}

/// `GET /organisations/{organisation_id}/usage`
pub async fn show_usage(context: &Context) -> Outcome {
    let report = make(context).await?;
    if let Some(file) = csv(context, &report)? {
        return Ok(file);
    }
    let path = format!(
        "/organisations/{}/usage",
        context.path_text("organisation_id")
    );
    let kept = query_pairs(context)
        .into_iter()
        .filter(|(name, _)| !matches!(name.as_str(), "from" | "to" | "format" | "table"))
        .collect();
    response::html(&ReportPage {
        page: organisation_page(context, &report.title).await?,
        csv: csv_address(context, &path),
        places: Vec::new(),
        has_span: true,
        kept,
        report,
    })
}
