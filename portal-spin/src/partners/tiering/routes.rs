//! Rules, preview, run and history in JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::ids::OrganisationId;

use super::rules::{RuledTier, TierRules};
use super::run::{self, Move};
use super::store::{
    Held, TierChange, TierGrants, TierRow, find_schedule, list_changes, list_held, list_staff,
    list_tier_rows,
};
use crate::analytics;
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, whole};
use crate::web::{Failure, response};
use crate::{audit, params};

/// How tiers are given.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TieringView {
    /// Every tier with its rules and grants, highest first.
    pub tiers: Vec<TierRow>,
    /// Whether the clock moves partners, once a day.
    pub is_automatic: bool,
    /// The numbers are of so many whole days up to today.
    pub window_days: i64,
    /// When partners were last moved by rules.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub last_run_at: Option<i64>,
    /// Partners whose tier was set by hand: rules leave them alone.
    pub held: Vec<Held>,
}

/// How tiers are given; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TieringBody {
    /// Whether the clock moves partners, once a day.
    #[serde(default)]
    pub is_automatic: Option<bool>,
    /// Days that numbers are counted over, 7 to 730.
    #[serde(default)]
    pub window_days: Option<i64>,
}

/// Rules and grants of a tier.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierRulesBody {
    /// What it takes.
    #[serde(default)]
    pub rules: TierRules,
    /// What it grants.
    #[serde(default)]
    pub grants: TierGrants,
}

/// Rules that are tried before they are saved.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewBody {
    /// By tier; tiers that are not named keep the rules that stand.
    #[serde(default)]
    pub rules: std::collections::BTreeMap<String, TierRules>,
}

/// Who moves.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MoveList {
    /// The moves.
    pub items: Vec<Move>,
    /// How many are left for the next run.
    pub left: usize,
}

/// A partner's moves, newest first.
pub type TierChangeList = PageOf<TierChange>;

pub(super) async fn view(context: &Context) -> Result<TieringView, Failure> {
    let connection = &context.connection;
    let schedule = find_schedule(connection).await?;
    Ok(TieringView {
        tiers: list_tier_rows(connection).await?,
        is_automatic: schedule.is_automatic,
        window_days: schedule.window_days,
        last_run_at: schedule.last_run_at_ms,
        held: list_held(connection).await?,
    })
}

/// `GET /api/v1/operator/tiering`
pub async fn show_tiering(context: &Context) -> Outcome {
    response::ok(&view(context).await?)
}

/// `PUT /api/v1/operator/tiering`
pub async fn put_tiering(context: &Context) -> Outcome {
    save_tiering(context, &context.json()?).await?;
    show_tiering(context).await
}

pub(super) async fn save_tiering(context: &Context, body: &TieringBody) -> Result<(), Failure> {
    if body
        .window_days
        .is_some_and(|days| !(7..=730).contains(&days))
    {
        return Err(Failure::field(
            "window_days",
            "out_of_range",
            "Give a number of days from 7 to 730.",
        ));
    }
    let connection = &context.connection;
    connection
        .transaction(async || {
            connection
                .execute(
                    "UPDATE tiering SET is_automatic = COALESCE($1, is_automatic),
                        window_days = COALESCE($2, window_days)",
                    params![body.is_automatic.map(i64::from), body.window_days],
                )
                .await?;
            let detail =
                json!({ "is_automatic": body.is_automatic, "window_days": body.window_days });
            Ok(audit::record(context, None, "tiering.changed", "tiering", detail).await?)
        })
        .await
}

/// `PUT /api/v1/operator/tiers/{tier}/rules`
pub async fn put_tier_rules(context: &Context) -> Outcome {
    save_rules(context, context.path_text("tier"), &context.json()?).await?;
    show_tiering(context).await
}

pub(super) async fn save_rules(
    context: &Context,
    tier: &str,
    body: &TierRulesBody,
) -> Result<(), Failure> {
    let connection = &context.connection;
    body.rules.check(analytics::main_currency(context).await?)?;
    let grants = &body.grants;
    let wrong = |field: &str, detail: &str| Err(Failure::field(field, "unknown_value", detail));
    if let Some(plan_id) = &grants.plan_id {
        let sql = "SELECT 1 FROM plans WHERE plan_id = $1 AND published_at_ms IS NOT NULL
            AND private_organisation_id IS NULL";
        if connection
            .query_optional(sql, params![plan_id])
            .await?
            .is_none()
        {
            return wrong(
                "plan_id",
                "Name a published plan that is open to all, or leave it out.",
            );
        }
    }
    if let Some(owner) = &grants.owner
        && !list_staff(connection).await?.contains_key(owner)
    {
        return wrong("owner", "Name a member of staff by id, or leave it out.");
    }
    if !(0..=9).contains(&grants.review_priority) {
        return wrong("review_priority", "Give a number from 0 to 9.");
    }
    let rules = if body.rules.is_empty() {
        String::new()
    } else {
        serde_json::to_string(&body.rules).map_err(|_| Failure::internal("rules are no JSON"))?
    };
    connection
        .transaction(async || {
            let found = connection
                .execute(
                    "UPDATE tiers SET rules = $1, plan_id = $2, review_priority = $3, owner = $4
                     WHERE tier = $5",
                    params![
                        rules,
                        grants.plan_id.clone(),
                        grants.review_priority,
                        grants.owner.clone(),
                        tier
                    ],
                )
                .await?;
            if found == 0 {
                return Err(Failure::not_found());
            }
            let detail = json!({ "rules": body.rules, "grants": grants });
            Ok(audit::record(context, None, "tier.ruled", tier, detail).await?)
        })
        .await
}

/// The rules that stand, with these in place of some.
pub(super) async fn rules_with(
    context: &Context,
    body: &PreviewBody,
) -> Result<Vec<RuledTier>, Failure> {
    let currency = analytics::main_currency(context).await?;
    let mut tiers: Vec<RuledTier> = list_tier_rows(&context.connection)
        .await?
        .iter()
        .map(RuledTier::from)
        .collect();
    for (tier, rules) in &body.rules {
        rules.check(currency)?;
        let known = tiers.iter_mut().find(|known| known.tier == *tier);
        known.ok_or_else(Failure::not_found)?.rules = rules.clone();
    }
    Ok(tiers)
}

/// `POST /api/v1/operator/tiering/preview`: who would move, and why. Changes nothing.
pub async fn preview_tiering(context: &Context) -> Outcome {
    let tiers = rules_with(context, &context.json()?).await?;
    let items = run::preview(context, &tiers).await?;
    response::ok(&MoveList { items, left: 0 })
}

/// `POST /api/v1/operator/tiering/runs`: moves who is to move.
pub async fn run_tiering(context: &Context) -> Outcome {
    let (items, left) = run::run(context).await?;
    response::ok(&MoveList { items, left })
}

/// `GET /api/v1/operator/organisations/{organisation_id}/tier-changes`
pub async fn list_tier_changes(context: &Context) -> Outcome {
    let id: OrganisationId = context.path_id("organisation_id")?;
    let items = list_changes(&context.connection, id).await?;
    response::ok(&whole(context, items, |change: &TierChange| {
        format!("{} {}", change.changed_at, change.to)
    })?)
}

/// `DELETE /api/v1/operator/organisations/{organisation_id}/tier-hold`: rules may move it again.
pub async fn release_tier(context: &Context) -> Outcome {
    release(context).await?;
    Ok(response::no_content())
}

pub(super) async fn release(context: &Context) -> Result<(), Failure> {
    let id: OrganisationId = context.path_id("organisation_id")?;
    let connection = &context.connection;
    connection
        .transaction(async || {
            let sql = "DELETE FROM tier_holds WHERE organisation_id = $1";
            if connection.execute(sql, params![id]).await? == 0 {
                return Err(Failure::not_found());
            }
            let object = id.to_string();
            Ok(audit::record(
                context,
                Some(id),
                "organisation.tier_released",
                &object,
                json!({}),
            )
            .await?)
        })
        .await
}
