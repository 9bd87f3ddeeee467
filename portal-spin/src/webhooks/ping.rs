//! A ping outside the outbox: whether an endpoint takes a signed one and refuses a forged one.

use bytes::Bytes;
use shared::ids::{EventId, OrganisationId};

use super::address::{check_address, check_url};
use super::{secrets, signature, store};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::encoding::rfc3339;

/// A signed ping and the same with a wrong signature, for the organisation's endpoint at this URL; `None`
/// if it has none there.
pub async fn sign_ping(
    context: &Context,
    organisation_id: OrganisationId,
    url: &str,
) -> Result<Option<[http::Request<Bytes>; 2]>, DatabaseError> {
    let endpoints = store::list_endpoints(context, Some(organisation_id)).await?;
    let Some(endpoint) = endpoints.into_iter().find(|endpoint| endpoint.url == url) else {
        return Ok(None);
    };
    let secrets = secrets::list_secrets(context, &endpoint.id.to_string()).await?;
    let id = context.new_id(EventId::new).to_string();
    let timestamp = context.now_ms / 1_000;
    let body = serde_json::json!({
        "type": "ping", "timestamp": rfc3339(context.now_ms), "data": {},
    })
    .to_string();
    let forged = vec![context.random::<32>().to_vec()];
    let request = |secrets: &[Vec<u8>]| {
        http::Request::post(url)
            .header("content-type", "application/json")
            .header("user-agent", "Portico-Webhooks/1")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp.to_string())
            .header(
                "webhook-signature",
                signature::sign(secrets, &id, timestamp, &body),
            )
            .body(Bytes::from(body.clone()))
            .ok()
    };
    Ok(request(&secrets)
        .zip(request(&forged))
        .map(|(good, bad)| [good, bad]))
}

/// Sends a request to the public internet only.
pub async fn send_safely(
    context: &Context,
    request: http::Request<Bytes>,
) -> Result<http::Response<Bytes>, String> {
    let http = context.app.http.as_ref();
    let url = request.uri().to_string();
    let destination = check_url(&url, context.configuration().development)?;
    if let Some(name) = &destination.name
        && let Some(addresses) = http.resolve(name).await?
    {
        for address in addresses {
            check_address(address)?;
        }
    }
    http.send(request).await
}
