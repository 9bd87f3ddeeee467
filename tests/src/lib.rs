//! The end-to-end harness: starts the product as its users do, with
//! `portico up`, and offers actors that read like the story.
//!
//! Owns: processes, ports, waiting, actors. Does not own: any expectation; those
//! stand in `e2e/`. Nothing sleeps for a guess: every wait polls a condition with
//! a deadline, and a stack that ends by itself fails the test that uses it.

pub mod accessibility_tree;
pub mod actors;
pub mod browser;
pub mod database;
mod one_number;
pub mod partner_app;
pub mod ports;
pub mod process;
pub mod site;
pub mod stack;
pub mod wait;
