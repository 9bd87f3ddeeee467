//! The JSON API of agreements.

use schemars::JsonSchema;
use serde::Serialize;
use shared::ids::{AgreementId, AgreementVersionId, ProductId};

use super::acceptance::{AcceptanceRequest, accept_agreement, export_evidence};
use super::model::{Agreement, Kind, State, Version};
use super::publishing::{self, AgreementRequest, VersionRequest};
use super::{signing, store};
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, whole};
use crate::web::{Failure, response};

/// A document as the public sees it: its newest version.
#[derive(Serialize, JsonSchema)]
pub struct AgreementView {
    /// The id.
    #[schemars(with = "String")]
    pub agreement_id: AgreementId,
    /// The title.
    pub title: String,
    /// What it is about.
    pub kind: Kind,
    /// The products that need it; null where all do.
    #[schemars(with = "Option<Vec<String>>")]
    pub product_ids: Option<Vec<ProductId>>,
    /// Published versions, oldest first.
    pub versions: Vec<Version>,
}

/// Agreements.
pub type AgreementList = PageOf<AgreementView>;

/// What an organisation has and has not accepted.
#[derive(Serialize, JsonSchema)]
pub struct StandingView {
    /// The agreement.
    #[schemars(with = "String")]
    pub agreement_id: AgreementId,
    /// The title.
    pub title: String,
    /// What it is about.
    pub kind: Kind,
    /// The products that need it; null where all do.
    #[schemars(with = "Option<Vec<String>>")]
    pub product_ids: Option<Vec<ProductId>>,
    /// Where the organisation stands.
    pub state: State,
    /// By when it must accept, if it is due.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub due_at: Option<i64>,
    /// The newest version accepted.
    pub accepted_version: Option<u32>,
    /// The version to accept: the newest.
    pub version: Version,
    /// Where the document's exact bytes are.
    pub document: String,
}

/// Standing with every agreement.
#[derive(Serialize, JsonSchema)]
pub struct StandingList {
    /// In the order in which the documents were made.
    pub items: Vec<StandingView>,
    /// How many still need to be accepted, now or by a date.
    pub outstanding: usize,
    /// Send as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A new acceptance.
#[derive(Serialize, JsonSchema)]
pub struct AcceptanceAnswer {
    /// The id.
    pub acceptance_id: String,
    /// Where its evidence file is.
    pub evidence: String,
}

/// The key that evidence is checked with.
#[derive(Serialize, JsonSchema)]
pub struct EvidenceKey {
    /// `Ed25519`.
    pub algorithm: &'static str,
    /// 64 hexadecimal digits.
    pub public_key: String,
}

/// Acceptances.
pub type AcceptanceList = PageOf<store::Acceptance>;

/// A new document's id.
#[derive(Serialize, JsonSchema)]
pub struct AgreementCreated {
    /// The id.
    pub agreement_id: String,
}

fn view(agreement: Agreement) -> AgreementView {
    AgreementView {
        agreement_id: agreement.agreement_id,
        title: agreement.title,
        kind: agreement.kind,
        product_ids: agreement.products,
        versions: agreement.versions,
    }
}

/// `GET /api/v1/agreements`: what anyone may read before signing up.
pub async fn list_agreements(context: &Context) -> Outcome {
    let items = store::list_agreements(&context.connection)
        .await?
        .into_iter()
        .filter(|agreement| !agreement.versions.is_empty())
        .map(view)
        .collect();
    response::ok(&whole(context, items, |item: &AgreementView| {
        item.agreement_id.to_string()
    })?)
}

/// `GET /api/v1/agreement-versions/{agreement_version_id}/document`: the exact bytes.
pub async fn get_document(context: &Context) -> Outcome {
    let id: AgreementVersionId = context.path_id("agreement_version_id")?;
    let (_, document) = store::find_document(&context.connection, id)
        .await?
        .ok_or_else(Failure::not_found)?;
    Ok(response::with_body(
        http::StatusCode::OK,
        "text/html; charset=utf-8",
        document,
    ))
}

/// `GET /api/v1/evidence-key`
pub async fn get_evidence_key(context: &Context) -> Outcome {
    let key = signing::signing_key(context.configuration())?;
    response::ok(&EvidenceKey {
        algorithm: "Ed25519",
        public_key: signing::public_key(&key),
    })
}

/// Where the organisation of the route stands.
pub async fn list_standing(context: &Context) -> Result<Vec<StandingView>, Failure> {
    let organisation_id = context.organisation_id()?;
    let accepted = store::list_accepted_versions(&context.connection, organisation_id).await?;
    let agreements = store::list_agreements(&context.connection).await?;
    let views = agreements.into_iter().filter_map(|agreement| {
        let newest = agreement.newest()?.clone();
        let accepted_version = accepted
            .iter()
            .find(|accepted| accepted.agreement == agreement.agreement_id)
            .map(|accepted| accepted.version);
        let standing = agreement.standing(accepted_version.unwrap_or(0), context.now_ms);
        Some(StandingView {
            agreement_id: agreement.agreement_id,
            title: agreement.title,
            kind: agreement.kind,
            product_ids: agreement.products,
            state: standing.state,
            due_at: standing.due_at,
            accepted_version,
            document: format!(
                "/api/v1/agreement-versions/{}/document",
                newest.agreement_version_id
            ),
            version: newest,
        })
    });
    Ok(views.collect())
}

/// `GET /api/v1/organisations/{organisation_id}/agreements`
pub async fn list_organisation_agreements(context: &Context) -> Outcome {
    let items = list_standing(context).await?;
    let outstanding = items
        .iter()
        .filter(|item| matches!(item.state, State::Required | State::Due))
        .count();
    let page = whole(context, items, |item| item.agreement_id.to_string())?;
    response::ok(&StandingList {
        items: page.items,
        outstanding,
        next_cursor: page.next_cursor,
    })
}

/// `POST …/acceptances`
pub async fn create_acceptance(context: &Context) -> Outcome {
    let request: AcceptanceRequest = context.json()?;
    let acceptance_id = accept_agreement(context, &request, "api").await?;
    let organisation_id = context.organisation_id()?;
    response::created(&AcceptanceAnswer {
        acceptance_id: acceptance_id.to_string(),
        evidence: format!(
            "/api/v1/organisations/{organisation_id}/acceptances/{acceptance_id}/evidence"
        ),
    })
}

/// `GET …/acceptances`
pub async fn list_acceptances(context: &Context) -> Outcome {
    let items = store::list_acceptances(&context.connection, context.organisation_id()?).await?;
    response::ok(&whole(context, items, |item| {
        item.acceptance_id.to_string()
    })?)
}

/// `GET …/acceptances/{acceptance_id}/evidence`
pub async fn get_evidence(context: &Context) -> Outcome {
    let acceptance_id = context.path_id("acceptance_id")?;
    let file = export_evidence(context, acceptance_id).await?;
    Ok(response::download(
        "application/json",
        &format!("{acceptance_id}.evidence.json"),
        file,
    ))
}

/// `GET /api/v1/operator/agreements`
pub async fn list_all_agreements(context: &Context) -> Outcome {
    let items = store::list_agreements(&context.connection)
        .await?
        .into_iter()
        .map(view)
        .collect();
    response::ok(&whole(context, items, |item: &AgreementView| {
        item.agreement_id.to_string()
    })?)
}

/// `POST /api/v1/operator/agreements`
pub async fn create_agreement(context: &Context) -> Outcome {
    let request: AgreementRequest = context.json()?;
    let agreement_id = publishing::create_agreement(context, &request).await?;
    response::created(&AgreementCreated {
        agreement_id: agreement_id.to_string(),
    })
}

/// `POST /api/v1/operator/agreements/{agreement_id}/versions`
pub async fn publish_version(context: &Context) -> Outcome {
    let request: VersionRequest = context.json()?;
    let agreement_id = context.path_id("agreement_id")?;
    response::created(&publishing::publish_version(context, agreement_id, &request).await?)
}

/// The acceptance chain as JSON lines: `{"record": …, "hash": …, "signature": …}`.
pub async fn export_acceptances(context: &Context) -> Outcome {
    let rows = context
        .connection
        .query(
            "SELECT record, hash, signature FROM acceptances ORDER BY position",
            vec![],
        )
        .await?;
    let mut lines = String::new();
    for row in rows {
        let (hash, signature): (Vec<u8>, Vec<u8>) = (row.get(1)?, row.get(2)?);
        let line = serde_json::json!({
            "record": row.get::<String>(0)?,
            "hash": crate::encoding::hex(&hash),
            "signature": crate::encoding::hex(&signature),
        });
        lines.push_str(&format!("{line}\n"));
    }
    Ok(response::download(
        "application/jsonl",
        "acceptances.jsonl",
        lines,
    ))
}
