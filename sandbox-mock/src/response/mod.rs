//! Answers: which status, which media type, which body, which headers.
//!
//! Owns turning a matched operation and a wish into bytes. What is remembered between requests is `state`'s
//! business.

mod negotiation;
mod refusal;
mod render;

pub(crate) use negotiation::choose;
pub use refusal::problem;
pub(crate) use refusal::{Problem, refusal_response, said};
pub(crate) use render::render;

use crate::generation::{Made, Unsatisfiable, Wish, generate};
use crate::json::Value;
use crate::operation::{Api, DeclaredResponse, MediaType};
use crate::random::Random;
use crate::scenario::Scenario;
use crate::validation::Direction;
use crate::validation::schema::is_valid;

/// The header that says where a body comes from: `example`, `generated`, `state` or `handler`.
pub const SOURCE_HEADER: &str = "x-portico-mock-source";

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Response {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// Where a body comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Example,
    Generated,
    State,
}

impl Source {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Source::Example => "example",
            Source::Generated => "generated",
            Source::State => "state",
        }
    }
}

/// A body before it is rendered.
pub(crate) struct Body {
    pub(crate) value: Value,
    pub(crate) source: Source,
    /// The name of the declared example; empty for the only one.
    pub(crate) example: Option<String>,
}

/// Makes the body for a media type: a declared example when it is valid, otherwise a generated value.
pub(crate) fn make_body(
    api: &Api,
    media: &MediaType,
    scenario: &Scenario,
    wish: &Wish<'_>,
    random: Random,
) -> Result<Body, Unsatisfiable> {
    let of_example = |value, name: &str| Body {
        value,
        source: Source::Example,
        example: Some(name.to_owned()),
    };
    let named = scenario.example.as_ref();
    if let Some((name, text)) =
        named.and_then(|named| media.examples.iter().find(|(name, _)| name == named))
    {
        let value = crate::json::read(text.as_bytes()).unwrap_or(Value::Null);
        if media
            .schema
            .is_none_or(|id| is_valid(&api.schemas, id, &value, Direction::Response))
        {
            return Ok(of_example(value, name));
        }
    }
    // What the client sent or what is remembered is more to the point than an example of another thing.
    if wish.examples && wish.overlay.is_none() {
        for (name, text) in &media.examples {
            let Ok(value) = crate::json::read(text.as_bytes()) else {
                continue;
            };
            let value = with_echo(value, wish);
            if media
                .schema
                .is_none_or(|id| is_valid(&api.schemas, id, &value, Direction::Response))
            {
                return Ok(of_example(value, name));
            }
        }
    }
    let Some(id) = media.schema else {
        return Ok(Body {
            value: Value::Object(Vec::new()),
            source: Source::Generated,
            example: None,
        });
    };
    let Made { value, is_example } = generate(&api.schemas, id, wish, random)?;
    Ok(Body {
        value,
        source: if is_example {
            Source::Example
        } else {
            Source::Generated
        },
        example: None,
    })
}

/// The id of the path in an example: another thing was asked for than the one the example shows.
fn with_echo(mut value: Value, wish: &Wish<'_>) -> Value {
    if let Value::Object(members) = &mut value {
        for (name, member) in members {
            let plain = crate::text::plain_name(name);
            let named = wish
                .echo
                .iter()
                .find(|(known, _)| *known == plain)
                .map(|(_, value)| value);
            let own = wish
                .item
                .as_ref()
                .filter(|_| plain == "id" || plain == "sid");
            if let Some(text) = named.or(own) {
                match member {
                    Value::String(old) => old.clone_from(text),
                    Value::Int(old) => *old = text.parse().unwrap_or(*old),
                    _ => {}
                }
            }
        }
    }
    value
}

/// The declared headers of a response, made up.
pub(crate) fn make_headers(
    api: &Api,
    declared: &DeclaredResponse,
    wish: &Wish<'_>,
    random: &Random,
) -> Vec<(String, String)> {
    const OURS: [&str; 4] = ["content-length", "transfer-encoding", "connection", "date"];
    let mut headers = Vec::new();
    for header in &declared.headers {
        let name = header.name.to_ascii_lowercase();
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&byte));
        if OURS.contains(&name.as_str()) || !is_name {
            continue;
        }
        let example = header
            .example
            .as_ref()
            .and_then(|text| crate::json::read(text.as_bytes()).ok())
            .filter(|example| {
                header
                    .schema
                    .is_none_or(|id| is_valid(&api.schemas, id, example, Direction::Response))
            });
        let value = example.or_else(|| {
            let plain = Wish {
                resource: header.name.clone(),
                overlay: None,
                ..wish.clone()
            };
            let seed = Random::for_parts(random.clone().next(), &[&header.name]);
            generate(&api.schemas, header.schema?, &plain, seed)
                .ok()
                .map(|made| made.value)
        });
        let text = match value {
            Some(Value::String(text)) => text,
            Some(value @ (Value::Int(_) | Value::Float(_) | Value::Bool(_))) => value.to_string(),
            Some(Value::Array(entries)) => entries
                .iter()
                .map(|entry| {
                    entry
                        .as_str()
                        .map_or_else(|| entry.to_string(), str::to_owned)
                })
                .collect::<Vec<_>>()
                .join(","),
            _ if header.required => "sandbox".to_owned(),
            _ => continue,
        };
        let visible: String = text.chars().filter(|c| matches!(c, ' '..='~')).collect();
        headers.push((name, visible));
    }
    headers
}
