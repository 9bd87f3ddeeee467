//! One exchange with production, as a line of a trace has it.

use crate::json::{Value, object, read};
use crate::redaction::{redact_body, redact_target, redact_text};
use crate::request::Request;

/// A request and its response, redacted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exchange {
    /// In capitals.
    pub method: String,
    /// Without the query, percent-encoded.
    pub path: String,
    /// Without the question mark.
    pub query: String,
    /// Names in lower case.
    pub request_headers: Vec<(String, String)>,
    /// The body.
    pub request_body: Vec<u8>,
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub response_headers: Vec<(String, String)>,
    /// The body when it is JSON.
    pub response_body: Option<Value>,
    is_altered: bool,
}

/// Why a line is no exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeError(pub String);

impl std::fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ExchangeError {}

/// Reads one line: `{"request": {"method", "url", "headers", "body"}, "response": {"status", "headers", "body"}}`.
/// Headers are an object or a list of pairs; a body is JSON itself, or a text. It is redacted at once.
pub fn read_exchange(line: &[u8]) -> Result<Exchange, ExchangeError> {
    let value =
        read(line).map_err(|error| ExchangeError(format!("is not JSON: {}", error.reason)))?;
    let part = |name: &str| {
        value
            .get(name)
            .filter(|part| part.as_object().is_some())
            .ok_or_else(|| ExchangeError(format!("{name}: must be an object")))
    };
    let (request, response) = (part("request")?, part("response")?);
    let text = |name: &str| {
        request
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| ExchangeError(format!("request.{name}: must be a text")))
    };
    let url = text("url")?;
    let target = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => url,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let redacted = redact_target(path, query);
    let (path, query) = redacted.split_once('?').unwrap_or((&redacted, ""));
    let status = response
        .get("status")
        .and_then(Value::as_i64)
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (100..=599).contains(status))
        .ok_or_else(|| ExchangeError("response.status: must be a status".to_owned()))?;
    let request_headers = headers(request.get("headers"));
    let response_headers = headers(response.get("headers"));
    let (request_body, altered) = match body(request.get("body")) {
        None => (Vec::new(), false),
        Some(Body::Json(before, after)) => (after.to_string().into_bytes(), before != after),
        // A form or another text: it may hold anything, and only its length is kept.
        Some(Body::Text(text)) => (vec![b'x'; text.len()], true),
    };
    Ok(Exchange {
        method: text("method")?.to_ascii_uppercase(),
        path: path.to_owned(),
        query: query.to_owned(),
        is_altered: altered || redacted != target,
        request_headers,
        request_body,
        status,
        response_headers,
        response_body: match body(response.get("body")) {
            Some(Body::Json(_, after)) => Some(after),
            _ => None,
        },
    })
}

enum Body {
    /// As it came, and redacted.
    Json(Value, Value),
    Text(String),
}

fn body(value: Option<&Value>) -> Option<Body> {
    let value = match value? {
        Value::Null => return None,
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) => match read(text.as_bytes()) {
            Ok(value) => value,
            Err(_) => return Some(Body::Text(text.clone())),
        },
        other => other.clone(),
    };
    let mut redacted = value.clone();
    redact_body(&mut redacted);
    Some(Body::Json(value, redacted))
}

fn headers(value: Option<&Value>) -> Vec<(String, String)> {
    let pairs: Vec<(&str, &str)> = match value {
        Some(Value::Object(members)) => members
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect(),
        Some(Value::Array(entries)) => entries
            .iter()
            .filter_map(|entry| match entry.as_array()? {
                [name, value] => Some((name.as_str()?, value.as_str()?)),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    pairs
        .into_iter()
        .map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            let value = redact_text(&name, value);
            (name, value)
        })
        .collect()
}

impl Exchange {
    pub(super) fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.request_headers,
            body: &self.request_body,
        }
    }

    pub(super) fn response_header(&self, name: &str) -> Option<&str> {
        self.response_headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether a rule is about a value that may have been redacted, rather than about what is there at all.
    pub(super) fn redacts_value_rule(&self, rule: &str) -> bool {
        self.is_altered && !matches!(rule, "required" | "additionalProperties" | "type")
    }

    /// The line as it may be kept.
    pub fn redacted_line(&self) -> String {
        let headers = |headers: &[(String, String)]| {
            let members = headers
                .iter()
                .map(|(name, value)| (name.clone(), Value::from(value.as_str())));
            Value::Object(members.collect())
        };
        let url = if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        };
        let mut request = object([
            ("method", Value::from(self.method.as_str())),
            ("url", Value::from(url)),
            ("headers", headers(&self.request_headers)),
        ]);
        if !self.request_body.is_empty() {
            let text = String::from_utf8_lossy(&self.request_body).into_owned();
            request.set("body", read(text.as_bytes()).unwrap_or(Value::String(text)));
        }
        let mut response = object([
            ("status", Value::Int(i64::from(self.status))),
            ("headers", headers(&self.response_headers)),
        ]);
        if let Some(body) = &self.response_body {
            response.set("body", body.clone());
        }
        object([("request", request), ("response", response)]).to_string()
    }
}
