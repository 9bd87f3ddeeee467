//! Billing: prices, and what usage costs.
//!
//! Owns prices and their JSON, rating, billing periods, proration, invoices and
//! their runs, credit, coupons, taxes and payment. Rating and composing are pure
//! functions of stored inputs; SQL is in `accounts`, `coupons`, `facts`, `inputs`,
//! `issuing`, `readings`, `run`, `store`, `taxes` and `wallet`. Owns no metering: quantities come from
//! `metering`.

pub mod accounts;
mod alerts;
pub mod charges;
pub mod coupons;
pub mod decimal;
mod distinct_json;
mod documents;
pub mod drafts;
pub mod dunning;
pub mod explanation;
mod facts;
mod gather;
mod inputs;
pub mod invoice;
mod issuing;
pub mod items;
mod notices;
mod operator_pages;
mod operator_routes;
mod pages;
mod part_price;
mod payments;
pub mod period;
pub mod price;
mod price_json;
pub mod proration;
pub mod rating;
mod readings;
mod routes;
mod run;
pub mod shadow;
pub mod store;
mod stripe;
pub mod taxes;
pub mod timeline;
pub mod wallet;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod example_tests;
#[cfg(test)]
mod installation_tests;
#[cfg(test)]
mod money_tests;
#[cfg(test)]
mod payment_tests;
#[cfg(test)]
mod period_tests;
#[cfg(test)]
mod period_zone_tests;
#[cfg(test)]
mod preview_tests;
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
#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod stripe_mock_tests;
#[cfg(test)]
pub mod test_scene;
#[cfg(test)]
mod told_tests;
#[cfg(test)]
mod zone_tests;

pub use accounts::is_suspended_for_payment;
pub use alerts::send_alerts;
pub use coupons::CouponRequest;
pub use distinct_json::{deserialize_distinct, read_distinct};
pub use dunning::run_dunning;
pub use operator_pages::*;
pub use operator_routes::*;
pub use pages::{
    show_billing, show_invoice, show_shadow_invoice, submit_billing_account, submit_coupon,
};
pub use payments::{push_payments, receive_stripe_event};
pub use price::{FieldProblem, Price};
pub use price_json::{read_quantity, read_whole};
pub use rating::{RatedLine, Usage, rate, rate_increment};
pub use routes::*;
pub use run::run_billing;
pub use taxes::TaxRateRequest;
