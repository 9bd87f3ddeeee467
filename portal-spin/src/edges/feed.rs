//! The log: publishing a change, reading a page.

use shared::feed::{Change, FeedEntry, FeedPage, page_end};

use super::model::saturating;
use crate::database::{Connection, DatabaseError, next_number};
use crate::params;

/// The sequence that positions are drawn from. Its row is locked until the writer commits, so
/// positions become visible in order and without holes on every engine.
const SEQUENCE: &str = "feed";

/// Appends a change, inside the transaction that makes it. Answers its position.
///
/// Writers queue here until the one before has committed, as they do at `audit::record`. Whoever needs
/// both records first and publishes then: the same order everywhere means that no two wait for each other.
pub async fn publish(
    connection: &Connection,
    now_ms: i64,
    change: &Change,
) -> Result<i64, DatabaseError> {
    if !connection.in_transaction() {
        return Err(DatabaseError::Failed(
            "a change is published inside the transaction that makes it".to_owned(),
        ));
    }
    let position = next_number(connection, SEQUENCE).await?;
    let subject = change.key();
    let text = serde_json::to_string(change)
        .map_err(|error| DatabaseError::Shape(format!("a change does not serialise: {error}")))?;
    connection
        .execute(
            "INSERT INTO feed_entries (position, at_ms, subject, change) VALUES ($1, $2, $3, $4)",
            params![position, now_ms, &subject, &text],
        )
        .await?;
    if matches!(change, Change::CredentialRemoved(_)) {
        connection
            .execute(
                "DELETE FROM feed_heads WHERE subject = $1",
                params![&subject],
            )
            .await?;
        return Ok(position);
    }
    let hash = match change {
        Change::Credential(credential) if credential.is_packable() => {
            Some(credential.hash.0.to_vec())
        }
        _ => None,
    };
    connection
        .execute(
            "INSERT INTO feed_heads (subject, position, change, hash) VALUES ($1, $2, $3, $4)
             ON CONFLICT (subject) DO UPDATE SET
                position = excluded.position, change = excluded.change, hash = excluded.hash",
            params![&subject, position, &text, hash],
        )
        .await?;
    Ok(position)
}

/// The newest position; 0 before the first change.
pub async fn head(connection: &Connection) -> Result<i64, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT value FROM sequences WHERE name = $1",
            params![SEQUENCE],
        )
        .await?;
    row.map_or(Ok(0), |row| row.get(0))
}

/// The newest state published of an object, by [`Change::key`].
pub async fn find_head(
    connection: &Connection,
    subject: &str,
) -> Result<Option<Change>, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT change FROM feed_heads WHERE subject = $1",
            params![subject],
        )
        .await?;
    row.map(|row| parse_change(&row.get::<String>(0)?))
        .transpose()
}

/// The page behind `after`.
pub async fn read_page(connection: &Connection, after: u64) -> Result<FeedPage, DatabaseError> {
    let end = page_end(after);
    let rows = connection
        .query(
            "SELECT position, at_ms, change FROM feed_entries
             WHERE position > $1 AND position <= $2 ORDER BY position",
            params![saturating(after), saturating(end)],
        )
        .await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        entries.push(FeedEntry {
            position: row.get(0)?,
            at_ms: row.get(1)?,
            change: parse_change(&row.get::<String>(2)?)?,
        });
    }
    let next = entries.last().map_or(after, |entry| entry.position);
    Ok(FeedPage {
        after,
        next,
        complete: next == end,
        entries,
    })
}

pub(super) fn parse_change(text: &str) -> Result<Change, DatabaseError> {
    serde_json::from_str(text)
        .map_err(|error| DatabaseError::Shape(format!("a stored change does not parse: {error}")))
}
