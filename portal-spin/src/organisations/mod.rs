//! People, organisations, and how a person gets in: registration, sessions, membership, roles.
//!
//! Owns people, registrations, sessions, organisations, members, invitations and the operator's staff.
//! Does not own what an organisation does in the programme: agreements, apps and subscriptions are
//! domains of their own, which learn of a new organisation through [`crate::reactions`].

mod model;
pub mod passwords;
pub mod sessions;

pub use model::{MemberRole, OperatorRole};
