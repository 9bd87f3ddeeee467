//! The end: a person closes their account, an owner closes the organisation.
//!
//! Nothing that proves something is deleted. Kept are acceptances (they bind), invoices and the usage
//! behind them (law asks for them), and the audit log (it is a chain); they name people by id, and an
//! acceptance by the address it was made with. Everything that lets anyone in goes at once.

use schemars::JsonSchema;
use serde::Deserialize;
use shared::ids::{AppId, OrganisationId, PersonId};

use super::model::{MemberRole, OperatorRole};
use super::{recovery, store};
use crate::audit;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails;
use crate::web::Failure;
use crate::web::paging::PageRequest;
use crate::{apps, installations, params, reactions, webhooks};

/// Someone closes their account.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountClosure {
    /// The account's address, as a sign that it is meant.
    #[serde(default)]
    pub email: String,
    /// The present password; not needed within ten minutes of logging in.
    #[serde(default)]
    pub current_password: String,
}

/// An owner closes the organisation.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganisationClosure {
    /// The organisation's name, as a sign that it is meant.
    #[serde(default)]
    pub name: String,
    /// The present password; not needed within ten minutes of logging in.
    #[serde(default)]
    pub current_password: String,
}

/// Closes the caller's account: nobody can log in with it, and its address is free.
pub async fn close_account(context: &Context, closure: &AccountClosure) -> Result<(), Failure> {
    let person = context.person()?.clone();
    let person_id = person.person_id;
    if closure.email.trim().to_lowercase() != person.email {
        return Err(Failure::field(
            "email",
            "not_confirmed",
            format!("Type {} to close this account.", person.email),
        ));
    }
    recovery::confirm_identity(context, &closure.current_password).await?;
    for mut installation in standing_installations(context, person_id).await? {
        installations::remove(context, &mut installation).await?;
    }
    let connection = &context.connection;
    connection
        .transaction(async || {
            check_owners_remain(context, person_id).await?;
            check_administrators_remain(context, person_id, &person.operator_roles).await?;
            let object = person_id.to_string();
            audit::record(
                context,
                None,
                "account.closed",
                &object,
                serde_json::json!({}),
            )
            .await?;
            emails::send(context, "account-closed", &person.email, &[]).await?;
            forget_person(context, person_id).await?;
            Ok(())
        })
        .await
}

async fn standing_installations(
    context: &Context,
    person_id: PersonId,
) -> Result<Vec<installations::Installation>, DatabaseError> {
    let mut all = Vec::new();
    let mut request = PageRequest::first(200);
    loop {
        let page =
            installations::list_of_person(&context.connection, person_id, &request, "").await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        request.before = last.id.to_string();
        all.extend(page);
    }
}

/// An organisation that is open has an owner.
async fn check_owners_remain(context: &Context, person_id: PersonId) -> Result<(), Failure> {
    let rows = context
        .connection
        .query(
            "SELECT o.name FROM members m JOIN organisations o ON o.organisation_id = m.organisation_id
             WHERE m.person_id = $1 AND m.role = 'owner' AND o.closed_at IS NULL AND NOT EXISTS (
                SELECT 1 FROM members x WHERE x.organisation_id = m.organisation_id
                    AND x.role = 'owner' AND x.person_id <> $1)
             ORDER BY m.member_id",
            params![person_id],
        )
        .await?;
    let names = rows
        .iter()
        .map(|row| row.get::<String>(0))
        .collect::<Result<Vec<_>, _>>()?;
    if names.is_empty() {
        return Ok(());
    }
    Err(Failure::conflict(
        "last_owner",
        format!(
            "You are the only owner of {}. Make another member an owner there, or close the organisation first.",
            names.join(", ")
        ),
    ))
}

async fn check_administrators_remain(
    context: &Context,
    person_id: PersonId,
    roles: &[OperatorRole],
) -> Result<(), Failure> {
    if !roles.contains(&OperatorRole::Administrator) {
        return Ok(());
    }
    let others: i64 = context
        .connection
        .query_one(
            "SELECT COUNT(*) FROM operator_members WHERE role = 'administrator' AND person_id <> $1",
            params![person_id],
        )
        .await?
        .get(0)?;
    if others > 0 {
        return Ok(());
    }
    Err(Failure::conflict(
        "last_administrator",
        "Nobody could administer the programme any more. Add another administrator first.",
    ))
}

/// Takes away every way in and what is personal; the row stays, because records name its id.
async fn forget_person(context: &Context, person_id: PersonId) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    connection
        .execute(
            "UPDATE people SET disabled_at = $1, email = $2, name = '', password_hash = '',
                totp_secret = NULL, totp_enabled_at = NULL WHERE person_id = $3",
            params![
                context.now_ms,
                // No mail reaches `.invalid` (RFC 2606).
                format!("{person_id}@closed.invalid"),
                person_id
            ],
        )
        .await?;
    connection
        .execute(
            "UPDATE sessions SET revoked_at = $1 WHERE person_id = $2 AND revoked_at IS NULL",
            params![context.now_ms, person_id],
        )
        .await?;
    for table in [
        "members",
        "operator_members",
        "passkeys",
        "person_identities",
        "recovery_codes",
        "email_proofs",
    ] {
        connection
            .execute(
                &format!("DELETE FROM {table} WHERE person_id = $1"),
                params![person_id],
            )
            .await?;
    }
    Ok(())
}

/// Closes the organisation of the path: its apps, credentials, subscriptions and doors. Its members keep
/// reading what is kept.
pub async fn close_organisation(
    context: &Context,
    closure: &OrganisationClosure,
) -> Result<(), Failure> {
    let organisation_id = context.organisation_id()?;
    let connection = &context.connection;
    let organisation = store::find_organisation(connection, organisation_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    if closure.name.trim() != organisation.name {
        return Err(Failure::field(
            "closed_name",
            "not_confirmed",
            format!("Type {} to close this organisation.", organisation.name),
        ));
    }
    recovery::confirm_identity(context, &closure.current_password).await?;
    connection
        .transaction(async || {
            let closed = connection
                .execute(
                    "UPDATE organisations SET closed_at = $1
                     WHERE organisation_id = $2 AND closed_at IS NULL",
                    params![context.now_ms, organisation_id],
                )
                .await?;
            if closed == 0 {
                return Err(closed_already());
            }
            let object = organisation_id.to_string();
            let detail = serde_json::json!({ "name": organisation.name });
            let owner = Some(organisation_id);
            audit::record(context, owner, "organisation.closed", &object, detail).await?;
            for app_id in list_apps(context, organisation_id).await? {
                apps::delete(context, app_id).await?;
            }
            tell_owners(context, organisation_id, &organisation.name).await?;
            shut_doors(context, organisation_id).await?;
            reactions::standing_changed(context, organisation_id).await?;
            Ok(())
        })
        .await
}

/// What a change of a closed organisation is answered with.
pub fn closed_already() -> Failure {
    Failure::conflict(
        "organisation_closed",
        "This organisation is closed: it can be read, and nothing of it can be changed.",
    )
}

/// Whether the organisation is closed.
pub async fn is_closed(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<bool, DatabaseError> {
    let row = context
        .connection
        .query_optional(
            "SELECT 1 FROM organisations WHERE organisation_id = $1 AND closed_at IS NOT NULL",
            params![organisation_id],
        )
        .await?;
    Ok(row.is_some())
}

async fn list_apps(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<Vec<AppId>, DatabaseError> {
    context
        .connection
        .query(
            "SELECT app_id FROM apps WHERE organisation_id = $1 AND deleted_at_ms IS NULL",
            params![organisation_id],
        )
        .await?
        .iter()
        .map(|row| row.parse(0))
        .collect()
}

/// Invitations, single sign-on and webhooks of a closed organisation.
async fn shut_doors(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    connection
        .execute(
            "UPDATE invitations SET revoked_at = $1
             WHERE organisation_id = $2 AND revoked_at IS NULL AND accepted_at IS NULL",
            params![context.now_ms, organisation_id],
        )
        .await?;
    connection
        .execute(
            "DELETE FROM identity_providers WHERE organisation_id = $1",
            params![organisation_id],
        )
        .await?;
    webhooks::delete_of_organisation(context, organisation_id).await
}

async fn tell_owners(
    context: &Context,
    organisation_id: OrganisationId,
    name: &str,
) -> Result<(), DatabaseError> {
    let owners =
        store::list_member_emails(&context.connection, organisation_id, &[MemberRole::Owner])
            .await?;
    let link = format!(
        "{}/organisations/{organisation_id}",
        context.configuration().public_url
    );
    let values = [("organisation", name), ("link", &link)];
    for to in owners {
        emails::send(context, "organisation-closed", &to, &values).await?;
    }
    Ok(())
}
