//! An organisation's type, tier and tags, as the operator sets them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::OrganisationId;

use super::matrix::{Consequences, Whose, follow};
use super::tiering::note_change;
use crate::audit;
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::organisations::store::find_organisation;
use crate::params;
use crate::routes::Outcome;
use crate::web::{Failure, response};

/// What the operator sets on an organisation; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributesBody {
    /// Its partner type.
    #[serde(default)]
    pub partner_type: Option<String>,
    /// Its tier.
    #[serde(default)]
    pub tier: Option<String>,
    /// All of its tags.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
}

/// An organisation as the operator sorts it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AttributesView {
    /// The organisation.
    pub organisation_id: String,
    /// Its name.
    pub name: String,
    /// Its partner type.
    pub partner_type: String,
    /// Its tier.
    pub tier: String,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// What the change did to its subscriptions.
    #[serde(flatten)]
    pub consequences: Consequences,
}

/// Tags of an organisation, sorted.
pub async fn list_tags(
    connection: &Connection,
    organisation_id: OrganisationId,
) -> Result<Vec<String>, DatabaseError> {
    connection
        .query(
            "SELECT tag FROM organisation_tags WHERE organisation_id = $1 ORDER BY tag",
            params![organisation_id],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// Tags as they are kept: lower case, no spaces around, each once; at most 20.
pub fn clean_tags<'a>(given: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, Failure> {
    let mut tags: Vec<String> = given
        .into_iter()
        .map(|tag| tag.trim().to_lowercase())
        .filter(|tag| !tag.is_empty())
        .collect();
    tags.sort();
    tags.dedup();
    let is_fine = |tag: &String| {
        tag.chars().count() <= 40
            && tag
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    if let Some(bad) = tags.iter().find(|tag| !is_fine(tag)) {
        return Err(Failure::field(
            "tags",
            "malformed",
            format!("`{bad}`: use at most 40 letters, digits, hyphens, underscores and dots."),
        ));
    }
    if tags.len() > 20 {
        return Err(Failure::field(
            "tags",
            "too_many",
            "Use at most 20 tags for an organisation.",
        ));
    }
    Ok(tags)
}

/// Replaces an organisation's tags. Call it inside a transaction.
pub(super) async fn write_tags(
    connection: &Connection,
    organisation_id: OrganisationId,
    tags: &[String],
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "DELETE FROM organisation_tags WHERE organisation_id = $1",
            params![organisation_id],
        )
        .await?;
    for tag in tags {
        connection
            .execute(
                "INSERT INTO organisation_tags (organisation_id, tag) VALUES ($1, $2)",
                params![organisation_id, tag],
            )
            .await?;
    }
    Ok(())
}

/// Fails unless the operator has defined the type.
pub(super) async fn check_partner_type(context: &Context, slug: &str) -> Result<(), Failure> {
    check_defined(
        context,
        "SELECT 1 FROM partner_types WHERE partner_type = $1",
        "partner_type",
        slug,
    )
    .await
}

/// Fails unless the operator has defined the tier.
pub(super) async fn check_tier(context: &Context, slug: &str) -> Result<(), Failure> {
    check_defined(context, "SELECT 1 FROM tiers WHERE tier = $1", "tier", slug).await
}

async fn check_defined(
    context: &Context,
    sql: &str,
    field: &str,
    slug: &str,
) -> Result<(), Failure> {
    match context
        .connection
        .query_optional(sql, params![slug])
        .await?
    {
        Some(_) => Ok(()),
        None => Err(Failure::field(
            field,
            "unknown_value",
            format!("There is no `{slug}` in this programme. Define it first."),
        )),
    }
}

/// `GET /api/v1/operator/organisations/{organisation_id}`
pub async fn show_attributes(context: &Context) -> Outcome {
    let organisation_id = context.path_id("organisation_id")?;
    response::ok(&view(context, organisation_id, Consequences::default()).await?)
}

async fn view(
    context: &Context,
    organisation_id: OrganisationId,
    consequences: Consequences,
) -> Result<AttributesView, Failure> {
    let organisation = find_organisation(&context.connection, organisation_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    Ok(AttributesView {
        organisation_id: organisation_id.to_string(),
        name: organisation.name,
        partner_type: organisation.partner_type,
        tier: organisation.tier,
        tags: list_tags(&context.connection, organisation_id).await?,
        consequences,
    })
}

/// `PATCH /api/v1/operator/organisations/{organisation_id}`
pub async fn change_attributes(context: &Context) -> Outcome {
    let body: AttributesBody = context.json()?;
    let view = set_attributes(context, context.path_id("organisation_id")?, &body).await?;
    response::ok(&view)
}

/// Sets type, tier and tags. A change of type changes what the gateway lets through at once.
pub async fn set_attributes(
    context: &Context,
    organisation_id: OrganisationId,
    body: &AttributesBody,
) -> Result<AttributesView, Failure> {
    let connection = &context.connection;
    if let Some(partner_type) = &body.partner_type {
        check_partner_type(context, partner_type).await?;
    }
    if let Some(tier) = &body.tier {
        check_tier(context, tier).await?;
    }
    let tags = match &body.tags {
        Some(tags) => Some(clean_tags(tags.iter().map(String::as_str))?),
        None => None,
    };
    let before = find_organisation(connection, organisation_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let consequences = connection
        .transaction(async || {
            connection
                .execute(
                    "UPDATE organisations SET partner_type = COALESCE($1, partner_type),
                        tier = COALESCE($2, tier) WHERE organisation_id = $3",
                    params![
                        body.partner_type.clone(),
                        body.tier.clone(),
                        organisation_id
                    ],
                )
                .await?;
            if let Some(tier) = body.tier.as_ref().filter(|tier| **tier != before.tier) {
                note_change(context, organisation_id, &before.tier, tier, None).await?;
            }
            if let Some(tags) = &tags {
                write_tags(connection, organisation_id, tags).await?;
            }
            let detail = serde_json::json!({
                "partner_type": body.partner_type, "tier": body.tier, "tags": tags,
            });
            audit::record(
                context,
                Some(organisation_id),
                "organisation.sorted",
                &organisation_id.to_string(),
                detail,
            )
            .await?;
            follow(context, Whose::Organisation(organisation_id)).await
        })
        .await?;
    view(context, organisation_id, consequences).await
}
