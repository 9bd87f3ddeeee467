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

/// Whether an answer or a body of this operation says which id the item has.
fn tells_id(api: &Api, create: &Operation, parameter: &str) -> bool {
    let part = Part {
        role: Role::Create,
        collection: String::new(),
        parameter: parameter.to_owned(),
        outer_values: 0,
    };
    let bodies = create
        .body
        .iter()
        .flat_map(|body| body.content.iter().filter_map(|media| media.schema));
    bodies
        .chain(answer_schema(create))
        .any(|schema| part.id_member(api, schema).is_some() || part.wrapper(api, schema).is_some())
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
        let creates = has(&operation.path, "PUT")
            || api.operations.iter().any(|create| {
                create.method == "POST"
                    && unnamed(&create.path) == unnamed(&collection)
                    && tells_id(api, create, &parameter)
            });
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
    if let Some((collection, _)) = collection_of(&operation.path)
        && let Some(family) = families.get(&unnamed(&collection))
    {
        let role = match method {
            "GET" => Role::Read,
            "PUT" => Role::Replace,
            "PATCH" | "POST" => Role::Update,
            "DELETE" => Role::Delete,
            _ => return None,
        };
        return Some(part(role, family));
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

    /// Whether a member is called like the item: `role` for `role_id`.
    fn is_named_like_item(&self, member: &str) -> bool {
        let member = plain_name(member);
        !member.is_empty() && plain_name(&self.parameter).starts_with(&member)
    }

    /// The entity in an answer: the answer itself, or the one object in it that has an id.
    pub(crate) fn entity_in<'v>(&self, answer: &'v Value) -> Option<&'v Value> {
        if self.id_of(answer).is_some() {
            return Some(answer);
        }
        let members = answer.as_object()?;
        let with_id = || {
            members
                .iter()
                .filter(|(_, member)| self.id_of(member).is_some())
        };
        let named = with_id().find(|(name, _)| self.is_named_like_item(name));
        named.or_else(|| with_id().next()).map(|(_, member)| member)
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

    /// An entity as the answer of an operation wraps it, with the id where that answer has it.
    pub(crate) fn wrapped(&self, api: &Api, answer: SchemaId, mut entity: Value) -> Value {
        let wrapper = self.wrapper(api, answer);
        let inner = wrapper
            .as_ref()
            .and_then(|name| shape::property(&api.schemas, answer, name));
        if let (Some((name, _)), Some((_, id))) = (
            self.id_member(api, inner.unwrap_or(answer)),
            self.id_of(&entity),
        ) && entity.get(&name).is_none()
        {
            entity.set(&name, Value::from(id));
        }
        match wrapper {
            Some(name) => Value::Object(vec![(name, entity)]),
            None => entity,
        }
    }

    /// The member in which an answer carries the entity, when it is not the answer itself.
    pub(crate) fn wrapper(&self, api: &Api, answer: SchemaId) -> Option<String> {
        if self.id_member(api, answer).is_some() {
            return None;
        }
        let properties = shape::properties(&api.schemas, answer);
        let with_id = || {
            properties.iter().filter(|(_, id)| {
                shape::is_object(&api.schemas, *id) && self.id_member(api, *id).is_some()
            })
        };
        let named = with_id().find(|(name, _)| self.is_named_like_item(name));
        named
            .or_else(|| with_id().next())
            .map(|(name, _)| name.clone())
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
