//! SQL of endpoints, secrets, events, deliveries and tries.

use shared::ids::{OrganisationId, WebhookEndpointId};

use super::model::{AttemptView, DeliveryView, Endpoint};
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row};
use crate::params;
use crate::web::paging::{PageRequest, finds};

const ENDPOINT: &str = "SELECT webhook_endpoint_id, organisation_id, url, description, event_types,
    created_at_ms, failing_since_ms, disabled_at_ms, disabled_reason FROM webhook_endpoints";

fn endpoint_of(row: &Row) -> Result<Endpoint, DatabaseError> {
    Ok(Endpoint {
        id: row.parse(0)?,
        organisation_id: row.parse_optional(1)?,
        url: row.get(2)?,
        description: row.get(3)?,
        event_types: row
            .get::<String>(4)?
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        created_at_ms: row.get(5)?,
        failing_since_ms: row.get(6)?,
        disabled_at_ms: row.get(7)?,
        disabled_reason: row.get(8)?,
    })
}

/// Stores an endpoint, new or changed.
pub async fn put_endpoint(context: &Context, endpoint: &Endpoint) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "INSERT INTO webhook_endpoints (webhook_endpoint_id, organisation_id, url, description,
                event_types, created_at_ms, failing_since_ms, disabled_at_ms, disabled_reason)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (webhook_endpoint_id) DO UPDATE SET url = excluded.url,
                description = excluded.description, event_types = excluded.event_types,
                failing_since_ms = excluded.failing_since_ms,
                disabled_at_ms = excluded.disabled_at_ms, disabled_reason = excluded.disabled_reason",
            params![
                endpoint.id.to_string(),
                endpoint.organisation_id.map(|id| id.to_string()),
                &endpoint.url,
                &endpoint.description,
                endpoint.event_types.join(" "),
                endpoint.created_at_ms,
                endpoint.failing_since_ms,
                endpoint.disabled_at_ms,
                &endpoint.disabled_reason,
            ],
        )
        .await?;
    Ok(())
}

/// Takes an endpoint away, with what was on its way there.
pub async fn delete_endpoint(
    context: &Context,
    endpoint_id: WebhookEndpointId,
) -> Result<(), DatabaseError> {
    let id = endpoint_id.to_string();
    for sql in [
        "UPDATE webhook_endpoints SET deleted_at_ms = $2 WHERE webhook_endpoint_id = $1",
        "UPDATE webhook_deliveries SET state = 'failed', next_try_at_ms = $2
         WHERE webhook_endpoint_id = $1 AND state = 'pending'",
        "UPDATE webhook_secrets SET expires_at_ms = $2 WHERE webhook_endpoint_id = $1",
    ] {
        context
            .connection
            .execute(sql, params![id.as_str(), context.now_ms])
            .await?;
    }
    Ok(())
}

/// Takes away every endpoint of an organisation. Call it inside a transaction.
pub async fn delete_of_organisation(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<(), DatabaseError> {
    let rows = context
        .connection
        .query(
            "SELECT webhook_endpoint_id FROM webhook_endpoints
             WHERE organisation_id = $1 AND deleted_at_ms IS NULL",
            params![organisation_id],
        )
        .await?;
    for row in &rows {
        delete_endpoint(context, row.parse(0)?).await?;
    }
    Ok(())
}

/// An endpoint of this organisation, or of the operator.
pub async fn find_endpoint(
    context: &Context,
    organisation_id: Option<OrganisationId>,
    endpoint_id: WebhookEndpointId,
) -> Result<Option<Endpoint>, DatabaseError> {
    let found = context
        .connection
        .query_optional(
            &format!("{ENDPOINT} WHERE webhook_endpoint_id = $1 AND deleted_at_ms IS NULL"),
            params![endpoint_id.to_string()],
        )
        .await?;
    let found = found.as_ref().map(endpoint_of).transpose()?;
    Ok(found.filter(|endpoint| endpoint.organisation_id == organisation_id))
}

/// Endpoints of this organisation, or of the operator, newest first.
pub async fn list_endpoints(
    context: &Context,
    organisation_id: Option<OrganisationId>,
) -> Result<Vec<Endpoint>, DatabaseError> {
    // The empty text stands for the operator, which has no organisation.
    let owner = organisation_id.map(|id| id.to_string()).unwrap_or_default();
    context
        .connection
        .query(
            &format!(
                "{ENDPOINT} WHERE COALESCE(organisation_id, '') = $1 AND deleted_at_ms IS NULL
                 ORDER BY webhook_endpoint_id DESC"
            ),
            params![owner],
        )
        .await?
        .iter()
        .map(endpoint_of)
        .collect()
}

/// Adds a sealed secret; those before it end at `others_expire_at_ms`.
pub async fn insert_secret(
    context: &Context,
    endpoint_id: WebhookEndpointId,
    sealed: Vec<u8>,
    others_expire_at_ms: i64,
) -> Result<(), DatabaseError> {
    let id = endpoint_id.to_string();
    let connection = &context.connection;
    connection
        .execute(
            "UPDATE webhook_secrets SET expires_at_ms = $2
             WHERE webhook_endpoint_id = $1 AND (expires_at_ms IS NULL OR expires_at_ms > $2)",
            params![id.as_str(), others_expire_at_ms],
        )
        .await?;
    connection
        .execute(
            "DELETE FROM webhook_secrets WHERE webhook_endpoint_id = $1 AND expires_at_ms <= $2",
            params![id.as_str(), context.now_ms],
        )
        .await?;
    let number: i64 = connection
        .query_one(
            "SELECT COALESCE(MAX(number), 0) + 1 FROM webhook_secrets WHERE webhook_endpoint_id = $1",
            params![id.as_str()],
        )
        .await?
        .get(0)?;
    connection
        .execute(
            "INSERT INTO webhook_secrets (webhook_endpoint_id, number, sealed, created_at_ms)
             VALUES ($1, $2, $3, $4)",
            params![id, number, sealed, context.now_ms],
        )
        .await?;
    Ok(())
}

/// Sealed secrets that sign now, newest first.
pub async fn list_sealed_secrets(
    context: &Context,
    endpoint_id: &str,
) -> Result<Vec<Vec<u8>>, DatabaseError> {
    context
        .connection
        .query(
            "SELECT sealed FROM webhook_secrets WHERE webhook_endpoint_id = $1
                AND (expires_at_ms IS NULL OR expires_at_ms > $2) ORDER BY number DESC",
            params![endpoint_id, context.now_ms],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// Whether any endpoint wants events of this type, be it the operator's or a partner's.
pub async fn is_wanted(connection: &Connection, event_type: &str) -> Result<bool, DatabaseError> {
    let found = connection
        .query_optional(
            "SELECT 1 FROM webhook_endpoints WHERE deleted_at_ms IS NULL
                AND (event_types = '' OR ' ' || event_types || ' ' LIKE $1) LIMIT 1",
            params![format!("% {event_type} %")],
        )
        .await?;
    Ok(found.is_some())
}

/// Queues an event for every endpoint that wants it: the operator's, and those of one organisation or of
/// all. Answers how many there are.
pub async fn queue_for_subscribed(
    context: &Context,
    event_id: &str,
    event_type: &str,
    organisation_id: Option<OrganisationId>,
    is_for_everyone: bool,
) -> Result<u64, DatabaseError> {
    let only = organisation_id.map(|id| id.to_string()).unwrap_or_default();
    let partners = if is_for_everyone {
        "organisation_id IS NOT NULL OR $4 = ''"
    } else {
        "organisation_id = $4"
    };
    context
        .connection
        .execute(
            &format!(
                "INSERT INTO webhook_deliveries (event_id, webhook_endpoint_id, state, tries, next_try_at_ms)
                 SELECT CAST($1 AS TEXT), webhook_endpoint_id, 'pending', 0, CAST($2 AS BIGINT)
                 FROM webhook_endpoints
                 WHERE deleted_at_ms IS NULL
                    AND (event_types = '' OR ' ' || event_types || ' ' LIKE $3)
                    AND (organisation_id IS NULL OR {partners})"
            ),
            params![event_id, context.now_ms, format!("% {event_type} %"), only],
        )
        .await
}

/// Queues an event for one endpoint.
pub async fn queue_for_endpoint(
    context: &Context,
    event_id: &str,
    endpoint_id: WebhookEndpointId,
) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "INSERT INTO webhook_deliveries (event_id, webhook_endpoint_id, state, tries, next_try_at_ms)
             VALUES ($1, $2, 'pending', 0, $3)",
            params![event_id, endpoint_id.to_string(), context.now_ms],
        )
        .await?;
    Ok(())
}

/// Writes an event.
pub async fn insert_event(
    context: &Context,
    event_id: &str,
    organisation_id: Option<OrganisationId>,
    event_type: &str,
    payload: &str,
) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "INSERT INTO webhook_events (event_id, organisation_id, event_type, payload, created_at_ms)
             VALUES ($1, $2, $3, $4, $5)",
            params![
                event_id,
                organisation_id.map(|id| id.to_string()),
                event_type,
                payload,
                context.now_ms
            ],
        )
        .await?;
    Ok(())
}

/// Forgets events from before, at most 1 000 at a time.
pub async fn drop_events_before(context: &Context, before_ms: i64) -> Result<u64, DatabaseError> {
    let connection = &context.connection;
    connection
        .transaction(async || {
            let rows = connection
                .query(
                    "SELECT event_id FROM webhook_events WHERE created_at_ms < $1
                     ORDER BY created_at_ms LIMIT 1000",
                    params![before_ms],
                )
                .await?;
            for row in &rows {
                let event_id: String = row.get(0)?;
                for sql in [
                    "DELETE FROM webhook_attempts WHERE event_id = $1",
                    "DELETE FROM webhook_deliveries WHERE event_id = $1",
                    "DELETE FROM webhook_events WHERE event_id = $1",
                ] {
                    connection.execute(sql, params![event_id.as_str()]).await?;
                }
            }
            Ok(rows.len() as u64)
        })
        .await
}

/// A delivery whose time has come.
#[derive(Debug, Clone)]
pub struct Due {
    /// The event.
    pub event_id: String,
    /// To which endpoint.
    pub endpoint_id: String,
    /// Whose that is.
    pub organisation_id: Option<OrganisationId>,
    /// Where to.
    pub url: String,
    /// Tries before this one.
    pub tries: i64,
    /// The bytes.
    pub payload: String,
}

/// Deliveries whose time has come, oldest first.
pub async fn list_due(context: &Context, limit: i64) -> Result<Vec<Due>, DatabaseError> {
    context
        .connection
        .query(
            "SELECT d.event_id, d.webhook_endpoint_id, e.organisation_id, e.url, d.tries, v.payload
             FROM webhook_deliveries d
             JOIN webhook_endpoints e ON e.webhook_endpoint_id = d.webhook_endpoint_id
             JOIN webhook_events v ON v.event_id = d.event_id
             WHERE d.state = 'pending' AND d.next_try_at_ms <= $1
                AND e.disabled_at_ms IS NULL AND e.deleted_at_ms IS NULL
             ORDER BY d.next_try_at_ms, d.event_id LIMIT $2",
            params![context.now_ms, limit],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(Due {
                event_id: row.get(0)?,
                endpoint_id: row.get(1)?,
                organisation_id: row.parse_optional(2)?,
                url: row.get(3)?,
                tries: row.get(4)?,
                payload: row.get(5)?,
            })
        })
        .collect()
}

/// Takes a delivery for this tick: another tick at the same time finds it taken. If nobody reports how
/// it went, it is due again at `until_ms`.
pub async fn claim(context: &Context, due: &Due, until_ms: i64) -> Result<bool, DatabaseError> {
    let claimed = context
        .connection
        .execute(
            "UPDATE webhook_deliveries SET tries = tries + 1, next_try_at_ms = $4
             WHERE webhook_endpoint_id = $1 AND event_id = $2 AND tries = $3 AND state = 'pending'",
            params![
                due.endpoint_id.as_str(),
                due.event_id.as_str(),
                due.tries,
                until_ms
            ],
        )
        .await?;
    Ok(claimed == 1)
}

/// Writes a try into the log.
pub async fn insert_attempt(
    context: &Context,
    due: &Due,
    took_ms: i64,
    status: Option<u16>,
    outcome: &str,
) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "INSERT INTO webhook_attempts (webhook_endpoint_id, event_id, number, attempted_at_ms, took_ms,
                status, outcome)
             SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), COALESCE(MAX(number), 0) + 1, CAST($3 AS BIGINT),
                CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS TEXT)
             FROM webhook_attempts WHERE webhook_endpoint_id = $1 AND event_id = $2",
            params![
                due.endpoint_id.as_str(),
                due.event_id.as_str(),
                context.now_ms,
                took_ms,
                status.map(i64::from),
                outcome
            ],
        )
        .await?;
    Ok(())
}

/// Sets where a delivery stands after a try.
pub async fn settle(
    context: &Context,
    due: &Due,
    state: &str,
    next_try_at_ms: i64,
) -> Result<(), DatabaseError> {
    let delivered_at = (state == "delivered").then_some(context.now_ms);
    context
        .connection
        .execute(
            "UPDATE webhook_deliveries SET state = $3, next_try_at_ms = $4, delivered_at_ms = $5
             WHERE webhook_endpoint_id = $1 AND event_id = $2",
            params![
                due.endpoint_id.as_str(),
                due.event_id.as_str(),
                state,
                next_try_at_ms,
                delivered_at
            ],
        )
        .await?;
    Ok(())
}

/// Queues a delivery anew, with the whole schedule before it. Answers whether there is one.
pub async fn requeue(
    context: &Context,
    endpoint_id: WebhookEndpointId,
    event_id: &str,
) -> Result<bool, DatabaseError> {
    let changed = context
        .connection
        .execute(
            "UPDATE webhook_deliveries SET state = 'pending', tries = 0, next_try_at_ms = $3
             WHERE webhook_endpoint_id = $1 AND event_id = $2",
            params![endpoint_id.to_string(), event_id, context.now_ms],
        )
        .await?;
    Ok(changed == 1)
}

/// Deliveries to an endpoint, newest event first; of one state if given.
pub async fn list_deliveries(
    context: &Context,
    endpoint_id: WebhookEndpointId,
    state: &str,
    page: &PageRequest,
) -> Result<Vec<DeliveryView>, DatabaseError> {
    let found = finds("$4", &["v.event_type", "d.event_id"]);
    context
        .connection
        .query(
            &format!(
                "SELECT d.event_id, v.event_type, d.state, d.tries, v.created_at_ms, d.next_try_at_ms,
                    d.delivered_at_ms
                 FROM webhook_deliveries d JOIN webhook_events v ON v.event_id = d.event_id
                 WHERE d.webhook_endpoint_id = $1 AND d.event_id < $2 AND (d.state = $3 OR $3 = '')
                    AND {found}
                 ORDER BY d.event_id DESC LIMIT $5"
            ),
            params![
                endpoint_id.to_string(),
                page.before.as_str(),
                state,
                page.wanted.as_str(),
                page.limit_and_one()
            ],
        )
        .await?
        .iter()
        .map(|row| {
            let state: String = row.get(2)?;
            Ok(DeliveryView {
                event_id: row.get(0)?,
                event_type: row.get(1)?,
                tries: row.get(3)?,
                created_at: row.get(4)?,
                next_try_at: (state == "pending").then(|| row.get(5)).transpose()?,
                delivered_at: row.get(6)?,
                state,
            })
        })
        .collect()
}

/// The payload of an event that went to this endpoint, and its tries there.
pub async fn find_delivery(
    context: &Context,
    endpoint_id: WebhookEndpointId,
    event_id: &str,
) -> Result<Option<(String, Vec<AttemptView>)>, DatabaseError> {
    let id = endpoint_id.to_string();
    let row = context
        .connection
        .query_optional(
            "SELECT v.payload FROM webhook_deliveries d JOIN webhook_events v ON v.event_id = d.event_id
             WHERE d.webhook_endpoint_id = $1 AND d.event_id = $2",
            params![id.as_str(), event_id],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let attempts = context
        .connection
        .query(
            "SELECT number, attempted_at_ms, took_ms, status, outcome FROM webhook_attempts
             WHERE webhook_endpoint_id = $1 AND event_id = $2 ORDER BY number",
            params![id, event_id],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(AttemptView {
                number: row.get(0)?,
                attempted_at: row.get(1)?,
                took_ms: row.get(2)?,
                status: row.get(3)?,
                outcome: row.get(4)?,
            })
        })
        .collect::<Result<_, DatabaseError>>()?;
    Ok(Some((row.get(0)?, attempts)))
}
