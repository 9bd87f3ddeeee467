//! The chain as anyone can check it, offline.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One record, as exported: one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditRecord {
    /// From 1, without gaps.
    pub position: i64,
    /// The record's id.
    pub audit_record_id: String,
    /// Unix milliseconds.
    pub recorded_at_ms: i64,
    /// Whose, if it concerns one organisation.
    pub organisation_id: Option<String>,
    /// Who.
    pub actor: String,
    /// What happened.
    pub action: String,
    /// To what.
    pub object: String,
    /// A JSON object, as text, so that its bytes are what was hashed.
    pub detail: String,
    /// The request that did it.
    pub request_id: String,
    /// The hash of the record before, hexadecimal; zeros before the first.
    pub previous_hash: String,
    /// SHA-256 over everything above, hexadecimal.
    pub hash: String,
}

impl AuditRecord {
    /// The bytes that are hashed: the record as a JSON array of its members in order, without `hash`.
    /// JSON text keeps the borders between members unambiguous.
    pub fn hashed_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!([
            self.position,
            self.audit_record_id,
            self.recorded_at_ms,
            self.organisation_id,
            self.actor,
            self.action,
            self.object,
            self.detail,
            self.request_id,
            self.previous_hash,
        ]))
        .unwrap_or_default()
    }
}

/// What is wrong with an exported log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// A line is not a record.
    #[error("line {line} is not an audit record: {reason}")]
    Malformed {
        /// From 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A record was changed.
    #[error("line {line}: the record does not match its hash: it was changed after it was written")]
    Changed {
        /// From 1.
        line: usize,
    },
    /// A record does not follow the one before.
    #[error(
        "line {line}: the record does not follow the one before: records were removed, added or reordered"
    )]
    Broken {
        /// From 1.
        line: usize,
    },
    /// Nothing to check.
    #[error("the file has no records")]
    Empty,
}

/// Checks an exported log (JSON lines): every record matches its hash and follows the one before.
/// Answers how many records there are and the last hash, which the operator can compare with one
/// published earlier: a log cut at its end is whole in itself.
pub fn verify_audit(bytes: &[u8]) -> Result<(usize, String), AuditError> {
    let text = std::str::from_utf8(bytes).map_err(|error| AuditError::Malformed {
        line: 1,
        reason: error.to_string(),
    })?;
    let mut last: Option<AuditRecord> = None;
    let mut count = 0;
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() {
            continue;
        }
        let number = index + 1;
        let record: AuditRecord =
            serde_json::from_str(line).map_err(|error| AuditError::Malformed {
                line: number,
                reason: error.to_string(),
            })?;
        if crate::encoding::hex(&Sha256::digest(record.hashed_bytes())) != record.hash {
            return Err(AuditError::Changed { line: number });
        }
        let follows = match &last {
            None => record.position == 1 && record.previous_hash == "0".repeat(64),
            Some(last) => record.position == last.position + 1 && record.previous_hash == last.hash,
        };
        if !follows {
            return Err(AuditError::Broken { line: number });
        }
        last = Some(record);
        count += 1;
    }
    last.map(|record| (count, record.hash))
        .ok_or(AuditError::Empty)
}
