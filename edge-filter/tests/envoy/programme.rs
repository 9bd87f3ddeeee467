//! A programme to test with: one organisation, its app, a product, a plan.

use crate::portal::{Portal, key_from, now_ms};
use shared::credential::Environment;
use shared::feed::{
    AcceptedVersion, Agreement, App, Change, Credential, Organisation, Programme as Settings,
    RequiredVersion, Subscription,
};
use shared::ids::{
    AgreementId, AppId, CredentialId, MeterId, OrganisationId, PlanId, ProductId, SubscriptionId,
};
use shared::plan::{Counting, Meter, MeterSource, Operation, Plan, Product, RateLimit, WhenStale};

pub const ORGANISATION: OrganisationId = OrganisationId::from_bytes([1; 16]);
pub const APP: AppId = AppId::from_bytes([2; 16]);
pub const PRODUCT: ProductId = ProductId::from_bytes([3; 16]);
pub const PLAN: PlanId = PlanId::from_bytes([4; 16]);
pub const SUBSCRIPTION: SubscriptionId = SubscriptionId::from_bytes([5; 16]);
pub const AGREEMENT: AgreementId = AgreementId::from_bytes([7; 16]);
pub const CALLS: MeterId = MeterId::from_bytes([9; 16]);
pub const PERIOD: [u64; 2] = [1_000, 4_000_000_000_000];

/// Makes changes and publishes them.
pub struct Programme {
    pub portal: Portal,
    pub test_key: String,
    pub live_key: String,
    next: u64,
}

pub fn settings() -> Settings {
    Settings {
        brand: "pk".into(),
        help_base: "https://portal.example/help/".into(),
        issuer: "https://portal.example".into(),
        audience: "https://api.example".into(),
        staleness_budget_secs: 86_400,
        query_parameter: Some("api_key".into()),
    }
}

pub fn operation(name: &str, method: &str, path: &str, scopes: &[&str]) -> Operation {
    Operation {
        name: name.into(),
        method: method.into(),
        path: path.into(),
        scopes: scopes.iter().map(|scope| (*scope).into()).collect(),
        weight: 1,
        deprecated: false,
    }
}

pub fn plan() -> Plan {
    Plan {
        plan: PLAN,
        rate_limits: Vec::new(),
        quota: None,
        counting: Counting::default(),
        when_stale: WhenStale::Open,
    }
}

pub fn rate_limit(name: &str, limit: u32, window_secs: u32) -> RateLimit {
    RateLimit {
        name: name.into(),
        limit,
        window_secs,
        per: Default::default(),
        shadow: false,
        across_edges: false,
    }
}

pub fn organisation(accepted: u32) -> Organisation {
    Organisation {
        organisation: ORGANISATION,
        suspended: false,
        accepted: vec![AcceptedVersion {
            agreement: AGREEMENT,
            version: accepted,
        }],
    }
}

pub fn subscription() -> Subscription {
    Subscription {
        subscription: SUBSCRIPTION,
        app: APP,
        product: PRODUCT,
        plan: PLAN,
        environments: vec![Environment::Test, Environment::Live],
        ends_at_ms: None,
        periods: PERIOD.to_vec(),
    }
}

impl Programme {
    /// A portal with a programme in which everything is in order.
    pub fn start() -> Self {
        let mut programme = Self {
            portal: Portal::start(),
            test_key: String::new(),
            live_key: String::new(),
            next: 100,
        };
        let publish = |change| programme.portal.publish(change);
        publish(Change::Programme(settings()));
        publish(Change::Product(Product {
            product: PRODUCT,
            operations: vec![
                operation("listOrders", "GET", "/v1/orders", &["orders:read"]),
                operation("getOrder", "GET", "/v1/orders/{order_id}", &["orders:read"]),
                operation("createOrder", "POST", "/v1/orders", &["orders:write"]),
                operation("hello", "GET", "/hello", &[]),
            ],
            meters: vec![Meter {
                meter: CALLS,
                source: MeterSource::Calls,
            }],
        }));
        publish(Change::Plan(plan()));
        publish(Change::Agreement(Agreement {
            agreement: AGREEMENT,
            products: None,
            required: vec![RequiredVersion {
                version: 1,
                from_ms: 1_000,
            }],
        }));
        publish(Change::Organisation(organisation(1)));
        publish(Change::App(App {
            app: APP,
            organisation: ORGANISATION,
            suspended: false,
        }));
        publish(Change::Subscription(subscription()));
        programme.test_key = programme.issue(Environment::Test, |_| ());
        programme.live_key = programme.issue(Environment::Live, |_| ());
        programme
    }

    /// A credential that is known to nobody yet.
    pub fn new_credential(&mut self, environment: Environment) -> (String, Credential) {
        self.next += 1;
        let (key, hash) = key_from(self.next, environment);
        let credential = Credential {
            credential: CredentialId::new(now_ms(), &[self.next as u8; 10]),
            app: APP,
            environment,
            hash,
            scopes: None,
            addresses: Vec::new(),
            expires_at_ms: None,
            revoked_at_ms: None,
            ends_at_ms: None,
        };
        (key, credential)
    }

    /// Publishes a credential; its key.
    pub fn issue(
        &mut self,
        environment: Environment,
        change: impl FnOnce(&mut Credential),
    ) -> String {
        let (key, mut credential) = self.new_credential(environment);
        change(&mut credential);
        self.portal.publish(Change::Credential(credential));
        key
    }
}
