//! Delivering: what is due is claimed, sent to many endpoints at a time, and settled.

use bytes::Bytes;
use futures_util::future::join_all;
use shared::ids::WebhookEndpointId;

use super::address::{check_address, check_url};
use super::model::{Endpoint, Verdict, judge};
use super::store::{self, Due};
use super::{secrets, signature};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails;
use crate::organisations::{MemberRole, store::list_member_emails};
use crate::{audit, params};

/// How many deliveries one tick sends.
const BATCH: i64 = 50;
/// A delivery whose try nobody reported is due again after this long: longer than any try takes.
const CLAIM_MS: i64 = 60_000;
/// So much of an answer is kept for the log.
const EXCERPT_CHARS: usize = 300;

/// What came back from an endpoint.
struct Came {
    status: Option<u16>,
    retry_after_ms: Option<i64>,
    outcome: String,
    took_ms: i64,
}

/// Sends what is due. Answers how many deliveries were tried.
pub async fn send_due_deliveries(context: &Context) -> Result<u64, DatabaseError> {
    let mut claimed = Vec::new();
    for due in store::list_due(context, BATCH).await? {
        if store::claim(context, &due, context.now_ms + CLAIM_MS).await? {
            let secrets = secrets::list_secrets(context, &due.endpoint_id).await?;
            claimed.push((due, secrets));
        }
    }
    // The connection does one thing at a time, so nothing below touches it until all have come back.
    let tries = claimed
        .iter()
        .map(|(due, secrets)| send(context, due, secrets));
    let came = join_all(tries).await;
    for ((due, _), came) in claimed.iter().zip(&came) {
        context
            .connection
            .transaction(async || settle(context, due, came).await)
            .await?;
    }
    Ok(claimed.len() as u64)
}

async fn send(context: &Context, due: &Due, secrets: &[Vec<u8>]) -> Came {
    let began_ms = context.app.clock.now_ms();
    let answer = try_once(context, due, secrets).await;
    let took_ms = context.app.clock.now_ms() - began_ms;
    match answer {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let retry_after_ms = answer
                .headers()
                .get(http::header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse::<i64>().ok())
                .map(|secs| secs.saturating_mul(1_000));
            let outcome = if answer.status().is_success() {
                "delivered".to_owned()
            } else if answer.status().is_redirection() {
                format!("answered {status}: redirects are not followed; enter the final URL")
            } else {
                let text = String::from_utf8_lossy(answer.body());
                let excerpt: String = text
                    .chars()
                    .map(|character| {
                        if character.is_control() {
                            ' '
                        } else {
                            character
                        }
                    })
                    .take(EXCERPT_CHARS)
                    .collect();
                format!("answered {status}: {excerpt}")
            };
            Came {
                status: Some(status),
                retry_after_ms,
                outcome,
                took_ms,
            }
        }
        Err(error) => Came {
            status: None,
            retry_after_ms: None,
            outcome: error.chars().take(EXCERPT_CHARS).collect(),
            took_ms,
        },
    }
}

async fn try_once(
    context: &Context,
    due: &Due,
    secrets: &[Vec<u8>],
) -> Result<http::Response<Bytes>, String> {
    let http = context.app.http.as_ref();
    let destination = check_url(&due.url, context.configuration().development)?;
    if let Some(name) = &destination.name
        && let Some(addresses) = http.resolve(name).await?
    {
        // One private address among public ones is how a name gets into a network.
        for address in addresses {
            check_address(address)?;
        }
    }
    // The time of the try: receivers refuse what is older than some minutes.
    let timestamp = context.now_ms / 1_000;
    let signature = signature::sign(secrets, &due.event_id, timestamp, &due.payload);
    let request = http::Request::post(destination.uri)
        .header("content-type", "application/json")
        .header("user-agent", "Portico-Webhooks/1")
        .header("webhook-id", &due.event_id)
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", signature)
        .body(Bytes::from(due.payload.clone()))
        .map_err(|error| error.to_string())?;
    http.send(request).await
}

async fn settle(context: &Context, due: &Due, came: &Came) -> Result<(), DatabaseError> {
    store::insert_attempt(context, due, came.took_ms, came.status, &came.outcome).await?;
    let verdict = judge(
        came.status,
        due.tries + 1,
        context.now_ms,
        came.retry_after_ms,
    );
    let (state, next_ms) = match verdict {
        Verdict::Delivered => ("delivered", context.now_ms),
        Verdict::Again(at) => ("pending", at),
        Verdict::GivenUp | Verdict::Gone => ("failed", context.now_ms),
    };
    store::settle(context, due, state, next_ms).await?;
    let endpoint_id: WebhookEndpointId = due
        .endpoint_id
        .parse()
        .map_err(|_| DatabaseError::Shape("a delivery names no endpoint".to_owned()))?;
    let Some(mut endpoint) =
        store::find_endpoint(context, due.organisation_id, endpoint_id).await?
    else {
        return Ok(());
    };
    let failing_since_ms = match verdict {
        Verdict::Delivered => None,
        _ => endpoint.failing_since_ms.or(Some(context.now_ms)),
    };
    let reason = match verdict {
        Verdict::Gone => "The endpoint answered 410: it wants no more events.".to_owned(),
        // The schedule runs over three days; nothing else arrived in that time either.
        Verdict::GivenUp if nothing_arrived_since(context, due, &endpoint).await? => {
            format!(
                "Every try over three days failed. The last one: {}",
                came.outcome
            )
        }
        _ => String::new(),
    };
    if endpoint.failing_since_ms == failing_since_ms && reason.is_empty() {
        return Ok(());
    }
    endpoint.failing_since_ms = failing_since_ms;
    if !reason.is_empty() && endpoint.disabled_at_ms.is_none() {
        endpoint.disabled_at_ms = Some(context.now_ms);
        endpoint.disabled_reason = reason;
        disable(context, &endpoint).await?;
    }
    store::put_endpoint(context, &endpoint).await
}

async fn nothing_arrived_since(
    context: &Context,
    due: &Due,
    endpoint: &Endpoint,
) -> Result<bool, DatabaseError> {
    let created_at_ms: i64 = context
        .connection
        .query_one(
            "SELECT created_at_ms FROM webhook_events WHERE event_id = $1",
            params![due.event_id.as_str()],
        )
        .await?
        .get(0)?;
    // A little later than the event is when its first try failed.
    Ok(endpoint
        .failing_since_ms
        .is_some_and(|since| since <= created_at_ms + CLAIM_MS))
}

/// Tells those who look after an endpoint that it is disabled.
async fn disable(context: &Context, endpoint: &Endpoint) -> Result<(), DatabaseError> {
    audit::record(
        context,
        endpoint.organisation_id,
        "webhook_endpoint.disabled",
        &endpoint.id.to_string(),
        serde_json::json!({ "reason": endpoint.disabled_reason }),
    )
    .await?;
    let origin = &context.configuration().public_url;
    let (readers, page) = match endpoint.organisation_id {
        Some(organisation_id) => (
            list_member_emails(
                &context.connection,
                organisation_id,
                &[MemberRole::Owner, MemberRole::Developer],
            )
            .await?,
            format!("{origin}/webhook-endpoints/{}", endpoint.id),
        ),
        None => (
            list_administrator_emails(context).await?,
            format!("{origin}/operator/webhook-endpoints/{}", endpoint.id),
        ),
    };
    for to in readers {
        let values = [
            ("url", endpoint.url.as_str()),
            ("reason", &endpoint.disabled_reason),
            ("link", &page),
        ];
        emails::send(context, "webhook-disabled", &to, &values).await?;
    }
    Ok(())
}

async fn list_administrator_emails(context: &Context) -> Result<Vec<String>, DatabaseError> {
    context
        .connection
        .query(
            "SELECT p.email FROM operator_members o JOIN people p ON p.person_id = o.person_id
             WHERE o.role = 'administrator' AND p.disabled_at IS NULL ORDER BY p.email",
            vec![],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect()
}
