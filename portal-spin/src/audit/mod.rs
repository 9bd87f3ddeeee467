//! The audit log: who did what to what, when; append-only, each record hashed over the one before.
//!
//! Owns the chain, its export and finding records. Does not own what is worth a record: every domain calls [`record`]
//! inside the transaction of its change; nor who is told of it (`webhooks`, for the actions in its
//! catalogue).

use sha2::{Digest, Sha256};
use shared::ids::{AuditRecordId, OrganisationId};

use crate::context::{Caller, Context};
use crate::database::{DatabaseError, Value, next_numbers, placeholders};
use crate::{params, webhooks};

mod chain;
mod pages;
pub mod routes;
mod search;
#[cfg(test)]
mod tests;

pub use chain::{AuditError, AuditRecord, verify_audit};
pub use pages::show_audit_log;

/// Columns of a record, and how many records one statement writes.
const COLUMNS: usize = 11;
const ROWS_PER_STATEMENT: usize = 100;

/// Appends a record. Call it inside the transaction of the change; the chain makes writers queue.
///
/// `action` is `<object>.<verb in the past>` (`credential.revoked`), `object` an id, `detail` a JSON
/// object without secrets.
pub async fn record(
    context: &Context,
    organisation_id: Option<OrganisationId>,
    action: &str,
    object: &str,
    detail: serde_json::Value,
) -> Result<(), DatabaseError> {
    let actor = actor_of(context);
    record_by(context, &actor, organisation_id, action, object, detail).await
}

fn actor_of(context: &Context) -> String {
    match &context.caller {
        Caller::Person(person) => person.person_id.to_string(),
        Caller::Edge(edge) => edge.clone(),
        Caller::Scheduler => "scheduler".to_owned(),
        Caller::Nobody => "visitor".to_owned(),
    }
}

/// As [`record`], by a named actor: someone who is not signed in yet.
pub async fn record_by(
    context: &Context,
    actor: &str,
    organisation_id: Option<OrganisationId>,
    action: &str,
    object: &str,
    detail: serde_json::Value,
) -> Result<(), DatabaseError> {
    let happened = Happened {
        organisation_id,
        action: action.to_owned(),
        object: object.to_owned(),
        detail,
    };
    append(context, actor, vec![happened]).await
}

/// Something worth a record.
pub struct Happened {
    /// Whose, if it concerns one organisation.
    pub organisation_id: Option<OrganisationId>,
    /// `<object>.<verb in the past>`.
    pub action: String,
    /// An id.
    pub object: String,
    /// A JSON object without secrets.
    pub detail: serde_json::Value,
}

/// As [`record`], of many things that happen in one transaction.
pub async fn record_all(context: &Context, happened: Vec<Happened>) -> Result<(), DatabaseError> {
    append(context, &actor_of(context), happened).await
}

async fn append(
    context: &Context,
    actor: &str,
    happened: Vec<Happened>,
) -> Result<(), DatabaseError> {
    if happened.is_empty() {
        return Ok(());
    }
    webhooks::emit_recorded(context, &happened).await?;
    let connection = &context.connection;
    let count = i64::try_from(happened.len()).unwrap_or(i64::MAX);
    let first = next_numbers(connection, "audit_records", count).await?;
    let mut previous_hash: Vec<u8> = connection
        .query_optional(
            "SELECT hash FROM audit_records WHERE position = $1",
            params![first - 1],
        )
        .await?
        .map(|row| row.get(0))
        .transpose()?
        .unwrap_or_else(|| vec![0; 32]);
    let mut rows: Vec<Value> = Vec::with_capacity(happened.len() * COLUMNS);
    for (position, one) in (first..).zip(happened) {
        let record = AuditRecord {
            position,
            audit_record_id: context.new_id(AuditRecordId::new).to_string(),
            recorded_at_ms: context.now_ms,
            organisation_id: one.organisation_id.map(|id| id.to_string()),
            actor: actor.to_owned(),
            action: one.action,
            object: one.object,
            detail: one.detail.to_string(),
            request_id: context.request_id.clone(),
            previous_hash: crate::encoding::hex(&previous_hash),
            hash: String::new(),
        };
        let hash = Sha256::digest(record.hashed_bytes()).to_vec();
        rows.extend(params![
            record.position,
            record.audit_record_id,
            record.recorded_at_ms,
            record.organisation_id,
            record.actor,
            record.action,
            record.object,
            record.detail,
            record.request_id,
            previous_hash,
            hash.clone(),
        ]);
        previous_hash = hash;
    }
    for rows in rows.chunks(COLUMNS * ROWS_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO audit_records (position, audit_record_id, recorded_at, organisation_id, actor,
                action, object, detail, request_id, previous_hash, hash) VALUES {}",
            placeholders(rows.len() / COLUMNS, COLUMNS)
        );
        connection.execute(&sql, rows.to_vec()).await?;
    }
    Ok(())
}
