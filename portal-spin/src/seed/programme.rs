//! The operator's side of the demonstration programme.

use serde_json::{Value, json};

use super::LogIn;
use crate::agreements::publishing::{
    AgreementRequest, VersionRequest, create_agreement, publish_version,
};
use crate::agreements::{Kind, store as agreements};
use crate::catalogue::{self, MeterSource, MeterView, PlanBody, ProductBody, VersionBody};
use crate::context::Context;
use crate::organisations::passwords::hash_password;
use crate::organisations::{OperatorRole, store as people};
use crate::subscriptions::PublicationBody;
use crate::web::Failure;
use shared::ids::{PersonId, ProductId};

/// The address of the operator's administrator.
pub const OPERATOR_EMAIL: &str = "operator@portico.example";
const OPERATOR_PASSWORD: &str = "demo operator, not for production";
const DOCUMENT: &str = include_str!("../../../examples/demo-api/openapi.yaml");
const TERMS: &str = include_str!("terms-of-service.md");
const DATA_SHARING: &str = include_str!("data-sharing.md");
/// The slug of the demo product.
pub const PRODUCT: &str = "meridian-commerce";

/// The person with this address, made with this password if there is none.
pub async fn find_or_make_person(
    context: &Context,
    name: &str,
    log_in: &LogIn,
) -> Result<PersonId, Failure> {
    if let Some(person) = people::find_person_by_email(&context.connection, &log_in.email).await? {
        return Ok(person.person_id);
    }
    let hash = hash_password(&log_in.password, &context.random())
        .ok_or_else(|| Failure::internal("a demo password cannot be hashed"))?;
    Ok(people::insert_person(context, &log_in.email, name, &hash).await?)
}

/// The operator's administrator.
pub async fn make_operator(context: &Context) -> Result<LogIn, Failure> {
    let log_in = LogIn {
        email: OPERATOR_EMAIL.to_owned(),
        password: OPERATOR_PASSWORD.to_owned(),
    };
    let person_id = find_or_make_person(context, "Demo operator", &log_in).await?;
    people::insert_operator_role(context, person_id, OperatorRole::Administrator).await?;
    Ok(log_in)
}

/// The demo product with its agreements and plans, published.
pub async fn make_programme(context: &Context) -> Result<(), Failure> {
    let connection = &context.connection;
    let product = match catalogue::find_product_by_slug(connection, PRODUCT).await? {
        Some(product) => product,
        None => catalogue::create(context, product_body(context)).await?,
    };
    make_agreement(
        context,
        "Terms of service",
        Kind::TermsOfService,
        None,
        TERMS,
    )
    .await?;
    make_agreement(
        context,
        "Data sharing agreement",
        Kind::DataSharing,
        Some(product.id),
        DATA_SHARING,
    )
    .await?;
    for body in plans()? {
        make_plan(context, product.id, body).await?;
    }
    if !product.is_offered() {
        let version = VersionBody {
            document: DOCUMENT.to_owned(),
            weights: std::collections::BTreeMap::new(),
            operations: None,
        };
        catalogue::put_version(context, &product, &version).await?;
        catalogue::publish(context, &product).await?;
    }
    Ok(())
}

fn product_body(context: &Context) -> ProductBody {
    let gateway = context.configuration().get("gateway_url");
    let sandbox_url = if gateway.is_empty() {
        "http://127.0.0.1:8081"
    } else {
        gateway
    };
    ProductBody {
        name: Some("Meridian Commerce".to_owned()),
        summary: Some("Orders, customers, products and refunds of Meridian shops.".to_owned()),
        description: Some(
            "Everything a shop on Meridian sells, to whom, and what became of it. Lists are walked with \
             cursors, writes may carry an idempotency key, webhooks tell you what happened."
                .to_owned(),
        ),
        is_public: Some(true),
        is_self_service: Some(true),
        sandbox_url: Some(sandbox_url.to_owned()),
        meters: Some(vec![MeterView {
            id: String::new(),
            name: "Installations".to_owned(),
            source: MeterSource::DistinctInstallations,
        }]),
    }
}

async fn make_agreement(
    context: &Context,
    title: &str,
    kind: Kind,
    product: Option<ProductId>,
    markdown: &str,
) -> Result<(), Failure> {
    let known = agreements::list_agreements(&context.connection).await?;
    let agreement_id = match known.iter().find(|agreement| agreement.title == title) {
        Some(agreement) if !agreement.versions.is_empty() => return Ok(()),
        Some(agreement) => agreement.agreement_id,
        None => {
            let product_ids = product.map(|id| vec![id]);
            create_agreement(
                context,
                &AgreementRequest {
                    title: title.to_owned(),
                    kind,
                    product_ids,
                },
            )
            .await?
        }
    };
    let version = VersionRequest {
        label: "2026-1".to_owned(),
        markdown: markdown.to_owned(),
        locale: None,
        is_material: true,
        effective_at: None,
        grace_days: 0,
        sentence: None,
    };
    publish_version(context, agreement_id, &version).await?;
    Ok(())
}

async fn make_plan(
    context: &Context,
    product_id: ProductId,
    body: PlanBody,
) -> Result<(), Failure> {
    let name = body.name.clone().unwrap_or_default();
    let known = catalogue::list_all_plans(&context.connection, product_id).await?;
    let plan = match known.into_iter().find(|plan| plan.name == name) {
        Some(plan) if plan.published_at_ms.is_some() => return Ok(()),
        Some(plan) => plan,
        None => catalogue::new_plan(context, product_id, body).await?,
    };
    catalogue::publish_draft(context, &plan, &PublicationBody::default()).await
}

fn plans() -> Result<Vec<PlanBody>, Failure> {
    [free(), starter(), scale()]
        .into_iter()
        .map(|plan| {
            serde_json::from_value(plan)
                .map_err(|error| Failure::internal(&format!("a demo plan does not parse: {error}")))
        })
        .collect()
}

fn limits(per_second: u32, per_minute: u32) -> Value {
    json!([
        { "name": "burst", "limit": per_second, "window_secs": 1 },
        { "name": "minute", "limit": per_minute, "window_secs": 60 }
    ])
}

fn free() -> Value {
    json!({
        "name": "Free",
        "summary": "To build and to try, with real data once you are live.",
        "position": 1,
        "is_default": true,
        "terms": {
            "rate_limits": limits(10, 300),
            "quota": { "name": "month", "limit": 10_000, "enforcement": { "kind": "hard" } },
            "price": { "model": "flat", "currency": "USD", "flat_amount": "0" }
        }
    })
}

fn starter() -> Value {
    json!({
        "name": "Starter",
        "summary": "For a first integration in production.",
        "position": 2,
        "terms": {
            "rate_limits": limits(50, 1_500),
            "quota": { "name": "month", "limit": 250_000, "enforcement": { "kind": "corridor", "ceiling_percent": 120 } },
            "price": {
                "model": "per_unit", "currency": "USD", "unit_amount": "0.0004", "included_units": "250000"
            },
            "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "49" }],
            "trial_days": 14,
            "approval": {
                "mode": "rules",
                "rules": [{
                    "fact": "sandbox_success_rate", "is": { "at_least": 80 }, "then": "approve",
                    "reason": "the integration works in the sandbox."
                }],
                "otherwise": "ask",
                "sla_hours": 24
            },
            "checklist": { "successful_calls": 10, "client_error_handled": true }
        }
    })
}

fn scale() -> Value {
    json!({
        "name": "Scale",
        "summary": "For platforms with many shops.",
        "position": 3,
        "terms": {
            "rate_limits": limits(200, 6_000),
            "quota": { "name": "month", "limit": 5_000_000, "enforcement": { "kind": "soft" } },
            "price": {
                "model": "per_unit", "currency": "USD", "unit_amount": "0.00015", "included_units": "5000000"
            },
            "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "499" }],
            "approval": { "mode": "manual", "sla_hours": 48 },
            "checklist": { "successful_calls": 25, "client_error_handled": true, "rate_limit_handled": true }
        }
    })
}
