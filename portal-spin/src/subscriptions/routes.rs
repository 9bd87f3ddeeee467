//! `/api/v1/apps/{app_id}/subscriptions` and the operator's queue.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{AppId, PlanId, SubscriptionId};

use super::model::{
    NextPlanView, PeriodView, Request, RequestKind, Subscription, SubscriptionView,
};
use super::policy::ChecklistItem;
use super::queue::{self, QueuedRequest};
use super::{changes, decisions, periods, store};
use crate::apps::{self, App};
use crate::catalogue::{self, Plan};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::partners::Reach;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, PageRequest, whole};
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
pub type SubscriptionList = PageOf<SubscriptionView>;

/// A subscription with what stands between it and production.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SubscriptionDetail {
    /// The subscription.
    #[serde(flatten)]
    pub subscription: SubscriptionView,
    /// The go-live checklist as it stands.
    pub checklist: Vec<ChecklistItem>,
    /// Which plan version was in force from when; each is billed by itself.
    pub phases: Vec<PhaseView>,
}

/// A span on one plan version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PhaseView {
    /// From when; until the next begins.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub from: i64,
    /// The plan version.
    pub plan_id: String,
}

/// The queue: what waits, the most urgent first (never more than 200); what is decided, newest first.
pub type RequestList = PageOf<QueuedRequest>;

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

pub(super) async fn plan_of(
    context: &Context,
    subscription: &Subscription,
) -> Result<Plan, Failure> {
    catalogue::find_plan(&context.connection, subscription.plan_id)
        .await?
        .ok_or_else(|| Failure::internal("a subscription's plan is gone"))
}

/// A plan that this organisation may subscribe to.
pub(super) async fn offered_plan(
    context: &Context,
    app: &App,
    plan_id: &str,
) -> Result<Plan, Failure> {
    let unknown = || {
        let detail = "No plan of the catalogue has this id. GET /api/v1/products lists them.";
        Failure::field("plan_id", "unknown_value", detail)
    };
    let plan_id: PlanId = plan_id.parse().map_err(|_| unknown())?;
    let plan = catalogue::find_plan(&context.connection, plan_id)
        .await?
        .ok_or_else(unknown)?;
    let product = catalogue::find_product(&context.connection, plan.product_id).await?;
    let is_in_catalogue = product.is_some_and(|product| product.is_offered());
    let reach = Reach::of_organisation(&context.connection, app.organisation_id).await?;
    if is_in_catalogue && reach.offers(&plan) {
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
    let calendar = plan
        .terms
        .period_rule()
        .calendar(subscription.anchor_ms)
        .map_err(DatabaseError::from)?;
    let period = calendar
        .period_containing(context.now_ms)
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
            time_zone: calendar.zone_name().to_owned(),
            words: calendar.describe(&period).map_err(DatabaseError::from)?,
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
    response::ok(&whole(context, items, |item: &SubscriptionView| {
        item.id.clone()
    })?)
}

/// Puts the app of the path on a plan.
pub(super) async fn subscribe(context: &Context, plan_id: &str) -> Result<Subscription, Failure> {
    let app_id: AppId = context.path_id("app_id")?;
    let app = apps::find_app(&context.connection, app_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let plan = offered_plan(context, &app, plan_id).await?;
    check_not_subscribed(context, app_id, &plan).await?;
    let begun = context
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
            changes::begin(context, app_id, &plan).await
        })
        .await;
    if matches!(begun, Err(DatabaseError::Conflict(_))) {
        // Another request was first.
        check_not_subscribed(context, app_id, &plan).await?;
    }
    Ok(begun?)
}

async fn check_not_subscribed(
    context: &Context,
    app_id: AppId,
    plan: &Plan,
) -> Result<(), Failure> {
    let standing = store::list_of_app(&context.connection, app_id).await?;
    let known = standing
        .iter()
        .find(|known| known.product_id == plan.product_id);
    match known {
        None => Ok(()),
        Some(known) => Err(Failure::conflict(
            "already_subscribed",
            format!(
                "The app has a subscription to this product. Change its plan instead: \
                 POST /api/v1/apps/{app_id}/subscriptions/{}/plan-changes.",
                known.id
            ),
        )),
    }
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
        phases: store::list_phases(&context.connection, &subscription).await?,
    })
}

/// Asks to go live with the subscription of the path.
pub(super) async fn ask_go_live(context: &Context, note: &str) -> Result<Request, Failure> {
    let (app, mut subscription) = of_path(context).await?;
    if subscription.barred_at_ms.is_some() {
        return Err(Failure::conflict(
            "subscription_barred",
            "The product is no longer open to your type of partner. Ask the programme's staff.",
        ));
    }
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
        None,
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

/// `DELETE …/subscriptions/{subscription_id}?when=now|period_end&reason=…`
pub async fn cancel_subscription(context: &Context) -> Outcome {
    let when = context.query("when").unwrap_or_default();
    let reason = context.query("reason").unwrap_or_default();
    let subscription = cancel(context, &when, &reason).await?;
    response::ok(&view(context, &subscription).await?)
}

/// Cancels the subscription of the path.
pub(super) async fn cancel(
    context: &Context,
    when: &str,
    reason: &str,
) -> Result<Subscription, Failure> {
    if reason.chars().count() > 500 {
        return Err(Failure::field(
            "reason",
            "too_long",
            "Use at most 500 characters.",
        ));
    }
    let (app, mut subscription) = of_path(context).await?;
    if subscription.state(context.now_ms) == "cancelled" {
        return Err(Failure::conflict(
            "subscription_cancelled",
            "The subscription has ended.",
        ));
    }
    let plan = plan_of(context, &subscription).await?;
    let period = periods::period_at(
        &plan.terms.period_rule(),
        subscription.anchor_ms,
        context.now_ms,
    )
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
            let owner = app.organisation_id;
            changes::cancel(context, owner, &mut subscription, ends_at_ms, reason.trim()).await
        })
        .await?;
    Ok(subscription)
}

/// Takes the waiting wish of the subscription of the path back.
pub(super) async fn withdraw(context: &Context) -> Result<Request, Failure> {
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
    Ok(request)
}

/// Withdraws what is planned for the subscription of the path: another plan, or its end.
pub(super) async fn withdraw_planned(context: &Context) -> Result<Subscription, Failure> {
    let (app, mut subscription) = of_path(context).await?;
    let is_ahead = |at: i64| at > context.now_ms;
    let plans_ahead = subscription
        .next_plan
        .is_some_and(|(_, from)| is_ahead(from));
    let ends_ahead = subscription.ends_at_ms.is_some_and(is_ahead);
    if subscription.cancelled_at_ms.is_some() || !(plans_ahead || ends_ahead) {
        return Err(Failure::conflict(
            "nothing_planned",
            "Neither another plan nor an end is planned for this subscription.",
        ));
    }
    context
        .connection
        .transaction(async || {
            changes::withdraw_planned(context, app.organisation_id, &mut subscription).await
        })
        .await?;
    Ok(subscription)
}

/// `DELETE …/subscriptions/{subscription_id}/planned-change`
pub async fn withdraw_planned_change(context: &Context) -> Outcome {
    let subscription = withdraw_planned(context).await?;
    response::ok(&view(context, &subscription).await?)
}

/// `POST …/request-withdrawals`
pub async fn withdraw_request(context: &Context) -> Outcome {
    response::ok(&withdraw(context).await?.view(None))
}

/// `GET /api/v1/operator/requests?state=`
pub async fn list_requests(context: &Context) -> Outcome {
    let state = state_wanted(context)?;
    let page = PageRequest::read(context)?;
    let found = store::list_requests(&context.connection, &state, &page).await?;
    let mut views = Vec::with_capacity(found.len());
    for request in &found {
        views.push(queue::named(context, request).await?);
    }
    response::ok(&page.page_of(views, |known: &QueuedRequest| known.request.id.clone()))
}

/// The `state` that the queue is limited to; `waiting` without.
pub(super) fn state_wanted(context: &Context) -> Result<String, Failure> {
    let state = context
        .query("state")
        .unwrap_or_else(|| "waiting".to_owned());
    if matches!(
        state.as_str(),
        "waiting" | "approved" | "refused" | "withdrawn"
    ) {
        return Ok(state);
    }
    Err(Failure::field(
        "state",
        "unknown_value",
        "Give `waiting`, `approved`, `refused` or `withdrawn`.",
    ))
}

/// The request of the path.
pub(super) async fn request_of_path(context: &Context) -> Result<Request, Failure> {
    store::find_request(&context.connection, context.path_text("request_id"))
        .await?
        .ok_or_else(Failure::not_found)
}

/// `GET /api/v1/operator/requests/{request_id}`
pub async fn show_request(context: &Context) -> Outcome {
    let request = request_of_path(context).await?;
    response::ok(&queue::named(context, &request).await?)
}

/// `POST /api/v1/operator/requests/{request_id}/decisions`
pub async fn decide_request(context: &Context) -> Outcome {
    let body: DecisionBody = context.json()?;
    let request = request_of_path(context).await?;
    let request = decide(context, request, &body.outcome, &body.reason).await?;
    response::ok(&queue::named(context, &request).await?)
}

/// Decides a wish.
pub(super) async fn decide(
    context: &Context,
    mut request: Request,
    outcome: &str,
    reason: &str,
) -> Result<Request, Failure> {
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
