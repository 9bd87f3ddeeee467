//! The feed: what the portal publishes to edges.
//!
//! An append-only, numbered log. Every entry carries the *whole current state*
//! of one object, so entries may be applied again, and only the newest entry of
//! an object matters. Edges join the objects themselves: suspending an
//! organisation is one entry, not one per credential.
//!
//! | request (signed, see [`crate::signing`]) | answer |
//! |---|---|
//! | `GET /edge/v1/snapshot[?after=CURSOR]` | a [`SnapshotPage`]; follow `next` until it is absent, then read the feed from `position` |
//! | `GET /edge/v1/feed?after=POSITION` | a [`FeedPage`] of the entries behind `POSITION`, at most to the next multiple of [`PAGE_ALIGNMENT`]; immutable and cacheable once `complete` |
//! | `POST /edge/v1/report` | a [`crate::usage::Report`] in, a [`crate::usage::ReportAnswer`] out |
//!
//! The pages of a snapshot may be read while the log grows: `position` is that
//! of the first page, and the feed behind it repeats whatever changed since.

use crate::credential::{Environment, KeyHash};
use crate::ids::{
    AgreementId, AppId, CredentialId, InstallationId, OrganisationId, PlanId, ProductId,
    SubscriptionId,
};
use crate::plan::{Plan, Product};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Where the snapshot is read.
pub const SNAPSHOT_PATH: &str = "/edge/v1/snapshot";
/// Where the feed is read.
pub const FEED_PATH: &str = "/edge/v1/feed";
/// Where reports go.
pub const REPORT_PATH: &str = "/edge/v1/report";

/// Feed pages end at multiples of this, so that edges with different cursors
/// soon ask for the same, cacheable pages.
pub const PAGE_ALIGNMENT: u64 = 1_000;

/// The last position of the page that begins behind `after`.
#[must_use]
pub const fn page_end(after: u64) -> u64 {
    (after / PAGE_ALIGNMENT + 1).saturating_mul(PAGE_ALIGNMENT)
}

/// A page of the feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeedPage {
    /// The cursor the page was asked for with.
    pub after: u64,
    /// The cursor to go on from: the last position in the page, or `after`.
    pub next: u64,
    /// Whether the page is full and will never change.
    pub complete: bool,
    /// The entries, by ascending position.
    pub entries: Vec<FeedEntry>,
}

/// A page of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotPage {
    /// The feed position to read from once the snapshot is complete; the same on every page.
    pub position: u64,
    /// The cursor of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The newest state of objects, without positions. Nothing that was removed.
    pub changes: Vec<Change>,
    /// The apps that [`PackedCredential::app`] counts in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packed_apps: Vec<AppId>,
    /// Credentials that have no scopes, expiry, address list or revocation:
    /// 40 bytes each, ascending by digest, in base64.
    #[serde(default, skip_serializing_if = "PackedCredentials::is_empty")]
    pub packed_credentials: PackedCredentials,
}

/// One numbered change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeedEntry {
    /// The position in the log, from 1, without holes.
    pub position: u64,
    /// When it was committed, Unix milliseconds.
    pub at_ms: u64,
    /// The change.
    #[serde(flatten)]
    pub change: Change,
}

/// The new state of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "state")]
pub enum Change {
    /// Programme-wide settings.
    Programme(Programme),
    /// The public keys that sign access tokens, as a JWK set (RFC 7517).
    Jwks(serde_json::Value),
    /// A product's operations and meters.
    Product(Product),
    /// A published plan version.
    Plan(Plan),
    /// An agreement and the versions edges must see accepted.
    Agreement(Agreement),
    /// An organisation's standing.
    Organisation(Organisation),
    /// An app.
    App(App),
    /// A subscription.
    Subscription(Subscription),
    /// A credential.
    Credential(Credential),
    /// An installation.
    Installation(Installation),
    /// A credential revoked so long ago that edges may forget it.
    CredentialRemoved(RemovedCredential),
}

impl Change {
    /// What the entry is about; a newer entry with the same key replaces it.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Programme(_) => "programme".to_owned(),
            Self::Jwks(_) => "jwks".to_owned(),
            Self::Product(product) => product.product.to_string(),
            Self::Plan(plan) => plan.plan.to_string(),
            Self::Agreement(agreement) => agreement.agreement.to_string(),
            Self::Organisation(organisation) => organisation.organisation.to_string(),
            Self::App(app) => app.app.to_string(),
            Self::Subscription(subscription) => subscription.subscription.to_string(),
            Self::Credential(credential) => credential.credential.to_string(),
            Self::Installation(installation) => installation.installation.to_string(),
            Self::CredentialRemoved(removed) => removed.credential.to_string(),
        }
    }
}

/// Programme-wide settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programme {
    /// The brand before the first `_` of API keys.
    pub brand: String,
    /// The start of `help` links: an error's code is appended.
    pub help_base: String,
    /// The `iss` that access tokens must have.
    pub issuer: String,
    /// The `aud` that access tokens must have.
    pub audience: String,
    /// How long an edge decides on the last feed after losing the portal, in seconds.
    pub staleness_budget_secs: u32,
    /// The query parameter a key may stand in; absent where that is turned off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_parameter: Option<String>,
}

/// An agreement as an edge sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The agreement.
    pub agreement: AgreementId,
    /// The products that need it; absent where all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub products: Option<Vec<ProductId>>,
    /// From when live calls need which version accepted (grace included), ascending.
    pub required: Vec<RequiredVersion>,
}

impl Agreement {
    /// The lowest version number that must have been accepted at `now_ms`; 0 where none.
    #[must_use]
    pub fn required_at(&self, now_ms: u64) -> u32 {
        self.required
            .iter()
            .filter(|required| required.from_ms <= now_ms)
            .map(|required| required.version)
            .max()
            .unwrap_or(0)
    }
}

/// A version of an agreement that becomes necessary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredVersion {
    /// The version's number, from 1.
    pub version: u32,
    /// When live calls begin to need it: effective date plus grace, Unix milliseconds.
    pub from_ms: u64,
}

/// An organisation as an edge sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// The organisation.
    pub organisation: OrganisationId,
    /// Whether its live credentials are suspended.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub suspended: bool,
    /// The newest version accepted of each agreement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<AcceptedVersion>,
}

/// The newest version of an agreement that an organisation has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedVersion {
    /// The agreement.
    pub agreement: AgreementId,
    /// The version's number.
    pub version: u32,
}

/// An app as an edge sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// The app.
    pub app: AppId,
    /// Its owner.
    pub organisation: OrganisationId,
    /// Whether its credentials are refused (as of a suspended organisation).
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub suspended: bool,
}

/// A subscription of an app to a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The app.
    pub app: AppId,
    /// The product whose operations it opens.
    pub product: ProductId,
    /// The plan version in force.
    pub plan: PlanId,
    /// The environments it opens. A subscription that waits for approval has only `test`.
    pub environments: Vec<Environment>,
    /// When it ends, Unix milliseconds; absent while it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at_ms: Option<u64>,
    /// Starts of the current and coming billing periods, Unix milliseconds,
    /// ascending; the last one only ends the period before it.
    pub periods: Vec<u64>,
}

impl Subscription {
    /// Start and end of the billing period that `now_ms` falls in. Before the
    /// first and behind the last known boundary the nearest period is used.
    #[must_use]
    pub fn period_at(&self, now_ms: u64) -> Option<(u64, u64)> {
        let pairs = || self.periods.iter().zip(self.periods.iter().skip(1));
        pairs()
            .find(|(_, end)| now_ms < **end)
            .or_else(|| pairs().next_back())
            .map(|(start, end)| (*start, *end))
    }
}

/// A credential: an API key, or an OAuth client whose tokens name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The credential.
    pub credential: CredentialId,
    /// The app.
    pub app: AppId,
    /// Where it works.
    pub environment: Environment,
    /// The key's digest; for an OAuth client, the digest of the credential id's text.
    pub hash: KeyHash,
    /// Scopes it is limited to; absent where it has all of its app's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Networks (CIDR) it may be used from; empty where any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// When it expires, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// When it was revoked, Unix milliseconds. It is refused from the moment an edge knows, whatever the
    /// edge's clock says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
    /// When it will be revoked, Unix milliseconds: the end of a rotation's overlap, kept by the edge's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at_ms: Option<u64>,
}

impl Credential {
    /// Whether it fits in a [`PackedCredential`].
    #[must_use]
    pub fn is_packable(&self) -> bool {
        self.scopes.is_none()
            && self.addresses.is_empty()
            && self.expires_at_ms.is_none()
            && self.revoked_at_ms.is_none()
            && self.ends_at_ms.is_none()
    }
}

/// A customer's grant to a listed app. Access tokens name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// The installation.
    pub installation: InstallationId,
    /// The app it was granted to.
    pub app: AppId,
    /// Scopes the customer granted.
    pub scopes: Vec<String>,
    /// When it was removed or its tokens were revoked: tokens issued at or
    /// before this time are refused. Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
}

/// A credential that edges may forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedCredential {
    /// The credential.
    pub credential: CredentialId,
    /// Its digest.
    pub hash: KeyHash,
}

/// A credential in 40 bytes: digest (16), id (16), app as a big-endian number
/// into `packed_apps` (4), flags big-endian (4; bit 0: live).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedCredential {
    /// The key's digest.
    pub hash: KeyHash,
    /// The credential.
    pub credential: CredentialId,
    /// Index into [`SnapshotPage::packed_apps`].
    pub app: u32,
    /// Where it works.
    pub environment: Environment,
}

impl PackedCredential {
    /// Reads one row; `None` unless it has at least 40 bytes.
    #[must_use]
    pub fn read(row: &[u8]) -> Option<Self> {
        let (hash, rest) = row.split_first_chunk::<16>()?;
        let (credential, rest) = rest.split_first_chunk::<16>()?;
        let (app, rest) = rest.split_first_chunk::<4>()?;
        let (flags, _) = rest.split_first_chunk::<4>()?;
        Some(Self {
            hash: KeyHash(*hash),
            credential: CredentialId::from_bytes(*credential),
            app: u32::from_be_bytes(*app),
            environment: if u32::from_be_bytes(*flags) & 1 == 1 {
                Environment::Live
            } else {
                Environment::Test
            },
        })
    }
}

/// Rows of [`PackedCredential`]; base64 (RFC 4648, section 4) in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackedCredentials(Vec<u8>);

/// Bytes of a [`PackedCredential`].
pub const PACKED_CREDENTIAL_BYTES: usize = 40;

impl PackedCredentials {
    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len() / PACKED_CREDENTIAL_BYTES
    }

    /// Appends a row; the caller keeps rows ascending by digest.
    pub fn push(&mut self, row: &PackedCredential) {
        self.0.extend_from_slice(&row.hash.0);
        self.0.extend_from_slice(row.credential.as_bytes());
        self.0.extend_from_slice(&row.app.to_be_bytes());
        let flags = u32::from(row.environment == Environment::Live);
        self.0.extend_from_slice(&flags.to_be_bytes());
    }

    /// The rows.
    pub fn iter(&self) -> impl Iterator<Item = PackedCredential> + '_ {
        self.0
            .chunks_exact(PACKED_CREDENTIAL_BYTES)
            .filter_map(PackedCredential::read)
    }

    /// The rows as they travel, 40 bytes each.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for PackedCredentials {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for PackedCredentials {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = STANDARD
            .decode(text.as_bytes())
            .map_err(serde::de::Error::custom)?;
        if bytes.len() % PACKED_CREDENTIAL_BYTES == 0 {
            Ok(Self(bytes))
        } else {
            Err(serde::de::Error::custom(
                "packed credentials must be whole rows of 40 bytes",
            ))
        }
    }
}

#[cfg(test)]
mod tests;
