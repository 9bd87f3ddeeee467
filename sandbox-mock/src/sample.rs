//! Valid requests for an operation, as a client would send them.
//!
//! Owns the way from schemas to requests. Checks of the mock use it, and whoever wants to show how an operation is
//! called.

use crate::generation::{Wish, generate};
use crate::json::Value;
use crate::mock::Mock;
use crate::operation::{Api, Location, MediaType, Operation, Parameter, SchemeKind, Style};
use crate::random::Random;
use crate::text::percent_encode;
use crate::validation::Direction;
use crate::validation::request::{essence, is_json};
use crate::validation::schema::is_valid;

/// A request with everything that it owns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    /// In capitals.
    pub method: String,
    /// Percent-encoded, with the fragment of an operation that has one.
    pub path: String,
    /// Percent-encoded, without the question mark.
    pub query: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A valid request for the operation number `index`, or why there is none.
pub fn sample(mock: &Mock, index: usize, seed: u64) -> Result<Sample, String> {
    make(mock, index, seed, true)
}

/// The same request without the credentials that the operation asks for.
pub fn sample_without_credentials(mock: &Mock, index: usize, seed: u64) -> Result<Sample, String> {
    make(mock, index, seed, false)
}

/// A request in which one required thing is missing: a parameter of the query or a header, a member of a JSON body,
/// or the body; `None` where nothing is required.
pub fn sample_broken(mock: &Mock, index: usize, seed: u64) -> Option<Sample> {
    let mut broken = sample(mock, index, seed).ok()?;
    let operation = mock.api.operations.get(index)?;
    let required = |location| {
        let mut parameters = operation.parameters.iter();
        parameters.find(|parameter| parameter.required && parameter.location == location)
    };
    if let Some(parameter) = required(Location::Query) {
        let name = percent_encode(&parameter.name);
        let kept = broken.query.split('&').filter(|pair| {
            let sent = pair.split('=').next().unwrap_or("");
            sent != name && sent != parameter.name
        });
        let query = kept.collect::<Vec<_>>().join("&");
        if query != broken.query {
            broken.query = query;
            return Some(broken);
        }
    }
    if let Some(parameter) = required(Location::Header) {
        let before = broken.headers.len();
        broken
            .headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case(&parameter.name));
        if broken.headers.len() < before {
            return Some(broken);
        }
    }
    let body = operation.body.as_ref().filter(|body| body.required)?;
    let media = body.content.first().filter(|media| is_json(&media.name))?;
    if let (Some(schema), Ok(Value::Object(mut members))) =
        (media.schema, crate::json::read(&broken.body))
    {
        // The sample has little that is not required: the first member whose absence the schema minds.
        let minds = (0..members.len()).find(|place| {
            let rest = members.iter().enumerate().filter(|(at, _)| at != place);
            let rest = Value::Object(rest.map(|(_, member)| member.clone()).collect());
            !is_valid(&mock.api.schemas, schema, &rest, Direction::Request)
        });
        if let Some(place) = minds {
            members.remove(place);
            broken.body = Value::Object(members).to_string().into_bytes();
            return Some(broken);
        }
    }
    // A form without fields has no bytes, and is a body all the same.
    if body.content.iter().any(|media| media.name.contains("form")) {
        return None;
    }
    broken.body.clear();
    Some(broken)
}

fn make(mock: &Mock, index: usize, seed: u64, with_credentials: bool) -> Result<Sample, String> {
    let api = &mock.api;
    let operation = api
        .operations
        .get(index)
        .ok_or("there is no such operation")?;
    let mut sample = Sample {
        method: operation.method.clone(),
        path: operation.path.clone(),
        ..Sample::default()
    };
    let mut query = Vec::new();
    let mut cookies = Vec::new();
    for parameter in operation
        .parameters
        .iter()
        .filter(|parameter| parameter.required)
    {
        let value = parameter_value(api, parameter, seed)?;
        match parameter.location {
            Location::Path => {
                sample.path = sample.path.replace(
                    &format!("{{{}}}", parameter.name),
                    &path_text(parameter, &value),
                );
            }
            Location::Query => query.extend(query_pairs(parameter, &value)),
            Location::Header => sample
                .headers
                .push((parameter.name.clone(), flat(&value, ","))),
            Location::Cookie => cookies.push(format!(
                "{}={}",
                parameter.name,
                percent_encode(&flat(&value, ","))
            )),
        }
    }
    // A template may name parameters that are not declared.
    for name in crate::matching::parameter_names(&sample.path) {
        sample.path = sample.path.replace(&format!("{{{name}}}"), "x1");
    }
    if let Some(fragment) = &operation.fragment {
        sample
            .path
            .push_str(&format!("%23{}", percent_encode(fragment)));
    }
    if with_credentials {
        credentials(api, operation, &mut sample, &mut query, &mut cookies);
    }
    sample.query = query.join("&");
    if !cookies.is_empty() {
        sample
            .headers
            .push(("cookie".to_owned(), cookies.join("; ")));
    }
    if let Some(media) = operation
        .body
        .as_ref()
        .and_then(|body| usual_media(&body.content))
    {
        body(api, media, seed, &mut sample)?;
    }
    Ok(sample)
}

fn wish(name: &str) -> Wish<'static> {
    Wish {
        direction: Direction::Request,
        resource: name.to_owned(),
        ..Wish::default()
    }
}

fn parameter_value(api: &Api, parameter: &Parameter, seed: u64) -> Result<Value, String> {
    let Some(id) = parameter.schema else {
        return Ok(Value::from("x1"));
    };
    let random = Random::for_parts(seed, &[&parameter.name]);
    match generate(&api.schemas, id, &wish(&parameter.name), random) {
        // An empty segment is no parameter.
        Ok(made) if made.value == Value::from("") => Ok(Value::from("x1")),
        Ok(made) => Ok(made.value),
        Err(proof) => Err(format!("parameter {}: {}", parameter.name, proof.0)),
    }
}

fn flat(value: &Value, separator: &str) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(entries) => entries
            .iter()
            .map(|entry| flat(entry, separator))
            .collect::<Vec<_>>()
            .join(separator),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| format!("{name}{separator}{}", flat(member, separator)))
            .collect::<Vec<_>>()
            .join(separator),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A value of the path in the style of its parameter (RFC 6570 as OpenAPI uses it).
fn path_text(parameter: &Parameter, value: &Value) -> String {
    let text = |value: &Value| percent_encode(&flat(value, ","));
    let name = &parameter.name;
    let parts: Vec<String> = match value {
        Value::Array(entries) if parameter.explode => entries.iter().map(text).collect(),
        Value::Object(members) if parameter.explode => members
            .iter()
            .map(|(name, member)| format!("{}={}", percent_encode(name), text(member)))
            .collect(),
        value => vec![text(value)],
    };
    let own_names = parameter.explode && value.as_object().is_some();
    match parameter.style {
        Style::Label => format!(".{}", parts.join(".")),
        Style::Matrix if own_names => format!(";{}", parts.join(";")),
        Style::Matrix => parts.iter().map(|part| format!(";{name}={part}")).collect(),
        _ => parts.join(","),
    }
}

fn query_pairs(parameter: &Parameter, value: &Value) -> Vec<String> {
    let name = percent_encode(&parameter.name);
    let pair = |name: &str, value: &Value| format!("{name}={}", percent_encode(&flat(value, ",")));
    match (parameter.style, value) {
        (Style::Json, value) => vec![format!("{name}={}", percent_encode(&value.to_string()))],
        (Style::Space, value) => vec![format!("{name}={}", percent_encode(&flat(value, " ")))],
        (Style::Pipe, value) => vec![format!("{name}={}", percent_encode(&flat(value, "|")))],
        (Style::DeepObject, value) => nested_pairs(&parameter.name, value),
        (_, Value::Array(entries)) if parameter.explode => {
            entries.iter().map(|entry| pair(&name, entry)).collect()
        }
        (_, Value::Object(members)) if parameter.explode => members
            .iter()
            .map(|(name, member)| pair(&percent_encode(name), member))
            .collect(),
        (_, value) => vec![pair(&name, value)],
    }
}

fn nested_pairs(name: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) if !members.is_empty() => members
            .iter()
            .flat_map(|(inner, member)| nested_pairs(&format!("{name}[{inner}]"), member))
            .collect(),
        // An empty list or object has no pairs of its own.
        Value::Array(entries) if entries.is_empty() => {
            vec![format!("{}=", percent_encode(name))]
        }
        Value::Object(members) if members.is_empty() => {
            vec![format!("{}=", percent_encode(name))]
        }
        Value::Array(entries) => entries
            .iter()
            .enumerate()
            .flat_map(|(index, entry)| nested_pairs(&format!("{name}[{index}]"), entry))
            .collect(),
        value => vec![format!(
            "{}={}",
            percent_encode(name),
            percent_encode(&flat(value, ","))
        )],
    }
}

fn credentials(
    api: &Api,
    operation: &Operation,
    sample: &mut Sample,
    query: &mut Vec<String>,
    cookies: &mut Vec<String>,
) {
    for scheme in operation
        .security
        .first()
        .into_iter()
        .flatten()
        .filter_map(|index| api.security_schemes.get(*index))
    {
        match &scheme.kind {
            SchemeKind::Basic => sample
                .headers
                .push(("authorization".to_owned(), "Basic c2FuZGJveDo=".to_owned())),
            SchemeKind::Bearer => sample
                .headers
                .push(("authorization".to_owned(), "Bearer sandbox".to_owned())),
            SchemeKind::Authorisation(word) => sample
                .headers
                .push(("authorization".to_owned(), format!("{word} sandbox"))),
            SchemeKind::Key(Location::Query, name) => {
                query.push(format!("{}=sandbox", percent_encode(name)))
            }
            SchemeKind::Key(Location::Cookie, name) => cookies.push(format!("{name}=sandbox")),
            SchemeKind::Key(_, name) => sample.headers.push((name.clone(), "sandbox".to_owned())),
            SchemeKind::Invisible => {}
        }
    }
}

fn usual_media(content: &[MediaType]) -> Option<&MediaType> {
    content
        .iter()
        .find(|media| is_json(&media.name))
        .or_else(|| content.first())
}

fn body(api: &Api, media: &MediaType, seed: u64, sample: &mut Sample) -> Result<(), String> {
    let value = match media.schema {
        Some(id) => {
            generate(
                &api.schemas,
                id,
                &wish("body"),
                Random::for_parts(seed, &["body"]),
            )
            .map_err(|proof| format!("body: {}", proof.0))?
            .value
        }
        None => Value::Object(Vec::new()),
    };
    let name = essence(&media.name);
    let mut content_type = name.to_owned();
    sample.body = if is_json(name) {
        value.to_string().into_bytes()
    } else if name == "application/x-www-form-urlencoded" {
        let members = value.as_object().unwrap_or_default();
        members
            .iter()
            .flat_map(|(name, member)| nested_pairs(name, member))
            .collect::<Vec<_>>()
            .join("&")
            .into_bytes()
    } else if name.starts_with("multipart/") {
        content_type = format!("{name}; boundary=sandbox");
        let mut text = String::new();
        for (name, member) in value.as_object().unwrap_or_default() {
            let part = member
                .as_str()
                .map_or_else(|| member.to_string(), str::to_owned);
            text.push_str(&format!(
                "--sandbox\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{part}\r\n"
            ));
        }
        (text + "--sandbox--\r\n").into_bytes()
    } else if crate::validation::request::is_xml(name) {
        crate::request::xml::write(&api.schemas, media.schema, &value).into_bytes()
    } else {
        if name.is_empty() || name.contains('*') {
            content_type = "application/octet-stream".to_owned();
        }
        flat(&value, ",").into_bytes()
    };
    if !sample.body.is_empty() {
        sample
            .headers
            .push(("content-type".to_owned(), content_type));
    }
    Ok(())
}
