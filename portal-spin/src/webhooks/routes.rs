//! `/api/v1/…/webhook-endpoints`, the same for partners and for the operator.

use schemars::JsonSchema;
use serde::Serialize;

use super::endpoints::{self, owner};
use super::events::{EVENTS, EventType};
use super::model::{AttemptView, DeliveryView, EndpointView};
use super::store;
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, PageRequest, whole};
use crate::web::{Failure, response};

pub use super::endpoints::{EndpointBody, SecretBody};

/// The catalogue of events.
pub type EventTypeList = PageOf<EventType>;

/// Every endpoint of the owner; there are few.
pub type EndpointList = PageOf<EndpointView>;

/// A new endpoint or secret.
#[derive(Serialize, JsonSchema)]
pub struct EndpointWithSecret {
    /// The endpoint.
    pub endpoint: EndpointView,
    /// `whsec_…`, to verify signatures with. It is not shown again.
    pub secret: String,
}

/// A page of deliveries.
pub type DeliveryList = PageOf<DeliveryView>;

/// What was sent, and every try.
#[derive(Serialize, JsonSchema)]
pub struct DeliveryDetail {
    /// The event: `webhook-id`.
    pub event_id: String,
    /// The exact body.
    pub payload: String,
    /// Every try, oldest first.
    pub attempts: Vec<AttemptView>,
}

/// A queued event.
#[derive(Serialize, JsonSchema)]
pub struct QueuedEvent {
    /// The event: `webhook-id`.
    pub event_id: String,
}

/// `GET /api/v1/webhook-events`
pub async fn list_webhook_events(context: &Context) -> Outcome {
    response::ok(&whole(context, EVENTS.to_vec(), |event| {
        event.name.to_owned()
    })?)
}

/// `GET …/webhook-endpoints`
pub async fn list_webhook_endpoints(context: &Context) -> Outcome {
    let endpoints = store::list_endpoints(context, owner(context)?).await?;
    let views = endpoints.iter().map(EndpointView::from).collect();
    response::ok(&whole(context, views, |endpoint: &EndpointView| {
        endpoint.id.clone()
    })?)
}

/// `POST …/webhook-endpoints`
pub async fn create_webhook_endpoint(context: &Context) -> Outcome {
    let (endpoint, secret) = endpoints::create(context, &context.json()?).await?;
    response::created(&EndpointWithSecret {
        endpoint: EndpointView::from(&endpoint),
        secret,
    })
}

/// `GET …/webhook-endpoints/{webhook_endpoint_id}`
pub async fn show_webhook_endpoint(context: &Context) -> Outcome {
    let endpoint = endpoints::endpoint_of_path(context).await?;
    response::ok(&EndpointView::from(&endpoint))
}

/// `PATCH …/webhook-endpoints/{webhook_endpoint_id}`
pub async fn update_webhook_endpoint(context: &Context) -> Outcome {
    let endpoint = endpoints::update(context, &context.json()?).await?;
    response::ok(&EndpointView::from(&endpoint))
}

/// `DELETE …/webhook-endpoints/{webhook_endpoint_id}`
pub async fn delete_webhook_endpoint(context: &Context) -> Outcome {
    endpoints::delete(context).await?;
    Ok(response::no_content())
}

/// `POST …/webhook-endpoints/{webhook_endpoint_id}/secrets`
pub async fn rotate_webhook_secret(context: &Context) -> Outcome {
    let secret = endpoints::rotate_secret(context, &context.json()?).await?;
    let endpoint = endpoints::endpoint_of_path(context).await?;
    response::created(&EndpointWithSecret {
        endpoint: EndpointView::from(&endpoint),
        secret,
    })
}

/// `POST …/webhook-endpoints/{webhook_endpoint_id}/test-events`
pub async fn send_test_event(context: &Context) -> Outcome {
    let event_id = endpoints::send_test(context).await?;
    response::json(http::StatusCode::ACCEPTED, &QueuedEvent { event_id })
}

/// The `state` that a list of deliveries is limited to; empty for none.
pub(super) fn state_wanted(context: &Context) -> Result<String, Failure> {
    let state = context.query("state").unwrap_or_default();
    match state.as_str() {
        "" | "pending" | "delivered" | "failed" => Ok(state),
        _ => Err(Failure::field(
            "state",
            "unknown_value",
            "Give `pending`, `delivered` or `failed`.",
        )),
    }
}

pub(super) async fn deliveries_page(context: &Context) -> Result<DeliveryList, Failure> {
    let page = PageRequest::read(context)?;
    let state = state_wanted(context)?;
    let endpoint = endpoints::endpoint_of_path(context).await?;
    let rows = store::list_deliveries(context, endpoint.id, &state, &page).await?;
    Ok(page.page_of(rows, |row: &DeliveryView| row.event_id.clone()))
}

/// `GET …/webhook-endpoints/{webhook_endpoint_id}/deliveries?state=`
pub async fn list_deliveries(context: &Context) -> Outcome {
    response::ok(&deliveries_page(context).await?)
}

pub(super) async fn delivery_of_path(context: &Context) -> Result<DeliveryDetail, Failure> {
    let endpoint = endpoints::endpoint_of_path(context).await?;
    let event_id = context.path_text("event_id");
    let (payload, attempts) = store::find_delivery(context, endpoint.id, event_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    Ok(DeliveryDetail {
        event_id: event_id.to_owned(),
        payload,
        attempts,
    })
}

/// `GET …/webhook-endpoints/{webhook_endpoint_id}/deliveries/{event_id}`
pub async fn show_delivery(context: &Context) -> Outcome {
    response::ok(&delivery_of_path(context).await?)
}

/// `POST …/webhook-endpoints/{webhook_endpoint_id}/deliveries/{event_id}/resends`
pub async fn resend_event(context: &Context) -> Outcome {
    endpoints::resend(context).await?;
    let event_id = context.path_text("event_id").to_owned();
    response::json(http::StatusCode::ACCEPTED, &QueuedEvent { event_id })
}
