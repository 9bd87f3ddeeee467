//! The slow way to decide: lists searched from end to end, limits as whole numbers
//! of tokens times nanoseconds, nothing kept ready, nothing shared.

use super::{PUBLIC, SCOPES, UNKNOWN, key_of};
use shared::credential::Environment;
use shared::feed::{Agreement, App, Change, Credential, Organisation, Subscription};
use shared::ids::SubscriptionId;
use shared::lease::LeaseKey;
use shared::plan::{Operation, Plan, Product, QuotaEnforcement, RateLimit, RateLimitScope};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A call to come.
#[derive(Debug, Default)]
pub struct Request {
    pub method: &'static str,
    pub path: &'static str,
    pub client: &'static str,
    pub forged: bool,
    pub status: u16,
    pub units: Option<u64>,
    pub authorization: Option<String>,
    pub api_key: Option<String>,
    pub query: Option<String>,
}

/// What caller and upstream see of a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub code: String,
    pub upstream: Vec<(String, String)>,
    pub rates: Vec<String>,
}

fn header(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

impl Request {
    fn target(&self, with_key: bool) -> String {
        match &self.query {
            Some(text) if with_key => format!("{}?a=1&api_key={text}", self.path),
            Some(_) => format!("{}?a=1", self.path),
            None => self.path.to_owned(),
        }
    }

    pub fn headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![
            header(":method", self.method),
            header(":path", self.target(true)),
            header("accept", "*/*"),
            header("x-request-id", "r1"),
        ];
        headers.extend(
            self.authorization
                .iter()
                .map(|text| header("authorization", text)),
        );
        headers.extend(self.api_key.iter().map(|text| header("x-api-key", text)));
        if self.forged {
            headers.push(header("x-portico-organisation", "org_forged"));
            headers.push(header("x-portico-made-up", "forged"));
        }
        headers
    }

    pub fn response(&self) -> Vec<(String, String)> {
        let mut headers = vec![header(":status", self.status.to_string())];
        headers.extend(self.units.map(|units| header("x-units", units.to_string())));
        headers
    }

    /// Every credential it carries.
    fn presented(&self) -> BTreeSet<String> {
        let mut texts = BTreeSet::new();
        if let Some((scheme, rest)) = self
            .authorization
            .as_deref()
            .and_then(|text| text.split_once(' '))
        {
            match scheme.to_lowercase().as_str() {
                "bearer" => {
                    texts.insert(rest.trim().to_owned());
                }
                "basic" => {
                    use base64::Engine as _;
                    let bytes = base64::engine::general_purpose::STANDARD
                        .decode(rest)
                        .unwrap();
                    let text = String::from_utf8(bytes).unwrap();
                    texts.insert(text.split(':').next().unwrap().to_owned());
                }
                _ => {}
            }
        }
        texts.extend(self.api_key.iter().cloned());
        texts.extend(self.query.iter().cloned());
        texts
    }
}

/// A bucket: tokens times the window's nanoseconds.
struct Level {
    level: u128,
    at_ns: u64,
    limit: u128,
    window_ns: u128,
}

impl Level {
    /// As it is now, under the limit in force: what was taken stays taken.
    fn follow(&mut self, limit: &RateLimit, now_ns: u64) {
        let passed = u128::from(now_ns - self.at_ns);
        self.level = (self.level + passed * self.limit).min(self.limit * self.window_ns);
        self.at_ns = now_ns;
        let taken = self.limit * self.window_ns - self.level;
        let window_ns = u128::from(limit.window_secs) * 1_000_000_000;
        let taken = (taken * window_ns).div_ceil(self.window_ns);
        (self.limit, self.window_ns) = (limit.limit.into(), window_ns);
        self.level = (self.limit * window_ns).saturating_sub(taken);
    }

    fn cost(&self, units: u64) -> u128 {
        u128::from(units).min(self.limit) * self.window_ns
    }

    fn text(&self, name: &str) -> String {
        let left = self.level / self.window_ns;
        let wait_ns = if left >= self.limit {
            0
        } else {
            ((left + 1) * self.window_ns - self.level).div_ceil(self.limit)
        };
        format!("\"{name}\";r={left};t={}", wait_ns.div_ceil(1_000_000_000))
    }
}

/// A bucket's owner: subscription, environment, name, scope, and what the scope is of.
type LevelKey = (SubscriptionId, Environment, String, u8, String);

/// All that is known.
#[derive(Default)]
pub struct Reference {
    organisations: Vec<Organisation>,
    apps: Vec<App>,
    products: Vec<Product>,
    plans: Vec<Plan>,
    agreements: Vec<Agreement>,
    subscriptions: Vec<Subscription>,
    credentials: Vec<Credential>,
    levels: BTreeMap<LevelKey, Level>,
    spent: HashMap<LeaseKey, u64>,
    /// Granted and given back of every lease, as the portal says.
    pub lent: HashMap<LeaseKey, (u64, u64)>,
    /// Calls by operation and outcome.
    pub counted: BTreeMap<(String, String), u64>,
}

/// What a call is decided under.
struct Terms {
    credential: Credential,
    app: App,
    subscription: Subscription,
    plan: Plan,
    operation: Operation,
    scopes: Vec<String>,
}

fn replace<T>(list: &mut Vec<T>, new: T, is_same: impl Fn(&T, &T) -> bool) {
    list.retain(|old| !is_same(old, &new));
    list.push(new);
}

impl Reference {
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Organisation(new) => {
                replace(&mut self.organisations, new, |a, b| {
                    a.organisation == b.organisation
                });
            }
            Change::App(new) => replace(&mut self.apps, new, |a, b| a.app == b.app),
            Change::Product(new) => replace(&mut self.products, new, |a, b| a.product == b.product),
            Change::Plan(new) => replace(&mut self.plans, new, |a, b| a.plan == b.plan),
            Change::Agreement(new) => {
                replace(&mut self.agreements, new, |a, b| a.agreement == b.agreement);
            }
            Change::Subscription(new) => {
                replace(&mut self.subscriptions, new, |a, b| {
                    a.subscription == b.subscription
                });
            }
            Change::Credential(new) => {
                replace(&mut self.credentials, new, |a, b| {
                    a.credential == b.credential
                });
            }
            Change::CredentialRemoved(gone) => {
                self.credentials.retain(|other| other.hash != gone.hash);
            }
            _ => {}
        }
    }

    pub fn decide(&mut self, request: &Request, now_ns: u64) -> Told {
        if request.path == PUBLIC {
            self.count("", &class(request.status));
            let mut upstream = request.headers();
            upstream.retain(|(name, _)| !name.starts_with("x-portico-"));
            upstream.push(header("x-portico-environment", "live"));
            return Told::passed(upstream, Vec::new());
        }
        match self.judge(request, now_ns / 1_000_000) {
            Err(code) => {
                self.count("", code);
                Told {
                    code: code.to_owned(),
                    ..Told::default()
                }
            }
            Ok(terms) => self.charge(request, &terms, now_ns),
        }
    }

    fn count(&mut self, operation: &str, outcome: &str) {
        *self
            .counted
            .entry((operation.to_owned(), outcome.to_owned()))
            .or_default() += 1;
    }

    fn judge(&self, request: &Request, now_ms: u64) -> Result<Terms, &'static str> {
        let mut texts = request.presented().into_iter();
        let text = match (texts.next(), texts.next()) {
            (None, _) => return Err("missing_credential"),
            (Some(_), Some(_)) => return Err("ambiguous_credential"),
            (Some(text), None) => text,
        };
        let is_own = |number: &u8| key_of(*number).0 == text;
        let number = match (1..=24u8).find(is_own) {
            Some(number) => number,
            None if is_own(&UNKNOWN) => return Err("unknown_credential"),
            None => return Err("malformed_credential"),
        };
        let hash = key_of(number).1;
        let mut credentials = self.credentials.iter();
        let credential = credentials
            .find(|own| own.hash == hash)
            .ok_or("unknown_credential")?;
        let is_replaced = credential.ends_at_ms.is_some_and(|at| at <= now_ms);
        if credential.revoked_at_ms.is_some() || is_replaced {
            return Err("revoked_credential");
        }
        if credential.expires_at_ms.is_some_and(|at| at <= now_ms) {
            return Err("expired_credential");
        }
        let app = self
            .apps
            .iter()
            .find(|app| app.app == credential.app)
            .unwrap();
        let mut organisations = self.organisations.iter();
        let organisation = organisations
            .find(|own| own.organisation == app.organisation)
            .unwrap();
        let is_live = credential.environment == Environment::Live;
        if app.suspended || is_live && organisation.suspended {
            return Err("organisation_suspended");
        }
        let networks = &credential.addresses;
        if !networks.is_empty()
            && !networks
                .iter()
                .any(|network| is_in(request.client, network))
        {
            return Err("address_not_allowed");
        }
        let operations = self.operations(request.method, request.path);
        if operations.is_empty() {
            return Err("unknown_operation");
        }
        let mut subscriptions: Vec<&Subscription> = self.subscriptions.iter().collect();
        subscriptions.sort_by_key(|own| core::cmp::Reverse(own.subscription));
        let (subscription, product, operation) = subscriptions
            .into_iter()
            .filter(|own| own.app == app.app && own.environments.contains(&credential.environment))
            .filter(|own| own.ends_at_ms.is_none_or(|at| now_ms < at))
            .find_map(|own| {
                let mut fitting = operations.iter();
                let (product, operation) =
                    fitting.find(|(product, _)| product.product == own.product)?;
                Some((own, product, operation))
            })
            .ok_or("subscription_required")?;
        let outstanding = self.agreements.iter().any(|agreement| {
            let concerns = agreement
                .products
                .as_ref()
                .is_none_or(|own| own.contains(&product.product));
            let needed = agreement
                .required
                .iter()
                .filter(|own| own.from_ms <= now_ms);
            let needed = needed.map(|own| own.version).max().unwrap_or(0);
            let mut accepted = organisation.accepted.iter();
            let accepted = accepted.find(|own| own.agreement == agreement.agreement);
            concerns && accepted.map_or(0, |own| own.version) < needed
        });
        if is_live && outstanding {
            return Err("agreement_required");
        }
        let of_product = || {
            let named = |scope: &&&str| {
                product
                    .operations
                    .iter()
                    .any(|own| own.scopes.iter().any(|other| other == **scope))
            };
            SCOPES
                .iter()
                .filter(named)
                .map(|scope| (*scope).to_owned())
                .collect()
        };
        let scopes: Vec<String> = credential.scopes.clone().unwrap_or_else(of_product);
        if operation
            .scopes
            .iter()
            .any(|needed| !scopes.contains(needed))
        {
            return Err("insufficient_scope");
        }
        let plan = self
            .plans
            .iter()
            .find(|plan| plan.plan == subscription.plan)
            .unwrap();
        Ok(Terms {
            credential: credential.clone(),
            app: app.clone(),
            subscription: subscription.clone(),
            plan: plan.clone(),
            operation: (*operation).clone(),
            scopes,
        })
    }

    /// The operations of the most specific template that fits.
    fn operations(&self, method: &str, path: &str) -> Vec<(&Product, &Operation)> {
        let all = self.products.iter().flat_map(|product| {
            product
                .operations
                .iter()
                .map(move |operation| (product, operation))
        });
        let mut fitting: Vec<_> = all
            .filter(|(_, operation)| operation.method == method && fits(&operation.path, path))
            .collect();
        fitting.sort_by_key(|(_, operation)| rank(&operation.path));
        let best = fitting.first().map(|(_, operation)| operation.path.clone());
        fitting.retain(|(_, operation)| Some(&operation.path) == best.as_ref());
        if fitting.is_empty() && method == "HEAD" {
            return self.operations("GET", path);
        }
        fitting
    }

    fn charge(&mut self, request: &Request, terms: &Terms, now_ns: u64) -> Told {
        let units = u64::from(terms.operation.weight);
        let environment = terms.credential.environment;
        let limits = &terms.plan.rate_limits;
        let keys: Vec<LevelKey> = limits
            .iter()
            .map(|limit| {
                let of = match limit.per {
                    RateLimitScope::Subscription => String::new(),
                    RateLimitScope::Credential => terms.credential.credential.to_string(),
                    RateLimitScope::Operation => terms.operation.name.clone(),
                };
                (
                    terms.subscription.subscription,
                    environment,
                    limit.name.clone(),
                    limit.per as u8,
                    of,
                )
            })
            .collect();
        let mut has_room = Vec::new();
        for (limit, key) in limits.iter().zip(&keys) {
            let window_ns = u128::from(limit.window_secs) * 1_000_000_000;
            let level = self.levels.entry(key.clone()).or_insert_with(|| Level {
                level: u128::from(limit.limit) * window_ns,
                at_ns: now_ns,
                limit: limit.limit.into(),
                window_ns,
            });
            level.follow(limit, now_ns);
            has_room.push(level.level >= level.cost(units));
        }
        let refused = limits
            .iter()
            .zip(&has_room)
            .any(|(limit, has)| !has && !limit.shadow);
        let lease = LeaseKey {
            subscription: terms.subscription.subscription,
            environment,
            period_start_ms: period_start(&terms.subscription.periods, now_ns / 1_000_000),
        };
        let code = if refused {
            "rate_limited"
        } else if !self.has_quota(&terms.plan, lease, units) {
            "quota_exceeded"
        } else {
            "ok"
        };
        if code == "ok" {
            for (key, has) in keys.iter().zip(&has_room) {
                let level = self.levels.get_mut(key).unwrap();
                level.level -= if *has { level.cost(units) } else { 0 };
            }
        }
        let rates = limits
            .iter()
            .zip(&keys)
            .filter(|(limit, _)| !limit.shadow)
            .map(|(limit, key)| self.levels[key].text(&limit.name))
            .collect();
        if code != "ok" {
            self.count(&terms.operation.name, code);
            return Told {
                code: code.to_owned(),
                rates,
                ..Told::default()
            };
        }
        self.count(&terms.operation.name, &class(request.status));
        if terms.plan.quota.is_some() {
            *self.spent.entry(lease).or_default() += settled(request, terms, units);
        }
        Told::passed(upstream_of(request, terms), rates)
    }

    fn has_quota(&self, plan: &Plan, lease: LeaseKey, units: u64) -> bool {
        let Some(quota) = &plan.quota else {
            return true;
        };
        let (granted, given_back) = self.lent.get(&lease).copied().unwrap_or_default();
        let used = given_back + self.spent.get(&lease).copied().unwrap_or_default();
        quota.shadow || quota.enforcement == QuotaEnforcement::Soft || used + units <= granted
    }
}

impl Told {
    fn passed(mut upstream: Vec<(String, String)>, rates: Vec<String>) -> Self {
        upstream.sort();
        Self {
            code: "ok".into(),
            upstream,
            rates,
        }
    }
}

fn settled(request: &Request, terms: &Terms, units: u64) -> u64 {
    let counting = &terms.plan.counting;
    let counts = counting
        .status_classes
        .iter()
        .any(|class| u16::from(*class) == request.status / 100);
    let told = request.units.filter(|_| counting.weight_header.is_some());
    if counts { told.unwrap_or(units) } else { 0 }
}

fn upstream_of(request: &Request, terms: &Terms) -> Vec<(String, String)> {
    let mut headers = request.headers();
    let is_ours = |text: &str| {
        let text = text.to_lowercase();
        text.starts_with("bearer") || text.starts_with("basic")
    };
    headers.retain(|(name, value)| match name.as_str() {
        ":path" | "x-api-key" => false,
        "authorization" => !is_ours(value),
        name => !name.starts_with("x-portico-"),
    });
    let mut scopes = terms.scopes.clone();
    scopes.sort();
    scopes.dedup();
    headers.extend([
        header(":path", request.target(false)),
        header(
            "x-portico-environment",
            terms.credential.environment.as_str(),
        ),
        header("x-portico-organisation", terms.app.organisation.to_string()),
        header("x-portico-app", terms.app.app.to_string()),
        header("x-portico-plan", terms.plan.plan.to_string()),
        header(
            "x-portico-credential",
            terms.credential.credential.to_string(),
        ),
        header("x-portico-scopes", scopes.join(" ")),
    ]);
    headers
}

fn class(status: u16) -> String {
    format!("{}xx", status / 100)
}

fn period_start(periods: &[u64], now_ms: u64) -> u64 {
    *periods.iter().rfind(|start| **start <= now_ms).unwrap()
}

/// A template's segment as text before and behind its parameter; none where it has no parameter.
fn parameter(segment: &str) -> Option<(&str, &str)> {
    Some((segment.split_once('{')?.0, segment.rsplit_once('}')?.1))
}

fn fits(template: &str, path: &str) -> bool {
    let path = path.replace("%6F", "o");
    template.split('/').count() == path.split('/').count()
        && !path.split('/').any(|segment| segment == "..")
        && template
            .split('/')
            .zip(path.split('/'))
            .all(|(own, segment)| match parameter(own) {
                None => own == segment,
                Some((before, behind)) => {
                    segment.len() > before.len() + behind.len()
                        && segment.starts_with(before)
                        && segment.ends_with(behind)
                }
            })
}

fn rank(template: &str) -> Vec<usize> {
    let of = |segment| match parameter(segment) {
        None => 0,
        Some((before, behind)) => usize::MAX - before.len() - behind.len(),
    };
    template.split('/').map(of).collect()
}

/// Whether an address with its port is in a network, bit by bit.
fn is_in(client: &str, network: &str) -> bool {
    let bits = |address: &str| -> Option<Vec<bool>> {
        let bytes = match address.parse().ok()? {
            std::net::IpAddr::V4(address) => address.octets().to_vec(),
            std::net::IpAddr::V6(address) => address.octets().to_vec(),
        };
        Some(
            bytes
                .iter()
                .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
                .collect(),
        )
    };
    let client = client.rsplit_once(':').unwrap().0.trim_matches(['[', ']']);
    let (address, length) = network.split_once('/').unwrap_or((network, "128"));
    let (Some(client), Some(network)) = (bits(client), bits(address)) else {
        return false;
    };
    let length: usize = length.parse().unwrap();
    client.len() == network.len()
        && client
            .iter()
            .zip(&network)
            .take(length)
            .all(|(a, b)| a == b)
}
