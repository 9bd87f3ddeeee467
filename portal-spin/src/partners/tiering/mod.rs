//! Tiers by rules over a partner's numbers: what it takes, who would move and why, the move, its history, and
//! what a tier grants.
//!
//! Owns the rules and the moves. Does not own the numbers (`analytics`), nor what tiers there are (`kinds`).

mod pages;
mod routes;
mod rules;
mod run;
mod store;
#[cfg(test)]
mod tests;

pub use pages::*;
pub use routes::*;
pub use rules::TierRules;
pub use run::run_due;
pub use store::{list_changes, note_change, owner_email};
