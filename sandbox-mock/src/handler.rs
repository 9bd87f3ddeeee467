//! Operations that an operator's own component answers.
//!
//! Owns what such a handler is told and what becomes of its answer. Running it, and bounding what it may use, is the
//! host's business: a mock only says that it has to be asked.

use crate::control::Why;
use crate::json::{Value, object, read};
use crate::mock::{Call, Context, Mock, plain};
use crate::operation::Operation;
use crate::request::Request;
use crate::response::{Response, SOURCE_HEADER};
use crate::validation::Direction;
use crate::validation::request::is_json;
use crate::validation::schema::violations;
use std::collections::HashMap;

/// Headers that say who calls: a handler needs the tenant only.
const CREDENTIALS: [&str; 4] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
];
/// Headers that are the connection's or the sandbox's own.
const NOT_THEIRS: [&str; 6] = [
    "connection",
    "content-length",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    SOURCE_HEADER,
];
/// How many broken rules of an answer are logged.
const MOST_VIOLATIONS: usize = 5;

/// The handlers of a mock: the name of the handler by `operationId`.
pub(crate) type Handlers = HashMap<String, String>;

/// What a handler is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerCall {
    /// The `operationId`.
    pub operation: String,
    /// In capitals.
    pub method: String,
    /// Percent-encoded.
    pub path: String,
    /// Percent-encoded.
    pub query: String,
    /// The path's parameters, decoded.
    pub parameters: Vec<(String, String)>,
    /// Without credentials.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
    /// Whose sandbox it is.
    pub tenant: String,
    /// The tenant's clock.
    pub now_ms: u64,
    /// The same for the same request, tenant and history.
    pub seed: u64,
    /// What the mock would answer.
    pub suggestion: Response,
}

/// Why a handler gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandlerFailure {
    /// It took longer than it may.
    TimedOut {
        /// How long that is.
        after_ms: u64,
    },
    /// It ended by itself or was stopped: a crash, or more memory than it may have.
    Crashed(String),
    /// It answered with an error.
    Refused(String),
}

/// What a host's handler did with a call.
pub type Handled = Result<Response, HandlerFailure>;

/// What comes of a request.
#[derive(Debug)]
pub enum Turn {
    /// The answer.
    Answer(Response),
    /// A handler has to be asked, and the request then brought again with what it said.
    Ask(Box<HandlerCall>),
}

impl Mock {
    /// Sets which operations a handler answers: pairs of `operationId` and the handler's name.
    pub fn set_handlers(&mut self, handlers: &[(String, String)]) -> Result<(), String> {
        for (operation, name) in handlers {
            if self
                .api
                .operations
                .iter()
                .all(|known| known.id != *operation)
            {
                return Err(format!(
                    "the handler {name} is for the operation {operation}, which the document does not have"
                ));
            }
        }
        self.handlers = handlers.iter().cloned().collect();
        Ok(())
    }

    pub(crate) fn handler_call(
        &self,
        call: &Call<'_>,
        request: &Request<'_>,
        context: &Context,
        seed: u64,
        suggestion: Response,
    ) -> HandlerCall {
        let names = crate::matching::parameter_names(&call.operation.path);
        let headers = request.headers.iter().filter(|(name, _)| {
            CREDENTIALS
                .iter()
                .all(|own| !name.eq_ignore_ascii_case(own))
        });
        HandlerCall {
            operation: call.operation.id.clone(),
            method: request.method.to_owned(),
            path: request.path.to_owned(),
            query: request.query.to_owned(),
            parameters: names.into_iter().zip(call.values.iter().cloned()).collect(),
            headers: headers.cloned().collect(),
            body: request.body.to_vec(),
            tenant: context.tenant.clone(),
            now_ms: u64::try_from(context.now_ms).unwrap_or(0),
            seed,
            suggestion,
        }
    }

    /// The answer of a handler as it is sent, and what of it is remembered; without the latter nothing happened.
    pub(crate) fn handled(
        &self,
        operation: &Operation,
        handled: &Handled,
        why: &mut Why,
    ) -> (Response, Option<Value>) {
        let name = self.handlers.get(&operation.id).map_or("", String::as_str);
        let answer = match handled {
            Ok(answer) if (200..=599).contains(&answer.status) => answer,
            Ok(answer) => {
                let reason = format!("answered with the status {}, which is none", answer.status);
                return failed(operation, name, (500, "handler_failed"), &reason, why);
            }
            Err(HandlerFailure::TimedOut { after_ms }) => {
                let reason = format!("did not answer within {after_ms} ms");
                return failed(operation, name, (504, "handler_timed_out"), &reason, why);
            }
            Err(HandlerFailure::Crashed(reason)) => {
                let reason = format!("crashed: {reason}");
                return failed(operation, name, (500, "handler_crashed"), &reason, why);
            }
            Err(HandlerFailure::Refused(reason)) => {
                let reason = format!("failed: {reason}");
                return failed(operation, name, (500, "handler_failed"), &reason, why);
            }
        };
        let mut headers: Vec<(String, String)> = Vec::new();
        for (name, value) in &answer.headers {
            let name = name.to_ascii_lowercase();
            if !NOT_THEIRS.contains(&name.as_str()) {
                headers.push((name, value.clone()));
            }
        }
        let response = Response {
            status: answer.status,
            headers,
            body: answer.body.clone(),
        };
        let media_type = response.header("content-type").map(essence);
        let value = media_type
            .as_deref()
            .filter(|name| is_json(name))
            .and_then(|_| read(&response.body).ok());
        why.violations = self.breaks(operation, &response, media_type.as_deref(), value.as_ref());
        why.media = media_type.map(|name| (name, None));
        (
            response.with(SOURCE_HEADER, "handler"),
            Some(value.unwrap_or(Value::Null)),
        )
    }

    /// Where an answer is not what the document declares. It is sent all the same: it is the operator's word.
    fn breaks(
        &self,
        operation: &Operation,
        response: &Response,
        media_type: Option<&str>,
        value: Option<&Value>,
    ) -> Vec<Value> {
        let said = |message: String| vec![object([("message", Value::from(message))])];
        let Some(declared) = operation.response(response.status) else {
            return said(format!(
                "The handler's status {} is not declared.",
                response.status
            ));
        };
        if declared.content.is_empty() || response.body.is_empty() {
            return Vec::new();
        }
        let media_type = media_type.unwrap_or("");
        let Some(media) = declared
            .content
            .iter()
            .find(|media| essence(&media.name) == media_type)
        else {
            return said(format!(
                "The handler's media type {media_type:?} is not declared."
            ));
        };
        let Some(schema) = media.schema.filter(|_| is_json(media_type)) else {
            return Vec::new();
        };
        let Some(value) = value else {
            return said("The handler's body is not JSON.".to_owned());
        };
        violations(
            &self.api.schemas,
            schema,
            value,
            Direction::Response,
            MOST_VIOLATIONS,
        )
        .into_iter()
        .map(|violation| {
            object([
                ("location", Value::from("response")),
                ("pointer", Value::from(violation.pointer)),
                ("rule", Value::from(violation.rule)),
                ("message", Value::from(violation.message)),
            ])
        })
        .collect()
    }
}

fn essence(name: &str) -> String {
    let essence = name.split(';').next().unwrap_or("").trim();
    essence.to_ascii_lowercase()
}

fn failed(
    operation: &Operation,
    name: &str,
    (status, code): (u16, &'static str),
    reason: &str,
    why: &mut Why,
) -> (Response, Option<Value>) {
    let reason = reason.trim_end_matches('.');
    let message = format!("The handler {name} of {} {reason}.", operation.id);
    why.outcome = code;
    why.violations = vec![object([("message", Value::from(message.as_str()))])];
    (plain(status, code, &message), None)
}
