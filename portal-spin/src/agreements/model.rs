//! What an organisation has to accept, as a rule over published versions.

use schemars::JsonSchema;
use serde::Serialize;
use shared::feed;
use shared::ids::{AgreementId, AgreementVersionId, ProductId};

use crate::text_enum::text_enum;

text_enum! {
    /// What a document is about.
    Kind {
        /// Terms of service.
        TermsOfService = "terms_of_service",
        /// What may be done with data.
        DataSharing = "data_sharing",
        /// Anything else.
        Other = "other",
    }
}

text_enum! {
    /// Where an organisation stands with an agreement.
    #[schemars(rename = "Standing")]
    State {
        /// Nothing to do.
        Accepted = "accepted",
        /// A newer version must be accepted by `due_at`; live credentials work until then.
        Due = "due",
        /// Live credentials are refused until it is accepted.
        Required = "required",
        /// Nothing is in force yet.
        NotInForce = "not_in_force",
    }
}

/// A document, with the versions published so far.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// The id.
    pub agreement_id: AgreementId,
    /// The title.
    pub title: String,
    /// What it is about.
    pub kind: Kind,
    /// The products that need it; `None` where all do.
    pub products: Option<Vec<ProductId>>,
    /// Published versions, oldest first.
    pub versions: Vec<Version>,
}

/// A published version, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Version {
    /// The id.
    #[schemars(with = "String")]
    pub agreement_version_id: AgreementVersionId,
    /// From 1.
    pub version: u32,
    /// As printed on the document, e.g. `2026-1`.
    pub label: String,
    /// The document's language.
    pub locale: String,
    /// Whether partners must accept it anew.
    pub is_material: bool,
    /// From when it holds.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub effective_at: i64,
    /// From when live credentials need it: the effective date and the grace period.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub required_from: i64,
    /// SHA-256 of the document as shown, hexadecimal.
    pub document_sha256: String,
    /// The sentence next to the box.
    pub sentence: String,
}

/// Where an organisation stands with one agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Where.
    pub state: State,
    /// By when, if it is due.
    pub due_at: Option<i64>,
}

impl Agreement {
    /// As edges see it.
    pub fn for_edges(&self) -> feed::Agreement {
        feed::Agreement {
            agreement: self.agreement_id,
            products: self.products.clone(),
            required: self
                .versions
                .iter()
                .filter(|version| version.is_binding())
                .map(|version| feed::RequiredVersion {
                    version: version.version,
                    from_ms: version.required_from.unsigned_abs(),
                })
                .collect(),
        }
    }

    /// The version to show and to accept: the newest published.
    pub fn newest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// Where an organisation that has accepted this version (0 for none) stands.
    pub fn standing(&self, accepted: u32, now_ms: i64) -> Standing {
        if accepted < self.for_edges().required_at(now_ms.unsigned_abs()) {
            return Standing {
                state: State::Required,
                due_at: None,
            };
        }
        // The next moment at which what is accepted stops being enough.
        let due_at = self
            .versions
            .iter()
            .filter(|version| version.is_binding() && version.version > accepted)
            .map(|version| version.required_from)
            .min();
        let state = match due_at {
            Some(_) => State::Due,
            None if accepted == 0 => State::NotInForce,
            None => State::Accepted,
        };
        Standing { state, due_at }
    }
}

impl Version {
    /// Whether partners must accept it. There is nothing before the first version to fall back on.
    pub fn is_binding(&self) -> bool {
        self.is_material || self.version == 1
    }
}
