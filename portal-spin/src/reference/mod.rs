//! The API reference: products' OpenAPI documents as pages, with examples and a form to try each call.
//!
//! Owns reading a document for people (parameters, schemas, answers, examples) and the try-it form, which
//! calls the sandbox through the gateway from here, so that the gateway needs no CORS. Does not own which
//! operations a product has (`catalogue`) nor what the sandbox answers.

mod examples;
mod model;
mod pages;
mod schema;
mod try_it;

#[cfg(test)]
mod tests;

pub use model::{Group, OperationPage, read_reference};
pub use pages::{list_operation_links, show_reference, show_reference_group};
pub use try_it::{Sent, send_example, try_operation};
