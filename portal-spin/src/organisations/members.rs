//! Members of an organisation: list, role, removal, leaving, transfer.
//!
//! The rule that holds throughout: an organisation always has an owner.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{MemberId, OrganisationId, PersonId};

use super::model::MemberRole;
use super::store;
use crate::audit;
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::params;
use crate::web::Failure;
use crate::web::paging::PageOf;

/// A member.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Member {
    /// The membership.
    #[schemars(with = "String")]
    pub member_id: MemberId,
    /// The person.
    #[schemars(with = "String")]
    pub person_id: PersonId,
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// What they may do.
    pub role: MemberRole,
    /// Since when.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub created_at: i64,
}

/// Members, oldest first.
pub type MemberList = PageOf<Member>;

/// A new role.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRequest {
    /// The role.
    pub role: MemberRole,
}

/// To whom ownership goes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferRequest {
    /// A member.
    pub member_id: String,
}

/// Why a membership does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// No such member here.
    #[error("not found")]
    NotFound,
    /// Nobody would own the organisation.
    #[error("last owner")]
    LastOwner,
}

impl From<MemberError> for Failure {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NotFound => Self::not_found(),
            MemberError::LastOwner => Self::conflict(
                "last_owner",
                "This is the only owner. Make another member an owner first.",
            ),
        }
    }
}

const MEMBER: &str = "SELECT m.member_id, m.person_id, p.name, p.email, m.role, m.created_at
    FROM members m JOIN people p ON p.person_id = m.person_id WHERE m.organisation_id = $1";

/// The members of an organisation.
pub async fn list_members(
    connection: &Connection,
    organisation_id: OrganisationId,
) -> Result<Vec<Member>, DatabaseError> {
    connection
        .query(
            &format!("{MEMBER} ORDER BY m.member_id"),
            params![organisation_id],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(Member {
                member_id: row.parse(0)?,
                person_id: row.parse(1)?,
                name: row.get(2)?,
                email: row.get(3)?,
                role: row.parse(4)?,
                created_at: row.get(5)?,
            })
        })
        .collect()
}

/// Gives a member another role.
pub async fn change_role(
    context: &Context,
    member_id: MemberId,
    role: MemberRole,
) -> Result<(), Failure> {
    let organisation_id = context.organisation_id()?;
    context
        .connection
        .transaction(async || {
            let member = lock_member(context, organisation_id, member_id).await?;
            if role != MemberRole::Owner {
                require_other_owner(context, organisation_id, &member).await?;
            }
            write_role(context, organisation_id, member_id, role).await
        })
        .await
}

/// Removes a member, or lets them leave.
pub async fn remove_member(context: &Context, member_id: MemberId) -> Result<(), Failure> {
    let organisation_id = context.organisation_id()?;
    context
        .connection
        .transaction(async || {
            let member = lock_member(context, organisation_id, member_id).await?;
            require_other_owner(context, organisation_id, &member).await?;
            context
                .connection
                .execute(
                    "DELETE FROM members WHERE member_id = $1",
                    params![member_id],
                )
                .await?;
            audit::record(
                context,
                Some(organisation_id),
                "member.removed",
                &member_id.to_string(),
                serde_json::json!({ "person_id": member.person_id }),
            )
            .await?;
            Ok(())
        })
        .await
}

/// The caller leaves the organisation.
pub async fn leave(context: &Context) -> Result<(), Failure> {
    let own = own_membership(context).await?;
    remove_member(context, own.member_id).await
}

/// Makes another member owner and the caller a developer, in one step.
pub async fn transfer_ownership(context: &Context, to: MemberId) -> Result<(), Failure> {
    let organisation_id = context.organisation_id()?;
    let own = own_membership(context).await?;
    if own.member_id == to {
        return Err(Failure::field(
            "member_id",
            "same_member",
            "Choose another member.",
        ));
    }
    context
        .connection
        .transaction(async || {
            lock_member(context, organisation_id, to).await?;
            write_role(context, organisation_id, to, MemberRole::Owner).await?;
            write_role(
                context,
                organisation_id,
                own.member_id,
                MemberRole::Developer,
            )
            .await
        })
        .await
}

async fn own_membership(context: &Context) -> Result<Member, Failure> {
    let person_id = context.person()?.person_id;
    let members = list_members(&context.connection, context.organisation_id()?).await?;
    members
        .into_iter()
        .find(|member| member.person_id == person_id)
        .ok_or_else(|| MemberError::NotFound.into())
}

/// Reads a member with the organisation's row locked, so that two owners who step down at once cannot
/// both succeed.
async fn lock_member(
    context: &Context,
    organisation_id: OrganisationId,
    member_id: MemberId,
) -> Result<Member, Failure> {
    context
        .connection
        .execute(
            "UPDATE organisations SET name = name WHERE organisation_id = $1",
            params![organisation_id],
        )
        .await?;
    list_members(&context.connection, organisation_id)
        .await?
        .into_iter()
        .find(|member| member.member_id == member_id)
        .ok_or_else(|| MemberError::NotFound.into())
}

async fn require_other_owner(
    context: &Context,
    organisation_id: OrganisationId,
    member: &Member,
) -> Result<(), Failure> {
    if member.role != MemberRole::Owner {
        return Ok(());
    }
    let has_other = list_members(&context.connection, organisation_id)
        .await?
        .iter()
        .any(|other| other.role == MemberRole::Owner && other.member_id != member.member_id);
    if has_other {
        Ok(())
    } else {
        Err(MemberError::LastOwner.into())
    }
}

async fn write_role(
    context: &Context,
    organisation_id: OrganisationId,
    member_id: MemberId,
    role: MemberRole,
) -> Result<(), Failure> {
    context
        .connection
        .execute(
            "UPDATE members SET role = $1 WHERE member_id = $2",
            params![role, member_id],
        )
        .await?;
    audit::record(
        context,
        Some(organisation_id),
        "member.role_changed",
        &member_id.to_string(),
        serde_json::json!({ "role": role }),
    )
    .await?;
    Ok(())
}

/// Adds a member, with its audit record. For invitations and the demo programme.
pub async fn add_member(
    context: &Context,
    organisation_id: OrganisationId,
    person_id: PersonId,
    role: MemberRole,
) -> Result<(), DatabaseError> {
    if store::insert_member(context, organisation_id, person_id, role).await? {
        audit::record_by(
            context,
            &person_id.to_string(),
            Some(organisation_id),
            "member.joined",
            &person_id.to_string(),
            serde_json::json!({ "role": role }),
        )
        .await?;
    }
    Ok(())
}
