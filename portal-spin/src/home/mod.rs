//! The first pages behind the log-in: what a partner does next, and what waits for the operator.
//!
//! Owns the way to the first call and the counts on both pages. Does not own any object: every number is
//! a question to the domain's tables, and a link to the page that lists what it counts.

mod operator;
mod partner;
mod store;

#[cfg(test)]
mod tests;

pub use operator::{OperatorHome, read_operator_home, show_operator_home};
pub(crate) use partner::example_path;
pub use partner::{Activity, issue_first_key, show_activity, show_partner_home};
