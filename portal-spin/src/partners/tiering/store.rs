//! Rules, grants and moves in the database.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{EventId, OrganisationId};

use super::rules::{RuledTier, TierRules};
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::params;

/// What a tier grants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierGrants {
    /// The plan, with its limits, that new apps of its partners begin on.
    #[serde(default)]
    pub plan_id: Option<String>,
    /// Submissions of a higher number are reviewed first; 0 is usual.
    #[serde(default)]
    pub review_priority: i64,
    /// The member of staff who looks after its partners: an id.
    #[serde(default)]
    pub owner: Option<String>,
}

/// A tier with its rules and what it grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TierRow {
    /// The tier.
    pub tier: String,
    /// Its name.
    pub name: String,
    /// Whether it is for everybody who meets no other tier's rules.
    pub is_default: bool,
    /// What it takes.
    pub rules: TierRules,
    /// What it grants.
    pub grants: TierGrants,
}

/// When tiers are given by rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Once a day, by the clock.
    pub is_automatic: bool,
    /// Over so many days.
    pub window_days: i64,
    /// The next time.
    pub next_run_at_ms: i64,
    /// The last time.
    pub last_run_at_ms: Option<i64>,
}

/// Every tier, highest first.
pub async fn list_tier_rows(connection: &Connection) -> Result<Vec<TierRow>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT tier, name, is_default, rules, plan_id, review_priority, owner FROM tiers
             ORDER BY position DESC, tier",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let rules: String = row.get(3)?;
            Ok(TierRow {
                tier: row.get(0)?,
                name: row.get(1)?,
                is_default: row.get(2)?,
                rules: serde_json::from_str(&rules).unwrap_or_default(),
                grants: TierGrants {
                    plan_id: row.get(4)?,
                    review_priority: row.get(5)?,
                    owner: row.get(6)?,
                },
            })
        })
        .collect()
}

impl From<&TierRow> for RuledTier {
    fn from(row: &TierRow) -> Self {
        Self {
            tier: row.tier.clone(),
            rules: row.rules.clone(),
            is_default: row.is_default,
        }
    }
}

/// When tiers are given.
pub async fn find_schedule(connection: &Connection) -> Result<Schedule, DatabaseError> {
    let row = connection
        .query_one(
            "SELECT is_automatic, window_days, next_run_at_ms, last_run_at_ms FROM tiering",
            vec![],
        )
        .await?;
    Ok(Schedule {
        is_automatic: row.get(0)?,
        window_days: row.get(1)?,
        next_run_at_ms: row.get(2)?,
        last_run_at_ms: row.get(3)?,
    })
}

/// A partner as tiers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The partner.
    pub organisation_id: String,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: String,
    /// Since when it exists.
    pub created_at_ms: i64,
}

/// Every partner that rules may move.
pub async fn list_placed(connection: &Connection) -> Result<Vec<Placed>, DatabaseError> {
    let held: BTreeSet<String> = connection
        .query("SELECT organisation_id FROM tier_holds", vec![])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect::<Result<_, _>>()?;
    let rows = connection
        .query(
            "SELECT organisation_id, name, tier, created_at FROM registered_organisations
             ORDER BY organisation_id",
            vec![],
        )
        .await?;
    let mut placed = Vec::with_capacity(rows.len());
    for row in rows {
        let organisation_id: String = row.get(0)?;
        if !held.contains(&organisation_id) {
            placed.push(Placed {
                organisation_id,
                name: row.get(1)?,
                tier: row.get(2)?,
                created_at_ms: row.get(3)?,
            });
        }
    }
    Ok(placed)
}

/// A partner whose tier was set by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Held {
    /// The partner.
    pub organisation_id: String,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: String,
}

/// Partners that rules leave alone.
pub async fn list_held(connection: &Connection) -> Result<Vec<Held>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT o.organisation_id, o.name, o.tier FROM tier_holds h
             JOIN organisations o ON o.organisation_id = h.organisation_id ORDER BY o.name LIMIT 500",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Held {
                organisation_id: row.get(0)?,
                name: row.get(1)?,
                tier: row.get(2)?,
            })
        })
        .collect()
}

/// A move of a partner from one tier to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TierChange {
    /// From.
    pub from: String,
    /// To.
    pub to: String,
    /// Whether rules moved it, not a person.
    pub is_by_rules: bool,
    /// Why.
    pub why: String,
    /// When.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub changed_at: i64,
}

/// A partner's moves, newest first.
pub async fn list_changes(
    connection: &Connection,
    organisation_id: OrganisationId,
) -> Result<Vec<TierChange>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT from_tier, to_tier, is_by_rules, why, changed_at_ms FROM tier_changes
             WHERE organisation_id = $1 ORDER BY tier_change_id DESC LIMIT 200",
            params![organisation_id],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(TierChange {
                from: row.get(0)?,
                to: row.get(1)?,
                is_by_rules: row.get(2)?,
                why: row.get(3)?,
                changed_at: row.get(4)?,
            })
        })
        .collect()
}

/// Notes a move. One by hand is kept by rules until it is released. Call it inside the transaction of the move.
pub async fn note_change(
    context: &Context,
    organisation_id: OrganisationId,
    from: &str,
    to: &str,
    why: Option<&str>,
) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    connection
        .execute(
            "INSERT INTO tier_changes (tier_change_id, organisation_id, from_tier, to_tier, is_by_rules, why,
                changed_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params![
                context.new_id(EventId::new),
                organisation_id,
                from,
                to,
                i64::from(why.is_some()),
                why.unwrap_or("set by hand"),
                context.now_ms
            ],
        )
        .await?;
    if why.is_none() {
        connection
            .execute(
                "INSERT INTO tier_holds (organisation_id, held_at_ms) VALUES ($1, $2)
                 ON CONFLICT (organisation_id) DO NOTHING",
                params![organisation_id, context.now_ms],
            )
            .await?;
    }
    Ok(())
}

/// The address of the member of staff who looks after a partner.
pub async fn owner_email(
    connection: &Connection,
    organisation_id: OrganisationId,
) -> Result<Option<String>, DatabaseError> {
    connection
        .query_optional(
            "SELECT p.email FROM organisations o JOIN tiers t ON t.tier = o.tier
             JOIN people p ON p.person_id = t.owner
             WHERE o.organisation_id = $1 AND p.disabled_at IS NULL",
            params![organisation_id],
        )
        .await?
        .map(|row| row.get(0))
        .transpose()
}

/// Names of the operator's staff, by id.
pub async fn list_staff(
    connection: &Connection,
) -> Result<BTreeMap<String, String>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT DISTINCT p.person_id, CASE WHEN p.name = '' THEN p.email ELSE p.name END
             FROM operator_members o JOIN people p ON p.person_id = o.person_id
             WHERE p.disabled_at IS NULL",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}
