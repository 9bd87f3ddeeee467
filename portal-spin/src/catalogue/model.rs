//! Products, meters and plans as they are stored and shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{OrganisationId, PlanId, ProductId};
use shared::plan::{self, Operation};

use super::meters::{Meter, MeterSource};
use super::terms::PlanTerms;

/// A product with the version that is in force, or the draft before the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// The product.
    pub id: ProductId,
    /// Its name in URLs.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// Several.
    pub description: String,
    /// Whether visitors see it without logging in.
    pub is_public: bool,
    /// Whether new apps get its default plan in the test environment without asking.
    pub is_self_service: bool,
    /// Where its sandbox answers; empty where it has none.
    pub sandbox_url: String,
    /// When its first version was published.
    pub published_at_ms: Option<i64>,
    /// When it was taken out of the catalogue.
    pub withdrawn_at_ms: Option<i64>,
}

impl Product {
    /// Whether it is in the catalogue.
    pub fn is_offered(&self) -> bool {
        self.published_at_ms.is_some() && self.withdrawn_at_ms.is_none()
    }
}

/// The product as edges need it.
pub fn wire_product(
    product_id: ProductId,
    operations: Vec<Operation>,
    meters: &[Meter],
) -> plan::Product {
    plan::Product {
        product: product_id,
        operations,
        meters: meters
            .iter()
            .filter_map(|meter| {
                Some(plan::Meter {
                    meter: meter.id,
                    source: meter.source.at_edges()?,
                })
            })
            .collect(),
    }
}

/// A plan version.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The plan version.
    pub id: PlanId,
    /// The product.
    pub product_id: ProductId,
    /// What its versions share.
    pub slug: String,
    /// From 1.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// Its place among the tiers.
    pub position: u32,
    /// Whether new apps start on it.
    pub is_default: bool,
    /// The one organisation that sees it; none where everyone does.
    pub private_organisation_id: Option<OrganisationId>,
    /// What it promises and asks.
    pub terms: PlanTerms,
    /// The plan version that it varies for one partner.
    pub variant_of: Option<PlanId>,
    /// What it changes of that plan's terms.
    pub overrides: Option<serde_json::Value>,
    /// When it was published.
    pub published_at_ms: Option<i64>,
    /// When it was taken out of the catalogue; subscribers stay.
    pub withdrawn_at_ms: Option<i64>,
}

impl Plan {
    /// The plan as edges need it.
    pub fn wire(&self) -> plan::Plan {
        plan::Plan {
            plan: self.id,
            rate_limits: self.terms.rate_limits.clone(),
            quota: self.terms.quota.clone(),
            counting: self.terms.counting.clone(),
            when_stale: self.terms.when_stale,
        }
    }

    /// Whether it can be subscribed to by this organisation.
    pub fn is_offered_to(&self, organisation_id: Option<OrganisationId>) -> bool {
        self.published_at_ms.is_some()
            && self.withdrawn_at_ms.is_none()
            && (self.private_organisation_id.is_none()
                || self.private_organisation_id == organisation_id)
    }
}

/// A product in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ProductView {
    /// The product.
    pub id: String,
    /// Its name in URLs.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// Several.
    pub description: String,
    /// `draft`, `published` or `withdrawn`.
    pub state: String,
    /// Whether visitors see it without logging in.
    pub is_public: bool,
    /// Whether new apps get its default plan in the test environment without asking.
    pub is_self_service: bool,
    /// Where its sandbox answers.
    pub sandbox_url: String,
    /// Its operations.
    pub operations: Vec<OperationView>,
    /// Its meters; the first counts calls.
    pub meters: Vec<MeterView>,
    /// Its plans.
    pub plans: Vec<PlanView>,
    /// What keeps it from being published; only the operator is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<String>>,
}

/// An operation in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OperationView {
    /// The `operationId`.
    pub name: String,
    /// The HTTP method.
    pub method: String,
    /// The path template.
    pub path: String,
    /// Scopes that are all needed.
    pub scopes: Vec<String>,
    /// Units one call spends.
    pub weight: u32,
}

impl From<&Operation> for OperationView {
    fn from(operation: &Operation) -> Self {
        Self {
            name: operation.name.clone(),
            method: operation.method.clone(),
            path: operation.path.clone(),
            scopes: operation.scopes.clone(),
            weight: operation.weight,
        }
    }
}

/// A meter in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeterView {
    /// The meter; given by the portal.
    #[serde(default)]
    pub id: String,
    /// Its name on pages and invoices.
    pub name: String,
    /// `{"from": "calls" | "weight" | "bytes" | "distinct_installations"}` or
    /// `{"from": "response_header", "name": "x-rows"}`.
    #[schemars(with = "serde_json::Value")]
    pub source: MeterSource,
}

/// A plan version in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlanView {
    /// The plan version.
    pub id: String,
    /// The product.
    pub product_id: String,
    /// What its versions share.
    pub slug: String,
    /// From 1.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// `draft`, `published` or `withdrawn`.
    pub state: String,
    /// Whether new apps start on it.
    pub is_default: bool,
    /// The one organisation that sees it.
    pub private_organisation_id: Option<String>,
    /// The plan version that it varies for that organisation.
    pub variant_of: Option<String>,
    /// What it changes of that plan's terms.
    pub overrides: Option<serde_json::Value>,
    /// What it promises and asks.
    pub terms: PlanTerms,
}

impl From<&Plan> for PlanView {
    fn from(plan: &Plan) -> Self {
        Self {
            id: plan.id.to_string(),
            product_id: plan.product_id.to_string(),
            slug: plan.slug.clone(),
            version: plan.version,
            name: plan.name.clone(),
            summary: plan.summary.clone(),
            state: state(plan.published_at_ms, plan.withdrawn_at_ms).to_owned(),
            is_default: plan.is_default,
            private_organisation_id: plan.private_organisation_id.map(|id| id.to_string()),
            variant_of: plan.variant_of.map(|id| id.to_string()),
            overrides: plan.overrides.clone(),
            terms: plan.terms.clone(),
        }
    }
}

/// The state that these times amount to.
pub fn state(published_at_ms: Option<i64>, withdrawn_at_ms: Option<i64>) -> &'static str {
    match (published_at_ms, withdrawn_at_ms) {
        (_, Some(_)) => "withdrawn",
        (Some(_), None) => "published",
        (None, None) => "draft",
    }
}

/// Text as a part of a URL: lower-case letters, digits and single hyphens.
pub fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(60);
    slug.trim_end_matches('-').to_owned()
}
