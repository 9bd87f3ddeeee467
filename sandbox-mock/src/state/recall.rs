//! Looking into the memory before an answer is made.

use super::entity::{fresh_id, merge, without_settable};
use super::family::{Part, Role, answer_schema};
use super::index::{Index, Keys};
use super::memory::{MOST_ITEMS, Memory};
use super::paging::{self, Page, PageLink};
use super::store::Store;
use crate::control::{Tenant, expired};
use crate::json::{Value, read};
use crate::mock::Context;
use crate::operation::{Api, Operation};
use crate::random::Random;
use crate::request::Request;
use crate::response::{Problem, Response};
use crate::validation::Direction;
use crate::validation::schema::is_valid;

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
    pub(crate) link: Option<PageLink>,
    /// How many items the whole list has.
    pub(crate) total: Option<usize>,
    pub(super) id: Option<String>,
    pub(super) entity: Option<Value>,
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
                let body = part.sent(api, operation, body);
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
                        stored.map(|stored| without_settable(api, part, operation, stored)),
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
        let mut entity = match part.sent(api, operation, body) {
            Some(sent @ Value::Object(_)) => sent.clone(),
            _ => Value::Object(Vec::new()),
        };
        let schema = answer_schema(operation);
        let wrapper = schema.and_then(|schema| part.wrapper(api, schema));
        let supplied = part.id_of(&entity).map(|(_, id)| id);
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
                .and_then(|wrapper| wrapper.inner(api, schema))
                .unwrap_or(schema);
            if let Some((name, id_schema)) = part.id_member(api, target)
                && entity.get(&name).is_none()
            {
                let is_right =
                    |id: &Value| is_valid(&api.schemas, id_schema, id, Direction::Response);
                let chosen = part.chosen_id(&entity).map(Value::from).filter(is_right);
                let fresh = || fresh_id(api, part, &keys.index, id_schema, index, context);
                if let Some(id) = chosen.or_else(fresh) {
                    entity.set(&name, id);
                }
            }
        }
        recall.overlay = Some(match wrapper {
            Some(wrapper) => wrapper.around(entity.clone()),
            None => entity.clone(),
        });
        recall.entity = Some(entity);
        Ok(())
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
    if page.looks_at_entities() {
        let mut passing = Vec::new();
        for id in ids {
            let stored = store
                .read(&keys.item(&id))
                .await
                .and_then(|bytes| read(&bytes).ok());
            if let Some(entity) = stored.filter(|entity| page.passes(entity)) {
                passing.push((id, entity));
            }
        }
        page.sort(&mut passing);
        ids = passing.into_iter().map(|(id, _)| id).collect();
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
    if recall.is_known {
        recall.link = Some(page.link(request, &chosen));
        recall.total = Some(chosen.total);
    }
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
