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

pub use connection::{Connection, next_number, next_numbers};
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
    /// A text has the character U+0000, which PostgreSQL cannot hold.
    #[error("a text of a statement holds U+0000")]
    Unstorable,
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

/// `($1, $2), ($3, $4)` for two rows of two.
pub fn placeholders(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=columns {
            if column > 1 {
                text.push_str(", ");
            }
            text.push('$');
            text.push_str(&(row * columns + column).to_string());
        }
        text.push(')');
    }
    text
}

/// Rewrites `$1` outside quotes for SQLite, where it would be a *named* parameter numbered by first
/// appearance: to `?` where the numbers are 1, 2, 3, … in the text's order, else to `?1`.
///
/// A numbered parameter has a name, and who binds it looks for that name among all of the statement's: in a
/// statement of thousands of parameters that is most of the time it takes.
pub fn sqlite_placeholders(sql: &str) -> String {
    let (plain, is_in_order) = rewrite_placeholders(sql, false);
    if is_in_order {
        return plain;
    }
    rewrite_placeholders(sql, true).0
}

/// The text with `?` or `?1` for `$1`, and whether the numbers count from 1 without repetition.
fn rewrite_placeholders(sql: &str, keeps_numbers: bool) -> (String, bool) {
    let mut rewritten = String::with_capacity(sql.len());
    let mut quote = None;
    let (mut expected, mut is_in_order) = (1_usize, true);
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None, '$') => {
                let mut number = 0_usize;
                rewritten.push('?');
                while let Some(digit) = characters.peek().and_then(|next| next.to_digit(10)) {
                    let place = usize::try_from(digit).unwrap_or(0);
                    number = number.saturating_mul(10).saturating_add(place);
                    if keeps_numbers {
                        rewritten.extend(characters.peek());
                    }
                    characters.next();
                }
                is_in_order &= number == expected;
                expected += 1;
                continue;
            }
            _ => {}
        }
        rewritten.push(character);
    }
    (rewritten, is_in_order)
}

/// A list of values for one statement: `params![id, now_ms, name]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::database::Value::from($value)),*]
    };
}
