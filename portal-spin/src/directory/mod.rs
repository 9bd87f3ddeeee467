//! The directory: published apps and the partners behind them, for everyone.
//!
//! Owns search, categories, filters, the public pages and what customers say of apps. Does not own what is published (`reviews`) nor
//! installing (`oauth`, `installations`). It keeps no copy: what is published is shown at once.

mod opinion_pages;
mod opinions;
mod pages;
mod routes;
mod store;

#[cfg(test)]
mod tests;

pub use opinion_pages::*;
pub use opinions::*;
pub use pages::*;
pub use routes::*;
