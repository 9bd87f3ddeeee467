//! Which operations belong together: a collection, and the items in it.

use crate::json::Value;
use crate::operation::{Api, Operation};
use crate::request::shape;
use crate::schema::SchemaId;
use crate::text::plain_name;
use crate::validation::request::is_json;
use std::collections::HashMap;

/// What an operation does to a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Create,
    List,
    Read,
    /// `PATCH`, or `POST` on the item.
    Update,
    Replace,
    /// `PUT` on the collection, with the id in the body.
    ReplaceByBody,
    Delete,
    /// `POST` on something below the item, such as `/cancel`.
    Act,
}

/// An operation's place in a family.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) role: Role,
    /// The template of the collection.
    pub(crate) collection: String,
    /// The name of the item's path parameter.
    pub(crate) parameter: String,
    /// How many of the operation's path values belong to the collection.
    pub(crate) outer_values: usize,
}

/// A template with its parameters unnamed: two spellings of one path are one.
fn unnamed(template: &str) -> String {
    let mut out = String::new();
    let mut rest = template.trim_end_matches('/');
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else {
            break;
        };
        out.push_str(before);
        out.push_str("{}");
        rest = after;
    }
    out + rest
}

/// The collection of an item's path: `/a/{b}` is in `/a`, `/a/{b}.json` in `/a.json`.
fn collection_of(template: &str) -> Option<(String, String)> {
    let (before, last) = template.trim_end_matches('/').rsplit_once('/')?;
    let (name, suffix) = last.strip_prefix('{')?.split_once('}')?;
    let is_suffix = suffix.is_empty() || suffix.starts_with('.') && !suffix.contains('{');
    (is_suffix && !before.is_empty()).then(|| (format!("{before}{suffix}"), name.to_owned()))
}

/// The parts of every operation that is in a family, by the operation's number.
pub(crate) fn infer(api: &Api) -> (HashMap<usize, Part>, usize) {
    let mut methods: HashMap<String, Vec<&str>> = HashMap::new();
    for operation in &api.operations {
        methods
            .entry(unnamed(&operation.path))
            .or_default()
            .push(&operation.method);
    }
    let has = |template: &str, method: &str| {
        methods
            .get(&unnamed(template))
            .is_some_and(|methods| methods.contains(&method))
    };
    // Families by their unnamed collection: the collection's template and the parameter of the item.
    let mut families: HashMap<String, (String, String)> = HashMap::new();
    for operation in &api.operations {
        let Some((collection, parameter)) = collection_of(&operation.path) else {
            continue;
        };
        let creates = has(&collection, "POST") || has(&operation.path, "PUT");
        let shows = has(&operation.path, "GET") || has(&collection, "GET");
        if creates && shows {
            families
                .entry(unnamed(&collection))
                .or_insert((collection, parameter));
        }
    }
    let mut parts = HashMap::new();
    for operation in &api.operations {
        if let Some(part) = part_of(operation, &families) {
            parts.insert(operation.index, part);
        }
    }
    (parts, families.len())
}

fn part_of(operation: &Operation, families: &HashMap<String, (String, String)>) -> Option<Part> {
    let part = |role, (collection, parameter): &(String, String)| Part {
        role,
        collection: collection.clone(),
        parameter: parameter.clone(),
        outer_values: crate::matching::parameter_names(collection).len(),
    };
    let method = operation.method.as_str();
    if let Some((collection, _)) = collection_of(&operation.path) {
        if let Some(family) = families.get(&unnamed(&collection)) {
            let role = match method {
                "GET" => Role::Read,
                "PUT" => Role::Replace,
                "PATCH" | "POST" => Role::Update,
                "DELETE" => Role::Delete,
                _ => return None,
            };
            return Some(part(role, family));
        }
    }
    if let Some(family) = families.get(&unnamed(&operation.path)) {
        let role = match method {
            "GET" => Role::List,
            "POST" => Role::Create,
            "PUT" => Role::ReplaceByBody,
            _ => return None,
        };
        return Some(part(role, family));
    }
    let (item, _) = operation.path.rsplit_once('/')?;
    let family =
        collection_of(item).and_then(|(collection, _)| families.get(&unnamed(&collection)))?;
    (method == "POST").then(|| part(Role::Act, family))
}

impl Part {
    /// The members that may hold the id of an item, the likeliest first.
    fn id_names(&self) -> Vec<String> {
        let mut names = vec![plain_name(&self.parameter)];
        names.extend(
            [
                "id", "sid", "uuid", "guid", "key", "slug", "name", "code", "number",
            ]
            .map(str::to_owned),
        );
        names
    }

    /// The name and text of an entity's id.
    pub(crate) fn id_of(&self, entity: &Value) -> Option<(String, String)> {
        let members = entity.as_object()?;
        self.id_names().into_iter().find_map(|wanted| {
            let (name, value) = members
                .iter()
                .find(|(name, _)| plain_name(name) == wanted)?;
            let text = match value {
                Value::String(text) if !text.is_empty() => text.clone(),
                Value::Int(number) => number.to_string(),
                _ => return None,
            };
            Some((name.clone(), text))
        })
    }

    /// The entity in an answer: the answer itself, or the one object in it that has an id.
    pub(crate) fn entity_in<'v>(&self, answer: &'v Value) -> Option<&'v Value> {
        if self.id_of(answer).is_some() {
            return Some(answer);
        }
        answer
            .as_object()?
            .iter()
            .map(|(_, member)| member)
            .find(|member| self.id_of(member).is_some())
    }

    /// The member of a schema that holds the id.
    pub(crate) fn id_member(&self, api: &Api, id: SchemaId) -> Option<(String, SchemaId)> {
        let properties = shape::properties(&api.schemas, id);
        self.id_names().into_iter().find_map(|wanted| {
            properties
                .iter()
                .find(|(name, _)| plain_name(name) == wanted)
                .cloned()
        })
    }

    /// An entity as the answer of an operation wraps it.
    pub(crate) fn wrapped(&self, api: &Api, answer: SchemaId, entity: Value) -> Value {
        match self.wrapper(api, answer) {
            Some(name) => Value::Object(vec![(name, entity)]),
            None => entity,
        }
    }

    /// The member in which an answer carries the entity, when it is not the answer itself.
    pub(crate) fn wrapper(&self, api: &Api, answer: SchemaId) -> Option<String> {
        if self.id_member(api, answer).is_some() {
            return None;
        }
        let inner = shape::properties(&api.schemas, answer).into_iter();
        let mut inner = inner.filter(|(_, id)| shape::is_object(&api.schemas, *id));
        inner
            .find(|(_, id)| self.id_member(api, *id).is_some())
            .map(|(name, _)| name)
    }
}

/// The schema of an operation's answer in JSON.
pub(crate) fn answer_schema(operation: &Operation) -> Option<SchemaId> {
    let (_, declared) = operation.success()?;
    declared
        .content
        .iter()
        .find(|media| is_json(&media.name))
        .or_else(|| declared.content.first())?
        .schema
}
