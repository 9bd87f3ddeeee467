//! `/operator/partners`: organisations with their type, tier and tags; and `/join`, where an invitation
//! to the programme leads.

use askama::Template;

use super::attributes::list_tags;
use super::joining::{JoinBody, find_offer, join};
use super::kinds::{PartnerType, Tier, partner_types, tiers};
use crate::context::Context;
use crate::organisations::OperatorRole;
use crate::organisations::operator::search_organisations;
use crate::organisations::sessions::ABSOLUTE_LIMIT_MS;
use crate::organisations::store::Organisation;
use crate::routes::{MANAGERS, Outcome};
use crate::web::bulk::Report;
use crate::web::forms::Shown;
use crate::web::listed::Listed;
use crate::web::{Failure, Page, cookies, response};

struct PartnerRow {
    organisation: Organisation,
    tags: String,
}

#[derive(Template)]
#[template(path = "partners/templates/partners.html")]
pub(super) struct PartnersPage {
    page: Page,
    shown: Shown,
    rows: Vec<PartnerRow>,
    types: Vec<PartnerType>,
    tiers: Vec<Tier>,
    q: String,
    partner_type: String,
    tier: String,
    tag: String,
    listed: Listed,
    report: Option<Report>,
    may_change: bool,
}

pub(super) async fn partners_page(
    context: &Context,
    shown: Shown,
    report: Option<Report>,
) -> Result<PartnersPage, Failure> {
    let connection = &context.connection;
    let query = |name: &str| context.query(name).unwrap_or_default();
    let found = search_organisations(context).await?;
    let mut rows = Vec::with_capacity(found.items.len());
    for organisation in found.items {
        let tags = list_tags(connection, organisation.organisation_id).await?;
        rows.push(PartnerRow {
            organisation,
            tags: tags.join(" "),
        });
    }
    Ok(PartnersPage {
        page: Page::new(context, "Partners"),
        may_change: OperatorRole::any_of(&context.person()?.operator_roles, MANAGERS),
        report,
        shown,
        rows,
        types: partner_types(connection).await?,
        tiers: tiers(connection).await?,
        q: query("q"),
        partner_type: query("partner_type"),
        tier: query("tier"),
        tag: query("tag"),
        listed: Listed::of(
            context,
            "/operator/partners",
            "/operator/organisations",
            found.next_cursor.as_deref(),
        ),
    })
}

/// `GET /operator/partners?q=&partner_type=&tier=&tag=`
pub async fn show_partners(context: &Context) -> Outcome {
    response::html(&partners_page(context, Shown::default(), None).await?)
}

#[derive(Template)]
#[template(path = "partners/templates/join.html")]
struct JoinPage {
    page: Page,
    shown: Shown,
    email: String,
    token: String,
    next: String,
    needs_log_in: bool,
    needs_account: bool,
}

async fn join_page(
    context: &Context,
    token: &str,
    shown: Option<Shown>,
) -> Result<JoinPage, Failure> {
    let offer = find_offer(context, token).await?;
    let signed_in = context.person_optional().map(|person| person.person_id);
    let programme = context.configuration().get("programme_name").to_owned();
    let next = format!("/join?token={token}");
    Ok(JoinPage {
        page: Page::new(context, &format!("Join {programme}")),
        shown: shown.unwrap_or_else(|| {
            Shown::with_values(&[("organisation_name", offer.organisation_name.as_str())])
        }),
        needs_log_in: offer.person_id.is_some() && offer.person_id != signed_in,
        needs_account: offer.person_id.is_none(),
        email: offer.email,
        token: token.to_owned(),
        next: form_urlencoded::byte_serialize(next.as_bytes()).collect(),
    })
}

/// `GET /join?token=`
pub async fn show_join(context: &Context) -> Outcome {
    let token = context.query("token").unwrap_or_default();
    match join_page(context, &token, None).await {
        Ok(page) => response::html(&page),
        // A second click on the link, later.
        Err(failure) if failure.code == "already_joined" && context.person_optional().is_some() => {
            Ok(response::see_other("/organisations"))
        }
        Err(failure) => Err(failure),
    }
}

/// `POST /join`
pub async fn submit_join(context: &Context) -> Outcome {
    let form = context.form();
    let body = JoinBody {
        token: form.text("token"),
        organisation_name: form.text("organisation_name"),
        name: form.text("name"),
        password: form.raw("password").to_owned(),
    };
    match join(context, &body).await {
        Ok(joined) => {
            let path = format!("/organisations/{}", joined.organisation_id);
            let mut answer = response::see_other(&path);
            if let Some(token) = joined.session_token {
                let configuration = context.configuration();
                cookies::set_session(&mut answer, configuration, &token, ABSOLUTE_LIMIT_MS / 1000);
            }
            Ok(answer)
        }
        Err(failure) if matches!(failure.code.as_str(), "link_expired" | "already_joined") => {
            Err(failure)
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &join_page(context, &body.token, Some(shown)).await?)
        }
    }
}
