//! The reviewers' queue, and several submissions of it at once: taking, handing over, deciding.

use askama::Template;
use schemars::JsonSchema;
use serde::Deserialize;

use super::assignments::{AssignmentBody, Reviewer, assign, list_reviewers};
use super::machine::Event;
use super::operator_pages::read_decision;
use super::operator_routes::{DecisionBody, Queue, read_queue};
use super::service::decide;
use super::store::{Grounds, find_submission};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::organisations::OperatorRole;
use crate::routes::{Outcome, REVIEWERS};
use crate::web::bulk::{self, Done, Report, Task};
use crate::web::forms::{Form, Shown};
use crate::web::listed::Listed;
use crate::web::{Failure, Page, response};

const PATH: &str = "/operator/submissions";

#[derive(Template)]
#[template(path = "reviews/templates/queue.html")]
struct QueuePage {
    page: Page,
    queue: Queue,
    state: String,
    states: &'static [(&'static str, &'static str)],
    listed: Listed,
    shown: Shown,
    report: Option<Report>,
    /// Empty for those who may not review.
    reviewers: Vec<Reviewer>,
}

/// States that the queue offers beside what waits.
const STATES: &[(&str, &str)] = &[
    ("approved", "Approved"),
    ("published", "Published"),
    ("suspended", "Suspended"),
    ("rejected", "Rejected"),
    ("revoked", "Revoked"),
];

impl QueuePage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }
}

async fn queue_page(
    context: &Context,
    shown: Shown,
    report: Option<Report>,
) -> Result<QueuePage, Failure> {
    let queue = read_queue(context).await?;
    let may_review = OperatorRole::any_of(&context.person()?.operator_roles, REVIEWERS);
    Ok(QueuePage {
        page: Page::new(context, "Reviews"),
        state: context.query("state").unwrap_or_default(),
        states: STATES,
        listed: Listed::of(context, PATH, PATH, queue.next_cursor.as_deref()),
        queue,
        shown,
        report,
        reviewers: if may_review {
            list_reviewers(&context.connection).await?
        } else {
            Vec::new()
        },
    })
}

/// `GET /operator/submissions`
pub async fn show_queue_page(context: &Context) -> Outcome {
    response::html(&queue_page(context, Shown::default(), None).await?)
}

/// What is done to a submission.
#[derive(Debug, Clone)]
enum Deed {
    Assign(AssignmentBody),
    Decide(Event, Grounds, Option<i64>),
}

/// Several submissions are given to a reviewer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignmentsBody {
    /// The submissions, at most 100.
    pub submission_ids: Vec<String>,
    /// To whom.
    #[serde(default)]
    pub assignment: AssignmentBody,
}

/// One decision about several submissions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmissionDecisionsBody {
    /// The submissions, at most 100.
    pub submission_ids: Vec<String>,
    /// The decision.
    pub decision: DecisionBody,
}

async fn act(context: &Context, id: &str, deed: &Deed) -> Result<Done, Failure> {
    let id = id.parse().map_err(|_| Failure::not_found())?;
    let found = find_submission(&context.connection, id).await?;
    let submission = found.ok_or_else(Failure::not_found)?;
    let name = format!("{}, {}", submission.content.name, submission.version);
    let before = submission.assigned_to.clone();
    match deed {
        Deed::Assign(body) => {
            let assigned = assign(context, submission, *body).await?;
            let undo = before.clone().map(|reviewer| vec![("reviewer", reviewer)]);
            let is_new = body.track.is_some() || before != assigned.assigned_to;
            if !is_new {
                return Err(bulk::no_change());
            }
            Ok(Done { name, undo })
        }
        Deed::Decide(event, grounds, deadline) => {
            decide(context, submission, *event, grounds.clone(), *deadline).await?;
            // A release needs no grounds of its own; what a release ended had some.
            let undo = vec![("event", Event::Release.as_str().to_owned())];
            Ok(match event {
                Event::Suspend => Done::until(name, undo),
                _ => Done::for_good(name),
            })
        }
    }
}

async fn act_each(context: &Context, tasks: &[Task<Deed>]) -> Report {
    bulk::run(context, tasks, PATH, async |id, deed| {
        act(context, id, deed).await
    })
    .await
}

/// `POST /api/v1/operator/submission-assignments`
pub async fn assign_submissions(context: &Context) -> Outcome {
    let body: AssignmentsBody = context.json()?;
    let tasks = bulk::tasks_of(&body.submission_ids, &Deed::Assign(body.assignment))?;
    response::ok(&act_each(context, &tasks).await.told)
}

/// `POST /api/v1/operator/submission-decisions`
pub async fn decide_submissions(context: &Context) -> Outcome {
    let SubmissionDecisionsBody {
        submission_ids,
        decision,
    } = context.json()?;
    let grounds = Grounds {
        event: String::new(),
        rules: decision.rules,
        evidence: decision.evidence,
        comment: decision.comment,
    };
    let deed = Deed::Decide(decision.event, grounds, decision.deadline);
    let tasks = bulk::tasks_of(&submission_ids, &deed)?;
    response::ok(&act_each(context, &tasks).await.told)
}

/// With `event` a decision, else an assignment; without a reviewer, to whoever asks.
fn read(context: &Context, form: &Form) -> Result<Deed, Failure> {
    if !form.text("event").is_empty() {
        let (event, grounds, deadline) = read_decision(context, form)?;
        return Ok(Deed::Decide(event, grounds, deadline));
    }
    let reviewer =
        match form.text("reviewer") {
            id if id.is_empty() => None,
            id => Some(id.parse().map_err(|_| {
                Failure::field("reviewer", "unknown_value", "Choose one of the list.")
            })?),
        };
    Ok(Deed::Assign(AssignmentBody {
        reviewer,
        track: None,
    }))
}

/// `POST /operator/submissions`
pub async fn submit_review_desk(context: &Context) -> Outcome {
    let form = context.form();
    match bulk::tasks_of_form(&form, |form| read(context, form)) {
        Ok(tasks) => {
            let report = act_each(context, &tasks).await;
            response::html(&queue_page(context, Shown::default(), Some(report)).await?)
        }
        Err(failure) => {
            let status = failure.status;
            let shown = bulk::refused(form, failure)?;
            response::html_with(status, &queue_page(context, shown, None).await?)
        }
    }
}
