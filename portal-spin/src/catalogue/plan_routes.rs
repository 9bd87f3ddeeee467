//! `/api/v1/operator/plans`: drafts, versions, publication of plans.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::ids::{OrganisationId, PlanId, ProductId};

use super::meters::unknown_meters;
use super::model::{Plan, PlanView, slug_of};
use super::plans;
use super::routes::{product_of_path, record, text};
use super::terms::PlanTerms;
use super::variants::varied_terms;
use crate::context::Context;
use crate::routes::Outcome;
use crate::subscriptions::{self, PublicationBody};
use crate::web::{Failure, response};

/// What a plan is given, new or changed.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanBody {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// One sentence.
    #[serde(default)]
    pub summary: Option<String>,
    /// Its place among the tiers.
    #[serde(default)]
    pub position: Option<u32>,
    /// Whether new apps start on it.
    #[serde(default)]
    pub is_default: Option<bool>,
    /// The one organisation that sees it.
    #[serde(default)]
    pub private_organisation_id: Option<String>,
    /// What it promises and asks.
    #[serde(default)]
    pub terms: Option<PlanTerms>,
}

/// `POST /api/v1/operator/products/{product_id}/plans`: a draft plan.
pub async fn create_plan(context: &Context) -> Outcome {
    let body: PlanBody = context.json()?;
    let product = product_of_path(context).await?;
    response::created(&PlanView::from(&new_plan(context, product.id, body).await?))
}

/// Stores a draft plan.
pub(crate) async fn new_plan(
    context: &Context,
    product_id: ProductId,
    body: PlanBody,
) -> Result<Plan, Failure> {
    let name = text("name", body.name.clone(), 80, true)?;
    let slug = slug_of(&name);
    if plans::newest_version(&context.connection, product_id, &slug).await? > 0 {
        let detail = "The product has a plan of this name. Make a new version of it instead.";
        return Err(Failure::field("name", "taken", detail));
    }
    let empty: PlanTerms = serde_json::from_value(json!({}))
        .map_err(|error| Failure::internal(&format!("empty terms do not parse: {error}")))?;
    let plan = Plan {
        id: context.new_id(PlanId::new),
        product_id,
        slug,
        version: 1,
        name,
        summary: String::new(),
        position: 0,
        is_default: false,
        private_organisation_id: None,
        variant_of: None,
        overrides: None,
        terms: empty,
        published_at_ms: None,
        withdrawn_at_ms: None,
    };
    put_plan(context, plan, body).await
}

/// Stores a draft with what the body changes.
pub(super) async fn put_plan(
    context: &Context,
    mut plan: Plan,
    body: PlanBody,
) -> Result<Plan, Failure> {
    if body.name.is_some() {
        plan.name = text("name", body.name, 80, true)?;
    }
    if body.summary.is_some() {
        plan.summary = text("summary", body.summary, 200, false)?;
    }
    plan.position = body.position.unwrap_or(plan.position);
    plan.is_default = body.is_default.unwrap_or(plan.is_default);
    if let Some(organisation_id) = body.private_organisation_id {
        if plan.version > 1 || plan.variant_of.is_some() {
            let detail = "A version is for whom the plan is for. Make a variant: POST /api/v1/operator/plans/{plan_id}/variants.";
            return Err(Failure::field(
                "private_organisation_id",
                "read_only",
                detail,
            ));
        }
        let organisation_id: OrganisationId = organisation_id.parse().map_err(|_| {
            Failure::field(
                "private_organisation_id",
                "malformed",
                "Give an organisation's id.",
            )
        })?;
        plan.private_organisation_id = Some(organisation_id);
    }
    if let Some(terms) = body.terms {
        plan.terms = terms;
    }
    let mut problems = plan.terms.problems();
    problems.extend(unknown_meters(context, plan.product_id, &plan.terms.charges).await?);
    if !problems.is_empty() {
        return Err(Failure::fields(problems));
    }
    context
        .connection
        .transaction(async || {
            if !plans::put_draft(&context.connection, &plan, context.now_ms).await? {
                return Err(plan_published());
            }
            record(context, "plan.drafted", &plan.id.to_string()).await
        })
        .await?;
    Ok(plan)
}

fn plan_published() -> Failure {
    Failure::conflict(
        "plan_published",
        "A published plan never changes: POST /api/v1/operator/plans/{plan_id}/versions makes the next version.",
    )
}

pub(super) async fn plan_of_path(context: &Context) -> Result<Plan, Failure> {
    let plan_id: PlanId = context.path_id("plan_id")?;
    plans::find_plan(&context.connection, plan_id)
        .await?
        .ok_or_else(Failure::not_found)
}

/// `PATCH /api/v1/operator/plans/{plan_id}`: drafts only.
pub async fn update_plan(context: &Context) -> Outcome {
    let body: PlanBody = context.json()?;
    response::ok(&PlanView::from(&change_draft(context, body).await?))
}

/// Changes the draft of the path.
pub(super) async fn change_draft(context: &Context, body: PlanBody) -> Result<Plan, Failure> {
    let plan = plan_of_path(context).await?;
    if plan.published_at_ms.is_some() {
        return Err(plan_published());
    }
    put_plan(context, plan, body).await
}

/// `POST /api/v1/operator/plans/{plan_id}/versions`: a draft of the next version.
pub async fn create_plan_version(context: &Context) -> Outcome {
    let body: PlanBody = context.json()?;
    response::created(&PlanView::from(&make_version(context, body).await?))
}

/// A draft of the next version of the plan of the path. That of a variant takes over what its plan says
/// now.
pub(super) async fn make_version(context: &Context, body: PlanBody) -> Result<Plan, Failure> {
    let mut plan = plan_of_path(context).await?;
    if let (Some(base_id), Some(overrides), None) = (plan.variant_of, &plan.overrides, &body.terms)
    {
        let base = plans::find_newest_of(&context.connection, base_id)
            .await?
            .ok_or_else(Failure::not_found)?;
        plan.terms = varied_terms(&base.terms, overrides)?;
        plan.variant_of = Some(base.id);
    }
    let newest = plans::newest_version(&context.connection, plan.product_id, &plan.slug).await?;
    let next = Plan {
        id: context.new_id(PlanId::new),
        version: newest + 1,
        published_at_ms: None,
        withdrawn_at_ms: None,
        ..plan
    };
    put_plan(context, next, body).await
}

/// `POST /api/v1/operator/plans/{plan_id}/publications`
pub async fn publish_plan_version(context: &Context) -> Outcome {
    let body: PublicationBody = context.json()?;
    let plan = plan_of_path(context).await?;
    publish_draft(context, &plan, &body).await?;
    response::ok(&PlanView::from(&plan_of_path(context).await?))
}

/// `GET /api/v1/operator/plans/{plan_id}/publications/preview?subscribers=…&from=…`
pub async fn preview_plan_publication(context: &Context) -> Outcome {
    let body = PublicationBody::read(
        &context.query("subscribers").unwrap_or_default(),
        &context.query("from").unwrap_or_default(),
    )?;
    let plan = plan_of_path(context).await?;
    response::ok(&subscriptions::preview_publication(context, &plan, &body).await?)
}

/// Publishes a draft plan.
pub(crate) async fn publish_draft(
    context: &Context,
    plan: &Plan,
    body: &PublicationBody,
) -> Result<(), Failure> {
    body.check(context.now_ms)?;
    if plan.published_at_ms.is_some() {
        return Err(plan_published());
    }
    if plan.terms.price.is_none() {
        let detail =
            "A plan needs a price before it is published; free is a price: a flat amount of 0.";
        return Err(Failure::field("terms.price", "missing", detail));
    }
    context
        .connection
        .transaction(async || {
            record(context, "plan.published", &plan.id.to_string()).await?;
            plans::publish_plan(&context.connection, plan, context.now_ms).await?;
            subscriptions::begin_migration(context, plan, body).await?;
            Ok::<(), Failure>(())
        })
        .await
}

/// `POST /api/v1/operator/plans/{plan_id}/withdrawals`
pub async fn withdraw_plan(context: &Context) -> Outcome {
    withdraw_of_path(context).await?;
    response::ok(&PlanView::from(&plan_of_path(context).await?))
}

/// Takes the plan version of the path out of the catalogue.
pub(super) async fn withdraw_of_path(context: &Context) -> Result<(), Failure> {
    let plan = plan_of_path(context).await?;
    context
        .connection
        .transaction(async || {
            plans::withdraw(&context.connection, plan.id, context.now_ms).await?;
            record(context, "plan.withdrawn", &plan.id.to_string()).await
        })
        .await
}
