//! The operator's invitations to the programme, many at once: pasted addresses or a CSV file, with type,
//! tier, tags and plan preset. Each row has its own result, and a bad row costs no other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{InvitationId, PlanId};

use super::attributes::{check_partner_type, check_tier, clean_tags};
use super::rows::{InvitedRow, read_rows};
use crate::audit;
use crate::catalogue;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails;
use crate::encoding::base64url;
use crate::organisations::{normalise_email, sessions::hash_token};
use crate::params;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, PageRequest, finds};
use crate::web::{Failure, response};

const LIFETIME_MS: i64 = 30 * 24 * 60 * 60 * 1000;
const MOST_ROWS: usize = 1000;

/// Whom to invite, and what they find preset.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProgrammeInvitationsBody {
    /// Addresses separated by line ends, commas, semicolons or spaces; or CSV whose first line names
    /// the columns: `email`, and any of `organisation`, `partner_type`, `tier`, `tags`, `plan_id`. A
    /// filled cell wins over the fields below.
    pub rows: String,
    /// The partner type; without, the default one.
    #[serde(default)]
    pub partner_type: String,
    /// The tier; without, the default one.
    #[serde(default)]
    pub tier: String,
    /// Tags, such as the name of a pilot cohort.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The plan that the organisation's first app begins on; without, each product's default.
    #[serde(default)]
    pub plan_id: String,
}

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RowResult {
    /// The row's line, from 1.
    pub line: usize,
    /// The address, as read.
    pub email: String,
    /// `invited`, `already_invited`, `repeated`, `invalid` or `failed`.
    pub outcome: &'static str,
    /// What to do, where it was not invited.
    pub detail: String,
    /// The invitation.
    pub programme_invitation_id: Option<String>,
}

/// What became of every row.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RowResults {
    /// How many e-mails are on their way.
    pub invited: usize,
    /// In the order given.
    pub rows: Vec<RowResult>,
}

/// An invitation to the programme.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProgrammeInvitation {
    /// Names it.
    pub programme_invitation_id: String,
    /// To whom.
    pub email: String,
    /// What the organisation may be called.
    pub organisation_name: String,
    /// The type it gets.
    pub partner_type: String,
    /// The tier it gets.
    pub tier: String,
    /// The tags it gets.
    pub tags: Vec<String>,
    /// The plan its first app begins on.
    pub plan_id: Option<String>,
    /// `open`, `accepted`, `expired` or `revoked`.
    pub state: String,
    /// Until when.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub expires_at: i64,
    /// The organisation that came of it.
    pub organisation_id: Option<String>,
}

/// Invitations, newest first.
pub type ProgrammeInvitationList = PageOf<ProgrammeInvitation>;

/// `POST /api/v1/operator/invitations`
pub async fn invite_partners(context: &Context) -> Outcome {
    let body: ProgrammeInvitationsBody = context.json()?;
    response::ok(&invite_all(context, &body).await?)
}

/// Invites every row that can be.
pub async fn invite_all(
    context: &Context,
    body: &ProgrammeInvitationsBody,
) -> Result<RowResults, Failure> {
    let rows =
        read_rows(&body.rows).map_err(|detail| Failure::field("rows", "malformed", detail))?;
    if rows.is_empty() {
        return Err(Failure::field(
            "rows",
            "required",
            "Give at least one address.",
        ));
    }
    if rows.len() > MOST_ROWS {
        return Err(Failure::field(
            "rows",
            "too_many",
            format!(
                "Give at most {MOST_ROWS} rows at once; these are {}.",
                rows.len()
            ),
        ));
    }
    // A preset that is wrong for all is a fault of the request, not of every row.
    let empty = InvitedRow::default();
    let _ = preset_of(context, &empty, body).await?;
    let mut results: Vec<RowResult> = Vec::with_capacity(rows.len());
    for row in &rows {
        let is_repeated = results
            .iter()
            .any(|known| known.email == row.email.to_lowercase());
        let mut result = RowResult {
            line: row.line,
            email: row.email.to_lowercase(),
            outcome: "repeated",
            detail: "The address stands in an earlier row.".to_owned(),
            programme_invitation_id: None,
        };
        if !is_repeated {
            match invite_row(context, row, body).await {
                Ok((outcome, id)) => {
                    result.outcome = outcome;
                    result.detail = match outcome {
                        "already_invited" => {
                            "An invitation to this address is open. Revoke it to send another."
                        }
                        _ => "",
                    }
                    .to_owned();
                    result.programme_invitation_id = Some(id);
                }
                Err(failure) if failure.status.is_server_error() => {
                    result.outcome = "failed";
                    result.detail =
                        "The portal could not store this row. Send it again.".to_owned();
                }
                Err(failure) => {
                    result.outcome = "invalid";
                    result.detail = failure.errors.first().map_or(failure.detail, |error| {
                        format!("{}: {}", error.field, error.detail)
                    });
                }
            }
        }
        results.push(result);
    }
    Ok(RowResults {
        invited: results
            .iter()
            .filter(|row| row.outcome == "invited")
            .count(),
        rows: results,
    })
}

/// What an invitation presets.
struct Preset {
    partner_type: String,
    tier: String,
    tags: Vec<String>,
    plan_id: Option<PlanId>,
}

async fn preset_of(
    context: &Context,
    row: &InvitedRow,
    body: &ProgrammeInvitationsBody,
) -> Result<Preset, Failure> {
    let first =
        |own: &str, common: &str| if own.is_empty() { common.trim() } else { own }.to_owned();
    let connection = &context.connection;
    let mut partner_type = first(&row.partner_type, &body.partner_type);
    if partner_type.is_empty() {
        partner_type = connection
            .query_one(
                "SELECT partner_type FROM partner_types WHERE is_default = 1",
                vec![],
            )
            .await?
            .get(0)?;
    }
    check_partner_type(context, &partner_type).await?;
    let mut tier = first(&row.tier, &body.tier);
    if tier.is_empty() {
        tier = connection
            .query_one("SELECT tier FROM tiers WHERE is_default = 1", vec![])
            .await?
            .get(0)?;
    }
    check_tier(context, &tier).await?;
    let tags = clean_tags(
        row.tags
            .split([' ', ';', ','])
            .chain(body.tags.iter().map(String::as_str)),
    )?;
    let plan_id = match first(&row.plan_id, &body.plan_id).as_str() {
        "" => None,
        text => Some(check_plan(context, text, &partner_type).await?),
    };
    Ok(Preset {
        partner_type,
        tier,
        tags,
        plan_id,
    })
}

async fn check_plan(context: &Context, text: &str, partner_type: &str) -> Result<PlanId, Failure> {
    let connection = &context.connection;
    let unknown = || {
        Failure::field(
            "plan_id",
            "unknown_value",
            format!("`{text}` is no published plan that everyone of its type may get."),
        )
    };
    let plan_id: PlanId = text.parse().map_err(|_| unknown())?;
    let plan = catalogue::find_plan(connection, plan_id)
        .await?
        .filter(|plan| plan.is_offered_to(None))
        .ok_or_else(unknown)?;
    let column = super::reach::of_type(connection, partner_type).await?;
    if column.opens_plan_of(&plan) {
        return Ok(plan_id);
    }
    Err(Failure::field(
        "plan_id",
        "closed_plan",
        format!("The matrix closes this plan to the type `{partner_type}`."),
    ))
}

async fn invite_row(
    context: &Context,
    row: &InvitedRow,
    body: &ProgrammeInvitationsBody,
) -> Result<(&'static str, String), Failure> {
    let email = normalise_email(&row.email).ok_or_else(|| {
        Failure::field(
            "email",
            "invalid_email",
            "Give an address like ada@example.com.",
        )
    })?;
    let name: String = row.organisation_name.chars().take(100).collect();
    if name.chars().any(char::is_control) {
        return Err(Failure::field(
            "organisation",
            "invalid_text",
            "Use one line of plain text.",
        ));
    }
    let preset = preset_of(context, row, body).await?;
    let connection = &context.connection;
    connection
        .transaction(async || {
            let open = connection
                .query_optional(
                    "SELECT programme_invitation_id FROM programme_invitations
                     WHERE email = $1 AND accepted_at_ms IS NULL AND revoked_at_ms IS NULL
                        AND expires_at_ms > $2 ORDER BY programme_invitation_id DESC LIMIT 1",
                    params![email.as_str(), context.now_ms],
                )
                .await?;
            if let Some(open) = open {
                return Ok(("already_invited", open.get(0)?));
            }
            let id = insert_and_send(context, &email, &name, &preset).await?;
            Ok::<_, Failure>(("invited", id))
        })
        .await
}

async fn insert_and_send(
    context: &Context,
    email: &str,
    organisation_name: &str,
    preset: &Preset,
) -> Result<String, DatabaseError> {
    let token = base64url(&context.random::<32>());
    let id = context.new_id(InvitationId::new).to_string();
    let invited_by = context
        .person_optional()
        .map_or_else(String::new, |person| person.person_id.to_string());
    context
        .connection
        .execute(
            "INSERT INTO programme_invitations (programme_invitation_id, email, organisation_name,
                partner_type, tier, tags, plan_id, token_hash, invited_by, created_at_ms, expires_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            params![
                id.as_str(),
                email,
                organisation_name,
                preset.partner_type.as_str(),
                preset.tier.as_str(),
                preset.tags.join(" "),
                preset.plan_id.map(|id| id.to_string()),
                hash_token(&token),
                invited_by,
                context.now_ms,
                context.now_ms + LIFETIME_MS,
            ],
        )
        .await?;
    let link = format!("{}/join?token={token}", context.configuration().public_url);
    emails::send(context, "programme-invitation", email, &[("link", &link)]).await?;
    let detail = serde_json::json!({
        "email": email, "partner_type": preset.partner_type, "tier": preset.tier, "tags": preset.tags,
    });
    audit::record(context, None, "programme_invitation.sent", &id, detail).await?;
    Ok(id)
}

/// `GET /api/v1/operator/invitations?tag=`
pub async fn list_programme_invitations(context: &Context) -> Outcome {
    response::ok(&programme_invitations(context).await?)
}

/// Invitations as the query of the URL asks.
pub async fn programme_invitations(context: &Context) -> Result<ProgrammeInvitationList, Failure> {
    let page = PageRequest::read(context)?;
    let query = |name: &str| context.query(name).unwrap_or_default();
    let found = finds("$2", &["email", "organisation_name", "tags"]);
    let rows = context
        .connection
        .query(
            &format!(
                "SELECT programme_invitation_id, email, organisation_name, partner_type, tier, tags,
                    plan_id, expires_at_ms, accepted_at_ms, revoked_at_ms, organisation_id
                 FROM programme_invitations WHERE programme_invitation_id < $1 AND {found}
                    AND ($3 = '' OR ' ' || tags || ' ' LIKE '% ' || $3 || ' %')
                    AND ($4 = '' OR partner_type = $4) AND ($5 = '' OR tier = $5)
                    AND ($6 = '' OR $6 = CASE WHEN accepted_at_ms IS NOT NULL THEN 'accepted'
                        WHEN revoked_at_ms IS NOT NULL THEN 'revoked'
                        WHEN expires_at_ms <= $7 THEN 'expired' ELSE 'open' END)
                 ORDER BY programme_invitation_id DESC LIMIT $8"
            ),
            params![
                page.before.as_str(),
                page.wanted.as_str(),
                query("tag").to_lowercase(),
                query("partner_type"),
                query("tier"),
                query("state"),
                context.now_ms,
                page.limit_and_one()
            ],
        )
        .await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let tags: String = row.get(5)?;
        let expires_at: i64 = row.get(7)?;
        let (accepted, revoked): (Option<i64>, Option<i64>) = (row.get(8)?, row.get(9)?);
        let state = match (accepted, revoked) {
            (Some(_), _) => "accepted",
            (None, Some(_)) => "revoked",
            (None, None) if expires_at <= context.now_ms => "expired",
            (None, None) => "open",
        };
        items.push(ProgrammeInvitation {
            programme_invitation_id: row.get(0)?,
            email: row.get(1)?,
            organisation_name: row.get(2)?,
            partner_type: row.get(3)?,
            tier: row.get(4)?,
            tags: tags.split_whitespace().map(str::to_owned).collect(),
            plan_id: row.get(6)?,
            state: state.to_owned(),
            expires_at,
            organisation_id: row.get(10)?,
        });
    }
    Ok(page.page_of(items, |item: &ProgrammeInvitation| {
        item.programme_invitation_id.clone()
    }))
}

/// `DELETE /api/v1/operator/invitations/{programme_invitation_id}`
pub async fn revoke_programme_invitation(context: &Context) -> Outcome {
    withdraw(context, context.path_text("programme_invitation_id")).await?;
    Ok(response::no_content())
}

/// `POST /api/v1/operator/invitations/{programme_invitation_id}/resends`
pub async fn resend_programme_invitation(context: &Context) -> Outcome {
    send_again(context, context.path_text("programme_invitation_id")).await?;
    Ok(response::no_content())
}

/// Whom an invitation is for, and what became of it.
pub(super) async fn find_addressee(context: &Context, id: &str) -> Result<(String, bool), Failure> {
    let sql = "SELECT email, accepted_at_ms FROM programme_invitations
         WHERE programme_invitation_id = $1";
    let found = context.connection.query_optional(sql, params![id]).await?;
    let row = found.ok_or_else(Failure::not_found)?;
    Ok((row.get(0)?, row.get::<Option<i64>>(1)?.is_some()))
}

/// Sends an invitation that was not accepted again: a new link with the same presets, and the old one
/// stops.
pub(super) async fn send_again(context: &Context, id: &str) -> Result<(), Failure> {
    let (email, is_accepted) = find_addressee(context, id).await?;
    if is_accepted {
        return Err(Failure::conflict(
            "already_joined",
            "The invitation was accepted.",
        ));
    }
    let connection = &context.connection;
    connection
        .transaction(async || {
            let sql = "SELECT organisation_name, partner_type, tier, tags, plan_id, revoked_at_ms
                 FROM programme_invitations WHERE programme_invitation_id = $1";
            let row = connection.query_one(sql, params![id]).await?;
            let (name, tags): (String, String) = (row.get(0)?, row.get(3)?);
            let plan_id: Option<String> = row.get(4)?;
            let preset = Preset {
                partner_type: row.get(1)?,
                tier: row.get(2)?,
                tags: tags.split_whitespace().map(str::to_owned).collect(),
                plan_id: plan_id.and_then(|text| text.parse().ok()),
            };
            let others = "SELECT COUNT(*) FROM programme_invitations WHERE email = $1
                 AND programme_invitation_id <> $2 AND accepted_at_ms IS NULL
                 AND revoked_at_ms IS NULL AND expires_at_ms > $3";
            let parameters = params![email.as_str(), id, context.now_ms];
            let open: i64 = connection.query_one(others, parameters).await?.get(0)?;
            if open > 0 {
                return Err(Failure::conflict(
                    "already_invited",
                    "A newer invitation to this address is open.",
                ));
            }
            if row.get::<Option<i64>>(5)?.is_none() {
                revoke(context, id).await?;
            }
            insert_and_send(context, &email, &name, &preset).await?;
            Ok(())
        })
        .await
}

/// Withdraws an open invitation.
pub(super) async fn withdraw(context: &Context, id: &str) -> Result<(), Failure> {
    let connection = &context.connection;
    connection
        .transaction(async || revoke(context, id).await)
        .await
}

/// Stops an invitation's link. Call it inside a transaction.
async fn revoke(context: &Context, id: &str) -> Result<(), Failure> {
    let revoked = context
        .connection
        .execute(
            "UPDATE programme_invitations SET revoked_at_ms = $1
             WHERE programme_invitation_id = $2 AND accepted_at_ms IS NULL AND revoked_at_ms IS NULL",
            params![context.now_ms, id],
        )
        .await?;
    if revoked == 0 {
        return Err(Failure::not_found());
    }
    let detail = serde_json::json!({});
    audit::record(context, None, "programme_invitation.revoked", id, detail).await?;
    Ok(())
}
