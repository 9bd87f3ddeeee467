//! Events: the webhooks and callbacks that a document declares, set off by what is done in the sandbox.
//!
//! Owns which event follows which call, and its body. Keeping, signing and retrying deliveries is `delivery`'s
//! business; sending them is the host's.

pub(crate) mod delivery;
mod signature;

pub use delivery::{Outgoing, due, has_deliveries, settle};

use crate::generation::{Wish, generate};
use crate::json::{Value, object};
use crate::mock::{Call, Context};
use crate::operation::{Api, MediaType};
use crate::random::Random;
use crate::request::{Request, shape};
use crate::schema::SchemaId;
use crate::text::{singular, words};
use crate::validation::Direction;
use crate::validation::request::is_json;
use crate::validation::schema::is_valid;

/// A webhook or callback, compiled.
#[derive(Debug)]
pub(crate) struct Event {
    /// As the document names it.
    pub(crate) name: String,
    /// In capitals.
    pub(crate) method: String,
    pub(crate) content: Vec<MediaType>,
    /// For a callback: the number of its operation, and the expression that says where it goes.
    pub(crate) callback: Option<(usize, String)>,
}

/// An event with its body, not yet addressed to anybody.
pub(crate) struct Happening {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) content_type: String,
    pub(crate) body: String,
    /// Where a callback goes; webhooks go to every endpoint.
    pub(crate) url: Option<String>,
}

/// What happened by a call that was answered with success.
pub(crate) fn follow(
    api: &Api,
    call: &Call<'_>,
    request: &Request<'_>,
    answer: Option<&Value>,
    context: &Context,
    number: u64,
) -> Vec<Happening> {
    if matches!(request.method, "GET" | "HEAD" | "OPTIONS") {
        return Vec::new();
    }
    let mut happened = Vec::new();
    for event in &api.events {
        let url = match &event.callback {
            Some((operation, expression)) if *operation == call.operation.index => {
                match address(expression, call, request, answer) {
                    Some(url) => Some(url),
                    None => continue,
                }
            }
            None if is_about(&event.name, &call.operation.method, &call.operation.path) => None,
            _ => continue,
        };
        happened.extend(happen(api, event, answer, context, number, url));
    }
    happened
}

/// The event as it would be sent, about `subject` where its schema has a place for that.
pub(crate) fn happen(
    api: &Api,
    event: &Event,
    subject: Option<&Value>,
    context: &Context,
    number: u64,
    url: Option<String>,
) -> Option<Happening> {
    let media = event
        .content
        .iter()
        .find(|media| is_json(&media.name))
        .or_else(|| event.content.first());
    let Some(media) = media else {
        return Some(Happening {
            name: event.name.clone(),
            method: event.method.clone(),
            content_type: String::new(),
            body: String::new(),
            url,
        });
    };
    let overlay = subject
        .zip(media.schema)
        .and_then(|(subject, schema)| placed(api, schema, subject, 0));
    let example = || {
        let (_, text) = media.examples.first()?;
        let value = crate::json::read(text.as_bytes()).ok()?;
        let valid = media
            .schema
            .is_none_or(|id| is_valid(&api.schemas, id, &value, Direction::Request));
        valid.then_some(value)
    };
    let value = match (media.schema, overlay.is_none().then(example).flatten()) {
        (_, Some(example)) => example,
        (Some(schema), None) => {
            let wish = Wish {
                direction: Direction::Request,
                overlay: overlay.as_ref(),
                resource: event.name.clone(),
                ..Wish::default()
            };
            let random = Random::for_parts(
                context.seed,
                &[&context.tenant, &event.name, &number.to_string()],
            );
            generate(&api.schemas, schema, &wish, random).ok()?.value
        }
        (None, None) => Value::Object(Vec::new()),
    };
    let (content_type, body) = crate::response::render(api, media, &value);
    Some(Happening {
        name: event.name.clone(),
        method: event.method.clone(),
        content_type,
        body: String::from_utf8(body).ok()?,
        url,
    })
}

/// The subject in the place of an event's schema that it fits: the event itself, or a member a few levels down.
fn placed(api: &Api, schema: SchemaId, subject: &Value, depth: usize) -> Option<Value> {
    let properties = shape::properties(&api.schemas, schema);
    // Anything fits a schema that says nothing.
    let says_something = properties
        .iter()
        .any(|(name, _)| subject.get(name).is_some());
    if says_something && is_valid(&api.schemas, schema, subject, Direction::Response) {
        return Some(subject.clone());
    }
    if depth == 3 {
        return None;
    }
    properties.iter().find_map(|(name, id)| {
        let inner = placed(api, *id, subject, depth + 1)?;
        Some(object([(name.as_str(), inner)]))
    })
}

/// Whether an event of this name follows a call: `orderCreated`, `order.created` and `new-order` follow
/// `POST /orders`; `order.cancelled` follows `POST /orders/{id}/cancel`.
fn is_about(name: &str, method: &str, path: &str) -> bool {
    let said: Vec<String> = words(name).iter().map(singular).collect();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let is_parameter = |part: &&str| part.starts_with('{');
    let is_item = parts.last().is_some_and(is_parameter);
    let nouns: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|part| !is_parameter(part))
        .collect();
    let after_item =
        parts.len() >= 2 && parts.get(parts.len() - 2).is_some_and(is_parameter) && !is_item;
    let has_noun = |noun: &str| {
        let noun_words: Vec<String> = words(noun).iter().map(singular).collect();
        !noun_words.is_empty() && noun_words.iter().all(|word| said.contains(word))
    };
    let has_verb = |verbs: &[&str]| {
        verbs
            .iter()
            .any(|verb| said.iter().any(|word| word == verb))
    };
    let last = nouns.last().copied().unwrap_or("");
    let before = nouns.len().checked_sub(2).and_then(|at| nouns.get(at));
    match method {
        "POST" if after_item && before.is_some_and(|noun| has_noun(noun)) => {
            // An action on an item: its verb stands in the event, in one form or another.
            let verb = last.to_ascii_lowercase();
            let stem = verb.get(..verb.len().min(4)).unwrap_or(&verb);
            !stem.is_empty() && said.iter().any(|word| word.starts_with(stem))
        }
        "POST" => {
            has_noun(last)
                && has_verb(&["created", "new", "added", "opened", "succeeded", "received"])
        }
        "PUT" | "PATCH" => {
            has_noun(last) && has_verb(&["updated", "changed", "modified", "edited"])
        }
        "DELETE" => {
            has_noun(last) && has_verb(&["deleted", "removed", "cancelled", "canceled", "closed"])
        }
        _ => false,
    }
}

/// The address that a callback's expression gives (OpenAPI, runtime expressions).
fn address(
    expression: &str,
    call: &Call<'_>,
    request: &Request<'_>,
    answer: Option<&Value>,
) -> Option<String> {
    let mut url = String::new();
    let mut rest = expression;
    while let Some((before, after)) = rest.split_once('{') {
        let (inner, after) = after.split_once('}')?;
        url.push_str(before);
        url.push_str(&evaluate(inner, call, request, answer)?);
        rest = after;
    }
    url.push_str(rest);
    if url.starts_with('$') {
        url = evaluate(&url, call, request, answer)?;
    }
    (url.starts_with("http://") || url.starts_with("https://")).then_some(url)
}

fn evaluate(
    expression: &str,
    call: &Call<'_>,
    request: &Request<'_>,
    answer: Option<&Value>,
) -> Option<String> {
    let pointed = |value: Option<&Value>, pointer: &str| {
        let found = pointer
            .split('/')
            .skip(1)
            .try_fold(value?, |value, name| match value {
                Value::Array(entries) => entries.get(name.parse::<usize>().ok()?),
                _ => value.get(&name.replace("~1", "/").replace("~0", "~")),
            })?;
        Some(match found {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let body = call.accepted.body.as_ref();
    if let Some(pointer) = expression.strip_prefix("$request.body#") {
        return pointed(body, pointer);
    }
    if let Some(pointer) = expression.strip_prefix("$response.body#") {
        return pointed(answer, pointer);
    }
    if let Some(name) = expression.strip_prefix("$request.header.") {
        return request.header(name).map(str::to_owned);
    }
    if let Some(name) = expression.strip_prefix("$request.query.") {
        let pairs = request.query_pairs();
        return pairs
            .into_iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value);
    }
    let name = expression.strip_prefix("$request.path.")?;
    let names = crate::matching::parameter_names(&call.operation.path);
    let position = names.iter().position(|known| known == name)?;
    call.values.get(position).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_follows_the_calls_that_its_name_speaks_of() {
        for (name, method, path, expected) in [
            ("orderCreated", "POST", "/v1/orders", true),
            ("order.created", "POST", "/v1/orders/{id}/items", false),
            ("new-pet", "POST", "/pets", true),
            ("order.cancelled", "POST", "/v1/orders/{id}/cancel", true),
            ("order.shipped", "POST", "/v1/orders/{id}/cancel", false),
            ("customer.updated", "PATCH", "/v1/customers/{id}", true),
            ("customer.deleted", "DELETE", "/v1/customers/{id}", true),
            ("customer.deleted", "DELETE", "/v1/orders/{id}", false),
            ("orderCreated", "GET", "/v1/orders", false),
        ] {
            assert_eq!(
                is_about(name, method, path),
                expected,
                "{name} {method} {path}"
            );
        }
    }
}
