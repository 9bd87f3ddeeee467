//! What becomes of a request: the answer to the proxy, and what is remembered
//! until the response has ended.

use crate::access::Permit;
use crate::account::AccountKey;
use crate::limit_fields::LimitFields;
use crate::refusal::Refusal;
use shared::ids::{CredentialId, InstallationId, MeterId, SubscriptionId};
use shared::plan::{Meter, Plan};
use shared::problem::Code;
use std::rc::Rc;

/// What the proxy is to do.
#[derive(Debug)]
pub enum Action {
    /// Let it pass, with these changes.
    Pass(Changes),
    /// Answer it here.
    Refuse(Refusal),
}

/// A verdict and its description for access logs.
#[derive(Debug)]
pub struct Verdict {
    /// What the proxy is to do.
    pub action: Action,
    /// `code=… credential=… app=… plan=… operation=…`, as far as known.
    pub metadata: String,
}

/// Changes to the request headers.
#[derive(Debug, Default)]
pub struct Changes {
    /// Headers to remove.
    pub remove: Vec<String>,
    /// Headers to set; none of them is left of what the client sent.
    pub add: Vec<(&'static str, String)>,
    /// The target without the credential.
    pub target: Option<String>,
}

/// What was reserved of a quota.
#[derive(Debug, Clone, Copy)]
pub struct Reservation {
    /// From which account.
    pub account: AccountKey,
    /// In which period.
    pub period: (u64, u64),
    /// How many units.
    pub units: u64,
}

/// A product's meters and, in the same order, their ids.
pub type ProductMeters = (Rc<[Meter]>, Rc<[MeterId]>);

/// A request between its headers and its end.
#[derive(Debug, Default)]
pub struct Stream {
    /// When it came.
    pub started_ns: u64,
    /// Its method.
    pub method: String,
    /// `x-request-id`.
    pub request_id: String,
    /// The credential, if known.
    pub credential: Option<CredentialId>,
    /// The subscription decided under.
    pub subscription: Option<SubscriptionId>,
    /// The installation of the token.
    pub installation: Option<InstallationId>,
    /// The operation.
    pub operation: Option<Rc<str>>,
    /// Units of one call.
    pub weight: u32,
    /// The product's meters.
    pub meters: Option<ProductMeters>,
    /// What counts.
    pub plan: Option<Rc<Plan>>,
    /// Why it was refused.
    pub refused: Option<Code>,
    /// What to settle.
    pub reservation: Option<Reservation>,
    /// What to tell the client.
    pub limits: Option<LimitFields>,
    /// `content-length` of the request.
    pub content_length: Option<u64>,
}

impl Changes {
    /// The headers that tell the upstream who calls.
    #[must_use]
    pub fn identify(mut self, permit: &Permit) -> Self {
        let mut add = |name, value: String| self.add.push((name, value));
        add(
            "x-portico-environment",
            permit.environment.as_str().to_owned(),
        );
        add(
            "x-portico-organisation",
            permit.texts.organisation.to_string(),
        );
        add("x-portico-app", permit.texts.app.to_string());
        add("x-portico-plan", permit.texts.plan.to_string());
        add("x-portico-credential", permit.texts.credential.clone());
        add("x-portico-scopes", permit.scopes.clone());
        if let Some(installation) = permit.installation {
            add("x-portico-installation", installation.to_string());
        }
        self
    }
}
