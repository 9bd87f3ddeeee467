//! Reading the audit log.

use super::AuditRecord;
use super::search::{COLUMNS, Search, find_records, record_of};
use crate::context::Context;
use crate::params;
use crate::routes::Outcome;
use crate::web::paging::PageOf;
use crate::web::{Failure, response};

/// A page of records, newest first.
pub type AuditRecordList = PageOf<AuditRecord>;

const EXPORT_CHUNK: i64 = 1000;

/// `GET …/audit-records?actor=&action=&object=&from=&until=`: what happened in the organisation.
pub async fn list_audit_records(context: &Context) -> Outcome {
    let search = Search {
        organisation: context.organisation_id()?.to_string(),
        ..Search::read(context)
    };
    response::ok(&find_records(context, &search).await?)
}

/// `GET /api/v1/operator/audit-records?actor=&action=&object=&organisation_id=&from=&until=`: what
/// happened anywhere.
pub async fn list_all_audit_records(context: &Context) -> Outcome {
    response::ok(&find_records(context, &Search::read(context)).await?)
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
                &format!(
                    "SELECT {COLUMNS} FROM audit_records a
                     WHERE a.position > $1 ORDER BY a.position LIMIT $2"
                ),
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
