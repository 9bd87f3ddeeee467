//! What other plans would cost for the usage that there was: side by side, and as a document that is no
//! invoice.
//!
//! Owns the imagining: a plan in force for the whole of a period. What it then costs is computed as an
//! invoice is.

use schemars::JsonSchema;
use serde::Serialize;
use shared::ids::{OrganisationId, PlanId, SubscriptionId};
use shared::money::{Currency, Money};

use super::drafts::{extrapolate, shape};
use super::facts::{PlanCache, Subject};
use super::gather;
use super::inputs;
use super::invoice::{Document, compose};
use super::items::{Item, Owed};
use super::period::Period;
use super::timeline::{Phase, Timeline};
use crate::apps::App;
use crate::catalogue;
use crate::context::Context;
use crate::database::DatabaseError;

/// What another plan would cost for the same usage.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Comparison {
    /// The subscription.
    pub subscription_id: String,
    /// Its app.
    pub app_id: String,
    /// The plan version.
    pub plan_id: String,
    /// Its name.
    pub plan: String,
    /// Whether it is the plan in force.
    pub is_current: bool,
    /// ISO 4217.
    pub currency: String,
    /// A whole period of usage as forecast, before discounts and taxes.
    pub amount: String,
    /// Less than the plan in force by so much; null where it is not less.
    pub saving: Option<String>,
    /// The forecast usage that was rated.
    pub quantity: String,
}

/// What a period would have cost on a plan.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ShadowInvoice {
    /// The app.
    pub app_id: String,
    /// Its subscription.
    pub subscription_id: String,
    /// The plan version.
    pub plan_id: String,
    /// Its name.
    pub plan: String,
    /// The period's first moment.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub period_start: i64,
    /// The first moment behind it.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub period_end: i64,
    /// False while the period runs: the usage is that so far.
    pub is_complete: bool,
    /// As an invoice, with amounts of the whole period and taxes, without coupons, credit and what is
    /// charged once. Nobody is asked to pay it.
    #[schemars(with = "serde_json::Value")]
    pub document: Document,
}

/// What each plan on offer would cost for a whole period of the forecast usage.
pub async fn compare_plans(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<Vec<Comparison>, DatabaseError> {
    let connection = &context.connection;
    let plans = PlanCache::default();
    let reach = crate::partners::Reach::of_organisation(connection, organisation_id).await?;
    let mut all = Vec::new();
    for subject in plans.list_subjects(connection, organisation_id).await? {
        if subject.timeline.ends_at_ms.is_some() {
            continue;
        }
        let Some(current) = subject
            .timeline
            .phase_at(context.now_ms)
            .map(|phase| phase.plan_id)
        else {
            continue;
        };
        let product_id = plans.plan(connection, current).await?.product_id;
        let mut offered: Vec<PlanId> =
            catalogue::list_offered_plans(connection, product_id, &reach)
                .await?
                .iter()
                .map(|plan| plan.id)
                .collect();
        if !offered.contains(&current) {
            offered.insert(0, current);
        }
        let mut costs = Vec::new();
        for plan_id in offered {
            if let Some(cost) = whole_period(context, &plans, &subject, plan_id).await? {
                costs.push((plan_id, cost));
            }
        }
        let now = costs
            .iter()
            .find(|(plan_id, _)| *plan_id == current)
            .map(|(_, cost)| *cost);
        for (plan_id, (amount, quantity)) in costs {
            let saving = now
                .filter(|(present, _)| {
                    present.currency == amount.currency && amount.minor < present.minor
                })
                .map(|(present, _)| {
                    Money::from_minor(amount.currency, present.minor - amount.minor).to_major()
                });
            all.push(Comparison {
                subscription_id: subject.id.to_string(),
                app_id: subject.app_id.clone(),
                plan_id: plan_id.to_string(),
                plan: plans.plan(connection, plan_id).await?.name.clone(),
                is_current: plan_id == current,
                currency: amount.currency.to_string(),
                amount: amount.to_major(),
                saving,
                quantity: quantity.to_string(),
            });
        }
    }
    Ok(all)
}

/// What a plan would charge for the period around an instant, had it been in force for all of it; without
/// what is charged once.
async fn imagine(
    context: &Context,
    plans: &PlanCache,
    subject: &Subject,
    plan_id: PlanId,
    at_ms: i64,
) -> Result<(Period, Vec<Item>), DatabaseError> {
    let connection = &context.connection;
    let calendar = plans
        .calendar(connection, plan_id, subject.anchor_ms)
        .await?;
    let period = calendar.period_containing(at_ms)?;
    let imagined = Subject {
        timeline: Timeline {
            phases: vec![Phase {
                from_ms: 0,
                plan_id,
                calendar,
                trial_days: 0,
            }],
            live_from_ms: period.start_ms,
            ends_at_ms: None,
        },
        ..subject.clone()
    };
    let mut items = gather::list_items(connection, plans, &imagined, period.end_ms).await?;
    items.retain(|item| {
        let is_this_period = item.served == (period.start_ms, period.end_ms);
        is_this_period && !matches!(item.owed, Owed::OneOff { .. })
    });
    for item in &mut items {
        item.billed = None;
    }
    Ok((period, items))
}

/// What a plan would cost for the period that runs, and the usage as forecast.
async fn whole_period(
    context: &Context,
    plans: &PlanCache,
    subject: &Subject,
    plan_id: PlanId,
) -> Result<Option<(Money, i128)>, DatabaseError> {
    let (period, items) = imagine(context, plans, subject, plan_id, context.now_ms).await?;
    let mut total: Option<Money> = None;
    let mut quantity = 0;
    for mut item in items {
        // Usage of the whole period is forecast from when the subscription was live in it.
        let live_ms = subject.timeline.live_from_ms.max(period.start_ms);
        let served = item.served;
        item.served = (live_ms, period.end_ms);
        extrapolate(&mut item, context.now_ms);
        item.served = served;
        if let Owed::Usage {
            quantity: forecast, ..
        } = &item.owed
        {
            quantity = quantity.max(forecast.parse().unwrap_or_default());
        }
        let owed = item.rate().map_err(|problem| shape(&problem))?.owed_minor;
        let owed = Money::from_minor(item.currency, owed);
        total = match total {
            None => Some(owed),
            Some(sum) => sum.checked_add(owed),
        };
    }
    Ok(total.map(|total| (total, quantity)))
}

/// The plan that saves most for a subscription, if one saves anything.
pub fn best_saving<'a>(
    comparisons: &'a [Comparison],
    subscription_id: &str,
) -> Option<&'a Comparison> {
    comparisons
        .iter()
        .filter(|plan| plan.subscription_id == subscription_id)
        .filter_map(|plan| {
            let currency: Currency = plan.currency.parse().ok()?;
            let saving = Money::from_major(currency, plan.saving.as_deref()?).ok()?;
            Some((saving.minor, plan))
        })
        .max_by_key(|(minor, _)| *minor)
        .map(|(_, plan)| plan)
}

/// What the period around an instant would have cost on a plan; `None` where the subscription, or the
/// plan for it, is not there.
pub async fn shadow_invoice(
    context: &Context,
    app: &App,
    subscription_id: SubscriptionId,
    plan_id: PlanId,
    at_ms: i64,
) -> Result<Option<ShadowInvoice>, DatabaseError> {
    let connection = &context.connection;
    let organisation_id = app.organisation_id;
    let plans = PlanCache::default();
    let subjects = plans.list_subjects(connection, organisation_id).await?;
    let Some(subject) = subjects
        .into_iter()
        .find(|subject| subject.id == subscription_id && subject.app_id == app.id.to_string())
    else {
        return Ok(None);
    };
    let Some(current) = subject.timeline.phase_at(at_ms).map(|phase| phase.plan_id) else {
        return Ok(None);
    };
    let product_id = plans.plan(connection, current).await?.product_id;
    let reach = crate::partners::Reach::of_organisation(connection, organisation_id).await?;
    let is_offered = catalogue::list_offered_plans(connection, product_id, &reach)
        .await?
        .iter()
        .any(|plan| plan.id == plan_id);
    if !is_offered && plan_id != current {
        return Ok(None);
    }
    let (period, items) = imagine(context, &plans, &subject, plan_id, at_ms).await?;
    let inputs = inputs::inputs_of(context, organisation_id, period.end_ms, items).await?;
    // A plan has one currency, and one document with it.
    let Some(mut inputs) = inputs.into_iter().next() else {
        return Ok(None);
    };
    inputs.coupons.clear();
    inputs.wallet_minor = 0;
    inputs.period = (period.start_ms, period.end_ms);
    let composed = compose(&inputs).map_err(|problem| shape(&problem))?;
    Ok(Some(ShadowInvoice {
        app_id: subject.app_id,
        subscription_id: subscription_id.to_string(),
        plan_id: plan_id.to_string(),
        plan: plans.plan(connection, plan_id).await?.name.clone(),
        period_start: period.start_ms,
        period_end: period.end_ms,
        is_complete: period.end_ms <= context.now_ms,
        document: composed.document,
    }))
}
