//! The outbox: events are written in the transaction of what happened, so none is lost and none tells of
//! something that was rolled back.

use serde_json::{Value as Json, json};
use shared::ids::{EventId, OrganisationId};

use super::events::{self, Audience, EventType};
use super::store;
use crate::audit::Happened;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::encoding::rfc3339;

/// How long events and their tries can be read and sent again.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Tells the endpoints that want it of an event of [`super::EVENTS`]. Call it inside the transaction of
/// what happened. `data` is a JSON object without secrets.
pub async fn emit(
    context: &Context,
    organisation_id: Option<OrganisationId>,
    event_type: &str,
    data: Json,
) -> Result<(), DatabaseError> {
    let kind = events::find(event_type).ok_or_else(|| {
        DatabaseError::Shape(format!("`{event_type}` is not in webhooks::EVENTS"))
    })?;
    emit_kind(context, organisation_id, kind, data).await
}

/// What the audit log does with its records: an action is an event if the catalogue has it.
pub(crate) async fn emit_recorded(
    context: &Context,
    happened: &[Happened],
) -> Result<(), DatabaseError> {
    let mut unwanted: Option<&str> = None;
    for (index, one) in happened.iter().enumerate() {
        let Some(kind) = events::find(&one.action) else {
            continue;
        };
        // Of many alike, it is asked once whether anybody listens at all.
        if unwanted == Some(kind.name) {
            continue;
        }
        let is_first = index == 0
            || happened
                .get(index - 1)
                .is_none_or(|last| last.action != one.action);
        let has_more = happened
            .get(index + 1)
            .is_some_and(|next| next.action == one.action);
        if is_first && has_more && !store::is_wanted(&context.connection, kind.name).await? {
            unwanted = Some(kind.name);
            continue;
        }
        let mut data = json!({ "id": one.object });
        if let (Some(data), Some(detail)) = (data.as_object_mut(), one.detail.as_object()) {
            for (name, value) in detail {
                data.insert(name.clone(), value.clone());
            }
        }
        emit_kind(context, one.organisation_id, kind, data).await?;
    }
    Ok(())
}

async fn emit_kind(
    context: &Context,
    organisation_id: Option<OrganisationId>,
    kind: &EventType,
    mut data: Json,
) -> Result<(), DatabaseError> {
    let event_id = context.new_id(EventId::new).to_string();
    let told = store::queue_for_subscribed(
        context,
        &event_id,
        kind.name,
        organisation_id.filter(|_| kind.audience == Audience::Organisation),
        kind.audience == Audience::Everyone,
    )
    .await?;
    if told == 0 {
        return Ok(());
    }
    if let (Some(data), Some(organisation_id)) = (data.as_object_mut(), organisation_id) {
        data.insert("organisation_id".to_owned(), json!(organisation_id));
    }
    insert_event(context, &event_id, organisation_id, kind.name, data).await
}

/// Writes an event. Its payload is fixed here, so that every try sends the same bytes.
pub(super) async fn insert_event(
    context: &Context,
    event_id: &str,
    organisation_id: Option<OrganisationId>,
    event_type: &str,
    data: Json,
) -> Result<(), DatabaseError> {
    let payload = json!({
        "type": event_type,
        "timestamp": rfc3339(context.now_ms),
        "data": data,
    });
    store::insert_event(
        context,
        event_id,
        organisation_id,
        event_type,
        &payload.to_string(),
    )
    .await
}

/// Forgets events that are older than a month.
pub async fn drop_old_events(context: &Context) -> Result<u64, DatabaseError> {
    store::drop_events_before(context, context.now_ms - KEPT_MS).await
}
