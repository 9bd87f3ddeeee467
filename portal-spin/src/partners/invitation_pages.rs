//! `/operator/invitations`: inviting many at once, and what became of each.

use askama::Template;

use super::invitations::{
    ProgrammeInvitation, ProgrammeInvitationsBody, RowResult, invite_all, programme_invitations,
    withdraw,
};
use super::kinds::{PartnerType, Tier, partner_types, tiers};
use crate::catalogue;
use crate::context::Context;
use crate::encoding::readable_time;
use crate::routes::Outcome;
use crate::web::forms::Shown;
use crate::web::listed::Listed;
use crate::web::{Failure, Page, response};

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
    let path = "/operator/invitations";
    let listed = Listed::of(context, path, path, found.next_cursor.as_deref());
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
    withdraw(context).await?;
    Ok(response::see_other("/operator/invitations?done=removed"))
}
