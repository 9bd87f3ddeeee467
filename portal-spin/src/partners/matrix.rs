//! The access matrix as the operator edits it, and what follows for standing subscriptions.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{OrganisationId, ProductId};

use super::reach::Reach;
use crate::audit;
use crate::catalogue;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails;
use crate::organisations::{MemberRole, store};
use crate::params;
use crate::routes::Outcome;
use crate::subscriptions;
use crate::web::{Failure, response};

/// One cell: what a partner type may see or get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AccessCell {
    /// The partner type.
    pub partner_type: String,
    /// The product.
    pub product_id: String,
    /// The plan's slug, for all its versions; empty for the product as a whole.
    pub plan_slug: String,
    /// Whether it is open.
    pub is_open: bool,
}

/// The cells that were set. Where none is, a product follows its type's default, a plan its product.
#[derive(Serialize, JsonSchema)]
pub struct AccessMatrix {
    /// By type and product.
    pub cells: Vec<AccessCell>,
}

/// A cell to set.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CellBody {
    /// The product.
    pub product_id: String,
    /// The plan's slug; without, the product as a whole.
    #[serde(default)]
    pub plan_slug: String,
    /// Open or closed; null clears the cell.
    pub is_open: Option<bool>,
}

/// Cells of one partner type to set; others stay.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatrixBody {
    /// The cells.
    pub cells: Vec<CellBody>,
}

/// What a change of the matrix, or of an organisation's type, did to standing subscriptions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Consequences {
    /// Subscriptions whose credentials the gateway refuses from now on.
    pub subscriptions_barred: u64,
    /// Subscriptions that work again.
    pub subscriptions_opened: u64,
}

/// `GET /api/v1/operator/access-matrix`
pub async fn show_access_matrix(context: &Context) -> Outcome {
    let cells = list_cells(context).await?;
    response::ok(&AccessMatrix { cells })
}

/// Every cell that was set.
pub async fn list_cells(context: &Context) -> Result<Vec<AccessCell>, DatabaseError> {
    context
        .connection
        .query(
            "SELECT partner_type, product_id, plan_slug, is_open FROM access_cells
             ORDER BY partner_type, product_id, plan_slug",
            vec![],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(AccessCell {
                partner_type: row.get(0)?,
                product_id: row.get(1)?,
                plan_slug: row.get(2)?,
                is_open: row.get(3)?,
            })
        })
        .collect()
}

/// `PATCH /api/v1/operator/access-matrix/{partner_type}`
pub async fn change_access_matrix(context: &Context) -> Outcome {
    let body: MatrixBody = context.json()?;
    let done = set_cells(context, context.path_text("partner_type"), &body.cells).await?;
    response::ok(&done)
}

/// Sets cells of one partner type; the gateway follows at once.
pub async fn set_cells(
    context: &Context,
    partner_type: &str,
    cells: &[CellBody],
) -> Result<Consequences, Failure> {
    let connection = &context.connection;
    let known = connection
        .query_optional(
            "SELECT 1 FROM partner_types WHERE partner_type = $1",
            params![partner_type],
        )
        .await?;
    if known.is_none() {
        return Err(Failure::not_found());
    }
    for cell in cells {
        check_cell(context, cell).await?;
    }
    connection
        .transaction(async || {
            for cell in cells {
                let place = params![
                    partner_type,
                    cell.product_id.as_str(),
                    cell.plan_slug.as_str()
                ];
                let sql = match cell.is_open {
                    Some(true) => {
                        "INSERT INTO access_cells (partner_type, product_id, plan_slug, is_open)
                         VALUES ($1, $2, $3, 1)
                         ON CONFLICT (partner_type, product_id, plan_slug) DO UPDATE SET is_open = 1"
                    }
                    Some(false) => {
                        "INSERT INTO access_cells (partner_type, product_id, plan_slug, is_open)
                         VALUES ($1, $2, $3, 0)
                         ON CONFLICT (partner_type, product_id, plan_slug) DO UPDATE SET is_open = 0"
                    }
                    None => {
                        "DELETE FROM access_cells
                         WHERE partner_type = $1 AND product_id = $2 AND plan_slug = $3"
                    }
                };
                connection.execute(sql, place).await?;
            }
            let detail: Vec<_> = cells
                .iter()
                .map(|cell| {
                    serde_json::json!({
                        "product_id": cell.product_id, "plan_slug": cell.plan_slug, "is_open": cell.is_open,
                    })
                })
                .collect();
            let detail = serde_json::json!({ "cells": detail });
            audit::record(context, None, "access_matrix.changed", partner_type, detail).await?;
            Ok(follow(context, Whose::Type(partner_type)).await?)
        })
        .await
}

async fn check_cell(context: &Context, cell: &CellBody) -> Result<(), Failure> {
    let connection = &context.connection;
    let unknown = || {
        let detail = format!("No product has the id `{}`.", cell.product_id);
        Failure::field("product_id", "unknown_value", detail)
    };
    let product_id: ProductId = cell.product_id.parse().map_err(|_| unknown())?;
    catalogue::find_product(connection, product_id)
        .await?
        .ok_or_else(unknown)?;
    let plans = catalogue::list_all_plans(connection, product_id).await?;
    if cell.plan_slug.is_empty() || plans.iter().any(|plan| plan.slug == cell.plan_slug) {
        return Ok(());
    }
    let detail = format!("The product has no plan `{}`.", cell.plan_slug);
    Err(Failure::field("plan_slug", "unknown_value", detail))
}

/// Whose subscriptions are looked at again.
#[derive(Debug, Clone, Copy)]
pub enum Whose<'a> {
    /// Of every organisation of a partner type.
    Type(&'a str),
    /// Of one organisation.
    Organisation(OrganisationId),
}

const STANDING: &str =
    "SELECT s.subscription_id, s.barred_at_ms, a.organisation_id, s.plan_id, pr.name
    FROM subscriptions s JOIN apps a ON a.app_id = s.app_id
    JOIN organisations o ON o.organisation_id = a.organisation_id
    JOIN products pr ON pr.product_id = s.product_id
    WHERE s.cancelled_at_ms IS NULL";

/// Bars and opens standing subscriptions as the matrix now says, tells the edges and the owners. Call
/// it inside the transaction of the change, after its audit record.
pub async fn follow(context: &Context, whose: Whose<'_>) -> Result<Consequences, DatabaseError> {
    let connection = &context.connection;
    let rows = match whose {
        Whose::Type(partner_type) => {
            let sql = format!("{STANDING} AND o.partner_type = $1 ORDER BY s.subscription_id");
            connection.query(&sql, params![partner_type]).await?
        }
        Whose::Organisation(organisation_id) => {
            let sql = format!("{STANDING} AND o.organisation_id = $1 ORDER BY s.subscription_id");
            connection.query(&sql, params![organisation_id]).await?
        }
    };
    let mut done = Consequences::default();
    // One type's organisations differ only in their private plans, so the matrix is read once for each.
    let mut reaches: BTreeMap<OrganisationId, Reach> = BTreeMap::new();
    let mut told: BTreeMap<OrganisationId, Vec<(String, bool)>> = BTreeMap::new();
    for row in rows {
        let was_barred = row.get::<Option<i64>>(1)?.is_some();
        let organisation_id: OrganisationId = row.parse(2)?;
        if let Entry::Vacant(unread) = reaches.entry(organisation_id) {
            unread.insert(Reach::of_organisation(connection, organisation_id).await?);
        }
        let Some(plan) = catalogue::find_plan(connection, row.parse(3)?).await? else {
            continue;
        };
        let is_open = reaches
            .get(&organisation_id)
            .is_some_and(|reach| reach.keeps(&plan));
        if is_open != was_barred {
            continue;
        }
        subscriptions::publish_again(context, row.parse(0)?).await?;
        if is_open {
            done.subscriptions_opened += 1;
        } else {
            done.subscriptions_barred += 1;
        }
        told.entry(organisation_id)
            .or_default()
            .push((row.get(4)?, is_open));
    }
    for (organisation_id, mut changes) in told {
        changes.sort();
        changes.dedup();
        tell(context, organisation_id, &changes).await?;
    }
    Ok(done)
}

async fn tell(
    context: &Context,
    organisation_id: OrganisationId,
    changes: &[(String, bool)],
) -> Result<(), DatabaseError> {
    let lines: Vec<String> = changes
        .iter()
        .map(|(product, is_open)| {
            if *is_open {
                format!("{product}: credentials work again.")
            } else {
                format!("{product}: no longer open to your organisation, so calls are refused.")
            }
        })
        .collect();
    let link = format!(
        "{}/organisations/{organisation_id}",
        context.configuration().public_url
    );
    let changes = lines.join("\n");
    let values = [("changes", changes.as_str()), ("link", &link)];
    let owners = [MemberRole::Owner, MemberRole::Developer];
    for to in store::list_member_emails(&context.connection, organisation_id, &owners).await? {
        emails::send(context, "access-changed", &to, &values).await?;
    }
    Ok(())
}
