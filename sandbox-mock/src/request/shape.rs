//! Gives untyped text the types that a schema wants.

use super::form::Raw;
use crate::json::Value;
use crate::schema::{Additional, Schema, SchemaId, Schemas, Types};
use crate::validation::Direction;
use crate::validation::schema::is_valid;

const MAX_DEPTH: usize = 16;

/// `raw` as a value of the schema, as far as it can be one; checking it is up to the caller.
pub(crate) fn shape(schemas: &Schemas, id: SchemaId, raw: &Raw, delimiter: Option<char>) -> Value {
    Shaper {
        schemas,
        delimiter,
        budget: 20_000,
    }
    .value(id, raw, 0)
}

/// The types that a schema allows, through everything it is made of.
pub(crate) fn types(schemas: &Schemas, id: SchemaId) -> Types {
    types_within(schemas, id, 0)
}

fn types_within(schemas: &Schemas, id: SchemaId, depth: usize) -> Types {
    let schema = schemas.get(id);
    let mut types = schema.types.or_all();
    if schema.types.is_empty() {
        types = match (&schema.object, &schema.array) {
            (Some(_), None) => Types::OBJECT,
            (None, Some(_)) => Types::ARRAY,
            _ => types,
        };
    }
    if schema.nullable {
        types = types.with(Types::NULL);
    }
    let Some(logic) = schema.logic.as_ref().filter(|_| depth < 8) else {
        return types;
    };
    for part in &logic.all_of {
        types = types.both(types_within(schemas, *part, depth + 1));
    }
    for branches in [&logic.any_of, &logic.one_of] {
        if !branches.is_empty() {
            let all = branches.iter().fold(Types::default(), |all, id| {
                all.with(types_within(schemas, *id, depth + 1))
            });
            types = types.both(all);
        }
    }
    types
}

pub(crate) fn is_object(schemas: &Schemas, id: SchemaId) -> bool {
    types(schemas, id).both(Types::OBJECT.with(Types::STRING)) == Types::OBJECT
}

/// The first schema that something in `id` gives for a member.
pub(crate) fn property(schemas: &Schemas, id: SchemaId, name: &str) -> Option<SchemaId> {
    search(schemas, id, 0, &|schema| {
        let rules = schema.object.as_ref()?;
        schemas.property(rules, name)
    })
}

/// The members that something in `id` declares.
pub(crate) fn properties(schemas: &Schemas, id: SchemaId) -> Vec<(String, SchemaId)> {
    let mut found: Vec<(String, SchemaId)> = Vec::new();
    let mut pending = vec![(id, 0)];
    while let Some((id, depth)) = pending.pop() {
        let schema = schemas.get(id);
        for (name, id) in schema.object.iter().flat_map(|rules| &rules.properties) {
            let name = schemas.name(*name);
            if found.iter().all(|(known, _)| known != name) {
                found.push((name.to_owned(), *id));
            }
        }
        if let Some(logic) = schema.logic.as_ref().filter(|_| depth < 6) {
            pending.extend(
                logic
                    .all_of
                    .iter()
                    .chain(&logic.any_of)
                    .chain(&logic.one_of)
                    .map(|id| (*id, depth + 1)),
            );
        }
    }
    found
}

pub(crate) fn items(schemas: &Schemas, id: SchemaId) -> Option<SchemaId> {
    search(schemas, id, 0, &|schema| schema.array.as_ref()?.items)
}

fn search(
    schemas: &Schemas,
    id: SchemaId,
    depth: usize,
    find: &dyn Fn(&Schema) -> Option<SchemaId>,
) -> Option<SchemaId> {
    let schema = schemas.get(id);
    if let Some(found) = find(schema) {
        return Some(found);
    }
    let logic = schema.logic.as_ref().filter(|_| depth < 8)?;
    let mut parts = logic
        .all_of
        .iter()
        .chain(&logic.any_of)
        .chain(&logic.one_of);
    parts.find_map(|id| search(schemas, *id, depth + 1, find))
}

struct Shaper<'s> {
    schemas: &'s Schemas,
    delimiter: Option<char>,
    budget: usize,
}

impl Shaper<'_> {
    fn value(&mut self, id: SchemaId, raw: &Raw, depth: usize) -> Value {
        self.budget = self.budget.saturating_sub(1);
        let schema = self.schemas.get(id);
        if let Some(logic) = schema
            .logic
            .as_ref()
            .filter(|_| depth < MAX_DEPTH && self.budget > 0)
        {
            for branch in logic.one_of.iter().chain(&logic.any_of) {
                let value = self.value(*branch, raw, depth + 1);
                if is_valid(self.schemas, *branch, &value, Direction::Request) {
                    return value;
                }
            }
        }
        match raw {
            Raw::Text(text) => self.text(id, text, depth),
            Raw::Many(entries) if types(self.schemas, id).has(Types::ARRAY) => {
                self.entries(id, entries.iter(), depth)
            }
            Raw::Many(entries) => entries
                .last()
                .map_or(Value::Null, |last| self.value(id, last, depth + 1)),
            Raw::Fields(fields) => {
                let numbered = fields
                    .iter()
                    .all(|(name, _)| name.bytes().all(|byte| byte.is_ascii_digit()));
                let types = types(self.schemas, id);
                if numbered
                    && !fields.is_empty()
                    && types.has(Types::ARRAY)
                    && (!types.has(Types::OBJECT) || types == Types::ALL)
                {
                    return self.entries(id, fields.iter().map(|(_, raw)| raw), depth);
                }
                self.fields(id, fields, depth)
            }
        }
    }

    fn entries<'r>(
        &mut self,
        id: SchemaId,
        entries: impl Iterator<Item = &'r Raw>,
        depth: usize,
    ) -> Value {
        let items = items(self.schemas, id);
        Value::Array(
            entries
                .map(|entry| {
                    items.map_or_else(
                        || untyped(entry),
                        |items| self.value(items, entry, depth + 1),
                    )
                })
                .collect(),
        )
    }

    fn fields(&mut self, id: SchemaId, fields: &[(String, Raw)], depth: usize) -> Value {
        let additional = search(self.schemas, id, 0, &|schema| match schema
            .object
            .as_ref()?
            .additional
        {
            Additional::Schema(id) => Some(id),
            _ => None,
        });
        Value::Object(
            fields
                .iter()
                .map(|(name, raw)| {
                    let schema = property(self.schemas, id, name)
                        .or(additional)
                        .filter(|_| depth < MAX_DEPTH && self.budget > 0);
                    (
                        name.clone(),
                        schema.map_or_else(
                            || untyped(raw),
                            |schema| self.value(schema, raw, depth + 1),
                        ),
                    )
                })
                .collect(),
        )
    }

    fn text(&mut self, id: SchemaId, text: &str, depth: usize) -> Value {
        let types = types(self.schemas, id);
        let trimmed = text.trim_start();
        if ((trimmed.starts_with('{') && types.has(Types::OBJECT))
            || (trimmed.starts_with('[') && types.has(Types::ARRAY)))
            && let Ok(value) = crate::json::read(text.as_bytes())
        {
            return value;
        }
        // A form spells an empty object as an empty text.
        if text.is_empty()
            && types.has(Types::OBJECT)
            && !types.has(Types::STRING)
            && !types.has(Types::ARRAY)
        {
            return Value::Object(Vec::new());
        }
        if types.has(Types::ARRAY) && !types.has(Types::STRING) {
            let parts: Vec<Raw> = match self.delimiter {
                _ if text.is_empty() => Vec::new(),
                Some(delimiter) => text
                    .split(delimiter)
                    .map(|part| Raw::Text(part.to_owned()))
                    .collect(),
                None => vec![Raw::Text(text.to_owned())],
            };
            return self.entries(id, parts.iter(), depth);
        }
        if let (true, Some(delimiter), false) = (
            types.has(Types::OBJECT),
            self.delimiter,
            types.has(Types::STRING),
        ) {
            return self.flat_object(id, text, delimiter, depth);
        }
        let mut readings: Vec<Value> = Vec::new();
        let number = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'.');
        if number && types.has(Types::INTEGER) {
            readings.extend(text.parse().ok().map(Value::Int));
        }
        if number && types.has(Types::NUMBER) {
            readings.extend(
                text.parse()
                    .ok()
                    .filter(|number: &f64| number.is_finite())
                    .map(Value::Float),
            );
        }
        if types.has(Types::BOOLEAN) {
            readings.extend(text.parse().ok().map(Value::Bool));
        }
        if types.has(Types::STRING) {
            readings.push(Value::from(text));
        }
        if types.has(Types::NULL) && matches!(text, "" | "null") {
            readings.push(Value::Null);
        }
        let schemas = self.schemas;
        let valid = readings
            .iter()
            .position(|value| is_valid(schemas, id, value, Direction::Request));
        match valid
            .or((!readings.is_empty()).then_some(0))
            .and_then(|index| readings.into_iter().nth(index))
        {
            Some(value) => value,
            None => Value::from(text),
        }
    }

    /// `role,admin,name,Ana` or `role=admin,name=Ana`.
    fn flat_object(&mut self, id: SchemaId, text: &str, delimiter: char, depth: usize) -> Value {
        let parts: Vec<&str> = text.split(delimiter).collect();
        let fields: Vec<(String, Raw)> = if parts.iter().all(|part| part.contains('=')) {
            parts
                .iter()
                .filter_map(|part| part.split_once('='))
                .map(|(name, value)| (name.to_owned(), Raw::Text(value.to_owned())))
                .collect()
        } else {
            parts
                .chunks(2)
                .filter_map(|pair| match pair {
                    [name, value] => Some(((*name).to_owned(), Raw::Text((*value).to_owned()))),
                    _ => None,
                })
                .collect()
        };
        self.fields(id, &fields, depth)
    }
}

fn untyped(raw: &Raw) -> Value {
    match raw {
        Raw::Text(text) => Value::from(text.as_str()),
        Raw::Many(entries) => Value::Array(entries.iter().map(untyped).collect()),
        Raw::Fields(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, raw)| (name.clone(), untyped(raw)))
                .collect(),
        ),
    }
}
