//! The page of an app's keys.

use askama::Template;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use shared::ids::AppId;

use super::model::{CredentialView, State};
use super::routes::{self, CredentialBody, app_of_path, issue};
use super::store;
use super::waiting::{Awaited, STEPS_OF_PAGE, wait_for};
use crate::apps::{may_build, organisation_page};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::routes::Outcome;
use crate::web::bulk::{self, Done, Report, Task};
use crate::web::forms::{Form, Shown};
use crate::web::listed::Listed;
use crate::web::paging::PageRequest;
use crate::web::{Failure, Page, response};

struct Row {
    view: CredentialView,
    tone: &'static str,
    timing: String,
    created: String,
    last_used: String,
    ends: String,
    is_standing: bool,
}

#[derive(Template)]
#[template(path = "credentials/templates/credentials.html")]
struct CredentialsPage {
    page: Page,
    shown: Shown,
    app_id: String,
    rows: Vec<Row>,
    listed: Listed,
    new_key: Option<String>,
    report: Option<Report>,
    may_build: bool,
}

fn row(view: CredentialView) -> Row {
    let tone = match view.state.as_str() {
        "active" => "good",
        "pending" => "warn",
        _ => "",
    };
    let timing = match (view.state.as_str(), view.activation_ms, view.refusal_ms) {
        ("active", Some(ms), _) => format!("at every gateway after {ms} ms"),
        ("revoked", _, Some(ms)) => format!("refused everywhere after {ms} ms"),
        ("pending", ..) => "on its way to the gateways".to_owned(),
        _ => String::new(),
    };
    let ends = view
        .revoked_at
        .or(view.expires_at)
        .map_or("never".to_owned(), readable_time); // shown
    Row {
        tone,
        timing,
        created: readable_time(view.created_at),
        last_used: view
            .last_used_at
            .map_or("not yet".to_owned(), readable_time),
        ends,
        is_standing: matches!(view.state.as_str(), "active" | "pending")
            && view.revoked_at.is_none(),
        view,
    }
}

async fn render(
    context: &Context,
    status: StatusCode,
    shown: Shown,
    new_key: Option<String>,
    report: Option<Report>,
) -> Outcome {
    let app_id: AppId = context.path_id("app_id")?;
    let app = app_of_path(context).await?;
    let request = PageRequest::read(context)?;
    let environment = context.query("environment").unwrap_or_default();
    let credentials = store::list(&context.connection, app_id, &request, &environment).await?;
    let mut views = Vec::with_capacity(credentials.len());
    for credential in &credentials {
        views.push(routes::view(context, credential).await?);
    }
    let list = request.page_of(views, |view: &CredentialView| view.id.clone());
    let page = CredentialsPage {
        page: organisation_page(context, &format!("Keys of {}", app.name)).await?,
        shown,
        app_id: app_id.to_string(),
        rows: list.items.into_iter().map(row).collect(),
        listed: {
            let path = format!("/apps/{app_id}/credentials");
            Listed::of(context, &path, &path, list.next_cursor.as_deref())
        },
        new_key,
        report,
        may_build: may_build(context),
    };
    response::html_with(status, &page)
}

async fn again(context: &Context, form: Form, failure: Failure) -> Outcome {
    let status = failure.status;
    let errors_elsewhere = failure
        .errors
        .iter()
        .any(|error| error.field != "addresses");
    let mut failure = failure;
    if errors_elsewhere {
        failure.errors.clear();
    }
    render(context, status, Shown::again(form, failure)?, None, None).await
}

/// `GET /apps/{app_id}/credentials`
pub async fn show_credentials_page(context: &Context) -> Outcome {
    render(context, StatusCode::OK, Shown::default(), None, None).await
}

/// `POST /apps/{app_id}/credentials`: the page with the new key, this once.
pub async fn issue_credential_form(context: &Context) -> Outcome {
    let form = context.form();
    let body = CredentialBody {
        environment: form.text("environment"),
        name: form.text("name"),
        scopes: None,
        expires_at: None,
        addresses: form
            .text("addresses")
            .split([' ', ','])
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect(),
    };
    let app = app_of_path(context).await?;
    match issue(context, &app, &body).await {
        Ok((credential, key)) => {
            wait_for(context, credential, Awaited::Active, STEPS_OF_PAGE).await?;
            render(
                context,
                StatusCode::OK,
                Shown::default(),
                Some(key.expose().to_owned()),
                None,
            )
            .await
        }
        Err(failure) => again(context, form, failure).await,
    }
}

/// `POST /apps/{app_id}/credentials/{credential_id}/rotate`: the page with the new key, this once.
pub async fn rotate_credential_form(context: &Context) -> Outcome {
    match routes::rotate(context, routes::USUAL_OVERLAP_SECS).await {
        Ok((credential, key)) => {
            wait_for(context, credential, Awaited::Active, STEPS_OF_PAGE).await?;
            render(
                context,
                StatusCode::OK,
                Shown::default(),
                Some(key.expose().to_owned()),
                None,
            )
            .await
        }
        Err(failure) => again(context, context.form(), failure).await,
    }
}

/// `POST /apps/{app_id}/credentials/{credential_id}/revoke`
pub async fn revoke_credential_form(context: &Context) -> Outcome {
    let credential = routes::revoke(context).await?;
    let credential = wait_for(context, credential, Awaited::Refused, STEPS_OF_PAGE).await?;
    Ok(response::see_other(&format!(
        "/apps/{}/credentials?done=removed",
        credential.app_id
    )))
}

/// Several keys of an app are revoked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevocationsBody {
    /// The credentials, at most 100.
    pub credential_ids: Vec<String>,
}

async fn revoke_each(context: &Context, tasks: &[Task<()>]) -> Result<Report, Failure> {
    let app = app_of_path(context).await?;
    let path = format!("/apps/{}/credentials", app.id);
    let act = async |id: &str, (): &()| {
        let id = id.parse().map_err(|_| Failure::not_found())?;
        let found = store::find(&context.connection, app.id, id).await?;
        let credential = found.ok_or_else(Failure::not_found)?;
        if credential.state(context.now_ms) == State::Revoked {
            let detail = "It is revoked already.";
            return Err(Failure::conflict("no_change", detail));
        }
        let view = routes::view(context, &credential).await?;
        routes::revoke_one(context, &app, credential).await?;
        let name = format!("{} {}…{}", view.name, view.prefix, view.last_four);
        Ok(Done::for_good(name.trim()))
    };
    Ok(bulk::run(context, tasks, &path, act).await)
}

/// `POST /api/v1/apps/{app_id}/credential-revocations`
pub async fn revoke_credentials(context: &Context) -> Outcome {
    let body: RevocationsBody = context.json()?;
    let tasks = bulk::tasks_of(&body.credential_ids, &())?;
    response::ok(&revoke_each(context, &tasks).await?.told)
}

/// `POST /apps/{app_id}/credential-revocations`
pub async fn revoke_credentials_form(context: &Context) -> Outcome {
    let form = context.form();
    match bulk::tasks_of_form(&form, |_| Ok(())) {
        Ok(tasks) => {
            let report = revoke_each(context, &tasks).await?;
            render(
                context,
                StatusCode::OK,
                Shown::default(),
                None,
                Some(report),
            )
            .await
        }
        Err(failure) => {
            let status = failure.status;
            render(context, status, bulk::refused(form, failure)?, None, None).await
        }
    }
}
