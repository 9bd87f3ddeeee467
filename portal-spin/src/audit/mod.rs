//! The audit log: who did what to what, when; append-only, each record hashed over the one before.
//!
//! Owns the chain, its export and finding records. Does not own what is worth a record: every domain calls [`record`]
//! inside the transaction of its change; nor who is told of it (`webhooks`, for the actions in its
//! catalogue).

use sha2::{Digest, Sha256};
use shared::ids::{AuditRecordId, OrganisationId};

use crate::context::{Caller, Context};
use crate::database::{DatabaseError, next_number};
use crate::{params, webhooks};

mod chain;
mod pages;
pub mod routes;
mod search;
#[cfg(test)]
mod tests;

pub use chain::{AuditError, AuditRecord, verify_audit};
pub use pages::show_audit_log;

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
    let actor = match &context.caller {
        Caller::Person(person) => person.person_id.to_string(),
        Caller::Edge(edge) => edge.clone(),
        Caller::Scheduler => "scheduler".to_owned(),
        Caller::Nobody => "visitor".to_owned(),
    };
    record_by(context, &actor, organisation_id, action, object, detail).await
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
    webhooks::emit_recorded(context, organisation_id, action, object, &detail).await?;
    let connection = &context.connection;
    let position = next_number(connection, "audit_records").await?;
    let previous_hash: Vec<u8> = connection
        .query_optional(
            "SELECT hash FROM audit_records WHERE position = $1",
            params![position - 1],
        )
        .await?
        .map(|row| row.get(0))
        .transpose()?
        .unwrap_or_else(|| vec![0; 32]);
    let mut record = AuditRecord {
        position,
        audit_record_id: context.new_id(AuditRecordId::new).to_string(),
        recorded_at_ms: context.now_ms,
        organisation_id: organisation_id.map(|id| id.to_string()),
        actor: actor.to_owned(),
        action: action.to_owned(),
        object: object.to_owned(),
        detail: detail.to_string(),
        request_id: context.request_id.clone(),
        previous_hash: crate::encoding::hex(&previous_hash),
        hash: String::new(),
    };
    let hash = Sha256::digest(record.hashed_bytes()).to_vec();
    record.hash = crate::encoding::hex(&hash);
    connection
        .execute(
            "INSERT INTO audit_records (position, audit_record_id, recorded_at, organisation_id, actor,
                action, object, detail, request_id, previous_hash, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            params![
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
                hash,
            ],
        )
        .await?;
    Ok(())
}
