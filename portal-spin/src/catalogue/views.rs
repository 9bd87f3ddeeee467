//! A product as its viewer may see it, and what a draft lacks.

use shared::plan::Operation;

use super::meters::{Meter, MeterSource};
use super::model::{MeterView, OperationView, Plan, PlanView, Product, ProductView, state};
use super::{plans, products};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::partners::Reach;
use crate::subscriptions;

/// A product with its contents, as `viewer` may see it.
pub(super) async fn view(
    context: &Context,
    product: &Product,
    viewer: &Viewer<'_>,
) -> Result<ProductView, DatabaseError> {
    let connection = &context.connection;
    let is_operator = matches!(viewer, Viewer::Operator);
    let version = products::find_version(connection, product.id, !is_operator).await?;
    let operations = version.map_or(Vec::new(), |version| version.operations);
    let meters = products::list_meters(connection, product.id).await?;
    let mut shown = plans::list(connection, product.id, is_operator).await?;
    if let Viewer::Partner(reach) = viewer {
        shown.retain(|plan| reach.offers(plan));
    }
    let missing = if is_operator {
        Some(missing(context, product, &operations, &meters, &shown).await?)
    } else {
        None
    };
    Ok(ProductView {
        id: product.id.to_string(),
        slug: product.slug.clone(),
        name: product.name.clone(),
        summary: product.summary.clone(),
        description: product.description.clone(),
        state: state(product.published_at_ms, product.withdrawn_at_ms).to_owned(),
        is_public: product.is_public,
        is_self_service: product.is_self_service,
        sandbox_url: product.sandbox_url.clone(),
        operations: operations.iter().map(OperationView::from).collect(),
        meters: meters
            .into_iter()
            .map(|meter| MeterView {
                id: meter.id.to_string(),
                name: meter.name,
                source: meter.source,
            })
            .collect(),
        plans: shown.iter().map(PlanView::from).collect(),
        missing,
    })
}

/// Who looks at the catalogue.
#[derive(Debug, Clone, Copy)]
pub(super) enum Viewer<'a> {
    /// The operator's staff: drafts too.
    Operator,
    /// A partner, or a visitor: what the matrix opens to them.
    Partner(&'a Reach),
}

/// What keeps a product from being published: it needs contents, a sandbox, a published plan with a
/// price, and an agreement.
async fn missing(
    context: &Context,
    product: &Product,
    operations: &[Operation],
    meters: &[Meter],
    plans: &[Plan],
) -> Result<Vec<String>, DatabaseError> {
    let mut missing = Vec::new();
    let mut need = |is_there: bool, text: &str| {
        if !is_there {
            missing.push(text.to_owned());
        }
    };
    need(
        !operations.is_empty(),
        "operations: upload an OpenAPI document",
    );
    need(
        !product.sandbox_url.is_empty(),
        "sandbox_url: say where its sandbox answers",
    );
    let published = || {
        plans
            .iter()
            .filter(|plan| plan.published_at_ms.is_some() && plan.withdrawn_at_ms.is_none())
    };
    need(
        published().next().is_some(),
        "plans: publish at least one plan",
    );
    need(
        published().all(|plan| plan.terms.price.is_some()),
        "price: every published plan needs one; free is a price",
    );
    let weighs = operations.iter().any(|operation| operation.weight != 1);
    let has_weight_meter = meters
        .iter()
        .any(|meter| meter.source == MeterSource::Weight);
    need(
        !weighs || has_weight_meter,
        "meters: operations have weights, so a meter must count them (source `weight`)",
    );
    let has_agreement = subscriptions::has_agreement(&context.connection, product.id).await?;
    need(
        has_agreement,
        "agreements: publish terms of service that apply to this product",
    );
    Ok(missing)
}
