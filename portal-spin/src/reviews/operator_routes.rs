//! Reviewers' side in JSON: queue, assignment, tracks, decisions, reason templates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::assignments::{Reviewer, TrackAssignment, list_candidates, list_track_assignments};
use super::facts::Traffic;
use super::gathering::gather_traffic;
use super::machine::{Event, Role, State, move_on};
use super::partner_routes::{SubmissionView, submission_of_path, view_submission, write_message};
use super::service::{check, check_grounds, decide, standing_of};
use super::store::{self, Grounds, Review, Submission};
use super::tracks::{Track, Verdict};
use crate::audit;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::params;
use crate::routes::Outcome;
use crate::threads::MessageBody;
use crate::web::paging::{PageOf, Stretch, finds};
use crate::web::{Failure, response};

/// A row of the queue.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QueueRow {
    /// The submission.
    pub id: String,
    /// The app's name in it.
    pub name: String,
    /// From 1.
    pub version: i64,
    /// Where it is.
    pub state: State,
    /// Its place while it is in review.
    pub place: Option<i64>,
    /// Who has taken it.
    pub assigned_to: Option<String>,
    /// Their name.
    pub assigned_name: String,
    /// Tracks that were handed to someone else.
    pub tracks: Vec<TrackAssignment>,
    /// How long it has been in the queue, in hours.
    pub age_hours: i64,
    /// When an answer is due.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub due_at: i64,
    /// Whether that is past.
    pub is_overdue: bool,
    /// The deadline of a provisional approval or a suspension.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub deadline: Option<i64>,
    /// Whether the deadline is past: a suspended app waits for release or revocation.
    pub is_past_deadline: bool,
}

/// The queue, first come first.
pub type Queue = PageOf<QueueRow>;

/// A submission as reviewers see it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReviewView {
    /// What the partner sees.
    pub submission: SubmissionView,
    /// Who has taken it.
    pub assigned_to: Option<String>,
    /// Tracks that were handed to someone else.
    pub tracks: Vec<TrackAssignment>,
    /// Who may take it: reviewers without a conflict of interest.
    pub candidates: Vec<Reviewer>,
    /// What the tracks have said so far.
    pub reviews: Vec<Review>,
    /// What the gateway saw of the app, as it is now.
    pub traffic: Traffic,
}

/// What a track says.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewBody {
    /// `pass` or `fail`.
    pub verdict: Option<Verdict>,
    /// Items of the checklist that are true.
    #[serde(default)]
    pub ticked: Vec<String>,
    /// Rules cited; a `fail` cites at least one.
    #[serde(default)]
    pub rules: Vec<String>,
    /// What was seen.
    #[serde(default)]
    pub evidence: String,
    /// What to do.
    #[serde(default)]
    pub comment: String,
}

/// A decision.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TrackDecisionBody")]
pub struct DecisionBody {
    /// `approve`, `approve_provisionally`, `request_changes`, `reject`, `suspend`, `release`, `revoke`
    /// or `confirm`.
    pub event: Event,
    /// Rules cited; every negative decision cites at least one.
    #[serde(default)]
    pub rules: Vec<String>,
    /// What was seen.
    #[serde(default)]
    pub evidence: String,
    /// What to do.
    #[serde(default)]
    pub comment: String,
    /// For `approve_provisionally` and `suspend`.
    #[serde(default, with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub deadline: Option<i64>,
}

/// The queue: what waits first, then what is published or stopped.
pub async fn read_queue(context: &Context) -> Result<Queue, Failure> {
    let connection = &context.connection;
    let stretch = Stretch::read(context, 50)?;
    let states = match context.query("state").unwrap_or_default().as_str() {
        "" => "s.state IN ('in_review', 'changes_requested', 'queued')".to_owned(),
        text => {
            let state: State = text.parse().map_err(|_| {
                let detail = "Give a state of submissions, such as `in_review` or `published`.";
                Failure::field("state", "unknown_value", detail)
            })?;
            format!("s.state = '{state}'")
        }
    };
    let found = finds("$1", &["s.content", "s.submission_id", "a.name"]);
    let condition = format!(
        "{states} AND {found} ORDER BY {} DESC, s.queued_at_ms, s.submission_id LIMIT $2 OFFSET $3",
        store::PRIORITY
    );
    let parameters = params![
        stretch.wanted.as_str(),
        stretch.limit_and_one(),
        stretch.from
    ];
    let mut items = Vec::new();
    for submission in store::list_where(connection, &condition, parameters).await? {
        let is_waiting = submission.state == State::InReview;
        let place = if is_waiting {
            Some(store::place_of(connection, &submission).await?)
        } else {
            None
        };
        let assigned_name = match &submission.assigned_to {
            Some(person_id) => store::name_of(connection, person_id).await?,
            None => String::new(),
        };
        items.push(QueueRow {
            tracks: list_track_assignments(connection, submission.id).await?,
            deadline: submission.deadline_ms,
            is_past_deadline: submission.deadline_ms.is_some_and(|at| at < context.now_ms),
            id: submission.id.to_string(),
            name: submission.content.name,
            version: submission.version,
            state: submission.state,
            place,
            assigned_to: submission.assigned_to,
            assigned_name,
            age_hours: (context.now_ms - submission.queued_at_ms) / 3_600_000,
            due_at: submission.due_at_ms,
            is_overdue: is_waiting && submission.due_at_ms < context.now_ms,
        });
    }
    let (items, next_cursor) = stretch.cut(items);
    Ok(Queue { items, next_cursor })
}

/// `GET /api/v1/operator/submissions?state=`
pub async fn show_queue(context: &Context) -> Outcome {
    response::ok(&read_queue(context).await?)
}

/// A submission with all that reviewers see.
pub async fn view_review(context: &Context, submission: Submission) -> Result<ReviewView, Failure> {
    let connection = &context.connection;
    Ok(ReviewView {
        assigned_to: submission.assigned_to.clone(),
        tracks: list_track_assignments(connection, submission.id).await?,
        candidates: list_candidates(connection, &submission).await?,
        reviews: store::list_reviews(connection, submission.id).await?,
        traffic: gather_traffic(context, submission.app_id).await?,
        submission: view_submission(context, submission).await?,
    })
}

/// `GET /api/v1/operator/submissions/{submission_id}`
pub async fn show_review(context: &Context) -> Outcome {
    let submission = submission_of_path(context).await?;
    response::ok(&view_review(context, submission).await?)
}

/// Stores what the path's track says.
pub async fn judge_track(context: &Context, body: ReviewBody) -> Result<Submission, Failure> {
    let track: Track = context
        .path_text("track")
        .parse()
        .map_err(|()| Failure::not_found())?;
    let submission = submission_of_path(context).await?;
    move_on(submission.state, Event::Judge, Role::Reviewer)?;
    let verdict = body
        .verdict
        .ok_or_else(|| Failure::field("verdict", "missing", "Give `pass` or `fail`."))?;
    check_grounds(&body.rules, &body.evidence)?;
    if verdict == Verdict::Fail && body.rules.is_empty() {
        return Err(Failure::field(
            "rules",
            "missing",
            "A negative verdict cites a published rule.",
        ));
    }
    if let Some(unknown) = body
        .ticked
        .iter()
        .find(|item| !track.checklist().contains(&item.as_str()))
    {
        return Err(Failure::field(
            "ticked",
            "unknown_value",
            format!("The checklist has no item “{unknown}”."),
        ));
    }
    if verdict == Verdict::Pass && body.ticked.len() < track.checklist().len() {
        return Err(Failure::field(
            "ticked",
            "incomplete",
            "A track passes once every item of its checklist is ticked.",
        ));
    }
    let standing = standing_of(context, &submission, &Grounds::default(), None).await?;
    check(Event::Judge, &standing)?;
    let review = Review {
        id: String::new(),
        track,
        reviewer: context.person()?.person_id.to_string(),
        verdict,
        ticked: body.ticked,
        rules: body.rules,
        evidence: body.evidence,
        comment: body.comment,
        decided_at: context.now_ms,
    };
    context
        .connection
        .transaction(async || {
            let detail = json!({ "track": track.as_str(), "verdict": verdict.as_str() });
            let object = submission.id.to_string();
            audit::record(context, None, "review.judged", &object, detail).await?;
            store::put_review(context, submission.id, &review).await?;
            Ok::<_, DatabaseError>(())
        })
        .await?;
    Ok(submission)
}

/// `PUT /api/v1/operator/submissions/{submission_id}/reviews/{track}`
pub async fn put_track_review(context: &Context) -> Outcome {
    let submission = judge_track(context, context.json()?).await?;
    response::ok(&view_review(context, submission).await?)
}

/// `POST /api/v1/operator/submissions/{submission_id}/decisions`
pub async fn decide_submission(context: &Context) -> Outcome {
    let body: DecisionBody = context.json()?;
    let grounds = Grounds {
        event: String::new(),
        rules: body.rules,
        evidence: body.evidence,
        comment: body.comment,
    };
    let submission = submission_of_path(context).await?;
    let submission = decide(context, submission, body.event, grounds, body.deadline).await?;
    response::ok(&view_review(context, submission).await?)
}

/// `POST /api/v1/operator/submissions/{submission_id}/messages`
pub async fn answer_message(context: &Context) -> Outcome {
    let body: MessageBody = context.json()?;
    write_message(context, &body.body, true).await?;
    show_review(context).await
}
