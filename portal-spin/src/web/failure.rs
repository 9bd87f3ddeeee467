//! What went wrong, as the client reads it: status, stable code, safe text, the fields at fault.
//!
//! Domains turn their narrow error enums into a [`Failure`] in one place each. Nothing internal gets
//! into `detail`; it goes to the log line instead.

use askama::Template;
use http::{StatusCode, header};
pub use shared::problem::FieldError;
use shared::problem::{CONTENT_TYPE, Problem};

use super::languages::Language;
use super::layout::Page;
use super::response::{self, Response};
use crate::app::App;
use crate::configuration::Configuration;
use crate::database::DatabaseError;

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable, snake_case.
    pub code: String,
    /// What happened and what to do, for a person.
    pub detail: String,
    /// The fields at fault.
    pub errors: Vec<FieldError>,
    /// More headers.
    pub headers: Vec<(header::HeaderName, String)>,
    /// For the log only.
    pub internal: Option<Box<str>>,
}

impl Failure {
    /// Any failure.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
            internal: None,
        }
    }

    /// 404: nothing here, or nothing of the caller's.
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is nothing at this address, or it belongs to another organisation.",
        )
    }

    /// 401.
    pub fn signed_out() -> Self {
        let mut failure = Self::new(
            StatusCode::UNAUTHORIZED,
            "signed_out",
            "Log in first, or send the session token as `Authorization: Bearer <session_token>`.",
        );
        failure
            .headers
            .push((header::WWW_AUTHENTICATE, "Bearer".to_owned()));
        failure
    }

    /// 403.
    pub fn forbidden(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 409: the object is in another state than the action needs.
    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422 with one field at fault.
    pub fn field(field: &str, code: &str, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            detail: detail.into(),
        }])
    }

    /// 422 with several fields at fault.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let detail = joined(&errors);
        let mut failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", detail);
        failure.errors = errors;
        failure
    }

    /// What happened, in a language.
    pub fn detail_in(&self, language: Language) -> String {
        if !self.errors.is_empty() && self.detail == joined(&self.errors) {
            return joined(&self.errors_in(language));
        }
        language.say(&self.detail)
    }

    /// The fields at fault, in a language. Names and codes stay.
    pub fn errors_in(&self, language: Language) -> Vec<FieldError> {
        let mut errors = self.errors.clone();
        for error in &mut errors {
            error.detail = language.say(&error.detail);
        }
        errors
    }

    /// 422 for a body that is not the JSON asked for. Serde names the member and the line.
    pub fn malformed_json(error: &serde_json::Error) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "malformed_json",
            format!("The body is not the JSON object that this operation takes: {error}."),
        )
    }

    /// 405.
    pub fn method_not_allowed(allowed: &[&'static http::Method]) -> Self {
        let list = allowed
            .iter()
            .map(|method| method.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let mut failure = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("This address takes {list}."),
        );
        failure.headers.push((header::ALLOW, list));
        failure
    }

    /// 429.
    pub fn too_many(retry_after_secs: i64) -> Self {
        let mut failure = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_attempts",
            format!("Too many attempts. Try again in {retry_after_secs} seconds."),
        );
        failure
            .headers
            .push((header::RETRY_AFTER, retry_after_secs.to_string()));
        failure
    }

    /// 500. The text goes to the log, not to the client.
    pub fn internal(text: &str) -> Self {
        let mut failure = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Something failed on our side. Nothing was changed; try again, and name the request id if it stays.",
        );
        failure.internal = Some(text.into());
        failure
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match &error {
            DatabaseError::Unavailable(_) | DatabaseError::Schema(_) => {
                let mut failure = Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "database_unavailable",
                    "The portal's database cannot be used right now. Try again in a few seconds.",
                );
                failure.headers.push((header::RETRY_AFTER, "2".to_owned()));
                failure.internal = Some(error.to_string().into());
                failure
            }
            DatabaseError::Unstorable => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "unstorable_text",
                "The request has the character U+0000 in an address, a query or a text. Take it out.",
            ),
            _ => Self::internal(&error.to_string()),
        }
    }
}

fn joined(errors: &[FieldError]) -> String {
    let lines = errors
        .iter()
        .map(|error| format!("{}: {}", error.field, error.detail));
    lines.collect::<Vec<_>>().join(" ")
}

/// What a status means, for a person.
fn title_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "Bad request",
        401 => "Log in first",
        403 => "Not allowed",
        404 => "Not found",
        405 => "Not with this method",
        409 => "In another state",
        410 => "No longer there",
        412 => "Changed in between",
        413 => "Too large",
        415 => "Not in this format",
        422 => "Something to correct",
        429 => "Too many requests",
        503 => "Not available right now",
        _ if status.is_server_error() => "An error on our side",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

/// The problem body of a failure.
pub fn problem_body(
    failure: &Failure,
    request_id: &str,
    configuration: &Configuration,
    language: Language,
) -> Vec<u8> {
    let help = format!("{}/help/{}", configuration.public_url, failure.code);
    let body = Problem {
        kind: help.clone(),
        title: language.say(title_of(failure.status)),
        status: failure.status.as_u16(),
        detail: failure.detail_in(language),
        code: failure.code.clone(),
        request_id: request_id.to_owned(),
        help,
        violated_policies: Vec::new(),
        errors: failure.errors_in(language),
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

#[derive(Template)]
#[template(path = "web/templates/failure.html")]
struct FailurePage<'a> {
    page: Page,
    failure: &'a Failure,
    detail: String,
    request_id: &'a str,
}

/// The answer of a failure: a problem body for the API, a page for people.
pub fn render(
    failure: &Failure,
    request_id: &str,
    is_api: bool,
    app: &App,
    language: Language,
) -> Response {
    if let Some(internal) = &failure.internal {
        eprintln!("request {request_id}: {internal}");
    } else if matches!(failure.status.as_u16(), 403 | 429) {
        // Refused by a control (ASVS 5.0, 16.3.2 and 16.3.3); the code is ours, so nothing to escape.
        eprintln!("request {request_id}: refused, {}", failure.code);
    }
    let page = || {
        let page = FailurePage {
            page: Page::bare(app.brand(), title_of(failure.status)),
            failure,
            detail: failure.detail_in(language),
            request_id,
        };
        response::html_with(failure.status, &page)
    };
    let mut answer = if is_api {
        Err(())
    } else {
        page().map_err(|_| ())
    }
    .unwrap_or_else(|()| {
        response::with_body(
            failure.status,
            CONTENT_TYPE,
            problem_body(failure, request_id, &app.configuration, language),
        )
    });
    for (name, value) in &failure.headers {
        response::set_header(&mut answer, name.clone(), value);
    }
    answer
}
