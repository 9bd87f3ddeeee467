//! The first call before there is an account: a stranger gets a test key and one real call through the
//! gateway, and owns both after signing up.
//!
//! A visitor has an organisation and an app like any partner's, so that the key, the limits and the
//! counting are the real ones; but nobody is its member, lists do not show it, and its key ends after a
//! day unless a registration from the same browser (or with the same token) claims it. Owns visitors and
//! the public home page. Does not own what an organisation is, nor how a key is issued.

mod pages;
mod routes;
mod store;

#[cfg(test)]
mod tests;

pub use pages::{call_as_visitor, show_home, token_of_browser};
pub use routes::{VisitorRequest, VisitorView, open_visitor};
pub use store::{claim, find_open, sweep};
