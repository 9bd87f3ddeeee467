//! Alerts at 50, 80 and 100 percent: of a quota's usage, to partner and operator; of a budget, to the
//! partner. Each once per period, by mail and webhook.

use serde_json::json;
use shared::credential::Environment;
use shared::ids::{AppId, OrganisationId};
use shared::money::Money;

use super::{accounts, drafts, notices, shadow};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::{metering, params, subscriptions, webhooks};

/// Percent at which an alert is sent.
const THRESHOLDS: &[i64] = &[50, 80, 100];
/// Only apps with cells this fresh are looked at.
const FRESH_MINUTES: i64 = 15;
const PER_TICK: i64 = 200;
/// How long each page of apps has its turn: about a tick.
const PAGE_MS: i64 = 5_000;

/// The highest threshold reached, if any.
fn reached(used: i64, limit: i64) -> Option<i64> {
    if limit <= 0 {
        return None;
    }
    let percent = i128::from(used) * 100 / i128::from(limit);
    THRESHOLDS
        .iter()
        .rev()
        .find(|threshold| percent >= i128::from(**threshold))
        .copied()
}

/// Looks at every app that an edge has reported lately. Answers how many alerts were sent.
pub async fn send_alerts(context: &Context) -> Result<u64, DatabaseError> {
    let since = context.now_ms / 60_000 - FRESH_MINUTES;
    let apps = "FROM usage_rollups r
        JOIN usage_series s ON s.edge_boot_id = r.edge_boot_id AND s.environment = 'live'
        JOIN apps a ON a.app_id = s.app_id WHERE r.last_minute >= $1";
    let count: i64 = context
        .connection
        .query_one(
            &format!("SELECT COUNT(DISTINCT a.app_id) {apps}"),
            params![since],
        )
        .await?
        .get(0)?;
    // Where there are more apps than a tick looks at, ticks take turns at them.
    let pages = (count + PER_TICK - 1) / PER_TICK;
    let page = (context.now_ms / PAGE_MS).checked_rem(pages).unwrap_or(0);
    let rows = context
        .connection
        .query(
            &format!(
                "SELECT DISTINCT a.app_id, a.organisation_id, a.name {apps}
                 ORDER BY a.app_id LIMIT $2 OFFSET $3"
            ),
            params![since, PER_TICK, page * PER_TICK],
        )
        .await?;
    let mut sent = 0;
    let mut organisations: Vec<OrganisationId> = Vec::new();
    for row in rows {
        let app_id: AppId = row.parse(0)?;
        let organisation_id: OrganisationId = row.parse(1)?;
        let app: String = row.get(2)?;
        sent += alert_usage(context, organisation_id, app_id, &app).await?;
        if !organisations.contains(&organisation_id) {
            organisations.push(organisation_id);
        }
    }
    for organisation_id in organisations {
        sent += alert_budget(context, organisation_id).await?;
    }
    Ok(sent)
}

async fn alert_usage(
    context: &Context,
    organisation_id: OrganisationId,
    app_id: AppId,
    app: &str,
) -> Result<u64, DatabaseError> {
    let connection = &context.connection;
    let mut sent = 0;
    for terms in subscriptions::list_terms_of_app(connection, app_id).await? {
        let is_live = terms.subscription.live_from_ms.is_some()
            && terms.subscription.cancelled_at_ms.is_none();
        let (Some(quota), Some(meter), true) =
            (&terms.plan.terms.quota, terms.quota_meter, is_live)
        else {
            continue;
        };
        let period = terms.period(context.now_ms)?;
        let id = terms.subscription.id;
        let used = metering::used_units(
            connection,
            id,
            Environment::Live,
            meter,
            terms.counting(),
            period,
        )
        .await?;
        let limit = i64::try_from(quota.limit).unwrap_or(i64::MAX);
        let Some(threshold) = reached(used, limit) else {
            continue;
        };
        let words = terms.describe(&period)?;
        let hint = upgrade_hint(context, organisation_id, &id.to_string()).await?;
        let is_sent = connection
            .transaction(async || {
                if !notices::is_new(context, &id.to_string(), period.start_ms, &threshold.to_string()).await? {
                    return Ok::<_, DatabaseError>(false);
                }
                let subject = format!("{app} has used {threshold}% of its allowance");
                let usage = format!("{}/apps/{app_id}/usage", context.configuration().public_url);
                let text = format!("{used} of {limit} units of the plan {} are used in the billing period {words}.{hint}\n\nUsage:\n{usage}", terms.plan.name);
                notices::tell_payers(context, organisation_id, &subject, &text).await?;
                notices::tell_operator(context, &subject, &text).await?;
                let data = json!({ "subscription_id": id.to_string(), "app_id": app_id.to_string(), "percent": threshold, "used": used, "limit": limit });
                webhooks::emit(context, Some(organisation_id), "usage.threshold_reached", data).await?;
                Ok(true)
            })
            .await?;
        sent += u64::from(is_sent);
    }
    Ok(sent)
}

/// The plan that would cost least for the usage as forecast, with the saving, in a sentence.
async fn upgrade_hint(
    context: &Context,
    organisation_id: OrganisationId,
    subscription_id: &str,
) -> Result<String, DatabaseError> {
    let plans = shadow::compare_plans(context, organisation_id).await?;
    let best = shadow::best_saving(&plans, subscription_id);
    Ok(best.map_or_else(String::new, |plan| {
        format!(
            "\n\nOn the plan {} a period of this usage ({} units as forecast) would cost {} {}: {} less than now.",
            plan.plan,
            plan.quantity,
            plan.amount,
            plan.currency,
            plan.saving.as_deref().unwrap_or_default()
        )
    }))
}

async fn alert_budget(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<u64, DatabaseError> {
    let account = accounts::find_account(&context.connection, organisation_id).await?;
    let (Some(budget), Some(currency)) = (account.budget_minor, account.budget_currency) else {
        return Ok(0);
    };
    let mut sent = 0;
    for draft in drafts::list_drafts(context, organisation_id).await? {
        let total = Money::from_major(currency, &draft.so_far.total);
        let (true, Ok(total)) = (draft.currency == currency.as_str(), total) else {
            continue;
        };
        let Some(threshold) = reached(total.minor, budget) else {
            continue;
        };
        let is_sent = context
            .connection
            .transaction(async || {
                let notice = format!("budget-{threshold}");
                if !notices::is_new(context, &organisation_id.to_string(), draft.period_end, &notice).await? {
                    return Ok::<_, DatabaseError>(false);
                }
                let budget = Money::from_minor(currency, budget).to_major();
                let page = format!("{}/organisations/{organisation_id}/billing", context.configuration().public_url);
                let text = format!("So far this period comes to {} {currency}, with a budget of {budget} {currency}. As forecast it will come to {} {currency}.\n\nLive calls go on. See what it consists of:\n{page}", draft.so_far.total, draft.forecast_total);
                notices::tell_payers(context, organisation_id, &format!("{threshold}% of your budget is spent"), &text).await?;
                let data = json!({ "percent": threshold, "total": draft.so_far.total, "budget": budget, "currency": currency.as_str() });
                webhooks::emit(context, Some(organisation_id), "budget.threshold_reached", data).await?;
                Ok(true)
            })
            .await?;
        sent += u64::from(is_sent);
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::reached;

    #[test]
    fn the_highest_threshold_counts() {
        for (used, expected) in [
            (49, None),
            (50, Some(50)),
            (79, Some(50)),
            (80, Some(80)),
            (250, Some(100)),
        ] {
            assert_eq!(reached(used, 100), expected);
        }
        assert_eq!(reached(1, 0), None);
    }
}
