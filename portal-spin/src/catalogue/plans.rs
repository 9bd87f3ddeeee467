//! Plan versions in the database.

use shared::feed::Change;
use shared::ids::{PlanId, ProductId};

use super::model::Plan;
use super::products::{from_json, to_json};
use crate::database::{Connection, DatabaseError, Row};
use crate::edges::feed;
use crate::params;

const COLUMNS: &str = "plan_id, product_id, slug, version, name, summary, position, is_default,
    private_organisation_id, terms, published_at_ms, withdrawn_at_ms, variant_of, overrides";

fn read(row: &Row) -> Result<Plan, DatabaseError> {
    Ok(Plan {
        id: row.parse(0)?,
        product_id: row.parse(1)?,
        slug: row.get(2)?,
        version: row.get(3)?,
        name: row.get(4)?,
        summary: row.get(5)?,
        position: row.get(6)?,
        is_default: row.get(7)?,
        private_organisation_id: row.parse_optional(8)?,
        terms: from_json(&row.get::<String>(9)?)?,
        published_at_ms: row.get(10)?,
        withdrawn_at_ms: row.get(11)?,
        variant_of: row.parse_optional(12)?,
        overrides: row
            .get::<Option<String>>(13)?
            .map(|text| from_json(&text))
            .transpose()?,
    })
}

/// Stores a draft, new or changed. A published version is never written again.
pub async fn put_draft(
    connection: &Connection,
    plan: &Plan,
    now_ms: i64,
) -> Result<bool, DatabaseError> {
    let changed = connection
        .execute(
            "INSERT INTO plans (plan_id, product_id, slug, version, name, summary, position,
                is_default, private_organisation_id, terms, created_at_ms, variant_of, overrides)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (plan_id) DO UPDATE SET name = excluded.name, summary = excluded.summary,
                position = excluded.position, is_default = excluded.is_default,
                private_organisation_id = excluded.private_organisation_id, terms = excluded.terms,
                overrides = excluded.overrides
                WHERE plans.published_at_ms IS NULL",
            params![
                plan.id.to_string(),
                plan.product_id.to_string(),
                &plan.slug,
                plan.version,
                &plan.name,
                &plan.summary,
                plan.position,
                i64::from(plan.is_default),
                plan.private_organisation_id.map(|id| id.to_string()),
                to_json(&plan.terms)?,
                now_ms,
                plan.variant_of.map(|id| id.to_string()),
                plan.overrides.as_ref().map(to_json).transpose()?,
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// A plan version by id.
pub async fn find_plan(
    connection: &Connection,
    plan_id: PlanId,
) -> Result<Option<Plan>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM plans WHERE plan_id = $1");
    let row = connection
        .query_optional(&sql, params![plan_id.to_string()])
        .await?;
    row.as_ref().map(read).transpose()
}

/// The newest published version of the plan that this is a version of.
pub async fn find_newest_of(
    connection: &Connection,
    plan_id: PlanId,
) -> Result<Option<Plan>, DatabaseError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM plans WHERE published_at_ms IS NOT NULL AND (product_id, slug) IN
            (SELECT product_id, slug FROM plans WHERE plan_id = $1) ORDER BY version DESC LIMIT 1"
    );
    let row = connection
        .query_optional(&sql, params![plan_id.to_string()])
        .await?;
    row.as_ref().map(read).transpose()
}

/// The published version that stands before this one, if there is one.
pub async fn find_published_version(
    connection: &Connection,
    plan: &Plan,
) -> Result<Option<Plan>, DatabaseError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM plans WHERE product_id = $1 AND slug = $2 AND version < $3
            AND published_at_ms IS NOT NULL ORDER BY version DESC LIMIT 1"
    );
    let row = connection
        .query_optional(
            &sql,
            params![plan.product_id.to_string(), &plan.slug, plan.version],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Plan versions of a product by place and version; with `all`, drafts and withdrawn ones too.
pub async fn list(
    connection: &Connection,
    product_id: ProductId,
    all: bool,
) -> Result<Vec<Plan>, DatabaseError> {
    let condition = if all {
        ""
    } else {
        "AND published_at_ms IS NOT NULL AND withdrawn_at_ms IS NULL"
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM plans WHERE product_id = $1 {condition}
         ORDER BY position, slug, version DESC LIMIT 500"
    );
    let rows = connection
        .query(&sql, params![product_id.to_string()])
        .await?;
    rows.iter().map(read).collect()
}

/// The default plan of every self-service product in the catalogue.
pub async fn list_default_plans(connection: &Connection) -> Result<Vec<Plan>, DatabaseError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM plans WHERE is_default = 1 AND published_at_ms IS NOT NULL
            AND withdrawn_at_ms IS NULL AND private_organisation_id IS NULL
            AND product_id IN (SELECT product_id FROM products WHERE is_self_service = 1
                AND published_at_ms IS NOT NULL AND withdrawn_at_ms IS NULL)
         ORDER BY position, plan_id"
    );
    let plans: Vec<Plan> = connection
        .query(&sql, vec![])
        .await?
        .iter()
        .map(read)
        .collect::<Result<_, _>>()?;
    let mut firsts: Vec<Plan> = Vec::new();
    for plan in plans {
        if !firsts
            .iter()
            .any(|known| known.product_id == plan.product_id)
        {
            firsts.push(plan);
        }
    }
    Ok(firsts)
}

/// The highest version number of a plan; 0 where there is none.
pub async fn newest_version(
    connection: &Connection,
    product_id: ProductId,
    slug: &str,
) -> Result<u32, DatabaseError> {
    connection
        .query_one(
            "SELECT COALESCE(MAX(version), 0) FROM plans WHERE product_id = $1 AND slug = $2",
            params![product_id.to_string(), slug],
        )
        .await?
        .get(0)
}

/// Publishes a draft, withdraws the versions before it and tells the edges. Call it inside a
/// transaction.
pub async fn publish_plan(
    connection: &Connection,
    plan: &Plan,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "UPDATE plans SET withdrawn_at_ms = $4 WHERE product_id = $1 AND slug = $2
                AND version < $3 AND withdrawn_at_ms IS NULL AND published_at_ms IS NOT NULL",
            params![
                plan.product_id.to_string(),
                &plan.slug,
                plan.version,
                now_ms
            ],
        )
        .await?;
    if plan.is_default {
        connection
            .execute(
                "UPDATE plans SET is_default = 0 WHERE product_id = $1 AND slug <> $2",
                params![plan.product_id.to_string(), &plan.slug],
            )
            .await?;
    }
    connection
        .execute(
            "UPDATE plans SET published_at_ms = $2 WHERE plan_id = $1 AND published_at_ms IS NULL",
            params![plan.id.to_string(), now_ms],
        )
        .await?;
    feed::publish(connection, now_ms, &Change::Plan(plan.wire())).await?;
    Ok(())
}

/// Takes a plan version out of the catalogue. Who has it keeps it.
pub async fn withdraw(
    connection: &Connection,
    plan_id: PlanId,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "UPDATE plans SET withdrawn_at_ms = COALESCE(withdrawn_at_ms, $2) WHERE plan_id = $1",
            params![plan_id.to_string(), now_ms],
        )
        .await?;
    Ok(())
}
