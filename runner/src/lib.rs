//! The native side of Portico.
//!
//! Owns: running Spin components outside Spin (`spin_host` and the host
//! interfaces beside it), supervising a whole programme on one machine (`up`),
//! and the command-line tools (`commands`). It does not own any rule of the
//! programme itself: those live in the components and in `shared`, and the
//! host interfaces never offer a component more than Spin does.

pub mod allowed_hosts;
pub mod blocked_networks;
pub mod commands;
pub mod demo_upstream;
mod epoch;
pub mod key_value;
pub mod manifest;
mod outbound_connection;
pub mod outbound_http;
pub mod postgres;
pub mod routes;
pub mod signals;
pub mod spin_host;
pub mod sqlite;
pub mod up;
pub mod variables;
