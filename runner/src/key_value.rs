//! The `spin:key-value` interface, kept in a SQLite file of the data directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row};
use tokio::sync::{OnceCell, mpsc, oneshot};
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use crate::spin_host::State;
use crate::spin_host::bindings::spin::key_value::key_value::{self, Error};
use crate::spin_host::streams::ChannelProducer;

/// The file behind all stores; opened when a component first opens a store.
#[derive(Clone)]
pub struct Database(Arc<Lazy>);

struct Lazy {
    path: PathBuf,
    pool: OnceCell<SqlitePool>,
}

/// An open store, that is the pairs under one label.
#[derive(Clone)]
pub struct Store {
    label: String,
    pool: SqlitePool,
}

impl Database {
    pub fn new(data_dir: &Path) -> Self {
        Self(Arc::new(Lazy {
            path: data_dir.join("sqlite_key_value.db"),
            pool: OnceCell::new(),
        }))
    }

    pub async fn open(&self, label: &str) -> Result<Store, Error> {
        let pool = self
            .0
            .pool
            .get_or_try_init(|| connect(&self.0.path))
            .await
            .map_err(describe)?;
        Ok(Store {
            label: label.to_owned(),
            pool: pool.clone(),
        })
    }
}

async fn connect(path: &Path) -> sqlx::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // The file stays whole when the machine stops; only the last moments may be missing. Waiting for the
        // disk with every write would be most of what a call of the sandbox takes.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(Duration::from_millis(5_000))
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new()
        .max_connections(8)
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
    Ok(pool)
}

impl Store {
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        sqlx::query_scalar("SELECT value FROM spin_key_value WHERE store = ? AND key = ?")
            .bind(&self.label)
            .bind(key)
            .fetch_optional(&self.pool)
            .await
            .map_err(describe)
    }

    pub async fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO spin_key_value (store, key, value) VALUES (?, ?, ?)
             ON CONFLICT (store, key) DO UPDATE SET value = excluded.value",
        )
        .bind(&self.label)
        .bind(key)
        .bind(value)
        .execute(&self.pool)
        .await
        .map_err(describe)?;
        Ok(())
    }

    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        sqlx::query("DELETE FROM spin_key_value WHERE store = ? AND key = ?")
            .bind(&self.label)
            .bind(key)
            .execute(&self.pool)
            .await
            .map_err(describe)?;
        Ok(())
    }

    /// All keys of the store, as they are read.
    fn list_keys(self) -> (mpsc::Receiver<String>, oneshot::Receiver<Result<(), Error>>) {
        let (key_sender, keys) = mpsc::channel(4);
        let (outcome_sender, outcome) = oneshot::channel();
        tokio::spawn(async move {
            let result = async {
                let mut rows = sqlx::query("SELECT key FROM spin_key_value WHERE store = ?")
                    .bind(&self.label)
                    .fetch(&self.pool);
                while let Some(row) = rows.try_next().await? {
                    if key_sender.send(row.try_get(0)?).await.is_err() {
                        break;
                    }
                }
                sqlx::Result::Ok(())
            };
            let result = result.await.map_err(describe);
            drop(key_sender);
            // Nobody waits when the component has dropped the future.
            let _ = outcome_sender.send(result);
        });
        (keys, outcome)
    }
}

fn describe(error: sqlx::Error) -> Error {
    Error::Other(error.to_string())
}

impl key_value::Host for State {}

impl key_value::HostStore for State {
    async fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

fn find_store<T>(
    accessor: &Accessor<T, HasSelf<State>>,
    store: &Resource<Store>,
) -> wasmtime::Result<Store>
where
    T: 'static,
{
    Ok(accessor.with(|mut access| access.get().table.get(store).cloned())?)
}

impl<T: Send + 'static> key_value::HostStoreWithStore<T> for HasSelf<State> {
    async fn open(
        accessor: &Accessor<T, Self>,
        label: String,
    ) -> wasmtime::Result<Result<Resource<Store>, Error>> {
        let component = accessor.with(|mut access| access.get().component.clone());
        if !component.key_value_stores.contains(&label) {
            return Ok(Err(Error::AccessDenied));
        }
        Ok(match component.key_value.open(&label).await {
            Ok(store) => accessor.with(|mut access| {
                access
                    .get()
                    .table
                    .push(store)
                    .map_err(|_| Error::StoreTableFull)
            }),
            Err(error) => Err(error),
        })
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        Ok(find_store(accessor, &store)?.get(&key).await)
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(find_store(accessor, &store)?.set(&key, &value).await)
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(find_store(accessor, &store)?.delete(&key).await)
    }

    async fn exists(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let value = find_store(accessor, &store)?.get(&key).await;
        Ok(value.map(|value| value.is_some()))
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), Error>>)> {
        let (keys, outcome) = find_store(accessor, &store)?.list_keys();
        accessor.with(|mut access| {
            let keys = StreamReader::new(&mut access, ChannelProducer::new(keys))?;
            let outcome = FutureReader::new(&mut access, outcome)?;
            Ok((keys, outcome))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pairs_are_kept_per_store_and_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::new(folder.path());
        let store = database.open("default").await.unwrap();
        store.set("a", b"1").await.unwrap();
        store.set("a", b"2").await.unwrap();
        store.set("b", b"").await.unwrap();
        let other = database.open("other").await.unwrap();
        assert_eq!(other.get("a").await.unwrap(), None);

        let again = Database::new(folder.path()).open("default").await.unwrap();
        assert_eq!(again.get("a").await.unwrap().as_deref(), Some(&b"2"[..]));
        let (mut keys, outcome) = again.clone().list_keys();
        let mut found = Vec::new();
        while let Some(key) = keys.recv().await {
            found.push(key);
        }
        outcome.await.unwrap().unwrap();
        assert_eq!(found, ["a", "b"]);
        again.delete("a").await.unwrap();
        again.delete("a").await.unwrap();
        assert_eq!(store.get("a").await.unwrap(), None);
    }
}
