//! The operator's side of people and organisations: the staff and their roles, partners, suspension.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{OrganisationId, PersonId};

use super::model::{MemberRole, OperatorRole, normalise_email};
use super::recovery::end_proofs;
use super::store::{self, Organisation};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, PageRequest, finds, whole};
use crate::web::{Failure, response};
use crate::{audit, params, reactions};

/// One role of one person.
#[derive(Serialize, JsonSchema)]
pub struct StaffMember {
    /// The person.
    #[schemars(with = "String")]
    pub person_id: PersonId,
    /// Their address.
    pub email: String,
    /// The role.
    pub role: OperatorRole,
}

/// The staff.
pub type StaffList = PageOf<StaffMember>;

/// A role for someone who has an account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaffRequest {
    /// Their address.
    pub email: String,
    /// The role.
    pub role: OperatorRole,
}

/// Why live credentials stop.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspensionRequest {
    /// What the partner reads.
    pub reason: String,
}

/// Partners.
pub type OrganisationList = PageOf<Organisation>;

/// `GET /api/v1/operator/staff`
pub async fn list_staff(context: &Context) -> Outcome {
    let items = context
        .connection
        .query(
            "SELECT o.person_id, p.email, o.role FROM operator_members o
             JOIN people p ON p.person_id = o.person_id ORDER BY p.email, o.role",
            vec![],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(StaffMember {
                person_id: row.parse(0)?,
                email: row.get(1)?,
                role: row.parse(2)?,
            })
        })
        .collect::<Result<Vec<StaffMember>, DatabaseError>>()?;
    response::ok(&whole(context, items, |item| {
        format!("{} {}", item.person_id, item.role)
    })?)
}

/// `POST /api/v1/operator/staff`
pub async fn add_staff(context: &Context) -> Outcome {
    let request: StaffRequest = context.json()?;
    let email = normalise_email(&request.email).unwrap_or_default();
    let person = store::find_person_by_email(&context.connection, &email)
        .await?
        .ok_or_else(|| {
            Failure::field(
                "email",
                "unknown_person",
                "They need an account first: ask them to register.",
            )
        })?;
    context
        .connection
        .transaction(async || {
            store::insert_operator_role(context, person.person_id, request.role).await?;
            let detail = serde_json::json!({ "role": request.role });
            audit::record(
                context,
                None,
                "staff.added",
                &person.person_id.to_string(),
                detail,
            )
            .await
        })
        .await?;
    list_staff(context).await
}

/// `DELETE /api/v1/operator/staff/{person_id}/{role}`
pub async fn remove_staff(context: &Context) -> Outcome {
    let person_id: PersonId = context.path_id("person_id")?;
    let role: OperatorRole = context
        .path_text("role")
        .parse()
        .map_err(|()| Failure::not_found())?;
    context
        .connection
        .transaction(async || {
            let removed = context
                .connection
                .execute(
                    "DELETE FROM operator_members WHERE person_id = $1 AND role = $2",
                    params![person_id, role],
                )
                .await?;
            if removed == 0 {
                return Err(Failure::not_found());
            }
            let left: i64 = context
                .connection
                .query_one(
                    "SELECT COUNT(*) FROM operator_members WHERE role = 'administrator'",
                    vec![],
                )
                .await?
                .get(0)?;
            if left == 0 {
                return Err(Failure::conflict(
                    "last_administrator",
                    "Nobody could administer the programme any more. Add another administrator first.",
                ));
            }
            let detail = serde_json::json!({ "role": role });
            audit::record(context, None, "staff.removed", &person_id.to_string(), detail).await?;
            Ok(())
        })
        .await?;
    Ok(response::no_content())
}

/// `DELETE /api/v1/operator/people/{person_id}/sessions`: wherever they are logged in, they are out.
pub async fn end_sessions(context: &Context) -> Outcome {
    let person_id: PersonId = context.path_id("person_id")?;
    store::find_person(&context.connection, person_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    context
        .connection
        .transaction(async || {
            context
                .connection
                .execute(
                    "UPDATE sessions SET revoked_at = $1 WHERE person_id = $2 AND revoked_at IS NULL",
                    params![context.now_ms, person_id],
                )
                .await?;
            // A thief's own link would let the thief in again.
            end_proofs(context, person_id).await?;
            let object = person_id.to_string();
            let detail = serde_json::json!({});
            audit::record(context, None, "person.sessions_ended", &object, detail).await
        })
        .await?;
    Ok(response::no_content())
}

/// `GET /api/v1/operator/organisations?q=&partner_type=&tier=&tag=`
pub async fn list_organisations(context: &Context) -> Outcome {
    response::ok(&search_organisations(context).await?)
}

/// Organisations as the query of the URL asks: by name, partner type, tier and tag, newest first.
pub async fn search_organisations(context: &Context) -> Result<OrganisationList, Failure> {
    let page = PageRequest::read(context)?;
    let query = |name: &str| context.query(name).unwrap_or_default();
    let (partner_type, tier, tag) = (query("partner_type"), query("tier"), query("tag"));
    let found = finds("$2", &["name", "organisation_id"]);
    let rows = context
        .connection
        .query(
            &format!(
                "SELECT organisation_id FROM registered_organisations o
                 WHERE organisation_id < $1 AND {found}
                    AND ($3 = '' OR partner_type = $3) AND ($4 = '' OR tier = $4)
                    AND ($5 = '' OR EXISTS (SELECT 1 FROM organisation_tags g
                        WHERE g.organisation_id = o.organisation_id AND g.tag = $5))
                 ORDER BY organisation_id DESC LIMIT $6"
            ),
            params![
                page.before.as_str(),
                page.wanted.as_str(),
                partner_type,
                tier,
                tag.to_lowercase(),
                page.limit_and_one()
            ],
        )
        .await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(find(context, row.parse(0)?).await?);
    }
    Ok(page.page_of(items, |organisation| {
        organisation.organisation_id.to_string()
    }))
}

async fn find(context: &Context, organisation_id: OrganisationId) -> Result<Organisation, Failure> {
    store::find_organisation(&context.connection, organisation_id)
        .await?
        .ok_or_else(Failure::not_found)
}

/// `POST /api/v1/operator/organisations/{organisation_id}/suspension`
pub async fn suspend_organisation(context: &Context) -> Outcome {
    let request: SuspensionRequest = context.json()?;
    let organisation_id = context.path_id("organisation_id")?;
    response::ok(&set_suspension(context, organisation_id, Some(&request.reason)).await?)
}

/// `DELETE /api/v1/operator/organisations/{organisation_id}/suspension`
pub async fn release_organisation(context: &Context) -> Outcome {
    let organisation_id = context.path_id("organisation_id")?;
    response::ok(&set_suspension(context, organisation_id, None).await?)
}

/// Suspends an organisation for a reason, or releases it.
pub async fn set_suspension(
    context: &Context,
    organisation_id: OrganisationId,
    reason: Option<&str>,
) -> Result<Organisation, Failure> {
    let reason: Option<String> = reason.map(|text| text.trim().chars().take(500).collect());
    if reason.as_ref().is_some_and(String::is_empty) {
        return Err(Failure::field(
            "reason",
            "required",
            "Say why: the partner reads it.",
        ));
    }
    let organisation = find(context, organisation_id).await?;
    let (action, mail) = match reason {
        Some(_) => ("organisation.suspended", "organisation-suspended"),
        None => ("organisation.released", "organisation-released"),
    };
    let link = format!(
        "{}/organisations/{organisation_id}",
        context.configuration().public_url
    );
    context
        .connection
        .transaction(async || {
            context
                .connection
                .execute(
                    "UPDATE organisations SET suspended_at = $1, suspension_reason = $2
                     WHERE organisation_id = $3",
                    params![
                        reason.as_ref().map(|_| context.now_ms),
                        reason.clone(),
                        organisation_id
                    ],
                )
                .await?;
            let detail = serde_json::json!({ "reason": reason });
            let object = organisation_id.to_string();
            audit::record(context, Some(organisation_id), action, &object, detail).await?;
            let owners = [MemberRole::Owner];
            for to in
                store::list_member_emails(&context.connection, organisation_id, &owners).await?
            {
                let values = [
                    ("organisation", organisation.name.as_str()),
                    ("reason", reason.as_deref().unwrap_or_default()),
                    ("link", &link),
                ];
                emails::send(context, mail, &to, &values).await?;
            }
            reactions::standing_changed(context, organisation_id).await
        })
        .await?;
    find(context, organisation_id).await
}
