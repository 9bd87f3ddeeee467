//! The wire contract between Portico's parts.
//!
//! Everything here is plain data and pure functions: no I/O, no clock, no
//! randomness source and no SDK. The edge filter, the portal, the sandbox and
//! the native runner all build on these types, so a change here is a change of
//! what travels between processes: `fixtures/` holds golden samples that both
//! ends assert, and a sample only ever gains optional members.
//!
//! Owns: ids, the API-key format and its digest, the feed, usage cells and
//! reports, leases, plans as the edge enforces them, problem bodies, request
//! signing, money. Does not own: how any part stores or decides.
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod credential;
mod encoding;
pub mod feed;
pub mod ids;
pub mod lease;
pub mod money;
pub mod plan;
pub mod problem;
pub mod share;
pub mod signing;
pub mod usage;
