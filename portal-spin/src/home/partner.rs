//! A partner's home: three steps to a first call, then what happened and what comes next.

use askama::Template;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use shared::ids::AppId;

use super::store::{self, AppLine, Calls, LastCall};
use crate::agreements;
use crate::apps;
use crate::catalogue;
use crate::context::Context;
use crate::credentials::{self, Awaited, STEPS_OF_PAGE, wait_for};
use crate::encoding::readable_time;
use crate::guides;
use crate::metering::{self, QuotaView};
use crate::organisations::organisation_pages::NextStep;
use crate::organisations::store::{Organisation, find_organisation};
use crate::partners::Reach;
use crate::routes::Outcome;
use crate::subscriptions;
use crate::web::{Failure, Page, response};

/// How often and how an organisation calls one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Activity {
    /// `test` or `live`.
    pub environment: String,
    /// Calls ever that ended in 2xx or 3xx.
    pub successes: i64,
    /// Calls of the last 30 days that reached the API.
    pub calls_30_days: i64,
    /// Calls of the last 30 days that the gateway refused.
    pub refused_30_days: i64,
    /// The newest call in the request log, if there is one.
    pub last_call: Option<LastCallView>,
}

/// A call as the request log has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LastCallView {
    /// The app.
    pub app_id: String,
    /// When.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub at: i64,
    /// The method and the operation; an operation that is empty was not known.
    pub request: String,
    /// The HTTP status.
    pub status: i64,
    /// The gateway's code, if it refused the call.
    pub code: Option<String>,
}

impl From<LastCall> for LastCallView {
    fn from(call: LastCall) -> Self {
        Self {
            app_id: call.app_id,
            at: call.at_ms,
            request: format!("{} {}", call.method, call.operation)
                .trim()
                .to_owned(),
            status: call.status,
            code: (!call.code.is_empty()).then_some(call.code),
        }
    }
}

const MINUTES_OF_30_DAYS: i64 = 30 * 24 * 60;

async fn read_activity(context: &Context, environment: &str) -> Result<Activity, Failure> {
    let organisation_id = context.organisation_id()?;
    let connection = &context.connection;
    let ever = store::count_calls(connection, organisation_id, environment, 0).await?;
    let since = context.now_ms / 60_000 - MINUTES_OF_30_DAYS;
    let Calls {
        answered, refused, ..
    } = store::count_calls(connection, organisation_id, environment, since).await?;
    let last = store::find_last_call(connection, organisation_id, environment).await?;
    Ok(Activity {
        environment: environment.to_owned(),
        successes: ever.succeeded,
        calls_30_days: answered,
        refused_30_days: refused,
        last_call: last.map(LastCallView::from),
    })
}

/// `GET /api/v1/organisations/{organisation_id}/activity?environment=`
pub async fn show_activity(context: &Context) -> Outcome {
    response::ok(&read_activity(context, environment_of(context)?).await?)
}

fn environment_of(context: &Context) -> Result<&'static str, Failure> {
    match context.query("environment").as_deref() {
        None | Some("test") => Ok("test"),
        Some("live") => Ok("live"),
        Some(_) => Err(Failure::field(
            "environment",
            "unknown_value",
            "Give `test` or `live`.",
        )),
    }
}

/// `12 s ago`, `4 min ago`, then the time itself.
fn ago(now_ms: i64, at_ms: i64) -> String {
    match (now_ms - at_ms).max(0) / 1000 {
        seconds @ 0..=89 => format!("{seconds} s ago"),
        seconds @ 90..=5_399 => format!("{} min ago", seconds / 60),
        _ => readable_time(at_ms),
    }
}

struct QuotaLine {
    quota: QuotaView,
    app: String,
    href: String,
    ends: String,
}

#[derive(Template)]
#[template(path = "home/templates/partner.html")]
struct PartnerHome {
    page: Page,
    base: String,
    environment: &'static str,
    organisation: Organisation,
    outstanding: usize,
    apps: Vec<AppLine>,
    has_key: bool,
    is_live: bool,
    activity: Activity,
    last_seen: String,
    may_build: bool,
    new_key: Option<String>,
    gateway: String,
    example_path: String,
    quotas: Vec<QuotaLine>,
    steps: Vec<NextStep>,
    news: Vec<(String, String, String)>,
}

impl PartnerHome {
    /// Nothing changes by itself any more.
    fn is_settled(&self) -> bool {
        self.activity.successes > 0
    }
}

/// The path of an operation that needs nothing but a key.
pub(crate) async fn example_path(
    context: &Context,
    app_id: Option<AppId>,
) -> Result<String, Failure> {
    let mut products = Vec::new();
    if let Some(app_id) = app_id {
        for subscription in subscriptions::list_of_app(&context.connection, app_id).await? {
            products.push(subscription.product_id);
        }
    } else {
        let reach = Reach::of_caller(context).await?;
        for product in catalogue::list_offered_products(&context.connection).await? {
            if reach.sees(product.id) {
                products.push(product.id);
            }
        }
    }
    for product_id in products {
        let operations = catalogue::published_operations(&context.connection, product_id).await?;
        let plain = operations
            .iter()
            .find(|operation| operation.method == "GET" && !operation.path.contains('{'));
        if let Some(operation) = plain {
            return Ok(operation.path.clone());
        }
    }
    Ok("/".to_owned())
}

/// The newest news of the operator: title, address, day.
async fn read_news(context: &Context) -> Result<Vec<(String, String, String)>, Failure> {
    let published = guides::list_published(&context.connection).await?;
    Ok(published
        .into_iter()
        .filter(|guide| guide.kind == "news")
        .take(4)
        .map(|news| {
            let at = news.published_at.map(readable_time).unwrap_or_default();
            (news.title, format!("/guides/{}", news.slug), at)
        })
        .collect())
}

async fn quota_lines(
    context: &Context,
    apps: &[AppLine],
    environment: &str,
) -> Result<Vec<QuotaLine>, Failure> {
    let mut lines = Vec::new();
    for app in apps {
        for quota in metering::quotas_of_app(context, app.app_id).await? {
            if quota.environment == environment {
                lines.push(QuotaLine {
                    app: app.name.clone(),
                    href: format!("/apps/{}/usage?environment={environment}", app.app_id),
                    ends: readable_time(quota.period_end),
                    quota,
                });
            }
        }
    }
    Ok(lines)
}

async fn render(context: &Context, new_key: Option<String>) -> Outcome {
    let organisation_id = context.organisation_id()?;
    let environment = environment_of(context)?;
    let organisation = find_organisation(&context.connection, organisation_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let standing = agreements::routes::list_standing(context).await?;
    let is_outstanding = |state: &agreements::State| {
        matches!(state, agreements::State::Required | agreements::State::Due)
    };
    let outstanding = standing
        .iter()
        .filter(|item| is_outstanding(&item.state))
        .count();
    let base = format!("/organisations/{organisation_id}");
    let apps = store::list_apps(
        &context.connection,
        organisation_id,
        environment,
        context.now_ms,
    )
    .await?;
    let activity = read_activity(context, environment).await?;
    let mut steps = crate::reactions::next_steps(context, organisation_id).await?;
    if !standing.is_empty() {
        steps.push(NextStep {
            label: "Accept the agreements".to_owned(),
            href: format!("{base}/agreements"),
            hint: "Needed before live calls pass; the sandbox works without.".to_owned(),
            is_done: outstanding == 0,
        });
    }
    let is_live = apps.iter().any(|app| app.live_subscriptions > 0);
    steps.push(NextStep {
        label: "Go live".to_owned(),
        href: apps.first().map_or_else(
            || format!("{base}/apps"),
            |app| format!("/apps/{}/subscriptions", app.app_id),
        ),
        hint: "A checklist says what is missing.".to_owned(),
        is_done: is_live,
    });
    let last_seen = activity
        .last_call
        .as_ref()
        .map(|call| ago(context.now_ms, call.at))
        .unwrap_or_default();
    let home = PartnerHome {
        page: Page::of_organisation(context, &organisation.name, &organisation.name).named(),
        base,
        environment,
        outstanding,
        has_key: apps.iter().any(|app| app.keys > 0),
        is_live,
        last_seen,
        may_build: apps::may_build(context),
        new_key,
        gateway: context.configuration().get("gateway_url").to_owned(),
        example_path: example_path(context, apps.first().map(|app| app.app_id)).await?,
        quotas: quota_lines(context, &apps, environment).await?,
        news: read_news(context).await?,
        organisation,
        apps,
        activity,
        steps,
    };
    response::html_with(StatusCode::OK, &home)
}

/// `GET /organisations/{organisation_id}?environment=`
pub async fn show_partner_home(context: &Context) -> Outcome {
    render(context, None).await
}

/// `POST /organisations/{organisation_id}/first-key`: a test key for the first app, which is made if
/// there is none; the page with the key in the `curl` line, this once.
pub async fn issue_first_key(context: &Context) -> Outcome {
    let organisation_id = context.organisation_id()?;
    let known =
        store::list_apps(&context.connection, organisation_id, "test", context.now_ms).await?;
    let app = match known.first() {
        Some(app) => apps::find_app(&context.connection, app.app_id)
            .await?
            .ok_or_else(Failure::not_found)?,
        None => apps::create_first(context, organisation_id).await?,
    };
    let (credential, key) = credentials::issue_first(context, &app).await?;
    // The line with the key works as soon as it can be read: no gateway refuses it for being new.
    wait_for(context, credential, Awaited::Active, STEPS_OF_PAGE).await?;
    render(context, Some(key.expose().to_owned())).await
}

#[cfg(test)]
mod tests {
    use super::ago;

    #[test]
    fn a_moment_reads_as_people_say_it() {
        let now_ms = 1_767_225_600_000;
        assert_eq!(ago(now_ms, now_ms - 12_400), "12 s ago");
        assert_eq!(ago(now_ms, now_ms - 240_000), "4 min ago");
        assert_eq!(ago(now_ms, now_ms - 7_200_000), "2025-12-31 22:00 UTC");
        assert_eq!(ago(now_ms, now_ms + 5_000), "0 s ago");
    }
}
