//! Fidelity: how far the sandbox of a product mirrors production, as `portico mock drift` found it.
//!
//! Owns the reports, what partners see of them and the score, and production's latencies and errors in the form that
//! the sandbox takes. Does not own the comparison (`sandbox-mock`'s
//! `drift`) nor the reference, which shows an operation's score beside its form to try it.

mod faults;
mod model;
mod pages;
mod routes;
mod store;

#[cfg(test)]
mod tests;

pub use faults::{FaultList, FaultView, list_sandbox_faults};
pub use model::{FidelityBody, FidelityView, OperationView};
pub use pages::{put_fidelity_form, show_fidelity_page, show_operator_fidelity};
pub use routes::{fidelity_for_partners, put_fidelity, show_fidelity};
