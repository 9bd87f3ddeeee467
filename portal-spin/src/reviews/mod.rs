//! Reviews: the way of a listing from draft to publication, and what stops it again.
//!
//! Owns submissions and their states, the published rules and what they find, the four tracks, decisions
//! with their grounds, the queue and the thread. Does not own what a listing says (`listings`), tokens
//! (`oauth`) nor the pages that customers browse (`directory`).

mod assignments;
mod desk;
mod facts;
mod gathering;
pub mod machine;
mod operator_pages;
mod operator_routes;
mod partner_pages;
mod partner_routes;
mod reasons;
mod rule_checks;
pub mod rules;
mod service;
mod store;
mod tracks;

#[cfg(test)]
mod assignment_tests;
#[cfg(test)]
mod rule_tests;
#[cfg(test)]
mod service_tests;
#[cfg(test)]
mod tests;

pub use assignments::*;
pub use desk::*;
pub use operator_pages::*;
pub use operator_routes::*;
pub use partner_pages::*;
pub use partner_routes::*;
pub use reasons::*;
pub use service::apply_deadlines;
pub use tracks::Track;
