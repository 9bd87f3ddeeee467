//! The `spin:key-value` interface, kept in a SQLite file of the data directory.
//!
//! Owns which stores a component may open. As Spin does, values are answered from memory and written behind
//! the component's back, so that a call of the sandbox waits for no disk: `cache` says how, `file` is what
//! a restart finds.

mod cache;
mod file;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{OnceCell, mpsc, oneshot};
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use crate::spin_host::State;
use crate::spin_host::bindings::spin::key_value::key_value::{self, Error};
use crate::spin_host::streams::ChannelProducer;
use cache::{Cache, Key};
use file::File;

/// The file behind all stores; opened when a component first opens a store.
#[derive(Clone)]
pub struct Database(Arc<Lazy>);

struct Lazy {
    path: std::path::PathBuf,
    cache: OnceCell<Arc<Cache>>,
}

/// An open store, that is the pairs under one label.
#[derive(Clone)]
pub struct Store {
    label: Arc<str>,
    cache: Arc<Cache>,
}

impl Database {
    pub fn new(data_dir: &Path) -> Self {
        Self(Arc::new(Lazy {
            path: data_dir.join("sqlite_key_value.db"),
            cache: OnceCell::new(),
        }))
    }

    pub async fn open(&self, label: &str) -> Result<Store, Error> {
        let cache = self.0.cache.get_or_try_init(|| async {
            let file = File::open(&self.0.path).await?;
            Ok::<_, sqlx::Error>(Cache::start(file))
        });
        Ok(Store {
            label: label.into(),
            cache: cache.await.map_err(describe)?.clone(),
        })
    }

    /// Waits until everything that was set is in the file: before the process ends.
    pub async fn flush(&self) -> Result<(), Error> {
        match self.0.cache.get() {
            Some(cache) => cache.flush().await.map_err(Error::Other),
            None => Ok(()),
        }
    }
}

impl Store {
    fn key(&self, key: &str) -> Key {
        (self.label.clone(), key.into())
    }

    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let value = self.cache.get(self.key(key)).await.map_err(describe)?;
        Ok(value.map(|value| value.to_vec()))
    }

    pub async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), Error> {
        let set = self.cache.put(self.key(key), Some(value.into()));
        set.await.map_err(Error::Other)
    }

    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let deleted = self.cache.put(self.key(key), None);
        deleted.await.map_err(Error::Other)
    }

    /// All keys of the store, as they are read.
    fn list_keys(self) -> (mpsc::Receiver<String>, oneshot::Receiver<Result<(), Error>>) {
        let (key_sender, keys) = mpsc::channel(4);
        let (outcome_sender, outcome) = oneshot::channel();
        tokio::spawn(async move {
            let result = match self.cache.flush().await {
                Ok(()) => {
                    let listed = self.cache.file().list_keys(&self.label, key_sender);
                    listed.await.map_err(describe)
                }
                Err(error) => Err(Error::Other(error)),
            };
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
        Ok(find_store(accessor, &store)?.set(&key, value).await)
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
        store.set("a", b"1".to_vec()).await.unwrap();
        store.set("a", b"2".to_vec()).await.unwrap();
        store.set("b", Vec::new()).await.unwrap();
        let other = database.open("other").await.unwrap();
        assert_eq!(other.get("a").await.unwrap(), None);
        database.flush().await.unwrap();

        let again = Database::new(folder.path());
        let store = again.open("default").await.unwrap();
        assert_eq!(store.get("a").await.unwrap().as_deref(), Some(&b"2"[..]));
        assert_eq!(store.get("b").await.unwrap().as_deref(), Some(&b""[..]));
        store.delete("a").await.unwrap();
        store.delete("a").await.unwrap();
        store.set("c", b"3".to_vec()).await.unwrap();
        assert_eq!(store.get("a").await.unwrap(), None);
        let (mut keys, outcome) = store.clone().list_keys();
        let mut found = Vec::new();
        while let Some(key) = keys.recv().await {
            found.push(key);
        }
        outcome.await.unwrap().unwrap();
        assert_eq!(found, ["b", "c"], "what was just set and deleted counts");
    }
}
