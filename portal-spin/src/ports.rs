//! What the portal needs from outside: a database, a clock, randomness, outbound HTTP and settings.
//!
//! Owns the traits and the values that cross them. Does not own any implementation: `host/` has
//! Spin's, `testing/` has native ones. Nothing else in the crate reads a clock, draws randomness or
//! opens a connection.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use bytes::Bytes;

use crate::database::{DatabaseError, Row, Value};

/// A future that stays on its thread: a component has one.
pub type PortFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Which engine is behind a connection. SQL is the same on both; only transactions, locks and a few
/// pragmas differ, and those live in `database/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite, through `spin:sqlite`.
    Sqlite,
    /// PostgreSQL, through `spin:postgres`.
    Postgres,
}

/// A source of connections.
pub trait Database {
    /// Which engine this is.
    fn engine(&self) -> Engine;
    /// A connection for one request. It is never shared by two requests at once: a transaction
    /// belongs to a connection.
    fn connect(&self) -> PortFuture<'_, Result<Box<dyn RawConnection>, DatabaseError>>;
}

/// One connection as the engine offers it. The rest of the portal uses [`crate::database::Connection`].
pub trait RawConnection {
    /// Runs one statement and returns all of its rows. Placeholders are `$1`, `$2`, ….
    fn query<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Result<Vec<Row>, DatabaseError>>;
    /// Runs one statement and returns how many rows it changed.
    fn execute<'a>(
        &'a self,
        sql: &'a str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Result<u64, DatabaseError>>;
    /// Lets other requests run for so long.
    fn pause(&self, ms: u64) -> PortFuture<'_, ()>;
    /// Gives the connection back for another request. Called only when no transaction is open;
    /// a connection that is dropped without it is closed, and the engine rolls back.
    fn release(self: Box<Self>) {}
}

/// The time.
pub trait Clock {
    /// Unix milliseconds, UTC.
    fn now_ms(&self) -> i64;
}

/// Unpredictable bytes.
pub trait Randomness {
    /// Fills the buffer from a cryptographic source.
    fn fill(&self, buffer: &mut [u8]);
}

/// Outbound HTTP (e-mail provider, webhooks, identity providers).
pub trait HttpClient {
    /// Sends a request and reads the whole answer, which must come within 15 seconds and be at most a
    /// megabyte. Redirects are not followed.
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> PortFuture<'_, Result<http::Response<Bytes>, String>>;

    /// The addresses of a host name; `None` where the host lets nobody look names up.
    fn resolve<'a>(&'a self, name: &'a str) -> PortFuture<'a, Result<Option<Vec<IpAddr>>, String>>;
}

/// The operator's settings (Spin variables).
pub trait Settings {
    /// The value of a variable, or `None` if it is not declared.
    fn get<'a>(&'a self, name: &'a str) -> PortFuture<'a, Option<String>>;
}

/// `N` random bytes.
pub fn random_bytes<const N: usize>(randomness: &dyn Randomness) -> [u8; N] {
    let mut bytes = [0; N];
    randomness.fill(&mut bytes);
    bytes
}
