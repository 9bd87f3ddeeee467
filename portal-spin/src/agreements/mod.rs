//! Agreements: versioned documents, their acceptance, and the evidence of it.
//!
//! Owns documents, published versions, acceptances and their hash chain, reminders, and the rule that
//! says what an organisation still has to accept. Does not own what follows at the gateway: `edges` is
//! told through the feed, and decides there with the same rule (`shared::feed::Agreement::required_at`).

pub mod acceptance;
pub mod evidence;
mod model;
pub mod pages;
pub mod publishing;
pub mod routes;
pub mod signing;
#[cfg(test)]
mod standing_properties;
pub mod store;
#[cfg(test)]
mod tests;

pub use evidence::{EvidenceError, verify_evidence};
pub use model::{Kind, State, Version};
pub use store::list_accepted_versions;
