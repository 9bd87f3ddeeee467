//! Remembering and recalling the items of collections.

use super::entity::completed;
use super::family::{Part, Role, infer};
use super::index::{Index, Keys};
use super::recall::Recall;
use super::store::Store;
use crate::control::Tenant;
use crate::json::{Value, object};
use crate::mock::Context;
use crate::operation::{Api, Operation};
use crate::response::Response;
use std::collections::HashMap;

/// More items than this a collection of one tenant does not take.
pub(super) const MOST_ITEMS: usize = 2_000;
/// How many deleted ids are known to have existed.
const MOST_GONE: usize = 500;
pub(super) const LARGEST_ITEM: usize = 256 * 1024;

/// The families of a document.
#[derive(Debug, Default)]
pub struct Memory {
    pub(super) parts: HashMap<usize, Part>,
    collections: usize,
}

/// A collection that remembers, and the numbers of the operations on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Family {
    /// The path template of the collection.
    pub collection: String,
    /// The path parameter of an item.
    pub parameter: String,
    /// Creates an item.
    pub create: Option<usize>,
    /// Lists the items.
    pub list: Option<usize>,
    /// Shows an item.
    pub read: Option<usize>,
    /// Changes an item.
    pub update: Option<usize>,
    /// Deletes an item.
    pub delete: Option<usize>,
}

impl Memory {
    pub(crate) fn new(api: &Api) -> Memory {
        let (parts, collections) = infer(api);
        Memory { parts, collections }
    }

    /// How many collections there are.
    pub fn collections(&self) -> usize {
        self.collections
    }

    /// The place of an operation in a family.
    pub(crate) fn part(&self, operation: &Operation) -> Option<&Part> {
        self.parts.get(&operation.index)
    }

    /// Whether an operation creates items of a collection.
    pub(crate) fn creates(&self, operation: &Operation) -> bool {
        self.part(operation)
            .is_some_and(|part| part.role == Role::Create)
    }

    /// The names that the paths of items have for the values of the collection's path.
    pub(crate) fn outer_names(&self, operation: &Operation) -> Vec<String> {
        let part = self.parts.get(&operation.index);
        part.map(|part| crate::matching::parameter_names(&part.collection))
            .unwrap_or_default()
    }

    /// The collections and the numbers of their operations.
    pub(crate) fn families(&self) -> Vec<Family> {
        let mut families: Vec<Family> = Vec::new();
        let mut numbers: Vec<(&usize, &Part)> = self.parts.iter().collect();
        numbers.sort_by_key(|(number, _)| **number);
        for (number, part) in numbers {
            let known = families
                .iter()
                .position(|family| family.collection == part.collection);
            let position = known.unwrap_or_else(|| {
                families.push(Family {
                    collection: part.collection.clone(),
                    parameter: part.parameter.clone(),
                    ..Family::default()
                });
                families.len() - 1
            });
            let Some(family) = families.get_mut(position) else {
                continue;
            };
            let slot = match part.role {
                Role::Create => &mut family.create,
                Role::List => &mut family.list,
                Role::Read => &mut family.read,
                Role::Update | Role::Replace => &mut family.update,
                Role::Delete => &mut family.delete,
                Role::Act | Role::ReplaceByBody => continue,
            };
            slot.get_or_insert(*number);
        }
        families
    }

    pub(super) fn keys(part: &Part, values: &[String], context: &Context) -> Keys {
        let mut path = String::new();
        let mut values = values.iter();
        let mut rest = part.collection.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            path.push_str(before);
            path.push_str(&crate::text::percent_encode(
                values.next().map_or("", String::as_str),
            ));
            rest = after.split_once('}').map_or("", |(_, after)| after);
        }
        path.push_str(rest);
        Keys {
            index: format!("{}:{path}", crate::text::percent_encode(&context.tenant)),
        }
    }

    /// Remembers what an answer changed, and returns the path of what was created.
    #[allow(clippy::too_many_arguments)]
    pub(crate) async fn remember<S: Store>(
        &self,
        operation: &Operation,
        values: &[String],
        recall: &Recall,
        answer: &Value,
        store: &mut S,
        context: &Context,
        tenant: &mut Tenant,
    ) -> Option<String> {
        let part = self
            .parts
            .get(&operation.index)
            .filter(|_| context.stateful)?;
        let keys = Memory::keys(part, values, context);
        match part.role {
            Role::Read | Role::List => None,
            Role::Delete => {
                let id = recall.id.as_ref()?;
                let mut index = Index::read(store.read(&keys.index).await).unwrap_or_default();
                index.ids.retain(|known| known != id);
                index.gone.push(id.clone());
                if index.gone.len() > MOST_GONE {
                    index.gone.remove(0);
                }
                store.remove(&keys.item(id)).await;
                tenant.note_collection(&keys.index, context.now_ms);
                store.write(&keys.index, index.bytes()).await;
                None
            }
            Role::Act => {
                let id = recall.id.as_ref().filter(|_| recall.is_known)?;
                let entity = part.entity_in(answer)?;
                if part.id_of(entity).is_some_and(|(_, found)| found == *id) {
                    let merged = completed(Some(entity.clone()), recall.entity.as_ref())?;
                    store
                        .write(&keys.item(id), merged.to_string().into_bytes())
                        .await;
                }
                None
            }
            Role::Create | Role::Update | Role::Replace | Role::ReplaceByBody => {
                let answered = part.entity_in(answer);
                // What was sent and is not in this answer may be in another one.
                let entity = completed(answered.cloned(), recall.entity.as_ref())?;
                // The id is what the answer says; what was sent may have members of the same name.
                let id_in = |entity: &Value| part.id_of(entity).map(|(_, id)| id);
                let id = recall
                    .id
                    .clone()
                    .or_else(|| answered.and_then(id_in))
                    .or_else(|| id_in(&entity))?;
                let bytes = entity.to_string().into_bytes();
                if bytes.len() > LARGEST_ITEM {
                    return None;
                }
                store.write(&keys.item(&id), bytes).await;
                tenant.note_collection(&keys.index, context.now_ms);
                // Another instance may write the same index: look again and add the id until it is there.
                for _ in 0..5 {
                    let mut index = Index::read(store.read(&keys.index).await).unwrap_or_default();
                    index.gone.retain(|known| *known != id);
                    if index.ids.contains(&id) {
                        break;
                    }
                    index.sequence += 1;
                    index.ids.push(id.clone());
                    store.write(&keys.index, index.bytes()).await;
                }
                let base = keys.index.split_once(':').map_or("", |(_, path)| path);
                Some(
                    match base.rsplit_once('.').filter(|(_, end)| !end.contains('/')) {
                        Some((base, end)) => {
                            format!("{base}/{}.{end}", crate::text::percent_encode(&id))
                        }
                        None => format!("{base}/{}", crate::text::percent_encode(&id)),
                    },
                )
            }
        }
    }

    pub(crate) async fn keep_answer<S: Store>(
        key: &(String, u64),
        response: &Response,
        store: &mut S,
        tenant: &mut Tenant,
    ) {
        let headers = response
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        let kept = object([
            ("print", Value::Int(i64::try_from(key.1).unwrap_or(0))),
            ("status", Value::Int(i64::from(response.status))),
            ("headers", Value::Object(headers)),
            (
                "body",
                Value::String(String::from_utf8_lossy(&response.body).into_owned()),
            ),
        ]);
        store.write(&key.0, kept.to_string().into_bytes()).await;
        if let Some(oldest) = tenant.note_kept(&key.0) {
            store.remove(&oldest).await;
        }
    }
}
