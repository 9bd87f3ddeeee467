//! Changes of a subscription: begin, go live, another plan, end. Each is one transaction's work; who
//! may, and whether a policy agrees, was asked before.

use serde_json::json;
use shared::ids::{AppId, OrganisationId, SubscriptionId};

use super::model::Subscription;
use super::store;
use crate::apps::App;
use crate::audit;
use crate::catalogue::{self, Plan};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::partners::{self, Reach};

/// Puts an app on a plan, open for the test environment. Call it inside a transaction.
pub async fn begin(
    context: &Context,
    app_id: AppId,
    plan: &Plan,
) -> Result<Subscription, DatabaseError> {
    let now_ms = context.now_ms;
    let mut subscription = Subscription {
        id: context.new_id(SubscriptionId::new),
        app_id,
        product_id: plan.product_id,
        plan_id: plan.id,
        created_at_ms: now_ms,
        live_from_ms: None,
        anchor_ms: now_ms,
        periods_until_ms: 0,
        next_plan: None,
        ends_at_ms: None,
        cancelled_at_ms: None,
        barred_at_ms: None,
    };
    store::insert(&context.connection, &mut subscription, now_ms).await?;
    Ok(subscription)
}

/// Puts a new app on the plans preset for its organisation, and on the default plan of each other
/// self-service product that is open to it. Call it inside a transaction.
pub async fn subscribe_to_defaults(context: &Context, app: &App) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    let reach = Reach::of_organisation(connection, app.organisation_id).await?;
    let mut plans = Vec::new();
    for plan_id in partners::list_preset_plans(connection, app.organisation_id).await? {
        plans.extend(catalogue::find_plan(connection, plan_id).await?);
    }
    plans.extend(catalogue::list_default_plans(connection).await?);
    let mut begun = Vec::new();
    for plan in plans {
        if reach.offers(&plan) && !begun.contains(&plan.product_id) {
            begun.push(plan.product_id);
            begin(context, app.id, &plan).await?;
        }
    }
    Ok(())
}

/// Tells the edges a subscription anew, after something that decides whether it may be used has
/// changed. Call it inside the transaction of that change.
pub async fn publish_again(
    context: &Context,
    subscription_id: SubscriptionId,
) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    match store::find_subscription(connection, subscription_id).await? {
        Some(mut known) => store::publish(connection, &mut known, context.now_ms).await,
        None => Ok(()),
    }
}

/// Opens a subscription for live calls. Call it inside a transaction.
pub async fn go_live(
    context: &Context,
    organisation_id: OrganisationId,
    subscription: &mut Subscription,
) -> Result<(), DatabaseError> {
    subscription.live_from_ms = subscription.live_from_ms.or(Some(context.now_ms));
    record(
        context,
        organisation_id,
        "subscription.went_live",
        subscription,
    )
    .await?;
    store::publish(&context.connection, subscription, context.now_ms).await
}

/// Opens every subscription of an app for live calls, past any policy: for demonstration data.
pub async fn open_for_live(context: &Context, app: &App) -> Result<(), DatabaseError> {
    for mut subscription in store::list_of_app(&context.connection, app.id).await? {
        context
            .connection
            .transaction(async || go_live(context, app.organisation_id, &mut subscription).await)
            .await?;
    }
    Ok(())
}

/// Puts a subscription on another plan at once. Call it inside a transaction.
pub async fn change_plan_now(
    context: &Context,
    organisation_id: OrganisationId,
    subscription: &mut Subscription,
    plan: &Plan,
) -> Result<(), DatabaseError> {
    subscription.plan_id = plan.id;
    subscription.next_plan = None;
    store::begin_phase(&context.connection, subscription, context.now_ms).await?;
    record(
        context,
        organisation_id,
        "subscription.plan_changed",
        subscription,
    )
    .await?;
    store::publish(&context.connection, subscription, context.now_ms).await
}

/// Notes that another plan follows at the period's end. Call it inside a transaction.
pub async fn change_plan_later(
    context: &Context,
    organisation_id: OrganisationId,
    subscription: &mut Subscription,
    plan: &Plan,
    from_ms: i64,
) -> Result<(), DatabaseError> {
    subscription.next_plan = Some((plan.id, from_ms));
    record(
        context,
        organisation_id,
        "subscription.plan_change_planned",
        subscription,
    )
    .await?;
    store::publish(&context.connection, subscription, context.now_ms).await
}

/// Ends a subscription, now or later. Call it inside a transaction.
pub async fn cancel(
    context: &Context,
    organisation_id: OrganisationId,
    subscription: &mut Subscription,
    ends_at_ms: i64,
    reason: &str,
) -> Result<(), DatabaseError> {
    subscription.ends_at_ms = Some(ends_at_ms);
    subscription.next_plan = None;
    if ends_at_ms <= context.now_ms {
        subscription.cancelled_at_ms = Some(ends_at_ms);
    }
    let detail = json!({
        "app_id": subscription.app_id.to_string(),
        "plan_id": subscription.plan_id.to_string(),
        "ends_at": crate::encoding::rfc3339(ends_at_ms),
        "reason": reason,
    });
    let id = subscription.id.to_string();
    let action = "subscription.cancelled";
    audit::record(context, Some(organisation_id), action, &id, detail).await?;
    store::put_cancellation_reason(&context.connection, subscription.id, reason).await?;
    store::publish(&context.connection, subscription, context.now_ms).await
}

/// Takes back what is planned: the plan that follows, or the end. Call it inside a transaction.
pub async fn withdraw_planned(
    context: &Context,
    organisation_id: OrganisationId,
    subscription: &mut Subscription,
) -> Result<(), DatabaseError> {
    subscription.next_plan = None;
    subscription.ends_at_ms = None;
    record(
        context,
        organisation_id,
        "subscription.planned_change_withdrawn",
        subscription,
    )
    .await?;
    store::put_cancellation_reason(&context.connection, subscription.id, "").await?;
    store::publish(&context.connection, subscription, context.now_ms).await
}

/// Ends every subscription of an app. Call it inside a transaction.
pub async fn cancel_all(context: &Context, app_id: AppId) -> Result<(), DatabaseError> {
    let organisation_id = store::find_owner(&context.connection, app_id).await?;
    for mut subscription in store::list_of_app(&context.connection, app_id).await? {
        cancel(
            context,
            organisation_id,
            &mut subscription,
            context.now_ms,
            "The app was deleted.",
        )
        .await?;
    }
    Ok(())
}

/// Carries out changes that are due: plans that follow and ends, at most 500 at a time.
pub async fn apply_due_changes(context: &Context) -> Result<u64, DatabaseError> {
    let connection = &context.connection;
    let due = store::list_due(connection, context.now_ms, 500).await?;
    for subscription_id in &due {
        connection
            .transaction(async || {
                let Some(mut subscription) =
                    store::find_subscription(connection, *subscription_id).await?
                else {
                    return Ok(());
                };
                let owner = store::find_owner(connection, subscription.app_id).await?;
                if subscription
                    .ends_at_ms
                    .is_some_and(|at| at <= context.now_ms)
                {
                    subscription.cancelled_at_ms = subscription.ends_at_ms;
                    record(context, owner, "subscription.ended", &subscription).await?;
                } else if let Some((plan_id, from_ms)) = subscription.next_plan {
                    subscription.plan_id = plan_id;
                    subscription.next_plan = None;
                    store::begin_phase(connection, &subscription, from_ms).await?;
                    record(context, owner, "subscription.plan_changed", &subscription).await?;
                }
                store::publish(connection, &mut subscription, context.now_ms).await
            })
            .await?;
    }
    Ok(due.len() as u64)
}

async fn record(
    context: &Context,
    organisation_id: OrganisationId,
    action: &str,
    subscription: &Subscription,
) -> Result<(), DatabaseError> {
    let detail = json!({
        "app_id": subscription.app_id.to_string(),
        "plan_id": subscription.plan_id.to_string(),
        "next_plan_id": subscription.next_plan.map(|(plan_id, _)| plan_id.to_string()),
    });
    audit::record(
        context,
        Some(organisation_id),
        action,
        &subscription.id.to_string(),
        detail,
    )
    .await
}
