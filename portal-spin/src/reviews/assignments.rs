//! Who looks at a submission: one reviewer takes it, or hands it, or one track of it, to another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::ids::{PersonId, SubmissionId};

use super::machine::{Event, Role, State, move_on};
use super::operator_routes::view_review;
use super::partner_routes::submission_of_path;
use super::service::{check, standing_of_person};
use super::store::{Grounds, Submission, name_of};
use super::tracks::Track;
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row};
use crate::emails;
use crate::organisations::OperatorRole;
use crate::organisations::sessions::list_operator_roles;
use crate::organisations::store::find_person;
use crate::routes::{Outcome, REVIEWERS};
use crate::web::{Failure, response};
use crate::{audit, params};

/// To whom a submission is given. Without members: all of it to whoever asks.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignmentBody {
    /// One of `candidates`; left out, oneself.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub reviewer: Option<PersonId>,
    /// Only this track; left out, the submission.
    #[serde(default)]
    pub track: Option<Track>,
}

/// Someone who may review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reviewer {
    /// The person.
    pub id: String,
    /// Their name; their address where they gave none.
    pub name: String,
}

/// A track that was handed to a reviewer of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrackAssignment {
    /// The track.
    pub track: Track,
    /// The person.
    pub reviewer: String,
    /// Their name.
    pub name: String,
}

const NAME: &str = "CASE WHEN p.name = '' THEN p.email ELSE p.name END";

/// Reviewers who may take a submission: none of the organisation whose app it is, and not the one whose
/// rejection is appealed against.
pub async fn list_candidates(
    connection: &Connection,
    submission: &Submission,
) -> Result<Vec<Reviewer>, DatabaseError> {
    let sql = format!(
        "SELECT p.person_id, {NAME} FROM people p
         WHERE EXISTS (SELECT 1 FROM operator_members o WHERE o.person_id = p.person_id
                AND o.role IN ('reviewer', 'administrator'))
            AND NOT EXISTS (SELECT 1 FROM members m WHERE m.person_id = p.person_id AND m.organisation_id = $1)
            AND p.person_id <> $2
         ORDER BY 2, 1 LIMIT 500"
    );
    let appealed_from = submission.appealed_from.clone().unwrap_or_default();
    let rows = connection
        .query(&sql, params![submission.organisation_id, appealed_from])
        .await?;
    rows.iter().map(reviewer_of).collect()
}

fn reviewer_of(row: &Row) -> Result<Reviewer, DatabaseError> {
    Ok(Reviewer {
        id: row.get(0)?,
        name: row.get(1)?,
    })
}

/// Everyone of the staff who reviews.
pub async fn list_reviewers(connection: &Connection) -> Result<Vec<Reviewer>, DatabaseError> {
    let sql = format!(
        "SELECT p.person_id, {NAME} FROM people p
         WHERE EXISTS (SELECT 1 FROM operator_members o WHERE o.person_id = p.person_id
                AND o.role IN ('reviewer', 'administrator'))
         ORDER BY 2, 1 LIMIT 500"
    );
    let rows = connection.query(&sql, vec![]).await?;
    rows.iter().map(reviewer_of).collect()
}

/// Tracks of a submission that were handed to reviewers of their own.
pub async fn list_track_assignments(
    connection: &Connection,
    submission_id: SubmissionId,
) -> Result<Vec<TrackAssignment>, DatabaseError> {
    let sql = format!(
        "SELECT r.track, r.reviewer, {NAME} FROM review_assignments r
         JOIN people p ON p.person_id = r.reviewer WHERE r.submission_id = $1 ORDER BY r.track"
    );
    let rows = connection.query(&sql, params![submission_id]).await?;
    rows.iter()
        .map(|row| {
            Ok(TrackAssignment {
                track: row.parse(0)?,
                reviewer: row.get(1)?,
                name: row.get(2)?,
            })
        })
        .collect()
}

/// Addresses of those who have the submission or a track of it.
pub async fn list_assigned_emails(
    connection: &Connection,
    submission_id: SubmissionId,
) -> Result<Vec<String>, DatabaseError> {
    let sql = "SELECT email FROM people WHERE disabled_at IS NULL AND person_id IN (
            SELECT assigned_to FROM submissions WHERE submission_id = $1
            UNION SELECT reviewer FROM review_assignments WHERE submission_id = $1)
         ORDER BY email";
    let rows = connection.query(sql, params![submission_id]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Forgets who has which track: an appeal begins anew.
pub async fn clear(
    connection: &Connection,
    submission_id: SubmissionId,
) -> Result<(), DatabaseError> {
    let sql = "DELETE FROM review_assignments WHERE submission_id = $1";
    connection.execute(sql, params![submission_id]).await?;
    Ok(())
}

/// Stores who has the submission, if neither its state nor that has changed since it was read.
async fn put_assigned(
    connection: &Connection,
    read: &Submission,
    assigned_to: Option<&str>,
) -> Result<(), Failure> {
    let stored = connection
        .execute(
            "UPDATE submissions SET assigned_to = $2
             WHERE submission_id = $1 AND state = $3 AND COALESCE(assigned_to, '') = $4",
            params![
                read.id,
                assigned_to.map(str::to_owned),
                read.state,
                read.assigned_to.clone().unwrap_or_default()
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

async fn put_track(
    context: &Context,
    submission_id: SubmissionId,
    track: Track,
    reviewer: PersonId,
    by: PersonId,
) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "INSERT INTO review_assignments (submission_id, track, reviewer, assigned_by, assigned_at_ms)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (submission_id, track) DO UPDATE SET reviewer = excluded.reviewer,
                assigned_by = excluded.assigned_by, assigned_at_ms = excluded.assigned_at_ms",
            params![submission_id, track, reviewer, by, context.now_ms],
        )
        .await?;
    Ok(())
}

/// Tells a reviewer what they were handed.
async fn tell_reviewer(
    context: &Context,
    submission: &Submission,
    track: Option<Track>,
    reviewer: PersonId,
) -> Result<(), Failure> {
    let connection = &context.connection;
    let Some(person) = find_person(connection, reviewer).await? else {
        return Ok(());
    };
    let by = name_of(connection, &context.person()?.person_id.to_string()).await?;
    let name = &submission.content.name;
    let what = track.map_or_else(
        || format!("the review of {name}"),
        |track| format!("the {track} track of {name}"),
    );
    let link = format!(
        "{}/operator/submissions/{}",
        context.configuration().public_url,
        submission.id
    );
    let version = submission.version.to_string();
    let due = crate::encoding::readable_time(submission.due_at_ms);
    let values = [
        ("what", what.as_str()),
        ("by", &by),
        ("version", &version),
        ("due", &due),
        ("link", &link),
    ];
    emails::send(context, "review-assigned", &person.email, &values).await?;
    Ok(())
}

/// Gives a submission, or one track of it, to a reviewer.
pub async fn assign(
    context: &Context,
    mut submission: Submission,
    body: AssignmentBody,
) -> Result<Submission, Failure> {
    let connection = &context.connection;
    let read = submission.clone();
    let me = context.person()?.person_id;
    let reviewer = body.reviewer.unwrap_or(me);
    let roles = list_operator_roles(connection, reviewer).await?;
    if !OperatorRole::any_of(&roles, REVIEWERS) {
        return Err(Failure::field(
            "reviewer",
            "not_a_reviewer",
            "Choose someone of the staff who reviews.",
        ));
    }
    // Who may not review it may not choose its reviewer either.
    for person_id in [me, reviewer] {
        let standing =
            standing_of_person(context, &submission, person_id, &Grounds::default(), None).await?;
        check(Event::Assign, &standing)?;
    }
    let _: State = move_on(submission.state, Event::Assign, Role::Reviewer)?;
    let assignee = reviewer.to_string();
    let from = match body.track {
        Some(track) => list_track_assignments(connection, submission.id)
            .await?
            .into_iter()
            .find(|known| known.track == track)
            .map(|known| known.reviewer),
        None => submission.assigned_to.replace(assignee.clone()),
    };
    if from.as_deref() == Some(&assignee) {
        return Ok(submission);
    }
    connection
        .transaction(async || {
            let detail = json!({
                "reviewer": assignee, "from": from, "track": body.track.map(Track::as_str),
            });
            let object = submission.id.to_string();
            audit::record(context, None, "submission.assigned", &object, detail).await?;
            put_assigned(connection, &read, submission.assigned_to.as_deref()).await?;
            if let Some(track) = body.track {
                put_track(context, submission.id, track, reviewer, me).await?;
            }
            if reviewer != me {
                tell_reviewer(context, &submission, body.track, reviewer).await?;
            }
            Ok::<_, Failure>(())
        })
        .await?;
    Ok(submission)
}

/// `POST /api/v1/operator/submissions/{submission_id}/assignments`
pub async fn assign_submission(context: &Context) -> Outcome {
    let submission = submission_of_path(context).await?;
    let submission = assign(context, submission, context.json()?).await?;
    response::ok(&view_review(context, submission).await?)
}
