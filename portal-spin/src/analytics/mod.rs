//! Analytics: what the programme brings, and where partners get stuck.
//!
//! Owns the sums of calls by partner, product, day, week and month (derived from the cells, made again
//! when a day changes), the first successes of each partner, what the programme costs, and the reports on
//! them. Reads what other
//! domains keep: registrations, acceptances, credentials, subscriptions, the audit log. Does not own
//! usage itself (`metering`) nor money (`billing`). A number has one definition, which stands beside it
//! and in docs/glossary.md.

mod at_step;
mod calendar;
mod chart;
mod costs;
mod frame;
mod friction;
mod funnel;
mod home;
mod journey_reads;
mod journeys;
mod pages;
mod partners;
mod period;
mod questions;
mod refresh;
mod report;
mod revenue;
mod revenue_lines;
mod revenue_sums;
mod running_totals;
mod stages;
mod standing;
mod step_errors;
mod store;
mod touches;
mod trend;
mod usage;
mod worth;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod friction_tests;
#[cfg(test)]
mod partner_tests;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod tests;

pub use calendar::{DAY_MS, parse_day};
pub use costs::{
    ProgrammeCostBody, ProgrammeCostList, create_programme_cost, delete_programme_cost,
    list_programme_costs, show_programme_costs, submit_programme_cost,
    submit_programme_cost_removal,
};
pub use home::headline;
pub use pages::{read_report, show_report};
pub use refresh::{count_visit, refresh};
pub use report::{Figure, Report};
pub use standing::{PartnerNumbers, main_currency, numbers_of_partners};
pub use step_errors::note_answer;
pub use usage::{read_usage, show_usage};
