//! Threads in the database.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::json;
use shared::ids::{AppId, EventId, OrganisationId, SubmissionId, ThreadId};

use super::model::{Message, ThreadView};
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row, Value};
use crate::web::Failure;
use crate::{audit, params};

/// Messages shown of a thread.
const MESSAGES_SHOWN: i64 = 500;

/// What a new thread is about.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The partner.
    pub organisation_id: OrganisationId,
    /// The app, if it is about one.
    pub app_id: Option<AppId>,
    /// The submission, if it is about one.
    pub submission_id: Option<SubmissionId>,
    /// In words.
    pub words: String,
    /// Tags.
    pub tags: Vec<String>,
}

const COLUMNS: &str =
    "t.thread_id, t.organisation_id, o.name, t.app_id, a.name, t.submission_id, t.subject,
    t.opened_at_ms, t.last_message_at_ms, t.waits_since_ms, t.closed_at_ms,
    (SELECT COUNT(*) FROM thread_messages m WHERE m.thread_id = t.thread_id)";
const TABLES: &str = "threads t JOIN organisations o ON o.organisation_id = t.organisation_id
    LEFT JOIN apps a ON a.app_id = t.app_id";

fn read(row: &Row) -> Result<ThreadView, DatabaseError> {
    let (waits_since, closed_at): (Option<i64>, Option<i64>) = (row.get(9)?, row.get(10)?);
    Ok(ThreadView {
        id: row.get(0)?,
        organisation_id: row.get(1)?,
        organisation_name: row.get(2)?,
        app_id: row.get(3)?,
        app_name: row.get(4)?,
        submission_id: row.get(5)?,
        subject: row.get(6)?,
        tags: Vec::new(),
        state: match (waits_since, closed_at) {
            (_, Some(_)) => "closed",
            (Some(_), None) => "waiting",
            (None, None) => "answered",
        },
        opened_at: row.get(7)?,
        last_message_at: row.get(8)?,
        message_count: row.get(11)?,
        messages: Vec::new(),
    })
}

/// Threads that match, in this order, with their tags.
pub async fn list_where(
    connection: &Connection,
    condition: &str,
    parameters: Vec<Value>,
) -> Result<Vec<ThreadView>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE {condition}");
    let rows = connection.query(&sql, parameters).await?;
    let mut threads = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for thread in &mut threads {
        thread.tags = connection
            .query(
                "SELECT tag FROM thread_tags WHERE thread_id = $1 ORDER BY tag",
                params![&thread.id],
            )
            .await?
            .iter()
            .map(|row| row.get(0))
            .collect::<Result<_, _>>()?;
    }
    Ok(threads)
}

/// A thread with its messages.
pub async fn find_thread(
    connection: &Connection,
    thread_id: &str,
) -> Result<Option<ThreadView>, DatabaseError> {
    let mut found = list_where(connection, "t.thread_id = $1", params![thread_id]).await?;
    let Some(mut thread) = found.pop() else {
        return Ok(None);
    };
    thread.messages = list_messages(connection, "m.thread_id = $1", thread_id).await?;
    Ok(Some(thread))
}

async fn list_messages(
    connection: &Connection,
    condition: &str,
    id: &str,
) -> Result<Vec<Message>, DatabaseError> {
    let rows = connection
        .query(
            &format!(
                "SELECT m.is_from_operator, m.body, m.sent_at_ms FROM thread_messages m
                 JOIN threads t ON t.thread_id = m.thread_id
                 WHERE {condition} ORDER BY m.message_id LIMIT $2"
            ),
            params![id, MESSAGES_SHOWN],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Message {
                is_from_operator: row.get(0)?,
                body: row.get(1)?,
                sent_at: row.get(2)?,
            })
        })
        .collect()
}

/// The messages about a submission, oldest first.
pub async fn list_messages_of_submission(
    connection: &Connection,
    submission_id: SubmissionId,
) -> Result<Vec<Message>, DatabaseError> {
    list_messages(
        connection,
        "t.submission_id = $1",
        &submission_id.to_string(),
    )
    .await
}

/// The thread about a submission, opened where there is none. Call it inside a transaction.
pub async fn thread_of_submission(
    context: &Context,
    submission_id: SubmissionId,
    subject: &Subject,
) -> Result<ThreadId, DatabaseError> {
    let found = context
        .connection
        .query_optional(
            "SELECT thread_id FROM threads WHERE submission_id = $1",
            params![submission_id],
        )
        .await?;
    match found {
        Some(row) => row.parse(0),
        None => open_thread(context, subject).await,
    }
}

/// Opens a thread without a message. Call it inside a transaction.
pub async fn open_thread(context: &Context, subject: &Subject) -> Result<ThreadId, DatabaseError> {
    let id = context.new_id(ThreadId::new);
    let connection = &context.connection;
    connection
        .execute(
            "INSERT INTO threads (thread_id, organisation_id, app_id, submission_id, subject, opened_at_ms,
                last_message_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params![
                id,
                subject.organisation_id,
                subject.app_id,
                subject.submission_id,
                &subject.words,
                context.now_ms,
                context.now_ms
            ],
        )
        .await?;
    write_tags(connection, &id.to_string(), &subject.tags).await?;
    let detail =
        json!({ "subject": subject.words, "app_id": subject.app_id.map(|id| id.to_string()) });
    audit::record(
        context,
        Some(subject.organisation_id),
        "thread.opened",
        &id.to_string(),
        detail,
    )
    .await?;
    Ok(id)
}

/// Appends a message: the partner's makes the thread wait and opens it again, the operator's answers it.
/// Call it inside a transaction.
pub async fn append_message(
    context: &Context,
    organisation_id: OrganisationId,
    thread_id: ThreadId,
    message: &Message,
) -> Result<(), Failure> {
    let connection = &context.connection;
    connection
        .execute(
            "INSERT INTO thread_messages (message_id, thread_id, author, is_from_operator, body, sent_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![
                context.new_id(EventId::new),
                thread_id,
                context.person()?.person_id,
                i64::from(message.is_from_operator),
                &message.body,
                message.sent_at
            ],
        )
        .await?;
    let (sql, action) = if message.is_from_operator {
        (
            "UPDATE threads SET last_message_at_ms = $1, waits_since_ms = NULL WHERE thread_id = $2",
            "thread.answered",
        )
    } else {
        (
            "UPDATE threads SET waits_since_ms = CASE WHEN closed_at_ms IS NULL
                    THEN COALESCE(waits_since_ms, $1) ELSE $1 END,
                closed_at_ms = NULL, last_message_at_ms = $1 WHERE thread_id = $2",
            "thread.written",
        )
    };
    connection
        .execute(sql, params![message.sent_at, thread_id])
        .await?;
    let id = thread_id.to_string();
    Ok(audit::record(context, Some(organisation_id), action, &id, json!({})).await?)
}

/// Replaces a thread's tags. Call it inside a transaction.
pub async fn write_tags(
    connection: &Connection,
    thread_id: &str,
    tags: &[String],
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "DELETE FROM thread_tags WHERE thread_id = $1",
            params![thread_id],
        )
        .await?;
    for tag in tags {
        connection
            .execute(
                "INSERT INTO thread_tags (thread_id, tag) VALUES ($1, $2)",
                params![thread_id, tag],
            )
            .await?;
    }
    Ok(())
}

/// How many messages each partner wrote in these milliseconds.
pub async fn count_messages_of_partners(
    connection: &Connection,
    span_ms: Range<i64>,
) -> Result<BTreeMap<String, i64>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT t.organisation_id, COUNT(*) FROM thread_messages m
             JOIN threads t ON t.thread_id = m.thread_id
             WHERE m.is_from_operator = 0 AND m.sent_at_ms >= $1 AND m.sent_at_ms < $2
             GROUP BY t.organisation_id",
            params![span_ms.start, span_ms.end],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}
