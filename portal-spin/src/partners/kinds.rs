//! Partner types and tiers: the operator's own lists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit;
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::params;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, whole};
use crate::web::{Failure, response};

/// A partner type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PartnerType {
    /// Its name in URLs, rules and CSV files.
    pub partner_type: String,
    /// Its name for people.
    pub name: String,
    /// Whom it is for.
    pub description: String,
    /// Whether new organisations get it.
    pub is_default: bool,
    /// Whether it sees products that the matrix does not mention.
    pub is_open_by_default: bool,
    /// How many organisations have it.
    pub organisations: i64,
}

/// All partner types.
pub type PartnerTypeList = PageOf<PartnerType>;

/// A tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tier {
    /// Its name in URLs, rules and CSV files.
    pub tier: String,
    /// Its name for people.
    pub name: String,
    /// What it takes to be in it.
    pub description: String,
    /// Its place, lowest first.
    pub position: i64,
    /// Whether new organisations get it.
    pub is_default: bool,
    /// How many organisations have it.
    pub organisations: i64,
}

/// All tiers.
pub type TierList = PageOf<Tier>;

/// What a partner type is given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartnerTypeBody {
    /// Its name for people.
    pub name: String,
    /// Whom it is for.
    #[serde(default)]
    pub description: String,
    /// Whether new organisations get it; the type that had this loses it.
    #[serde(default)]
    pub is_default: bool,
    /// Whether it sees products that the matrix does not mention; without, yes.
    #[serde(default)]
    pub is_open_by_default: Option<bool>,
}

/// What a tier is given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierBody {
    /// Its name for people.
    pub name: String,
    /// What it takes to be in it.
    #[serde(default)]
    pub description: String,
    /// Its place, lowest first.
    #[serde(default)]
    pub position: i64,
    /// Whether new organisations get it; the tier that had this loses it.
    #[serde(default)]
    pub is_default: bool,
}

/// Every partner type.
pub async fn partner_types(connection: &Connection) -> Result<Vec<PartnerType>, DatabaseError> {
    connection
        .query(
            "SELECT t.partner_type, t.name, t.description, t.is_default, t.is_open_by_default,
                (SELECT COUNT(*) FROM registered_organisations o WHERE o.partner_type = t.partner_type)
             FROM partner_types t ORDER BY t.name, t.partner_type",
            vec![],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(PartnerType {
                partner_type: row.get(0)?,
                name: row.get(1)?,
                description: row.get(2)?,
                is_default: row.get(3)?,
                is_open_by_default: row.get(4)?,
                organisations: row.get(5)?,
            })
        })
        .collect()
}

/// Every tier.
pub async fn tiers(connection: &Connection) -> Result<Vec<Tier>, DatabaseError> {
    connection
        .query(
            "SELECT t.tier, t.name, t.description, t.position, t.is_default,
                (SELECT COUNT(*) FROM registered_organisations o WHERE o.tier = t.tier)
             FROM tiers t ORDER BY t.position, t.tier",
            vec![],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(Tier {
                tier: row.get(0)?,
                name: row.get(1)?,
                description: row.get(2)?,
                position: row.get(3)?,
                is_default: row.get(4)?,
                organisations: row.get(5)?,
            })
        })
        .collect()
}

/// A name in URLs, rules and files: lower-case letters, digits and single hyphens.
fn check_slug(field: &str, slug: &str) -> Result<(), Failure> {
    let is_fine = (1..=40).contains(&slug.len())
        && !slug.starts_with('-')
        && !slug.ends_with('-')
        && slug
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_fine {
        return Ok(());
    }
    Err(Failure::field(
        field,
        "malformed",
        "Use 1 to 40 lower-case letters, digits and hyphens.",
    ))
}

fn check_texts(name: &str, description: &str) -> Result<(), Failure> {
    let mut faults = crate::organisations::Faults::default();
    faults.name("name", name);
    if description.chars().count() > 500 {
        faults.add("description", "too_long", "Use at most 500 characters.");
    }
    faults.check()
}

/// `GET /api/v1/operator/partner-types`
pub async fn list_partner_types(context: &Context) -> Outcome {
    let items = partner_types(&context.connection).await?;
    response::ok(&whole(context, items, |item| item.partner_type.clone())?)
}

/// `PUT /api/v1/operator/partner-types/{partner_type}`: makes or changes one.
pub async fn put_partner_type(context: &Context) -> Outcome {
    let body: PartnerTypeBody = context.json()?;
    save_partner_type(context, context.path_text("partner_type"), &body).await?;
    list_partner_types(context).await
}

/// Makes or changes a partner type. Subscriptions of its partners follow a changed default.
pub async fn save_partner_type(
    context: &Context,
    slug: &str,
    body: &PartnerTypeBody,
) -> Result<(), Failure> {
    check_slug("partner_type", slug)?;
    check_texts(&body.name, &body.description)?;
    let connection = &context.connection;
    connection
        .transaction(async || {
            if body.is_default {
                connection
                    .execute(
                        "UPDATE partner_types SET is_default = 0 WHERE partner_type <> $1",
                        params![slug],
                    )
                    .await?;
            }
            let is_open = body.is_open_by_default.map(i64::from);
            connection
                .execute(
                    "INSERT INTO partner_types (partner_type, name, description, is_default,
                        is_open_by_default, created_at_ms)
                     VALUES ($1, $2, $3, $4, COALESCE($5, CAST(1 AS BIGINT)), $6)
                     ON CONFLICT (partner_type) DO UPDATE SET name = excluded.name,
                        description = excluded.description,
                        is_default = CASE WHEN excluded.is_default = 1 THEN 1 ELSE partner_types.is_default END,
                        is_open_by_default = COALESCE($5, partner_types.is_open_by_default)",
                    params![
                        slug,
                        body.name.trim(),
                        body.description.trim(),
                        i64::from(body.is_default),
                        is_open,
                        context.now_ms
                    ],
                )
                .await?;
            let detail = serde_json::json!({
                "name": body.name, "is_default": body.is_default, "is_open_by_default": body.is_open_by_default,
            });
            audit::record(context, None, "partner_type.saved", slug, detail).await?;
            super::matrix::follow(context, super::matrix::Whose::Type(slug)).await?;
            Ok(())
        })
        .await
}

/// `DELETE /api/v1/operator/partner-types/{partner_type}`
pub async fn delete_partner_type(context: &Context) -> Outcome {
    remove_partner_type(context, context.path_text("partner_type")).await?;
    Ok(response::no_content())
}

/// Removes a partner type that no organisation and no invitation has.
pub async fn remove_partner_type(context: &Context, slug: &str) -> Result<(), Failure> {
    let connection = &context.connection;
    connection
        .transaction(async || {
            let row = connection
                .query_optional(
                    "SELECT is_default,
                        (SELECT COUNT(*) FROM registered_organisations o WHERE o.partner_type = t.partner_type)
                        + (SELECT COUNT(*) FROM programme_invitations i WHERE i.partner_type = t.partner_type
                            AND i.accepted_at_ms IS NULL AND i.revoked_at_ms IS NULL)
                     FROM partner_types t WHERE partner_type = $1",
                    params![slug],
                )
                .await?
                .ok_or_else(Failure::not_found)?;
            check_removable(row.get(0)?, row.get(1)?)?;
            audit::record(context, None, "partner_type.removed", slug, serde_json::json!({})).await?;
            for sql in [
                "DELETE FROM access_cells WHERE partner_type = $1",
                "DELETE FROM partner_types WHERE partner_type = $1",
            ] {
                connection.execute(sql, params![slug]).await?;
            }
            Ok(())
        })
        .await
}

fn check_removable(is_default: bool, uses: i64) -> Result<(), Failure> {
    if is_default {
        return Err(Failure::conflict(
            "is_default",
            "New organisations get this one. Make another the default first.",
        ));
    }
    if uses > 0 {
        return Err(Failure::conflict(
            "in_use",
            format!("{uses} organisations or open invitations have it. Give them another first."),
        ));
    }
    Ok(())
}

/// `GET /api/v1/operator/tiers`
pub async fn list_tiers(context: &Context) -> Outcome {
    let items = tiers(&context.connection).await?;
    response::ok(&whole(context, items, |item| item.tier.clone())?)
}

/// `PUT /api/v1/operator/tiers/{tier}`: makes or changes one.
pub async fn put_tier(context: &Context) -> Outcome {
    let body: TierBody = context.json()?;
    save_tier(context, context.path_text("tier"), &body).await?;
    list_tiers(context).await
}

/// Makes or changes a tier.
pub async fn save_tier(context: &Context, slug: &str, body: &TierBody) -> Result<(), Failure> {
    check_slug("tier", slug)?;
    check_texts(&body.name, &body.description)?;
    let connection = &context.connection;
    connection
        .transaction(async || {
            if body.is_default {
                connection
                    .execute("UPDATE tiers SET is_default = 0 WHERE tier <> $1", params![slug])
                    .await?;
            }
            connection
                .execute(
                    "INSERT INTO tiers (tier, name, description, position, is_default, created_at_ms)
                     VALUES ($1, $2, $3, $4, $5, $6)
                     ON CONFLICT (tier) DO UPDATE SET name = excluded.name,
                        description = excluded.description, position = excluded.position,
                        is_default = CASE WHEN excluded.is_default = 1 THEN 1 ELSE tiers.is_default END",
                    params![
                        slug,
                        body.name.trim(),
                        body.description.trim(),
                        body.position,
                        i64::from(body.is_default),
                        context.now_ms
                    ],
                )
                .await?;
            let detail = serde_json::json!({ "name": body.name, "is_default": body.is_default });
            audit::record(context, None, "tier.saved", slug, detail).await?;
            Ok(())
        })
        .await
}

/// `DELETE /api/v1/operator/tiers/{tier}`
pub async fn delete_tier(context: &Context) -> Outcome {
    remove_tier(context, context.path_text("tier")).await?;
    Ok(response::no_content())
}

/// Removes a tier that no organisation and no invitation has.
pub async fn remove_tier(context: &Context, slug: &str) -> Result<(), Failure> {
    let connection = &context.connection;
    connection
        .transaction(async || {
            let row = connection
                .query_optional(
                    "SELECT is_default, (SELECT COUNT(*) FROM organisations o WHERE o.tier = t.tier)
                        + (SELECT COUNT(*) FROM programme_invitations i WHERE i.tier = t.tier
                            AND i.accepted_at_ms IS NULL AND i.revoked_at_ms IS NULL)
                     FROM tiers t WHERE tier = $1",
                    params![slug],
                )
                .await?
                .ok_or_else(Failure::not_found)?;
            check_removable(row.get(0)?, row.get(1)?)?;
            audit::record(context, None, "tier.removed", slug, serde_json::json!({})).await?;
            connection
                .execute("DELETE FROM tiers WHERE tier = $1", params![slug])
                .await?;
            Ok(())
        })
        .await
}
