//! The filter in a real Envoy.
//!
//! Needs Envoy (see `stack::find_envoy`) and the built filter (see
//! `stack::find_filter`); without them the tests fail and say what to do.

mod access;
mod http;
mod portal;
mod programme;
mod stack;
