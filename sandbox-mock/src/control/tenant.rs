//! What a tenant has set, and which collections it has: one small value in the store.

use super::binding::Binding;
use super::fault::Fault;
use crate::json::{Value, object, read};
use crate::mock::Context;
use crate::state::Store;
use crate::text::percent_encode;

/// More collections (paths with their own items) than this a tenant does not have.
const MOST_COLLECTIONS: usize = 500;
/// How many answers to idempotency keys are kept.
const MOST_KEPT: usize = 200;

/// A tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tenant {
    /// The beginning of all its keys.
    prefix: String,
    /// When it first remembered something; 0 before.
    pub(crate) since_ms: i64,
    /// By how much its clock is ahead.
    pub(crate) ahead_ms: i64,
    /// The keys of the indices of its collections.
    pub(crate) collections: Vec<String>,
    /// The keys of answers that were kept.
    kept: Vec<String>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) faults: Vec<Fault>,
    /// What was set, as it was written.
    pub(crate) settings: Value,
    is_changed: bool,
}

impl Tenant {
    pub(crate) async fn load<S: Store>(store: &mut S, context: &Context) -> Tenant {
        let mut tenant = Tenant {
            prefix: percent_encode(&context.tenant),
            settings: Value::Object(Vec::new()),
            ..Tenant::default()
        };
        let stored = store.read(&tenant.key()).await;
        let Some(value) = stored.and_then(|bytes| read(&bytes).ok()) else {
            return tenant;
        };
        let number = |name: &str| value.get(name).and_then(Value::as_i64).unwrap_or(0);
        let texts = |name: &str| {
            let entries = value
                .get(name)
                .and_then(Value::as_array)
                .unwrap_or_default();
            let texts = entries.iter().filter_map(|entry| entry.as_str());
            texts.map(str::to_owned).collect()
        };
        tenant.since_ms = number("since_ms");
        tenant.ahead_ms = number("ahead_ms");
        tenant.collections = texts("collections");
        tenant.kept = texts("kept");
        if let Some(settings) = value.get("settings") {
            tenant.settings = settings.clone();
        }
        tenant.read_settings();
        tenant
    }

    fn read_settings(&mut self) {
        let setting = |name: &str| self.settings.get(name).cloned().unwrap_or(Value::Null);
        // What is stored was checked when it was set.
        let bindings = Binding::read_all(&setting("scenarios")).unwrap_or_default();
        let faults = Fault::read_all(&setting("faults")).unwrap_or_default();
        (self.bindings, self.faults) = (bindings, faults);
    }

    fn key(&self) -> String {
        format!("{}:~tenant", self.prefix)
    }

    pub(crate) fn log_key(&self) -> String {
        format!("{}:~log", self.prefix)
    }

    pub(crate) fn deliveries_key(&self) -> String {
        format!("{}:~deliveries", self.prefix)
    }

    /// The index key of a collection by its path.
    pub(crate) fn index_key(&self, path: &str) -> String {
        format!("{}:{path}", self.prefix)
    }

    /// The path of a collection by its index key.
    pub(crate) fn path_of<'k>(&self, index_key: &'k str) -> &'k str {
        index_key
            .strip_prefix(self.prefix.as_str())
            .and_then(|rest| rest.strip_prefix(':'))
            .unwrap_or(index_key)
    }

    /// Whether there is room for the collection.
    pub(crate) fn has_room(&self, index_key: &str) -> bool {
        self.collections.len() < MOST_COLLECTIONS
            || self.collections.iter().any(|known| known == index_key)
    }

    /// Notes that a collection has items.
    pub(crate) fn note_collection(&mut self, index_key: &str, now_ms: i64) {
        if self.collections.iter().all(|known| known != index_key) {
            self.collections.push(index_key.to_owned());
            if self.since_ms == 0 {
                self.since_ms = now_ms;
            }
            self.is_changed = true;
        }
    }

    /// Notes that an answer is kept, and names the one that is forgotten for it.
    pub(crate) fn note_kept(&mut self, key: &str) -> Option<String> {
        self.kept.push(key.to_owned());
        self.is_changed = true;
        (self.kept.len() > MOST_KEPT).then(|| self.kept.remove(0))
    }

    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.settings.set(name, value);
        self.read_settings();
        self.is_changed = true;
    }

    pub(crate) fn set_ahead(&mut self, ahead_ms: i64) {
        self.ahead_ms = ahead_ms;
        self.is_changed = true;
    }

    /// Writes what changed.
    pub(crate) async fn save<S: Store>(&mut self, store: &mut S) {
        if !std::mem::take(&mut self.is_changed) {
            return;
        }
        let texts = |texts: &[String]| {
            Value::Array(
                texts
                    .iter()
                    .map(|text| Value::from(text.as_str()))
                    .collect(),
            )
        };
        let value = object([
            ("since_ms", Value::Int(self.since_ms)),
            ("ahead_ms", Value::Int(self.ahead_ms)),
            ("collections", texts(&self.collections)),
            ("kept", texts(&self.kept)),
            ("settings", self.settings.clone()),
        ]);
        store
            .write(&self.key(), value.to_string().into_bytes())
            .await;
    }

    /// Forgets every item and every kept answer.
    pub(crate) async fn forget_items<S: Store>(&mut self, store: &mut S) {
        for index_key in std::mem::take(&mut self.collections) {
            for id in crate::state::stored_ids(store, &index_key).await {
                store.remove(&crate::state::item_key(&index_key, &id)).await;
            }
            store.remove(&index_key).await;
        }
        for key in std::mem::take(&mut self.kept) {
            store.remove(&key).await;
        }
        self.since_ms = 0;
        self.is_changed = true;
    }

    /// Forgets everything: the tenant is as it was before its first request.
    pub(crate) async fn forget<S: Store>(&mut self, store: &mut S) {
        self.forget_items(store).await;
        for key in [self.log_key(), self.deliveries_key(), self.key()] {
            store.remove(&key).await;
        }
        *self = Tenant {
            prefix: std::mem::take(&mut self.prefix),
            settings: Value::Object(Vec::new()),
            ..Tenant::default()
        };
    }
}
