//! Several virtual machines of one Envoy against a portal, all in memory.

mod economy;
mod events;
mod leases;
mod model;
mod outages;
mod shares;

use super::*;
use crate::testing::MemoryHost;
use crate::usage::{self, BUCKETS};
use crate::verdict::Action;
use shared::credential::{Environment, KeyHash, Pepper, PlainKey};
use shared::feed::{
    App, Change, Credential, FeedEntry, FeedPage, Organisation, Programme as Settings,
    SnapshotPage, Subscription,
};
use shared::ids::{
    AppId, CredentialId, MeterId, OrganisationId, PlanId, ProductId, SubscriptionId,
};
use shared::lease::{LeaseGrant, LeaseKey};
use shared::plan::{
    Counting, Meter, MeterSource, Operation, Plan, Product, Quota, QuotaEnforcement, RateLimit,
    RateLimitScope, WhenStale, WithoutLease,
};
use shared::share::{Holding, ShareGrant, ShareRequest, divide};
use shared::signing::EdgeSecret;
use shared::usage::{Report, ReportAnswer};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW_MS: u64 = 1_767_225_600_000;
const CONFIGURATION: &[u8] = br#"{"portal_cluster":"p","portal_authority":"portal"}"#;

fn id<T>(make: impl FnOnce([u8; 16]) -> T, number: u8) -> T {
    make([number; 16])
}

fn key(seed: u8, environment: Environment) -> (String, KeyHash) {
    let mut next = seed;
    let key = PlainKey::generate("pk", environment, |bytes| {
        for byte in bytes {
            next = next.wrapping_mul(167).wrapping_add(13);
            *byte = next;
        }
    })
    .unwrap();
    let hash = Pepper::new(SECRET.as_bytes()).digest(key.expose());
    (key.expose().to_owned(), hash)
}

struct Portal {
    log: Vec<FeedEntry>,
    secret: EdgeSecret,
    is_down: bool,
    /// Calls per cell, merged by maximum.
    cells: BTreeMap<String, u64>,
    reports: Vec<Report>,
    /// What every pool holds.
    ceiling: u64,
    pools: HashMap<LeaseKey, Pool>,
    /// Which of several edges it speaks with, and what it knows of the shares of all.
    place: usize,
    holdings: Rc<RefCell<BTreeMap<usize, Holding>>>,
}

/// What is lent of one subscription's quota.
#[derive(Default)]
struct Pool {
    granted: u64,
    given_back: u64,
}

impl Portal {
    fn empty() -> Self {
        Self {
            log: Vec::new(),
            secret: EdgeSecret::new(SECRET.as_bytes()),
            is_down: false,
            cells: BTreeMap::new(),
            reports: Vec::new(),
            ceiling: 0,
            pools: HashMap::new(),
            place: 0,
            holdings: Rc::default(),
        }
    }

    fn new() -> Self {
        let mut portal = Self::empty();
        portal.publish(Change::Programme(settings()));
        portal.publish(Change::Product(product("hello", 1)));
        portal.publish(Change::Plan(plan()));
        portal.publish(Change::Organisation(Organisation {
            organisation: id(OrganisationId::from_bytes, 1),
            suspended: false,
            accepted: Vec::new(),
        }));
        portal.publish(Change::App(App {
            app: id(AppId::from_bytes, 2),
            organisation: id(OrganisationId::from_bytes, 1),
            suspended: false,
        }));
        portal.publish(Change::Subscription(subscription(vec![
            Environment::Test,
            Environment::Live,
        ])));
        portal
    }

    fn publish(&mut self, change: Change) {
        let position = self.log.len() as u64 + 1;
        self.log.push(FeedEntry {
            position,
            at_ms: NOW_MS,
            change,
        });
    }

    fn issue(&mut self, seed: u8, environment: Environment) -> String {
        let (text, hash) = key(seed, environment);
        self.publish(Change::Credential(credential(seed, environment, hash)));
        text
    }

    fn answer(&mut self, path: &str, body: &[u8]) -> Vec<u8> {
        let head = self.log.len() as u64;
        if path == "/edge/v1/snapshot" {
            let changes = self.log.iter().map(|entry| entry.change.clone()).collect();
            return serde_json::to_vec(&SnapshotPage {
                position: head,
                next: None,
                changes,
                packed_apps: Vec::new(),
                packed_credentials: Default::default(),
            })
            .unwrap();
        }
        if let Some(after) = path.strip_prefix("/edge/v1/feed?after=") {
            let after: u64 = after.parse().unwrap();
            let entries = self.log.get(after as usize..).unwrap_or_default().to_vec();
            let page = FeedPage {
                after,
                next: head.max(after),
                complete: false,
                entries,
            };
            return serde_json::to_vec(&page).unwrap();
        }
        let report: Report = serde_json::from_slice(body).unwrap();
        for cell in &report.cells {
            let mut identity = cell.clone();
            (identity.count, identity.units) = (0, 0);
            identity.latency.clear();
            let kept = self
                .cells
                .entry(serde_json::to_string(&identity).unwrap())
                .or_default();
            *kept = cell.count.max(*kept);
        }
        let shares: Vec<_> = report.shares.iter().map(|wish| self.share(wish)).collect();
        let pools = &mut self.pools;
        let leases = report.leases.iter().map(|wish| {
            let pool = pools.entry(wish.key).or_default();
            pool.given_back = pool.given_back.max(wish.given_back);
            if wish.granted == pool.granted {
                let left = self.ceiling - (pool.granted - pool.given_back);
                pool.granted += wish.wanted.min(left);
            }
            LeaseGrant {
                key: wish.key,
                granted: pool.granted,
                pool: self.ceiling - (pool.granted - pool.given_back),
                ends_at_ms: NOW_MS + 1_000_000_000,
            }
        });
        let answer = ReportAnswer {
            acknowledged: report.sequence,
            head,
            now_ms: NOW_MS,
            leases: leases.collect(),
            shares,
        };
        self.reports.push(report);
        serde_json::to_vec(&answer).unwrap()
    }

    fn share(&self, wish: &ShareRequest) -> ShareGrant {
        let mut holdings = self.holdings.borrow_mut();
        holdings.remove(&self.place);
        let others: Vec<Holding> = holdings.values().copied().collect();
        let grant = divide(wish.key, wish.held, wish.demand, &others);
        if wish.demand > 0 {
            let own = Holding {
                granted: grant.millionths,
                held: wish.held,
                demand: wish.demand,
            };
            holdings.insert(self.place, own);
        }
        grant
    }

    fn counted(&self) -> u64 {
        self.cells.values().sum()
    }

    fn given_back(&self) -> u64 {
        self.pools.values().map(|pool| pool.given_back).sum()
    }
}

fn settings() -> Settings {
    Settings {
        brand: "pk".into(),
        help_base: "https://portal.example/help/".into(),
        issuer: String::new(),
        audience: String::new(),
        staleness_budget_secs: 60,
        query_parameter: None,
    }
}

fn product(name: &str, weight: u32) -> Product {
    Product {
        product: id(ProductId::from_bytes, 3),
        operations: vec![Operation {
            name: name.into(),
            method: "GET".into(),
            path: format!("/{name}"),
            scopes: Vec::new(),
            weight,
            deprecated: false,
        }],
        meters: vec![Meter {
            meter: id(MeterId::from_bytes, 9),
            source: MeterSource::Calls,
        }],
    }
}

fn subscription(environments: Vec<Environment>) -> Subscription {
    Subscription {
        subscription: id(SubscriptionId::from_bytes, 5),
        app: id(AppId::from_bytes, 2),
        product: id(ProductId::from_bytes, 3),
        plan: id(PlanId::from_bytes, 4),
        environments,
        ends_at_ms: None,
        periods: vec![NOW_MS - 1_000, NOW_MS + 1_000_000_000],
    }
}

fn plan() -> Plan {
    Plan {
        plan: id(PlanId::from_bytes, 4),
        rate_limits: Vec::new(),
        quota: None,
        counting: Counting::default(),
        when_stale: WhenStale::Open,
    }
}

fn hard_quota(limit: u64) -> Quota {
    Quota {
        name: "month".into(),
        limit,
        enforcement: QuotaEnforcement::Hard,
        without_lease: WithoutLease::Refuse,
        shadow: false,
    }
}

fn credential(seed: u8, environment: Environment, hash: KeyHash) -> Credential {
    Credential {
        credential: id(CredentialId::from_bytes, seed),
        app: id(AppId::from_bytes, 2),
        environment,
        hash,
        scopes: None,
        addresses: Vec::new(),
        expires_at_ms: None,
        revoked_at_ms: None,
        ends_at_ms: None,
    }
}

/// One Envoy: its virtual machines and the portal they speak with.
struct Edge {
    host: MemoryHost,
    workers: Vec<Worker>,
    portal: Portal,
    sink: events::Sink,
    streams: u32,
}

fn new_worker(host: &MemoryHost) -> Worker {
    configured_worker(host, CONFIGURATION)
}

fn configured_worker(host: &MemoryHost, configuration: &[u8]) -> Worker {
    let mut worker = Worker::default();
    let variable = |_: &str| Some(SECRET.to_owned());
    worker
        .configure(host, configuration, variable, "edge-1")
        .unwrap();
    worker
}

impl Edge {
    fn new(workers: usize, portal: Portal) -> Self {
        let host = MemoryHost::at(NOW_MS);
        let workers = (0..workers).map(|_| new_worker(&host)).collect();
        Self {
            host,
            workers,
            portal,
            sink: events::Sink::default(),
            streams: 0,
        }
    }

    /// Lets time pass in ticks, with the portal's answers in between.
    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 50 {
            self.tick();
            self.answer();
        }
    }

    fn tick(&mut self) {
        self.host.advance_ms(50);
        for worker in &mut self.workers {
            worker.tick(&self.host);
        }
    }

    fn answer(&mut self) {
        for (token, call) in self.host.calls.take() {
            if call.path == events::PATH {
                let status = self.sink.take(&call);
                let answer = PortalAnswer {
                    status,
                    signature: "",
                    body: b"",
                };
                for worker in &mut self.workers {
                    worker.take_portal_answer(&self.host, token, &answer);
                }
                continue;
            }
            let body = self.portal.answer(&call.path, &call.body);
            let signature = self.portal.secret.sign_response(&call.path, &body);
            let answer = if self.portal.is_down {
                PortalAnswer {
                    status: 0,
                    signature: "",
                    body: b"",
                }
            } else {
                PortalAnswer {
                    status: 200,
                    signature: &signature,
                    body: &body,
                }
            };
            for worker in &mut self.workers {
                worker.take_portal_answer(&self.host, token, &answer);
            }
        }
    }

    /// What the proxy was asked since this was last asked, without the numbers of slots.
    fn crossings(&self) -> Vec<String> {
        let lines = self.host.take_crossings().into_iter();
        lines
            .map(|line| {
                if line.contains("portico.2.") {
                    line.trim_end_matches(|char: char| char.is_ascii_digit() || char == '.')
                        .to_owned()
                } else {
                    line
                }
            })
            .collect()
    }

    /// A whole call on one worker; the refusal's code, or `ok`.
    fn call(&mut self, worker: usize, key: &str, status: u16) -> &'static str {
        self.streams += 1;
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        *self.host.request.borrow_mut() = vec![
            header(":method", "GET"),
            header(":path", "/hello"),
            header("x-request-id", "r1"),
            header("x-api-key", key),
        ];
        let pairs = self.host.request_headers();
        let worker = &mut self.workers[worker];
        let verdict = worker.decide(&self.host, self.streams, &pairs);
        verdict.carry_out(&self.host);
        let code = match verdict.action {
            Action::Pass(_) => "ok",
            Action::Refuse(refusal) => refusal.code.as_str(),
        };
        *self.host.response.borrow_mut() = vec![(":status".into(), status.to_string())];
        worker.take_response(&self.host, self.streams);
        worker.finish(&self.host, self.streams);
        code
    }
}

#[test]
fn every_worker_knows_the_feed_and_one_speaks_with_the_portal() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(4, portal);
    assert_eq!(edge.call(0, &live, 200), "portal_stale");
    edge.run(500);
    for worker in 0..4 {
        assert_eq!(edge.call(worker, &live, 200), "ok");
    }
    let leaders = edge
        .workers
        .iter()
        .filter(|worker| worker.leader.leads(edge.host.now_ns.get() / 1_000_000));
    assert_eq!(leaders.count(), 1);
    edge.run(1_500);
    assert_eq!(
        edge.portal.counted(),
        5,
        "the refused call is counted as well"
    );
    assert_eq!(
        edge.portal
            .reports
            .last()
            .map(|report| report.applied_position),
        Some(7)
    );
}

#[test]
fn a_replaced_key_works_until_the_overlap_ends() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(2, portal);
    edge.run(500);
    let (_, hash) = key(1, Environment::Live);
    let mut replaced = credential(1, Environment::Live, hash);
    let ends_at_ms = edge.host.now_ns.get() / 1_000_000 + 5_000;
    replaced.ends_at_ms = Some(ends_at_ms);
    edge.portal.publish(Change::Credential(replaced));
    edge.run(400);
    for worker in 0..2 {
        assert_eq!(edge.call(worker, &live, 200), "ok");
    }
    edge.run(5_000);
    for worker in 0..2 {
        assert_eq!(edge.call(worker, &live, 200), "revoked_credential");
    }
}

#[test]
fn a_revocation_reaches_every_worker_and_is_then_acknowledged() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(3, portal);
    edge.run(500);
    let (_, hash) = key(1, Environment::Live);
    let mut revoked = credential(1, Environment::Live, hash);
    revoked.revoked_at_ms = Some(NOW_MS);
    edge.portal.publish(Change::Credential(revoked));
    let before = edge.portal.reports.len();
    edge.run(400);
    for worker in 0..3 {
        assert_eq!(edge.call(worker, &live, 200), "revoked_credential");
    }
    let told = edge.portal.reports[before..]
        .iter()
        .any(|report| report.applied_position == 8);
    assert!(
        told,
        "the position is told at once, not with the next regular report"
    );
}
