//! Submissions, reviews and messages in the database.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{AppId, ListingId, OrganisationId, ReviewId, SubmissionId};

use super::machine::State;
use super::rules::Finding;
use super::tracks::{Track, Verdict};
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row, Value};
use crate::listings::{Content, parse_json, to_json};
use crate::params;
use crate::web::Failure;

/// A decision with its grounds, as the partner sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Grounds {
    /// What was decided.
    pub event: String,
    /// Published rules that are cited.
    pub rules: Vec<String>,
    /// What was seen.
    pub evidence: String,
    /// What to do.
    pub comment: String,
}

/// A submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The submission.
    pub id: SubmissionId,
    /// Its listing.
    pub listing_id: ListingId,
    /// From 1.
    pub version: i64,
    /// What was handed in.
    pub content: Content,
    /// Where it is.
    pub state: State,
    /// When it was handed in.
    pub submitted_at_ms: i64,
    /// Who handed it in.
    pub submitted_by: String,
    /// Its place in the queue is counted from here; kept over a resubmission.
    pub queued_at_ms: i64,
    /// When an answer is due.
    pub due_at_ms: i64,
    /// When it was last decided.
    pub decided_at_ms: Option<i64>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// The grounds of that decision.
    pub grounds: Grounds,
    /// The deadline of a provisional approval or a suspension.
    pub deadline_ms: Option<i64>,
    /// The reviewer whose rejection was appealed against.
    pub appealed_from: Option<String>,
    /// The reviewer who has taken it.
    pub assigned_to: Option<String>,
    /// What the rules found at the time.
    pub findings: Vec<Finding>,
    /// The app.
    pub app_id: AppId,
    /// Its owner.
    pub organisation_id: OrganisationId,
    /// The listing's name in URLs.
    pub slug: String,
}

const COLUMNS: &str =
    "s.submission_id, s.listing_id, s.version, s.content, s.state, s.submitted_at_ms,
    s.submitted_by, s.queued_at_ms, s.due_at_ms, s.decided_at_ms, s.decided_by, s.decision,
    s.deadline_ms, s.appealed_from, s.assigned_to, s.findings, l.app_id, a.organisation_id, l.slug";
const TABLES: &str = "submissions s JOIN listings l ON l.listing_id = s.listing_id
    JOIN apps a ON a.app_id = l.app_id";

/// How far ahead in the queue: what the tier of the app's owner grants.
pub const PRIORITY: &str = "COALESCE((SELECT r.review_priority FROM organisations g
    JOIN tiers r ON r.tier = g.tier WHERE g.organisation_id = a.organisation_id), 0)";

fn read(row: &Row) -> Result<Submission, DatabaseError> {
    Ok(Submission {
        id: row.parse(0)?,
        listing_id: row.parse(1)?,
        version: row.get(2)?,
        content: parse_json(&row.get::<String>(3)?)?,
        state: row.parse(4)?,
        submitted_at_ms: row.get(5)?,
        submitted_by: row.get(6)?,
        queued_at_ms: row.get(7)?,
        due_at_ms: row.get(8)?,
        decided_at_ms: row.get(9)?,
        decided_by: row.get(10)?,
        grounds: parse_json(&row.get::<String>(11)?)?,
        deadline_ms: row.get(12)?,
        appealed_from: row.get(13)?,
        assigned_to: row.get(14)?,
        findings: parse_json(&row.get::<String>(15)?)?,
        app_id: row.parse(16)?,
        organisation_id: row.parse(17)?,
        slug: row.get(18)?,
    })
}

/// Submissions that match, in this order.
pub async fn list_where(
    connection: &Connection,
    condition: &str,
    parameters: Vec<Value>,
) -> Result<Vec<Submission>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE {condition}");
    let rows = connection.query(&sql, parameters).await?;
    rows.iter().map(read).collect()
}

/// A submission.
pub async fn find_submission(
    connection: &Connection,
    id: SubmissionId,
) -> Result<Option<Submission>, DatabaseError> {
    Ok(list_where(connection, "s.submission_id = $1", params![id])
        .await?
        .pop())
}

/// Submissions of a listing, newest version first.
pub async fn list_of_listing(
    connection: &Connection,
    listing_id: ListingId,
) -> Result<Vec<Submission>, DatabaseError> {
    let condition = "s.listing_id = $1 ORDER BY s.version DESC LIMIT 100";
    list_where(connection, condition, params![listing_id]).await
}

/// Stores a submission: a new one, or one that was in the state `from`. Two people may act at once; the
/// second is told.
pub async fn put(
    connection: &Connection,
    submission: &Submission,
    from: Option<State>,
) -> Result<(), Failure> {
    let stored = connection
        .execute(
            "INSERT INTO submissions (submission_id, listing_id, version, content, state, submitted_at_ms,
                submitted_by, queued_at_ms, due_at_ms, decided_at_ms, decided_by, decision, deadline_ms,
                appealed_from, assigned_to, findings)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
             ON CONFLICT (submission_id) DO UPDATE SET content = excluded.content,
                state = excluded.state, submitted_at_ms = excluded.submitted_at_ms,
                submitted_by = excluded.submitted_by, queued_at_ms = excluded.queued_at_ms,
                due_at_ms = excluded.due_at_ms, decided_at_ms = excluded.decided_at_ms,
                decided_by = excluded.decided_by, decision = excluded.decision,
                deadline_ms = excluded.deadline_ms, appealed_from = excluded.appealed_from,
                assigned_to = excluded.assigned_to, findings = excluded.findings
             WHERE submissions.state = $17",
            params![
                submission.id,
                submission.listing_id,
                submission.version,
                to_json(&submission.content)?,
                submission.state,
                submission.submitted_at_ms,
                &submission.submitted_by,
                submission.queued_at_ms,
                submission.due_at_ms,
                submission.decided_at_ms,
                submission.decided_by.clone(),
                to_json(&submission.grounds)?,
                submission.deadline_ms,
                submission.appealed_from.clone(),
                submission.assigned_to.clone(),
                to_json(&submission.findings)?,
                from.map_or("", State::as_str),
            ],
        )
        .await?;
    if stored == 0 {
        return Err(Failure::conflict(
            "changed_meanwhile",
            "Someone else has acted on this submission meanwhile. Look at it again.",
        ));
    }
    Ok(())
}

/// Makes a submission the one that customers see.
pub async fn set_live(
    connection: &Connection,
    submission: &Submission,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "UPDATE listings SET live_submission_id = $2, published_at_ms = COALESCE(published_at_ms, $3)
             WHERE listing_id = $1",
            params![submission.listing_id, submission.id, now_ms],
        )
        .await?;
    Ok(())
}

/// How many wait in front of a submission, itself included.
pub async fn place_of(
    connection: &Connection,
    submission: &Submission,
) -> Result<i64, DatabaseError> {
    connection
        .query_one(
            &format!(
                "SELECT COUNT(*) FROM (SELECT {PRIORITY} AS priority, s.queued_at_ms, s.submission_id
                    FROM {TABLES} WHERE s.state = 'in_review') w,
                 (SELECT {PRIORITY} AS priority FROM {TABLES} WHERE s.submission_id = $1) o
                 WHERE w.priority > o.priority OR (w.priority = o.priority AND (w.queued_at_ms < $2
                    OR (w.queued_at_ms = $2 AND w.submission_id <= $1)))"
            ),
            params![submission.id, submission.queued_at_ms],
        )
        .await?
        .get(0)
}

/// A reviewer's name; the address where they gave none.
pub async fn name_of(connection: &Connection, person_id: &str) -> Result<String, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT CASE WHEN name = '' THEN email ELSE name END FROM people WHERE person_id = $1",
            params![person_id],
        )
        .await?;
    row.map_or_else(|| Ok(String::new()), |row| row.get(0))
}

/// What one track says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Review {
    /// The review.
    pub id: String,
    /// The track.
    pub track: Track,
    /// The reviewer; partners are not told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reviewer: String,
    /// What it says.
    pub verdict: Verdict,
    /// Items of the checklist that were ticked.
    pub ticked: Vec<String>,
    /// Rules cited.
    pub rules: Vec<String>,
    /// What was seen.
    pub evidence: String,
    /// What to do.
    pub comment: String,
    /// When.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub decided_at: i64,
}

/// Stores what a track says; a second verdict replaces the first.
pub async fn put_review(
    context: &Context,
    submission_id: SubmissionId,
    review: &Review,
) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "INSERT INTO reviews (review_id, submission_id, track, reviewer, verdict, ticked, rules, evidence, comment, decided_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (submission_id, track) DO UPDATE SET reviewer = excluded.reviewer,
                verdict = excluded.verdict, ticked = excluded.ticked, rules = excluded.rules,
                evidence = excluded.evidence, comment = excluded.comment,
                decided_at_ms = excluded.decided_at_ms",
            params![
                context.new_id(ReviewId::new),
                submission_id,
                review.track,
                &review.reviewer,
                review.verdict,
                to_json(&review.ticked)?,
                to_json(&review.rules)?,
                &review.evidence,
                &review.comment,
                review.decided_at,
            ],
        )
        .await?;
    Ok(())
}

/// What the tracks have said.
pub async fn list_reviews(
    connection: &Connection,
    submission_id: SubmissionId,
) -> Result<Vec<Review>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT review_id, track, reviewer, verdict, ticked, rules, evidence, comment, decided_at_ms
             FROM reviews WHERE submission_id = $1 ORDER BY track",
            params![submission_id],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Review {
                id: row.get(0)?,
                track: row.parse(1)?,
                reviewer: row.get(2)?,
                verdict: row.parse(3)?,
                ticked: parse_json(&row.get::<String>(4)?)?,
                rules: parse_json(&row.get::<String>(5)?)?,
                evidence: row.get(6)?,
                comment: row.get(7)?,
                decided_at: row.get(8)?,
            })
        })
        .collect()
}

/// Forgets verdicts: what was handed in is no longer what they were about.
pub async fn clear_reviews(
    connection: &Connection,
    submission_id: SubmissionId,
    failed_only: bool,
) -> Result<(), DatabaseError> {
    let sql = if failed_only {
        "DELETE FROM reviews WHERE submission_id = $1 AND verdict = 'fail'"
    } else {
        "DELETE FROM reviews WHERE submission_id = $1"
    };
    connection.execute(sql, params![submission_id]).await?;
    Ok(())
}
