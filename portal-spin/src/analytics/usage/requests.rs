//! Why the gateway refused, and the newest requests, each refusal with its explanation.

use std::collections::BTreeMap;

use shared::problem::Code;

use super::super::report::{Datum, Table, column};
use super::narrowed;
use crate::context::Context;
use crate::encoding::readable_time;
use crate::metering::{self, CallFilter, CallSum};
use crate::web::Failure;

/// Lines of the request log.
const LINES: i64 = 100;

fn text(text: impl Into<String>) -> Datum {
    Datum::Text(text.into())
}

/// Refused calls by code.
pub fn refusals(sums: &[CallSum]) -> Table {
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

/// The newest lines of the request log.
pub async fn requests(
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
