//! Finding records: by who, what, to what, whose, and when.

use super::AuditRecord;
use crate::analytics::{DAY_MS, parse_day};
use crate::context::Context;
use crate::database::{DatabaseError, Row};
use crate::encoding::hex;
use crate::params;
use crate::web::Failure;
use crate::web::paging::{PageOf, PageRequest, finds, unknown_cursor};

/// The columns of a record, in the order that [`record_of`] reads.
pub(super) const COLUMNS: &str =
    "a.position, a.audit_record_id, a.recorded_at, a.organisation_id, a.actor,
    a.action, a.object, a.detail, a.request_id, a.previous_hash, a.hash";

/// What is looked for; empty members look for everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// A person's id or e-mail address, or `scheduler`, `visitor`, an edge.
    pub actor: String,
    /// The action, or how it begins: `credential.`.
    pub action: String,
    /// The object's id.
    pub object: String,
    /// The organisation's id.
    pub organisation: String,
    /// The first day, `2026-11-23`.
    pub from: String,
    /// The last day.
    pub until: String,
}

impl Search {
    /// Reads the query of the URL.
    pub fn read(context: &Context) -> Self {
        let query = |name: &str| {
            let text = context.query(name).unwrap_or_default();
            text.trim().to_owned()
        };
        Self {
            actor: query("actor"),
            action: query("action"),
            object: query("object"),
            organisation: query("organisation_id"),
            from: query("from"),
            until: query("until"),
        }
    }
}

/// A day's first millisecond; `otherwise` where none is given.
fn day(field: &str, text: &str, otherwise: i64) -> Result<i64, Failure> {
    if text.is_empty() {
        return Ok(otherwise);
    }
    parse_day(text)
        .map(|day| day * DAY_MS)
        .ok_or_else(|| Failure::field(field, "malformed", "Give a day such as 2026-11-23."))
}

/// The records that a search finds, newest first.
pub async fn find_records(
    context: &Context,
    search: &Search,
) -> Result<PageOf<AuditRecord>, Failure> {
    let page = PageRequest::read(context)?;
    let before: i64 = match context.query("cursor") {
        None => i64::MAX,
        Some(text) => text.parse().map_err(|_| unknown_cursor())?,
    };
    let from = day("from", &search.from, 0)?;
    let until = day("until", &search.until, i64::MAX - DAY_MS)? + DAY_MS;
    let beginning = format!("{}%", search.action.replace('%', ""));
    let found = finds("$9", &["a.action", "a.object", "a.actor", "a.detail"]);
    let records = context
        .connection
        .query(
            &format!(
                "SELECT {COLUMNS} FROM audit_records a
                 WHERE a.position < $1 AND a.recorded_at >= $2 AND a.recorded_at < $3
                    AND a.action LIKE $4 AND ($5 = '' OR a.object = $5)
                    AND ($6 = '' OR a.organisation_id = $6)
                    AND ($7 = '' OR a.actor = $7
                        OR a.actor = (SELECT person_id FROM people WHERE email = $8))
                    AND {found}
                 ORDER BY a.position DESC LIMIT $10"
            ),
            params![
                before,
                from,
                until,
                beginning,
                search.object.as_str(),
                search.organisation.as_str(),
                search.actor.as_str(),
                search.actor.to_lowercase(),
                page.wanted.as_str(),
                page.limit_and_one(),
            ],
        )
        .await?
        .iter()
        .map(record_of)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(page.page_of(records, |record| record.position.to_string()))
}

/// A record of a row of [`COLUMNS`].
pub(super) fn record_of(row: &Row) -> Result<AuditRecord, DatabaseError> {
    Ok(AuditRecord {
        position: row.get(0)?,
        audit_record_id: row.get(1)?,
        recorded_at_ms: row.get(2)?,
        organisation_id: row.get(3)?,
        actor: row.get(4)?,
        action: row.get(5)?,
        object: row.get(6)?,
        detail: row.get(7)?,
        request_id: row.get(8)?,
        previous_hash: hex(&row.get::<Vec<u8>>(9)?),
        hash: hex(&row.get::<Vec<u8>>(10)?),
    })
}
