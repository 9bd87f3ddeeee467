//! A partner's own analytics: every call of its apps, by point in time and by whatever it is about; what is
//! left, what it costs, and how its listings fare.

mod grain;
mod parts;
mod requests;
mod standing;

use std::collections::BTreeMap;

use super::frame::frame;
use super::pages::{ReportPage, answer, query_pairs};
use super::period::Days;
use super::report::{Choice, Datum, Report};
use crate::apps::organisation_page;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::metering::{self, CallFilter};
use crate::params;
use crate::routes::Outcome;
use crate::web::{Failure, response};
use grain::Grain;
use parts::Sums;

const DAY_MINUTES: i64 = 1_440;
/// What requests can be narrowed to beside a refusal's code.
const STATUSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "refused"];

fn minutes(days: Days) -> std::ops::Range<i64> {
    days.from * DAY_MINUTES..days.to * DAY_MINUTES
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
        return Datum::Text(label.to_owned());
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

type Names = BTreeMap<String, String>;

async fn names(
    context: &Context,
    sql: &str,
    organisation_id: &str,
) -> Result<Names, DatabaseError> {
    let rows = context
        .connection
        .query(sql, params![organisation_id])
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}

fn label<'a>(names: &'a Names, id: &'a str) -> &'a str {
    names.get(id).map_or(id, String::as_str)
}

async fn read_sums(
    context: &Context,
    filter: &CallFilter,
    days: Days,
    grain: Grain,
) -> Result<Sums, DatabaseError> {
    let connection = &context.connection;
    Ok(Sums {
        calls: metering::list_calls(connection, filter, minutes(days), grain.minutes()).await?,
        latencies: metering::list_latencies(connection, filter, minutes(days), grain.minutes())
            .await?,
    })
}

async fn make(context: &Context) -> Result<Report, Failure> {
    let filter = filter(context)?;
    let days = Days::read_or_last(context, 30)?;
    let grain = Grain::read(context, days)?;
    let mut report = frame(
        "usage",
        "Usage",
        "How do our calls go, and what is left?",
        days,
    );
    let organisation_id = context.organisation_id()?;
    let owner = filter.organisation_id.clone();
    let sums = read_sums(context, &filter, days, grain).await?;
    let before = read_sums(context, &filter, days.before(), Grain::Day).await?;
    let apps = names(
        context,
        "SELECT app_id, name FROM apps WHERE organisation_id = $1",
        &owner,
    )
    .await?;
    let standing_apps = names(
        context,
        "SELECT app_id, name FROM apps WHERE organisation_id = $1 AND deleted_at_ms IS NULL",
        &owner,
    )
    .await?;
    let credentials = names(
        context,
        "SELECT c.credential_id, c.name || ' ' || c.prefix || '…' || c.last_four
         FROM credentials c JOIN apps a ON a.app_id = c.app_id WHERE a.organisation_id = $1",
        &owner,
    )
    .await?;
    let (costs, costs_table) = standing::costs(context, organisation_id).await?;
    report.figures = parts::figures(&sums.total(), &before.total());
    report.figures.extend(costs);
    report.choices = choices(context, &filter, grain, &apps, &credentials, &sums);
    report.tables = vec![
        sums.by_time(days, grain, context.now_ms),
        sums.by_part(
            "apps",
            "By app",
            "App",
            (|sum| &sum.app_id, |sum| &sum.app_id),
            |id| narrowed(context, "app", id, label(&apps, id)),
        ),
        sums.by_part(
            "operations",
            "By operation",
            "Operation",
            (|sum| &sum.operation, |sum| &sum.operation),
            |name| narrowed(context, "operation", name, operation_label(name)),
        ),
        sums.by_part(
            "credentials",
            "By credential",
            "Credential",
            (|sum| &sum.credential_id, |sum| &sum.credential_id),
            |id| narrowed(context, "credential", id, label(&credentials, id)),
        ),
        sums.by_part(
            "environments",
            "By environment",
            "Environment",
            (|sum| &sum.environment, |sum| &sum.environment),
            |name| narrowed(context, "environment", name, name),
        ),
        requests::refusals(&sums.calls),
        standing::quotas(context, &standing_apps).await?,
        standing::limits(context, organisation_id, &standing_apps).await?,
        costs_table,
        requests::requests(context, &filter, &apps).await?,
        standing::installs(context, organisation_id, days).await?,
    ];
    Ok(report)
}

const fn operation_label(name: &str) -> &str {
    if name.is_empty() {
        "(none matched)"
    } else {
        name
    }
}

/// What the page can be narrowed to.
fn choices(
    context: &Context,
    filter: &CallFilter,
    grain: Grain,
    apps: &Names,
    credentials: &Names,
    sums: &Sums,
) -> Vec<Choice> {
    let of = |names: &Names| -> Vec<(String, String)> {
        names
            .iter()
            .map(|(id, name)| (id.clone(), name.clone()))
            .collect()
    };
    let same = |names: &[&str]| -> Vec<(String, String)> {
        names
            .iter()
            .map(|name| ((*name).to_owned(), (*name).to_owned()))
            .collect()
    };
    let mut operations: Vec<&str> = sums
        .calls
        .iter()
        .map(|sum| sum.operation.as_str())
        .filter(|name| !name.is_empty())
        .chain(
            [filter.operation.as_str()]
                .into_iter()
                .filter(|name| !name.is_empty()),
        )
        .collect();
    operations.sort_unstable();
    operations.dedup();
    let status = context.query("status").unwrap_or_default();
    let mut statuses = STATUSES.to_vec();
    if !status.is_empty() && !statuses.contains(&status.as_str()) {
        statuses.push(&status);
    }
    let grains: Vec<&str> = Grain::ANY.iter().map(|grain| grain.as_str()).collect();
    vec![
        Choice::among("app", "App", of(apps), &filter.app_id),
        Choice::among(
            "environment",
            "Environment",
            same(&["test", "live"]),
            &filter.environment,
        ),
        Choice::among(
            "operation",
            "Operation",
            same(&operations),
            &filter.operation,
        ),
        Choice::among(
            "credential",
            "Credential",
            of(credentials),
            &filter.credential_id,
        ),
        Choice::among("status", "Newest requests", same(&statuses), &status),
        Choice::one_of("by", "By", same(&grains), grain.as_str()),
    ]
}

/// `GET /api/v1/organisations/{organisation_id}/usage`
pub async fn read_usage(context: &Context) -> Outcome {
    let report = make(context).await?;
    match answer(context, &report)? {
        Some(file) => Ok(file),
        None => response::ok(&report),
    }
}

/// `GET /organisations/{organisation_id}/usage`
pub async fn show_usage(context: &Context) -> Outcome {
    let report = make(context).await?;
    if let Some(file) = answer(context, &report)? {
        return Ok(file);
    }
    let path = format!(
        "/organisations/{}/usage",
        context.path_text("organisation_id")
    );
    let page = organisation_page(context, &report.title).await?;
    response::html(&ReportPage::of(
        context,
        page,
        &path,
        Vec::new(),
        true,
        report,
    ))
}
