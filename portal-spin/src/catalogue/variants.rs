//! Private variants: a plan for one partner that keeps only what it changes of another plan's terms.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use shared::ids::{OrganisationId, PlanId};

use super::model::{Plan, PlanView};
use super::plan_routes::{plan_of_path, put_plan};
use super::routes::text;
use super::terms::PlanTerms;
use super::{PlanBody, plans};
use crate::context::Context;
use crate::organisations::store::find_organisation;
use crate::routes::Outcome;
use crate::web::{Failure, response};

/// A variant of a plan for one partner.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariantBody {
    /// The one organisation that sees it.
    pub organisation_id: String,
    /// Its name; that of the plan without.
    #[serde(default)]
    pub name: Option<String>,
    /// What it changes of the plan's terms (JSON merge patch, RFC 7396), such as
    /// `{"price": {"flat_amount": "80"}}`.
    pub overrides: Value,
}

/// JSON merge patch, RFC 7396.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        patch.clone_into(target);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(known) = target {
        for (name, value) in members {
            if value.is_null() {
                known.remove(name);
            } else {
                merge(known.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// A plan's terms with what a variant changes.
pub fn varied_terms(base: &PlanTerms, overrides: &Value) -> Result<PlanTerms, Failure> {
    if !overrides.is_object() {
        return Err(Failure::field(
            "overrides",
            "malformed",
            "Give an object with the members of `terms` that differ.",
        ));
    }
    let mut terms = serde_json::to_value(base).map_err(|e| Failure::internal(&e.to_string()))?;
    merge(&mut terms, overrides);
    serde_json::from_value(terms).map_err(|error| {
        Failure::field(
            "overrides",
            "malformed",
            format!("With these changes the terms are none: {error}."),
        )
    })
}

/// `POST /api/v1/operator/plans/{plan_id}/variants`: a draft variant of a plan for one partner.
pub async fn create_plan_variant(context: &Context) -> Outcome {
    let body: VariantBody = context.json()?;
    let base = plan_of_path(context).await?;
    response::created(&PlanView::from(&make_variant(context, &base, body).await?))
}

/// Stores a draft variant.
pub(super) async fn make_variant(
    context: &Context,
    base: &Plan,
    body: VariantBody,
) -> Result<Plan, Failure> {
    let unknown = || {
        Failure::field(
            "organisation_id",
            "unknown_value",
            "Give the id of an organisation in the programme.",
        )
    };
    if base.variant_of.is_some() {
        return Err(Failure::conflict(
            "variant_of_variant",
            "This plan is a variant itself. Make the variant of the plan that it varies.",
        ));
    }
    let organisation_id: OrganisationId = body.organisation_id.parse().map_err(|_| unknown())?;
    find_organisation(&context.connection, organisation_id)
        .await?
        .ok_or_else(unknown)?;
    // One variant of a plan for each partner: the slug says so.
    let slug = format!("{}--{organisation_id}", base.slug);
    let version = plans::newest_version(&context.connection, base.product_id, &slug).await? + 1;
    let name = match body.name {
        Some(name) => text("name", Some(name), 80, true)?,
        None => base.name.clone(),
    };
    let variant = Plan {
        id: context.new_id(PlanId::new),
        slug,
        version,
        name,
        is_default: false,
        private_organisation_id: Some(organisation_id),
        terms: varied_terms(&base.terms, &body.overrides)?,
        variant_of: Some(base.id),
        overrides: Some(body.overrides),
        published_at_ms: None,
        withdrawn_at_ms: None,
        ..base.clone()
    };
    put_plan(context, variant, PlanBody::default()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_variant_changes_only_what_it_names() {
        let base: PlanTerms = serde_json::from_value(json!({
            "price": { "model": "flat", "currency": "USD", "flat_amount": "100" },
            "quota": { "name": "month", "limit": 10, "enforcement": { "kind": "hard" } },
            "trial_days": 14
        }))
        .unwrap();
        let varied = varied_terms(
            &base,
            &json!({ "price": { "flat_amount": "80" }, "quota": null }),
        )
        .unwrap();
        assert_eq!(varied.price.unwrap()["flat_amount"], "80");
        assert_eq!((varied.quota, varied.trial_days), (None, 14));
        for wrong in [
            json!([]),
            json!({ "no_such_term": 1 }),
            json!({ "trial_days": "many" }),
        ] {
            assert!(varied_terms(&base, &wrong).is_err());
        }
    }
}
