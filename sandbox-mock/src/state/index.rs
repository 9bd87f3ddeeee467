//! The index of a collection: which items it has, and where each one is stored.
//!
//! Owns the keys and the form of an index, and carrying whole collections in and out.

use super::memory::{LARGEST_ITEM, MOST_ITEMS};
use super::store::Store;
use crate::json::{Value, object, read};

/// The ids of a collection.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) sequence: u64,
    pub(super) ids: Vec<String>,
    pub(super) gone: Vec<String>,
}

impl Index {
    pub(super) fn read(bytes: Option<Vec<u8>>) -> Option<Index> {
        let value = read(&bytes?).ok()?;
        let texts = |name: &str| {
            let entries = value
                .get(name)
                .and_then(Value::as_array)
                .unwrap_or_default();
            entries
                .iter()
                .filter_map(|entry| entry.as_str().map(str::to_owned))
                .collect()
        };
        Some(Index {
            sequence: value
                .get("sequence")
                .and_then(Value::as_i64)
                .and_then(|number| u64::try_from(number).ok())
                .unwrap_or(0),
            ids: texts("ids"),
            gone: texts("gone"),
        })
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let texts =
            |ids: &[String]| Value::Array(ids.iter().map(|id| Value::from(id.as_str())).collect());
        let sequence = Value::Int(i64::try_from(self.sequence).unwrap_or(i64::MAX));
        object([
            ("sequence", sequence),
            ("ids", texts(&self.ids)),
            ("gone", texts(&self.gone)),
        ])
        .to_string()
        .into_bytes()
    }
}

pub(super) struct Keys {
    pub(super) index: String,
}

impl Keys {
    pub(super) fn item(&self, id: &str) -> String {
        item_key(&self.index, id)
    }
}

/// Where an item of a collection is stored.
pub(crate) fn item_key(index_key: &str, id: &str) -> String {
    format!("{index_key}/{}", crate::text::percent_encode(id))
}

/// The ids of a collection, the oldest first.
pub(crate) async fn stored_ids<S: Store>(store: &mut S, index_key: &str) -> Vec<String> {
    Index::read(store.read(index_key).await).map_or_else(Vec::new, |index| index.ids)
}

/// A collection as a snapshot carries it.
pub(crate) async fn export_collection<S: Store>(store: &mut S, index_key: &str) -> Option<Value> {
    let index = Index::read(store.read(index_key).await)?;
    let mut items = Vec::with_capacity(index.ids.len());
    for id in &index.ids {
        let stored = store.read(&item_key(index_key, id)).await;
        if let Some(item) = stored.and_then(|bytes| read(&bytes).ok()) {
            items.push(object([("id", Value::from(id.as_str())), ("item", item)]));
        }
    }
    let gone = index.gone.iter().map(|id| Value::from(id.as_str()));
    Some(object([
        (
            "sequence",
            Value::Int(i64::try_from(index.sequence).unwrap_or(i64::MAX)),
        ),
        ("gone", Value::Array(gone.collect())),
        ("items", Value::Array(items)),
    ]))
}

/// A collection of a snapshot, checked.
pub(crate) struct Imported {
    index: Index,
    items: Vec<(String, Vec<u8>)>,
}

/// Reads a collection of a snapshot, and says what is wrong with it.
pub(crate) fn import_collection(value: &Value) -> Result<Imported, String> {
    let entries = value
        .get("items")
        .and_then(Value::as_array)
        .ok_or("items: must be a list")?;
    if entries.len() > MOST_ITEMS {
        return Err(format!("items: must be at most {MOST_ITEMS}"));
    }
    let mut items = Vec::with_capacity(entries.len());
    for (place, entry) in entries.iter().enumerate() {
        let id = entry.get("id").and_then(Value::as_str);
        let (Some(id), Some(item)) = (id, entry.get("item")) else {
            return Err(format!("items/{place}: must have an id and an item"));
        };
        let bytes = item.to_string().into_bytes();
        if bytes.len() > LARGEST_ITEM {
            return Err(format!(
                "items/{place}: is larger than {LARGEST_ITEM} bytes"
            ));
        }
        items.push((id.to_owned(), bytes));
    }
    let mut index = Index::read(Some(value.to_string().into_bytes())).unwrap_or_default();
    index.ids = items.iter().map(|(id, _)| id.clone()).collect();
    index.sequence = index.sequence.max(items.len() as u64);
    Ok(Imported { index, items })
}

impl Imported {
    pub(crate) async fn write<S: Store>(self, store: &mut S, index_key: &str) {
        for (id, bytes) in self.items {
            store.write(&item_key(index_key, &id), bytes).await;
        }
        store.write(index_key, self.index.bytes()).await;
    }
}
