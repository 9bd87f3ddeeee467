//! Errors: in the words of the document's own error schema, otherwise RFC 9457 problem details.

use super::{Response, Source, make_body, make_headers, render};
use crate::generation::Wish;
use crate::json::{Value, object};
use crate::operation::{Api, Operation};
use crate::random::Random;
use crate::request::Request;
use crate::scenario::Scenario;
use crate::validation::request::{Mistake, Refusal};

/// What went wrong, before it is worded.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// The statuses that suit it, the best one first.
    pub(crate) statuses: Vec<u16>,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) field: String,
    pub(crate) violations: Vec<Value>,
}

impl Problem {
    pub(crate) fn of(refusals: &[Refusal]) -> Problem {
        let first = refusals.first();
        let (statuses, code): (&[u16], _) = match first.map(|refusal| refusal.mistake) {
            Some(Mistake::Credentials) => (&[401, 403], "missing_credential"),
            Some(Mistake::Body) => (&[422, 400], "invalid_body"),
            Some(Mistake::MediaType) => (&[415, 400], "unsupported_media_type"),
            Some(Mistake::Syntax) => (&[400, 422], "malformed_body"),
            _ => (&[400, 422], "invalid_parameter"),
        };
        Problem {
            statuses: statuses.to_vec(),
            code,
            message: refusals
                .iter()
                .map(|refusal| refusal.message.as_str())
                .collect::<Vec<_>>()
                .join(" "),
            field: first.map_or_else(String::new, |refusal| refusal.field.clone()),
            violations: refusals
                .iter()
                .map(|refusal| {
                    object([
                        ("location", Value::from(refusal.location.as_str())),
                        ("rule", Value::from(refusal.rule)),
                        ("message", Value::from(refusal.message.as_str())),
                    ])
                })
                .collect(),
        }
    }

    /// The status to answer with: the best one that the operation declares, otherwise the plain one.
    fn status(&self, operation: &Operation) -> u16 {
        let exact = |status: &&u16| {
            operation
                .responses
                .iter()
                .any(|response| response.status == crate::operation::Status::Code(**status))
        };
        let plain = match self.statuses.as_slice() {
            // Without a declared 422 a mistake in the body is a plain bad request.
            [422, 400, ..] => 400,
            [first, ..] => *first,
            [] => 400,
        };
        self.statuses.iter().find(exact).copied().unwrap_or(plain)
    }
}

/// Words a problem as the operation's declared error for its status.
pub(crate) fn refusal_response(
    api: &Api,
    operation: Option<&Operation>,
    request: &Request<'_>,
    problem: &Problem,
    random: Random,
) -> Response {
    let status = operation.map_or_else(
        || problem.statuses.first().copied().unwrap_or(400),
        |operation| problem.status(operation),
    );
    let own =
        operation.and_then(|operation| own_error(api, operation, request, problem, status, random));
    own.unwrap_or_else(|| plain_problem(status, problem))
}

fn own_error(
    api: &Api,
    operation: &Operation,
    request: &Request<'_>,
    problem: &Problem,
    status: u16,
    random: Random,
) -> Option<Response> {
    let declared = operation.response(status)?;
    let media = super::choose(&declared.content, request.header("accept"))
        .or_else(|| declared.content.first())?;
    media.schema?;
    let said = said(status, problem.code, &problem.message, &problem.field);
    let wish = Wish {
        examples: false,
        said: &said,
        insists: true,
        headers: request.headers,
        resource: "error".to_owned(),
        ..Wish::default()
    };
    let scenario = Scenario {
        dynamic: true,
        ..Scenario::default()
    };
    let made = make_body(api, media, &scenario, &wish, random.clone()).ok()?;
    let (content_type, body) = render(api, media, &made.value);
    let mut response = Response {
        status,
        headers: Vec::new(),
        body,
    }
    .with("content-type", content_type)
    .with(super::SOURCE_HEADER, Source::Generated.word());
    for (name, value) in make_headers(api, declared, &wish, &random) {
        response = response.with(&name, value);
    }
    Some(response)
}

/// What members of common names say in an error.
pub(crate) fn said(
    status: u16,
    code: &str,
    message: &str,
    field: &str,
) -> Vec<(&'static str, Value)> {
    let message = || Value::from(message);
    let mut said = vec![
        ("status", Value::Int(i64::from(status))),
        ("status", Value::from(status.to_string())),
    ];
    for name in [
        "message",
        "detail",
        "details",
        "msg",
        "errormessage",
        "description",
        "errordescription",
        "reason",
        "error",
    ] {
        said.push((name, message()));
    }
    for name in ["statuscode", "httpstatus", "httpstatuscode", "errorcode"] {
        said.push((name, Value::Int(i64::from(status))));
    }
    said.push(("title", Value::from(title(status))));
    said.push(("code", Value::from(code)));
    said.push(("type", Value::from(kind(status))));
    for name in [
        "param",
        "field",
        "parameter",
        "path",
        "pointer",
        "location",
        "property",
        "attribute",
    ] {
        said.push((name, Value::from(field)));
    }
    said
}

/// The class of an error as many APIs call it; used only where the schema allows it.
fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication",
        403 => "permission",
        409 => "conflict",
        429 => "rate_limit",
        500.. => "internal",
        _ => "invalid_request",
    }
}

fn plain_problem(status: u16, about: &Problem) -> Response {
    let mut body = problem(status, about.code, &about.message);
    if !about.violations.is_empty() {
        body.set("violations", Value::Array(about.violations.clone()));
    }
    Response {
        status,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    }
    .with("content-type", "application/problem+json")
}

/// A problem document (RFC 9457).
pub fn problem(status: u16, code: &str, detail: &str) -> Value {
    object([
        ("type", Value::from("about:blank")),
        ("title", Value::from(title(status))),
        ("status", Value::Int(i64::from(status))),
        ("detail", Value::from(detail)),
        ("code", Value::from(code)),
    ])
}

pub(crate) fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad request",
        401 => "Unauthorised",
        403 => "Forbidden",
        404 => "Not found",
        405 => "Method not allowed",
        406 => "Not acceptable",
        409 => "Conflict",
        410 => "Gone",
        415 => "Unsupported media type",
        422 => "Unprocessable content",
        429 => "Too many requests",
        500 => "Internal server error",
        501 => "Not implemented",
        503 => "Service unavailable",
        504 => "Gateway timeout",
        507 => "Insufficient storage",
        _ => "Error",
    }
}
