//! Pages of threads, for both sides.

use askama::Template;

use super::model::{NewThreadBody, ThreadView};
use super::operator_routes::queue;
use super::routes::{open, thread_of_path, threads_of_partner, write};
use crate::apps::organisation_page;
use crate::context::Context;
use crate::organisations::OperatorRole;
use crate::params;
use crate::routes::{EDITORS, Outcome};
use crate::web::bulk::Report;
use crate::web::forms::Shown;
use crate::web::listed::Listed;
use crate::web::{Failure, Page, response};

#[derive(Template)]
#[template(path = "threads/templates/threads.html")]
struct ThreadsPage {
    page: Page,
    shown: Shown,
    threads: Vec<ThreadView>,
    /// Ids and names of the partner's apps.
    apps: Vec<(String, String)>,
    action: String,
    listed: Listed,
}

async fn threads_page(context: &Context, shown: Shown) -> Result<ThreadsPage, Failure> {
    let organisation_id = context.organisation_id()?;
    let found = threads_of_partner(context).await?;
    let apps = context
        .connection
        .query(
            "SELECT app_id, name FROM apps WHERE organisation_id = $1 AND deleted_at_ms IS NULL
             ORDER BY name LIMIT 200",
            params![organisation_id],
        )
        .await?;
    let action = format!("/organisations/{organisation_id}/support");
    let api = format!("/organisations/{organisation_id}/threads");
    Ok(ThreadsPage {
        page: organisation_page(context, "Support").await?,
        shown,
        threads: found.items,
        apps: apps
            .iter()
            .map(|row| Ok((row.get(0)?, row.get(1)?)))
            .collect::<Result<_, crate::database::DatabaseError>>()?,
        listed: Listed::of(context, &action, &api, found.next_cursor.as_deref()),
        action,
    })
}

/// `GET /organisations/{organisation_id}/support`
pub async fn show_threads_page(context: &Context) -> Outcome {
    response::html(&threads_page(context, Shown::default()).await?)
}

/// `POST /organisations/{organisation_id}/support`
pub async fn submit_thread(context: &Context) -> Outcome {
    let form = context.form();
    let body = NewThreadBody {
        subject: form.text("subject"),
        body: form.text("body"),
        app_id: Some(form.text("app_id")),
        tags: Vec::new(),
    };
    match open(context, context.organisation_id()?, &body, false).await {
        Ok(id) => Ok(response::see_other(&format!("/threads/{id}?done=sent"))),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &threads_page(context, shown).await?)
        }
    }
}

#[derive(Template)]
#[template(path = "threads/templates/thread.html")]
pub(super) struct ThreadPage {
    page: Page,
    shown: Shown,
    thread: ThreadView,
    tags: String,
    is_operator: bool,
    /// Where messages of this side go.
    action: String,
    /// Where the submission is seen by this side; empty: it is about none.
    submission: String,
    report: Option<Report>,
}

pub(super) async fn thread_page(
    context: &Context,
    shown: Shown,
    is_operator: bool,
    report: Option<Report>,
) -> Result<ThreadPage, Failure> {
    let thread = thread_of_path(context).await?;
    let side = if is_operator { "/operator" } else { "" };
    let page = if is_operator {
        Page::new(context, &thread.subject).named()
    } else {
        organisation_page(context, &thread.subject).await?.named()
    };
    Ok(ThreadPage {
        page,
        shown,
        tags: thread.tags.join(" "),
        is_operator,
        action: format!("{side}/threads/{}", thread.id),
        submission: thread
            .submission_id
            .as_ref()
            .map(|id| format!("{side}/submissions/{id}"))
            .unwrap_or_default(),
        thread,
        report,
    })
}

/// `GET /threads/{thread_id}`
pub async fn show_thread_page(context: &Context) -> Outcome {
    response::html(&thread_page(context, Shown::default(), false, None).await?)
}

/// `GET /operator/threads/{thread_id}`
pub async fn show_operator_thread_page(context: &Context) -> Outcome {
    response::html(&thread_page(context, Shown::default(), true, None).await?)
}

async fn submit(context: &Context, is_operator: bool) -> Outcome {
    let form = context.form();
    match write(context, &form.text("body"), is_operator).await {
        Ok(()) => {
            let side = if is_operator { "/operator" } else { "" };
            let id = context.path_text("thread_id");
            Ok(response::see_other(&format!(
                "{side}/threads/{id}?done=sent"
            )))
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(
                status,
                &thread_page(context, shown, is_operator, None).await?,
            )
        }
    }
}

/// `POST /threads/{thread_id}/messages`
pub async fn submit_thread_message(context: &Context) -> Outcome {
    submit(context, false).await
}

/// `POST /operator/threads/{thread_id}/messages`
pub async fn submit_thread_answer(context: &Context) -> Outcome {
    submit(context, true).await
}

#[derive(Template)]
#[template(path = "threads/templates/queue.html")]
pub(super) struct QueuePage {
    page: Page,
    threads: Vec<ThreadView>,
    state: String,
    tag: String,
    listed: Listed,
    shown: Shown,
    report: Option<Report>,
    may_change: bool,
}

pub(super) async fn queue_page(
    context: &Context,
    shown: Shown,
    report: Option<Report>,
) -> Result<QueuePage, Failure> {
    let found = queue(context).await?;
    let query = |name: &str| context.query(name).unwrap_or_default();
    let path = "/operator/threads";
    Ok(QueuePage {
        page: Page::new(context, "Support"),
        threads: found.items,
        state: query("state"),
        tag: query("tag"),
        listed: Listed::of(context, path, path, found.next_cursor.as_deref()),
        shown,
        report,
        may_change: OperatorRole::any_of(&context.person()?.operator_roles, EDITORS),
    })
}

/// `GET /operator/threads?q=&state=&tag=&organisation_id=&app=`
pub async fn show_thread_queue(context: &Context) -> Outcome {
    response::html(&queue_page(context, Shown::default(), None).await?)
}
