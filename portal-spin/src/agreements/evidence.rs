//! Evidence: one file that proves an acceptance to someone who trusts only the published public key.

use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::encoding::{hex, unhex};

/// What is signed. The members in this order, as compact JSON, are the exact bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptanceRecord {
    /// `portico-acceptance/1`.
    pub format: String,
    /// From 1, without gaps over all organisations.
    pub position: i64,
    /// The acceptance.
    pub acceptance_id: String,
    /// RFC 3339, UTC.
    pub accepted_at: String,
    /// The agreement.
    pub agreement_id: String,
    /// Its title.
    pub agreement_title: String,
    /// The version accepted.
    pub agreement_version_id: String,
    /// Its number.
    pub version: u32,
    /// Its label.
    pub label: String,
    /// The document's language.
    pub locale: String,
    /// SHA-256 of the exact bytes shown.
    pub document_sha256: String,
    /// Who is bound.
    pub organisation_id: String,
    /// Its name then.
    pub organisation_name: String,
    /// Who accepted.
    pub person_id: String,
    /// Their name then.
    pub person_name: String,
    /// Their verified address then.
    pub person_email: String,
    /// Their role in the portal then.
    pub member_role: String,
    /// Their role in the company, in their own words.
    pub stated_role: String,
    /// The statement of authority they made.
    pub authority: String,
    /// `page` (box ticked) or `api`.
    pub method: String,
    /// The sentence next to the box.
    pub sentence: String,
    /// Network address.
    pub address: String,
    /// User agent.
    pub user_agent: String,
    /// The session.
    pub session_id: String,
    /// The request.
    pub request_id: String,
    /// Hash of the record before, hexadecimal; zeros before the first.
    pub previous_hash: String,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// `portico-evidence/1`.
    pub format: String,
    /// The key to check with, hexadecimal. Compare it with the one the operator publishes.
    pub public_key: String,
    /// The record, as the exact text that was hashed and signed.
    pub record: String,
    /// SHA-256 of `record`, hexadecimal.
    pub hash: String,
    /// Ed25519 over `record`, hexadecimal.
    pub signature: String,
    /// The document as shown.
    pub document: String,
}

/// The format of a file.
pub const FILE_FORMAT: &str = "portico-evidence/1";
/// The format of a record.
pub const RECORD_FORMAT: &str = "portico-acceptance/1";

/// Why a file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not an evidence file.
    #[error("this is not an evidence file: {0}")]
    Malformed(String),
    /// Signed by someone else.
    #[error("the file was signed with another key than the published one")]
    OtherKey,
    /// The record was changed.
    #[error("the record was changed after it was signed")]
    RecordChanged,
    /// The document was changed.
    #[error("the document is not the one that was accepted")]
    DocumentChanged,
    /// The file was changed outside record and document.
    #[error("the file was changed: it is not byte for byte as exported")]
    FileChanged,
}

/// Checks an exported file against the published public key (hexadecimal). Any changed byte is found:
/// record and document by their digests and the signature, everything around them by comparing with the
/// one way in which the portal writes such a file.
pub fn verify_evidence(bytes: &[u8], public_key: &str) -> Result<AcceptanceRecord, EvidenceError> {
    let malformed = |reason: String| EvidenceError::Malformed(reason);
    let evidence: Evidence =
        serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    if evidence.format != FILE_FORMAT {
        return Err(malformed(format!("unknown format `{}`", evidence.format)));
    }
    let wanted = public_key.trim().to_lowercase();
    if evidence.public_key != wanted {
        return Err(EvidenceError::OtherKey);
    }
    let key: [u8; 32] = unhex(&wanted)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| malformed("the public key is not 64 hexadecimal digits".to_owned()))?;
    let key = VerifyingKey::from_bytes(&key).map_err(|error| malformed(error.to_string()))?;
    let signature: [u8; 64] = unhex(&evidence.signature)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(EvidenceError::RecordChanged)?;
    key.verify_strict(
        evidence.record.as_bytes(),
        &Signature::from_bytes(&signature),
    )
    .map_err(|_| EvidenceError::RecordChanged)?;
    let record: AcceptanceRecord =
        serde_json::from_str(&evidence.record).map_err(|error| malformed(error.to_string()))?;
    if hex(&Sha256::digest(evidence.document.as_bytes())) != record.document_sha256 {
        return Err(EvidenceError::DocumentChanged);
    }
    let expected = Evidence {
        hash: hex(&Sha256::digest(evidence.record.as_bytes())),
        signature: hex(&signature),
        ..evidence
    };
    if write_file(&expected) != bytes {
        return Err(EvidenceError::FileChanged);
    }
    Ok(record)
}

/// The one way in which a file is written.
pub fn write_file(evidence: &Evidence) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(evidence).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
