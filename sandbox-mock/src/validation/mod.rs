//! Whether values and requests follow the document.
//!
//! Owns the rules of schemas as checks on values (`schema`) and of operations as checks on requests (`request`).
//! How a refusal is worded as a response is `response`'s business.

pub mod request;
pub mod schema;

/// Which way a body goes: `readOnly` members are not asked for in requests, `writeOnly` ones not in responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    Request,
    /// To the client.
    Response,
}

/// One rule that a value breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where in the value: a JSON pointer, empty for the whole.
    pub pointer: String,
    /// The keyword of the rule.
    pub rule: &'static str,
    /// What is wrong, in words.
    pub message: String,
}
