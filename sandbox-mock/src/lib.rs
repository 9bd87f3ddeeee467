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

pub mod document;
pub mod json;
pub mod operation;
pub mod pattern;
pub mod random;
pub mod schema;
pub mod source;
mod text;
pub mod validation;
