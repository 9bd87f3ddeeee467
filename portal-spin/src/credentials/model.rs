//! A credential as it is kept and shown.

use schemars::JsonSchema;
use serde::Serialize;
use shared::credential::{Environment, KeyHash};
use shared::feed as wire;
use shared::ids::{AppId, CredentialId};

/// A credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The credential.
    pub id: CredentialId,
    /// The app.
    pub app_id: AppId,
    /// Where it works.
    pub environment: Environment,
    /// What people call it.
    pub name: String,
    /// The key's first characters.
    pub prefix: String,
    /// The key's last four characters.
    pub last_four: String,
    /// The key's digest.
    pub hash: KeyHash,
    /// Scopes it is limited to; none where it has all of its app's.
    pub scopes: Option<Vec<String>>,
    /// Networks it may be used from; empty where any.
    pub addresses: Vec<String>,
    /// When it expires.
    pub expires_at_ms: Option<i64>,
    /// When it was issued.
    pub created_at_ms: i64,
    /// Who issued it.
    pub created_by: String,
    /// The feed position that carries it.
    pub issued_position: i64,
    /// When the last live edge had applied that position.
    pub activated_at_ms: Option<i64>,
    /// When it was, or will be, revoked.
    pub revoked_at_ms: Option<i64>,
    /// The feed position that carries the revocation.
    pub revoked_position: Option<i64>,
    /// When the last live edge had applied the revocation.
    pub refused_at_ms: Option<i64>,
    /// The credential it replaces.
    pub rotated_from: Option<CredentialId>,
}

/// Where a credential is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Issued; not every live edge knows it yet.
    Pending,
    /// Every live edge accepts it.
    Active,
    /// Past its expiry.
    Expired,
    /// Revoked.
    Revoked,
}

impl State {
    /// As in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Credential {
    /// Where it is in its life at `now_ms`.
    pub fn state(&self, now_ms: i64) -> State {
        if self.revoked_at_ms.is_some_and(|at| at <= now_ms) {
            State::Revoked
        } else if self.expires_at_ms.is_some_and(|at| at <= now_ms) {
            State::Expired
        } else if self.activated_at_ms.is_some() {
            State::Active
        } else {
            State::Pending
        }
    }

    /// The credential as edges need it at `now_ms`.
    pub fn wire(&self, now_ms: i64) -> wire::Credential {
        let revoked_at_ms = self.revoked_at_ms.filter(|at| *at <= now_ms);
        let ends_at_ms = self.revoked_at_ms.filter(|at| *at > now_ms);
        wire::Credential {
            credential: self.id,
            app: self.app_id,
            environment: self.environment,
            hash: self.hash,
            scopes: self.scopes.clone(),
            addresses: self.addresses.clone(),
            expires_at_ms: self.expires_at_ms.map(i64::unsigned_abs),
            revoked_at_ms: revoked_at_ms.map(i64::unsigned_abs),
            ends_at_ms: ends_at_ms.map(i64::unsigned_abs),
        }
    }

    /// The credential in JSON at `now_ms`.
    pub fn view(&self, now_ms: i64, last_used_at: Option<i64>) -> CredentialView {
        CredentialView {
            id: self.id.to_string(),
            app_id: self.app_id.to_string(),
            environment: self.environment.as_str().to_owned(),
            name: self.name.clone(),
            prefix: self.prefix.clone(),
            last_four: self.last_four.clone(),
            state: self.state(now_ms).as_str().to_owned(),
            scopes: self.scopes.clone(),
            addresses: self.addresses.clone(),
            created_at: self.created_at_ms,
            expires_at: self.expires_at_ms,
            revoked_at: self.revoked_at_ms,
            last_used_at,
            activation_ms: self.activated_at_ms.map(|at| at - self.created_at_ms),
            refusal_ms: self
                .refused_at_ms
                .zip(self.revoked_at_ms.filter(|at| *at <= now_ms))
                .map(|(refused, revoked)| (refused - revoked).max(0)),
            rotated_from: self.rotated_from.map(|id| id.to_string()),
        }
    }
}

/// A credential in JSON. Never the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CredentialView {
    /// The credential.
    pub id: String,
    /// The app.
    pub app_id: String,
    /// `test` or `live`.
    pub environment: String,
    /// What people call it.
    pub name: String,
    /// The key's first characters.
    pub prefix: String,
    /// The key's last four characters.
    pub last_four: String,
    /// `pending` until every live edge accepts it, then `active`; `expired`, `revoked`.
    pub state: String,
    /// Scopes it is limited to; null where it has all of its app's.
    pub scopes: Option<Vec<String>>,
    /// Networks (CIDR) it may be used from; empty where any.
    pub addresses: Vec<String>,
    /// When it was issued.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub created_at: i64,
    /// When it expires.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<i64>,
    /// When it was, or after a rotation will be, revoked.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub revoked_at: Option<i64>,
    /// The minute of its last call.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub last_used_at: Option<i64>,
    /// Milliseconds from issue until every live edge accepted it.
    pub activation_ms: Option<i64>,
    /// Milliseconds from revocation until every live edge refused it.
    pub refusal_ms: Option<i64>,
    /// The credential it replaces.
    pub rotated_from: Option<String>,
}
