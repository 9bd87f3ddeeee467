//! Portico's API-access filter for Envoy.
//!
//! Everything is decided here from what is already in memory: which credential a
//! request presents, what it may do, whether its limits and its quota have room;
//! and everything is counted. No call leaves Envoy while a request waits.
//!
//! The decisions are pure and run natively; [`ports::Host`] is all they need of
//! the proxy, and only `host` (compiled for WebAssembly alone) speaks the
//! proxy-wasm ABI. Does not own: the wire contract, which is in `shared`.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod access;
pub mod account;
pub mod address;
pub mod bytes;
pub mod configuration;
pub mod configuration_reference;
pub mod credential;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::panic, clippy::indexing_slicing)]
pub mod entry_points;
#[cfg(feature = "fault-injection")]
pub mod fault;
pub mod feed_log;
#[cfg(target_family = "wasm")]
mod host;
#[cfg(test)]
mod hostile;
pub mod leader;
pub mod limit_fields;
pub mod matcher;
pub mod metrics;
pub mod ports;
pub mod prepared;
pub mod programme;
pub mod quota;
pub mod rate_limit;
pub mod refusal;
pub mod request;
pub mod request_log;
pub mod share;
pub mod shared_state;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::indexing_slicing)]
pub mod testing;
pub mod token;
pub mod usage;
pub mod usage_event;
pub mod verdict;
pub mod worker;
