//! A wish with the names of what it is about, as the operator reads it.

use schemars::JsonSchema;
use serde::Serialize;

use super::model::{Request, RequestView};
use super::store;
use crate::apps::find_app;
use crate::catalogue;
use crate::context::Context;
use crate::organisations::store::{find_organisation, find_person};
use crate::web::Failure;

/// A wish in the operator's queue.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct QueuedRequest {
    /// The wish.
    #[serde(flatten)]
    pub request: RequestView,
    /// Whose wish.
    pub organisation_id: String,
    /// Its name.
    pub organisation_name: String,
    /// The app; none once it is deleted.
    pub app_id: Option<String>,
    /// Its name.
    pub app_name: Option<String>,
    /// The name of the plan it is about.
    pub plan_name: String,
    /// The address of who asked; empty once the account is closed.
    pub requested_by: String,
}

/// Looks up the names of what a wish is about.
pub async fn named(context: &Context, request: &Request) -> Result<QueuedRequest, Failure> {
    let connection = &context.connection;
    let organisation = match request.organisation_id.parse() {
        Ok(organisation_id) => find_organisation(connection, organisation_id).await?,
        Err(_) => None,
    };
    let subscription = store::find_subscription(connection, request.subscription_id).await?;
    let app = match subscription {
        Some(subscription) => find_app(connection, subscription.app_id).await?,
        None => None,
    };
    let plan = catalogue::find_plan(connection, request.plan_id).await?;
    let asked_by = match request.requested_by.parse() {
        Ok(person_id) => find_person(connection, person_id).await?,
        Err(_) => None,
    };
    let place = store::place_of(connection, request).await?;
    Ok(QueuedRequest {
        request: request.view(place),
        organisation_id: request.organisation_id.clone(),
        organisation_name: organisation.map(|known| known.name).unwrap_or_default(),
        app_id: app.as_ref().map(|known| known.id.to_string()),
        app_name: app.map(|known| known.name),
        plan_name: plan.map(|known| known.name).unwrap_or_default(),
        requested_by: asked_by.map(|person| person.email).unwrap_or_default(),
    })
}
