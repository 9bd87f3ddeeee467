//! Every URL of the portal, in one table.
//!
//! A row reads `METHOD "template" operation_id Access => handler, takes Request, gives status Answer;`.
//! `takes` and `gives` feed `/api/openapi.json`. The table is what the permission tests enumerate:
//! access is declared here and enforced in [`crate::access`], never in a handler.
//!
//! Paths under `/api/` answer JSON and problem bodies, all others answer pages.

use schemars::{Schema, SchemaGenerator};

use crate::access::Access::{self, Development, Member, Public, Session};
use crate::context::Context;
use crate::organisations::MemberRole;
use crate::ports::PortFuture;
use crate::web::{Failure, Response};
use crate::{audit, emails, organisations, web};

/// What a handler answers.
pub type Outcome = Result<Response, Failure>;
/// A handler, boxed by the table.
pub type Handler = for<'a> fn(&'a Context) -> PortFuture<'a, Outcome>;
/// Describes a JSON type.
pub type Describe = fn(&mut SchemaGenerator) -> Schema;

/// One URL.
pub struct Route {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: http::Method,
    /// The path; `{name}` stands for one segment.
    pub template: &'static str,
    /// The operation's name, unique in the table; snake_case.
    pub operation_id: &'static str,
    /// Who may.
    pub access: Access,
    /// What runs.
    pub handler: Handler,
    /// The request's body, for the OpenAPI document.
    pub takes: Option<Describe>,
    /// The usual answer's status and body, for the OpenAPI document.
    pub gives: Option<(u16, Option<Describe>)>,
}

impl Route {
    /// Whether answers are JSON.
    pub fn is_api(&self) -> bool {
        is_api_path(self.template)
    }

    /// The names of the template's parameters.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.template
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// Everyone in the organisation.
pub const ANY_MEMBER: &[MemberRole] = &[
    MemberRole::Owner,
    MemberRole::Developer,
    MemberRole::Billing,
    MemberRole::Reader,
];
/// Those who build: apps, credentials, subscriptions without a price.
pub const BUILDERS: &[MemberRole] = &[MemberRole::Owner, MemberRole::Developer];
/// Those who pay.
pub const PAYERS: &[MemberRole] = &[MemberRole::Owner, MemberRole::Billing];
/// Those who bind the organisation: agreements, members.
pub const OWNERS: &[MemberRole] = &[MemberRole::Owner];

macro_rules! routes {
    ($($method:ident $template:literal $operation:ident $access:expr => $handler:path
        $(, takes $takes:ty)? $(, gives $status:literal $($gives:ty)?)?;)*) => {
        /// The table.
        pub static ROUTES: &[Route] = &[$(Route {
            method: http::Method::$method,
            template: $template,
            operation_id: stringify!($operation),
            access: $access,
            handler: |context| Box::pin($handler(context)),
            takes: routes!(@takes $($takes)?),
            gives: routes!(@gives $($status $($gives)?)?),
        }),*];
    };
    (@takes) => { None };
    (@takes $takes:ty) => { Some(|generator| generator.subschema_for::<$takes>()) };
    (@gives) => { None };
    (@gives $status:literal) => { Some(($status, None)) };
    (@gives $status:literal $gives:ty) => { Some(($status, Some(|generator| generator.subschema_for::<$gives>()))) };
}

routes! {
    // The portal itself
    GET "/healthz" get_health Public => web::health::get_health;
    GET "/api/openapi.json" get_openapi Public => web::openapi::get_openapi;
    GET "/assets/{file}" get_asset Public => web::assets::get_asset;
    GET "/dev/outbox" list_outbox Development => emails::list_outbox;
}

/// Whether a path belongs to the JSON side.
pub fn is_api_path(path: &str) -> bool {
    ["/api/", "/internal/", "/dev/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// What the table has for a request.
pub enum Found {
    /// The route, and its path parameters.
    Route(&'static Route, Vec<(&'static str, String)>),
    /// The path exists for these methods only.
    OtherMethods(Vec<&'static http::Method>),
    /// Nothing.
    Nothing,
}

/// Finds the route of a request. A literal segment wins over a parameter.
pub fn find(method: &http::Method, path: &str) -> Found {
    let wanted = if method == http::Method::HEAD {
        &http::Method::GET
    } else {
        method
    };
    let mut others = Vec::new();
    let mut best: Option<(&'static Route, Vec<(&'static str, String)>)> = None;
    for route in ROUTES {
        let Some(parameters) = match_template(route.template, path) else {
            continue;
        };
        if route.method != *wanted {
            others.push(&route.method);
        } else if best
            .as_ref()
            .is_none_or(|(_, known)| known.len() > parameters.len())
        {
            best = Some((route, parameters));
        }
    }
    match best {
        Some((route, parameters)) => Found::Route(route, parameters),
        None if others.is_empty() => Found::Nothing,
        None => Found::OtherMethods(others),
    }
}

fn match_template(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut parameters = Vec::new();
    let mut given = path.split('/');
    for segment in template.split('/') {
        let value = given.next()?;
        match segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        {
            Some(_) if value.is_empty() => return None,
            Some(name) => parameters.push((name, decode_segment(value)?)),
            None if segment == value => {}
            None => return None,
        }
    }
    given.next().is_none().then_some(parameters)
}

/// Percent-decoding of one path segment, where `+` is a plus.
fn decode_segment(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.to_owned());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(*crate::encoding::unhex(std::str::from_utf8(&digits).ok()?)?.first()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
