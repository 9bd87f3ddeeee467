//! Reading the audit log.

use schemars::JsonSchema;
use serde::Serialize;

use super::AuditRecord;
use crate::context::Context;
use crate::database::{DatabaseError, Row};
use crate::params;
use crate::routes::Outcome;
use crate::web::{Failure, response};

/// One page of an organisation's records.
#[derive(Serialize, JsonSchema)]
pub struct AuditRecordList {
    /// Newest first.
    pub items: Vec<AuditRecord>,
    /// Send as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

const RECORD: &str =
    "SELECT position, audit_record_id, recorded_at, organisation_id, actor, action,
    object, detail, request_id, previous_hash, hash FROM audit_records";
const PAGE: i64 = 100;
const EXPORT_CHUNK: i64 = 1000;

fn record_of(row: &Row) -> Result<AuditRecord, DatabaseError> {
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
        previous_hash: crate::encoding::hex(&row.get::<Vec<u8>>(9)?),
        hash: crate::encoding::hex(&row.get::<Vec<u8>>(10)?),
    })
}

/// `GET …/audit-records`: what happened in the organisation.
pub async fn list_audit_records(context: &Context) -> Outcome {
    let before: i64 = match context.query("cursor") {
        None => i64::MAX,
        Some(text) => text.parse().map_err(|_| {
            Failure::field(
                "cursor",
                "unknown_cursor",
                "Send the next_cursor of the page before.",
            )
        })?,
    };
    let items = context
        .connection
        .query(
            &format!("{RECORD} WHERE organisation_id = $1 AND position < $2 ORDER BY position DESC LIMIT $3"),
            params![context.organisation_id()?, before, PAGE],
        )
        .await?
        .iter()
        .map(record_of)
        .collect::<Result<Vec<_>, _>>()?;
    let is_full = i64::try_from(items.len()) == Ok(PAGE);
    let next_cursor = items
        .last()
        .filter(|_| is_full)
        .map(|last| last.position.to_string());
    response::ok(&AuditRecordList { items, next_cursor })
}

/// `GET /api/v1/operator/audit-log/export`: the whole log as JSON lines, for
/// [`super::verify_audit`].
pub async fn export_audit_log(context: &Context) -> Outcome {
    let mut lines = Vec::new();
    let mut after = 0_i64;
    loop {
        let rows = context
            .connection
            .query(
                &format!("{RECORD} WHERE position > $1 ORDER BY position LIMIT $2"),
                params![after, EXPORT_CHUNK],
            )
            .await?;
        for row in &rows {
            let record = record_of(row)?;
            after = record.position;
            serde_json::to_writer(&mut lines, &record)
                .map_err(|error| Failure::internal(&error.to_string()))?;
            lines.push(b'\n');
        }
        if i64::try_from(rows.len()) != Ok(EXPORT_CHUNK) {
            break;
        }
    }
    Ok(response::download(
        "application/jsonl",
        "audit-log.jsonl",
        lines,
    ))
}
