//! `…/plan-changes`: what another plan would change, and the change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{RequestKind, Subscription};
use super::routes::{of_path, offered_plan, plan_of, view};
use super::{changes, decisions, periods};
use crate::apps::App;
use crate::billing::accounts::find_account;
use crate::catalogue::{self, Plan, PlanView};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::routes::Outcome;
use crate::web::{Failure, response};

/// A change to another plan.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanChangeBody {
    /// The plan version.
    pub plan_id: String,
    /// `now` or `period_end`; without, now.
    #[serde(default)]
    pub when: Option<String>,
    /// For the person who decides, if one does.
    #[serde(default)]
    pub note: String,
}

/// What a change of plan would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanChangePreview {
    /// The plan in force.
    pub from: PlanView,
    /// The plan asked for.
    pub to: PlanView,
    /// When the change would take effect.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub effective_at: i64,
    /// What changes, in sentences.
    pub changes: Vec<String>,
    /// Whether a policy or a person must agree first.
    pub needs_approval: bool,
    /// Details of the billing account that must be given first; empty where nothing is missing.
    pub missing_billing_details: Vec<String>,
    /// The subscription's next invoice if the change took effect now and nothing more were used: the
    /// lines that will be posted, with what is given back. Empty while it is not live.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub next_invoice: Vec<crate::billing::invoice::Document>,
}

struct WantedChange {
    app: App,
    subscription: Subscription,
    from: Plan,
    to: Plan,
    is_later: bool,
    effective_at_ms: i64,
}

async fn wanted_change(
    context: &Context,
    plan_id: &str,
    when: &str,
) -> Result<WantedChange, Failure> {
    let (app, subscription) = of_path(context).await?;
    // A barred subscription may move to a plan that is open.
    if !matches!(subscription.state(context.now_ms), "active" | "barred") {
        return Err(Failure::conflict(
            "subscription_ending",
            "The subscription ends or has ended. An end that is planned can be withdrawn: \
             DELETE /api/v1/apps/{app_id}/subscriptions/{subscription_id}/planned-change.",
        ));
    }
    let to = offered_plan(context, &app, plan_id).await?;
    let from = plan_of(context, &subscription).await?;
    if to.product_id != from.product_id {
        return Err(Failure::field(
            "plan_id",
            "other_product",
            "The plan belongs to another product: subscribe to it.",
        ));
    }
    if to.id == from.id {
        return Err(Failure::conflict(
            "same_plan",
            "The subscription is on this plan. A change that is planned can be withdrawn: \
             DELETE /api/v1/apps/{app_id}/subscriptions/{subscription_id}/planned-change.",
        ));
    }
    let is_later = match when {
        "" | "now" => false,
        "period_end" => true,
        _ => {
            return Err(Failure::field(
                "when",
                "unknown_value",
                "Give `now` or `period_end`.",
            ));
        }
    };
    let period = periods::period_at(
        &from.terms.period_rule(),
        subscription.anchor_ms,
        context.now_ms,
    )
    .map_err(DatabaseError::from)?;
    let effective_at_ms = if is_later {
        period.end_ms
    } else {
        context.now_ms
    };
    Ok(WantedChange {
        app,
        subscription,
        from,
        to,
        is_later,
        effective_at_ms,
    })
}

/// `GET …/plan-changes/preview?plan_id=…&when=…`
pub async fn preview_plan_change(context: &Context) -> Outcome {
    response::ok(&preview_of_path(context).await?)
}

/// What the change that the query names would do.
pub(super) async fn preview_of_path(context: &Context) -> Result<PlanChangePreview, Failure> {
    let plan_id = context.query("plan_id").unwrap_or_default();
    let change = wanted_change(
        context,
        &plan_id,
        &context.query("when").unwrap_or_default(),
    )
    .await?;
    let next_invoice = crate::billing::drafts::preview_change(
        context,
        change.app.organisation_id,
        change.subscription.id,
        change.to.id,
        change.effective_at_ms,
    )
    .await?;
    Ok(PlanChangePreview {
        next_invoice,
        changes: differences(&change.from, &change.to),
        needs_approval: needs_approval(&change),
        missing_billing_details: missing_billing_details(context, &change).await?,
        from: PlanView::from(&change.from),
        to: PlanView::from(&change.to),
        effective_at: change.effective_at_ms,
    })
}

/// What an invoice of the plan needs and nobody has given. The sandbox never costs anything: going live
/// asks for it.
async fn missing_billing_details(
    context: &Context,
    change: &WantedChange,
) -> Result<Vec<String>, Failure> {
    if change.subscription.live_from_ms.is_none() || !change.to.terms.is_priced() {
        return Ok(Vec::new());
    }
    let account = find_account(&context.connection, change.app.organisation_id).await?;
    let missing = account.missing_details().into_iter();
    Ok(missing.map(str::to_owned).collect())
}

/// In the sandbox anyone may try any plan; what is approved is production. A plan that is planned there is
/// judged when the subscription goes live.
fn needs_approval(change: &WantedChange) -> bool {
    change.subscription.live_from_ms.is_some()
        && change.to.terms.approval != catalogue::ApprovalPolicy::Automatic
}

pub(super) fn differences(from: &Plan, to: &Plan) -> Vec<String> {
    let mut sentences = vec![format!("Plan: {} becomes {}.", from.name, to.name)];
    let quota = |plan: &Plan| {
        plan.terms
            .quota
            .as_ref()
            .map_or("no quota".to_owned(), |quota| {
                format!("{} units a period", quota.limit)
            })
    };
    if from.terms.quota != to.terms.quota {
        sentences.push(format!("Allowance: {} becomes {}.", quota(from), quota(to)));
    }
    let limits = |plan: &Plan| {
        let all: Vec<String> = plan
            .terms
            .rate_limits
            .iter()
            .map(|limit| format!("{} requests in {} s", limit.limit, limit.window_secs))
            .collect();
        if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(", ")
        }
    };
    if from.terms.rate_limits != to.terms.rate_limits {
        sentences.push(format!(
            "Rate limits: {} becomes {}.",
            limits(from),
            limits(to)
        ));
    }
    let (before, after) = (from.terms.period_rule(), to.terms.period_rule());
    if before != after {
        sentences.push(format!(
            "Billing periods: {} become {}.",
            before.describe(),
            after.describe()
        ));
    }
    if from.terms.price != to.terms.price || from.terms.charges != to.terms.charges {
        sentences.push("The price changes; both are shown in full beside this.".to_owned());
    }
    sentences
}

/// `POST …/plan-changes`
pub async fn change_plan(context: &Context) -> Outcome {
    let body: PlanChangeBody = context.json()?;
    let subscription = ask_plan_change(context, &body).await?;
    response::ok(&view(context, &subscription).await?)
}

/// Changes the plan of the subscription of the path, or asks for it.
pub(super) async fn ask_plan_change(
    context: &Context,
    body: &PlanChangeBody,
) -> Result<Subscription, Failure> {
    let mut change = wanted_change(
        context,
        &body.plan_id,
        body.when.as_deref().unwrap_or_default(),
    )
    .await?;
    let missing = missing_billing_details(context, &change).await?;
    if !missing.is_empty() {
        let organisation_id = change.app.organisation_id;
        return Err(Failure::conflict(
            "billing_details_required",
            format!(
                "The plan {} has a price. Still to give under Billing: {}. An owner or a member with \
                 the billing role does it, with PUT /api/v1/organisations/{organisation_id}/billing/account \
                 or at {}/organisations/{organisation_id}/billing; then change the plan again.",
                change.to.name,
                missing.join(", "),
                context.configuration().public_url,
            ),
        ));
    }
    if needs_approval(&change) {
        let note = body.note.trim();
        decisions::ask(
            context,
            &change.app,
            &mut change.subscription,
            &change.to,
            RequestKind::ChangePlan,
            note,
            change.is_later.then_some(change.effective_at_ms),
        )
        .await?;
        return Ok(change.subscription);
    }
    decisions::check_nothing_waits(context, &change.subscription).await?;
    let organisation_id = change.app.organisation_id;
    context
        .connection
        .transaction(async || {
            if change.is_later {
                let from_ms = change.effective_at_ms;
                changes::change_plan_later(
                    context,
                    organisation_id,
                    &mut change.subscription,
                    &change.to,
                    from_ms,
                )
                .await
            } else {
                changes::change_plan_now(
                    context,
                    organisation_id,
                    &mut change.subscription,
                    &change.to,
                )
                .await
            }
        })
        .await?;
    Ok(change.subscription)
}
