//! What people do with endpoints: add, change, remove, a new secret, a test event, send again.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::ids::{EventId, OrganisationId, WebhookEndpointId};

use super::address::check_url;
use super::model::Endpoint;
use super::{events, outbox, secrets, signature, store};
use crate::access::Access;
use crate::audit;
use crate::context::Context;
use crate::web::throttle::{Limit, count_attempt};
use crate::web::{Failure, FieldError};

/// An owner has at most this many endpoints.
const MOST_ENDPOINTS: usize = 20;
/// How long the old secret still signs, where nothing else is asked: a day.
const USUAL_OVERLAP_SECS: i64 = 24 * 60 * 60;
/// The longest overlap: 7 days.
const LONGEST_OVERLAP_SECS: i64 = 7 * 24 * 60 * 60;
/// A test event makes the portal send a request elsewhere.
const TEST_EVENTS: Limit = Limit {
    name: "webhook_test_events",
    attempts: 20,
    window_ms: 60_000,
};

/// A new or changed endpoint.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointBody {
    /// Where to, https.
    #[serde(default)]
    pub url: Option<String>,
    /// What people call it, at most 200 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// Names of the catalogue; every event if empty.
    #[serde(default)]
    pub event_types: Option<Vec<String>>,
    /// `false` switches a disabled endpoint on again.
    #[serde(default)]
    pub is_disabled: Option<bool>,
}

/// How a secret is replaced.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretBody {
    /// How long the old one still signs as well, in seconds: 0 to 7 days; a day without.
    #[serde(default)]
    pub overlap_secs: Option<i64>,
}

/// Whose endpoints the route is about: the organisation's of a member, or the operator's.
pub fn owner(context: &Context) -> Result<Option<OrganisationId>, Failure> {
    match context.route.access {
        Access::Operator(_) => Ok(None),
        _ => context.organisation_id().map(Some),
    }
}

/// The endpoint of the path.
pub async fn endpoint_of_path(context: &Context) -> Result<Endpoint, Failure> {
    let endpoint_id: WebhookEndpointId = context.path_id("webhook_endpoint_id")?;
    store::find_endpoint(context, owner(context)?, endpoint_id)
        .await?
        .ok_or_else(Failure::not_found)
}

fn apply(context: &Context, endpoint: &mut Endpoint, body: &EndpointBody) -> Result<(), Failure> {
    let mut faults = Vec::new();
    let mut wrong = |field: &str, code: &str, detail: String| {
        faults.push(FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            detail,
        });
    };
    if let Some(url) = &body.url {
        url.trim().clone_into(&mut endpoint.url);
    }
    if let Err(detail) = check_url(&endpoint.url, context.configuration().development) {
        wrong("url", "not_allowed", detail);
    }
    if let Some(description) = &body.description {
        description.trim().clone_into(&mut endpoint.description);
    }
    if endpoint.description.chars().count() > 200 {
        wrong(
            "description",
            "too_long",
            "Use at most 200 characters.".to_owned(),
        );
    }
    if let Some(event_types) = &body.event_types {
        endpoint.event_types.clone_from(event_types);
        endpoint.event_types.sort();
        endpoint.event_types.dedup();
    }
    let unknown = endpoint
        .event_types
        .iter()
        .find(|name| events::find(name).is_none());
    if let Some(unknown) = unknown {
        let detail = format!("There is no event `{unknown}`; /api/v1/webhook-events lists them.");
        wrong("event_types", "unknown_value", detail);
    }
    if !faults.is_empty() {
        return Err(Failure::fields(faults));
    }
    match body.is_disabled {
        Some(false) => {
            endpoint.disabled_at_ms = None;
            endpoint.failing_since_ms = None;
            endpoint.disabled_reason.clear();
        }
        Some(true) if endpoint.disabled_at_ms.is_none() => {
            endpoint.disabled_at_ms = Some(context.now_ms);
            "Switched off by hand.".clone_into(&mut endpoint.disabled_reason);
        }
        _ => {}
    }
    Ok(())
}

async fn record(context: &Context, action: &str, endpoint: &Endpoint) -> Result<(), Failure> {
    let detail = json!({ "url": endpoint.url, "event_types": endpoint.event_types });
    let id = endpoint.id.to_string();
    audit::record(context, endpoint.organisation_id, action, &id, detail).await?;
    Ok(())
}

/// Adds an endpoint; answers it with its secret, which is not shown again.
pub async fn create(context: &Context, body: &EndpointBody) -> Result<(Endpoint, String), Failure> {
    let owner = owner(context)?;
    let mut endpoint = Endpoint {
        id: context.new_id(WebhookEndpointId::new),
        organisation_id: owner,
        url: String::new(),
        description: String::new(),
        event_types: Vec::new(),
        created_at_ms: context.now_ms,
        failing_since_ms: None,
        disabled_at_ms: None,
        disabled_reason: String::new(),
    };
    apply(context, &mut endpoint, body)?;
    if store::list_endpoints(context, owner).await?.len() >= MOST_ENDPOINTS {
        return Err(Failure::conflict(
            "too_many_endpoints",
            format!("There are {MOST_ENDPOINTS} endpoints already. Remove one first."),
        ));
    }
    let secret = context
        .connection
        .transaction(async || {
            record(context, "webhook_endpoint.created", &endpoint).await?;
            store::put_endpoint(context, &endpoint).await?;
            secrets::add_secret(context, endpoint.id, context.now_ms).await
        })
        .await?;
    Ok((endpoint, signature::secret_text(&secret)))
}

/// Changes the endpoint of the path.
pub async fn update(context: &Context, body: &EndpointBody) -> Result<Endpoint, Failure> {
    let mut endpoint = endpoint_of_path(context).await?;
    apply(context, &mut endpoint, body)?;
    context
        .connection
        .transaction(async || {
            record(context, "webhook_endpoint.changed", &endpoint).await?;
            Ok::<(), Failure>(store::put_endpoint(context, &endpoint).await?)
        })
        .await?;
    Ok(endpoint)
}

/// Removes the endpoint of the path. What was on its way there is not sent any more.
pub async fn delete(context: &Context) -> Result<(), Failure> {
    let endpoint = endpoint_of_path(context).await?;
    context
        .connection
        .transaction(async || {
            record(context, "webhook_endpoint.deleted", &endpoint).await?;
            Ok(store::delete_endpoint(context, endpoint.id).await?)
        })
        .await
}

/// Gives the endpoint of the path a new secret. Until the overlap ends, both sign.
pub async fn rotate_secret(context: &Context, body: &SecretBody) -> Result<String, Failure> {
    let overlap_secs = body.overlap_secs.unwrap_or(USUAL_OVERLAP_SECS);
    if !(0..=LONGEST_OVERLAP_SECS).contains(&overlap_secs) {
        return Err(Failure::field(
            "overlap_secs",
            "out_of_range",
            "Give 0 to 604800 seconds (7 days).",
        ));
    }
    let endpoint = endpoint_of_path(context).await?;
    let ends_at_ms = context.now_ms + overlap_secs * 1_000;
    let secret = context
        .connection
        .transaction(async || {
            record(context, "webhook_endpoint.secret_rotated", &endpoint).await?;
            secrets::add_secret(context, endpoint.id, ends_at_ms).await
        })
        .await?;
    Ok(signature::secret_text(&secret))
}

/// Queues a test event for the endpoint of the path; answers its id.
pub async fn send_test(context: &Context) -> Result<String, Failure> {
    let endpoint = endpoint_of_path(context).await?;
    check_enabled(&endpoint)?;
    count_attempt(context, TEST_EVENTS, &endpoint.id.to_string()).await?;
    let event_id = context.new_id(EventId::new).to_string();
    context
        .connection
        .transaction(async || {
            store::queue_for_endpoint(context, &event_id, endpoint.id).await?;
            let data = json!({ "webhook_endpoint_id": endpoint.id });
            let owner = endpoint.organisation_id;
            outbox::insert_event(context, &event_id, owner, "webhook.test", data).await?;
            Ok::<(), Failure>(())
        })
        .await?;
    Ok(event_id)
}

/// Sends an event again to the endpoint of the path, with the whole schedule before it.
pub async fn resend(context: &Context) -> Result<(), Failure> {
    let endpoint = endpoint_of_path(context).await?;
    check_enabled(&endpoint)?;
    let event_id = context.path_text("event_id");
    context
        .connection
        .transaction(async || {
            if !store::requeue(context, endpoint.id, event_id).await? {
                return Err(Failure::not_found());
            }
            let detail = json!({ "event_id": event_id, "url": endpoint.url });
            let (owner, id) = (endpoint.organisation_id, endpoint.id.to_string());
            audit::record(context, owner, "webhook_endpoint.event_resent", &id, detail).await?;
            Ok(())
        })
        .await
}

/// What is sent to a disabled endpoint would wait for ever.
fn check_enabled(endpoint: &Endpoint) -> Result<(), Failure> {
    if endpoint.disabled_at_ms.is_some() {
        return Err(Failure::conflict(
            "endpoint_disabled",
            "The endpoint is disabled. Switch it on first.",
        ));
    }
    Ok(())
}
