//! What is published, read.

use std::cmp::Reverse;

use crate::database::{Connection, DatabaseError, Row, Value};
use crate::listings::{Content, parse_json};
use crate::params;
use crate::web::paging::Stretch;
use shared::ids::{AppId, ListingId};

/// How many apps a search reads in one statement.
const AT_A_TIME: usize = 500;

/// A published app.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The listing.
    pub listing_id: ListingId,
    /// The app.
    pub app_id: AppId,
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
        app_id: row.parse(5)?,
    })
}

const SELECT: &str = "SELECT l.listing_id, l.slug, o.name, s.content,
        (SELECT COUNT(*) FROM installations i WHERE i.app_id = l.app_id AND i.environment = 'live'
            AND i.removed_at_ms IS NULL), l.app_id
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

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// This part of the apps: those whose name matches first, then by installations.
    pub entries: Vec<Entry>,
    /// How many match in all.
    pub total: usize,
    /// The cursor of the next part.
    pub next_cursor: Option<String>,
}

/// A part of the published apps that match. All of them are looked at, some hundred at a time; what is
/// kept of each is its rank.
pub async fn search(
    connection: &Connection,
    filter: &Filter,
    stretch: &Stretch,
) -> Result<Found, DatabaseError> {
    let sql = format!(
        "{SELECT} AND s.state = 'published' AND l.listing_id > $1 ORDER BY l.listing_id LIMIT {AT_A_TIME}"
    );
    let mut ranks = Vec::new();
    let mut last = String::new();
    loop {
        let rows = connection.query(&sql, params![last.as_str()]).await?;
        for row in &rows {
            let entry = read(row)?;
            last = entry.listing_id.to_string();
            if matches(&entry, filter) {
                let name = entry.content.name.to_lowercase();
                let is_named = filter.words.iter().any(|word| name.contains(word.as_str()));
                ranks.push((!is_named, Reverse(entry.installs), name, last.clone()));
            }
        }
        if rows.len() < AT_A_TIME {
            break;
        }
    }
    ranks.sort_unstable();
    let total = ranks.len();
    let from = usize::try_from(stretch.from).unwrap_or(usize::MAX);
    let asked = usize::try_from(stretch.limit_and_one()).unwrap_or(usize::MAX);
    let part = ranks.into_iter().skip(from).take(asked).collect();
    let (part, next_cursor) = stretch.cut::<(bool, Reverse<i64>, String, String)>(part);
    let ids: Vec<String> = part.into_iter().map(|(_, _, _, id)| id).collect();
    Ok(Found {
        entries: find_entries(connection, &ids).await?,
        total,
        next_cursor,
    })
}

/// These listings' entries, in this order.
async fn find_entries(
    connection: &Connection,
    ids: &[String],
) -> Result<Vec<Entry>, DatabaseError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<String> = (1..=ids.len()).map(|place| format!("${place}")).collect();
    let sql = format!("{SELECT} AND l.listing_id IN ({})", places.join(", "));
    let parameters = ids.iter().map(|id| Value::from(id.as_str())).collect();
    let rows = connection.query(&sql, parameters).await?;
    let mut entries = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(|entry| {
        let id = entry.listing_id.to_string();
        ids.iter().position(|known| *known == id)
    });
    Ok(entries)
}

/// The names in URLs of published apps; a sitemap holds at most 50 000.
pub async fn list_slugs(connection: &Connection) -> Result<Vec<String>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT l.slug FROM listings l JOIN submissions s ON s.submission_id = l.live_submission_id
             JOIN apps a ON a.app_id = l.app_id
             JOIN organisations o ON o.organisation_id = a.organisation_id
             WHERE s.state = 'published' AND a.deleted_at_ms IS NULL AND o.suspended_at IS NULL
             ORDER BY l.slug LIMIT 49000",
            vec![],
        )
        .await?;
    rows.iter().map(|row| row.get(0)).collect()
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
