//! The programme's state as one virtual machine knows it, built from the feed.
//!
//! Owns: tables of every kind of object, how a change replaces the former state,
//! and how a new snapshot takes over in place while decisions go on. Does not
//! own: what the state permits; see `access`.

mod credentials;

pub use credentials::{CredentialTable, Extras, Found, NewCredential};

use crate::address::Network;
use crate::matcher::Matcher;
use crate::token::VerificationKeys;
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::credential::KeyHash;
use shared::feed::{
    Agreement, App, Change, Credential, Installation, Organisation, PackedCredential,
    Programme as Settings, RemovedCredential, Subscription,
};
use shared::ids::{
    AgreementId, AppId, InstallationId, MeterId, OrganisationId, PlanId, ProductId, SubscriptionId,
};
use shared::plan::{Meter, Plan, Product};
use std::collections::HashMap;
use std::rc::Rc;

/// A scope's number in this virtual machine.
pub type ScopeId = u32;

/// An operation, ready to decide with.
#[derive(Debug)]
pub struct OperationState {
    /// The product.
    pub product: ProductId,
    /// Its name in usage.
    pub name: Rc<str>,
    /// Scopes that are all needed.
    pub scopes: Box<[ScopeId]>,
    /// Units of a call.
    pub weight: u32,
}

/// A product, ready to decide with.
#[derive(Debug)]
pub struct ProductState {
    source: Product,
    /// The meters.
    pub meters: Rc<[Meter]>,
    /// Their ids, in the same order.
    pub meter_ids: Rc<[MeterId]>,
    /// Every scope of its operations: what a credential without a list of its own has.
    pub scopes: Box<[ScopeId]>,
    generation: u32,
}

/// An app, ready to decide with.
#[derive(Debug)]
pub struct AppState {
    /// The app.
    pub app: AppId,
    /// Its id as text.
    pub text: Rc<str>,
    /// Its owner's id as text; empty without one.
    pub organisation_text: Rc<str>,
    /// Its owner, once the feed has said so.
    pub organisation: Option<OrganisationId>,
    /// Whether its credentials are refused.
    pub suspended: bool,
    /// Its subscriptions.
    pub subscriptions: Vec<Rc<Subscription>>,
    generation: u32,
}

struct Kept<T> {
    value: T,
    generation: u32,
}

/// What an edge knows.
#[derive(Default)]
pub struct Programme {
    /// Programme-wide settings.
    pub settings: Option<Settings>,
    /// The keys that sign access tokens.
    pub keys: VerificationKeys,
    /// Counts changes of the keys: what was verified with others is forgotten.
    pub keys_version: u64,
    /// Counts changes of any kind: what was worked out before one is forgotten.
    pub version: u64,
    credentials: CredentialTable,
    apps: Vec<AppState>,
    app_numbers: HashMap<AppId, u32>,
    organisations: HashMap<OrganisationId, Kept<Organisation>>,
    products: HashMap<ProductId, ProductState>,
    plans: HashMap<PlanId, Kept<Rc<Plan>>>,
    plan_texts: HashMap<PlanId, Rc<str>>,
    subscriptions: HashMap<SubscriptionId, Kept<Rc<Subscription>>>,
    agreements: HashMap<AgreementId, Kept<Agreement>>,
    installations: HashMap<InstallationId, Kept<Installation>>,
    scope_numbers: HashMap<Box<str>, ScopeId>,
    scope_names: Vec<Box<str>>,
    matcher: Matcher<Rc<OperationState>>,
    matcher_is_stale: bool,
    generation: u32,
    packed_apps: Vec<u32>,
}

/// One change as it travels, its state not yet read: each kind is read straight
/// into its type, without a detour through a tree.
#[derive(Deserialize)]
struct RawChange<'a> {
    kind: &'a str,
    #[serde(borrow)]
    state: &'a RawValue,
}

impl Programme {
    /// The app with that number.
    #[must_use]
    pub fn app(&self, number: u32) -> Option<&AppState> {
        self.apps.get(number as usize)
    }

    /// An organisation's standing.
    #[must_use]
    pub fn organisation(&self, id: &OrganisationId) -> Option<&Organisation> {
        self.organisations.get(id).map(|kept| &kept.value)
    }

    /// A product.
    #[must_use]
    pub fn product(&self, id: &ProductId) -> Option<&ProductState> {
        self.products.get(id)
    }

    /// A plan.
    #[must_use]
    pub fn plan(&self, id: &PlanId) -> Option<&Rc<Plan>> {
        self.plans.get(id).map(|kept| &kept.value)
    }

    /// A plan's id as text.
    #[must_use]
    pub fn plan_text(&self, id: &PlanId) -> Rc<str> {
        self.plan_texts
            .get(id)
            .map_or_else(|| id.to_string().into(), Rc::clone)
    }

    /// An installation.
    #[must_use]
    pub fn installation(&self, id: &InstallationId) -> Option<&Installation> {
        self.installations.get(id).map(|kept| &kept.value)
    }

    /// The agreements.
    pub fn agreements(&self) -> impl Iterator<Item = &Agreement> {
        self.agreements.values().map(|kept| &kept.value)
    }

    /// The subscriptions.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Rc<Subscription>> {
        self.subscriptions.values().map(|kept| &kept.value)
    }

    /// The operations that `method` and `path` are, one per product that has them.
    #[must_use]
    pub fn operations(&self, method: &str, path: &str) -> &[Rc<OperationState>] {
        self.matcher.find(method, path).unwrap_or_default()
    }

    /// A scope's name.
    #[must_use]
    pub fn scope_name(&self, scope: ScopeId) -> &str {
        self.scope_names.get(scope as usize).map_or("", |name| name)
    }

    /// A scope's number, if anything in the feed has named it.
    #[must_use]
    pub fn find_scope(&self, name: &str) -> Option<ScopeId> {
        self.scope_numbers.get(name).copied()
    }

    fn scope(&mut self, name: &str) -> ScopeId {
        if let Some(number) = self.find_scope(name) {
            return number;
        }
        let number = self.scope_names.len() as ScopeId;
        self.scope_names.push(name.into());
        self.scope_numbers.insert(name.into(), number);
        number
    }

    fn scopes<'a>(&mut self, names: impl Iterator<Item = &'a String>) -> Box<[ScopeId]> {
        let mut scopes: Vec<ScopeId> = names.map(|name| self.scope(name)).collect();
        scopes.sort_unstable();
        scopes.dedup();
        scopes.into()
    }

    /// Applies a change as JSON (`kind` and `state`). Kinds that this version
    /// does not know are left out, so that a newer portal can speak to it.
    ///
    /// # Errors
    /// The change is not of the form its kind has.
    pub fn apply_json(&mut self, json: &[u8]) -> Result<(), serde_json::Error> {
        fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, serde_json::Error> {
            serde_json::from_str(raw.get())
        }
        let RawChange { kind, state } = serde_json::from_slice(json)?;
        self.apply(match kind {
            "credential" => Change::Credential(read(state)?),
            "app" => Change::App(read(state)?),
            "subscription" => Change::Subscription(read(state)?),
            "organisation" => Change::Organisation(read(state)?),
            "installation" => Change::Installation(read(state)?),
            "credential_removed" => Change::CredentialRemoved(read(state)?),
            "plan" => Change::Plan(read(state)?),
            "product" => Change::Product(read(state)?),
            "agreement" => Change::Agreement(read(state)?),
            "programme" => Change::Programme(read(state)?),
            "jwks" => Change::Jwks(read(state)?),
            _ => return Ok(()),
        });
        Ok(())
    }

    /// Applies a change.
    pub fn apply(&mut self, change: Change) {
        self.version += 1;
        let generation = self.generation;
        match change {
            Change::Programme(settings) => self.settings = Some(settings),
            Change::Jwks(set) => {
                self.keys = VerificationKeys::read(&set);
                self.keys_version += 1;
            }
            Change::Product(product) => self.apply_product(product),
            Change::Plan(plan) => {
                let kept = Kept {
                    generation,
                    value: Rc::new(plan),
                };
                let id = kept.value.plan;
                self.plan_texts.insert(id, id.to_string().into());
                self.plans.insert(id, kept);
            }
            Change::Agreement(value) => {
                self.agreements
                    .insert(value.agreement, Kept { value, generation });
            }
            Change::Organisation(value) => {
                self.organisations
                    .insert(value.organisation, Kept { value, generation });
            }
            Change::App(app) => self.apply_app(&app),
            Change::Subscription(subscription) => self.apply_subscription(subscription),
            Change::Credential(credential) => self.apply_credential(credential),
            Change::Installation(value) => {
                self.installations
                    .insert(value.installation, Kept { value, generation });
            }
            Change::CredentialRemoved(RemovedCredential { hash, .. }) => {
                self.credentials.remove(&hash);
            }
        }
    }

    fn app_number(&mut self, app: AppId) -> u32 {
        if let Some(number) = self.app_numbers.get(&app) {
            return *number;
        }
        let number = self.apps.len() as u32;
        self.apps.push(AppState {
            app,
            text: app.to_string().into(),
            organisation_text: "".into(),
            organisation: None,
            suspended: false,
            subscriptions: Vec::new(),
            generation: self.generation,
        });
        self.app_numbers.insert(app, number);
        number
    }

    fn app_mut(&mut self, app: AppId) -> Option<&mut AppState> {
        let number = self.app_number(app);
        self.apps.get_mut(number as usize)
    }

    fn apply_app(&mut self, app: &App) {
        let generation = self.generation;
        if let Some(state) = self.app_mut(app.app) {
            state.organisation = Some(app.organisation);
            state.organisation_text = app.organisation.to_string().into();
            state.suspended = app.suspended;
            state.generation = generation;
        }
    }

    fn apply_subscription(&mut self, subscription: Subscription) {
        let id = subscription.subscription;
        let value = Rc::new(subscription);
        if let Some(former) = self.subscriptions.get(&id).map(|kept| kept.value.app) {
            self.forget_subscription(former, id);
        }
        if let Some(app) = self.app_mut(value.app) {
            app.subscriptions.push(Rc::clone(&value));
            // The newest comes first: it decides where several have the operation.
            app.subscriptions
                .sort_by_key(|other| core::cmp::Reverse(other.subscription));
        }
        let generation = self.generation;
        self.subscriptions.insert(id, Kept { value, generation });
    }

    fn forget_subscription(&mut self, app: AppId, id: SubscriptionId) {
        if let Some(app) = self.app_mut(app) {
            app.subscriptions.retain(|other| other.subscription != id);
        }
    }

    fn apply_credential(&mut self, credential: Credential) {
        let extras = (!credential.is_packable()).then(|| Extras {
            scopes: credential
                .scopes
                .as_ref()
                .map(|names| self.scopes(names.iter())),
            networks: credential
                .addresses
                .iter()
                .filter_map(|text| Network::parse(text))
                .collect(),
            is_restricted: !credential.addresses.is_empty(),
            expires_at_ms: credential.expires_at_ms,
            revoked_at_ms: credential.revoked_at_ms,
            ends_at_ms: credential.ends_at_ms,
        });
        let app = self.app_number(credential.app);
        self.credentials.upsert(NewCredential {
            hash: credential.hash,
            credential: credential.credential,
            app,
            environment: credential.environment,
            extras,
        });
    }

    fn apply_product(&mut self, product: Product) {
        let names = product
            .operations
            .iter()
            .flat_map(|operation| &operation.scopes);
        let scopes = self.scopes(names);
        let state = ProductState {
            meters: product.meters.clone().into(),
            meter_ids: product.meters.iter().map(|meter| meter.meter).collect(),
            scopes,
            generation: self.generation,
            source: product,
        };
        self.products.insert(state.source.product, state);
        self.matcher_is_stale = true;
    }

    /// Names the apps that packed rows will count in; `first` begins the list anew.
    pub fn add_packed_apps(&mut self, apps: impl Iterator<Item = AppId>, first: bool) {
        if first {
            self.packed_apps.clear();
        }
        for app in apps {
            let number = self.app_number(app);
            self.packed_apps.push(number);
        }
    }

    /// Stores packed credentials.
    pub fn add_packed(&mut self, rows: impl Iterator<Item = PackedCredential>) {
        self.version += 1;
        for row in rows {
            if let Some(&app) = self.packed_apps.get(row.app as usize) {
                self.credentials.upsert(NewCredential {
                    hash: row.hash,
                    credential: row.credential,
                    app,
                    environment: row.environment,
                    extras: None,
                });
            }
        }
    }

    /// Forgets some of the credentials that the last snapshot no longer had;
    /// whether there may be more.
    pub fn sweep_some(&mut self) -> bool {
        self.version += 1;
        self.credentials.sweep_some()
    }

    /// A snapshot begins: it takes over in place, object by object.
    pub fn begin_snapshot(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.credentials.begin_generation();
    }

    /// The snapshot is complete: what it does not have no longer exists.
    pub fn end_snapshot(&mut self) {
        self.version += 1;
        let now = self.generation;
        let gone: Vec<_> = self
            .subscriptions
            .values()
            .filter(|kept| kept.generation != now)
            .map(|kept| (kept.value.app, kept.value.subscription))
            .collect();
        for (app, subscription) in gone {
            self.forget_subscription(app, subscription);
            self.subscriptions.remove(&subscription);
        }
        self.plans.retain(|_, kept| kept.generation == now);
        self.plan_texts.retain(|id, _| self.plans.contains_key(id));
        self.agreements.retain(|_, kept| kept.generation == now);
        self.organisations.retain(|_, kept| kept.generation == now);
        self.installations.retain(|_, kept| kept.generation == now);
        self.products.retain(|_, product| product.generation == now);
        // Apps keep their numbers; one that is gone only loses its owner.
        for app in self.apps.iter_mut().filter(|app| app.generation != now) {
            app.organisation = None;
        }
        self.matcher_is_stale = true;
        self.credentials.end_generation();
        self.packed_apps = Vec::new();
    }

    /// Rebuilds the matcher if products changed. Called after every slice of changes.
    pub fn settle(&mut self) {
        if !core::mem::take(&mut self.matcher_is_stale) {
            return;
        }
        let products = core::mem::take(&mut self.products);
        let mut matcher = Matcher::default();
        for product in products.values() {
            for operation in &product.source.operations {
                let state = OperationState {
                    product: product.source.product,
                    name: operation.name.as_str().into(),
                    scopes: self.scopes(operation.scopes.iter()),
                    weight: operation.weight,
                };
                matcher.insert(&operation.method, &operation.path, Rc::new(state));
            }
        }
        self.products = products;
        self.matcher = matcher;
    }

    /// Finds a credential by its digest.
    #[must_use]
    pub fn find_credential(&self, hash: &KeyHash) -> Option<Found<'_>> {
        self.credentials.find(hash)
    }
}
