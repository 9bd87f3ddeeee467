//! What was worked out for a credential and an operation, kept ready until the
//! feed or the time changes it.
//!
//! What a request costs is the code and memory it touches first, not what it
//! computes: a caller seen before is spared digest, checks and texts. Owns: what
//! is kept, for how long it holds, and the cache. A credential's text is never
//! kept, only its tag under a key that this virtual machine drew for itself.
//! Does not own: working it out; see `access`.

use crate::access::Permit;
use crate::account::AccountKey;
use crate::address::Network;
use crate::bytes::TagKey;
use crate::limit_fields::policy_of;
use crate::programme::{Extras, OperationState, Programme};
use crate::request::IDENTITY_PREFIX;
use crate::shared_state::slot_of;
use crate::usage::Place;
use crate::verdict::Headers;
use core::cell::Cell;
use shared::credential::Environment;
use shared::ids::MeterId;
use shared::plan::Meter;
use std::net::IpAddr;
use std::rc::Rc;

/// Callers kept; they replace one another past that.
const PLACES: usize = 2_048;

/// How soon a lease is asked for again: the elected worker looks once a tick.
const ASK_AGAIN_MS: u64 = 20;

/// A product's meters and, in the same order, their ids.
pub type ProductMeters = (Rc<[Meter]>, Rc<[MeterId]>);

/// All that a call of one credential to one operation needs but the moment.
#[derive(Debug)]
pub struct Prepared {
    /// What it may do.
    pub permit: Permit,
    /// Whose limits and quota it spends.
    pub account: AccountKey,
    /// The key of the account's slot in shared data.
    pub account_slot: String,
    /// The billing period.
    pub period: Option<(u64, u64)>,
    /// The headers that tell the upstream who calls.
    pub identity: Headers,
    /// `credential=… app=… plan=… operation=…`. Names in it have no spaces; an
    /// operation that does is told apart by standing last.
    pub description: String,
    /// The description of a call that passes.
    pub passed: Rc<str>,
    /// `RateLimit-Policy`.
    pub policy: Option<Rc<str>>,
    /// The product's meters.
    pub meters: Option<ProductMeters>,
    /// Where its last call was counted.
    pub counted: Cell<Option<Place>>,
    /// When a lease was last asked for on its behalf.
    asked_at_ms: Cell<u64>,
    /// Networks it may be used from, where that is restricted.
    networks: Option<Box<[Network]>>,
    from_ms: u64,
    until_ms: u64,
}

impl Prepared {
    /// Makes everything ready that follows from a permit.
    #[must_use]
    pub fn new(
        permit: Permit,
        extras: Option<&Extras>,
        programme: &Programme,
        told: &[&str],
        now_ms: u64,
    ) -> Self {
        let account = AccountKey {
            subscription: permit.subscription.subscription,
            environment: permit.environment,
        };
        let period = permit.subscription.period_at(now_ms);
        let texts = &permit.texts;
        let description = format!(
            " credential={} app={} plan={} operation={}",
            texts.credential, texts.app, texts.plan, permit.operation.name
        );
        let product = programme.product(&permit.operation.product);
        let restricted = extras.filter(|extras| extras.is_restricted);
        Self {
            account,
            account_slot: slot_of(account),
            period,
            identity: identity_of(&permit, told),
            passed: format!("code=ok{description}").into(),
            description,
            policy: policy_of(&permit.plan, period),
            meters: product.map(|product| (product.meters.clone(), product.meter_ids.clone())),
            networks: restricted.map(|extras| extras.networks.clone()),
            counted: Cell::new(None),
            asked_at_ms: Cell::new(0),
            from_ms: now_ms,
            until_ms: end_of(&permit, extras, programme, now_ms),
            permit,
        }
    }

    /// Whether it still holds: not before it was made either, should the clock
    /// step back.
    #[must_use]
    pub const fn holds_at(&self, now_ms: u64) -> bool {
        self.from_ms <= now_ms && now_ms < self.until_ms
    }

    /// Whether a lease is to be asked for again: not with every call until the
    /// elected worker has looked at the list.
    pub fn asks_at(&self, now_ms: u64) -> bool {
        let asks = now_ms.abs_diff(self.asked_at_ms.get()) >= ASK_AGAIN_MS;
        if asks {
            self.asked_at_ms.set(now_ms);
        }
        asks
    }

    /// Whether it may be used from where the call comes. `client` is asked only
    /// where that is restricted: it costs a crossing.
    pub fn allows(&self, client: impl FnOnce() -> Option<IpAddr>) -> bool {
        self.networks.as_ref().is_none_or(|networks| {
            client().is_some_and(|client| networks.iter().any(|own| own.contains(client)))
        })
    }
}

fn identity_of(permit: &Permit, told: &[&str]) -> Headers {
    let texts = &permit.texts;
    let mut headers: Vec<(&'static str, Rc<str>)> = vec![
        ("x-portico-environment", permit.environment.as_str().into()),
        ("x-portico-organisation", Rc::clone(&texts.organisation)),
        ("x-portico-app", Rc::clone(&texts.app)),
        ("x-portico-plan", Rc::clone(&texts.plan)),
        ("x-portico-credential", texts.credential.as_str().into()),
        ("x-portico-scopes", permit.scopes.as_str().into()),
    ];
    if let Some(installation) = permit.installation {
        headers.push(("x-portico-installation", installation.to_string().into()));
    }
    headers.retain(|(name, _)| told.contains(&name.trim_start_matches(IDENTITY_PREFIX)));
    headers.into()
}

/// When time alone may change the decision.
fn end_of(permit: &Permit, extras: Option<&Extras>, programme: &Programme, now_ms: u64) -> u64 {
    let expiry = extras.and_then(|extras| extras.expires_at_ms);
    let replacement = extras.and_then(|extras| extras.ends_at_ms);
    let period_end = permit.subscription.period_at(now_ms).map(|(_, end)| end);
    // Behind the last known period the nearest one goes on.
    let period_end = period_end.filter(|end| *end > now_ms);
    let agreements = programme
        .agreements()
        .filter(|_| permit.environment == Environment::Live)
        .flat_map(|agreement| &agreement.required)
        .map(|required| required.from_ms)
        .filter(|from| *from > now_ms);
    [
        expiry,
        replacement,
        permit.subscription.ends_at_ms,
        period_end,
    ]
    .into_iter()
    .flatten()
    .chain(agreements)
    .min()
    .unwrap_or(u64::MAX)
}

#[derive(Debug)]
struct Entry {
    tag: u128,
    operations: usize,
    prepared: Rc<Prepared>,
}

/// What was prepared lately.
#[derive(Debug, Default)]
pub struct PreparedCache {
    key: TagKey,
    version: u64,
    places: Vec<Option<Entry>>,
}

impl PreparedCache {
    /// An empty cache under a key from a cryptographic generator.
    #[must_use]
    pub fn new(key: TagKey) -> Self {
        Self {
            key,
            ..Self::default()
        }
    }

    /// Forgets everything if the programme has changed.
    pub fn follow(&mut self, version: u64) {
        if self.version != version {
            self.version = version;
            self.places.clear();
        }
    }

    fn place(&self, text: &str, operations: &[Rc<OperationState>]) -> (usize, u128, usize) {
        let tag = self.key.tag(text.as_bytes());
        // The list is one object of the matcher, which lives as long as an entry.
        let operations = operations.as_ptr().addr();
        let place = (tag as usize) ^ (operations >> 3);
        (place % PLACES, tag, operations)
    }

    /// What is known of a credential's calls to these operations.
    #[must_use]
    pub fn find(
        &self,
        text: &str,
        operations: &[Rc<OperationState>],
        now_ms: u64,
    ) -> Option<&Rc<Prepared>> {
        let (place, tag, operations) = self.place(text, operations);
        let entry = self.places.get(place)?.as_ref()?;
        let is_it = entry.tag == tag && entry.operations == operations;
        (is_it && entry.prepared.holds_at(now_ms)).then_some(&entry.prepared)
    }

    /// Keeps what was worked out.
    pub fn keep(&mut self, text: &str, operations: &[Rc<OperationState>], prepared: Rc<Prepared>) {
        let (place, tag, operations) = self.place(text, operations);
        if self.places.is_empty() {
            self.places.resize_with(PLACES, || None);
        }
        if let Some(place) = self.places.get_mut(place) {
            *place = Some(Entry {
                tag,
                operations,
                prepared,
            });
        }
    }
}
