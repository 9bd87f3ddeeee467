//! What is published, read.

use crate::database::{Connection, DatabaseError, Row};
use crate::listings::{Content, parse_json};
use crate::params;
use shared::ids::ListingId;

/// The directory reads at most so many apps for one answer.
const MOST_APPS: i64 = 500;

/// A published app.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The listing.
    pub listing_id: ListingId,
    /// Its name in URLs.
    pub slug: String,
    /// The partner.
    pub partner: String,
    /// What it says.
    pub content: Content,
    /// Installations that stand.
    pub installs: i64,
}

fn read(row: &Row) -> Result<Entry, DatabaseError> {
    Ok(Entry {
        listing_id: row.parse(0)?,
        slug: row.get(1)?,
        partner: row.get(2)?,
        content: parse_json(&row.get::<String>(3)?)?,
        installs: row.get(4)?,
    })
}

const SELECT: &str = "SELECT l.listing_id, l.slug, o.name, s.content,
        (SELECT COUNT(*) FROM installations i WHERE i.app_id = l.app_id AND i.environment = 'live'
            AND i.removed_at_ms IS NULL)
     FROM listings l JOIN submissions s ON s.submission_id = l.live_submission_id
     JOIN apps a ON a.app_id = l.app_id JOIN organisations o ON o.organisation_id = a.organisation_id
     WHERE a.deleted_at_ms IS NULL AND o.suspended_at IS NULL";

/// What the reader asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Words that the listing must contain.
    pub words: Vec<String>,
    /// A category.
    pub category: String,
    /// A language.
    pub language: String,
}

fn matches(entry: &Entry, filter: &Filter) -> bool {
    let content = &entry.content;
    let text = format!(
        "{} {} {} {}",
        content.name, content.summary, content.description, entry.partner
    )
    .to_lowercase();
    filter.words.iter().all(|word| text.contains(word.as_str()))
        && (filter.category.is_empty() || content.categories.contains(&filter.category))
        && (filter.language.is_empty() || content.languages.contains(&filter.language))
}

/// Published apps that match: those whose name does first, then by installations.
pub async fn search(connection: &Connection, filter: &Filter) -> Result<Vec<Entry>, DatabaseError> {
    let sql = format!(
        "{SELECT} AND s.state = 'published' ORDER BY l.published_at_ms DESC, l.listing_id LIMIT {MOST_APPS}"
    );
    let rows = connection.query(&sql, vec![]).await?;
    let mut found = Vec::new();
    for row in &rows {
        let entry = read(row)?;
        if matches(&entry, filter) {
            found.push(entry);
        }
    }
    let is_named = |entry: &Entry| {
        let name = entry.content.name.to_lowercase();
        filter.words.iter().any(|word| name.contains(word.as_str()))
    };
    found.sort_by_key(|entry| (!is_named(entry), std::cmp::Reverse(entry.installs)));
    Ok(found)
}

/// A published or unlisted app.
pub async fn find_entry(
    connection: &Connection,
    slug: &str,
) -> Result<Option<Entry>, DatabaseError> {
    let sql = format!("{SELECT} AND s.state IN ('published', 'unlisted') AND l.slug = $1");
    let row = connection.query_optional(&sql, params![slug]).await?;
    row.as_ref().map(read).transpose()
}

/// A partner of the programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// Its name.
    pub name: String,
    /// How many apps it has published.
    pub apps: i64,
}

/// Partners that have gone live, by name. It works with no app listed.
pub async fn list_partners(connection: &Connection) -> Result<Vec<Partner>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT o.name, (SELECT COUNT(*) FROM apps a JOIN listings l ON l.app_id = a.app_id
                    JOIN submissions s ON s.submission_id = l.live_submission_id
                    WHERE a.organisation_id = o.organisation_id AND s.state = 'published')
             FROM organisations o WHERE o.suspended_at IS NULL AND EXISTS (
                SELECT 1 FROM apps a JOIN subscriptions p ON p.app_id = a.app_id
                WHERE a.organisation_id = o.organisation_id AND a.deleted_at_ms IS NULL
                    AND p.live_from_ms IS NOT NULL AND p.cancelled_at_ms IS NULL)
             ORDER BY o.name LIMIT 1000",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Partner {
                name: row.get(0)?,
                apps: row.get(1)?,
            })
        })
        .collect()
}
