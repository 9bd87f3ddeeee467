//! The operator's queue: the list with its filters, and one request with everything that it is decided by.

use askama::Template;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::model::{Request, RequestKind, RequestView};
use super::routes::DecisionBody;
use super::{queue, routes, store};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::organisations::OperatorRole;
use crate::organisations::store::find_person;
use crate::routes::{MANAGERS, Outcome};
use crate::web::bulk::{self, Done, Report, Task};
use crate::web::forms::{Form, Shown};
use crate::web::listed::Listed;
use crate::web::paging::PageRequest;
use crate::web::{Failure, Page, response};

struct QueueRow {
    view: RequestView,
    organisation: String,
    app: String,
    plan: String,
    what: &'static str,
    asked_by: String,
    asked: String,
    age: String,
    due: String,
    is_late: bool,
    decided: String,
}

#[derive(Template)]
#[template(path = "subscriptions/templates/requests.html")]
struct RequestsPage {
    page: Page,
    state: String,
    rows: Vec<QueueRow>,
    listed: Listed,
    shown: Shown,
    report: Option<Report>,
    may_decide: bool,
}

#[derive(Template)]
#[template(path = "subscriptions/templates/request.html")]
struct RequestPage {
    page: Page,
    shown: Shown,
    row: QueueRow,
    organisation_id: String,
    may_decide: bool,
}

/// `3 d 4 h`, `5 h` or `12 min`.
fn span(ms: i64) -> String {
    let minutes = ms.max(0) / 60_000;
    match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, _) => format!("{hours} h"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

async fn row(context: &Context, request: &Request) -> Result<QueueRow, Failure> {
    let decided_by = match request.decided_by.parse() {
        Ok(person_id) => find_person(&context.connection, person_id)
            .await?
            .map(|person| person.email),
        Err(_) => Some(request.decided_by.clone()),
    };
    let known = queue::named(context, request).await?;
    let until_ms = request.decided_at_ms.unwrap_or(context.now_ms);
    Ok(QueueRow {
        organisation: known.organisation_name,
        app: known.app_name.unwrap_or_else(|| "(deleted)".to_owned()),
        plan: known.plan_name,
        what: match request.kind {
            RequestKind::GoLive => "wants to go live",
            RequestKind::ChangePlan => "wants another plan",
        },
        asked_by: known.requested_by,
        asked: readable_time(request.requested_at_ms),
        age: span(until_ms - request.requested_at_ms),
        due: readable_time(request.due_at_ms),
        is_late: request.due_at_ms < until_ms,
        decided: request.decided_at_ms.map_or(String::new(), |at| {
            let (at, by) = (readable_time(at), decided_by.unwrap_or_default());
            match by.as_str() {
                "policy" => format!("{at}, by the plan's rules"),
                _ => format!("{at}, decided by {by}"),
            }
        }),
        view: known.request,
    })
}

async fn requests_page(
    context: &Context,
    shown: Shown,
    report: Option<Report>,
) -> Result<RequestsPage, Failure> {
    let state = routes::state_wanted(context)?;
    let request = PageRequest::read(context)?;
    let found = store::list_requests(&context.connection, &state, &request).await?;
    let list = request.page_of(found, |known: &Request| known.id.clone());
    let mut rows = Vec::with_capacity(list.items.len());
    for known in &list.items {
        rows.push(row(context, known).await?);
    }
    Ok(RequestsPage {
        page: Page::new(context, "Requests"),
        may_decide: state == "waiting"
            && OperatorRole::any_of(&context.person()?.operator_roles, MANAGERS),
        state,
        rows,
        shown,
        report,
        listed: {
            let path = "/operator/requests";
            Listed::of(context, path, path, list.next_cursor.as_deref())
        },
    })
}

/// `GET /operator/requests?state=`: what waits, the most urgent first; or what was decided, newest first.
pub async fn show_requests_page(context: &Context) -> Outcome {
    response::html(&requests_page(context, Shown::default(), None).await?)
}

/// A decision about several wishes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestDecisionsBody {
    /// The wishes, at most 100.
    pub request_ids: Vec<String>,
    /// `approved` or `refused`.
    pub outcome: String,
    /// Printed to each partner; needed to refuse.
    #[serde(default)]
    pub reason: String,
}

/// Decides each wish as a decision about one does.
async fn decide_each(context: &Context, tasks: &[Task<DecisionBody>]) -> Report {
    let path = "/operator/requests";
    bulk::run(context, tasks, path, async |id, body: &DecisionBody| {
        let request = store::find_request(&context.connection, id)
            .await?
            .ok_or_else(Failure::not_found)?;
        let known = row(context, &request).await?;
        routes::decide(context, request, &body.outcome, &body.reason).await?;
        Ok(Done::for_good(format!(
            "{} · {} · {}",
            known.organisation, known.app, known.plan
        )))
    })
    .await
}

/// `POST /api/v1/operator/request-decisions`
pub async fn decide_requests(context: &Context) -> Outcome {
    let body: RequestDecisionsBody = context.json()?;
    let decision = DecisionBody {
        outcome: body.outcome,
        reason: body.reason,
    };
    let tasks = bulk::tasks_of(&body.request_ids, &decision)?;
    response::ok(&decide_each(context, &tasks).await.told)
}

/// `POST /operator/requests`
pub async fn decide_requests_form(context: &Context) -> Outcome {
    let form = context.form();
    let read = |form: &Form| {
        Ok(DecisionBody {
            outcome: form.text("outcome"),
            reason: form.text("reason"),
        })
    };
    match bulk::tasks_of_form(&form, read) {
        Ok(tasks) => {
            let report = decide_each(context, &tasks).await;
            response::html(&requests_page(context, Shown::default(), Some(report)).await?)
        }
        Err(failure) => {
            let status = failure.status;
            let shown = bulk::refused(form, failure)?;
            response::html_with(status, &requests_page(context, shown, None).await?)
        }
    }
}

async fn request_page(context: &Context, status: StatusCode, shown: Shown) -> Outcome {
    let request = routes::request_of_path(context).await?;
    let row = row(context, &request).await?;
    let page = RequestPage {
        page: Page::new(context, &format!("{} {}", row.organisation, row.what)),
        shown,
        organisation_id: request.organisation_id.clone(),
        may_decide: OperatorRole::any_of(&context.person()?.operator_roles, MANAGERS)
            && request.outcome.is_none(),
        row,
    };
    response::html_with(status, &page)
}

/// `GET /operator/requests/{request_id}`: where the e-mail leads.
pub async fn show_request_page(context: &Context) -> Outcome {
    request_page(context, StatusCode::OK, Shown::default()).await
}

/// `POST /operator/requests/{request_id}`
pub async fn decide_request_form(context: &Context) -> Outcome {
    let form = context.form();
    let request = routes::request_of_path(context).await?;
    match routes::decide(
        context,
        request,
        &form.text("outcome"),
        &form.text("reason"),
    )
    .await
    {
        Ok(_) => Ok(response::see_other("/operator/requests?done=saved")),
        Err(failure)
            if failure.status.is_client_error() && failure.status != StatusCode::NOT_FOUND =>
        {
            let status = failure.status;
            request_page(context, status, Shown::again(form, failure)?).await
        }
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn an_age_is_told_in_its_largest_units() {
        assert_eq!(
            [span(90_000), span(7_200_000), span(180_000_000)],
            ["1 min", "2 h", "2 d 2 h"]
        );
    }
}
