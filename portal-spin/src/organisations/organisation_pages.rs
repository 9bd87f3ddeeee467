//! Pages of an organisation: its home, its members, invitations.

use askama::Template;
use shared::ids::{MemberId, PersonId};

use super::closing::{self, OrganisationClosure};
use super::invitations::{self, AcceptInvitationRequest, Invitation};
use super::members::{self, Member};
use super::model::MemberRole;
use super::routes;
use super::sessions::ABSOLUTE_LIMIT_MS;
use super::store::{self, Membership, Organisation};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::routes::Outcome;
use crate::web::forms::{Form, Shown};
use crate::web::listed::Listed;
use crate::web::paging::whole;
use crate::web::{Failure, Page, cookies, response};

#[derive(Template)]
#[template(path = "organisations/templates/organisations.html")]
struct OrganisationsPage {
    page: Page,
    shown: Shown,
    memberships: Vec<Membership>,
}

/// `GET /organisations`: the switcher; with a single one it leads straight there.
pub async fn show_organisations(context: &Context) -> Outcome {
    let person = context.person()?;
    let memberships = store::list_memberships(&context.connection, person.person_id).await?;
    let came_by_log_in = context.query("all").is_none() && person.operator_roles.is_empty();
    if let ([only], true) = (memberships.as_slice(), came_by_log_in) {
        return Ok(response::see_other(&format!(
            "/organisations/{}",
            only.organisation_id
        )));
    }
    let page = Page::new(context, "Your organisations");
    response::html(&OrganisationsPage {
        page,
        shown: Shown::default(),
        memberships,
    })
}

/// `POST /organisations`
pub async fn create_organisation(context: &Context) -> Outcome {
    let form = context.form();
    match routes::make_organisation(context, &form.text("name")).await {
        Ok(organisation_id) => Ok(response::see_other(&format!(
            "/organisations/{organisation_id}?done=saved"
        ))),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            let person_id = context.person()?.person_id;
            let memberships = store::list_memberships(&context.connection, person_id).await?;
            let page = Page::new(context, "Your organisations");
            response::html_with(
                status,
                &OrganisationsPage {
                    page,
                    shown,
                    memberships,
                },
            )
        }
    }
}

/// One line of the list of next steps.
pub struct NextStep {
    /// What to do.
    pub label: String,
    /// Where.
    pub href: String,
    /// Why, or how far.
    pub hint: String,
    /// Whether it is done.
    pub is_done: bool,
}

#[derive(Template)]
#[template(path = "organisations/templates/organisation.html")]
struct OrganisationPage {
    page: Page,
    shown: Shown,
    organisation: Organisation,
    joined: String,
    role: MemberRole,
    is_owner: bool,
}

async fn organisation_page(
    context: &Context,
    shown: Option<Shown>,
) -> Result<OrganisationPage, Failure> {
    let organisation_id = context.organisation_id()?;
    let organisation = store::find_organisation(&context.connection, organisation_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let role = context.member_role()?;
    Ok(OrganisationPage {
        page: Page::of_organisation(context, "Settings", &organisation.name),
        shown: shown.unwrap_or_else(|| Shown::with_values(&[("name", &organisation.name)])),
        joined: readable_time(organisation.created_at),
        role,
        is_owner: role == MemberRole::Owner,
        organisation,
    })
}

/// `GET /organisations/{organisation_id}/settings`
pub async fn show_organisation(context: &Context) -> Outcome {
    response::html(&organisation_page(context, None).await?)
}

/// `POST /organisations/{organisation_id}/name`
pub async fn rename(context: &Context) -> Outcome {
    let form = context.form();
    match routes::rename(context, &form.text("name")).await {
        Ok(()) => {
            let organisation_id = context.organisation_id()?;
            Ok(response::see_other(&format!(
                "/organisations/{organisation_id}/settings?done=saved"
            )))
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &organisation_page(context, Some(shown)).await?)
        }
    }
}

/// `POST /organisations/{organisation_id}/closure`
pub async fn close(context: &Context) -> Outcome {
    let form = context.form();
    let closure = OrganisationClosure {
        name: form.text("closed_name"),
        current_password: form.raw("current_password").to_owned(),
    };
    match closing::close_organisation(context, &closure).await {
        Ok(()) => {
            let organisation_id = context.organisation_id()?;
            Ok(response::see_other(&format!(
                "/organisations/{organisation_id}/settings?done=closed"
            )))
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &organisation_page(context, Some(shown)).await?)
        }
    }
}

#[derive(Template)]
#[template(path = "organisations/templates/members.html")]
struct MembersPage {
    page: Page,
    shown: Shown,
    base: String,
    members: Vec<Member>,
    listed: Listed,
    invitations: Vec<Invitation>,
    roles: &'static [MemberRole],
    own: PersonId,
    is_owner: bool,
}

async fn members_page(context: &Context, shown: Shown) -> Result<MembersPage, Failure> {
    let organisation_id = context.organisation_id()?;
    let organisation = store::find_organisation(&context.connection, organisation_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let is_owner = context.member_role()? == MemberRole::Owner;
    let invitations = if is_owner {
        invitations::list_invitations(context, organisation_id).await?
    } else {
        Vec::new()
    };
    let members = members::list_members(&context.connection, organisation_id).await?;
    let found = whole(context, members, |member: &Member| {
        member.member_id.to_string()
    })?;
    Ok(MembersPage {
        page: Page::of_organisation(context, "Members", &organisation.name),
        shown,
        base: format!("/organisations/{organisation_id}"),
        listed: {
            let path = format!("/organisations/{organisation_id}/members");
            Listed::of(context, &path, &path, found.next_cursor.as_deref())
        },
        members: found.items,
        invitations,
        roles: MemberRole::ANY,
        own: context.person()?.person_id,
        is_owner,
    })
}

/// `GET …/members`
pub async fn show_members(context: &Context) -> Outcome {
    response::html(&members_page(context, Shown::default()).await?)
}

/// After a change: back to the list, or the list with what was wrong.
async fn members_after(
    context: &Context,
    form: Form,
    outcome: Result<(), Failure>,
    done: &str,
) -> Outcome {
    match outcome {
        Ok(()) => {
            let organisation_id = context.organisation_id()?;
            Ok(response::see_other(&format!(
                "/organisations/{organisation_id}/members?done={done}"
            )))
        }
        Err(failure) if failure.status == http::StatusCode::NOT_FOUND => Err(failure),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &members_page(context, shown).await?)
        }
    }
}

fn role_of(form: &Form) -> Result<MemberRole, Failure> {
    form.raw("role")
        .parse()
        .map_err(|()| Failure::field("role", "unknown_role", "Choose one of the roles."))
}

/// `POST …/invitations`
pub async fn invite(context: &Context) -> Outcome {
    let form = context.form();
    let outcome = match role_of(&form) {
        Ok(role) => invitations::invite(context, form.raw("email"), role)
            .await
            .map(|_| ()),
        Err(failure) => Err(failure),
    };
    members_after(context, form, outcome, "sent").await
}

/// `POST …/invitations/{invitation_id}/revoke`
pub async fn revoke_invitation(context: &Context) -> Outcome {
    let outcome = invitations::revoke_invitation(context, context.path_id("invitation_id")?).await;
    members_after(context, Form::default(), outcome, "removed").await
}

/// `POST …/members/{member_id}/role`
pub async fn change_role(context: &Context) -> Outcome {
    let form = context.form();
    let outcome = match role_of(&form) {
        Ok(role) => members::change_role(context, context.path_id("member_id")?, role).await,
        Err(failure) => Err(failure),
    };
    members_after(context, form, outcome, "saved").await
}

/// `POST …/members/{member_id}/remove`
pub async fn remove_member(context: &Context) -> Outcome {
    let outcome = members::remove_member(context, context.path_id("member_id")?).await;
    members_after(context, Form::default(), outcome, "removed").await
}

/// `POST …/ownership-transfer`
pub async fn transfer_ownership(context: &Context) -> Outcome {
    let form = context.form();
    let outcome = match form.raw("member_id").parse::<MemberId>() {
        Ok(to) => members::transfer_ownership(context, to).await,
        Err(_) => Err(Failure::field(
            "member_id",
            "unknown_member",
            "Choose a member.",
        )),
    };
    members_after(context, form, outcome, "saved").await
}

/// `POST …/leave`
pub async fn leave(context: &Context) -> Outcome {
    match members::leave(context).await {
        Ok(()) => Ok(response::see_other("/organisations")),
        failed => members_after(context, Form::default(), failed, "saved").await,
    }
}

#[derive(Template)]
#[template(path = "organisations/templates/invitation.html")]
struct InvitationPage {
    page: Page,
    shown: Shown,
    organisation_name: String,
    email: String,
    role: MemberRole,
    token: String,
    next: String,
    needs_log_in: bool,
    needs_account: bool,
}

async fn invitation_page(
    context: &Context,
    token: &str,
    shown: Shown,
) -> Result<InvitationPage, Failure> {
    let invited = invitations::find_by_link(context, token).await?;
    let signed_in = context.person_optional().map(|person| person.person_id);
    let next = format!("/invitations?token={token}");
    Ok(InvitationPage {
        page: Page::new(context, &format!("Join {}", invited.organisation_name)),
        shown,
        needs_log_in: invited.person_id.is_some() && invited.person_id != signed_in,
        needs_account: invited.person_id.is_none(),
        organisation_name: invited.organisation_name,
        email: invited.email,
        role: invited.role,
        token: token.to_owned(),
        next: form_urlencoded::byte_serialize(next.as_bytes()).collect(),
    })
}

/// `GET /invitations?token=`
pub async fn show_invitation(context: &Context) -> Outcome {
    let token = context.query("token").unwrap_or_default();
    if let Some(joined) = invitations::find_joined_by_link(context, &token).await? {
        return Ok(response::see_other(&format!("/organisations/{joined}")));
    }
    response::html(&invitation_page(context, &token, Shown::default()).await?)
}

/// `POST /invitations`
pub async fn accept_invitation(context: &Context) -> Outcome {
    let form = context.form();
    let request = AcceptInvitationRequest {
        token: form.text("token"),
        password: form.raw("password").to_owned(),
        name: form.text("name"),
    };
    match invitations::accept_invitation(context, &request).await {
        Ok((_, organisation_id, token)) => {
            let mut answer = response::see_other(&format!("/organisations/{organisation_id}"));
            if let Some(token) = token {
                let configuration = context.configuration();
                cookies::set_session(&mut answer, configuration, &token, ABSOLUTE_LIMIT_MS / 1000);
            }
            Ok(answer)
        }
        Err(failure) if failure.code == "already_joined" => {
            let path = format!("/invitations?token={}", request.token);
            Ok(response::see_other(&path))
        }
        Err(failure) if failure.code == "link_expired" => Err(failure),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(
                status,
                &invitation_page(context, &request.token, shown).await?,
            )
        }
    }
}
