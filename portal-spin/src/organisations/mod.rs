//! People, organisations, and how a person gets in: registration, sessions, membership, roles.
//!
//! Owns people, registrations, sessions, organisations, members, invitations and the operator's staff.
//! Does not own what an organisation does in the programme: agreements, apps and subscriptions are
//! domains of their own, which learn of a new organisation through [`crate::reactions`].

pub mod closing;
#[cfg(test)]
mod closing_tests;
mod devices;
pub mod export;
pub mod invitations;
pub mod language;
pub mod log_in;
pub mod members;
mod model;

#[cfg(test)]
mod crash_tests;
pub mod operator;
pub mod organisation_pages;
pub mod pages;
pub mod passwords;
pub mod recovery;
pub mod registration;
#[cfg(test)]
mod resumability_tests;
pub mod routes;
pub mod second_factor;
pub mod sessions;
pub mod store;
#[cfg(test)]
mod tests;
pub mod verification;

pub use model::{Faults, MemberRole, OperatorRole, normalise_email};
