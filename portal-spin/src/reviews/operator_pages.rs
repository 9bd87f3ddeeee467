//! The reviewers' page of one submission, with its tracks and decision.

use askama::Template;

use super::assignments::{AssignmentBody, assign};
use super::machine::{Event, Role, transition};
use super::operator_routes::{ReviewBody, ReviewView, judge_track, view_review};
use super::partner_routes::{submission_of_path, write_message};
use super::reasons::{ReasonTemplate, read_templates};
use super::rules::RULES;
use super::service::decide;
use super::store::{Grounds, Review, name_of};
use super::tracks::Track;
use crate::context::Context;
use crate::encoding::readable_time;
use crate::organisations::OperatorRole;
use crate::routes::{Outcome, REVIEWERS};
use crate::web::bulk::words;
use crate::web::forms::{Form, Shown};
use crate::web::markdown::render as render_markdown;
use crate::web::{Failure, Page, response};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

struct TrackBlock {
    track: Track,
    review: Option<Review>,
    /// Who judged it.
    reviewer: String,
    /// To whom it was handed.
    handed_to: String,
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
    deadline: String,
    taken_by: String,
    may_review: bool,
    may_judge: bool,
    may_assign: bool,
    shown: Shown,
    /// Which form was refused or is filled in: a track, `decision`, `message`, or none.
    part: String,
}

impl ReviewPage {
    /// What was typed into a field of this form, if it was refused.
    fn typed<'a>(&'a self, part: &str, name: &str) -> &'a str {
        if self.part == part {
            self.shown.value(name)
        } else {
            ""
        }
    }

    /// A decision in words.
    fn words(&self, event: &Event) -> String {
        event.as_str().replace('_', " ")
    }

    /// Whether an item of a track's checklist is ticked.
    fn is_ticked(&self, block: &TrackBlock, item: &str) -> bool {
        if self.part == block.track.as_str() {
            return self.shown.has("ticked", item);
        }
        let review = block.review.as_ref();
        review.is_some_and(|review| review.ticked.iter().any(|ticked| ticked == item))
    }
}

async fn review_page(context: &Context, shown: Shown, part: &str) -> Result<ReviewPage, Failure> {
    let connection = &context.connection;
    let view = view_review(context, submission_of_path(context).await?).await?;
    let submission = &view.submission;
    let mut tracks = Vec::new();
    for track in Track::ANY {
        let review = view.reviews.iter().find(|review| review.track == *track);
        let reviewer = match review {
            Some(review) => name_of(connection, &review.reviewer).await?,
            None => String::new(),
        };
        let rules = RULES.iter().filter(|rule| rule.track == *track);
        let handed = view.tracks.iter().find(|handed| handed.track == *track);
        tracks.push(TrackBlock {
            handed_to: handed.map_or(String::new(), |handed| handed.name.clone()),
            track: *track,
            review: review.cloned(),
            reviewer,
            rules: rules.map(|rule| rule.id).collect(),
        });
    }
    let title = format!(
        "{}, version {}",
        submission.content.name, submission.version
    );
    let taken_by = match &view.assigned_to {
        Some(person_id) => name_of(connection, person_id).await?,
        None => String::new(),
    };
    let may_review = OperatorRole::any_of(&context.person()?.operator_roles, REVIEWERS);
    let may = |event| may_review && transition(submission.state, event, Role::Reviewer).is_some();
    Ok(ReviewPage {
        page: Page::new(context, &title),
        tracks,
        possible: Event::ANY
            .iter()
            .filter(|event| event.is_decision() && may_review)
            .filter(|event| transition(submission.state, **event, Role::Reviewer).is_some())
            .copied()
            .collect(),
        may_review,
        may_judge: may(Event::Judge),
        may_assign: may(Event::Assign),
        deadline: submission.deadline.map(readable_time).unwrap_or_default(),
        templates: read_templates(context).await?,
        description: render_markdown(&submission.content.description),
        due: readable_time(submission.due_at),
        taken_by,
        view,
        shown,
        part: part.to_owned(),
    })
}

/// `GET /operator/submissions/{submission_id}?reason=`: with a reason's name its rules and text stand in
/// the decision's form.
pub async fn show_review_page(context: &Context) -> Outcome {
    let wanted = context.query("reason").unwrap_or_default();
    let templates = read_templates(context).await?;
    let reason = templates.iter().find(|reason| reason.name == wanted);
    let page = match reason {
        Some(reason) => {
            let rules = reason.rules.join(" ");
            let shown = Shown::with_values(&[("rules", &rules), ("comment", &reason.body)]);
            review_page(context, shown, "decision").await?
        }
        None => review_page(context, Shown::default(), "").await?,
    };
    response::html(&page)
}

/// The page again with what was typed into one of its forms, and why it was refused.
async fn refused(context: &Context, form: Form, part: &str, failure: Failure) -> Outcome {
    let status = failure.status;
    let details: Vec<&str> = failure.errors.iter().map(|e| e.detail.as_str()).collect();
    let detail = if details.is_empty() {
        failure.detail.clone()
    } else {
        details.join(" ")
    };
    let shown = Shown::again(form, failure)?.with_general(&detail);
    response::html_with(status, &review_page(context, shown, part).await?)
}

fn back(context: &Context, done: &str) -> Outcome {
    let id = context.path_text("submission_id");
    Ok(response::see_other(&format!(
        "/operator/submissions/{id}?done={done}"
    )))
}

/// `POST /operator/submissions/{submission_id}/assign`: without fields, to whoever asks.
pub async fn assign_submission_form(context: &Context) -> Outcome {
    let form = context.form();
    match assign_by_form(context, &form).await {
        Ok(()) => back(context, "saved"),
        Err(failure) => refused(context, form, "assignment", failure).await,
    }
}

async fn assign_by_form(context: &Context, form: &Form) -> Result<(), Failure> {
    let (reviewer, track) = (form.text("reviewer"), form.text("track"));
    let unknown = |field: &'static str| {
        move |_| Failure::field(field, "unknown_value", "Choose one of the list.")
    };
    let body = AssignmentBody {
        reviewer: Some(reviewer)
            .filter(|id| !id.is_empty())
            .map(|id| id.parse().map_err(|_| ()))
            .transpose()
            .map_err(unknown("reviewer"))?,
        track: Some(track)
            .filter(|name| !name.is_empty())
            .map(|name| name.parse())
            .transpose()
            .map_err(unknown("track"))?,
    };
    assign(context, submission_of_path(context).await?, body).await?;
    Ok(())
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
    match judge_track(context, body).await {
        Ok(_) => back(context, "saved"),
        Err(failure) => refused(context, form, context.path_text("track"), failure).await,
    }
}

/// `POST /operator/submissions/{submission_id}/decide`
pub async fn decide_submission_form(context: &Context) -> Outcome {
    let form = context.form();
    match decide_by_form(context, &form).await {
        Ok(()) => back(context, "saved"),
        Err(failure) => refused(context, form, "decision", failure).await,
    }
}

/// A decision as a form gives it: what, on which grounds, and until when.
pub(super) fn read_decision(
    context: &Context,
    form: &Form,
) -> Result<(Event, Grounds, Option<i64>), Failure> {
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
    let days = form.text("days");
    let deadline = match days.parse::<i64>() {
        _ if days.is_empty() => None,
        Ok(days) if (1..=365).contains(&days) => Some(context.now_ms + days * DAY_MS),
        _ => {
            let detail = "Give the deadline as 1 to 365 days.";
            return Err(Failure::field("days", "out_of_range", detail));
        }
    };
    Ok((event, grounds, deadline))
}

async fn decide_by_form(context: &Context, form: &Form) -> Result<(), Failure> {
    let (event, grounds, deadline) = read_decision(context, form)?;
    let submission = submission_of_path(context).await?;
    decide(context, submission, event, grounds, deadline).await?;
    Ok(())
}

/// `POST /operator/submissions/{submission_id}/messages`
pub async fn answer_message_form(context: &Context) -> Outcome {
    let form = context.form();
    match write_message(context, &form.text("body"), true).await {
        Ok(()) => back(context, "sent"),
        Err(failure) => refused(context, form, "message", failure).await,
    }
}
