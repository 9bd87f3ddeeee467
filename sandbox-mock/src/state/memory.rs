//! Remembering and recalling the items of collections.

use super::entity::{completed, fresh_id, merge, without_settable};
use super::family::{Part, Role, answer_schema, infer};
use super::index::{Index, Keys};
use super::paging::{self, Page};
use super::store::Store;
use crate::control::{Tenant, expired};
use crate::json::{Value, object, read};
use crate::mock::Context;
use crate::operation::{Api, Operation};
use crate::random::Random;
use crate::request::{Request, shape};
use crate::response::{Problem, Response};
use std::collections::HashMap;

/// More items than this a collection of one tenant does not take.
pub(super) const MOST_ITEMS: usize = 2_000;
/// How many deleted ids are known to have existed.
const MOST_GONE: usize = 500;
pub(super) const LARGEST_ITEM: usize = 256 * 1024;

/// The families of a document.
#[derive(Debug, Default)]
pub struct Memory {
    parts: HashMap<usize, Part>,
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

/// What is known before an answer is made.
#[derive(Debug, Default)]
pub(crate) struct Recall {
    /// What the answer should hold.
    pub(crate) overlay: Option<Value>,
    /// Whether the overlay comes from memory.
    pub(crate) is_known: bool,
    /// Whether a `PUT` creates.
    pub(crate) created: bool,
    /// How many things were created before.
    pub(crate) history: u64,
    /// The answer that was given to the same request before.
    pub(crate) replay: Option<Response>,
    /// Under which key the answer is kept for a repeated request.
    pub(crate) idempotency: Option<(String, u64)>,
    pub(crate) link: Option<String>,
    id: Option<String>,
    entity: Option<Value>,
}

impl Recall {
    /// Whether nothing that is remembered bears on the answer.
    pub(crate) fn is_empty(&self) -> bool {
        self.overlay.is_none()
            && !self.is_known
            && !self.created
            && self.replay.is_none()
            && self.idempotency.is_none()
            && self.link.is_none()
            && self.entity.is_none()
    }
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

    fn keys(part: &Part, values: &[String], context: &Context) -> Keys {
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

    /// Looks into the memory before an answer is made; a problem is what the request runs into.
    #[allow(clippy::too_many_arguments)]
    pub(crate) async fn recall<S: Store>(
        &self,
        api: &Api,
        operation: &Operation,
        values: &[String],
        body: Option<&Value>,
        request: &Request<'_>,
        store: &mut S,
        context: &Context,
        tenant: &Tenant,
    ) -> Result<Recall, Problem> {
        let Some(part) = self.parts.get(&operation.index) else {
            return Ok(Recall::default());
        };
        let keys = Memory::keys(part, values, context);
        let index = Index::read(store.read(&keys.index).await);
        let mut recall = Recall {
            history: index.as_ref().map_or(0, |index| index.sequence),
            ..Recall::default()
        };
        match part.role {
            Role::Create => {
                if !tenant.has_room(&keys.index) {
                    return Err(full("collections"));
                }
                self.recall_for_create(
                    api,
                    operation,
                    part,
                    &keys,
                    index.as_ref(),
                    body,
                    request,
                    store,
                    context,
                    &mut recall,
                )
                .await?;
            }
            Role::List => {
                if let (Some(index), Some(schema)) = (index, answer_schema(operation)) {
                    recall_list(
                        api,
                        operation,
                        part,
                        &keys,
                        &index,
                        schema,
                        request,
                        store,
                        (tenant.since_ms, context.now_ms),
                        &mut recall,
                    )
                    .await;
                }
            }
            Role::Read
            | Role::Update
            | Role::Replace
            | Role::Delete
            | Role::Act
            | Role::ReplaceByBody => {
                let id = match part.role {
                    Role::ReplaceByBody => body.and_then(|body| part.id_of(body)).map(|(_, id)| id),
                    _ => values.get(part.outer_values).cloned(),
                };
                let Some(id) = id else { return Ok(recall) };
                if index.as_ref().is_some_and(|index| index.gone.contains(&id))
                    && part.role != Role::Replace
                    && part.role != Role::ReplaceByBody
                {
                    return Err(not_found(part, &id));
                }
                let mut stored = store
                    .read(&keys.item(&id))
                    .await
                    .and_then(|bytes| read(&bytes).ok());
                if let (Some(stored), Some(schema)) = (&mut stored, answer_schema(operation)) {
                    expired(api, schema, stored, tenant.since_ms, context.now_ms);
                }
                recall.created = stored.is_none() && part.role == Role::Replace;
                recall.is_known = stored.is_some();
                let entity = match part.role {
                    Role::Update => merge(stored, body),
                    Role::Replace | Role::ReplaceByBody => merge(
                        stored.map(|stored| without_settable(api, operation, stored)),
                        body,
                    ),
                    _ => stored,
                };
                let schema = answer_schema(operation);
                recall.overlay = entity.clone().map(|entity| {
                    schema.map_or(entity.clone(), |schema| part.wrapped(api, schema, entity))
                });
                if part.role == Role::Delete {
                    recall.overlay = recall.overlay.filter(|_| recall.is_known);
                }
                recall.entity = entity;
                recall.id = Some(id);
            }
        }
        Ok(recall)
    }

    #[allow(clippy::too_many_arguments)]
    async fn recall_for_create<S: Store>(
        &self,
        api: &Api,
        operation: &Operation,
        part: &Part,
        keys: &Keys,
        index: Option<&Index>,
        body: Option<&Value>,
        request: &Request<'_>,
        store: &mut S,
        context: &Context,
        recall: &mut Recall,
    ) -> Result<(), Problem> {
        if let Some(key) = request
            .header("idempotency-key")
            .filter(|key| !key.is_empty())
        {
            let key = format!(
                "{}!{}!{}",
                keys.index,
                operation.id,
                crate::text::percent_encode(key)
            );
            let print =
                Random::for_parts(0, &[&String::from_utf8_lossy(request.body)]).next() >> 12;
            if let Some(kept) = store.read(&key).await.and_then(|bytes| read(&bytes).ok()) {
                if kept.get("print").and_then(Value::as_i64) != i64::try_from(print).ok() {
                    return Err(Problem {
                        statuses: vec![409, 422, 400],
                        code: "idempotency_key_reused",
                        message: "The idempotency key was used for another request.".to_owned(),
                        field: "Idempotency-Key".to_owned(),
                        violations: Vec::new(),
                    });
                }
                recall.replay = replayed(&kept);
                return Ok(());
            }
            recall.idempotency = Some((key, print));
        }
        if index.is_some_and(|index| index.ids.len() >= MOST_ITEMS) {
            return Err(full("items in this collection"));
        }
        let mut entity = match body {
            Some(body @ Value::Object(_)) => body.clone(),
            _ => Value::Object(Vec::new()),
        };
        let schema = answer_schema(operation);
        let wrapper = schema.and_then(|schema| part.wrapper(api, schema));
        // A body may be wrapped as the answer is.
        if let Some(inner) = wrapper
            .as_ref()
            .and_then(|wrapper| entity.get(wrapper))
            .filter(|inner| inner.as_object().is_some())
            .cloned()
        {
            entity = inner;
        }
        let supplied = body.and_then(|body| part.id_of(body)).map(|(_, id)| id);
        if let Some(id) = supplied.filter(|id| index.is_some_and(|index| index.ids.contains(id))) {
            let is_unique = schema
                .and_then(|schema| part.id_member(api, schema))
                .is_some_and(|(name, _)| entity.get(&name).is_some());
            if is_unique && operation.response(409).is_some() {
                return Err(Problem {
                    statuses: vec![409],
                    code: "already_exists",
                    message: format!("{id} exists already."),
                    field: part.parameter.clone(),
                    violations: Vec::new(),
                });
            }
        }
        if let Some(schema) = schema {
            let target = wrapper
                .as_ref()
                .and_then(|wrapper| shape::property(&api.schemas, schema, wrapper))
                .unwrap_or(schema);
            if let Some((name, id_schema)) = part.id_member(api, target)
                && entity.get(&name).is_none()
            {
                let fresh = fresh_id(api, part, &keys.index, id_schema, index, context);
                if let Some(fresh) = fresh {
                    entity.set(&name, fresh);
                }
            }
        }
        recall.overlay = Some(match wrapper {
            Some(wrapper) => Value::Object(vec![(wrapper, entity.clone())]),
            None => entity.clone(),
        });
        recall.entity = Some(entity);
        Ok(())
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

fn replayed(kept: &Value) -> Option<Response> {
    let headers = kept.get("headers")?.as_object()?.iter();
    Some(Response {
        status: u16::try_from(kept.get("status")?.as_i64()?).ok()?,
        headers: headers
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
        body: kept.get("body")?.as_str()?.as_bytes().to_vec(),
    })
}

#[allow(clippy::too_many_arguments)]
async fn recall_list<S: Store>(
    api: &Api,
    operation: &Operation,
    part: &Part,
    keys: &Keys,
    index: &Index,
    schema: crate::schema::SchemaId,
    request: &Request<'_>,
    store: &mut S,
    (since_ms, now_ms): (i64, i64),
    recall: &mut Recall,
) {
    let page = Page::read(api, operation, request);
    let mut ids = index.ids.clone();
    if !page.filters.is_empty() {
        let mut passing = Vec::new();
        for id in ids {
            let stored = store
                .read(&keys.item(&id))
                .await
                .and_then(|bytes| read(&bytes).ok());
            if stored.is_some_and(|entity| page.passes(&entity)) {
                passing.push(id);
            }
        }
        ids = passing;
    }
    let chosen = page.choose(&ids);
    let mut entries = Vec::with_capacity(chosen.ids.len());
    for id in &chosen.ids {
        if let Some(mut entity) = store
            .read(&keys.item(id))
            .await
            .and_then(|bytes| read(&bytes).ok())
        {
            if let Some(entry) = paging::entry_schema(api, schema, operation) {
                expired(api, entry, &mut entity, since_ms, now_ms);
            }
            entries.push(paging::entry(api, part, schema, operation, entity));
        }
    }
    recall.overlay = page.answer(api, schema, operation, request, &chosen, entries);
    recall.is_known = recall.overlay.is_some();
    recall.link = page.link(request, &chosen);
}

fn full(what: &str) -> Problem {
    Problem {
        statuses: vec![507],
        code: "sandbox_full",
        message: format!(
            "The sandbox keeps no more {what}: delete some, or POST /.portico/reset to begin anew."
        ),
        field: String::new(),
        violations: Vec::new(),
    }
}

fn not_found(part: &Part, id: &str) -> Problem {
    Problem {
        statuses: vec![404, 410],
        code: "not_found",
        message: format!("There is no {id}."),
        field: part.parameter.clone(),
        violations: Vec::new(),
    }
}
