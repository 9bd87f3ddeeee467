//! Partners' pages of checks and submissions, and the page of published rules.

use askama::Template;

use super::machine::Event;
use super::partner_routes::{
    Checks, RuleView, SubmissionView, check_draft, published_rules, submission_of_path,
    view_submission, write_message,
};
use super::service::{act, draft_of_path, submit};
use super::store;
use crate::apps::{may_build, organisation_page};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::routes::Outcome;
use crate::web::{Failure, Page, response};

#[derive(Template)]
#[template(path = "reviews/templates/rules.html")]
struct RulesPage {
    page: Page,
    rules: Vec<RuleView>,
}

/// `GET /review-rules`
pub async fn show_rules_page(context: &Context) -> Outcome {
    response::html(&RulesPage {
        page: Page::new(context, "What is checked before an app is published"),
        rules: published_rules(),
    })
}

#[derive(Template)]
#[template(path = "reviews/templates/submissions.html")]
struct SubmissionsPage {
    page: Page,
    app_id: String,
    checks: Checks,
    submissions: Vec<SubmissionView>,
    problem: String,
    may_build: bool,
}

async fn submissions_page(context: &Context, problem: String) -> Result<SubmissionsPage, Failure> {
    let (app, listing) = draft_of_path(context).await?;
    let mut submissions = Vec::new();
    for submission in store::list_of_listing(&context.connection, listing.id).await? {
        submissions.push(view_submission(context, submission).await?);
    }
    Ok(SubmissionsPage {
        page: organisation_page(context, "Checks and review").await?,
        app_id: app.id.to_string(),
        checks: check_draft(context).await?,
        submissions,
        problem,
        may_build: may_build(context),
    })
}

/// `GET /apps/{app_id}/submissions`
pub async fn show_submissions_page(context: &Context) -> Outcome {
    response::html(&submissions_page(context, String::new()).await?)
}

/// `POST /apps/{app_id}/submissions`
pub async fn submit_listing_form(context: &Context) -> Outcome {
    let (app, listing) = draft_of_path(context).await?;
    match submit(context, &app, &listing).await {
        Ok(submission) => Ok(response::see_other(&format!(
            "/submissions/{}?done=sent",
            submission.id
        ))),
        Err(failure) if failure.status.is_server_error() => Err(failure),
        Err(failure) => {
            let status = failure.status;
            response::html_with(status, &submissions_page(context, failure.detail).await?)
        }
    }
}

#[derive(Template)]
#[template(path = "reviews/templates/submission.html")]
struct SubmissionPage {
    page: Page,
    submission: SubmissionView,
    due: String,
    deadline: String,
    may_build: bool,
}

/// `GET /submissions/{submission_id}`
pub async fn show_submission_page(context: &Context) -> Outcome {
    let submission = view_submission(context, submission_of_path(context).await?).await?;
    let title = format!(
        "{}, version {}",
        submission.content.name, submission.version
    );
    response::html(&SubmissionPage {
        page: organisation_page(context, &title).await?,
        due: readable_time(submission.due_at),
        deadline: submission.deadline.map(readable_time).unwrap_or_default(),
        submission,
        may_build: may_build(context),
    })
}

/// `POST /submissions/{submission_id}/events`
pub async fn act_on_submission_form(context: &Context) -> Outcome {
    let event: Event = context
        .form()
        .text("event")
        .parse()
        .map_err(|()| Failure::field("event", "unknown_value", "There is no such step."))?;
    let submission = act(context, submission_of_path(context).await?, event).await?;
    Ok(response::see_other(&format!(
        "/submissions/{}?done=saved",
        submission.id
    )))
}

/// `POST /submissions/{submission_id}/messages`
pub async fn send_message_form(context: &Context) -> Outcome {
    write_message(context, &context.form().text("body"), false).await?;
    let id = context.path_text("submission_id");
    Ok(response::see_other(&format!("/submissions/{id}?done=sent")))
}
