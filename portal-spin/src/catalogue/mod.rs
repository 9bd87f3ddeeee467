//! The catalogue: products, their operations and meters, and the plans that price and limit them.
//!
//! Owns what a product contains, version by version, plan versions and their terms, what must be there
//! before either is published, and the public reads. Does not own who subscribes (`subscriptions`),
//! what a price costs (`billing`), nor agreements (which name the products that need them).

mod charge_form;
mod document;
mod form_fields;
mod meter_form;
mod meters;
mod model;
mod operator_pages;
mod pages;
mod period_rule;
mod plan_form;
mod plan_routes;
mod plans;
mod price_form;
mod products;
mod routes;
mod rule_form;
mod terms;
mod variants;
mod views;

#[cfg(test)]
mod tests;

pub use meters::{Meter, MeterSource};
pub use model::{MeterView, Plan, PlanView, Product, ProductView, slug_of};
use shared::ids::ProductId;
use shared::plan::Operation;

use crate::database::{Connection, DatabaseError};
use crate::partners::Reach;

pub use operator_pages::*;
pub use pages::{cost_in_words, show_catalogue, show_product};
pub use period_rule::{BillingCycle, FirstDay, PeriodRule};
pub use plan_routes::*;
pub(crate) use plan_routes::{new_plan, publish_draft};
pub use plans::{find_plan, find_published_version, list_default_plans};
pub use products::{
    find_by_slug as find_product_by_slug, find_product, find_quota_meter, list_meters,
    published_document, published_operations,
};
pub use routes::*;
pub(crate) use routes::{create, is_visible, publish, put_version};
pub use terms::{ApprovalPolicy, ChecklistRules, Condition, Fact, PlanTerms, Rule, Verdict};
pub use variants::{VariantBody, create_plan_variant};

/// Every plan version of a product, drafts and withdrawn ones too.
pub async fn list_all_plans(
    connection: &Connection,
    product_id: ProductId,
) -> Result<Vec<Plan>, DatabaseError> {
    plans::list(connection, product_id, true).await
}

/// The number of the published version of a product, and its operations.
pub async fn published_version(
    connection: &Connection,
    product_id: ProductId,
) -> Result<Option<(i64, Vec<Operation>)>, DatabaseError> {
    let version = products::find_version(connection, product_id, true).await?;
    Ok(version.map(|version| (version.number, version.operations)))
}

/// The number of the newest version of a product, published or not.
pub async fn newest_version(
    connection: &Connection,
    product_id: ProductId,
) -> Result<Option<i64>, DatabaseError> {
    let version = products::find_version(connection, product_id, false).await?;
    Ok(version.map(|version| version.number))
}

/// Plans of a product that someone of this reach can subscribe to, by place.
pub async fn list_offered_plans(
    connection: &Connection,
    product_id: ProductId,
    reach: &Reach,
) -> Result<Vec<Plan>, DatabaseError> {
    let mut offered = plans::list(connection, product_id, false).await?;
    offered.retain(|plan| reach.offers(plan));
    Ok(offered)
}

/// Products in the catalogue, by name.
pub async fn list_offered_products(connection: &Connection) -> Result<Vec<Product>, DatabaseError> {
    products::list(connection, false).await
}
