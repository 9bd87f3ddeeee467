//! Items as values: fresh ids, and putting together what was sent, answered and known.

use super::family::{Part, answer_schema};
use super::index::Index;
use super::paging::entry_schema;
use crate::generation::{Wish, generate};
use crate::json::Value;
use crate::mock::Context;
use crate::operation::{Api, Operation};
use crate::random::Random;
use crate::request::{form, shape};
use crate::schema::SchemaId;
use crate::validation::Direction;
use crate::validation::schema::is_valid;

/// An id that no item has, of the form that the path of an item wants.
pub(super) fn fresh_id(
    api: &Api,
    part: &Part,
    collection: &str,
    id_schema: SchemaId,
    index: Option<&Index>,
    context: &Context,
) -> Option<Value> {
    let parameter = api
        .operations
        .iter()
        .filter(|operation| {
            operation
                .path
                .starts_with(part.collection.split('.').next().unwrap_or(""))
        })
        .flat_map(|operation| &operation.parameters)
        .find(|parameter| parameter.name == part.parameter)
        .and_then(|parameter| parameter.schema);
    let name = if part.parameter.to_ascii_lowercase().ends_with("id") {
        part.parameter.clone()
    } else {
        format!("{}_id", part.parameter)
    };
    let wish = Wish {
        examples: false,
        resource: name,
        ..Wish::default()
    };
    let sequence = index.map_or(0, |index| index.sequence);
    let elsewhere = elsewhere(api, part);
    for round in 0..20_u64 {
        let random = Random::for_parts(
            context.seed,
            &[collection, &sequence.to_string(), &round.to_string()],
        );
        // The parameter may know more about the form of an id than the member does, or the other way round.
        let mut order = vec![parameter, Some(id_schema)];
        order.extend(elsewhere.iter().map(|id| Some(*id)));
        let turn = usize::try_from(round).unwrap_or(0) % order.len().max(1);
        order.rotate_left(turn);
        for schema in order.into_iter().flatten() {
            let Ok(made) = generate(&api.schemas, schema, &wish, random.clone()) else {
                continue;
            };
            let text = made
                .value
                .as_str()
                .map_or_else(|| made.value.to_string(), str::to_owned);
            let typed = if is_valid(&api.schemas, id_schema, &made.value, Direction::Response) {
                Some(made.value)
            } else {
                let raw = form::Raw::Text(text.clone());
                let shaped = shape::shape(&api.schemas, id_schema, &raw, None);
                is_valid(&api.schemas, id_schema, &shaped, Direction::Response).then_some(shaped)
            };
            // An id that another answer cannot show is the last resort.
            let fits = |value: &Value| {
                round >= 12
                    || elsewhere
                        .iter()
                        .all(|id| is_valid(&api.schemas, *id, value, Direction::Response))
            };
            let typed = typed.filter(fits);
            let is_new =
                index.is_none_or(|index| !index.ids.contains(&text) && !index.gone.contains(&text));
            if let Some(value) = typed.filter(|_| is_new && !text.is_empty()) {
                return Some(value);
            }
        }
    }
    None
}

/// The schemas that the id has in the list and in the answer that shows one item.
fn elsewhere(api: &Api, part: &Part) -> Vec<SchemaId> {
    let is_item = |path: &str| {
        let rest = path.strip_prefix(part.collection.as_str());
        rest.is_some_and(|rest| rest.starts_with("/{") && rest.ends_with('}'))
            && path.matches('{').count() == part.outer_values + 1
    };
    let mut found = Vec::new();
    for operation in api.operations.iter().filter(|known| known.method == "GET") {
        let is_list = operation.path == part.collection;
        if !is_list && !is_item(&operation.path) {
            continue;
        }
        let Some(answer) = answer_schema(operation) else {
            continue;
        };
        let entity = if is_list {
            entry_schema(api, answer, operation)
        } else {
            Some(answer)
        };
        let member = entity.and_then(|entity| part.id_member(api, entity));
        found.extend(member.map(|(_, id)| id));
    }
    found
}

/// What was answered, and behind it the members that only the request or the memory has.
pub(super) fn completed(answered: Option<Value>, known: Option<&Value>) -> Option<Value> {
    let mut entity = match answered {
        Some(entity) => entity,
        None => return known.cloned(),
    };
    for (name, member) in known.and_then(Value::as_object).unwrap_or_default() {
        if entity.get(name).is_none() {
            entity.set(name, member.clone());
        }
    }
    Some(entity)
}

/// `base` with the members of `change`; objects are merged member by member, as JSON merge patch does.
pub(super) fn merge(base: Option<Value>, change: Option<&Value>) -> Option<Value> {
    match (base, change) {
        (Some(mut base @ Value::Object(_)), Some(Value::Object(members))) => {
            for (name, member) in members {
                let old = base
                    .get(name)
                    .filter(|old| old.as_object().is_some() && member.as_object().is_some())
                    .cloned();
                let merged = merge(old, Some(member)).unwrap_or(Value::Null);
                base.set(name, merged);
            }
            Some(base)
        }
        (base, None | Some(Value::Null)) => base,
        (_, Some(change)) => Some(change.clone()),
    }
}

/// What is left of an item when everything that a client can set is set anew.
pub(super) fn without_settable(
    api: &Api,
    part: &Part,
    operation: &Operation,
    stored: Value,
) -> Value {
    let body = operation
        .body
        .as_ref()
        .and_then(|body| body.content.first())
        .and_then(|media| media.schema);
    let wrapper = answer_schema(operation).and_then(|answer| part.wrapper(api, answer));
    let schema = wrapper
        .and_then(|wrapper| wrapper.inner(api, body?))
        .or(body);
    let settable = schema
        .map(|schema| shape::properties(&api.schemas, schema))
        .unwrap_or_default();
    match stored {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(name, _)| settable.iter().all(|(known, _)| known != name))
                .collect(),
        ),
        other => other,
    }
}
