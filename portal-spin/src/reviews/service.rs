//! Moving a submission: hand in, withdraw, decide, publish, suspend, and what time does.

use serde_json::json;
use shared::ids::{PersonId, SubmissionId};

use super::assignments;
use super::facts::Facts;
use super::gathering::gather_facts;
use super::machine::{self, Event, Role, Standing, State, move_on, objection};
use super::rules::{find_rule, run_rules};
use super::store::{self, Grounds, Submission};
use super::tracks::{Track, Verdict};
use crate::apps::App;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails;
use crate::listings::{self, Content, Listing, Visibility};
use crate::oauth;
use crate::organisations::MemberRole;
use crate::organisations::sessions::find_member_role;
use crate::organisations::store::list_member_emails;
use crate::web::Failure;
use crate::{audit, params};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// An answer is due after so many days where the operator's setting is no number.
const ANSWER_WITHIN_DAYS: i64 = 5;

/// When an answer is due to what goes into the queue now.
fn due_at(context: &Context) -> i64 {
    let days = context.configuration().get("review_answer_days");
    let days = days.parse().ok().filter(|days| (1..=365).contains(days));
    context.now_ms + days.unwrap_or(ANSWER_WITHIN_DAYS) * DAY_MS
}

/// What a new version may change without a review: everything but these.
fn is_harmless(old: &Content, new: &Content) -> bool {
    let scopes = |content: &Content| {
        let mut scopes: Vec<String> = content
            .scopes
            .iter()
            .map(|asked| asked.scope.clone())
            .collect();
        scopes.sort_unstable();
        scopes
    };
    scopes(old) == scopes(new)
        && old.redirect_uris == new.redirect_uris
        && old.webhook_url == new.webhook_url
        && old.install_url == new.install_url
        && old.support_url == new.support_url
        && old.privacy_url == new.privacy_url
        && old.terms_url == new.terms_url
        && links_of(&old.description) == links_of(&new.description)
        && old.pricing == new.pricing
        && old.data_use == new.data_use
}

/// Addresses in a text.
fn links_of(text: &str) -> Vec<&str> {
    text.split(|c: char| c.is_whitespace() || "<>()[]\"'`".contains(c))
        .filter(|word| word.contains("://") || word.starts_with("www."))
        .collect()
}

async fn record(
    context: &Context,
    submission: &Submission,
    event: Event,
) -> Result<(), DatabaseError> {
    let detail = json!({
        "app_id": submission.app_id.to_string(), "event": event.as_str(),
        "state": submission.state.as_str(), "version": submission.version,
        "rules": submission.grounds.rules,
    });
    let object = submission.id.to_string();
    audit::record(
        context,
        Some(submission.organisation_id),
        "submission.moved",
        &object,
        detail,
    )
    .await
}

/// Tells the partner's owners and developers.
async fn tell_partner(context: &Context, submission: &Submission) -> Result<(), DatabaseError> {
    let readers = [MemberRole::Owner, MemberRole::Developer];
    let state = submission.state.as_str().replace('_', " ");
    let grounds = &submission.grounds;
    let link = format!(
        "{}/submissions/{}",
        context.configuration().public_url,
        submission.id
    );
    let (version, rules) = (submission.version.to_string(), grounds.rules.join(", "));
    let values = [
        ("app", submission.content.name.as_str()),
        ("version", &version),
        ("state", &state),
        ("comment", &grounds.comment),
        ("evidence", &grounds.evidence),
        ("rules", &rules),
        ("link", &link),
    ];
    for to in list_member_emails(&context.connection, submission.organisation_id, &readers).await? {
        emails::send(context, "review-state", &to, &values).await?;
    }
    Ok(())
}

/// Runs the rules over a draft and hands it in. A submission that waits for changes is handed in again
/// and keeps its place.
pub async fn submit(
    context: &Context,
    app: &App,
    listing: &Listing,
) -> Result<Submission, Failure> {
    if listing.visibility == Visibility::Private {
        return Err(Failure::conflict(
            "private_app",
            "A private app needs no review: it can be installed already. Make the listing public first.",
        ));
    }
    let facts: Facts = gather_facts(context, app, listing, true).await?;
    let findings = run_rules(&facts);
    let blocking: Vec<String> = findings
        .iter()
        .filter(|finding| !finding.passes && finding.is_blocking)
        .map(|finding| format!("{}: {}", finding.rule, finding.detail))
        .collect();
    if !blocking.is_empty() {
        return Err(Failure::conflict(
            "rules_broken",
            format!(
                "{} blocking rules are broken. {}",
                blocking.len(),
                blocking.join(" ")
            ),
        ));
    }
    let connection = &context.connection;
    let known = store::list_of_listing(connection, listing.id).await?;
    if let Some(waiting) = known.iter().find(|known| known.state == State::Queued) {
        return Err(Failure::conflict(
            "version_queued",
            format!(
                "Version {} waits already. Withdraw it to hand in another.",
                waiting.version
            ),
        ));
    }
    let live = known
        .iter()
        .find(|known| Some(known.id) == listing.live_submission_id);
    let by = context.person()?.person_id.to_string();
    let waiting = known
        .iter()
        .find(|known| known.state == State::ChangesRequested);
    let mut submission = match waiting {
        Some(again) => {
            let mut again = again.clone();
            again.state = move_on(again.state, Event::Resubmit, Role::Partner)?;
            again
        }
        None => Submission {
            id: context.new_id(SubmissionId::new),
            listing_id: listing.id,
            version: known.first().map_or(1, |newest| newest.version + 1),
            content: Content::default(),
            state: move_on(State::Draft, Event::Submit, Role::Partner)?,
            submitted_at_ms: context.now_ms,
            submitted_by: by,
            queued_at_ms: context.now_ms,
            due_at_ms: due_at(context),
            decided_at_ms: None,
            decided_by: None,
            grounds: Grounds::default(),
            deadline_ms: None,
            appealed_from: None,
            assigned_to: None,
            findings: Vec::new(),
            app_id: app.id,
            organisation_id: app.organisation_id,
            slug: listing.slug.clone(),
        },
    };
    submission.content = listing.draft.clone();
    submission.findings = findings;
    let mut event = Event::Resubmit;
    if submission.state == State::Submitted {
        let is_free = !known.iter().any(|other| machine::is_open(other.state));
        let is_unchanged = live.is_some_and(|live| {
            matches!(live.state, State::Published | State::Unlisted)
                // What a provisional approval asked for is not done by handing in the same again.
                && live.deadline_ms.is_none()
                && is_harmless(&live.content, &submission.content)
        });
        event = match (is_free, is_unchanged) {
            (true, true) => Event::PassUnchanged,
            (true, false) => Event::RulesPass,
            (false, _) => Event::Queue,
        };
        submission.state = move_on(submission.state, event, Role::System)?;
    } else {
        submission.due_at_ms = due_at(context);
    }
    connection
        .transaction(async || {
            record(context, &submission, event).await?;
            store::put(connection, &submission, waiting.map(|known| known.state)).await?;
            if event == Event::Resubmit {
                store::clear_reviews(connection, submission.id, true).await?;
            }
            if submission.state == State::Published {
                replace_live(context, &submission).await?;
            }
            Ok::<_, Failure>(())
        })
        .await?;
    Ok(submission)
}

/// Puts a published submission in the place of the one before. Inside a transaction.
async fn replace_live(context: &Context, submission: &Submission) -> Result<(), Failure> {
    let connection = &context.connection;
    for mut other in store::list_of_listing(connection, submission.listing_id).await? {
        if other.id != submission.id && matches!(other.state, State::Published | State::Unlisted) {
            let from = other.state;
            other.state = move_on(from, Event::Supersede, Role::System)?;
            store::put(connection, &other, Some(from)).await?;
        }
    }
    store::set_live(connection, submission, context.now_ms).await?;
    Ok(())
}

/// A second version that waited goes into review once nothing is in front of it. Inside a transaction.
async fn dequeue(context: &Context, submission: &Submission) -> Result<(), Failure> {
    let connection = &context.connection;
    let known = store::list_of_listing(connection, submission.listing_id).await?;
    if known.iter().any(|other| machine::is_open(other.state)) {
        return Ok(());
    }
    if let Some(next) = known.iter().find(|other| other.state == State::Queued) {
        let mut next = next.clone();
        next.state = move_on(next.state, Event::Dequeue, Role::System)?;
        next.due_at_ms = due_at(context);
        record(context, &next, Event::Dequeue).await?;
        store::put(connection, &next, Some(State::Queued)).await?;
    }
    Ok(())
}

/// What a partner does to a submission.
pub async fn act(
    context: &Context,
    mut submission: Submission,
    event: Event,
) -> Result<Submission, Failure> {
    let connection = &context.connection;
    if event == Event::Appeal && submission.appealed_from.is_some() {
        return Err(Failure::conflict(
            "appealed",
            "There is one appeal, and it was decided.",
        ));
    }
    let from = submission.state;
    submission.state = move_on(from, event, Role::Partner)?;
    if event == Event::Publish {
        let known = store::list_of_listing(connection, submission.listing_id).await?;
        let is_stopped = known
            .iter()
            .any(|other| matches!(other.state, State::Suspended | State::Revoked));
        if is_stopped {
            return Err(Failure::conflict(
                "listing_suspended",
                "An earlier version is suspended or revoked. A reviewer must release it first.",
            ));
        }
    }
    if event == Event::Appeal {
        submission.appealed_from = submission.decided_by.clone();
        submission.assigned_to = None;
        submission.due_at_ms = due_at(context);
    }
    connection
        .transaction(async || {
            record(context, &submission, event).await?;
            store::put(connection, &submission, Some(from)).await?;
            match event {
                Event::Publish => replace_live(context, &submission).await?,
                Event::Withdraw => dequeue(context, &submission).await?,
                Event::Appeal => {
                    store::clear_reviews(connection, submission.id, false).await?;
                    assignments::clear(connection, submission.id).await?;
                }
                _ => {}
            }
            Ok::<_, Failure>(())
        })
        .await?;
    Ok(submission)
}

/// What the reviewer's standing towards a submission is, with these grounds.
pub async fn standing_of(
    context: &Context,
    submission: &Submission,
    grounds: &Grounds,
    deadline_ms: Option<i64>,
) -> Result<Standing, Failure> {
    let person_id = context.person()?.person_id;
    standing_of_person(context, submission, person_id, grounds, deadline_ms).await
}

/// As [`standing_of`], of another reviewer.
pub async fn standing_of_person(
    context: &Context,
    submission: &Submission,
    person_id: PersonId,
    grounds: &Grounds,
    deadline_ms: Option<i64>,
) -> Result<Standing, Failure> {
    let connection = &context.connection;
    let me = person_id.to_string();
    let reviews = store::list_reviews(connection, submission.id).await?;
    let mut judges: Vec<&str> = reviews
        .iter()
        .map(|review| review.reviewer.as_str())
        .collect();
    judges.push(&me);
    judges.sort_unstable();
    judges.dedup();
    let role = find_member_role(connection, submission.organisation_id, person_id).await?;
    Ok(Standing {
        is_own_organisation: role.is_some(),
        is_appealed_reviewer: submission.state == State::InReview
            && submission.appealed_from.as_deref() == Some(me.as_str()),
        cites_rule: !grounds.rules.is_empty(),
        all_tracks_passed: Track::ANY.iter().all(|track| {
            reviews
                .iter()
                .any(|review| review.track == *track && review.verdict == Verdict::Pass)
        }),
        judges: judges.len(),
        needs_two_persons: context.configuration().get("review_two_persons") == "yes",
        has_deadline: deadline_ms.is_some_and(|at| at > context.now_ms),
    })
}

/// Refuses what stands against a reviewer's act.
pub fn check(event: Event, standing: &Standing) -> Result<(), Failure> {
    match objection(event, standing) {
        Some((code, detail)) => Err(Failure::conflict(code, detail)),
        None => Ok(()),
    }
}

/// Refuses grounds that cite what is no rule, or cite without evidence.
pub fn check_grounds(rules: &[String], evidence: &str) -> Result<(), Failure> {
    if let Some(unknown) = rules.iter().find(|id| find_rule(id).is_none()) {
        return Err(Failure::field(
            "rules",
            "unknown_value",
            format!("There is no published rule `{unknown}`."),
        ));
    }
    if !rules.is_empty() && evidence.trim().is_empty() {
        return Err(Failure::field(
            "evidence",
            "missing",
            "Say what was seen: the partner reads it.",
        ));
    }
    Ok(())
}

/// What a reviewer decides.
pub async fn decide(
    context: &Context,
    mut submission: Submission,
    event: Event,
    mut grounds: Grounds,
    deadline_ms: Option<i64>,
) -> Result<Submission, Failure> {
    let connection = &context.connection;
    if !event.is_decision() {
        return Err(Failure::field(
            "event",
            "unknown_value",
            "There is no such decision.",
        ));
    }
    check_grounds(&grounds.rules, &grounds.evidence)?;
    let next = move_on(submission.state, event, Role::Reviewer)?;
    check(
        event,
        &standing_of(context, &submission, &grounds, deadline_ms).await?,
    )?;
    event.as_str().clone_into(&mut grounds.event);
    let from = submission.state;
    submission.state = next;
    submission.grounds = grounds;
    submission.decided_at_ms = Some(context.now_ms);
    submission.decided_by = Some(context.person()?.person_id.to_string());
    submission.deadline_ms = match event {
        Event::ApproveProvisionally | Event::Suspend => deadline_ms,
        _ => None,
    };
    connection
        .transaction(async || {
            record(context, &submission, event).await?;
            store::put(connection, &submission, Some(from)).await?;
            tell_partner(context, &submission).await?;
            if !machine::is_open(submission.state) {
                dequeue(context, &submission).await?;
            }
            match event {
                Event::Suspend | Event::Revoke => {
                    oauth::set_suspended(context, submission.app_id, true).await?;
                }
                Event::Release => oauth::set_suspended(context, submission.app_id, false).await?,
                _ => {}
            }
            Ok::<_, Failure>(())
        })
        .await?;
    Ok(submission)
}

/// Ends provisional approvals whose deadline has passed. Called by the scheduler; answers how many.
pub async fn apply_deadlines(context: &Context) -> Result<u64, Failure> {
    let connection = &context.connection;
    let due = store::list_where(
        connection,
        "s.deadline_ms < $1 AND s.state IN ('published', 'unlisted', 'provisionally_approved')
         ORDER BY s.deadline_ms LIMIT 100",
        params![context.now_ms],
    )
    .await?;
    let mut ended = 0;
    for mut submission in due {
        let from = submission.state;
        submission.state = move_on(from, Event::DeadlinePassed, Role::System)?;
        submission.deadline_ms = None;
        connection
            .transaction(async || {
                record(context, &submission, Event::DeadlinePassed).await?;
                store::put(connection, &submission, Some(from)).await?;
                tell_partner(context, &submission).await?;
                if submission.state == State::Suspended {
                    oauth::set_suspended(context, submission.app_id, true).await?;
                }
                Ok::<_, Failure>(())
            })
            .await?;
        ended += 1;
    }
    Ok(ended)
}

/// The draft's listing and app behind the path, for partners' routes.
pub async fn draft_of_path(context: &Context) -> Result<(App, Listing), Failure> {
    let app = listings::app_of_path(context).await?;
    let listing = listings::ensure_listing(context, &app).await?;
    Ok((app, listing))
}
