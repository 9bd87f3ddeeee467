//! HTTP as the portal speaks it: answers, failures, forms, cookies, CSRF, layout, headers, paging.
//!
//! Owns nothing of any domain. A domain's `routes.rs` and `pages.rs` are written in terms of this.

pub mod assets;
pub mod body;
pub mod bulk;
#[cfg(test)]
mod bulk_desk_tests;
pub mod cookies;
pub mod csrf;
pub mod failure;
pub mod forms;
pub mod headers;
pub mod health;
pub mod help;
pub mod idempotency;
pub mod languages;
pub mod layout;
#[cfg(test)]
mod list_tests;
pub mod listed;
pub mod lists;
pub mod markdown;
#[cfg(test)]
mod misfit_tests;
pub mod multipart;
pub mod openapi;
pub mod paging;
pub mod preconditions;
pub mod response;
pub mod schemas;
#[cfg(test)]
mod security_tests;
#[cfg(test)]
mod tests;
pub mod throttle;

pub use failure::{Failure, FieldError};
pub use layout::Page;
pub use response::Response;
