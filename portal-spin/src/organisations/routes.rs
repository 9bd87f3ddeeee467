//! The JSON API of people and organisations.

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{MemberId, OrganisationId, PersonId, SessionId};

use super::devices;
use super::log_in::{LogInRequest, SessionAnswer, Step, session_answer};
use super::model::{Faults, MemberRole, OperatorRole};
use super::registration::{RegistrationAnswer, RegistrationRequest, ResendRequest};
use super::store::{Membership, Organisation};
use super::verification::{self, VerificationRequest};
use super::{
    closing, invitations, log_in, members, recovery, registration, second_factor, sessions, store,
};
use crate::audit;
use crate::context::Context;
use crate::params;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, whole};
use crate::web::{Failure, response};

/// Nothing but an acknowledgement; the same whatever the portal knows.
#[derive(Serialize, JsonSchema)]
pub struct Acknowledged {
    /// What happens now.
    pub next: &'static str,
}

/// `POST /api/v1/registrations`
pub async fn register(context: &Context) -> Outcome {
    let request: RegistrationRequest = context.json()?;
    let email = registration::register(context, &request).await?;
    let next = "Enter the 6-digit code from the e-mail, or open its link.";
    response::json(StatusCode::ACCEPTED, &RegistrationAnswer { email, next })
}

/// `POST /api/v1/registrations/resend`
pub async fn resend_verification(context: &Context) -> Outcome {
    let request: ResendRequest = context.json()?;
    registration::resend(context, &request.email).await?;
    let next = "If the address waits for verification, a new code is on its way.";
    response::json(StatusCode::ACCEPTED, &Acknowledged { next })
}

/// `POST /api/v1/verifications`
pub async fn verify(context: &Context) -> Outcome {
    let request: VerificationRequest = context.json()?;
    let verified = if request.token.is_empty() {
        verification::verify_by_code(context, &request.email, &request.code).await?
    } else {
        verification::verify_by_link(context, &request.token).await?
    };
    response::created(&session_answer(context, verified.person_id, verified.session_token).await?)
}

/// `POST /api/v1/sessions`
pub async fn create_session(context: &Context) -> Outcome {
    let request: LogInRequest = context.json()?;
    let step = if request.ticket.is_empty() {
        log_in::log_in(context, &request.email, &request.password).await?
    } else {
        log_in::finish_log_in(context, &request.ticket, &request.code).await?
    };
    // One call does both steps when the code is sent along.
    let step = match step {
        Step::SecondFactor(ticket) if !request.code.is_empty() => {
            log_in::finish_log_in(context, &ticket, &request.code).await?
        }
        step => step,
    };
    match step {
        Step::SignedIn(person_id, token) => {
            response::created(&session_answer(context, person_id, token).await?)
        }
        Step::SecondFactor(ticket) => response::json(
            StatusCode::ACCEPTED,
            &serde_json::json!({
                "code": "second_factor_required",
                "ticket": ticket,
                "next": "Send the ticket with the authenticator's code as `code` within 5 minutes."
            }),
        ),
    }
}

/// A session, as its person sees it.
#[derive(Serialize, JsonSchema)]
pub struct SessionView {
    /// The id.
    #[schemars(with = "String")]
    pub session_id: SessionId,
    /// Since when.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub created_at: i64,
    /// Last request, to the minute.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub last_seen_at: i64,
    /// From where it was opened.
    pub address: String,
    /// With what, as the browser says it.
    pub user_agent: String,
    /// With what, in words: `Firefox on Linux`.
    pub device: String,
    /// Whether it is the one that asks.
    pub is_current: bool,
}

/// Sessions.
pub type SessionList = PageOf<SessionView>;

/// The caller's living sessions.
pub async fn own_sessions(context: &Context) -> Result<Vec<SessionView>, Failure> {
    let person = context.person()?;
    let rows = context
        .connection
        .query(
            "SELECT session_id, created_at, last_seen_at, address, user_agent FROM sessions
             WHERE person_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND last_seen_at > $3
             ORDER BY session_id DESC LIMIT 100",
            params![
                person.person_id,
                context.now_ms,
                context.now_ms - sessions::IDLE_LIMIT_MS
            ],
        )
        .await?;
    let mut items = Vec::new();
    for row in rows {
        let session_id: SessionId = row.parse(0)?;
        let user_agent: String = row.get(4)?;
        items.push(SessionView {
            session_id,
            created_at: row.get(1)?,
            last_seen_at: row.get(2)?,
            address: row.get(3)?,
            device: devices::in_words(&user_agent),
            user_agent,
            is_current: session_id == person.session_id,
        });
    }
    Ok(items)
}

/// `GET /api/v1/sessions`
pub async fn list_sessions(context: &Context) -> Outcome {
    let sessions = own_sessions(context).await?;
    response::ok(&whole(context, sessions, |session| {
        session.session_id.to_string()
    })?)
}

/// Ends one of the caller's sessions; another person's does not exist.
pub async fn end_session(context: &Context, session_id: SessionId) -> Result<(), Failure> {
    let person_id = context.person()?.person_id;
    context
        .connection
        .transaction(async || {
            let ended = context
                .connection
                .execute(
                    "UPDATE sessions SET revoked_at = $1
                     WHERE session_id = $2 AND person_id = $3 AND revoked_at IS NULL",
                    params![context.now_ms, session_id, person_id],
                )
                .await?;
            if ended == 0 {
                return Err(Failure::not_found());
            }
            let object = session_id.to_string();
            audit::record(
                context,
                None,
                "session.ended",
                &object,
                serde_json::json!({}),
            )
            .await?;
            Ok(())
        })
        .await
}

/// `DELETE /api/v1/sessions/{session_id}`, where `current` names the caller's own.
pub async fn revoke_session(context: &Context) -> Outcome {
    let session_id = match context.path_text("session_id") {
        "current" => context.person()?.session_id,
        _ => context.path_id("session_id")?,
    };
    end_session(context, session_id).await?;
    Ok(response::no_content())
}

/// `POST /api/v1/password-resets`
pub async fn request_password_reset(context: &Context) -> Outcome {
    let request: recovery::ResetRequest = context.json()?;
    recovery::request_reset(context, &request.email).await?;
    let next = "If the address has an account, a link is on its way.";
    response::json(StatusCode::ACCEPTED, &Acknowledged { next })
}

/// `POST /api/v1/password-resets/complete`
pub async fn complete_password_reset(context: &Context) -> Outcome {
    let request: recovery::NewPasswordRequest = context.json()?;
    recovery::reset_password(context, &request.token, &request.password).await?;
    Ok(response::no_content())
}

/// `POST /api/v1/account/password`
pub async fn change_password(context: &Context) -> Outcome {
    let request: recovery::ChangePasswordRequest = context.json()?;
    recovery::change_password(context, &request.current_password, &request.password).await?;
    Ok(response::no_content())
}

/// `POST /api/v1/account/email`
pub async fn request_email_change(context: &Context) -> Outcome {
    let request: recovery::ChangeEmailRequest = context.json()?;
    recovery::request_email_change(context, &request.email, &request.current_password).await?;
    let next = "Open the link that was sent to the new address.";
    response::json(StatusCode::ACCEPTED, &Acknowledged { next })
}

/// `POST /api/v1/account/email/confirm`
pub async fn confirm_email_change(context: &Context) -> Outcome {
    let request: recovery::TokenRequest = context.json()?;
    recovery::change_email(context, &request.token).await?;
    Ok(response::no_content())
}

/// `POST /api/v1/account/totp`
pub async fn begin_totp(context: &Context) -> Outcome {
    response::created(&second_factor::begin(context).await?)
}

/// `POST /api/v1/account/totp/enable`
pub async fn enable_totp(context: &Context) -> Outcome {
    let request: second_factor::CodeRequest = context.json()?;
    response::ok(&second_factor::enable(context, &request.code).await?)
}

/// `POST /api/v1/account/totp/disable`
pub async fn disable_totp(context: &Context) -> Outcome {
    let request: second_factor::CodeRequest = context.json()?;
    second_factor::disable(context, &request.code).await?;
    Ok(response::no_content())
}

/// The person who asks.
#[derive(Serialize, JsonSchema)]
pub struct AccountView {
    /// The id.
    #[schemars(with = "String")]
    pub person_id: PersonId,
    /// The address.
    pub email: String,
    /// The name.
    pub name: String,
    /// Roles on the operator's side.
    pub operator_roles: Vec<OperatorRole>,
    /// Their organisations.
    pub organisations: Vec<Membership>,
    /// Whether an authenticator is set up.
    pub has_second_factor: bool,
    /// The language they chose; empty: what their browser asks for.
    pub language: String,
}

/// `GET /api/v1/account`
pub async fn get_account(context: &Context) -> Outcome {
    let person = context.person()?;
    let stored = store::find_person(&context.connection, person.person_id).await?;
    response::ok(&AccountView {
        person_id: person.person_id,
        email: person.email.clone(),
        name: person.name.clone(),
        operator_roles: person.operator_roles.clone(),
        organisations: store::list_memberships(&context.connection, person.person_id).await?,
        has_second_factor: stored.is_some_and(|person| person.totp_enabled_at.is_some()),
        language: person
            .language
            .map_or("", |language| language.tag)
            .to_owned(),
    })
}

/// `POST /api/v1/account/closure`
pub async fn close_account(context: &Context) -> Outcome {
    closing::close_account(context, &context.json()?).await?;
    Ok(response::no_content())
}

/// `POST …/closure`
pub async fn close_organisation(context: &Context) -> Outcome {
    closing::close_organisation(context, &context.json()?)
        .await
        .map_err(named_as_in_body)?;
    Ok(response::no_content())
}

/// The page's form has another field called `name`.
fn named_as_in_body(mut failure: Failure) -> Failure {
    for error in &mut failure.errors {
        if error.field == "closed_name" {
            "name".clone_into(&mut error.field);
        }
    }
    failure
}

/// A new organisation of a person who has an account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganisationRequest {
    /// Its name.
    pub name: String,
}

/// Makes an organisation with the caller as owner.
pub async fn make_organisation(context: &Context, name: &str) -> Result<OrganisationId, Failure> {
    let person_id = context.person()?.person_id;
    let mut faults = Faults::default();
    let name = faults.name("name", name);
    faults.check()?;
    context
        .connection
        .transaction(async || {
            let organisation_id = store::insert_organisation(context, &name, "").await?;
            store::insert_member(context, organisation_id, person_id, MemberRole::Owner).await?;
            audit::record(
                context,
                Some(organisation_id),
                "organisation.created",
                &organisation_id.to_string(),
                serde_json::json!({ "name": name }),
            )
            .await?;
            crate::reactions::organisation_created(context, organisation_id).await?;
            Ok(organisation_id)
        })
        .await
}

/// `POST /api/v1/organisations`
pub async fn create_organisation(context: &Context) -> Outcome {
    let request: OrganisationRequest = context.json()?;
    let organisation_id = make_organisation(context, &request.name).await?;
    response::created(&find(context, organisation_id).await?)
}

/// `GET /api/v1/organisations/{organisation_id}`
pub async fn get_organisation(context: &Context) -> Outcome {
    let organisation = find(context, context.organisation_id()?).await?;
    response::json_with_etag(context.header("if-none-match"), &organisation)
}

/// Gives the organisation another name.
pub async fn rename(context: &Context, name: &str) -> Result<(), Failure> {
    let organisation_id = context.organisation_id()?;
    let mut faults = Faults::default();
    let name = faults.name("name", name);
    faults.check()?;
    context
        .connection
        .transaction(async || {
            context
                .connection
                .execute(
                    "UPDATE organisations SET name = $1 WHERE organisation_id = $2",
                    params![name.as_str(), organisation_id],
                )
                .await?;
            audit::record(
                context,
                Some(organisation_id),
                "organisation.renamed",
                &organisation_id.to_string(),
                serde_json::json!({ "name": name }),
            )
            .await
        })
        .await?;
    Ok(())
}

/// `PATCH /api/v1/organisations/{organisation_id}`
pub async fn update_organisation(context: &Context) -> Outcome {
    let request: OrganisationRequest = context.json()?;
    rename(context, &request.name).await?;
    response::ok(&find(context, context.organisation_id()?).await?)
}

async fn find(context: &Context, organisation_id: OrganisationId) -> Result<Organisation, Failure> {
    store::find_organisation(&context.connection, organisation_id)
        .await?
        .ok_or_else(Failure::not_found)
}

/// `GET …/members`
pub async fn list_members(context: &Context) -> Outcome {
    let items = members::list_members(&context.connection, context.organisation_id()?).await?;
    response::ok(&whole(context, items, |item| item.member_id.to_string())?)
}

/// `PATCH …/members/{member_id}`
pub async fn change_member_role(context: &Context) -> Outcome {
    let request: members::RoleRequest = context.json()?;
    members::change_role(context, context.path_id("member_id")?, request.role).await?;
    Ok(response::no_content())
}

/// `DELETE …/members/{member_id}`
pub async fn remove_member(context: &Context) -> Outcome {
    members::remove_member(context, context.path_id("member_id")?).await?;
    Ok(response::no_content())
}

/// `POST …/leave`
pub async fn leave_organisation(context: &Context) -> Outcome {
    members::leave(context).await?;
    Ok(response::no_content())
}

/// `POST …/ownership-transfer`
pub async fn transfer_ownership(context: &Context) -> Outcome {
    let request: members::TransferRequest = context.json()?;
    let to: MemberId = request.member_id.parse().map_err(|_| {
        Failure::field(
            "member_id",
            "unknown_member",
            "Give the member_id of a member.",
        )
    })?;
    members::transfer_ownership(context, to).await?;
    Ok(response::no_content())
}

/// `GET …/invitations`
pub async fn list_invitations(context: &Context) -> Outcome {
    let items = invitations::list_invitations(context, context.organisation_id()?).await?;
    response::ok(&whole(context, items, |item| {
        item.invitation_id.to_string()
    })?)
}

/// `POST …/invitations`
pub async fn create_invitation(context: &Context) -> Outcome {
    let request: invitations::InvitationRequest = context.json()?;
    response::created(&invitations::invite(context, &request.email, request.role).await?)
}

/// `DELETE …/invitations/{invitation_id}`
pub async fn revoke_invitation(context: &Context) -> Outcome {
    invitations::revoke_invitation(context, context.path_id("invitation_id")?).await?;
    Ok(response::no_content())
}

/// `POST /api/v1/invitations/accept`
pub async fn accept_invitation(context: &Context) -> Outcome {
    let request: invitations::AcceptInvitationRequest = context.json()?;
    let (person_id, organisation_id, token) =
        invitations::accept_invitation(context, &request).await?;
    match token {
        Some(token) => {
            let answer: SessionAnswer = session_answer(context, person_id, token).await?;
            response::created(&answer)
        }
        None => response::ok(&serde_json::json!({ "organisation_id": organisation_id })),
    }
}
