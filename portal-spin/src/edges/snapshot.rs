//! Snapshots: the newest state of everything, in pages, for an edge that starts cold.
//!
//! A page may be read while the log grows: every page carries the position of the first one, and the
//! feed behind it repeats whatever changed since.

use std::collections::HashMap;

use shared::feed::{Change, PackedCredential, PackedCredentials, SnapshotPage};
use shared::ids::AppId;

use super::feed::{head, parse_change};
use super::model::saturating;
use crate::database::{Connection, DatabaseError};
use crate::encoding::{hex, unhex};
use crate::params;

/// How many objects a page holds at most.
const OBJECTS_PER_PAGE: usize = 2_000;
/// How many packed credentials a page holds at most: 40 bytes each.
const CREDENTIALS_PER_PAGE: usize = 10_000;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    position: u64,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Behind the object with this key.
    Objects(String),
    /// Behind the packed credential with this digest.
    Credentials(Vec<u8>),
}

impl Cursor {
    fn text(&self) -> String {
        match &self.place {
            Place::Objects(subject) => format!("{}-o-{subject}", self.position),
            Place::Credentials(hash) => format!("{}-c-{}", self.position, hex(hash)),
        }
    }

    /// Reads what [`SnapshotPage::next`] gave; `None` if it is nothing we wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let position = parts.next()?.parse().ok()?;
        let kind = parts.next()?;
        let rest = parts.next()?;
        let place = match kind {
            "o" => Place::Objects(rest.to_owned()),
            "c" => Place::Credentials(unhex(rest)?),
            _ => return None,
        };
        Some(Self { position, place })
    }
}

/// A page of the snapshot; the first without a cursor.
pub async fn read_page(
    connection: &Connection,
    cursor: Option<Cursor>,
) -> Result<SnapshotPage, DatabaseError> {
    let cursor = match cursor {
        Some(cursor) => cursor,
        // Read before any object: an object that changes meanwhile is then repeated by the feed.
        None => Cursor {
            position: u64::try_from(head(connection).await?).unwrap_or(0),
            place: Place::Objects(String::new()),
        },
    };
    let position = cursor.position;
    let mut page = SnapshotPage {
        position,
        next: None,
        changes: Vec::new(),
        packed_apps: Vec::new(),
        packed_credentials: PackedCredentials::default(),
    };
    let next = match cursor.place {
        Place::Objects(after) => match add_objects(connection, &mut page, &after).await? {
            Some(place) => Some(place),
            None => add_credentials(connection, &mut page, &[]).await?,
        },
        Place::Credentials(after) => add_credentials(connection, &mut page, &after).await?,
    };
    page.next = next.map(|place| Cursor { position, place }.text());
    Ok(page)
}

async fn add_objects(
    connection: &Connection,
    page: &mut SnapshotPage,
    after: &str,
) -> Result<Option<Place>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT subject, change FROM feed_heads
             WHERE hash IS NULL AND subject > $1 ORDER BY subject LIMIT $2",
            params![after, saturating(OBJECTS_PER_PAGE as u64)],
        )
        .await?;
    for row in &rows {
        page.changes.push(parse_change(&row.get::<String>(1)?)?);
    }
    match rows.last() {
        Some(last) if rows.len() == OBJECTS_PER_PAGE => Ok(Some(Place::Objects(last.get(0)?))),
        _ => Ok(None),
    }
}

async fn add_credentials(
    connection: &Connection,
    page: &mut SnapshotPage,
    after: &[u8],
) -> Result<Option<Place>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT hash, change FROM feed_heads WHERE hash > $1 ORDER BY hash LIMIT $2",
            params![after, saturating(CREDENTIALS_PER_PAGE as u64)],
        )
        .await?;
    let mut numbers: HashMap<AppId, u32> = HashMap::new();
    for row in &rows {
        let Change::Credential(credential) = parse_change(&row.get::<String>(1)?)? else {
            continue;
        };
        let app = *numbers.entry(credential.app).or_insert_with(|| {
            page.packed_apps.push(credential.app);
            u32::try_from(page.packed_apps.len() - 1).unwrap_or(u32::MAX)
        });
        page.packed_credentials.push(&PackedCredential {
            hash: credential.hash,
            credential: credential.credential,
            app,
            environment: credential.environment,
        });
    }
    match rows.last() {
        Some(last) if rows.len() == CREDENTIALS_PER_PAGE => {
            Ok(Some(Place::Credentials(last.get(0)?)))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_others_are_refused() {
        for place in [
            Place::Objects("app_1".to_owned()),
            Place::Credentials(vec![0, 255]),
        ] {
            let cursor = Cursor {
                position: 12,
                place,
            };
            assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        }
        for text in ["", "1", "x-o-", "1-z-", "1-c-zz"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
