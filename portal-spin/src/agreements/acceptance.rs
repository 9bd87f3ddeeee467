//! Accepting: one record, hashed over the one before, signed, and never changed.

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use shared::ids::{AcceptanceId, AgreementVersionId, OrganisationId};

use super::evidence::{AcceptanceRecord, Evidence, FILE_FORMAT, RECORD_FORMAT, write_file};
use super::model::{Agreement, Version};
use super::{signing, store};
use crate::context::Context;
use crate::database::next_number;
use crate::encoding::{hex, rfc3339};
use crate::organisations::store::find_organisation;
use crate::web::{Failure, languages};
use crate::{audit, params, reactions};

/// The statement of authority, as printed on the page and in the evidence.
const AUTHORITY: &str = "I have the authority to bind this organisation.";

/// The same in the language of the document: what is shown beside the box is what is recorded.
pub fn authority_in(locale: &str) -> String {
    languages::find(locale)
        .unwrap_or(languages::english())
        .say(AUTHORITY)
}

/// What is accepted, and by what right.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptanceRequest {
    /// The version that was shown.
    pub agreement_version_id: String,
    /// Must be true: "I have the authority to bind this organisation."
    pub has_authority: bool,
    /// The person's role in the company, in their own words.
    #[serde(default)]
    pub stated_role: String,
    /// SHA-256 of the document that was shown. If given, it must be the published one.
    #[serde(default)]
    pub document_sha256: Option<String>,
}

/// Accepts for the organisation of the route. Accepting the same version again answers the first
/// acceptance.
pub async fn accept_agreement(
    context: &Context,
    request: &AcceptanceRequest,
    method: &str,
) -> Result<AcceptanceId, Failure> {
    let organisation_id = context.organisation_id()?;
    let (agreement, version) = find_version(context, &request.agreement_version_id).await?;
    if !request.has_authority {
        return Err(Failure::field(
            "has_authority",
            "authority_missing",
            "Only someone with the authority to bind the organisation can accept. Confirm it, or ask someone who has it.",
        ));
    }
    if request
        .document_sha256
        .as_ref()
        .is_some_and(|shown| *shown != version.document_sha256)
    {
        return Err(Failure::field(
            "document_sha256",
            "other_document",
            "The document shown is not the published one. Load it again.",
        ));
    }
    if agreement
        .newest()
        .is_some_and(|newest| newest.version != version.version)
    {
        return Err(Failure::conflict(
            "superseded_version",
            "A newer version was published meanwhile. Read and accept that one.",
        ));
    }
    let key = signing::signing_key(context.configuration())?;
    let organisation = find_organisation(&context.connection, organisation_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    let connection = &context.connection;
    connection
        .transaction(async || {
            // Two clicks at once: the second waits here and then finds the first.
            connection
                .execute(
                    "UPDATE organisations SET name = name WHERE organisation_id = $1",
                    params![organisation_id],
                )
                .await?;
            if let Some(earlier) = find_earlier(context, organisation_id, &version).await? {
                return Ok(earlier);
            }
            // The sequence's row is the lock under which the chain grows.
            let position = next_number(connection, "acceptances").await?;
            let previous_hash = connection
                .query_optional(
                    "SELECT hash FROM acceptances WHERE position = $1",
                    params![position - 1],
                )
                .await?
                .map(|row| row.get::<Vec<u8>>(0))
                .transpose()?
                .unwrap_or_else(|| vec![0; 32]);
            let person = context.person()?;
            let acceptance_id = context.new_id(AcceptanceId::new);
            let record = AcceptanceRecord {
                format: RECORD_FORMAT.to_owned(),
                position,
                acceptance_id: acceptance_id.to_string(),
                accepted_at: rfc3339(context.now_ms),
                agreement_id: agreement.agreement_id.to_string(),
                agreement_title: agreement.title.clone(),
                agreement_version_id: version.agreement_version_id.to_string(),
                version: version.version,
                label: version.label.clone(),
                locale: version.locale.clone(),
                document_sha256: version.document_sha256.clone(),
                organisation_id: organisation_id.to_string(),
                organisation_name: organisation.name.clone(),
                person_id: person.person_id.to_string(),
                person_name: person.name.clone(),
                person_email: person.email.clone(),
                member_role: context.member_role()?.to_string(),
                stated_role: request.stated_role.trim().chars().take(200).collect(),
                authority: authority_in(&version.locale),
                method: method.to_owned(),
                sentence: version.sentence.clone(),
                address: context.address(),
                user_agent: context.user_agent(),
                session_id: person.session_id.to_string(),
                request_id: context.request_id.clone(),
                previous_hash: hex(&previous_hash),
            };
            let text = serde_json::to_string(&record)
                .map_err(|error| Failure::internal(&error.to_string()))?;
            connection
                .execute(
                    "INSERT INTO acceptances (position, acceptance_id, organisation_id, agreement_id,
                        agreement_version_id, version, person_id, accepted_at, record, hash, signature)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                    params![
                        position,
                        acceptance_id,
                        organisation_id,
                        agreement.agreement_id,
                        version.agreement_version_id,
                        version.version,
                        person.person_id,
                        context.now_ms,
                        text.as_str(),
                        Sha256::digest(text.as_bytes()).to_vec(),
                        signing::sign(&key, text.as_bytes()),
                    ],
                )
                .await?;
            audit::record(
                context,
                Some(organisation_id),
                "agreement.accepted",
                &acceptance_id.to_string(),
                serde_json::json!({
                    "agreement_version_id": version.agreement_version_id,
                    "document_sha256": version.document_sha256,
                }),
            )
            .await?;
            reactions::standing_changed(context, organisation_id).await?;
            Ok(acceptance_id)
        })
        .await
}

/// The evidence file of an acceptance.
pub async fn export_evidence(
    context: &Context,
    acceptance_id: AcceptanceId,
) -> Result<Vec<u8>, Failure> {
    let (record, hash, signature, document) =
        store::find_evidence(&context.connection, acceptance_id)
            .await?
            .ok_or_else(Failure::not_found)?;
    let key = signing::signing_key(context.configuration())?;
    Ok(write_file(&Evidence {
        format: FILE_FORMAT.to_owned(),
        public_key: signing::public_key(&key),
        record,
        hash: hex(&hash),
        signature: hex(&signature),
        document,
    }))
}

async fn find_version(context: &Context, id: &str) -> Result<(Agreement, Version), Failure> {
    let unknown = || {
        Failure::field(
            "agreement_version_id",
            "unknown_version",
            "Give the agreement_version_id of a published version.",
        )
    };
    let wanted: AgreementVersionId = id.parse().map_err(|_| unknown())?;
    for agreement in store::list_agreements(&context.connection).await? {
        let found = agreement
            .versions
            .iter()
            .find(|version| version.agreement_version_id == wanted)
            .cloned();
        if let Some(version) = found {
            return Ok((agreement, version));
        }
    }
    Err(unknown())
}

async fn find_earlier(
    context: &Context,
    organisation_id: OrganisationId,
    version: &Version,
) -> Result<Option<AcceptanceId>, Failure> {
    let row = context
        .connection
        .query_optional(
            "SELECT acceptance_id FROM acceptances
             WHERE organisation_id = $1 AND agreement_version_id = $2",
            params![organisation_id, version.agreement_version_id],
        )
        .await?;
    Ok(row.map(|row| row.parse(0)).transpose()?)
}
