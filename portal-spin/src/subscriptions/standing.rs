//! What stands between an app and production, read from what the edges were told.
//!
//! The edges decide by the feed; asking the feed's newest state here means that the portal never
//! issues a live key that the gateway then refuses.

use shared::feed::{Agreement, Change};
use shared::ids::{AppId, OrganisationId, ProductId};

use super::store;
use crate::agreements::store::find_agreement;
use crate::apps::App;
use crate::catalogue;
use crate::database::{Connection, DatabaseError};
use crate::edges::feed;
use crate::params;
use crate::web::Failure;

/// Agreements that live calls to any of these products need now and that the organisation has not
/// accepted in a version that is enough.
pub async fn outstanding_agreements(
    connection: &Connection,
    organisation_id: OrganisationId,
    products: &[ProductId],
    now_ms: i64,
) -> Result<Vec<Agreement>, DatabaseError> {
    let organisation = match feed::find_head(connection, &organisation_id.to_string()).await? {
        Some(Change::Organisation(organisation)) => Some(organisation),
        _ => None,
    };
    let accepted = organisation.map_or(Vec::new(), |organisation| organisation.accepted);
    let mut outstanding = Vec::new();
    for agreement in list_agreements(connection).await? {
        let concerns = agreement
            .products
            .as_ref()
            .is_none_or(|needing| products.iter().any(|product| needing.contains(product)));
        let version = accepted
            .iter()
            .filter(|accepted| accepted.agreement == agreement.agreement)
            .map(|accepted| accepted.version)
            .max()
            .unwrap_or(0);
        if concerns && version < agreement.required_at(now_ms.unsigned_abs()) {
            outstanding.push(agreement);
        }
    }
    Ok(outstanding)
}

/// Every agreement that edges know.
async fn list_agreements(connection: &Connection) -> Result<Vec<Agreement>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT subject FROM feed_heads WHERE subject LIKE 'agr!_%' ESCAPE '!' ORDER BY subject",
            params![],
        )
        .await?;
    let mut agreements = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(Change::Agreement(agreement)) =
            feed::find_head(connection, &row.get::<String>(0)?).await?
        {
            agreements.push(agreement);
        }
    }
    Ok(agreements)
}

/// Whether some agreement applies to a product.
pub async fn has_agreement(
    connection: &Connection,
    product_id: ProductId,
) -> Result<bool, DatabaseError> {
    Ok(list_agreements(connection).await?.iter().any(|agreement| {
        let applies = agreement
            .products
            .as_ref()
            .is_none_or(|needing| needing.contains(&product_id));
        applies && !agreement.required.is_empty()
    }))
}

/// Names of these agreements, for people.
pub async fn agreement_names(
    connection: &Connection,
    agreements: &[Agreement],
) -> Result<Vec<String>, DatabaseError> {
    let mut names = Vec::with_capacity(agreements.len());
    for agreement in agreements {
        let known = find_agreement(connection, agreement.agreement).await?;
        names.push(known.map_or_else(|| agreement.agreement.to_string(), |known| known.title));
    }
    Ok(names)
}

/// Refuses a live credential that the gateway would refuse, and says what is missing.
pub async fn check_live_credentials(
    connection: &Connection,
    app: &App,
    now_ms: i64,
) -> Result<(), Failure> {
    if let Some(Change::Organisation(organisation)) =
        feed::find_head(connection, &app.organisation_id.to_string()).await?
        && organisation.suspended
    {
        return Err(Failure::forbidden(
            "organisation_suspended",
            "The organisation is suspended. Its page says why and what lifts it.",
        ));
    }
    let subscriptions = store::list_of_app(connection, app.id).await?;
    let live: Vec<ProductId> = subscriptions
        .iter()
        .filter(|subscription| {
            subscription.live_from_ms.is_some() && subscription.barred_at_ms.is_none()
        })
        .map(|subscription| subscription.product_id)
        .collect();
    if live.is_empty() {
        return Err(Failure::conflict(
            "subscription_required",
            "The app is not live with any product. Go live with one of its subscriptions first: \
             POST /api/v1/apps/{app_id}/subscriptions/{subscription_id}/go-live.",
        ));
    }
    let missing = outstanding_agreements(connection, app.organisation_id, &live, now_ms).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let names = agreement_names(connection, &missing).await?.join(", ");
    Err(Failure::conflict(
        "agreement_required",
        format!(
            "Live credentials need these agreements accepted by someone with authority: {names}."
        ),
    ))
}

/// Scopes of all operations that the app's subscriptions open, sorted.
pub async fn list_scopes(
    connection: &Connection,
    app_id: AppId,
) -> Result<Vec<String>, DatabaseError> {
    let mut scopes = Vec::new();
    for subscription in store::list_of_app(connection, app_id).await? {
        for operation in
            catalogue::published_operations(connection, subscription.product_id).await?
        {
            scopes.extend(operation.scopes);
        }
    }
    scopes.sort();
    scopes.dedup();
    Ok(scopes)
}
