//! Connections that no component holds at the moment.
//!
//! SQLite reads the whole schema on a connection's first statement, which for the portal takes longer than
//! a new instance does otherwise; and the last connection that closes takes the write-ahead log with it.
//! So a connection outlives the instance that opened it, unless one could tell.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::SqliteConnection;

use super::statement;

/// More idle connections than this are closed.
const KEPT: usize = 16;

/// The idle connections of one process, by file.
#[derive(Clone, Default)]
pub struct IdleConnections(Arc<Mutex<Vec<(PathBuf, SqliteConnection)>>>);

impl IdleConnections {
    /// An idle connection to the file.
    pub(super) fn take(&self, path: &Path) -> Option<SqliteConnection> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().rposition(|(known, _)| known == path)?;
        Some(idle.swap_remove(at).1)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Keeps a connection, unless a transaction is open on it: closing rolls that back.
    pub(super) fn keep(&self, path: PathBuf, mut connection: SqliteConnection) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let idle = self.clone();
        runtime.spawn(async move {
            let is_settled = match connection.lock_handle().await {
                Ok(mut handle) => !statement::in_transaction(&mut handle),
                Err(_) => false,
            };
            let mut idle = idle.0.lock().unwrap_or_else(PoisonError::into_inner);
            if is_settled && idle.len() < KEPT {
                idle.push((path, connection));
            }
        });
    }
}

/// Whether nothing of a statement stays with the connection that ran it: no setting, no attached database,
/// no temporary table. Of what is not known here, it does.
pub(super) fn leaves_no_trace(sql: &str) -> bool {
    const PLAIN: [&str; 10] = [
        "SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "BEGIN", "COMMIT", "END",
        "ROLLBACK",
    ];
    let word = sql
        .trim_start()
        .split(|character: char| !character.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    PLAIN.iter().any(|plain| plain.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_temporary_tables_stay_with_a_connection() {
        for sql in [
            "SELECT 1",
            " insert into t values (1)",
            "BEGIN IMMEDIATE",
            "WITH a AS (SELECT 1) SELECT * FROM a",
        ] {
            assert!(leaves_no_trace(sql), "{sql}");
        }
        for sql in [
            "PRAGMA foreign_keys = off",
            "CREATE TEMP TABLE t (i)",
            "ATTACH ':memory:' AS m",
            "-- a comment\nPRAGMA cache_size = 1",
            "SAVEPOINT s",
            "",
        ] {
            assert!(!leaves_no_trace(sql), "{sql}");
        }
    }
}
