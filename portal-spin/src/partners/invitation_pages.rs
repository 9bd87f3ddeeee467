//! `/operator/invitations`: inviting many at once, and what became of each.

use askama::Template;
use schemars::JsonSchema;
use serde::Deserialize;

use super::invitations::{
    ProgrammeInvitation, ProgrammeInvitationsBody, RowResult, find_addressee, invite_all,
    programme_invitations, send_again, withdraw,
};
use super::kinds::{PartnerType, Tier, partner_types, tiers};
use crate::catalogue;
use crate::context::Context;
use crate::encoding::readable_time;
use crate::organisations::OperatorRole;
use crate::routes::{MANAGERS, Outcome};
use crate::web::bulk::{self, Done, Report, Task};
use crate::web::forms::Shown;
use crate::web::listed::Listed;
use crate::web::{Failure, Page, response};

const PATH: &str = "/operator/invitations";

struct InvitationRow {
    invitation: ProgrammeInvitation,
    expires: String,
    tags: String,
}

#[derive(Template)]
#[template(path = "partners/templates/invitations.html")]
struct InvitationsPage {
    page: Page,
    shown: Shown,
    types: Vec<PartnerType>,
    tiers: Vec<Tier>,
    plans: Vec<(String, String)>,
    results: Vec<RowResult>,
    invited: usize,
    invitations: Vec<InvitationRow>,
    listed: Listed,
    report: Option<Report>,
    may_change: bool,
}

async fn invitations_page(
    context: &Context,
    shown: Shown,
    results: Vec<RowResult>,
) -> Result<InvitationsPage, Failure> {
    let connection = &context.connection;
    let mut plans = Vec::new();
    for product in catalogue::list_offered_products(connection).await? {
        for plan in catalogue::list_all_plans(connection, product.id).await? {
            if plan.is_offered_to(None) {
                let label = format!("{}: {}", product.name, plan.name);
                plans.push((plan.id.to_string(), label));
            }
        }
    }
    let found = programme_invitations(context).await?;
    let listed = Listed::of(context, PATH, PATH, found.next_cursor.as_deref());
    let invitations = found
        .items
        .into_iter()
        .map(|invitation| InvitationRow {
            expires: readable_time(invitation.expires_at),
            tags: invitation.tags.join(" "),
            invitation,
        })
        .collect();
    let invited = results
        .iter()
        .filter(|row| row.outcome == "invited")
        .count();
    Ok(InvitationsPage {
        page: Page::new(context, "Invitations"),
        shown,
        types: partner_types(connection).await?,
        tiers: tiers(connection).await?,
        plans,
        report: None,
        may_change: OperatorRole::any_of(&context.person()?.operator_roles, MANAGERS),
        results,
        invited,
        invitations,
        listed,
    })
}

/// `GET /operator/invitations?tag=`
pub async fn show_programme_invitations(context: &Context) -> Outcome {
    response::html(&invitations_page(context, Shown::default(), Vec::new()).await?)
}

/// `POST /operator/invitations`: answers the page with each row's result.
pub async fn submit_programme_invitations(context: &Context) -> Outcome {
    let form = context.form();
    let mut rows = form.raw("file").to_owned();
    if rows.trim().is_empty() {
        rows = form.raw("rows").to_owned();
    }
    let body = ProgrammeInvitationsBody {
        rows,
        partner_type: form.text("partner_type"),
        tier: form.text("tier"),
        tags: form
            .text("tags")
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        plan_id: form.text("plan_id"),
    };
    match invite_all(context, &body).await {
        Ok(done) => {
            let page = invitations_page(context, Shown::default(), done.rows).await?;
            response::html(&page)
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &invitations_page(context, shown, Vec::new()).await?)
        }
    }
}

/// `POST /operator/invitations/{programme_invitation_id}/revoke`
pub async fn submit_programme_invitation_revocation(context: &Context) -> Outcome {
    withdraw(context, context.path_text("programme_invitation_id")).await?;
    Ok(response::see_other("/operator/invitations?done=removed"))
}

/// What is done to several invitations.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationChangesBody {
    /// The invitations, at most 100.
    pub programme_invitation_ids: Vec<String>,
    /// `revoke`, or `send_again`: a new link with the same presets, and the old one stops.
    pub action: String,
}

async fn change_each(context: &Context, tasks: &[Task<String>]) -> Report {
    bulk::run(context, tasks, PATH, async |id, action: &String| {
        let (email, is_accepted) = find_addressee(context, id).await?;
        match action.as_str() {
            "send_again" => send_again(context, id).await?,
            _ if is_accepted => {
                let detail = "The invitation was accepted.";
                return Err(Failure::conflict("already_joined", detail));
            }
            _ => withdraw(context, id).await.map_err(|failure| {
                if failure.status == http::StatusCode::NOT_FOUND {
                    bulk::no_change()
                } else {
                    failure
                }
            })?,
        }
        Ok(Done::for_good(email))
    })
    .await
}

fn check(action: &str) -> Result<String, Failure> {
    if !matches!(action, "revoke" | "send_again") {
        let detail = "Give `revoke` or `send_again`.";
        return Err(Failure::field("action", "unknown_value", detail));
    }
    Ok(action.to_owned())
}

/// `POST /api/v1/operator/invitation-changes`
pub async fn change_programme_invitations(context: &Context) -> Outcome {
    let body: InvitationChangesBody = context.json()?;
    let action = check(&body.action)?;
    let tasks = bulk::tasks_of(&body.programme_invitation_ids, &action)?;
    response::ok(&change_each(context, &tasks).await.told)
}

/// `POST /operator/invitation-changes`
pub async fn submit_programme_invitation_changes(context: &Context) -> Outcome {
    let form = context.form();
    match bulk::tasks_of_form(&form, |form| check(&form.text("action"))) {
        Ok(tasks) => {
            let report = change_each(context, &tasks).await;
            let page = invitations_page(context, Shown::default(), Vec::new()).await?;
            response::html(&InvitationsPage {
                report: Some(report),
                ..page
            })
        }
        Err(failure) => {
            let status = failure.status;
            let shown = bulk::refused(form, failure)?;
            response::html_with(status, &invitations_page(context, shown, Vec::new()).await?)
        }
    }
}
