//! Checks a request against an operation: credentials, parameters, body.

use super::{Direction, Violation, schema};
use crate::json::Value;
use crate::operation::{Api, Location, MediaType, Operation, Parameter, SchemeKind, Style};
use crate::request::form::Raw;
use crate::request::{Request, form, multipart, shape, xml};
use crate::schema::SchemaId;

/// What was understood of a valid request.
#[derive(Debug, Clone, Default)]
pub struct Accepted {
    /// The body, when there was one that has a value.
    pub body: Option<Value>,
    /// How many declared parameters and body members the request has.
    pub(crate) recognised: usize,
}

/// What kind of mistake a request has; it decides the status of the refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// No credentials of a declared scheme.
    Credentials,
    /// A parameter is missing or not as it should be.
    Parameter,
    /// The body is missing, cannot be read or breaks its schema.
    Body,
    /// The body cannot be read at all.
    Syntax,
    /// The media type of the body is not declared.
    MediaType,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of mistake.
    pub mistake: Mistake,
    /// Where: `query limit`, `body /items/0`.
    pub location: String,
    /// The name of the parameter, or the pointer into the body.
    pub field: String,
    /// The keyword of the rule that is broken.
    pub rule: &'static str,
    /// The whole sentence.
    pub message: String,
}

fn refuse(
    mistake: Mistake,
    location: String,
    field: &str,
    rule: &'static str,
    message: &str,
) -> Refusal {
    let message = format!("{location} {message}.");
    Refusal {
        mistake,
        location,
        field: field.to_owned(),
        rule,
        message,
    }
}

/// Whether the request carries credentials of one of the declared alternatives. The identity that the gateway has
/// established counts, because it removes the credential itself.
pub fn check_credentials(
    api: &Api,
    operation: &Operation,
    request: &Request<'_>,
) -> Result<(), Refusal> {
    let from_gateway = request.header("x-portico-credential").is_some();
    if from_gateway || operation.security.is_empty() {
        return Ok(());
    }
    let authorisation = |scheme: &str| {
        request
            .header("authorization")
            .and_then(|value| value.split_once(' '))
            .is_some_and(|(word, rest)| {
                word.eq_ignore_ascii_case(scheme) && !rest.trim().is_empty()
            })
    };
    let holds = |index: &usize| match api.security_schemes.get(*index).map(|scheme| &scheme.kind) {
        Some(SchemeKind::Basic) => request
            .header("authorization")
            .and_then(|value| value.split_once(' '))
            .is_some_and(|(word, rest)| word.eq_ignore_ascii_case("basic") && is_basic(rest)),
        Some(SchemeKind::Bearer) => authorisation("bearer"),
        Some(SchemeKind::Authorisation(scheme)) => authorisation(scheme),
        Some(SchemeKind::Key(Location::Query, name)) => request
            .query_pairs()
            .iter()
            .any(|(known, value)| known == name && !value.is_empty()),
        Some(SchemeKind::Key(Location::Cookie, name)) => {
            request.cookie(name).is_some_and(|value| !value.is_empty())
        }
        Some(SchemeKind::Key(_, name)) => {
            request.header(name).is_some_and(|value| !value.is_empty())
        }
        Some(SchemeKind::Invisible) | None => true,
    };
    if operation
        .security
        .iter()
        .any(|needed| needed.iter().all(holds))
    {
        return Ok(());
    }
    let mut names: Vec<String> = Vec::new();
    for index in operation.security.iter().flatten() {
        if let Some(scheme) = api.security_schemes.get(*index) {
            let how = match &scheme.kind {
                SchemeKind::Basic => "Authorization: Basic".to_owned(),
                SchemeKind::Bearer => "Authorization: Bearer".to_owned(),
                SchemeKind::Authorisation(scheme) => format!("Authorization: {scheme}"),
                SchemeKind::Key(location, name) => format!("{} {name}", location.word()),
                SchemeKind::Invisible => scheme.name.clone(),
            };
            if !names.contains(&how) {
                names.push(how);
            }
        }
    }
    Err(refuse(
        Mistake::Credentials,
        "The request".to_owned(),
        "",
        "security",
        &format!("has no credentials: send {}", names.join(" or ")),
    ))
}

/// Whether these are a user and a password in Base64 (RFC 7617).
fn is_basic(credentials: &str) -> bool {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .decode(credentials.trim())
        .is_ok_and(|bytes| bytes.contains(&b':'))
}

/// The scheme word for `WWW-Authenticate`.
pub(crate) fn challenge(api: &Api, operation: &Operation) -> &'static str {
    let mut kinds = operation
        .security
        .iter()
        .flatten()
        .filter_map(|index| api.security_schemes.get(*index))
        .map(|scheme| &scheme.kind);
    match kinds.next() {
        Some(SchemeKind::Basic) => "Basic realm=\"sandbox\"",
        _ => "Bearer realm=\"sandbox\"",
    }
}

/// Checks parameters and body, and returns the first mistakes.
pub fn check(
    api: &Api,
    operation: &Operation,
    path_values: &[String],
    request: &Request<'_>,
) -> Result<Accepted, Vec<Refusal>> {
    let mut accepted = Accepted::default();
    let mut refusals = Vec::new();
    let names = crate::matching::parameter_names(&operation.path);
    let pairs = request.query_pairs();
    for parameter in &operation.parameters {
        let position = names.iter().position(|name| *name == parameter.name);
        let path_value = position
            .and_then(|position| path_values.get(position))
            .map(String::as_str);
        let raw = request.parameter(&api.schemas, parameter, &pairs, path_value);
        match raw {
            Some(raw) => {
                accepted.recognised += 1;
                check_parameter(api, parameter, &raw, &mut refusals);
            }
            // A path parameter that the template does not have cannot be sent.
            None if parameter.required && parameter.location != Location::Path => {
                refusals.push(refuse(
                    Mistake::Parameter,
                    format!("{} {}", parameter.location.word(), parameter.name),
                    &parameter.name,
                    "required",
                    "is missing",
                ))
            }
            None => {}
        }
    }
    match check_body(api, operation, request) {
        Ok(body) => {
            accepted.recognised += body
                .as_ref()
                .and_then(Value::as_object)
                .map_or(0, <[_]>::len);
            accepted.body = body;
        }
        Err(broken) => refusals.extend(broken),
    }
    if refusals.is_empty() {
        Ok(accepted)
    } else {
        Err(refusals)
    }
}

fn check_parameter(api: &Api, parameter: &Parameter, raw: &Raw, refusals: &mut Vec<Refusal>) {
    let Some(id) = parameter.schema else { return };
    if parameter.allow_empty && *raw == Raw::Text(String::new()) {
        return;
    }
    let location = format!("{} {}", parameter.location.word(), parameter.name);
    let value = match (parameter.style, raw) {
        (Style::Json, Raw::Text(text)) => match crate::json::read(text.as_bytes()) {
            Ok(value) => value,
            Err(error) => {
                refusals.push(refuse(
                    Mistake::Parameter,
                    location,
                    &parameter.name,
                    "type",
                    &format!("is not JSON: {}", error.reason),
                ));
                return;
            }
        },
        _ => {
            let delimiter = match parameter.style {
                Style::Space => Some(' '),
                Style::Pipe => Some('|'),
                Style::Label if parameter.explode => Some('.'),
                Style::Matrix if parameter.explode => Some(';'),
                Style::Form if parameter.explode => None,
                _ => Some(','),
            };
            shape::shape(&api.schemas, id, raw, delimiter)
        }
    };
    if is_one_of_texts(api, id, raw) {
        return;
    }
    refusals.extend(
        schema::violations(&api.schemas, id, &value, Direction::Request, 2)
            .into_iter()
            .map(|broken| {
                refuse(
                    Mistake::Parameter,
                    location.clone(),
                    &parameter.name,
                    broken.rule,
                    &in_words(&broken),
                )
            }),
    );
}

/// A text that may be read as either of two alternatives (`oneOf: [integer, string]`) is not ambiguous in a URL.
fn is_one_of_texts(api: &Api, id: SchemaId, raw: &Raw) -> bool {
    let Some(logic) = &api.schemas.get(id).logic else {
        return false;
    };
    logic.one_of.iter().any(|branch| {
        let value = shape::shape(&api.schemas, *branch, raw, Some(','));
        schema::is_valid(&api.schemas, *branch, &value, Direction::Request)
    })
}

fn in_words(broken: &Violation) -> String {
    if broken.pointer.is_empty() {
        return broken.message.clone();
    }
    format!("at {} {}", broken.pointer, broken.message)
}

fn body_refusal(mistake: Mistake, rule: &'static str, message: &str) -> Vec<Refusal> {
    vec![refuse(mistake, "body".to_owned(), "", rule, message)]
}

fn check_body(
    api: &Api,
    operation: &Operation,
    request: &Request<'_>,
) -> Result<Option<Value>, Vec<Refusal>> {
    let Some(declared) = &operation.body else {
        return Ok(None);
    };
    if request.body.is_empty() {
        let form_without_fields = declared
            .content
            .iter()
            .any(|media| is_form(&media.name) && accepts_nothing(api, media));
        if declared.required && !declared.content.is_empty() && !form_without_fields {
            return Err(body_refusal(Mistake::Body, "required", "is missing"));
        }
        return Ok(None);
    }
    let Some(media) = choose_media(&declared.content, request.media_type().as_deref()) else {
        if declared.content.is_empty() {
            return Ok(None);
        }
        let names: Vec<&str> = declared
            .content
            .iter()
            .map(|media| media.name.as_str())
            .collect();
        let sent = request.media_type().unwrap_or_default();
        return Err(body_refusal(
            Mistake::MediaType,
            "content",
            &format!("is {sent}, but must be {}", names.join(" or ")),
        ));
    };
    let sent = request
        .media_type()
        .unwrap_or_else(|| essence(&media.name).to_owned());
    let Some(value) = read_body(api, media, &sent, request)? else {
        return Ok(None);
    };
    if let Some(id) = media.schema {
        let broken = schema::violations(&api.schemas, id, &value, Direction::Request, 4);
        if !broken.is_empty() {
            return Err(broken
                .iter()
                .map(|broken| {
                    let location = if broken.pointer.is_empty() {
                        "body".to_owned()
                    } else {
                        format!("body {}", broken.pointer)
                    };
                    let field = if broken.rule == "required" {
                        format!(
                            "{}/{}",
                            broken.pointer,
                            broken.message.split(' ').next().unwrap_or("")
                        )
                    } else {
                        broken.pointer.clone()
                    };
                    let message = if broken.rule == "required" {
                        format!("is not complete: {}", broken.message)
                    } else {
                        broken.message.clone()
                    };
                    refuse(Mistake::Body, location, &field, broken.rule, &message)
                })
                .collect());
        }
    }
    Ok(Some(value))
}

fn accepts_nothing(api: &Api, media: &MediaType) -> bool {
    media.schema.is_none_or(|id| {
        schema::is_valid(
            &api.schemas,
            id,
            &Value::Object(Vec::new()),
            Direction::Request,
        )
    })
}

fn read_body(
    api: &Api,
    media: &MediaType,
    sent: &str,
    request: &Request<'_>,
) -> Result<Option<Value>, Vec<Refusal>> {
    let unreadable = |message: &str| body_refusal(Mistake::Syntax, "syntax", message);
    let shaped = |raw: Raw| {
        media.schema.map_or(Value::Object(Vec::new()), |id| {
            shape::shape(&api.schemas, id, &raw, None)
        })
    };
    if is_json(sent) {
        return match crate::json::read(request.body) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(unreadable(&format!(
                "is not JSON: line {}: {}",
                error.line, error.reason
            ))),
        };
    }
    if sent == "application/x-www-form-urlencoded" {
        let text = String::from_utf8_lossy(request.body);
        return Ok(Some(shaped(form::tree(&form::pairs(&text)))));
    }
    if sent.starts_with("multipart/") {
        return match multipart::read(
            request.header("content-type").unwrap_or_default(),
            request.body,
        ) {
            Some(raw) => Ok(Some(shaped(raw))),
            None => Err(unreadable(
                "is not multipart: no part starts with the boundary of the content type",
            )),
        };
    }
    if is_xml(sent) {
        let text = String::from_utf8_lossy(request.body);
        return match (xml::read(&text), media.schema) {
            (Some(raw), Some(id)) => Ok(Some(shaped(xml::renamed(&api.schemas, id, raw, 0)))),
            (Some(_), None) => Ok(None),
            (None, _) => Err(unreadable("is not XML")),
        };
    }
    if sent.starts_with("text/") {
        let text = std::str::from_utf8(request.body).map_err(|_| unreadable("is not UTF-8"))?;
        let is_text = media
            .schema
            .is_some_and(|id| shape::types(&api.schemas, id).has(crate::schema::Types::STRING));
        return Ok(is_text.then(|| Value::from(text)));
    }
    Ok(None)
}

pub(crate) fn essence(name: &str) -> &str {
    name.split(';').next().unwrap_or("").trim()
}

pub(crate) fn is_json(name: &str) -> bool {
    let name = essence(name);
    name.ends_with("/json") || name.ends_with("+json")
}

pub(crate) fn is_xml(name: &str) -> bool {
    let name = essence(name);
    name.ends_with("/xml") || name.ends_with("+xml")
}

fn is_form(name: &str) -> bool {
    essence(name) == "application/x-www-form-urlencoded" || name.starts_with("multipart/")
}

/// The declared media type for one that was sent; without one, the usual.
fn choose_media<'m>(content: &'m [MediaType], sent: Option<&str>) -> Option<&'m MediaType> {
    let Some(sent) = sent else {
        return content
            .iter()
            .find(|media| is_json(&media.name))
            .or_else(|| content.first());
    };
    let exact = content.iter().find(|media| essence(&media.name) == sent);
    let json = || {
        content
            .iter()
            .find(|media| is_json(&media.name) && is_json(sent))
    };
    let range = || {
        content.iter().find(|media| {
            let name = essence(&media.name);
            name == "*/*"
                || name
                    .strip_suffix("/*")
                    .is_some_and(|class| sent.split('/').next() == Some(class))
        })
    };
    exact.or_else(json).or_else(range)
}
