//! An organisation's standing as edges need it: suspended or not, and which agreements it accepted.

use shared::feed::{Change, Organisation};
use shared::ids::OrganisationId;

use super::feed;
use crate::agreements::list_accepted_versions;
use crate::billing::is_suspended_for_payment;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::params;

/// Tells the edges an organisation's standing. Call it inside the transaction that changes it.
pub async fn publish_standing(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    let stopped_at: Option<i64> = connection
        .query_one(
            "SELECT COALESCE(suspended_at, closed_at) FROM organisations WHERE organisation_id = $1",
            params![organisation_id.to_string()],
        )
        .await?
        .get(0)?;
    let state = Organisation {
        organisation: organisation_id,
        // Staff may suspend an organisation, an owner close it, and an invoice may be overdue for too long.
        suspended: stopped_at.is_some()
            || is_suspended_for_payment(connection, organisation_id).await?,
        accepted: list_accepted_versions(connection, organisation_id).await?,
    };
    feed::publish(connection, context.now_ms, &Change::Organisation(state)).await?;
    Ok(())
}
