//! The directory: published apps and the partners behind them, for everyone.
//!
//! Owns search, categories, filters and the public pages. Does not own what is published (`reviews`) nor
//! installing (`oauth`, `installations`). It keeps no copy: what is published is shown at once.

mod pages;
mod routes;
mod store;

pub use pages::*;
pub use routes::*;
