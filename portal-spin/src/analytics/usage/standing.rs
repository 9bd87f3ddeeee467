//! What stands now, whatever span is shown: quotas and limits left, what the period costs so far; and how
//! the organisation's listings fare.

use std::collections::BTreeMap;

use shared::ids::{AppId, OrganisationId};
use shared::money::{Currency, Money};
use shared::plan::{RateLimit, RateLimitScope};

use super::super::report::{Datum, Figure, Table, column, defined};
use crate::analytics::period::Days;
use crate::billing::drafts::{DraftView, list_drafts};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::encoding::readable_time;
use crate::web::Failure;
use crate::{listings, metering, subscriptions};

fn text(text: impl Into<String>) -> Datum {
    Datum::Text(text.into())
}

/// Apps that stand, with their names.
fn standing(apps: &BTreeMap<String, String>) -> impl Iterator<Item = (AppId, &str)> {
    apps.iter()
        .filter_map(|(id, name)| Some((id.parse().ok()?, name.as_str())))
}

/// What is left of each quota.
pub async fn quotas(context: &Context, apps: &BTreeMap<String, String>) -> Result<Table, Failure> {
    let mut rows = Vec::new();
    for (app_id, name) in standing(apps) {
        for quota in metering::quotas_of_app(context, app_id).await? {
            rows.push(vec![
                Datum::Link(name.to_owned(), format!("/apps/{app_id}/usage")),
                text(quota.environment),
                text(quota.name),
                Datum::Count(quota.used),
                Datum::Count(quota.remaining),
                Datum::Count(quota.limit),
                Datum::Share(quota.used, quota.limit),
                text(readable_time(quota.period_end)),
            ]);
        }
    }
    Ok(Table {
        name: "quotas",
        title: "What is left".to_owned(),
        definition: "Quotas of standing subscriptions in their current period, whatever span is shown: the sum that the gateway enforces and the invoice states.".to_owned(),
        columns: ["App", "Environment", "Quota", "Used", "Left", "Limit", "Share", "Period ends"]
            .map(column)
            .to_vec(),
        rows,
        chart: None,
    })
}

const fn scope_label(scope: RateLimitScope) -> &'static str {
    match scope {
        RateLimitScope::Subscription => "subscription and environment",
        RateLimitScope::Credential => "credential",
        RateLimitScope::Operation => "operation and environment",
    }
}

/// How many calls a limit lets through in a whole minute.
fn of_a_minute(limit: &RateLimit) -> i64 {
    let calls = u64::from(limit.limit) * 60 / u64::from(limit.window_secs.max(1));
    i64::try_from(calls).unwrap_or(i64::MAX)
}

/// What was left of each rate limit in the busiest minute of the last day.
pub async fn limits(
    context: &Context,
    organisation_id: OrganisationId,
    apps: &BTreeMap<String, String>,
) -> Result<Table, Failure> {
    let connection = &context.connection;
    let since = context.now_ms / 60_000 - 1_440;
    let busiest =
        metering::busiest_minutes(connection, &organisation_id.to_string(), since).await?;
    let mut rows = Vec::new();
    for (app_id, name) in standing(apps) {
        let terms = subscriptions::list_terms_of_app(connection, app_id).await?;
        for terms in terms
            .iter()
            .filter(|terms| terms.subscription.cancelled_at_ms.is_none())
        {
            let id = terms.subscription.id.to_string();
            for environment in terms.subscription.environments() {
                let most = busiest
                    .get(&(id.clone(), environment.as_str().to_owned()))
                    .copied()
                    .unwrap_or_default();
                for limit in &terms.plan.terms.rate_limits {
                    let allowed = of_a_minute(limit);
                    rows.push(vec![
                        Datum::Link(name.to_owned(), format!("/apps/{app_id}/usage")),
                        text(environment.as_str()),
                        text(limit.name.clone()),
                        text(format!("{} in {} s", limit.limit, limit.window_secs)),
                        text(scope_label(limit.per)),
                        Datum::Count(allowed),
                        Datum::Count(most),
                        Datum::Count((allowed - most).max(0)),
                    ]);
                }
            }
        }
    }
    Ok(Table {
        name: "limits",
        title: "Rate limits, and what was left".to_owned(),
        definition: "Limits of standing subscriptions beside the busiest minute of the last 24 hours. What is left this very second stands in each answer's `RateLimit` header.".to_owned(),
        columns: vec![
            column("App"),
            column("Environment"),
            column("Limit"),
            column("Allows"),
            defined("For each", "what shares the allowance"),
            defined("In a whole minute", "what the limit lets through in sixty seconds, used evenly"),
            defined("Busiest minute", "calls of the subscription let through in its busiest minute of the last 24 hours"),
            defined("Left in it", "what the limit would have let through besides"),
        ],
        rows,
        chart: None,
    })
}

/// What running periods cost so far, and what they will as forecast.
pub async fn costs(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<(Vec<Figure>, Table), Failure> {
    let drafts = list_drafts(context, organisation_id).await?;
    let billing = format!("/organisations/{organisation_id}/billing");
    let amount = |draft: &DraftView, major: &str| -> Datum {
        draft
            .currency
            .parse::<Currency>()
            .ok()
            .and_then(|currency| Money::from_major(currency, major).ok())
            .map_or(Datum::Nothing, Datum::Amount)
    };
    let mut figures = Vec::new();
    if let Some(draft) = drafts.iter().find(|draft| draft.state == "running") {
        figures.push(Figure {
            name: "cost_so_far",
            label: "Cost so far",
            value: amount(draft, &draft.so_far.total),
            before: Datum::Nothing,
            definition: "the invoice of the period that runs as it would be without another call, taxes included: computed as the invoice itself".to_owned(),
            href: billing.clone(),
        });
        figures.push(Figure {
            name: "cost_forecast",
            label: "Cost as forecast",
            value: amount(draft, &draft.forecast_total),
            before: Datum::Nothing,
            definition: draft.forecast_method.clone(),
            href: billing.clone(),
        });
    }
    let table = Table {
        name: "costs",
        title: "What it costs".to_owned(),
        definition: "Invoices that are not issued yet, whatever span is shown: the same lines, from the same sums.".to_owned(),
        columns: vec![
            column("Period up to"),
            defined("State", "`closing` once it has ended and late usage may still come"),
            column("So far"),
            defined("As forecast", "if usage goes on as it did"),
            column("How it is forecast"),
        ],
        rows: drafts
            .iter()
            .map(|draft| {
                vec![
                    Datum::Link(draft.last_day(), billing.clone()),
                    text(draft.state.clone()),
                    amount(draft, &draft.so_far.total),
                    amount(draft, &draft.forecast_total),
                    text(draft.forecast_method.clone()),
                ]
            })
            .collect(),
        chart: None,
    };
    Ok((figures, table))
}

/// From view to installation, app by app.
pub async fn installs(
    context: &Context,
    organisation_id: OrganisationId,
    days: Days,
) -> Result<Table, DatabaseError> {
    let connection = &context.connection;
    let read = async |days: Days| {
        listings::list_funnels_of(connection, organisation_id, days.from..days.to).await
    };
    let before: BTreeMap<String, i64> = read(days.before())
        .await?
        .into_iter()
        .map(|one| (one.app_id, one.funnel.installed))
        .collect();
    let rows = read(days)
        .await?
        .into_iter()
        .map(|one| {
            vec![
                Datum::Link(one.app, format!("/apps/{}/installs", one.app_id)),
                Datum::Count(one.funnel.views),
                Datum::Count(one.funnel.begun),
                Datum::Count(one.funnel.installed),
                Datum::Share(one.funnel.begun, one.funnel.views),
                Datum::Share(one.funnel.installed, one.funnel.begun),
                Datum::Count(one.funnel.removed),
                Datum::Count(one.funnel.active),
                Datum::Count(before.get(&one.app_id).copied().unwrap_or_default()),
            ]
        })
        .collect();
    Ok(Table {
        name: "installs",
        title: "Installs of your apps".to_owned(),
        definition: "From the listing in the directory to the installation, in the span; counted by day (UTC), not by person.".to_owned(),
        columns: vec![
            column("App"),
            defined("Views", "of the listing's page"),
            defined("Begun", "the consent screen was shown"),
            defined("Installed", "the customer consented for the first time"),
            defined("Begun of viewed", "begun, of the views"),
            defined("Installed of begun", "installed, of those begun"),
            defined("Removed", "the customer removed it"),
            defined("Active now", "installations in the live environment that stand"),
            defined("Installed before", "in the span before"),
        ],
        rows,
        chart: None,
    })
}
