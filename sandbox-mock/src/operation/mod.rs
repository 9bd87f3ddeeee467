//! Operations, compiled: what a request may look like and what can be answered.
//!
//! Owns the compiled form of a document. It does not look at requests: finding the operation is `matching`'s
//! business, checking the request `validation`'s, answering `response`'s.

mod compile;

pub(crate) use compile::base_paths;
pub use compile::compile;

use crate::document::Finding;
use crate::schema::{SchemaId, Schemas};

/// A whole document, ready to answer.
#[derive(Debug, Default)]
pub struct Api {
    /// `info.title`.
    pub title: String,
    /// Every operation of every path.
    pub operations: Vec<Operation>,
    /// All schemas.
    pub schemas: Schemas,
    /// The paths of the servers (`/v2`), which a request may or may not carry.
    pub base_paths: Vec<String>,
    pub(crate) security_schemes: Vec<SecurityScheme>,
    /// How many webhooks the document describes.
    pub webhooks: usize,
    /// Webhooks and callbacks.
    pub(crate) events: Vec<crate::events::Event>,
    /// What is not served as it is written.
    pub findings: Vec<Finding>,
}

/// One operation.
#[derive(Debug, Default)]
pub struct Operation {
    /// In capitals.
    pub method: String,
    /// The path template, without a fragment.
    pub path: String,
    /// What follows `#` in the path: several operations then share one path.
    pub fragment: Option<String>,
    /// `operationId`, or one made up.
    pub id: String,
    /// The line it starts on.
    pub line: u32,
    /// Its number in the document.
    pub(crate) index: usize,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) responses: Vec<DeclaredResponse>,
    /// Alternatives; each names schemes that are all needed. Empty: anyone may call.
    pub(crate) security: Vec<Vec<usize>>,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// A header.
    Header,
    /// A cookie.
    Cookie,
}

impl Location {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Location::Path => "path",
            Location::Query => "query",
            Location::Header => "header",
            Location::Cookie => "cookie",
        }
    }
}

/// How an array or object is spelled in a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Form,
    Simple,
    Label,
    Matrix,
    Space,
    Pipe,
    DeepObject,
    /// `content: application/json`.
    Json,
}

#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) location: Location,
    pub(crate) required: bool,
    pub(crate) style: Style,
    pub(crate) explode: bool,
    pub(crate) allow_empty: bool,
    pub(crate) schema: Option<SchemaId>,
}

#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) required: bool,
    pub(crate) content: Vec<MediaType>,
}

/// A media type and what stands in it.
#[derive(Debug, Default)]
pub(crate) struct MediaType {
    /// As it is written, in lower case: `application/json; charset=utf-8`.
    pub(crate) name: String,
    pub(crate) schema: Option<SchemaId>,
    /// Named examples as JSON text; the only one of `example` has an empty name.
    pub(crate) examples: Vec<(String, Box<str>)>,
}

/// Which statuses a declared response is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Code(u16),
    /// `4XX`: the first digit.
    Class(u16),
    Default,
}

#[derive(Debug)]
pub(crate) struct DeclaredResponse {
    pub(crate) status: Status,
    pub(crate) headers: Vec<DeclaredHeader>,
    pub(crate) content: Vec<MediaType>,
}

#[derive(Debug)]
pub(crate) struct DeclaredHeader {
    pub(crate) name: String,
    pub(crate) required: bool,
    pub(crate) schema: Option<SchemaId>,
    pub(crate) example: Option<Box<str>>,
}

#[derive(Debug)]
pub(crate) struct SecurityScheme {
    pub(crate) name: String,
    pub(crate) kind: SchemeKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SchemeKind {
    Basic,
    Bearer,
    /// Another scheme of `Authorization`.
    Authorisation(String),
    Key(Location, String),
    /// Nothing that an HTTP request shows, such as a client certificate.
    Invisible,
}

impl Operation {
    /// The declared response for a status: the exact one, its class, or the default.
    pub(crate) fn response(&self, status: u16) -> Option<&DeclaredResponse> {
        let find = |wanted| {
            self.responses
                .iter()
                .find(|response| response.status == wanted)
        };
        find(Status::Code(status))
            .or_else(|| find(Status::Class(status / 100)))
            .or_else(|| find(Status::Default))
    }

    /// The status of success, and its response.
    pub(crate) fn success(&self) -> Option<(u16, &DeclaredResponse)> {
        let codes = |class: u16| {
            self.responses
                .iter()
                .filter_map(move |response| match response.status {
                    Status::Code(code) if code / 100 == class => Some((code, response)),
                    Status::Class(declared) if declared == class => Some((class * 100, response)),
                    _ => None,
                })
                .min_by_key(|(code, response)| (*code, matches!(response.status, Status::Class(_))))
        };
        let default = || {
            self.responses
                .iter()
                .find(|response| response.status == Status::Default)
                .map(|response| (200, response))
        };
        codes(2)
            .or_else(default)
            .or_else(|| codes(3))
            .or_else(|| codes(1))
            .or_else(|| codes(4))
            .or_else(|| codes(5))
    }
}
