//! Pairs in memory before the file: what is read often, and what waits to be written.
//!
//! A value that was set is seen by every reader at once and is in the file some milliseconds later, many in
//! one transaction; what a killed process had not written yet is lost, as in Spin. What waits is bounded:
//! beyond the bound setting waits for the file. A file that cannot be written makes setting fail until it
//! can be written again, and nothing that waits is given up.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::file::File;

/// Label of the store and key.
pub(super) type Key = (Arc<str>, Arc<str>);
pub(super) type Value = Arc<[u8]>;

/// Bytes of keys and values that are kept to be read again.
const MOST_KEPT: usize = 64 << 20;
/// Bytes that may wait for the file.
const MOST_WAITING: usize = 16 << 20;
/// How long changes are collected into one transaction.
const COLLECTED: Duration = Duration::from_millis(10);
/// How long a file that cannot be written is left alone.
const RESTED: Duration = Duration::from_millis(250);

pub(super) struct Cache {
    file: File,
    pairs: Mutex<Pairs>,
    /// Something waits for the file.
    changed: Notify,
    /// The file took what waited, or refused it.
    written: Notify,
}

#[derive(Default)]
struct Pairs {
    known: HashMap<Key, Known>,
    /// Keys in the order in which they are dropped; one that was used since goes to the end instead.
    order: VecDeque<Key>,
    bytes: usize,
    /// The newest value of what is not in the file yet.
    waiting: HashMap<Key, Option<Value>>,
    waiting_bytes: usize,
    /// What is being written now, so that nobody reads the file's older value.
    writing: HashMap<Key, Option<Value>>,
    /// How often a pair was put: a value that was read from the file before is not kept after.
    puts: u64,
    refusal: Option<String>,
}

struct Known {
    value: Option<Value>,
    is_used: bool,
}

impl Cache {
    /// Begins to write behind; ends with the last holder.
    pub(super) fn start(file: File) -> Arc<Self> {
        let cache = Arc::new(Self {
            file,
            pairs: Mutex::default(),
            changed: Notify::new(),
            written: Notify::new(),
        });
        tokio::spawn(write_behind(Arc::downgrade(&cache)));
        cache
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    fn pairs(&self) -> MutexGuard<'_, Pairs> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn get(&self, key: Key) -> sqlx::Result<Option<Value>> {
        let puts = {
            let mut pairs = self.pairs();
            if let Some(value) = pairs.find(&key) {
                return Ok(value);
            }
            pairs.puts
        };
        let value: Option<Value> = self.file.read(&key).await?.map(Into::into);
        let mut pairs = self.pairs();
        if pairs.puts == puts {
            pairs.keep(key, value.clone());
            return Ok(value);
        }
        // Put while the file was read: the newer value counts, where it is this key's.
        Ok(pairs.find(&key).unwrap_or(value))
    }

    /// Sets a pair, or deletes it.
    pub(super) async fn put(&self, key: Key, value: Option<Value>) -> Result<(), String> {
        let size = size_of_pair(&key, value.as_ref());
        loop {
            let written = self.written.notified();
            {
                let mut pairs = self.pairs();
                if let Some(refusal) = &pairs.refusal {
                    return Err(refusal.clone());
                }
                // A value that is larger than the bound goes alone.
                if pairs.waiting.is_empty() || pairs.waiting_bytes + size <= MOST_WAITING {
                    pairs.put(key, value);
                    break;
                }
            }
            written.await;
        }
        self.changed.notify_one();
        Ok(())
    }

    /// Waits until what was put is in the file.
    pub(super) async fn flush(&self) -> Result<(), String> {
        loop {
            let written = self.written.notified();
            {
                let pairs = self.pairs();
                if pairs.waiting.is_empty() && pairs.writing.is_empty() {
                    return Ok(());
                }
                if let Some(refusal) = &pairs.refusal {
                    return Err(refusal.clone());
                }
            }
            self.changed.notify_one();
            written.await;
        }
    }

    async fn write_what_waits(&self) {
        let writing = self.pairs().begin_writing();
        if writing.is_empty() {
            return;
        }
        let pairs = writing.iter().map(|(key, value)| (key, value.as_ref()));
        let result = self.file.write(pairs).await;
        let refusal = result.err().map(|error| error.to_string());
        if let Some(refusal) = &refusal {
            tracing::error!("the key-value file cannot be written: {refusal}");
        }
        let is_refused = refusal.is_some();
        self.pairs().end_writing(refusal);
        self.written.notify_waiters();
        if is_refused {
            tokio::time::sleep(RESTED).await;
            self.changed.notify_one();
        }
    }
}

async fn write_behind(cache: Weak<Cache>) {
    loop {
        let Some(cache) = cache.upgrade() else {
            return;
        };
        // Not held for long: a cache that nobody holds ends.
        let changed = tokio::time::timeout(RESTED, cache.changed.notified()).await;
        if changed.is_ok() {
            tokio::time::sleep(COLLECTED).await;
            cache.write_what_waits().await;
        }
    }
}

impl Pairs {
    fn find(&mut self, key: &Key) -> Option<Option<Value>> {
        if let Some(known) = self.known.get_mut(key) {
            known.is_used = true;
            return Some(known.value.clone());
        }
        let unwritten = self.waiting.get(key).or_else(|| self.writing.get(key));
        unwritten.cloned()
    }

    fn put(&mut self, key: Key, value: Option<Value>) {
        self.puts += 1;
        self.waiting_bytes += size_of_pair(&key, value.as_ref());
        if let Some(before) = self.waiting.insert(key.clone(), value.clone()) {
            let size = size_of_pair(&key, before.as_ref());
            self.waiting_bytes = self.waiting_bytes.saturating_sub(size);
        }
        self.keep(key, value);
    }

    fn keep(&mut self, key: Key, value: Option<Value>) {
        self.bytes += size_of_pair(&key, value.as_ref());
        let known = Known {
            value,
            is_used: false,
        };
        match self.known.insert(key.clone(), known) {
            Some(before) => {
                let size = size_of_pair(&key, before.value.as_ref());
                self.bytes = self.bytes.saturating_sub(size);
            }
            None => self.order.push_back(key),
        }
        while self.bytes > MOST_KEPT
            && let Some(key) = self.order.pop_front()
        {
            self.drop_or_pass(key);
        }
    }

    fn drop_or_pass(&mut self, key: Key) {
        match self.known.get_mut(&key) {
            Some(known) if known.is_used => {
                known.is_used = false;
                self.order.push_back(key);
            }
            Some(known) => {
                let size = size_of_pair(&key, known.value.as_ref());
                self.bytes = self.bytes.saturating_sub(size);
                self.known.remove(&key);
            }
            None => {}
        }
    }

    fn begin_writing(&mut self) -> HashMap<Key, Option<Value>> {
        self.writing = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.writing.clone()
    }

    /// What was refused waits again, unless something newer came.
    fn end_writing(&mut self, refusal: Option<String>) {
        let written = std::mem::take(&mut self.writing);
        self.refusal = refusal;
        if self.refusal.is_none() {
            return;
        }
        for (key, value) in written {
            if !self.waiting.contains_key(&key) {
                self.waiting_bytes += size_of_pair(&key, value.as_ref());
                self.waiting.insert(key, value);
            }
        }
    }
}

fn size_of_pair((store, key): &Key, value: Option<&Value>) -> usize {
    // What the maps need for an entry, roughly.
    const ENTRY: usize = 128;
    ENTRY + store.len() + key.len() + value.map_or(0, |value| value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        ("default".into(), name.into())
    }

    fn value(size: usize) -> Value {
        vec![7; size].into()
    }

    async fn cache(folder: &tempfile::TempDir) -> Arc<Cache> {
        Cache::start(File::open(&folder.path().join("pairs.db")).await.unwrap())
    }

    #[tokio::test]
    async fn more_than_may_be_kept_is_read_from_the_file_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder).await;
        let size = 1 << 20;
        for index in 0_u8..100 {
            let value = vec![index; size].into();
            cache
                .put(key(&index.to_string()), Some(value))
                .await
                .unwrap();
        }
        assert!(cache.pairs().bytes <= MOST_KEPT);
        assert!(cache.pairs().known.len() < 100);
        for index in 0_u8..100 {
            let found = cache.get(key(&index.to_string())).await.unwrap().unwrap();
            assert_eq!(&*found, &vec![index; size][..]);
        }
        assert!(cache.pairs().bytes <= MOST_KEPT);
    }

    #[tokio::test]
    async fn many_changes_of_one_pair_leave_the_last_in_memory_and_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder).await;
        let mut random = 1_u32;
        for round in 0_u32..2_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = key(&(random >> 29).to_string());
            let value = (!random.is_multiple_of(5)).then(|| round.to_le_bytes().to_vec().into());
            cache.put(key.clone(), value.clone()).await.unwrap();
            assert_eq!(cache.get(key).await.unwrap(), value);
            if round % 97 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        cache.flush().await.unwrap();
        for name in 0..8 {
            let key = key(&name.to_string());
            let kept = cache.get(key.clone()).await.unwrap();
            let read = cache.file.read(&key).await.unwrap().map(Value::from);
            assert_eq!(kept, read);
        }
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_refuses_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder).await;
        let other = take_table_away(&folder).await;
        cache.put(key("a"), Some(value(3))).await.unwrap();
        let refused = cache.flush().await.unwrap_err();
        assert!(refused.contains("no such table"), "{refused}");
        assert!(cache.put(key("b"), Some(value(1))).await.is_err());
        assert_eq!(cache.get(key("a")).await.unwrap(), Some(value(3)));
        restore(other).await;
        while cache.flush().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let read = cache.file.read(&key("a")).await.unwrap();
        assert_eq!(read, Some(vec![7; 3]));
        cache.put(key("b"), Some(value(1))).await.unwrap();
    }

    /// Takes the table away under the cache.
    async fn take_table_away(folder: &tempfile::TempDir) -> sqlx::SqlitePool {
        let path = folder.path().join("pairs.db");
        let other = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display()))
            .await
            .unwrap();
        sqlx::query("ALTER TABLE spin_key_value RENAME TO away")
            .execute(&other)
            .await
            .unwrap();
        other
    }

    async fn restore(other: sqlx::SqlitePool) {
        sqlx::query("ALTER TABLE away RENAME TO spin_key_value")
            .execute(&other)
            .await
            .unwrap();
    }
}
