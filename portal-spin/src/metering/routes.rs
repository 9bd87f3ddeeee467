//! `/api/v1/apps/{app_id}/usage` and `/api/v1/apps/{app_id}/requests`.

use schemars::JsonSchema;
use serde::Serialize;
use shared::credential::Environment;
use shared::ids::AppId;
use shared::usage::LATENCY_BUCKETS;

use super::cells::parse_latency;
use super::meter_use::list_meter_use;
use super::model::{Granularity, QuotaView, Sum, UsageView, summarise};
use super::quantities::{counts, minute_from, used_units};
use super::spans::{Coarsest, Span};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::edges;
use crate::params;
use crate::routes::Outcome;
use crate::subscriptions::{self, Terms};
use crate::web::paging::{PageOf, PageRequest, finds, unknown_cursor};
use crate::web::{Failure, response};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What a usage read asks for.
pub(super) struct Question {
    pub app_id: AppId,
    pub environment: Option<Environment>,
    pub from_ms: i64,
    pub to_ms: i64,
    pub granularity: Granularity,
}

fn time(context: &Context, name: &str) -> Result<Option<i64>, Failure> {
    context
        .query(name)
        .map(|text| {
            text.parse::<jiff::Timestamp>()
                .map(jiff::Timestamp::as_millisecond)
                .map_err(|_| {
                    Failure::field(name, "malformed", "Give a time like 2026-11-22T14:05:00Z.")
                })
        })
        .transpose()
}

impl Question {
    /// Reads `from`, `to`, `granularity` and `environment`; without them, the last 24 hours by hour.
    pub(super) fn read(context: &Context) -> Result<Self, Failure> {
        let name = context
            .query("granularity")
            .unwrap_or_else(|| "hour".to_owned());
        let granularity = Granularity::from_name(&name).ok_or_else(|| {
            Failure::field(
                "granularity",
                "unknown_value",
                "Give `minute`, `hour` or `day`.",
            )
        })?;
        let environment = match context.query("environment") {
            None => None,
            Some(name) => Some(Environment::from_name(&name).ok_or_else(|| {
                Failure::field(
                    "environment",
                    "unknown_value",
                    "Give `test` or `live`, or leave it out.",
                )
            })?),
        };
        // The minute that runs is part of the span.
        let to_ms = time(context, "to")?.unwrap_or(minute_from(context.now_ms + 1) * 60_000);
        let from_ms = time(context, "from")?.unwrap_or(to_ms - DAY_MS);
        if from_ms >= to_ms {
            return Err(Failure::field(
                "from",
                "out_of_range",
                "`from` is before `to`.",
            ));
        }
        if to_ms - from_ms > granularity.longest_ms() {
            let detail = "The span is too long for this granularity: a day of minutes, 31 days of hours, 400 days.";
            return Err(Failure::field("granularity", "out_of_range", detail));
        }
        Ok(Self {
            app_id: context.path_id("app_id")?,
            environment,
            from_ms,
            to_ms,
            granularity,
        })
    }
}

/// The last 24 hours of the app of the path, by hour, both environments.
pub async fn last_day(context: &Context) -> Result<UsageView, Failure> {
    let to_ms = minute_from(context.now_ms + 1) * 60_000;
    let question = Question {
        app_id: context.path_id("app_id")?,
        environment: None,
        from_ms: to_ms - DAY_MS,
        to_ms,
        granularity: Granularity::Hour,
    };
    usage(context, &question).await
}

/// The quotas of an app's subscriptions in their current period.
pub async fn quotas_of_app(context: &Context, app_id: AppId) -> Result<Vec<QuotaView>, Failure> {
    let terms = subscriptions::list_terms_of_app(&context.connection, app_id).await?;
    Ok(quotas(context, &terms).await?)
}

/// Answers a question from the cells.
pub(super) async fn usage(context: &Context, question: &Question) -> Result<UsageView, Failure> {
    let terms = subscriptions::list_terms_of_app(&context.connection, question.app_id).await?;
    let (sums, latency) = read_sums(context, question, &terms).await?;
    let (totals, by_operation, by_outcome, series) =
        summarise(&sums, question.granularity, &latency);
    Ok(UsageView {
        app_id: question.app_id.to_string(),
        environment: question
            .environment
            .map_or("all", Environment::as_str)
            .to_owned(),
        from: question.from_ms,
        to: question.to_ms,
        granularity: question.granularity.as_str().to_owned(),
        totals,
        by_operation,
        by_outcome,
        series,
        quotas: quotas(context, &terms).await?,
        meters: list_meter_use(&context.connection, &terms, context.now_ms).await?,
        gaps: edges::boots::list_gaps(&context.connection, question.from_ms, question.to_ms)
            .await?,
    })
}

async fn read_sums(
    context: &Context,
    question: &Question,
    terms: &[Terms],
) -> Result<(Vec<Sum>, [u64; LATENCY_BUCKETS]), DatabaseError> {
    let environments = question
        .environment
        .map_or([Environment::Test, Environment::Live], |one| [one, one]);
    let width = question.granularity.minutes();
    let rows = Span {
        select: &format!(
            "c.minute / {width}, c.operation, c.outcome, c.subscription_id, c.meter_id, c.is_call_count,
             CAST(SUM(c.count) AS BIGINT), CAST(SUM(c.units) AS BIGINT), CAST(SUM(c.bytes) AS BIGINT)"
        ),
        scope: "s.app_id = $1 AND s.environment IN ($2, $3)",
        group: "GROUP BY 1, 2, 3, 4, 5, 6",
        scope_parameters: params![
            question.app_id.to_string(),
            environments[0].as_str(),
            environments[1].as_str(),
        ],
        from: minute_from(question.from_ms),
        to: minute_from(question.to_ms),
        coarsest: match question.granularity {
            Granularity::Minute => Coarsest::Minute,
            Granularity::Hour => Coarsest::Hour,
            Granularity::Day => Coarsest::Day,
        },
    }
    .read(&context.connection)
    .await?;
    let mut sums = Vec::with_capacity(rows.len());
    for row in rows {
        let outcome: String = row.get(2)?;
        let subscription_id: String = row.get(3)?;
        let meter_id: String = row.get(4)?;
        let is_call_count: bool = row.get(5)?;
        let used = terms.iter().any(|terms| {
            terms.subscription.id.to_string() == subscription_id
                && terms
                    .quota_meter
                    .is_some_and(|meter| meter.to_string() == meter_id)
                && counts(terms.counting(), &outcome)
        });
        sums.push(Sum {
            point: row.get(0)?,
            operation: row.get(1)?,
            outcome,
            calls: if is_call_count { row.get(6)? } else { 0 },
            units: if used { row.get(7)? } else { 0 },
            bytes: if is_call_count { row.get(8)? } else { 0 },
        });
    }
    let rows = context
        .connection
        .query(
            "SELECT c.latency, COUNT(*) FROM usage_series s JOIN usage_cells c ON c.series = s.series
             WHERE s.app_id = $1 AND s.environment IN ($2, $3) AND c.minute >= $4 AND c.minute < $5
                AND s.is_call_count = $6
             GROUP BY c.latency",
            params![
                question.app_id.to_string(),
                environments[0].as_str(),
                environments[1].as_str(),
                minute_from(question.from_ms),
                minute_from(question.to_ms),
                1_i64,
            ],
        )
        .await?;
    let mut latency = [0_u64; LATENCY_BUCKETS];
    for row in rows {
        let text: String = row.get(0)?;
        let times: u64 = row.get(1)?;
        for (bucket, calls) in parse_latency(&text) {
            if let Some(sum) = latency.get_mut(bucket) {
                *sum += calls * times;
            }
        }
    }
    Ok((sums, latency))
}

async fn quotas(context: &Context, terms: &[Terms]) -> Result<Vec<QuotaView>, DatabaseError> {
    let mut views = Vec::new();
    for terms in terms
        .iter()
        .filter(|terms| terms.subscription.cancelled_at_ms.is_none())
    {
        let (Some(quota), Some(meter)) = (&terms.plan.terms.quota, terms.quota_meter) else {
            continue;
        };
        let period = terms.period(context.now_ms)?;
        let limit = i64::try_from(quota.limit).unwrap_or(i64::MAX);
        for environment in terms.subscription.environments() {
            let id = terms.subscription.id;
            let used = used_units(
                &context.connection,
                id,
                environment,
                meter,
                terms.counting(),
                period,
            )
            .await?;
            views.push(QuotaView {
                subscription_id: id.to_string(),
                environment: environment.as_str().to_owned(),
                name: quota.name.clone(),
                limit,
                used,
                remaining: (limit - used).max(0),
                period_start: period.start_ms,
                period_end: period.end_ms,
                period: terms.describe(&period)?,
            });
        }
    }
    Ok(views)
}

/// `GET …/usage?from=&to=&granularity=&environment=`
pub async fn show_usage(context: &Context) -> Outcome {
    let question = Question::read(context)?;
    response::json_with_etag(
        context.header("if-none-match"),
        &usage(context, &question).await?,
    )
}

/// A line of the request log.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LoggedRequest {
    /// When the call ended.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub at: i64,
    /// `x-request-id`.
    pub request_id: String,
    /// The credential.
    pub credential_id: String,
    /// The installation whose token was used; null for a key.
    pub installation_id: Option<String>,
    /// `test` or `live`.
    pub environment: String,
    /// The operation; empty where none matched.
    pub operation: String,
    /// The HTTP method.
    pub method: String,
    /// The status sent; 0 when the client gave up.
    pub status: i64,
    /// The refusal's code; null where the gateway did not refuse.
    pub code: Option<String>,
    /// Milliseconds from first byte in to last byte out.
    pub latency_ms: f64,
}

/// The request log of an app, newest first.
pub type RequestLog = PageOf<LoggedRequest>;

pub(super) async fn read_log(
    context: &Context,
    app_id: AppId,
    page: &PageRequest,
) -> Result<RequestLog, Failure> {
    // The last line's time and request: several lines may have one time.
    let (before_ms, before_request) = match context.query("cursor") {
        None => (i64::MAX, String::new()),
        Some(text) => {
            let (at, request) = text.split_once('.').ok_or_else(unknown_cursor)?;
            let at = at.parse().map_err(|_| unknown_cursor())?;
            (at, request.to_owned())
        }
    };
    let status: i64 = match context.query("status").unwrap_or_default().as_str() {
        "" => -1,
        text => text.parse().map_err(|_| {
            Failure::field("status", "malformed", "Give an HTTP status such as 404.")
        })?,
    };
    let found = finds("$4", &["operation", "code", "request_id", "credential_id"]);
    let rows = context
        .connection
        .query(
            &format!(
                "SELECT at_ms, request_id, credential_id, environment, operation, method, status, code,
                    latency_us, installation_id
                 FROM request_samples WHERE app_id = $1 AND (at_ms < $2 OR (at_ms = $2 AND request_id < $3))
                    AND {found} AND ($5 = '' OR environment = $5) AND (CAST($6 AS BIGINT) < 0 OR status = CAST($6 AS BIGINT))
                 ORDER BY at_ms DESC, request_id DESC LIMIT $7"
            ),
            params![
                app_id.to_string(),
                before_ms,
                before_request,
                page.wanted.as_str(),
                context.query("environment").unwrap_or_default(),
                status,
                page.limit_and_one()
            ],
        )
        .await?;
    let lines = rows
        .iter()
        .map(|row| {
            let code: String = row.get(7)?;
            let latency_us: i64 = row.get(8)?;
            let installation_id: String = row.get(9)?;
            #[allow(clippy::cast_precision_loss)] // far below 2^53
            let latency_ms = latency_us as f64 / 1_000.0;
            Ok(LoggedRequest {
                at: row.get(0)?,
                request_id: row.get(1)?,
                credential_id: row.get(2)?,
                installation_id: (!installation_id.is_empty()).then_some(installation_id),
                environment: row.get(3)?,
                operation: row.get(4)?,
                method: row.get(5)?,
                status: row.get(6)?,
                code: (!code.is_empty()).then_some(code),
                latency_ms,
            })
        })
        .collect::<Result<Vec<_>, DatabaseError>>()?;
    Ok(page.page_of(lines, |line| format!("{}.{}", line.at, line.request_id)))
}

/// `GET …/requests`
pub async fn list_requests(context: &Context) -> Outcome {
    let app_id: AppId = context.path_id("app_id")?;
    let page = PageRequest::read(context)?;
    response::ok(&read_log(context, app_id, &page).await?)
}
