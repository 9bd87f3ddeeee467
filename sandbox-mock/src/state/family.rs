//! Which operations belong together: a collection, and the items in it.

use crate::json::Value;
use crate::operation::{Api, Operation};
use crate::request::shape;
use crate::schema::SchemaId;
use crate::text::{plain_name, words};
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
        collection: create.path.clone(),
        parameter: parameter.to_owned(),
        outer_values: 0,
    };
    let bodies = create
        .body
        .iter()
        .flat_map(|body| body.content.iter().filter_map(|media| media.schema));
    let is_told = |schema| part.id_member(api, schema).is_some();
    let mut told = bodies.chain(answer_schema(create));
    told.any(|schema| {
        let wrapper = part.wrapper(api, schema);
        is_told(schema) || wrapper.is_some_and(|wrapper| !wrapper.is_list)
    }) || answer_schema(create).is_some_and(|answer| part.wrapper(api, answer).is_some())
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
    /// The ends of the parameter's name that are members of the item: `gid` of `order_gid`, `uid` and `key` of
    /// `uidOrKey`.
    fn endings(&self) -> Vec<String> {
        let words = words(&self.parameter);
        let words: Vec<&str> = words.iter().collect();
        let pieces = words.split(|word| *word == "or").map(<[&str]>::concat);
        let endings = (1..words.len()).filter_map(|from| Some(words.get(from..)?.concat()));
        pieces
            .chain(endings)
            .filter(|name| name.len() > 1)
            .collect()
    }

    /// The members that hold nothing but the id, the likeliest first.
    fn own_id_names(&self) -> Vec<String> {
        let mut names = vec![plain_name(&self.parameter)];
        names.extend(
            self.endings()
                .into_iter()
                .filter(|name| name.ends_with("id")),
        );
        names
    }

    /// The members that may hold the id of an item, the likeliest first.
    fn id_names(&self) -> Vec<String> {
        let mut names = self.own_id_names();
        names.extend(["id", "sid", "uuid", "guid"].map(str::to_owned));
        names.extend(self.endings());
        names.extend(["key", "slug", "name", "code", "number"].map(str::to_owned));
        names
    }

    /// The name and text of an entity's id.
    pub(crate) fn id_of(&self, entity: &Value) -> Option<(String, String)> {
        id_among(&self.id_names(), entity)
    }

    /// The id that a client chose: under a name of its own, not just any name or number.
    pub(crate) fn chosen_id(&self, sent: &Value) -> Option<String> {
        id_among(&self.own_id_names(), sent).map(|(_, id)| id)
    }

    /// Whether a member is called like the item: `role` for `role_id`.
    fn is_named_like_item(&self, member: &str) -> bool {
        let member = plain_name(member);
        !member.is_empty() && plain_name(&self.parameter).starts_with(&member)
    }

    /// Whether a member is called like the collection: `Invoices` in `/Invoices`.
    fn is_named_like_collection(&self, member: &str) -> bool {
        let last = self.collection.rsplit('/').next().unwrap_or("");
        let last = last.split('.').next().unwrap_or("");
        !last.is_empty() && plain_name(member) == plain_name(last)
    }

    /// The entity in an answer: the answer itself, the one object in it that has an id, or the first of a list that
    /// is called like the collection.
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
        let single = named.or_else(|| with_id().next()).map(|(_, member)| member);
        single.or_else(|| {
            let (_, list) = members
                .iter()
                .find(|(name, _)| self.is_named_like_collection(name))?;
            let first = list.as_array()?.first()?;
            self.id_of(first).map(|_| first)
        })
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
        let inner = wrapper.as_ref().and_then(|own| own.inner(api, answer));
        if let (Some((name, _)), Some((_, id))) = (
            self.id_member(api, inner.unwrap_or(answer)),
            self.id_of(&entity),
        ) && entity.get(&name).is_none()
        {
            entity.set(&name, Value::from(id));
        }
        match wrapper {
            Some(wrapper) => wrapper.around(entity),
            None => entity,
        }
    }

    /// How an answer carries the entity, when it is not the answer itself.
    pub(crate) fn wrapper(&self, api: &Api, answer: SchemaId) -> Option<Wrapper> {
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
        let single = named.or_else(|| with_id().next()).map(|(name, _)| Wrapper {
            name: name.clone(),
            is_list: false,
        });
        single.or_else(|| {
            let (name, _) = properties.iter().find(|(name, id)| {
                let entries = shape::items(&api.schemas, *id);
                self.is_named_like_collection(name)
                    && entries.is_some_and(|entry| self.id_member(api, entry).is_some())
            })?;
            Some(Wrapper {
                name: name.clone(),
                is_list: true,
            })
        })
    }

    /// What a body says of the item: bodies are wrapped as answers are.
    pub(crate) fn sent<'v>(
        &self,
        api: &Api,
        operation: &Operation,
        body: Option<&'v Value>,
    ) -> Option<&'v Value> {
        let wrapper = answer_schema(operation).and_then(|answer| self.wrapper(api, answer));
        let inner = wrapper.and_then(|wrapper| wrapper.within(body?));
        inner.or(body)
    }
}

/// The name and text of the first of these members that an entity has.
fn id_among(names: &[String], entity: &Value) -> Option<(String, String)> {
    let members = entity.as_object()?;
    names.iter().find_map(|wanted| {
        let (name, value) = members
            .iter()
            .find(|(name, _)| plain_name(name) == *wanted)?;
        let text = match value {
            Value::String(text) if !text.is_empty() => text.clone(),
            Value::Int(number) => number.to_string(),
            _ => return None,
        };
        Some((name.clone(), text))
    })
}

/// The member in which answers and bodies carry the entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrapper {
    name: String,
    /// Whether as the first of a list: `{"Invoices": [{…}]}`.
    is_list: bool,
}

impl Wrapper {
    /// The entity's schema in that of the answer.
    pub(crate) fn inner(&self, api: &Api, outer: SchemaId) -> Option<SchemaId> {
        let member = shape::property(&api.schemas, outer, &self.name)?;
        if self.is_list {
            shape::items(&api.schemas, member)
        } else {
            Some(member)
        }
    }

    pub(crate) fn around(self, entity: Value) -> Value {
        let member = if self.is_list {
            Value::Array(vec![entity])
        } else {
            entity
        };
        Value::Object(vec![(self.name, member)])
    }

    fn within<'v>(&self, outer: &'v Value) -> Option<&'v Value> {
        let member = outer.get(&self.name)?;
        let entity = if self.is_list {
            member.as_array()?.first()?
        } else {
            member
        };
        entity.as_object().map(|_| entity)
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
