//! Joining the programme by the operator's invitation, and what it presets.

use schemars::JsonSchema;
use serde::Deserialize;
use shared::ids::{OrganisationId, PersonId, PlanId};

use super::attributes::write_tags;
use crate::audit;
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row};
use crate::organisations::sessions::{hash_token, start_session};
use crate::organisations::verification::{NewAccount, open_account};
use crate::organisations::{Faults, MemberRole, log_in, passwords, store};
use crate::params;
use crate::reactions;
use crate::routes::Outcome;
use crate::web::{Failure, response};

/// Taking up an invitation to the programme.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinBody {
    /// From the link.
    pub token: String,
    /// The organisation's name.
    pub organisation_name: String,
    /// For an address without an account.
    #[serde(default)]
    pub name: String,
    /// For an address without an account.
    #[serde(default)]
    pub password: String,
}

/// What a link invites to.
pub struct JoinOffer {
    id: String,
    /// To whom it went.
    pub email: String,
    /// What the organisation may be called.
    pub organisation_name: String,
    /// The address's account, if it has one.
    pub person_id: Option<PersonId>,
}

/// The new partner.
pub struct Joined {
    /// The person.
    pub person_id: PersonId,
    /// Their organisation.
    pub organisation_id: OrganisationId,
    /// For a new account, its first session.
    pub session_token: Option<String>,
}

/// What a link invites to. Used up is told apart from too old: who joined already logs in.
pub async fn find_offer(context: &Context, token: &str) -> Result<JoinOffer, Failure> {
    let gone = || {
        Failure::new(
            http::StatusCode::GONE,
            "link_expired",
            "This invitation was withdrawn or is too old. Ask for a new one, or create an account yourself.",
        )
    };
    let row = context
        .connection
        .query_optional(
            "SELECT i.programme_invitation_id, i.email, i.organisation_name, i.accepted_at_ms, p.person_id
             FROM programme_invitations i LEFT JOIN people p ON p.email = i.email
             WHERE i.token_hash = $1 AND i.revoked_at_ms IS NULL
                AND (i.expires_at_ms > $2 OR i.accepted_at_ms IS NOT NULL)",
            params![hash_token(token), context.now_ms],
        )
        .await?
        .ok_or_else(gone)?;
    if row.get::<Option<i64>>(3)?.is_some() {
        return Err(already_joined());
    }
    Ok(JoinOffer {
        id: row.get(0)?,
        email: row.get(1)?,
        organisation_name: row.get(2)?,
        person_id: row.parse_optional(4)?,
    })
}

fn already_joined() -> Failure {
    Failure::conflict(
        "already_joined",
        "This invitation was taken up. Log in to go on.",
    )
}

/// Joins: makes the organisation with what the invitation presets and, where the address has none, the
/// account. Opening the link has proved the address.
pub async fn join(context: &Context, body: &JoinBody) -> Result<Joined, Failure> {
    let offer = find_offer(context, &body.token).await?;
    let signed_in = context.person_optional().map(|person| person.person_id);
    if offer.person_id.is_some() && offer.person_id != signed_in {
        return Err(Failure::conflict(
            "log_in_first",
            format!("Log in as {} first, then open the link again.", offer.email),
        ));
    }
    let mut faults = Faults::default();
    let organisation_name = faults.name("organisation_name", &body.organisation_name);
    let name = match body.name.trim() {
        "" => offer.email.split('@').next().unwrap_or_default().to_owned(),
        name => faults.name("name", name),
    };
    if offer.person_id.is_none() {
        let own_words = [offer.email.as_str(), organisation_name.as_str()];
        faults.password("password", &body.password, &own_words);
    }
    faults.check()?;
    let password_hash = match offer.person_id {
        None => passwords::hash_new_password(context, &body.password).await?,
        Some(_) => String::new(),
    };
    let connection = &context.connection;
    connection
        .transaction(async || {
            let is_open = connection
                .query_optional(
                    "SELECT 1 FROM programme_invitations WHERE programme_invitation_id = $1
                        AND accepted_at_ms IS NULL AND revoked_at_ms IS NULL",
                    params![offer.id.as_str()],
                )
                .await?;
            if is_open.is_none() {
                return Err(already_joined());
            }
            if let Some(person_id) = offer.person_id {
                let organisation_id =
                    store::insert_organisation(context, &organisation_name, "invitation").await?;
                store::insert_member(context, organisation_id, person_id, MemberRole::Owner)
                    .await?;
                claim_invitation(context, &offer.email, organisation_id).await?;
                let detail = serde_json::json!({ "name": organisation_name });
                let object = organisation_id.to_string();
                let owner = Some(organisation_id);
                audit::record(context, owner, "organisation.created", &object, detail).await?;
                reactions::organisation_created(context, organisation_id).await?;
                return Ok(Joined {
                    person_id,
                    organisation_id,
                    session_token: None,
                });
            }
            let account = NewAccount {
                visitor: None,
                email: &offer.email,
                name: &name,
                password_hash: &password_hash,
                organisation_name: &organisation_name,
                source: "invitation",
            };
            let (person_id, organisation_id) = open_account(context, &account).await?;
            let (_, token) = start_session(context, person_id, None).await?;
            Ok(Joined {
                person_id,
                organisation_id,
                session_token: Some(token),
            })
        })
        .await
}

/// `POST /api/v1/programme-invitations/accept`
pub async fn accept_programme_invitation(context: &Context) -> Outcome {
    let body: JoinBody = context.json()?;
    let joined = join(context, &body).await?;
    match joined.session_token {
        Some(token) => {
            response::created(&log_in::session_answer(context, joined.person_id, token).await?)
        }
        None => response::ok(&serde_json::json!({ "organisation_id": joined.organisation_id })),
    }
}

/// Gives a new organisation what the newest open invitation to its owner's address presets, if there is
/// one. Whoever was invited and registers without the link gets it all the same. Call it inside the
/// transaction that makes the organisation.
pub async fn claim_invitation(
    context: &Context,
    email: &str,
    organisation_id: OrganisationId,
) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    let open = connection
        .query_optional(
            "SELECT programme_invitation_id, partner_type, tier, tags, plan_id
             FROM programme_invitations WHERE email = $1 AND accepted_at_ms IS NULL
                AND revoked_at_ms IS NULL AND expires_at_ms > $2
             ORDER BY programme_invitation_id DESC LIMIT 1",
            params![email, context.now_ms],
        )
        .await?;
    match open {
        Some(row) => apply_preset(context, &row, organisation_id).await,
        None => Ok(()),
    }
}

async fn apply_preset(
    context: &Context,
    row: &Row,
    organisation_id: OrganisationId,
) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    let (id, tags): (String, String) = (row.get(0)?, row.get(3)?);
    connection
        .execute(
            "UPDATE organisations SET partner_type = $1, tier = $2 WHERE organisation_id = $3",
            params![
                row.get::<String>(1)?,
                row.get::<String>(2)?,
                organisation_id
            ],
        )
        .await?;
    let tags: Vec<String> = tags.split_whitespace().map(str::to_owned).collect();
    write_tags(connection, organisation_id, &tags).await?;
    if let Some(plan_id) = row.parse_optional::<PlanId>(4)? {
        connection
            .execute(
                "INSERT INTO preset_plans (organisation_id, plan_id) VALUES ($1, $2)",
                params![organisation_id, plan_id],
            )
            .await?;
    }
    connection
        .execute(
            "UPDATE programme_invitations SET accepted_at_ms = $1, organisation_id = $2
             WHERE programme_invitation_id = $3",
            params![context.now_ms, organisation_id, id.as_str()],
        )
        .await?;
    audit::record(
        context,
        Some(organisation_id),
        "programme_invitation.accepted",
        &id,
        serde_json::json!({ "tags": tags }),
    )
    .await
}

/// The plans that apps of an organisation begin on, in place of the products' defaults: its own first, then
/// the one that its tier grants.
pub async fn list_preset_plans(
    connection: &Connection,
    organisation_id: OrganisationId,
) -> Result<Vec<PlanId>, DatabaseError> {
    connection
        .query(
            "SELECT plan_id, 0 FROM preset_plans WHERE organisation_id = $1
             UNION ALL SELECT t.plan_id, 1 FROM organisations o JOIN tiers t ON t.tier = o.tier
                WHERE o.organisation_id = $2 AND t.plan_id IS NOT NULL
             ORDER BY 2, 1",
            params![organisation_id, organisation_id],
        )
        .await?
        .iter()
        .map(|row| row.parse(0))
        .collect()
}
