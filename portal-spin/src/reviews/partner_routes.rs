//! Partners' side of review in JSON: checks, submissions, the thread; and the published rules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::assignments::list_assigned_emails;
use super::gathering::gather_facts;
use super::machine::{Event, Role, State, transition};
use super::rules::{Finding, RULES, run_rules};
use super::service::{act, draft_of_path, submit};
use super::store::{self, Grounds, Review, Submission};
use super::tracks::Track;
use crate::apps::App;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails;
use crate::listings::{Content, Listing, check_bounds};
use crate::organisations::MemberRole;
use crate::organisations::store::list_member_emails;
use crate::routes::Outcome;
use crate::threads::{self, Message, MessageBody};
use crate::web::paging::{PageOf, whole};
use crate::web::{Failure, response};

/// A published rule.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RuleView {
    /// Stable.
    pub id: String,
    /// What it asks for.
    pub title: String,
    /// The track whose reviewers cite it.
    pub track: Track,
    /// Whether it blocks submission.
    pub is_blocking: bool,
}

/// Every published rule.
pub type RuleList = PageOf<RuleView>;

/// What the rules found in a draft.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Checks {
    /// Whether no blocking rule is broken.
    pub may_submit: bool,
    /// How long it took.
    pub took_ms: i64,
    /// Whether the draft's addresses were asked; otherwise rules about their answers say nothing.
    pub asked_addresses: bool,
    /// One finding a rule.
    pub findings: Vec<Finding>,
}

/// A submission as its partner sees it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SubmissionView {
    /// The submission.
    pub id: String,
    /// The app.
    pub app_id: String,
    /// From 1.
    pub version: i64,
    /// Where it is.
    pub state: State,
    /// What the partner can do now.
    pub possible: Vec<Event>,
    /// Its place in the queue while it is in review.
    pub place: Option<i64>,
    /// When an answer is due.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub due_at: i64,
    /// When it was handed in.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub submitted_at: i64,
    /// The grounds of the last decision.
    pub grounds: Grounds,
    /// The deadline of a provisional approval or a suspension.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub deadline: Option<i64>,
    /// What was handed in.
    pub content: Content,
    /// What the rules found.
    pub findings: Vec<Finding>,
    /// What the tracks said, once it is decided.
    pub reviews: Vec<Review>,
    /// The thread.
    pub messages: Vec<Message>,
}

/// Submissions of an app.
pub type SubmissionList = PageOf<SubmissionView>;

/// What a partner does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventBody {
    /// `withdraw`, `publish`, `unlist`, `relist` or `appeal`.
    pub event: Event,
}

/// A submission with all that its partner may see.
pub async fn view_submission(
    context: &Context,
    submission: Submission,
) -> Result<SubmissionView, Failure> {
    let connection = &context.connection;
    let is_decided = submission.state != State::InReview && submission.decided_at_ms.is_some();
    let mut reviews = if is_decided {
        store::list_reviews(connection, submission.id).await?
    } else {
        Vec::new()
    };
    for review in &mut reviews {
        review.reviewer.clear();
    }
    let place = if submission.state == State::InReview {
        Some(store::place_of(connection, &submission).await?)
    } else {
        None
    };
    Ok(SubmissionView {
        id: submission.id.to_string(),
        app_id: submission.app_id.to_string(),
        version: submission.version,
        state: submission.state,
        possible: Event::ANY
            .iter()
            .filter(|event| transition(submission.state, **event, Role::Partner).is_some())
            .filter(|event| **event != Event::Appeal || submission.appealed_from.is_none())
            .copied()
            .collect(),
        place,
        due_at: submission.due_at_ms,
        submitted_at: submission.submitted_at_ms,
        deadline: submission.deadline_ms,
        messages: threads::list_messages_of_submission(connection, submission.id).await?,
        grounds: submission.grounds,
        content: submission.content,
        findings: submission.findings,
        reviews,
    })
}

/// The submission of the path.
pub async fn submission_of_path(context: &Context) -> Result<Submission, Failure> {
    store::find_submission(&context.connection, context.path_id("submission_id")?)
        .await?
        .ok_or_else(Failure::not_found)
}

/// The published rules.
pub fn published_rules() -> Vec<RuleView> {
    RULES
        .iter()
        .map(|rule| RuleView {
            id: rule.id.to_owned(),
            title: rule.title.to_owned(),
            track: rule.track,
            is_blocking: rule.is_blocking,
        })
        .collect()
}

/// `GET /api/v1/review-rules`
pub async fn list_review_rules(context: &Context) -> Outcome {
    response::ok(&whole(context, published_rules(), |rule| rule.id.clone())?)
}

impl Checks {
    /// How many blocking rules are broken.
    pub fn blocking(&self) -> usize {
        let is_broken = |finding: &&Finding| finding.is_blocking && !finding.passes;
        self.findings.iter().filter(is_broken).count()
    }
}

/// Runs the rules over a draft, saved or not.
pub async fn check_listing(
    context: &Context,
    app: &App,
    listing: &Listing,
    asks_addresses: bool,
) -> Result<Checks, Failure> {
    let facts = gather_facts(context, app, listing, asks_addresses).await?;
    let findings = run_rules(&facts);
    Ok(Checks {
        may_submit: findings
            .iter()
            .all(|finding| finding.passes || !finding.is_blocking),
        took_ms: context.app.clock.now_ms() - context.now_ms,
        asked_addresses: asks_addresses,
        findings,
    })
}

/// Runs the rules over the path's draft.
pub async fn check_draft(context: &Context) -> Result<Checks, Failure> {
    let (app, listing) = draft_of_path(context).await?;
    check_listing(context, &app, &listing, true).await
}

/// `GET /api/v1/apps/{app_id}/listing/checks`
pub async fn show_checks(context: &Context) -> Outcome {
    response::ok(&check_draft(context).await?)
}

/// A draft to check without saving it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckBody {
    /// The whole draft.
    pub draft: Content,
    /// Whether to leave its addresses unasked: quicker, while someone types.
    #[serde(default)]
    pub skip_addresses: bool,
}

/// `POST /api/v1/apps/{app_id}/listing/checks`
pub async fn check_unsaved_draft(context: &Context) -> Outcome {
    let body: CheckBody = context.json()?;
    let faults = check_bounds(&body.draft);
    if !faults.is_empty() {
        return Err(Failure::fields(faults));
    }
    let (app, mut listing) = draft_of_path(context).await?;
    listing.draft = body.draft;
    response::ok(&check_listing(context, &app, &listing, !body.skip_addresses).await?)
}

/// `GET /api/v1/apps/{app_id}/submissions`
pub async fn list_submissions(context: &Context) -> Outcome {
    let (_, listing) = draft_of_path(context).await?;
    let mut items = Vec::new();
    for submission in store::list_of_listing(&context.connection, listing.id).await? {
        items.push(view_submission(context, submission).await?);
    }
    response::ok(&whole(context, items, |item: &SubmissionView| {
        item.id.clone()
    })?)
}

/// `POST /api/v1/apps/{app_id}/submissions`
pub async fn submit_listing(context: &Context) -> Outcome {
    let (app, listing) = draft_of_path(context).await?;
    let submission = submit(context, &app, &listing).await?;
    response::created(&view_submission(context, submission).await?)
}

/// `GET /api/v1/submissions/{submission_id}`
pub async fn show_submission(context: &Context) -> Outcome {
    let submission = submission_of_path(context).await?;
    response::ok(&view_submission(context, submission).await?)
}

/// `POST /api/v1/submissions/{submission_id}/events`
pub async fn act_on_submission(context: &Context) -> Outcome {
    let body: EventBody = context.json()?;
    let submission = act(context, submission_of_path(context).await?, body.event).await?;
    response::ok(&view_submission(context, submission).await?)
}

/// Appends to the thread.
pub async fn write_message(
    context: &Context,
    body: &str,
    is_from_operator: bool,
) -> Result<(), Failure> {
    let submission = submission_of_path(context).await?;
    let body = body.trim();
    if body.is_empty() || body.chars().count() > 4_000 {
        return Err(Failure::field(
            "body",
            "length",
            "Write 1 to 4 000 characters.",
        ));
    }
    let message = Message {
        is_from_operator,
        body: body.to_owned(),
        sent_at: context.now_ms,
    };
    let subject = threads::Subject {
        organisation_id: submission.organisation_id,
        app_id: Some(submission.app_id),
        submission_id: Some(submission.id),
        words: format!("Review of {}", submission.content.name),
        tags: vec!["review".to_owned()],
    };
    context
        .connection
        .transaction(async || {
            let thread = threads::thread_of_submission(context, submission.id, &subject).await?;
            threads::append_message(context, submission.organisation_id, thread, &message).await?;
            Ok::<(), Failure>(tell_of_message(context, &submission, &message).await?)
        })
        .await
}

/// Sends a message on to the other side: to the partner's builders, or to the reviewers who have the
/// submission.
async fn tell_of_message(
    context: &Context,
    submission: &Submission,
    message: &Message,
) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    let (readers, path) = if message.is_from_operator {
        let roles = [MemberRole::Owner, MemberRole::Developer];
        let readers = list_member_emails(connection, submission.organisation_id, &roles).await?;
        (readers, "submissions")
    } else {
        let readers = list_assigned_emails(connection, submission.id).await?;
        (readers, "operator/submissions")
    };
    for to in readers {
        let link = format!(
            "{}/{path}/{}",
            context.configuration().public_url,
            submission.id
        );
        let values = [
            ("app", submission.content.name.as_str()),
            ("message", &message.body),
            ("link", &link),
        ];
        emails::send(context, "review-message", &to, &values).await?;
    }
    Ok(())
}

/// `POST /api/v1/submissions/{submission_id}/messages`
pub async fn send_message(context: &Context) -> Outcome {
    let body: MessageBody = context.json()?;
    write_message(context, &body.body, false).await?;
    show_submission(context).await
}
