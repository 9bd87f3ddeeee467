//! A body of production against a schema, and against the body that the mock would send.

use super::Kind;
use crate::json::Value;
use crate::operation::Api;
use crate::redaction::{REDACTED, is_personal_name, is_secret_name};
use crate::request::shape;
use crate::schema::{SchemaId, Types};
use crate::validation::Direction;
use crate::validation::schema::violations;

const MOST: usize = 50;
const DEEPEST: usize = 12;

/// A difference in a body.
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) pointer: String,
    pub(super) message: String,
}

/// Every difference; `mocked` is what the mock answers, when it answers at all.
pub(super) fn compare_json(
    api: &Api,
    schema: SchemaId,
    body: &Value,
    mocked: Option<Value>,
) -> Vec<Found> {
    let mut found = Vec::new();
    for broken in violations(&api.schemas, schema, body, Direction::Response, MOST) {
        // The look of a redacted value says nothing about the one that was sent.
        if is_redacted(&broken.pointer, body) && !matches!(broken.rule, "type" | "required") {
            continue;
        }
        let kind = match broken.rule {
            "required" => Kind::Missing,
            "type" => Kind::Type,
            "enum" | "const" => Kind::Enum,
            "additionalProperties" | "unevaluatedProperties" => Kind::New,
            _ => Kind::Value,
        };
        found.push(Found {
            kind,
            pointer: general(&broken.pointer),
            message: broken.message,
        });
    }
    undeclared(api, schema, body, "", 0, &mut found);
    if let Some(mocked) = mocked {
        only_in_mock(&mocked, body, "", 0, &mut found);
    }
    found.truncate(MOST);
    found
}

/// Entries of lists are alike: their numbers are left out, so that one difference is told once.
fn general(pointer: &str) -> String {
    let parts = pointer.split('/').map(|part| {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { "*" } else { part }
    });
    parts.collect::<Vec<_>>().join("/")
}

fn is_redacted(pointer: &str, body: &Value) -> bool {
    let names: Vec<&str> = pointer.split('/').skip(1).collect();
    let name = names
        .iter()
        .rev()
        .find(|name| name.parse::<usize>().is_err())
        .copied()
        .unwrap_or("");
    let parent = names.iter().rev().nth(1).copied().unwrap_or("");
    let value = names.iter().try_fold(body, |value, name| match value {
        Value::Array(entries) => entries.get(name.parse::<usize>().ok()?),
        _ => value.get(name),
    });
    let masked = |text: &str| {
        text == REDACTED
            || text
                .chars()
                .all(|c| matches!(c, 'x' | 'X' | '0') || !c.is_alphanumeric())
    };
    is_secret_name(name)
        || is_personal_name(name, parent)
        || value.and_then(Value::as_str).is_some_and(masked)
}

/// Members that the document does not know, where it lists members but allows others.
fn undeclared(
    api: &Api,
    schema: SchemaId,
    value: &Value,
    pointer: &str,
    depth: usize,
    found: &mut Vec<Found>,
) {
    if depth > DEEPEST || found.len() > MOST {
        return;
    }
    match value {
        Value::Object(members) => {
            let known = shape::properties(&api.schemas, schema);
            if known.is_empty() {
                return;
            }
            for (name, member) in members {
                let pointer = format!("{pointer}/{name}");
                match known.iter().find(|(own, _)| own == name) {
                    Some((_, id)) => undeclared(api, *id, member, &pointer, depth + 1, found),
                    None if found.iter().all(|other| other.pointer != pointer) => {
                        found.push(Found {
                            kind: Kind::New,
                            pointer,
                            message: "is sent and not declared".to_owned(),
                        });
                    }
                    None => {}
                }
            }
        }
        Value::Array(entries) => {
            let types = shape::types(&api.schemas, schema);
            let items = types
                .has(Types::ARRAY)
                .then(|| shape::items(&api.schemas, schema));
            if let Some(id) = items.flatten() {
                for entry in entries {
                    undeclared(api, id, entry, &format!("{pointer}/*"), depth + 1, found);
                }
            }
        }
        _ => {}
    }
}

/// Members that the mock shows and production does not send.
fn only_in_mock(mocked: &Value, body: &Value, pointer: &str, depth: usize, found: &mut Vec<Found>) {
    if depth > DEEPEST || found.len() > MOST {
        return;
    }
    match (mocked, body) {
        (Value::Object(ours), Value::Object(_)) => {
            for (name, our) in ours {
                let pointer = format!("{pointer}/{name}");
                match body.get(name) {
                    Some(their) => only_in_mock(our, their, &pointer, depth + 1, found),
                    None if found.iter().all(|other| other.pointer != pointer) => {
                        found.push(Found {
                            kind: Kind::MockOnly,
                            pointer,
                            message: "is in the mock's answer and was not sent".to_owned(),
                        });
                    }
                    None => {}
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            if let (Some(our), Some(their)) = (ours.first(), theirs.first()) {
                only_in_mock(our, their, &format!("{pointer}/*"), depth + 1, found);
            }
        }
        _ => {}
    }
}
