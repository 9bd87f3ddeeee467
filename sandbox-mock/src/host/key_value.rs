//! The memory in `spin:key-value`, which outlives this instance and is shared with others.

use crate::state::Store;
use spin_sdk::key_value::Store as SpinStore;

/// Opens the default store at first use. A failure is said once per request on stderr; the mock then forgets.
#[derive(Default)]
pub(super) struct KeyValueStore {
    opened: Option<Result<SpinStore, ()>>,
}

impl KeyValueStore {
    async fn store(&mut self) -> Option<&SpinStore> {
        if self.opened.is_none() {
            let opened = SpinStore::open_default().await;
            self.opened = Some(opened.map_err(|error| eprintln!("sandbox: the key-value store cannot be opened, nothing is remembered: {error:?}")));
        }
        self.opened.as_ref().and_then(|opened| opened.as_ref().ok())
    }
}

impl Store for KeyValueStore {
    async fn read(&mut self, key: &str) -> Option<Vec<u8>> {
        self.store().await?.get(key).await.unwrap_or_else(|error| {
            eprintln!("sandbox: reading from the key-value store failed: {error:?}");
            None
        })
    }

    async fn write(&mut self, key: &str, bytes: Vec<u8>) {
        if let Some(store) = self.store().await
            && let Err(error) = store.set(key, bytes).await
        {
            eprintln!("sandbox: writing to the key-value store failed: {error:?}");
        }
    }

    async fn remove(&mut self, key: &str) {
        if let Some(store) = self.store().await
            && let Err(error) = store.delete(key).await
        {
            eprintln!("sandbox: deleting from the key-value store failed: {error:?}");
        }
    }
}
