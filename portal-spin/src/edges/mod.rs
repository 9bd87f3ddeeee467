//! Edges: what the portal tells them and what they report.
//!
//! Owns the feed (the log, its pages and snapshots), the boots of edges and what each has applied,
//! leases of hard quotas, shares of rate limits, and gaps after an unclean end. Does not own what a change means: every
//! domain publishes its own objects through [`feed::publish`], inside the transaction that changes
//! them. Usage cells are handed on to `metering`.

pub mod boots;
pub mod feed;
pub mod leases;
mod model;
mod pages;
pub mod programme;
mod report;
mod routes;
mod shares;
pub mod snapshot;
mod standing;
mod tick;

#[cfg(test)]
pub mod test_edge;
#[cfg(test)]
mod tests;

pub use boots::{EdgeView, Gap};
pub use model::LIVE_FOR_MS;
pub use pages::show_edges;
pub use report::accept_told_report;
pub use routes::{EdgeList, list_edges, post_report, read_feed, read_snapshot};
pub use standing::publish_standing;
pub use tick::run_tick;
