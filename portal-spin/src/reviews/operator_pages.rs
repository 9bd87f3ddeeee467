//! The reviewers' pages: the queue, and one submission with its tracks and decision.

use askama::Template;

use super::machine::{Event, Role, transition};
use super::operator_routes::{
    Queue, ReasonTemplate, ReviewBody, ReviewView, judge_track, read_queue, read_templates, take,
    view_review,
};
use super::partner_routes::{submission_of_path, write_message};
use super::rules::RULES;
use super::service::decide;
use super::store::{Grounds, Review};
use super::tracks::Track;
use crate::context::Context;
use crate::encoding::readable_time;
use crate::routes::Outcome;
use crate::web::markdown::render as render_markdown;
use crate::web::{Failure, Page, response};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Template)]
#[template(path = "reviews/templates/queue.html")]
struct QueuePage {
    page: Page,
    queue: Queue,
}

impl QueuePage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }
}

/// `GET /operator/submissions`
pub async fn show_queue_page(context: &Context) -> Outcome {
    response::html(&QueuePage {
        page: Page::new(context, "Reviews"),
        queue: read_queue(context).await?,
    })
}

struct TrackBlock {
    track: Track,
    review: Option<Review>,
    rules: Vec<&'static str>,
}

#[derive(Template)]
#[template(path = "reviews/templates/review.html")]
struct ReviewPage {
    page: Page,
    view: ReviewView,
    tracks: Vec<TrackBlock>,
    possible: Vec<Event>,
    templates: Vec<ReasonTemplate>,
    description: String,
    due: String,
}

/// `GET /operator/submissions/{submission_id}`
pub async fn show_review_page(context: &Context) -> Outcome {
    let view = view_review(context, submission_of_path(context).await?).await?;
    let submission = &view.submission;
    let tracks = Track::ANY
        .iter()
        .map(|track| TrackBlock {
            track: *track,
            review: view
                .reviews
                .iter()
                .find(|review| review.track == *track)
                .cloned(),
            rules: RULES
                .iter()
                .filter(|rule| rule.track == *track)
                .map(|rule| rule.id)
                .collect(),
        })
        .collect();
    let title = format!(
        "{}, version {}",
        submission.content.name, submission.version
    );
    response::html(&ReviewPage {
        page: Page::new(context, &title),
        tracks,
        possible: Event::ANY
            .iter()
            .filter(|event| transition(submission.state, **event, Role::Reviewer).is_some())
            .copied()
            .collect(),
        templates: read_templates(context).await?,
        description: render_markdown(&submission.content.description),
        due: readable_time(submission.due_at),
        view,
    })
}

fn back(context: &Context, done: &str) -> Outcome {
    let id = context.path_text("submission_id");
    Ok(response::see_other(&format!(
        "/operator/submissions/{id}?done={done}"
    )))
}

/// `POST /operator/submissions/{submission_id}/assign`
pub async fn assign_submission_form(context: &Context) -> Outcome {
    take(context).await?;
    back(context, "saved")
}

fn words(text: &str) -> Vec<String> {
    text.split([' ', ',', '\n', '\r'])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `POST /operator/submissions/{submission_id}/reviews/{track}`
pub async fn judge_track_form(context: &Context) -> Outcome {
    let form = context.form();
    let body = ReviewBody {
        verdict: form.text("verdict").parse().ok(),
        ticked: form.all("ticked"),
        rules: words(&form.text("rules")),
        evidence: form.text("evidence"),
        comment: form.text("comment"),
    };
    judge_track(context, body).await?;
    back(context, "saved")
}

/// `POST /operator/submissions/{submission_id}/decide`
pub async fn decide_submission_form(context: &Context) -> Outcome {
    let form = context.form();
    let event: Event = form
        .text("event")
        .parse()
        .map_err(|()| Failure::field("event", "unknown_value", "There is no such decision."))?;
    let grounds = Grounds {
        event: String::new(),
        rules: words(&form.text("rules")),
        evidence: form.text("evidence"),
        comment: form.text("comment"),
    };
    let days: Option<i64> = form
        .text("days")
        .parse()
        .ok()
        .filter(|days| (1..=365).contains(days));
    let deadline = days.map(|days| context.now_ms + days * DAY_MS);
    decide(
        context,
        submission_of_path(context).await?,
        event,
        grounds,
        deadline,
    )
    .await?;
    back(context, "saved")
}

/// `POST /operator/submissions/{submission_id}/messages`
pub async fn answer_message_form(context: &Context) -> Outcome {
    write_message(context, &context.form().text("body"), true).await?;
    back(context, "sent")
}
