//! Who may use a route: declared in the table of [`crate::routes`], enforced here before any handler.
//!
//! Owns the order of the checks: signed out is 401 (a page sends to the log-in page), another
//! organisation's object is 404, the wrong role is 403.

use http::header;
use shared::ids::OrganisationId;
use shared::signing::{EDGE_HEADER, EdgeSecret, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use subtle::ConstantTimeEq;

use crate::context::{Caller, Context, SignedIn};
use crate::organisations::{MemberRole, OperatorRole, closing, sessions};
use crate::params;
use crate::web::{Failure, Response, cookies, csrf, response};

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Public,
    /// Anyone with a session.
    Session,
    /// A member, with one of these roles, of the organisation that the path names: directly, or
    /// through an object in [`OWNED_OBJECTS`].
    Member(&'static [MemberRole]),
    /// The operator's staff with one of these roles. An administrator always may.
    Operator(&'static [OperatorRole]),
    /// An edge, by its signature.
    Edge,
    /// The scheduler, by its secret.
    Tick,
    /// Anyone, where `environment` is `development`; nowhere else does the route exist.
    Development,
}

/// Path parameters that name an organisation's object, and whose it is. Each domain adds its own.
pub const OWNED_OBJECTS: &[(&str, &str)] = &[
    (
        "member_id",
        "SELECT organisation_id FROM members WHERE member_id = $1",
    ),
    (
        "acceptance_id",
        "SELECT organisation_id FROM acceptances WHERE acceptance_id = $1",
    ),
    (
        "invitation_id",
        "SELECT organisation_id FROM invitations WHERE invitation_id = $1",
    ),
    (
        "app_id",
        "SELECT organisation_id FROM apps WHERE app_id = $1 AND deleted_at_ms IS NULL",
    ),
    (
        "credential_id",
        "SELECT apps.organisation_id FROM credentials JOIN apps ON apps.app_id = credentials.app_id
         WHERE credential_id = $1",
    ),
    (
        "subscription_id",
        "SELECT apps.organisation_id FROM subscriptions JOIN apps ON apps.app_id = subscriptions.app_id
         WHERE subscription_id = $1",
    ),
    (
        "webhook_endpoint_id",
        "SELECT organisation_id FROM webhook_endpoints
         WHERE webhook_endpoint_id = $1 AND organisation_id IS NOT NULL AND deleted_at_ms IS NULL",
    ),
    (
        "submission_id",
        "SELECT apps.organisation_id FROM submissions s JOIN listings l ON l.listing_id = s.listing_id
         JOIN apps ON apps.app_id = l.app_id WHERE submission_id = $1",
    ),
    (
        "installation_id",
        "SELECT apps.organisation_id FROM installations JOIN apps ON apps.app_id = installations.app_id
         WHERE installation_id = $1",
    ),
    (
        "thread_id",
        "SELECT organisation_id FROM threads WHERE thread_id = $1",
    ),
    (
        "invoice_id",
        "SELECT organisation_id FROM invoices WHERE invoice_id = $1",
    ),
];

/// Checks a request. An answer instead of `None` is final: the log-in redirect.
pub async fn check(context: &mut Context) -> Result<Option<Response>, Failure> {
    match context.route.access {
        Access::Public => {
            if !context.route.template.starts_with("/assets/") {
                identify(context).await?;
            }
            let is_change = !matches!(
                context.request.method(),
                &http::Method::GET | &http::Method::HEAD
            );
            // A browser leaves the cookie out of a form that another site sends: such a form could log
            // somebody in to another's account.
            if is_change && (context.header("cookie").is_some() || is_page_form(context)) {
                csrf::check_origin(context)?;
            }
        }
        Access::Development => {
            if !context.configuration().development {
                return Err(Failure::not_found());
            }
        }
        Access::Session | Access::Member(_) | Access::Operator(_) => {
            return check_person(context).await;
        }
        Access::Edge => check_edge(context)?,
        Access::Tick => check_tick(context)?,
    }
    Ok(None)
}

/// Whether a page of the portal sends this, and neither a program nor an app's page elsewhere.
fn is_page_form(context: &Context) -> bool {
    !context.is_api() && !context.route.template.starts_with("/oauth/")
}

async fn check_person(context: &mut Context) -> Result<Option<Response>, Failure> {
    if !identify(context).await? {
        return if context.is_api() {
            Err(Failure::signed_out())
        } else {
            Ok(Some(log_in_redirect(context)))
        };
    }
    let is_change = !matches!(
        context.request.method(),
        &http::Method::GET | &http::Method::HEAD
    );
    let person = context.person()?.clone();
    if is_change && bearer(context).is_none() {
        csrf::check_session_request(context, &person.csrf_token)?;
    }
    match context.route.access {
        Access::Member(roles) => check_member(context, person, roles).await?,
        Access::Operator(roles) if person.operator_roles.is_empty() => {
            // To a partner, the operator's side does not exist.
            let _ = roles;
            return Err(Failure::not_found());
        }
        Access::Operator(roles) if !OperatorRole::any_of(&person.operator_roles, roles) => {
            return Err(wrong_role(
                &roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
            ));
        }
        Access::Operator(_)
            if !person.has_second_factor && context.configuration().staff_need_second_factor() =>
        {
            return if context.is_api() || is_change {
                Err(Failure::forbidden(
                    "staff_second_factor_required",
                    "The programme's staff show two factors: set up an authenticator or a passkey on your account's page, or log in with it.",
                ))
            } else {
                Ok(Some(response::see_other("/account?done=second-factor")))
            };
        }
        _ => {}
    }
    Ok(None)
}

async fn check_member(
    context: &mut Context,
    person: SignedIn,
    roles: &[MemberRole],
) -> Result<(), Failure> {
    let mut organisation_id: Option<OrganisationId> = None;
    for (name, value) in &context.path {
        let owner = if *name == "organisation_id" {
            value.parse().map_err(|_| Failure::not_found())?
        } else if let Some((_, sql)) = OWNED_OBJECTS.iter().find(|(known, _)| known == name) {
            context
                .connection
                .query_optional(sql, params![value.as_str()])
                .await?
                .ok_or_else(Failure::not_found)?
                .parse(0)?
        } else {
            continue;
        };
        if organisation_id
            .replace(owner)
            .is_some_and(|other| other != owner)
        {
            return Err(Failure::not_found());
        }
    }
    let organisation_id = organisation_id.ok_or_else(Failure::not_found)?;
    let role = sessions::find_member_role(&context.connection, organisation_id, person.person_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    if !roles.contains(&role) {
        return Err(wrong_role(
            &roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
        ));
    }
    let is_change = !matches!(
        context.request.method(),
        &http::Method::GET | &http::Method::HEAD
    );
    if is_change
        && !context.route.template.ends_with("/leave")
        && closing::is_closed(context, organisation_id).await?
    {
        return Err(closing::closed_already());
    }
    context.caller = Caller::Person(SignedIn {
        membership: Some((organisation_id, role)),
        ..person
    });
    Ok(())
}

fn wrong_role(roles: &[&str]) -> Failure {
    Failure::forbidden(
        "wrong_role",
        format!(
            "This needs the role {}. Ask someone who has it.",
            roles.join(" or ")
        ),
    )
}

/// Finds the person behind the request's token, if any.
async fn identify(context: &mut Context) -> Result<bool, Failure> {
    let Some(token) = session_token(context) else {
        return Ok(false);
    };
    let found = sessions::find_signed_in(context, &token).await?;
    let is_known = found.is_some();
    if let Some(person) = found {
        context.caller = Caller::Person(person);
    }
    Ok(is_known)
}

/// The session token that the request carries: a bearer token first, then the cookie.
pub fn session_token(context: &Context) -> Option<String> {
    bearer(context).map(str::to_owned).or_else(|| {
        let name = cookies::session_cookie_name(context.configuration());
        cookies::find_cookie(context.header("cookie")?, &name)
            .filter(|token| !token.is_empty())
            .map(str::to_owned)
    })
}

fn bearer(context: &Context) -> Option<&str> {
    let value = context.header(header::AUTHORIZATION.as_str())?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn log_in_redirect(context: &Context) -> Response {
    if context.request.method() != http::Method::GET {
        return response::see_other("/log-in");
    }
    let path = context
        .request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let next: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
    response::see_other(&format!("/log-in?next={next}"))
}

fn check_edge(context: &mut Context) -> Result<(), Failure> {
    let refused = |detail: &str| {
        Failure::new(
            http::StatusCode::UNAUTHORIZED,
            "bad_signature",
            detail.to_owned(),
        )
    };
    let secret = context.configuration().secret("edge_secret").ok_or_else(|| {
        refused("The portal has no edge secret: set the variable `edge_secret` here and at the edge.")
    })?;
    let header = |name: &'static str| {
        context
            .header(name)
            .map(str::to_owned)
            .ok_or_else(|| refused(&format!("The header {name} is missing.")))
    };
    let (edge, timestamp, signature) = (
        header(EDGE_HEADER)?,
        header(TIMESTAMP_HEADER)?,
        header(SIGNATURE_HEADER)?,
    );
    let timestamp: u64 = timestamp
        .parse()
        .map_err(|_| refused("The timestamp is not a number of Unix milliseconds."))?;
    let path = context
        .request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    EdgeSecret::new(secret.as_bytes())
        .verify_request(
            context.request.method().as_str(),
            path,
            timestamp,
            context.request.body(),
            &signature,
            context.now_ms.unsigned_abs(),
        )
        .map_err(|error| refused(&error.to_string()))?;
    context.caller = Caller::Edge(edge);
    Ok(())
}

fn check_tick(context: &mut Context) -> Result<(), Failure> {
    let secret = context
        .configuration()
        .secret("tick_secret")
        .unwrap_or_default();
    let given = bearer(context).unwrap_or_default();
    if secret.is_empty() || !bool::from(given.as_bytes().ct_eq(secret.as_bytes())) {
        return Err(Failure::signed_out());
    }
    context.caller = Caller::Scheduler;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
