//! The catalogue: products, their operations and meters, and the plans that price and limit them.
//!
//! Owns what a product contains, version by version, plan versions and their terms, what must be there
//! before either is published, and the public reads. Does not own who subscribes (`subscriptions`),
//! what a price costs (`billing`), nor agreements (which name the products that need them).

mod document;
mod model;
mod plans;
mod products;
mod routes;
mod terms;

pub use model::{Meter, Plan, PlanView, Product, ProductView};
pub use plans::{find_plan, list_default_plans};
pub use products::{
    find_by_slug as find_product_by_slug, find_product, find_quota_meter, published_operations,
};
pub use routes::*;
pub(crate) use routes::{create, new_plan, publish, publish_draft, put_version};
pub use terms::{
    ApprovalPolicy, BillingCycle, ChecklistRules, Condition, Fact, PlanTerms, Rule, Verdict,
};

/// Every plan version of a product, drafts and withdrawn ones too.
pub async fn list_all_plans(
    connection: &crate::database::Connection,
    product_id: shared::ids::ProductId,
) -> Result<Vec<Plan>, crate::database::DatabaseError> {
    plans::list(connection, product_id, true).await
}
