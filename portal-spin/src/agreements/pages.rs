//! Pages of agreements: what is outstanding, reading and accepting, publishing.

use askama::Template;
use shared::ids::AgreementId;

use super::acceptance::{AcceptanceRequest, accept_agreement, authority_in, export_evidence};
use super::model::{Agreement, Kind, State};
use super::publishing::{self, AgreementRequest, VersionRequest};
use super::routes::{StandingView, list_standing};
use super::signing;
use super::store::{self, Acceptance};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::organisations::{MemberRole, store::find_organisation};
use crate::routes::Outcome;
use crate::web::forms::{Form, Shown};
use crate::web::{Failure, Page, response};

async fn page_of(context: &Context, title: &str) -> Result<Page, Failure> {
    let organisation = find_organisation(&context.connection, context.organisation_id()?)
        .await?
        .ok_or_else(Failure::not_found)?;
    Ok(Page::of_organisation(context, title, &organisation.name))
}

#[derive(Template)]
#[template(path = "agreements/templates/agreements.html")]
struct AgreementsPage {
    page: Page,
    base: String,
    items: Vec<StandingView>,
    acceptances: Vec<Acceptance>,
    public_key: String,
}

impl AgreementsPage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }

    fn due(&self, unix_ms: &Option<i64>) -> String {
        unix_ms.map(readable_time).unwrap_or_default()
    }
}

/// `GET /organisations/{organisation_id}/agreements`
pub async fn show_agreements(context: &Context) -> Outcome {
    let organisation_id = context.organisation_id()?;
    let key = signing::signing_key(context.configuration()).ok();
    response::html(&AgreementsPage {
        page: page_of(context, "Agreements").await?,
        base: format!("/organisations/{organisation_id}"),
        items: list_standing(context).await?,
        acceptances: store::list_acceptances(&context.connection, organisation_id).await?,
        public_key: key.as_ref().map(signing::public_key).unwrap_or_default(),
    })
}

#[derive(Template)]
#[template(path = "agreements/templates/agreement.html")]
struct AgreementPage {
    page: Page,
    shown: Shown,
    base: String,
    item: StandingView,
    document: String,
    is_owner: bool,
    is_accepted: bool,
    authority: String,
}

impl AgreementPage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }
}

async fn agreement_page(context: &Context, shown: Shown) -> Result<AgreementPage, Failure> {
    let agreement_id: AgreementId = context.path_id("agreement_id")?;
    let item = list_standing(context)
        .await?
        .into_iter()
        .find(|item| item.agreement_id == agreement_id)
        .ok_or_else(Failure::not_found)?;
    let (_, document) =
        store::find_document(&context.connection, item.version.agreement_version_id)
            .await?
            .ok_or_else(Failure::not_found)?;
    Ok(AgreementPage {
        page: page_of(context, &item.title).await?.named(),
        shown,
        base: format!("/organisations/{}", context.organisation_id()?),
        is_accepted: item.accepted_version == Some(item.version.version),
        is_owner: context.member_role()? == MemberRole::Owner,
        authority: authority_in(&item.version.locale),
        item,
        document,
    })
}

/// `GET …/agreements/{agreement_id}`
pub async fn show_agreement(context: &Context) -> Outcome {
    response::html(&agreement_page(context, Shown::default()).await?)
}

/// `POST …/agreements/{agreement_id}`
pub async fn accept(context: &Context) -> Outcome {
    let form = context.form();
    let outcome = if form.is_ticked("accept") {
        let request = AcceptanceRequest {
            agreement_version_id: form.text("agreement_version_id"),
            has_authority: form.is_ticked("has_authority"),
            stated_role: form.text("stated_role"),
            document_sha256: Some(form.text("document_sha256")),
        };
        accept_agreement(context, &request, "page").await
    } else {
        Err(Failure::field(
            "accept",
            "not_ticked",
            "Tick the box if you accept the document.",
        ))
    };
    match outcome {
        Ok(_) => {
            let organisation_id = context.organisation_id()?;
            Ok(response::see_other(&format!(
                "/organisations/{organisation_id}/agreements?done=accepted"
            )))
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &agreement_page(context, shown).await?)
        }
    }
}

/// `GET …/acceptances/{acceptance_id}/evidence`
pub async fn download_evidence(context: &Context) -> Outcome {
    let acceptance_id = context.path_id("acceptance_id")?;
    let file = export_evidence(context, acceptance_id).await?;
    Ok(response::download(
        "application/json",
        &format!("{acceptance_id}.evidence.json"),
        file,
    ))
}

#[derive(Template)]
#[template(path = "agreements/templates/operator_agreements.html")]
struct OperatorPage {
    page: Page,
    shown: Shown,
    agreements: Vec<Agreement>,
    kinds: &'static [Kind],
}

impl OperatorPage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }
}

/// `GET /operator/agreements`
pub async fn show_all_agreements(context: &Context) -> Outcome {
    response::html(&OperatorPage {
        page: Page::new(context, "Agreements"),
        shown: Shown::default(),
        agreements: store::list_agreements(&context.connection).await?,
        kinds: Kind::ANY,
    })
}

async fn after(context: &Context, form: Form, outcome: Result<(), Failure>, done: &str) -> Outcome {
    match outcome {
        Ok(()) => Ok(response::see_other(&format!(
            "/operator/agreements?done={done}"
        ))),
        Err(failure) if failure.status == http::StatusCode::NOT_FOUND => Err(failure),
        Err(mut failure) => {
            let status = failure.status;
            // The version forms stand many times on the page: their errors go on top.
            if !failure.errors.iter().any(|error| error.field == "title") {
                failure.errors.clear();
            }
            let page = OperatorPage {
                page: Page::new(context, "Agreements"),
                shown: Shown::again(form, failure)?,
                agreements: store::list_agreements(&context.connection).await?,
                kinds: Kind::ANY,
            };
            response::html_with(status, &page)
        }
    }
}

/// `POST /operator/agreements`
pub async fn create_agreement(context: &Context) -> Outcome {
    let form = context.form();
    let request = AgreementRequest {
        title: form.text("title"),
        kind: form.raw("kind").parse().unwrap_or(Kind::Other),
        product_ids: None,
    };
    let outcome = publishing::create_agreement(context, &request)
        .await
        .map(|_| ());
    after(context, form, outcome, "saved").await
}

/// `POST /operator/agreements/{agreement_id}/versions`
pub async fn publish_version(context: &Context) -> Outcome {
    let form = context.form();
    let grace_days = form.text("grace_days");
    let outcome = match grace_days.parse() {
        Ok(grace_days) => {
            let request = VersionRequest {
                label: form.text("label"),
                markdown: form.raw("markdown").to_owned(),
                locale: None,
                is_material: form.is_ticked("is_material"),
                effective_at: None,
                grace_days,
                sentence: None,
            };
            let agreement_id = context.path_id("agreement_id")?;
            publishing::publish_version(context, agreement_id, &request)
                .await
                .map(|_| ())
        }
        Err(_) => Err(Failure::field(
            "grace_days",
            "not_a_number",
            "Give the grace period in days.",
        )),
    };
    after(context, form, outcome, "published").await
}
