//! SQL of agreements, versions and acceptances.

use schemars::JsonSchema;
use serde::Serialize;
use shared::feed::AcceptedVersion;
use shared::ids::{AcceptanceId, AgreementId, AgreementVersionId, OrganisationId};

use super::model::{Agreement, Version};
use crate::database::{Connection, DatabaseError, Row};
use crate::params;

const VERSION: &str =
    "SELECT agreement_version_id, version, label, locale, is_material, effective_at,
    required_from, html_sha256, sentence, agreement_id FROM agreement_versions";

fn version_of(row: &Row) -> Result<Version, DatabaseError> {
    Ok(Version {
        agreement_version_id: row.parse(0)?,
        version: row.get(1)?,
        label: row.get(2)?,
        locale: row.get(3)?,
        is_material: row.get(4)?,
        effective_at: row.get(5)?,
        required_from: row.get(6)?,
        document_sha256: row.get(7)?,
        sentence: row.get(8)?,
    })
}

/// Every agreement, with its versions, oldest first.
pub async fn list_agreements(connection: &Connection) -> Result<Vec<Agreement>, DatabaseError> {
    let mut agreements = connection
        .query(
            "SELECT agreement_id, title, kind, products FROM agreements ORDER BY agreement_id",
            vec![],
        )
        .await?
        .iter()
        .map(|row| {
            let products: Option<String> = row.get(3)?;
            let products = products
                .map(|text| serde_json::from_str(&text))
                .transpose()
                .map_err(|error| DatabaseError::Shape(error.to_string()))?;
            Ok(Agreement {
                agreement_id: row.parse(0)?,
                title: row.get(1)?,
                kind: row.parse(2)?,
                products,
                versions: Vec::new(),
            })
        })
        .collect::<Result<Vec<_>, DatabaseError>>()?;
    for row in connection
        .query(&format!("{VERSION} ORDER BY agreement_id, version"), vec![])
        .await?
    {
        let agreement_id: AgreementId = row.parse(9)?;
        if let Some(agreement) = agreements
            .iter_mut()
            .find(|agreement| agreement.agreement_id == agreement_id)
        {
            agreement.versions.push(version_of(&row)?);
        }
    }
    Ok(agreements)
}

/// One agreement.
pub async fn find_agreement(
    connection: &Connection,
    agreement_id: AgreementId,
) -> Result<Option<Agreement>, DatabaseError> {
    Ok(list_agreements(connection)
        .await?
        .into_iter()
        .find(|agreement| agreement.agreement_id == agreement_id))
}

/// The agreement that a version belongs to, and the document as shown.
pub async fn find_document(
    connection: &Connection,
    agreement_version_id: AgreementVersionId,
) -> Result<Option<(AgreementId, String)>, DatabaseError> {
    connection
        .query_optional(
            "SELECT agreement_id, html FROM agreement_versions WHERE agreement_version_id = $1",
            params![agreement_version_id],
        )
        .await?
        .map(|row| Ok((row.parse(0)?, row.get(1)?)))
        .transpose()
}

/// The newest version of each agreement that an organisation has accepted, as edges want it.
pub async fn list_accepted_versions(
    connection: &Connection,
    organisation_id: OrganisationId,
) -> Result<Vec<AcceptedVersion>, DatabaseError> {
    connection
        .query(
            "SELECT agreement_id, MAX(version) FROM acceptances WHERE organisation_id = $1
             GROUP BY agreement_id ORDER BY agreement_id",
            params![organisation_id],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(AcceptedVersion {
                agreement: row.parse(0)?,
                version: row.get(1)?,
            })
        })
        .collect()
}

/// An acceptance, as listed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Acceptance {
    /// The id.
    #[schemars(with = "String")]
    pub acceptance_id: AcceptanceId,
    /// The agreement.
    #[schemars(with = "String")]
    pub agreement_id: AgreementId,
    /// The version.
    #[schemars(with = "String")]
    pub agreement_version_id: AgreementVersionId,
    /// The version's number.
    pub version: u32,
    /// Who accepted.
    pub person: String,
    /// When.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub accepted_at: i64,
    /// SHA-256 of the record, hexadecimal.
    pub hash: String,
}

/// The acceptances of an organisation, newest first.
pub async fn list_acceptances(
    connection: &Connection,
    organisation_id: OrganisationId,
) -> Result<Vec<Acceptance>, DatabaseError> {
    connection
        .query(
            "SELECT a.acceptance_id, a.agreement_id, a.agreement_version_id, a.version, p.email,
                a.accepted_at, a.hash
             FROM acceptances a JOIN people p ON p.person_id = a.person_id
             WHERE a.organisation_id = $1 ORDER BY a.position DESC",
            params![organisation_id],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(Acceptance {
                acceptance_id: row.parse(0)?,
                agreement_id: row.parse(1)?,
                agreement_version_id: row.parse(2)?,
                version: row.get(3)?,
                person: row.get(4)?,
                accepted_at: row.get(5)?,
                hash: crate::encoding::hex(&row.get::<Vec<u8>>(6)?),
            })
        })
        .collect()
}

/// What an evidence file is made of: record, hash, signature, document.
pub async fn find_evidence(
    connection: &Connection,
    acceptance_id: AcceptanceId,
) -> Result<Option<(String, Vec<u8>, Vec<u8>, String)>, DatabaseError> {
    connection
        .query_optional(
            "SELECT a.record, a.hash, a.signature, v.html FROM acceptances a
             JOIN agreement_versions v ON v.agreement_version_id = a.agreement_version_id
             WHERE a.acceptance_id = $1",
            params![acceptance_id],
        )
        .await?
        .map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .transpose()
}
