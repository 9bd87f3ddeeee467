//! Webhooks: what happens is told to the endpoints of partners and of the operator, by the Standard
//! Webhooks specification.
//!
//! Owns endpoints, their secrets, the catalogue of events, the outbox with its tries, and the rule where
//! a delivery may go. Does not own what happens: [`crate::audit`] tells of every record whose action is
//! in [`EVENTS`], so an audited change needs nothing more than its row there. What is not audited calls
//! [`emit`] inside the transaction of the change:
//! `webhooks::emit(context, Some(organisation_id), "agreement.due", json!({…})).await?`.

pub(crate) mod address;
mod delivery;
mod endpoints;
mod events;
mod model;
mod outbox;
mod pages;
mod ping;
mod routes;
mod secrets;
mod signature;
mod store;

#[cfg(test)]
mod tests;

pub use address::check_address;
pub use delivery::send_due_deliveries;
pub use events::{Audience, EVENTS, EventType};
pub use model::EndpointView;
pub(crate) use outbox::emit_recorded;
pub use outbox::{drop_old_events, emit};
pub use pages::*;
pub use ping::{send_safely, sign_ping};
pub use routes::*;
pub use store::delete_of_organisation;
