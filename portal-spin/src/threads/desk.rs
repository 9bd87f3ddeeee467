//! Several threads at once: tags, closing and opening again, and taking that back.

use schemars::JsonSchema;
use serde::Deserialize;

use super::model::{ThreadChangeBody, ThreadView};
use super::operator_routes::change;
use super::pages::{queue_page, thread_page};
use super::routes::thread_of_path;
use super::store::find_thread;
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::bulk::{self, Done, Report, Task};
use crate::web::forms::{Form, Shown};
use crate::web::{Failure, response};

/// A change of several threads; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadChangesBody {
    /// The threads, at most 100.
    pub thread_ids: Vec<String>,
    /// What is done to each.
    pub change: ThreadSorting,
}

/// What is done to a thread.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadSorting {
    /// Tags that it gets.
    #[serde(default)]
    pub add_tags: Vec<String>,
    /// Tags that it loses.
    #[serde(default)]
    pub remove_tags: Vec<String>,
    /// Whether it is closed. A new message of the partner opens it again.
    #[serde(default)]
    pub is_closed: Option<bool>,
    /// All of its tags, where they are put back.
    #[serde(skip)]
    #[schemars(skip)]
    tags: Option<Vec<String>>,
}

fn read(form: &Form) -> Result<ThreadSorting, Failure> {
    let sorting = ThreadSorting {
        add_tags: bulk::words(&form.text("add_tags")),
        remove_tags: bulk::words(&form.text("remove_tags")),
        is_closed: match form.text("is_closed").as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        },
        tags: form.all("tags").first().map(|text| bulk::words(text)),
    };
    check(&sorting)?;
    Ok(sorting)
}

fn check(sorting: &ThreadSorting) -> Result<(), Failure> {
    let is_empty = sorting.add_tags.is_empty()
        && sorting.remove_tags.is_empty()
        && sorting.tags.is_none()
        && sorting.is_closed.is_none();
    if is_empty {
        let detail = "Give tags, or say whether to close.";
        return Err(Failure::field("add_tags", "required", detail));
    }
    Ok(())
}

/// Sorts one thread as its own page does.
async fn sort(
    context: &Context,
    thread: &ThreadView,
    sorting: &ThreadSorting,
) -> Result<Done, Failure> {
    let is_closed = thread.state == "closed";
    let tags = match &sorting.tags {
        Some(tags) => tags.clone(),
        None => bulk::retagged(&thread.tags, &sorting.add_tags, &sorting.remove_tags),
    };
    let body = ThreadChangeBody {
        tags: (tags != thread.tags).then_some(tags),
        is_closed: sorting.is_closed.filter(|wanted| *wanted != is_closed),
    };
    let mut undo = Vec::new();
    if body.tags.is_some() {
        undo.push(("tags", thread.tags.join(" ")));
    }
    if body.is_closed.is_some() {
        undo.push(("is_closed", if is_closed { "yes" } else { "no" }.to_owned()));
    }
    if undo.is_empty() {
        return Err(bulk::no_change());
    }
    change(context, thread, &body).await?;
    Ok(Done::until(thread.subject.as_str(), undo))
}

async fn sort_each(context: &Context, tasks: &[Task<ThreadSorting>]) -> Report {
    bulk::run(context, tasks, "/operator/threads", async |id, sorting| {
        let found = find_thread(&context.connection, id).await?;
        let thread = found.ok_or_else(Failure::not_found)?;
        sort(context, &thread, sorting).await
    })
    .await
}

/// `POST /api/v1/operator/thread-changes`
pub async fn change_threads(context: &Context) -> Outcome {
    let body: ThreadChangesBody = context.json()?;
    check(&body.change)?;
    let tasks = bulk::tasks_of(&body.thread_ids, &body.change)?;
    response::ok(&sort_each(context, &tasks).await.told)
}

/// `POST /operator/threads`
pub async fn submit_thread_changes(context: &Context) -> Outcome {
    let form = context.form();
    match bulk::tasks_of_form(&form, read) {
        Ok(tasks) => {
            let report = sort_each(context, &tasks).await;
            response::html(&queue_page(context, Shown::default(), Some(report)).await?)
        }
        Err(failure) => {
            let status = failure.status;
            let shown = bulk::refused(form, failure)?;
            response::html_with(status, &queue_page(context, shown, None).await?)
        }
    }
}

/// `POST /operator/threads/{thread_id}/change`: the thread again, with what takes the change back.
pub async fn submit_thread_change(context: &Context) -> Outcome {
    let form = context.form();
    let thread = thread_of_path(context).await?;
    let sorting = ThreadSorting {
        tags: Some(bulk::words(&form.text("tags"))),
        is_closed: Some(form.text("is_closed") == "yes"),
        ..ThreadSorting::default()
    };
    match sort(context, &thread, &sorting).await {
        Err(failure) if failure.code == "no_change" => {
            let path = format!("/operator/threads/{}?done=saved", thread.id);
            Ok(response::see_other(&path))
        }
        Ok(done) => {
            let report = Report::of_one(&thread.id, done, "/operator/threads");
            response::html(&thread_page(context, Shown::default(), true, Some(report)).await?)
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &thread_page(context, shown, true, None).await?)
        }
    }
}
