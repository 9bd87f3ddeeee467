//! What a row of the table is, and the groups of people it names.

use schemars::{Schema, SchemaGenerator};

use crate::access::Access;
use crate::context::Context;
use crate::organisations::{MemberRole, OperatorRole};
use crate::ports::PortFuture;
use crate::web::{Failure, Response};

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
    /// Of a list: what it can be filtered by besides `q`.
    pub filters: Option<&'static [&'static str]>,
    /// What else the query may say.
    pub asks: &'static [&'static str],
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
/// The operator's staff who run products, plans and approvals.
pub const MANAGERS: &[OperatorRole] = &[OperatorRole::Manager];
/// The operator's staff who deal with money.
pub const FINANCE: &[OperatorRole] = &[OperatorRole::Finance];
/// Those who bind the organisation: agreements, members.
pub const OWNERS: &[MemberRole] = &[MemberRole::Owner];

/// Those of the staff who review apps.
pub const REVIEWERS: &[OperatorRole] = &[OperatorRole::Reviewer];
/// Those of the staff who choose what the directory shows of customers' words.
pub const EDITORS: &[OperatorRole] = &[OperatorRole::Reviewer, OperatorRole::Manager];
/// Those of the staff who publish agreements.
pub const LAWYERS: &[OperatorRole] = &[OperatorRole::Lawyer];
/// Those of the staff who run programme and staff.
pub const ADMINISTRATORS: &[OperatorRole] = &[OperatorRole::Administrator];

/// Whether a path belongs to the JSON side.
pub fn is_api_path(path: &str) -> bool {
    ["/api/", "/edge/", "/internal/", "/dev/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}
