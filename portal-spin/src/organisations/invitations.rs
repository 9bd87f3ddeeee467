//! Invitations to join an organisation.
//!
//! The link goes to one address. Who has an account there joins after logging in; who has none chooses a
//! password and joins at once: opening the link has proved the address.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{InvitationId, OrganisationId, PersonId};

use super::members::add_member;
use super::model::{Faults, MemberRole};
use super::sessions::{hash_token, start_session};
use super::{passwords, store};
use crate::audit;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails::{compose, queue_email};
use crate::encoding::base64url;
use crate::params;
use crate::web::Failure;
use crate::web::paging::PageOf;
use crate::web::throttle::{Limit, count_attempt};

const LIFETIME_MS: i64 = 14 * 24 * 60 * 60 * 1000;
const PER_ORGANISATION: Limit = Limit {
    name: "invitations",
    attempts: 100,
    window_ms: 3_600_000,
};

/// Whom to invite.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationRequest {
    /// Their address.
    pub email: String,
    /// Their role.
    pub role: MemberRole,
}

/// An open invitation.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Invitation {
    /// The id.
    #[schemars(with = "String")]
    pub invitation_id: InvitationId,
    /// To whom.
    pub email: String,
    /// As what.
    pub role: MemberRole,
    /// Until when.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub expires_at: i64,
}

/// The open invitations.
pub type InvitationList = PageOf<Invitation>;

/// Taking up an invitation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitationRequest {
    /// From the link.
    pub token: String,
    /// For an address without an account.
    #[serde(default)]
    pub password: String,
    /// For an address without an account.
    #[serde(default)]
    pub name: String,
}

/// What a link invites to.
pub struct Invited {
    /// Which invitation.
    pub invitation_id: InvitationId,
    /// The organisation.
    pub organisation_id: OrganisationId,
    /// Its name.
    pub organisation_name: String,
    /// To whom the link went.
    pub email: String,
    /// As what.
    pub role: MemberRole,
    /// The address's account, if it has one.
    pub person_id: Option<PersonId>,
}

fn link_expired() -> Failure {
    Failure::new(
        http::StatusCode::GONE,
        "link_expired",
        "This invitation was used, withdrawn or is too old. Ask for a new one.",
    )
}

/// Invites an address.
pub async fn invite(
    context: &Context,
    email: &str,
    role: MemberRole,
) -> Result<Invitation, Failure> {
    let organisation_id = context.organisation_id()?;
    let person = context.person()?;
    let mut faults = Faults::default();
    let email = faults.email("email", email);
    faults.check()?;
    count_attempt(context, PER_ORGANISATION, &organisation_id.to_string()).await?;
    let organisation = store::find_organisation(&context.connection, organisation_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let invitation = Invitation {
        invitation_id: context.new_id(InvitationId::new),
        email,
        role,
        expires_at: context.now_ms + LIFETIME_MS,
    };
    context
        .connection
        .transaction(async || {
            let token = base64url(&context.random::<32>());
            context
                .connection
                .execute(
                    "INSERT INTO invitations (invitation_id, organisation_id, email, role, token_hash,
                        invited_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    params![
                        invitation.invitation_id,
                        organisation_id,
                        invitation.email.as_str(),
                        role,
                        hash_token(&token),
                        person.person_id,
                        context.now_ms,
                        invitation.expires_at,
                    ],
                )
                .await?;
            let portal = &context.configuration().public_url;
            let link = format!("{portal}/invitations?token={token}");
            let values = [
                ("inviter", person.name.as_str()),
                ("inviter_email", &person.email),
                ("organisation", &organisation.name),
                ("role", role.as_str()),
                ("link", &link),
            ];
            let message = compose(context, "invitation", &invitation.email, &values).await?;
            queue_email(context, &message).await?;
            audit::record(
                context,
                Some(organisation_id),
                "invitation.sent",
                &invitation.invitation_id.to_string(),
                serde_json::json!({ "email": invitation.email, "role": role }),
            )
            .await
        })
        .await?;
    Ok(invitation)
}

/// The open invitations of an organisation.
pub async fn list_invitations(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<Vec<Invitation>, DatabaseError> {
    context
        .connection
        .query(
            "SELECT invitation_id, email, role, expires_at FROM invitations
             WHERE organisation_id = $1 AND accepted_at IS NULL AND revoked_at IS NULL
                AND expires_at > $2 ORDER BY invitation_id DESC LIMIT 200",
            params![organisation_id, context.now_ms],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(Invitation {
                invitation_id: row.parse(0)?,
                email: row.get(1)?,
                role: row.parse(2)?,
                expires_at: row.get(3)?,
            })
        })
        .collect()
}

/// Withdraws an invitation.
pub async fn revoke_invitation(
    context: &Context,
    invitation_id: InvitationId,
) -> Result<(), Failure> {
    let organisation_id = context.organisation_id()?;
    context
        .connection
        .transaction(async || {
            let revoked = context
                .connection
                .execute(
                    "UPDATE invitations SET revoked_at = $1 WHERE invitation_id = $2
                        AND organisation_id = $3 AND accepted_at IS NULL AND revoked_at IS NULL",
                    params![context.now_ms, invitation_id, organisation_id],
                )
                .await?;
            if revoked == 0 {
                return Err(Failure::not_found());
            }
            let object = invitation_id.to_string();
            audit::record(
                context,
                Some(organisation_id),
                "invitation.revoked",
                &object,
                serde_json::json!({}),
            )
            .await?;
            Ok(())
        })
        .await
}

/// What a link invites to.
pub async fn find_by_link(context: &Context, token: &str) -> Result<Invited, Failure> {
    let row = context
        .connection
        .query_optional(
            "SELECT i.invitation_id, i.organisation_id, o.name, i.email, i.role, p.person_id
             FROM invitations i JOIN organisations o ON o.organisation_id = i.organisation_id
             LEFT JOIN people p ON p.email = i.email
             WHERE i.token_hash = $1 AND i.accepted_at IS NULL AND i.revoked_at IS NULL
                AND i.expires_at > $2",
            params![hash_token(token), context.now_ms],
        )
        .await?
        .ok_or_else(link_expired)?;
    Ok(Invited {
        invitation_id: row.parse(0)?,
        organisation_id: row.parse(1)?,
        organisation_name: row.get(2)?,
        email: row.get(3)?,
        role: row.parse(4)?,
        person_id: row.parse_optional(5)?,
    })
}

/// The organisation that the signed-in person joined by this link before: a second click is no failure.
pub async fn find_joined_by_link(
    context: &Context,
    token: &str,
) -> Result<Option<OrganisationId>, Failure> {
    let Some(person) = context.person_optional() else {
        return Ok(None);
    };
    let row = context
        .connection
        .query_optional(
            "SELECT i.organisation_id FROM invitations i
             JOIN people p ON p.email = i.email AND p.person_id = $2
             JOIN members m ON m.organisation_id = i.organisation_id AND m.person_id = p.person_id
             WHERE i.token_hash = $1 AND i.accepted_at IS NOT NULL",
            params![hash_token(token), person.person_id],
        )
        .await?;
    Ok(row.map(|row| row.parse(0)).transpose()?)
}

/// Joins. Answers the person, the organisation and, for a new account, a session token.
pub async fn accept_invitation(
    context: &Context,
    request: &AcceptInvitationRequest,
) -> Result<(PersonId, OrganisationId, Option<String>), Failure> {
    let invited = match find_by_link(context, &request.token).await {
        Err(failure) if failure.code == "link_expired" => {
            return Err(match find_joined_by_link(context, &request.token).await? {
                Some(organisation_id) => Failure::conflict(
                    "already_joined",
                    format!("You joined {organisation_id} by this invitation already."),
                ),
                None => failure,
            });
        }
        found => found?,
    };
    let signed_in = context.person_optional().map(|person| person.person_id);
    let password_hash = match (invited.person_id, signed_in) {
        (Some(account), Some(person_id)) if account == person_id => None,
        (Some(_), _) => {
            return Err(Failure::conflict(
                "log_in_first",
                format!(
                    "Log in as {} first, then open the link again.",
                    invited.email
                ),
            ));
        }
        (None, _) => {
            let mut faults = Faults::default();
            faults.password("password", &request.password, &[&invited.email]);
            faults.check()?;
            Some(passwords::hash_new_password(context, &request.password).await?)
        }
    };
    context
        .connection
        .transaction(async || {
            let is_first = context
                .connection
                .execute(
                    "UPDATE invitations SET accepted_at = $1
                     WHERE invitation_id = $2 AND accepted_at IS NULL AND revoked_at IS NULL",
                    params![context.now_ms, invited.invitation_id],
                )
                .await?;
            if is_first == 0 {
                return Err(link_expired());
            }
            let (person_id, token) = match (&password_hash, invited.person_id) {
                (Some(hash), None) => {
                    let name = match request.name.trim() {
                        "" => invited.email.split('@').next().unwrap_or_default(),
                        name => {
                            let mut faults = Faults::default();
                            faults.name("name", name);
                            faults.check()?;
                            name
                        }
                    };
                    let person_id =
                        store::insert_person(context, &invited.email, name, hash).await?;
                    let (_, token) = start_session(context, person_id, None).await?;
                    (person_id, Some(token))
                }
                (_, Some(person_id)) => (person_id, None),
                (None, None) => return Err(link_expired()),
            };
            add_member(context, invited.organisation_id, person_id, invited.role).await?;
            Ok((person_id, invited.organisation_id, token))
        })
        .await
}
