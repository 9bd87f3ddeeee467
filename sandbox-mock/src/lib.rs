//! Portico's sandbox: a mock compiled from an OpenAPI document.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

#[cfg(all(feature = "compiler", not(target_family = "wasm")))]
pub mod compiler;
mod control;
pub mod document;
pub mod drift;
pub mod events;
pub mod generation;
pub mod handler;
#[cfg(all(feature = "guest", target_family = "wasm"))]
mod host;
pub mod json;
pub mod matching;
mod mock;
pub mod operation;
pub mod pattern;
pub mod random;
pub mod redaction;
pub mod request;
pub mod response;
pub mod sample;
pub mod scenario;
pub mod schema;
#[cfg(all(feature = "serve", not(target_family = "wasm")))]
pub mod serve;
pub mod source;
pub mod state;
mod text;
pub mod validation;

pub use control::LATENCY_HEADER;
pub use mock::{Context, Mock, Summary, tenant_of};
pub use request::Request;
pub use response::Response;
