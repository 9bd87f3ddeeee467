//! What follows in one domain from something that happened in another.
//!
//! Each function is called inside the transaction of the event. A domain that wants to react adds its
//! call here, so that the domain where it happened does not need to know.

use shared::ids::OrganisationId;

use crate::context::Context;
use crate::database::DatabaseError;
use crate::edges;
use crate::organisations::organisation_pages::NextStep;
use crate::params;

/// An organisation has registered and its first owner is verified.
pub async fn organisation_created(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<(), DatabaseError> {
    edges::publish_standing(context, organisation_id).await
}

/// What an organisation may do in production may have changed: an agreement was accepted, a grace
/// period began or ended, it was suspended or released. The edges must learn of it.
pub async fn standing_changed(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<(), DatabaseError> {
    edges::publish_standing(context, organisation_id).await
}

/// What a new organisation does next in other domains, for the list on its page.
pub async fn next_steps(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<Vec<NextStep>, DatabaseError> {
    let row = context
        .connection
        .query_one(
            "SELECT COUNT(*), MIN(app_id) FROM apps
             WHERE organisation_id = $1 AND deleted_at_ms IS NULL",
            params![organisation_id],
        )
        .await?;
    let first: Option<String> = row.get(1)?;
    Ok(vec![NextStep {
        label: "Create an app and make the first call".to_owned(),
        href: first.map_or_else(
            || format!("/organisations/{organisation_id}/apps"),
            |app_id| format!("/apps/{app_id}"),
        ),
        hint: "Its test key works in the sandbox at once.".to_owned(),
        is_done: row.get::<i64>(0)? > 0,
    }])
}
