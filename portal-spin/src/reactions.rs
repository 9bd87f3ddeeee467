//! What follows in one domain from something that happened in another.
//!
//! Each function is called inside the transaction of the event. A domain that wants to react adds its
//! call here, so that the domain where it happened does not need to know.

use shared::ids::OrganisationId;

use crate::context::Context;
use crate::database::DatabaseError;

/// An organisation has registered and its first owner is verified.
pub async fn organisation_created(
    _context: &Context,
    _organisation_id: OrganisationId,
) -> Result<(), DatabaseError> {
    Ok(())
}

/// What an organisation may do in production may have changed: an agreement was accepted, a grace
/// period began or ended, it was suspended or released. The edges must learn of it.
pub async fn standing_changed(
    _context: &Context,
    _organisation_id: OrganisationId,
) -> Result<(), DatabaseError> {
    Ok(())
}
