//! Guides in the database.

use schemars::JsonSchema;
use serde::Serialize;

use crate::database::{Connection, DatabaseError, Row};
use crate::params;

/// A text for partners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Guide {
    /// Its name in URLs.
    pub slug: String,
    /// `guide` or `news`.
    pub kind: String,
    /// The title.
    pub title: String,
    /// The text.
    pub markdown: String,
    /// Guides are listed by this, lowest first.
    pub position: i64,
    /// Since when partners see it; null for a draft.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub published_at: Option<i64>,
    /// The last change.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub updated_at: i64,
}

const COLUMNS: &str = "slug, kind, title, markdown, position, published_at_ms, updated_at_ms";

fn read(row: &Row) -> Result<Guide, DatabaseError> {
    Ok(Guide {
        slug: row.get(0)?,
        kind: row.get(1)?,
        title: row.get(2)?,
        markdown: row.get(3)?,
        position: row.get(4)?,
        published_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}

/// All texts, guides first, by place.
pub async fn list_all(connection: &Connection) -> Result<Vec<Guide>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM guides ORDER BY kind, position, slug LIMIT 500");
    let rows = connection.query(&sql, vec![]).await?;
    rows.iter().map(read).collect()
}

/// What partners see: guides by place, then news, newest first.
pub async fn list_published(connection: &Connection) -> Result<Vec<Guide>, DatabaseError> {
    let mut shown = list_all(connection).await?;
    shown.retain(|guide| guide.published_at.is_some());
    shown.sort_by_key(|guide| match guide.kind.as_str() {
        "news" => (1, guide.published_at.map(|at| -at).unwrap_or_default()),
        _ => (0, guide.position),
    });
    Ok(shown)
}

/// One text.
pub async fn find(connection: &Connection, slug: &str) -> Result<Option<Guide>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM guides WHERE slug = $1");
    let row = connection.query_optional(&sql, params![slug]).await?;
    row.as_ref().map(read).transpose()
}

/// Stores a text, in place of one of the same name.
pub async fn put(connection: &Connection, guide: &Guide) -> Result<(), DatabaseError> {
    connection
        .execute(
            "INSERT INTO guides (slug, kind, title, markdown, position, published_at_ms, updated_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (slug) DO UPDATE SET kind = excluded.kind, title = excluded.title,
                markdown = excluded.markdown, position = excluded.position,
                published_at_ms = excluded.published_at_ms, updated_at_ms = excluded.updated_at_ms",
            params![
                guide.slug.as_str(),
                guide.kind.as_str(),
                guide.title.as_str(),
                guide.markdown.as_str(),
                guide.position,
                guide.published_at,
                guide.updated_at,
            ],
        )
        .await?;
    Ok(())
}

/// Removes a text. Answers how many there were.
pub async fn delete(connection: &Connection, slug: &str) -> Result<u64, DatabaseError> {
    connection
        .execute("DELETE FROM guides WHERE slug = $1", params![slug])
        .await
}
