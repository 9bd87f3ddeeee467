//! The whole decision beside a slow reference model: random programmes that change
//! while random calls come to several workers. Codes, identity headers, limit
//! fields and counted cells must agree, call by call.
//!
//! `PORTICO_MODEL_REQUESTS` sets how many calls (a million takes minutes in a
//! release build), `PORTICO_MODEL_SEED` where they begin.

mod reference;

use super::*;
use reference::{Reference, Request, Told};
use shared::feed::{AcceptedVersion, Agreement, RequiredVersion};
use shared::ids::AgreementId;
use std::sync::OnceLock;

const PER_PROGRAMME: u64 = 4_000;
/// The number of a key that no feed has named.
const UNKNOWN: u8 = 200;
const PUBLIC: &str = "/open/status";

/// A small generator of numbers: the same seed gives the same programme and calls.
pub(super) struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        let mut kept = of.to_vec();
        kept.retain(|_| self.once_in(2));
        kept
    }
}

const SCOPES: [&str; 4] = ["orders:read", "orders:write", "refunds:read", "admin"];
const TEMPLATES: [(&str, &str); 10] = [
    ("GET", "/v1/orders"),
    ("POST", "/v1/orders"),
    ("GET", "/v1/orders/{id}"),
    ("GET", "/v1/orders/export"),
    ("DELETE", "/v1/orders/{id}"),
    ("GET", "/v1/orders/{id}.json"),
    ("POST", "/v1/orders/{id}:cancel"),
    ("GET", "/v1/{any}/export"),
    ("HEAD", "/v1/refunds"),
    ("GET", "/v1/refunds"),
];
const PATHS: [&str; 14] = [
    "/v1/orders/..",
    "/v1/orders",
    "/v1/orders/",
    "/v1/orders/7",
    "/v1/orders/export",
    "/v1/orders/exp%6Frt",
    "/v1/orders/7.json",
    "/v1/orders/7:cancel",
    "/v1/refunds/export",
    "/v1/refunds",
    "/v1/refunds/7",
    "/v1/orders/../refunds",
    "/nowhere",
    PUBLIC,
];
const METHODS: [&str; 5] = ["GET", "GET", "POST", "HEAD", "DELETE"];
const NETWORKS: [&str; 5] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "192.0.2.7",
    "2001:db8::/32",
    "not a network",
];
const CLIENTS: [&str; 5] = [
    "10.1.2.3:5000",
    "10.9.9.9:1",
    "192.0.2.7:80",
    "[2001:db8::7]:443",
    "[2001:db9::7]:443",
];

fn scopes(dice: &mut Dice) -> Vec<String> {
    dice.some(&SCOPES).into_iter().map(str::to_owned).collect()
}

fn product(dice: &mut Dice, number: u8) -> Product {
    let templates = dice.some(&TEMPLATES);
    let operations = templates.into_iter().map(|(method, path)| Operation {
        name: format!("{method} {path} of {number}"),
        method: method.into(),
        path: path.into(),
        scopes: if dice.once_in(3) {
            scopes(dice)
        } else {
            Vec::new()
        },
        weight: dice.pick(&[1, 1, 1, 2, 5, 40]),
        deprecated: false,
    });
    Product {
        product: id(ProductId::from_bytes, number),
        operations: operations.collect(),
        meters: vec![Meter {
            meter: id(MeterId::from_bytes, number),
            source: MeterSource::Weight,
        }],
    }
}

fn any_plan(dice: &mut Dice, number: u8) -> Plan {
    let names = dice.some(&["burst", "each", "hour"]);
    let limits = names.into_iter().map(|name| RateLimit {
        name: name.into(),
        limit: dice.pick(&[1, 3, 7, 50, 1_000]),
        window_secs: dice.pick(&[1, 7, 60, 3_600]),
        per: dice.pick(&[
            RateLimitScope::Subscription,
            RateLimitScope::Credential,
            RateLimitScope::Operation,
        ]),
        shadow: dice.once_in(5),
        across_edges: false,
    });
    let rate_limits = limits.collect();
    let enforcement = dice.pick(&[
        QuotaEnforcement::Hard,
        QuotaEnforcement::Soft,
        QuotaEnforcement::Corridor {
            ceiling_percent: 120,
        },
    ]);
    let quota = (!dice.once_in(3)).then(|| Quota {
        enforcement,
        shadow: dice.once_in(6),
        ..hard_quota(dice.pick(&[100, 5_000]))
    });
    Plan {
        plan: id(PlanId::from_bytes, number),
        rate_limits,
        quota,
        counting: Counting {
            status_classes: dice.some(&[2, 3, 4, 5]),
            aborted: true,
            weight_header: dice.once_in(2).then(|| "x-units".into()),
        },
        when_stale: WhenStale::Open,
    }
}

fn any_subscription(dice: &mut Dice, number: u8, now_ms: u64) -> Subscription {
    const HOUR: u64 = 3_600_000;
    Subscription {
        subscription: id(SubscriptionId::from_bytes, number),
        app: id(AppId::from_bytes, 1 + dice.below(4) as u8),
        product: id(ProductId::from_bytes, 1 + dice.below(3) as u8),
        plan: id(PlanId::from_bytes, 1 + dice.below(4) as u8),
        environments: match dice.below(4) {
            0 => vec![Environment::Test],
            1 => vec![Environment::Live],
            _ => vec![Environment::Test, Environment::Live],
        },
        ends_at_ms: dice.once_in(6).then(|| now_ms + dice.below(HOUR)),
        periods: (0..40).map(|hours| NOW_MS + hours * HOUR).collect(),
    }
}

fn any_credential(dice: &mut Dice, number: u8, now_ms: u64) -> Credential {
    let environment = environment_of(number);
    let hash = key_of(number).1;
    Credential {
        app: id(AppId::from_bytes, 1 + dice.below(4) as u8),
        scopes: dice.once_in(3).then(|| scopes(dice)),
        addresses: if dice.once_in(3) {
            dice.some(&NETWORKS)
                .into_iter()
                .map(str::to_owned)
                .collect()
        } else {
            Vec::new()
        },
        expires_at_ms: dice.once_in(5).then(|| now_ms + dice.below(1_000_000)),
        revoked_at_ms: dice.once_in(12).then_some(now_ms),
        ends_at_ms: dice.once_in(6).then(|| now_ms + dice.below(1_000_000)),
        ..credential(number, environment, hash)
    }
}

/// The key of a credential, and its digest.
fn key_of(number: u8) -> &'static (String, KeyHash) {
    static KEYS: OnceLock<Vec<(String, KeyHash)>> = OnceLock::new();
    let make = || (0..=u8::MAX).map(|number| key(number, environment_of(number)));
    &KEYS.get_or_init(|| make().collect())[usize::from(number)]
}

const fn environment_of(number: u8) -> Environment {
    if number.is_multiple_of(3) {
        Environment::Test
    } else {
        Environment::Live
    }
}

/// The new state of some object.
fn any_change(dice: &mut Dice, now_ms: u64) -> Change {
    let number = 1 + dice.below(4) as u8;
    match dice.below(16) {
        0 => Change::Organisation(Organisation {
            organisation: id(OrganisationId::from_bytes, 1 + number % 2),
            suspended: dice.once_in(4),
            accepted: vec![AcceptedVersion {
                agreement: id(AgreementId::from_bytes, 1),
                version: 1 + dice.below(3) as u32,
            }],
        }),
        1 => Change::App(App {
            app: id(AppId::from_bytes, number),
            organisation: id(OrganisationId::from_bytes, 1 + number % 2),
            suspended: dice.once_in(6),
        }),
        2 => Change::Product(product(dice, 1 + number % 3)),
        3 | 4 => Change::Plan(any_plan(dice, number)),
        5 => Change::Agreement(Agreement {
            agreement: id(AgreementId::from_bytes, 1),
            products: dice
                .once_in(2)
                .then(|| vec![id(ProductId::from_bytes, 1 + number % 3)]),
            required: (1..=1 + dice.below(2) as u32)
                .map(|version| RequiredVersion {
                    version,
                    from_ms: now_ms + u64::from(version - 1) * 200_000,
                })
                .collect(),
        }),
        6..9 => {
            let number = 1 + dice.below(6) as u8;
            Change::Subscription(any_subscription(dice, number, now_ms))
        }
        9 => {
            let number = 1 + dice.below(24) as u8;
            let hash = key_of(number).1;
            let credential = id(CredentialId::from_bytes, number);
            Change::CredentialRemoved(shared::feed::RemovedCredential { credential, hash })
        }
        _ => {
            let number = 1 + dice.below(24) as u8;
            Change::Credential(any_credential(dice, number, now_ms))
        }
    }
}

/// The credential headers and the query of a call.
fn any_request(dice: &mut Dice) -> Request {
    let number = 1 + dice.below(24) as u8;
    let mut text = key_of(number).0.clone();
    match dice.below(24) {
        0 => {
            let last = text.pop();
            text.push(if last == Some('a') { 'b' } else { 'a' });
        }
        1 => text.clone_from(&key_of(UNKNOWN).0),
        2 => text = text.replacen("pk_", "xx_", 1),
        _ => {}
    }
    let mut request = Request {
        method: dice.pick(&METHODS),
        path: dice.pick(&PATHS),
        client: dice.pick(&CLIENTS),
        forged: dice.once_in(3),
        status: dice.pick(&[200, 200, 200, 204, 302, 404, 500]),
        units: dice.once_in(3).then(|| dice.below(9)),
        ..Request::default()
    };
    let basic = || {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{text}:ignored"));
        format!("BASIC {text}")
    };
    match dice.below(12) {
        0 => {}
        1 => request.authorization = Some(basic()),
        2 => request.query = Some(text.clone()),
        3 => {
            request.authorization = Some(format!("Bearer {text}"));
            request.api_key = Some(text.clone());
        }
        4 => {
            request.authorization = Some(format!("Bearer {text}"));
            request.api_key = Some(key_of(1 + dice.below(24) as u8).0.clone());
        }
        5 => {
            request.authorization = Some("Digest of-the-upstream".into());
            request.api_key = Some(text.clone());
        }
        6..9 => request.authorization = Some(format!("bearer  {text} ")),
        _ => request.api_key = Some(text.clone()),
    }
    request
}

/// One programme and its calls.
struct Trial {
    dice: Dice,
    edge: Edge,
    reference: Reference,
}

impl Trial {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut edge = Edge::new(1 + dice.below(4) as usize, Portal::empty());
        edge.portal.ceiling = 300;
        let configuration =
            br#"{"portal_cluster":"p","portal_authority":"portal","public_paths":["/open/*"]}"#;
        for worker in &mut edge.workers {
            let variable = |_: &str| Some(SECRET.to_owned());
            worker
                .configure(&edge.host, configuration, variable, "edge-1")
                .unwrap();
        }
        let mut trial = Self {
            dice,
            edge,
            reference: Reference::default(),
        };
        trial.publish(Change::Programme(Settings {
            query_parameter: Some("api_key".into()),
            ..settings()
        }));
        for number in 1..=4 {
            let first = [
                Change::Organisation(Organisation {
                    organisation: id(OrganisationId::from_bytes, 1 + number % 2),
                    suspended: false,
                    accepted: Vec::new(),
                }),
                Change::App(App {
                    app: id(AppId::from_bytes, number),
                    organisation: id(OrganisationId::from_bytes, 1 + number % 2),
                    suspended: false,
                }),
                Change::Product(product(&mut trial.dice, 1 + number % 3)),
                Change::Plan(any_plan(&mut trial.dice, number)),
            ];
            first.into_iter().for_each(|change| trial.publish(change));
        }
        for number in 1..=6 {
            let change = any_subscription(&mut trial.dice, number, NOW_MS);
            trial.publish(Change::Subscription(change));
        }
        for number in 1..=24 {
            let change = any_credential(&mut trial.dice, number, NOW_MS);
            trial.publish(Change::Credential(change));
        }
        trial.edge.host.disturb_every.set(5);
        trial.run(1_000);
        trial
    }

    fn publish(&mut self, change: Change) {
        self.reference.apply(change.clone());
        self.edge.portal.publish(change);
    }

    fn run(&mut self, ms: u64) {
        self.edge.run(ms);
        // An election that was disturbed takes its time.
        let newest = self.edge.portal.log.len() as u64;
        let is_behind = |worker: &Worker| worker.replay.applied_position < newest;
        while self.edge.workers.iter().any(is_behind) {
            self.edge.run(200);
        }
        let pools = self.edge.portal.pools.iter();
        self.reference.lent = pools
            .map(|(key, pool)| (*key, (pool.granted, pool.given_back)))
            .collect();
    }

    /// Time passes: a little, or much, with or without a change of the programme.
    fn pass_time(&mut self) {
        let step = match self.dice.below(8) {
            0 => self.dice.below(3_000_000_000),
            1..4 => self.dice.below(50_000_000),
            _ => self.dice.below(200_000),
        };
        let now_ns = self.edge.host.now_ns.get() + step;
        self.edge.host.now_ns.set(now_ns);
        if self.dice.once_in(30) {
            let changes = self.dice.below(3);
            for _ in 0..changes {
                let change = any_change(&mut self.dice, now_ns / 1_000_000);
                self.publish(change);
            }
            if self.dice.once_in(20) {
                self.edge.host.advance_ms(self.dice.below(2_000_000));
            }
            // Long enough for a poll, a page and a report.
            self.run(500);
        }
    }

    fn call(&mut self, number: u64) {
        let request = any_request(&mut self.dice);
        let now_ns = self.edge.host.now_ns.get();
        let expected = self.reference.decide(&request, now_ns);
        let told = self.send(&request);
        assert_eq!(told, expected, "call {number}: {request:?}");
    }

    /// A whole call through a worker; what caller and upstream saw of it.
    fn send(&mut self, request: &Request) -> Told {
        let host = &self.edge.host;
        *host.request.borrow_mut() = request.headers();
        *host.client.borrow_mut() = Some(request.client.to_owned());
        self.edge.streams += 1;
        let pairs = host.request_headers();
        let place = self.dice.below(self.edge.workers.len() as u64) as usize;
        let worker = &mut self.edge.workers[place];
        let verdict = worker.decide(host, self.edge.streams, &pairs);
        verdict.carry_out(host);
        let mut told = Told {
            code: match &verdict.action {
                Action::Pass(_) => "ok".into(),
                Action::Refuse(refusal) => refusal.code.as_str().into(),
            },
            ..Told::default()
        };
        let response = match &verdict.action {
            Action::Refuse(refusal) => refusal
                .headers
                .iter()
                .map(|(name, value)| {
                    (
                        AsRef::<str>::as_ref(name).to_owned(),
                        AsRef::<str>::as_ref(value).to_owned(),
                    )
                })
                .collect(),
            Action::Pass(_) => {
                told.upstream = host.request.borrow().clone();
                told.upstream.sort();
                *host.response.borrow_mut() = request.response();
                worker.take_response(host, self.edge.streams);
                host.response.borrow().clone()
            }
        };
        let limits = response
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("ratelimit"));
        // What is left of a quota depends on how it is lent: only rates are compared.
        let rates = limits.map_or("", |(_, text)| text.as_str());
        told.rates = rates
            .split(", ")
            .filter(|rate| !rate.starts_with("\"month\""))
            .map(str::to_owned)
            .collect();
        if rates.is_empty() {
            told.rates.clear();
        }
        worker.finish(host, self.edge.streams);
        host.take_crossings();
        told
    }

    fn compare_counts(&mut self) {
        self.run(3_000);
        let mut counted = BTreeMap::new();
        for (identity, calls) in &self.edge.portal.cells {
            let cell: shared::usage::Cell = serde_json::from_str(identity).unwrap();
            *counted.entry((cell.operation, cell.outcome)).or_insert(0) += calls;
        }
        assert_eq!(counted, self.reference.counted);
    }
}

fn number_from(variable: &str, usual: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(usual, |text| text.parse().expect(variable))
}

#[test]
fn every_decision_agrees_with_the_slow_reference_model() {
    let requests = number_from("PORTICO_MODEL_REQUESTS", 8_000);
    let seed = number_from("PORTICO_MODEL_SEED", 1);
    let mut codes = BTreeMap::new();
    for part in 0..requests.div_ceil(PER_PROGRAMME) {
        let mut trial = Trial::new(seed + part);
        for number in 0..PER_PROGRAMME.min(requests - part * PER_PROGRAMME) {
            trial.pass_time();
            trial.call(number);
        }
        trial.compare_counts();
        for ((_, outcome), calls) in &trial.reference.counted {
            *codes.entry(outcome.clone()).or_insert(0u64) += calls;
        }
    }
    println!("{requests} calls, 0 differences: {codes:?}");
    // A model that never leaves the beaten path would prove little.
    for code in [
        "2xx",
        "4xx",
        "5xx",
        "rate_limited",
        "quota_exceeded",
        "insufficient_scope",
        "subscription_required",
        "agreement_required",
        "address_not_allowed",
        "expired_credential",
        "revoked_credential",
        "unknown_credential",
        "malformed_credential",
        "ambiguous_credential",
        "missing_credential",
        "unknown_operation",
        "organisation_suspended",
    ] {
        assert!(codes.contains_key(code), "never seen: {code}");
    }
}
