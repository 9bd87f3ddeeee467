//! The portal's database: values, rows, connections, transactions and migrations.
//!
//! Owns the one SQL dialect that SQLite and PostgreSQL both run, and what little differs between
//! them. Does not own any table: each domain has its `store.rs` and its migrations.
//!
//! The dialect: `BIGINT`, `TEXT` and `BYTEA` columns only (times are Unix milliseconds, truth is an
//! optional time or 0/1); `$1` placeholders; `ON CONFLICT` and `RETURNING` are welcome; `SUM` needs
//! `CAST(SUM(x) AS BIGINT)`; numbered sequences come from [`next_number`], never from the engine.

mod connection;
pub mod migrations;
#[cfg(test)]
mod tests;
mod turn;
mod value;

pub use connection::{Connection, next_number};
pub use turn::Turn;
pub use value::{FromValue, Row, Value};

/// What can go wrong below a store. Stores name the failures that a caller can act on and pass the
/// rest up as this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// A unique or primary key already holds this value.
    #[error("a value is already taken: {0}")]
    Conflict(String),
    /// The database cannot be reached or is too busy; trying again may help.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A statement failed.
    #[error("the database refused a statement: {0}")]
    Failed(String),
    /// A row did not have the shape that the code expects.
    #[error("unexpected row: {0}")]
    Shape(String),
    /// The schema cannot be used by this version of the portal.
    #[error("{0}")]
    Schema(String),
}

impl DatabaseError {
    /// Sorts an engine's message. Both engines report violated keys in stable English words, and
    /// neither host interface offers a code on every path.
    pub fn from_message(message: impl Into<String>) -> Self {
        let message = message.into();
        let lower = message.to_ascii_lowercase();
        if lower.contains("unique constraint") || lower.contains("primary key constraint") {
            Self::Conflict(message)
        } else if lower.contains("database is locked")
            || lower.contains("connection refused")
            || lower.contains("connection closed")
        {
            Self::Unavailable(message)
        } else {
            Self::Failed(message)
        }
    }
}

/// Rewrites `$1` to `?1` outside quotes, for SQLite, where `$1` would be a *named* parameter numbered
/// by first appearance.
pub fn sqlite_placeholders(sql: &str) -> String {
    let mut quote = None;
    sql.chars()
        .map(|character| match (quote, character) {
            (None, '\'' | '"') => {
                quote = Some(character);
                character
            }
            (Some(open), _) if open == character => {
                quote = None;
                character
            }
            (None, '$') => '?',
            _ => character,
        })
        .collect()
}

/// A list of values for one statement: `params![id, now_ms, name]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::database::Value::from($value)),*]
    };
}
