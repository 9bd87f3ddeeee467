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
use crate::organisations::invitations::{
    AcceptInvitationRequest, Invitation, InvitationList, InvitationRequest,
};
use crate::organisations::log_in::{LogInRequest, SessionAnswer};
use crate::organisations::members::{MemberList, RoleRequest, TransferRequest};
use crate::organisations::recovery::{
    ChangeEmailRequest, ChangePasswordRequest, NewPasswordRequest, ResetRequest, TokenRequest,
};
use crate::organisations::registration::{
    RegistrationAnswer, RegistrationRequest, ResendRequest, VerificationRequest,
};
use crate::organisations::routes::{AccountView, Acknowledged, OrganisationRequest, SessionList};
use crate::organisations::second_factor::{CodeRequest, RecoveryCodes, TotpSetup};
use crate::organisations::store::Organisation;
use crate::ports::PortFuture;
use crate::web::{Failure, Response};
use crate::{emails, organisations, web};

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

    // People
    POST "/api/v1/registrations" register Public => organisations::routes::register, takes RegistrationRequest, gives 202 RegistrationAnswer;
    POST "/api/v1/registrations/resend" resend_verification Public => organisations::routes::resend_verification, takes ResendRequest, gives 202 Acknowledged;
    POST "/api/v1/verifications" verify_registration Public => organisations::routes::verify, takes VerificationRequest, gives 201 SessionAnswer;
    POST "/api/v1/sessions" create_session Public => organisations::routes::create_session, takes LogInRequest, gives 201 SessionAnswer;
    GET "/api/v1/sessions" list_sessions Session => organisations::routes::list_sessions, gives 200 SessionList;
    DELETE "/api/v1/sessions/{session_id}" revoke_session Session => organisations::routes::revoke_session, gives 204;
    POST "/api/v1/password-resets" request_password_reset Public => organisations::routes::request_password_reset, takes ResetRequest, gives 202 Acknowledged;
    POST "/api/v1/password-resets/complete" complete_password_reset Public => organisations::routes::complete_password_reset, takes NewPasswordRequest, gives 204;
    GET "/api/v1/account" get_account Session => organisations::routes::get_account, gives 200 AccountView;
    POST "/api/v1/account/password" change_password Session => organisations::routes::change_password, takes ChangePasswordRequest, gives 204;
    POST "/api/v1/account/email" request_email_change Session => organisations::routes::request_email_change, takes ChangeEmailRequest, gives 202 Acknowledged;
    POST "/api/v1/account/email/confirm" confirm_email_change Public => organisations::routes::confirm_email_change, takes TokenRequest, gives 204;
    POST "/api/v1/account/totp" begin_totp Session => organisations::routes::begin_totp, gives 201 TotpSetup;
    POST "/api/v1/account/totp/enable" enable_totp Session => organisations::routes::enable_totp, takes CodeRequest, gives 200 RecoveryCodes;
    POST "/api/v1/account/totp/disable" disable_totp Session => organisations::routes::disable_totp, takes CodeRequest, gives 204;

    // Organisations
    POST "/api/v1/organisations" create_organisation Session => organisations::routes::create_organisation, takes OrganisationRequest, gives 201 Organisation;
    GET "/api/v1/organisations/{organisation_id}" get_organisation Member(ANY_MEMBER) => organisations::routes::get_organisation, gives 200 Organisation;
    PATCH "/api/v1/organisations/{organisation_id}" update_organisation Member(OWNERS) => organisations::routes::update_organisation, takes OrganisationRequest, gives 200 Organisation;
    GET "/api/v1/organisations/{organisation_id}/members" list_members Member(ANY_MEMBER) => organisations::routes::list_members, gives 200 MemberList;
    PATCH "/api/v1/organisations/{organisation_id}/members/{member_id}" change_member_role Member(OWNERS) => organisations::routes::change_member_role, takes RoleRequest, gives 204;
    DELETE "/api/v1/organisations/{organisation_id}/members/{member_id}" remove_member Member(OWNERS) => organisations::routes::remove_member, gives 204;
    POST "/api/v1/organisations/{organisation_id}/leave" leave_organisation Member(ANY_MEMBER) => organisations::routes::leave_organisation, gives 204;
    POST "/api/v1/organisations/{organisation_id}/ownership-transfer" transfer_ownership Member(OWNERS) => organisations::routes::transfer_ownership, takes TransferRequest, gives 204;
    GET "/api/v1/organisations/{organisation_id}/invitations" list_invitations Member(OWNERS) => organisations::routes::list_invitations, gives 200 InvitationList;
    POST "/api/v1/organisations/{organisation_id}/invitations" create_invitation Member(OWNERS) => organisations::routes::create_invitation, takes InvitationRequest, gives 201 Invitation;
    DELETE "/api/v1/organisations/{organisation_id}/invitations/{invitation_id}" revoke_invitation Member(OWNERS) => organisations::routes::revoke_invitation, gives 204;
    POST "/api/v1/invitations/accept" accept_invitation Public => organisations::routes::accept_invitation, takes AcceptInvitationRequest, gives 201 SessionAnswer;
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
