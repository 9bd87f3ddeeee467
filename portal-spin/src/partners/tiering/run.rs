//! Who would move, and the move.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::ids::OrganisationId;

use super::rules::{Numbers, RuledTier, tier_for};
use super::store::{find_schedule, list_placed, list_tier_rows, note_change};
use crate::analytics::{self, DAY_MS};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::web::Failure;
use crate::{audit, params};

/// Partners moved at a time: other writers wait meanwhile.
const MOVES_PER_RUN: usize = 500;

/// A partner that moves, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Move {
    /// The partner.
    pub organisation_id: String,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub from: String,
    /// The tier that it gets.
    pub to: String,
    /// The numbers that decide.
    pub why: String,
}

/// Who would move by these rules, highest tier first.
pub async fn preview(context: &Context, tiers: &[RuledTier]) -> Result<Vec<Move>, Failure> {
    let connection = &context.connection;
    if tiers.iter().all(|tier| tier.rules.is_empty()) {
        return Ok(Vec::new());
    }
    let schedule = find_schedule(connection).await?;
    let (currency, known) = analytics::numbers_of_partners(context, schedule.window_days).await?;
    let mut moves = Vec::new();
    for partner in list_placed(connection).await? {
        let found = known
            .get(&partner.organisation_id)
            .copied()
            .unwrap_or_default();
        let numbers = Numbers {
            revenue_minor: found.revenue_minor,
            calls: found.calls,
            errors: found.errors,
            tenure_days: (context.now_ms - partner.created_at_ms) / DAY_MS,
        };
        let Some((tier, why)) = tier_for(tiers, &numbers, currency) else {
            continue;
        };
        if tier != partner.tier {
            moves.push(Move {
                organisation_id: partner.organisation_id,
                name: partner.name,
                from: partner.tier,
                to: tier.to_owned(),
                why,
            });
        }
    }
    Ok(moves)
}

/// Moves partners by the rules that stand. Answers who moved, and how many are left for the next run.
pub async fn run(context: &Context) -> Result<(Vec<Move>, usize), Failure> {
    let connection = &context.connection;
    connection
        .transaction(async || {
            let tiers: Vec<RuledTier> = list_tier_rows(connection)
                .await?
                .iter()
                .map(RuledTier::from)
                .collect();
            let mut moves = preview(context, &tiers).await?;
            let left = moves.len().saturating_sub(MOVES_PER_RUN);
            moves.truncate(MOVES_PER_RUN);
            for one in &moves {
                carry_out(context, one).await?;
            }
            // What is left is moved by the next tick.
            let next = if left > 0 {
                context.now_ms
            } else {
                context.now_ms + DAY_MS
            };
            connection
                .execute(
                    "UPDATE tiering SET last_run_at_ms = $1, next_run_at_ms = $2",
                    params![context.now_ms, next],
                )
                .await?;
            Ok((moves, left))
        })
        .await
}

async fn carry_out(context: &Context, one: &Move) -> Result<(), Failure> {
    let organisation_id: OrganisationId = one
        .organisation_id
        .parse()
        .map_err(|_| Failure::internal("an organisation's id is none"))?;
    context
        .connection
        .execute(
            "UPDATE organisations SET tier = $1 WHERE organisation_id = $2",
            params![&one.to, organisation_id],
        )
        .await?;
    note_change(context, organisation_id, &one.from, &one.to, Some(&one.why)).await?;
    let detail = json!({ "from": one.from, "to": one.to, "why": one.why, "is_by_rules": true });
    let id = organisation_id.to_string();
    Ok(audit::record(
        context,
        Some(organisation_id),
        "organisation.tier_changed",
        &id,
        detail,
    )
    .await?)
}

/// The tick's part: once a day, where the operator has switched it on. Answers how many moved.
pub async fn run_due(context: &Context) -> Result<u64, DatabaseError> {
    let schedule = find_schedule(&context.connection).await?;
    if !schedule.is_automatic || schedule.next_run_at_ms > context.now_ms {
        return Ok(0);
    }
    match run(context).await {
        Ok((moves, _)) => Ok(moves.len() as u64),
        Err(failure) => Err(DatabaseError::Failed(failure.detail)),
    }
}
