//! Billing: prices, and what usage costs.
//!
//! Owns prices and their JSON, rating, billing periods, proration and the rules
//! of invoices, all as pure functions of their arguments. Owns no metering (the
//! quantities come from `metering`), no clock and no SQL.

pub mod decimal;
pub mod explanation;
pub mod period;
pub mod price;
mod price_json;
pub mod proration;
pub mod rating;

#[cfg(test)]
mod period_tests;
#[cfg(test)]
mod price_tests;
#[cfg(test)]
mod published_examples;
#[cfg(test)]
mod rating_properties;
#[cfg(test)]
mod rating_tests;
#[cfg(test)]
mod reference;

pub use price::{FieldProblem, Price};
pub use price_json::{read_quantity, read_whole};
pub use rating::{RatedLine, Usage, rate, rate_increment};
