//! The filter in a real Envoy.
//!
//! Needs Envoy (see `stack::find_envoy`) and the built filter (see
//! `stack::find_filter`); without them the tests fail and say what to do.

mod access;
mod events;
mod faults;
mod http;
mod limits;
mod portal;
mod programme;
mod reload;
mod scale;
mod stack;
mod tokens;
