//! The SQLite file that holds the pairs of all stores.

use std::path::Path;
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row};
use tokio::sync::mpsc;

use super::cache::{Key, Value};

/// One writes at a time, and few read what is not in memory.
const CONNECTIONS: u32 = 4;

pub(super) struct File(SqlitePool);

impl File {
    pub(super) async fn open(path: &Path) -> sqlx::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // The file stays whole when the machine stops; only the last moments may be missing.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_millis(5_000))
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_with(options)
            .await?;
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS spin_key_value (
               store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
               PRIMARY KEY (store, key)
             ) WITHOUT ROWID",
        )
        .execute(&pool)
        .await?;
        Ok(Self(pool))
    }

    pub(super) async fn read(&self, (store, key): &Key) -> sqlx::Result<Option<Vec<u8>>> {
        sqlx::query_scalar("SELECT value FROM spin_key_value WHERE store = ? AND key = ?")
            .bind(&**store)
            .bind(&**key)
            .fetch_optional(&self.0)
            .await
    }

    /// Writes all of them or none; without a value a pair is deleted.
    pub(super) async fn write<'a>(
        &self,
        pairs: impl Iterator<Item = (&'a Key, Option<&'a Value>)>,
    ) -> sqlx::Result<()> {
        let mut transaction = self.0.begin().await?;
        for ((store, key), value) in pairs {
            let statement = match value {
                Some(value) => sqlx::query(
                    "INSERT INTO spin_key_value (store, key, value) VALUES (?, ?, ?)
                     ON CONFLICT (store, key) DO UPDATE SET value = excluded.value",
                )
                .bind(&**store)
                .bind(&**key)
                .bind(&**value),
                None => sqlx::query("DELETE FROM spin_key_value WHERE store = ? AND key = ?")
                    .bind(&**store)
                    .bind(&**key),
            };
            statement.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    /// Sends the keys of a store, until nobody takes them.
    pub(super) async fn list_keys(
        &self,
        store: &str,
        keys: mpsc::Sender<String>,
    ) -> sqlx::Result<()> {
        let mut rows = sqlx::query("SELECT key FROM spin_key_value WHERE store = ? ORDER BY key")
            .bind(store)
            .fetch(&self.0);
        while let Some(row) = rows.try_next().await? {
            if keys.send(row.try_get(0)?).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}
