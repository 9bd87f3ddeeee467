//! `/api/v1/products/{product_id}/fidelity` and the operator's side of it.

use serde_json::json;
use shared::ids::ProductId;

use super::model::{FidelityBody, FidelityView, Report};
use super::store;
use crate::audit;
use crate::catalogue::{self, Product};
use crate::context::Context;
use crate::partners::Reach;
use crate::routes::Outcome;
use crate::web::{Failure, response};

/// What partners see of the report about a product, if there is one.
pub async fn fidelity_for_partners(
    context: &Context,
    product: &Product,
) -> Result<Option<FidelityView>, Failure> {
    let Some((number, operations)) =
        catalogue::published_version(&context.connection, product.id).await?
    else {
        return Ok(None);
    };
    let stored = store::find(&context.connection, product.id, number).await?;
    Ok(stored.map(|(report, version, at)| report.view(version, at, Some(&operations))))
}

/// What the operator sees: the newest report, with calls that the document does not have.
pub(super) async fn fidelity_for_operator(
    context: &Context,
    product: &Product,
) -> Result<Option<FidelityView>, Failure> {
    let stored = store::find(&context.connection, product.id, i64::MAX).await?;
    Ok(stored.map(|(report, version, at)| report.view(version, at, None)))
}

pub(super) async fn product_of_path(context: &Context) -> Result<Product, Failure> {
    let product_id: ProductId = context.path_id("product_id")?;
    catalogue::find_product(&context.connection, product_id)
        .await?
        .ok_or_else(Failure::not_found)
}

/// `GET /api/v1/products/{product_id}/fidelity`
pub async fn show_fidelity(context: &Context) -> Outcome {
    let product = product_of_path(context).await?;
    let reach = Reach::of_caller(context).await?;
    if !catalogue::is_visible(context, &reach, &product) {
        return Err(Failure::not_found());
    }
    let view = fidelity_for_partners(context, &product).await?;
    response::ok(&view.ok_or_else(Failure::not_found)?)
}

/// `PUT /api/v1/operator/products/{product_id}/fidelity`
pub async fn put_fidelity(context: &Context) -> Outcome {
    let product = product_of_path(context).await?;
    save(context, &product, &context.json()?).await?;
    let view = fidelity_for_operator(context, &product).await?;
    response::ok(&view.ok_or_else(Failure::not_found)?)
}

/// Checks and keeps a report.
pub(super) async fn save(
    context: &Context,
    product: &Product,
    body: &FidelityBody,
) -> Result<(), Failure> {
    let report = Report::read(body).map_err(Failure::fields)?;
    let newest = catalogue::newest_version(&context.connection, product.id).await?;
    let published = catalogue::published_version(&context.connection, product.id).await?;
    let version = body
        .version
        .or_else(|| published.map(|(number, _)| number))
        .or(newest)
        .filter(|version| newest.is_some_and(|newest| (1..=newest).contains(version)));
    let Some(version) = version else {
        return Err(Failure::field(
            "version",
            "unknown_value",
            "The product has no such version. Upload its document first.",
        ));
    };
    context
        .connection
        .transaction(async || {
            store::put(
                &context.connection,
                product.id,
                version,
                &report,
                context.now_ms,
            )
            .await?;
            let fidelity = report.view(version, context.now_ms, None).fidelity;
            let detail = json!({ "version": version, "fidelity": fidelity });
            audit::record(
                context,
                None,
                "product.fidelity_reported",
                &product.id.to_string(),
                detail,
            )
            .await
        })
        .await?;
    Ok(())
}
