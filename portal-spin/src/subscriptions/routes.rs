//! `/api/v1/apps/{app_id}/subscriptions` and the operator's queue.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{AppId, PlanId, SubscriptionId};

use super::model::{
    NextPlanView, PeriodView, Request, RequestKind, RequestView, Subscription, SubscriptionView,
};
use super::policy::ChecklistItem;
use super::{changes, decisions, periods, store};
use crate::apps::{self, App};
use crate::catalogue::{self, Plan, PlanView};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::routes::Outcome;
use crate::web::{Failure, response};

/// What a new subscription is given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionBody {
    /// The plan version.
    pub plan_id: String,
}

/// A wish to go live.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoLiveBody {
    /// For the person who decides, if one does.
    #[serde(default)]
    pub note: String,
}

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

/// A person's decision.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionBody {
    /// `approved` or `refused`.
    pub outcome: String,
    /// Printed to the partner.
    #[serde(default)]
    pub reason: String,
}

/// Subscriptions of an app.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SubscriptionList {
    /// The rows.
    pub items: Vec<SubscriptionView>,
}

/// A subscription with what stands between it and production.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SubscriptionDetail {
    /// The subscription.
    #[serde(flatten)]
    pub subscription: SubscriptionView,
    /// The go-live checklist as it stands.
    pub checklist: Vec<ChecklistItem>,
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
}

/// The queue.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RequestList {
    /// The rows, the most urgent first.
    pub items: Vec<RequestView>,
}

/// The app and the subscription of the path; both are the caller's.
pub(super) async fn of_path(context: &Context) -> Result<(App, Subscription), Failure> {
    let app_id: AppId = context.path_id("app_id")?;
    let subscription_id: SubscriptionId = context.path_id("subscription_id")?;
    let app = apps::find_app(&context.connection, app_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let subscription = store::find_subscription(&context.connection, subscription_id)
        .await?
        .filter(|subscription| subscription.app_id == app_id)
        .ok_or_else(Failure::not_found)?;
    Ok((app, subscription))
}

async fn plan_of(context: &Context, subscription: &Subscription) -> Result<Plan, Failure> {
    catalogue::find_plan(&context.connection, subscription.plan_id)
        .await?
        .ok_or_else(|| Failure::internal("a subscription's plan is gone"))
}

/// A plan that this organisation may subscribe to.
async fn offered_plan(context: &Context, app: &App, plan_id: &str) -> Result<Plan, Failure> {
    let unknown = || {
        let detail = "No plan of the catalogue has this id. GET /api/v1/products lists them.";
        Failure::field("plan_id", "unknown_value", detail)
    };
    let plan_id: PlanId = plan_id.parse().map_err(|_| unknown())?;
    let plan = catalogue::find_plan(&context.connection, plan_id)
        .await?
        .ok_or_else(unknown)?;
    if plan.is_offered_to(Some(app.organisation_id)) {
        Ok(plan)
    } else {
        Err(unknown())
    }
}

pub(super) async fn view(
    context: &Context,
    subscription: &Subscription,
) -> Result<SubscriptionView, Failure> {
    let connection = &context.connection;
    let plan = plan_of(context, subscription).await?;
    let product = catalogue::find_product(connection, subscription.product_id).await?;
    let period = periods::period_at(plan.terms.cycle, subscription.anchor_ms, context.now_ms)
        .map_err(DatabaseError::from)?;
    let request = match store::find_newest_request(connection, subscription.id).await? {
        Some(request) => Some(request.view(store::place_of(connection, &request).await?)),
        None => None,
    };
    Ok(SubscriptionView {
        id: subscription.id.to_string(),
        app_id: subscription.app_id.to_string(),
        product_id: subscription.product_id.to_string(),
        product_name: product.map(|product| product.name).unwrap_or_default(),
        plan_id: plan.id.to_string(),
        plan_name: plan.name,
        state: subscription.state(context.now_ms).to_owned(),
        environments: subscription
            .environments()
            .iter()
            .map(|e| e.as_str().to_owned())
            .collect(),
        created_at: subscription.created_at_ms,
        live_from: subscription.live_from_ms,
        period: PeriodView {
            start: period.start_ms,
            end: period.end_ms,
        },
        next_plan: subscription.next_plan.map(|(plan_id, from)| NextPlanView {
            plan_id: plan_id.to_string(),
            from,
        }),
        ends_at: subscription.ends_at_ms,
        request,
    })
}

/// `GET …/subscriptions`
pub async fn list_subscriptions(context: &Context) -> Outcome {
    let app_id: AppId = context.path_id("app_id")?;
    let mut items = Vec::new();
    for subscription in store::list_of_app(&context.connection, app_id).await? {
        items.push(view(context, &subscription).await?);
    }
    response::ok(&SubscriptionList { items })
}

/// Puts the app of the path on a plan.
pub(super) async fn subscribe(context: &Context, plan_id: &str) -> Result<Subscription, Failure> {
    let app_id: AppId = context.path_id("app_id")?;
    let app = apps::find_app(&context.connection, app_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let plan = offered_plan(context, &app, plan_id).await?;
    let standing = store::list_of_app(&context.connection, app_id).await?;
    if let Some(known) = standing
        .iter()
        .find(|known| known.product_id == plan.product_id)
    {
        return Err(Failure::conflict(
            "already_subscribed",
            format!(
                "The app has a subscription to this product. Change its plan instead: \
                 POST /api/v1/apps/{app_id}/subscriptions/{}/plan-changes.",
                known.id
            ),
        ));
    }
    let subscription = context
        .connection
        .transaction(async || {
            let detail = serde_json::json!({ "plan_id": plan.id.to_string() });
            let object = app_id.to_string();
            crate::audit::record(
                context,
                Some(app.organisation_id),
                "app.subscribed",
                &object,
                detail,
            )
            .await?;
            Ok::<Subscription, Failure>(changes::begin(context, app_id, &plan).await?)
        })
        .await?;
    Ok(subscription)
}

/// `POST …/subscriptions`
pub async fn create_subscription(context: &Context) -> Outcome {
    let body: SubscriptionBody = context.json()?;
    let subscription = subscribe(context, &body.plan_id).await?;
    response::created(&view(context, &subscription).await?)
}

/// `GET …/subscriptions/{subscription_id}`
pub async fn show_subscription(context: &Context) -> Outcome {
    let (app, subscription) = of_path(context).await?;
    let plan = plan_of(context, &subscription).await?;
    let checklist = decisions::checklist(context, &app, &subscription, &plan).await?;
    response::ok(&SubscriptionDetail {
        subscription: view(context, &subscription).await?,
        checklist,
    })
}

/// Asks to go live with the subscription of the path.
pub(super) async fn ask_go_live(context: &Context, note: &str) -> Result<Request, Failure> {
    let (app, mut subscription) = of_path(context).await?;
    if subscription.state(context.now_ms) != "active" {
        return Err(Failure::conflict(
            "subscription_ending",
            "The subscription ends or has ended.",
        ));
    }
    if subscription.live_from_ms.is_some() {
        return Err(Failure::conflict(
            "already_live",
            "The subscription is live. Issue a live credential.",
        ));
    }
    let plan = plan_of(context, &subscription).await?;
    decisions::ask(
        context,
        &app,
        &mut subscription,
        &plan,
        RequestKind::GoLive,
        note,
    )
    .await
}

/// `POST …/go-live`
pub async fn go_live(context: &Context) -> Outcome {
    let body: GoLiveBody = context.json()?;
    let request = ask_go_live(context, body.note.trim()).await?;
    let place = store::place_of(&context.connection, &request).await?;
    response::created(&request.view(place))
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
    if subscription.state(context.now_ms) != "active" {
        return Err(Failure::conflict(
            "subscription_ending",
            "The subscription ends or has ended.",
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
            "The subscription is on this plan.",
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
    let period = periods::period_at(from.terms.cycle, subscription.anchor_ms, context.now_ms)
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
    let plan_id = context.query("plan_id").unwrap_or_default();
    let change = wanted_change(
        context,
        &plan_id,
        &context.query("when").unwrap_or_default(),
    )
    .await?;
    response::ok(&PlanChangePreview {
        changes: differences(&change.from, &change.to),
        needs_approval: needs_approval(&change),
        from: PlanView::from(&change.from),
        to: PlanView::from(&change.to),
        effective_at: change.effective_at_ms,
    })
}

/// In the sandbox anyone may try any plan; what is approved is production.
fn needs_approval(change: &WantedChange) -> bool {
    change.subscription.live_from_ms.is_some()
        && change.to.terms.approval != catalogue::ApprovalPolicy::Automatic
}

fn differences(from: &Plan, to: &Plan) -> Vec<String> {
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
    if from.terms.price != to.terms.price {
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
    if needs_approval(&change) {
        let note = body.note.trim();
        decisions::ask(
            context,
            &change.app,
            &mut change.subscription,
            &change.to,
            RequestKind::ChangePlan,
            note,
        )
        .await?;
        return Ok(change.subscription);
    }
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

/// `DELETE …/subscriptions/{subscription_id}?when=now|period_end`
pub async fn cancel_subscription(context: &Context) -> Outcome {
    let subscription = cancel(context, &context.query("when").unwrap_or_default()).await?;
    response::ok(&view(context, &subscription).await?)
}

/// Cancels the subscription of the path.
pub(super) async fn cancel(context: &Context, when: &str) -> Result<Subscription, Failure> {
    let (app, mut subscription) = of_path(context).await?;
    if subscription.state(context.now_ms) == "cancelled" {
        return Err(Failure::conflict(
            "subscription_cancelled",
            "The subscription has ended.",
        ));
    }
    let plan = plan_of(context, &subscription).await?;
    let period = periods::period_at(plan.terms.cycle, subscription.anchor_ms, context.now_ms)
        .map_err(DatabaseError::from)?;
    let ends_at_ms = match when {
        "now" => context.now_ms,
        "" | "period_end" => period.end_ms,
        _ => {
            return Err(Failure::field(
                "when",
                "unknown_value",
                "Give `now` or `period_end`.",
            ));
        }
    };
    context
        .connection
        .transaction(async || {
            changes::cancel(context, app.organisation_id, &mut subscription, ends_at_ms).await
        })
        .await?;
    Ok(subscription)
}

/// `POST …/request/withdrawals`: takes the waiting wish back.
pub async fn withdraw_request(context: &Context) -> Outcome {
    let (_, subscription) = of_path(context).await?;
    let request = store::find_newest_request(&context.connection, subscription.id).await?;
    let Some(mut request) = request.filter(|request| request.outcome.is_none()) else {
        return Err(Failure::conflict(
            "no_request",
            "No request of this subscription waits.",
        ));
    };
    decisions::decide(
        context,
        &mut request,
        "withdrawn",
        "Withdrawn by the partner.",
    )
    .await?;
    response::ok(&request.view(None))
}

/// `GET /api/v1/operator/requests`
pub async fn list_requests(context: &Context) -> Outcome {
    let mut items = Vec::new();
    for (place, request) in (1..).zip(store::list_waiting(&context.connection, 200).await?) {
        items.push(request.view(Some(place)));
    }
    response::ok(&RequestList { items })
}

/// `POST /api/v1/operator/requests/{request_id}/decisions`
pub async fn decide_request(context: &Context) -> Outcome {
    let body: DecisionBody = context.json()?;
    let request = decide(context, &body.outcome, &body.reason).await?;
    response::ok(&request.view(None))
}

/// Decides the wish of the path.
pub(super) async fn decide(
    context: &Context,
    outcome: &str,
    reason: &str,
) -> Result<Request, Failure> {
    let mut request = store::find_request(&context.connection, context.path_text("request_id"))
        .await?
        .ok_or_else(Failure::not_found)?;
    if !matches!(outcome, "approved" | "refused") {
        return Err(Failure::field(
            "outcome",
            "unknown_value",
            "Give `approved` or `refused`.",
        ));
    }
    let reason = reason.trim();
    if outcome == "refused" && reason.is_empty() {
        return Err(Failure::field(
            "reason",
            "missing",
            "Say why: the partner reads it.",
        ));
    }
    let reason = if reason.is_empty() {
        "Approved."
    } else {
        reason
    };
    decisions::decide(context, &mut request, outcome, reason).await?;
    Ok(request)
}
