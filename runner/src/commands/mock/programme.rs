//! The programme file of `portico mock serve --enforce`: credentials, plans and routes of a mock.
//!
//! Owns the file's form and what it becomes: the changes that a portal would publish. Every mistake is told by the
//! name of its field.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result, anyhow, bail};
use sandbox_mock::document::{OperationOutline, Outline};
use sandbox_mock::random::Random;
use serde::Deserialize;
use shared::credential::{Environment, Pepper, PlainKey, check_key, is_brand};
use shared::feed::{
    AcceptedVersion, Agreement, App, Change, Credential, Organisation, Programme as Settings,
    RemovedCredential, RequiredVersion, Subscription,
};
use shared::ids::{
    AgreementId, AppId, CredentialId, MeterId, OrganisationId, PlanId, ProductId, SubscriptionId,
};
use shared::plan::{
    Counting, Meter, MeterSource, Operation, Plan, Product, Quota, QuotaEnforcement, RateLimit,
    WhenStale, WithoutLease,
};

/// The sandbox's own paths, which need a key and spend nothing.
const CONTROL_PATHS: [&str; 3] = [
    "/.portico/{resource}",
    "/.portico/{resource}/{name}",
    "/.portico/{resource}/{name}/{action}",
];
const MONTH_SECS: u64 = 2_592_000;
/// How many billing periods are known ahead; of short ones more, for clocks that are moved.
const FEWEST_PERIODS: u64 = 60;
const MOST_PERIODS: u64 = 2_000;
const YEARS_AHEAD_MS: u64 = 2 * 366 * 86_400_000;

fn periods_of(period_ms: u64) -> u64 {
    (YEARS_AHEAD_MS / period_ms.max(1)).clamp(FEWEST_PERIODS, MOST_PERIODS)
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programme {
    #[serde(default = "default_brand")]
    brand: String,
    /// Where `help` links begin.
    #[serde(default)]
    help: String,
    query_parameter: Option<String>,
    #[serde(default)]
    plans: BTreeMap<String, PlanEntry>,
    /// Absent: every operation of the document, with the scopes it names.
    routes: Option<Vec<RouteEntry>>,
    credentials: Vec<CredentialEntry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanEntry {
    #[serde(default)]
    rate_limits: Vec<RateLimit>,
    quota: Option<QuotaEntry>,
    #[serde(default)]
    counting: Counting,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaEntry {
    #[serde(default = "default_quota_name")]
    name: String,
    limit: u64,
    /// Past the limit, up to this share of it, calls pass; absent: refused at the limit.
    ceiling_percent: Option<u32>,
    /// Never refused.
    #[serde(default)]
    soft: bool,
    /// How long a billing period lasts.
    #[serde(default = "default_period")]
    period_secs: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteEntry {
    /// The `operationId`.
    operation: String,
    /// For an operation that the document does not have.
    method: Option<String>,
    path: Option<String>,
    scopes: Option<Vec<String>>,
    weight: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialEntry {
    key: String,
    #[serde(default = "default_app")]
    app: String,
    organisation: Option<String>,
    /// Absent: no subscription.
    plan: Option<String>,
    /// Absent: all scopes.
    scopes: Option<Vec<String>>,
    #[serde(default)]
    addresses: Vec<String>,
    expires_at: Option<String>,
    #[serde(default)]
    revoked: bool,
    /// Whether the organisation is suspended.
    #[serde(default)]
    suspended: bool,
    /// Whether the organisation has accepted the agreement; only live keys need it.
    #[serde(default = "yes")]
    accepted: bool,
}

fn default_brand() -> String {
    shared::credential::DEFAULT_BRAND.to_owned()
}

fn default_quota_name() -> String {
    "month".to_owned()
}

fn default_period() -> u64 {
    MONTH_SECS
}

fn default_app() -> String {
    "app".to_owned()
}

fn yes() -> bool {
    true
}

/// 16 bytes that are the same for the same name.
pub(super) fn bytes_of(kind: &str, name: &str) -> [u8; 16] {
    let mut random = Random::for_parts(0, &[kind, name]);
    let (high, low) = (u128::from(random.next()), u128::from(random.next()));
    (high << 64 | low).to_be_bytes()
}

impl Programme {
    /// Reads a file, JSON or YAML.
    pub fn parse(bytes: &[u8]) -> Result<Programme> {
        let tree = sandbox_mock::source::Tree::read(bytes)?;
        let json = tree.value(tree.root()).to_string();
        let programme: Programme = serde_json::from_str(&json).map_err(|error| {
            // The position is that of a text nobody has seen.
            let text = error.to_string();
            anyhow!(
                "{}",
                text.split(" at line ").next().unwrap_or(&text).to_owned()
            )
        })?;
        programme.check()?;
        Ok(programme)
    }

    /// One app with one key and the limits of a small plan, for `--enforce` without a file.
    pub fn small() -> Result<(Programme, String)> {
        let mut failed = None;
        let key = PlainKey::generate(&default_brand(), Environment::Test, |bytes| {
            if let Err(error) = getrandom::fill(bytes) {
                // Any byte ends the drawing; the error is what is told.
                bytes.fill(7);
                failed = Some(error);
            }
        })?;
        if let Some(error) = failed {
            bail!("no randomness for a key: {error}");
        }
        let key = key.expose().to_owned();
        let file = format!(
            "{{\"plans\":{{\"small\":{{\"rate_limits\":[{{\"name\":\"burst\",\"limit\":50,\"window_secs\":1}}],\"quota\":{{\"limit\":100000}}}}}},\"credentials\":[{{\"key\":\"{key}\",\"plan\":\"small\"}}]}}"
        );
        Ok((Programme::parse(file.as_bytes())?, key))
    }

    fn check(&self) -> Result<()> {
        if !is_brand(&self.brand) {
            bail!("brand `{}`: it has 2 to 10 lower-case letters", self.brand);
        }
        for (name, plan) in &self.plans {
            for limit in &plan.rate_limits {
                if limit.limit == 0 || limit.window_secs == 0 {
                    bail!(
                        "plans.{name}.rate_limits.{}: `limit` and `window_secs` are at least 1",
                        limit.name
                    );
                }
            }
            if plan
                .quota
                .as_ref()
                .is_some_and(|quota| quota.period_secs == 0)
            {
                bail!("plans.{name}.quota: `period_secs` is at least 1");
            }
        }
        for (place, entry) in self.credentials.iter().enumerate() {
            let at = |problem: String| anyhow!("credentials[{place}].{problem}");
            check_key(&entry.key, &self.brand)
                .map_err(|error| at(format!("key: {error}; `portico key inspect` tells more")))?;
            if let Some(plan) = entry
                .plan
                .as_ref()
                .filter(|plan| !self.plans.contains_key(*plan))
            {
                return Err(at(format!("plan: there is no plan `{plan}`")));
            }
            if let Some(text) = &entry.expires_at {
                read_time_ms(text).ok_or_else(|| {
                    at(format!(
                        "expires_at: `{text}` is no time such as 2026-01-31T12:00:00Z"
                    ))
                })?;
            }
            for address in &entry.addresses {
                let host = address.split('/').next().unwrap_or(address);
                if host.parse::<IpAddr>().is_err() {
                    return Err(at(format!(
                        "addresses: `{address}` is no address or network"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The changes that a portal would publish for this programme and document. Billing periods begin at `from_ms`.
    pub fn changes(&self, outline: &Outline, secret: &str, from_ms: u64) -> Result<Vec<Change>> {
        let pepper = Pepper::new(secret.as_bytes());
        let product = ProductId::from_bytes(bytes_of("product", "api"));
        let agreement = AgreementId::from_bytes(bytes_of("agreement", "terms"));
        let mut changes = vec![
            Change::Programme(Settings {
                brand: self.brand.clone(),
                help_base: self.help.clone(),
                issuer: String::new(),
                audience: String::new(),
                staleness_budget_secs: u32::MAX,
                query_parameter: self.query_parameter.clone(),
            }),
            Change::Product(Product {
                product,
                operations: self.operations(outline)?,
                meters: vec![Meter {
                    meter: MeterId::from_bytes(bytes_of("meter", "calls")),
                    source: MeterSource::Calls,
                }],
            }),
            Change::Agreement(Agreement {
                agreement,
                products: None,
                required: vec![RequiredVersion {
                    version: 1,
                    from_ms: 0,
                }],
            }),
        ];
        changes.extend(
            self.plans
                .iter()
                .map(|(name, plan)| Change::Plan(plan.plan(name))),
        );
        for entry in &self.credentials {
            self.credential_changes(entry, product, agreement, &pepper, from_ms, &mut changes);
        }
        Ok(changes)
    }

    /// What has to be published besides when this programme takes the place of `before`.
    pub fn removals(&self, before: &Programme, secret: &str) -> Vec<Change> {
        let pepper = Pepper::new(secret.as_bytes());
        let stays = |key: &str| self.credentials.iter().any(|entry| entry.key == key);
        let gone = before.credentials.iter().filter(|entry| !stays(&entry.key));
        gone.map(|entry| {
            Change::CredentialRemoved(RemovedCredential {
                credential: CredentialId::from_bytes(bytes_of("credential", &entry.key)),
                hash: pepper.digest(&entry.key),
            })
        })
        .collect()
    }

    fn operations(&self, outline: &Outline) -> Result<Vec<Operation>> {
        let mut operations = Vec::new();
        match &self.routes {
            None => {
                for known in &outline.operations {
                    operations.extend(paths_of(outline, known).map(|path| Operation {
                        name: known.operation_id.clone(),
                        method: known.method.clone(),
                        path,
                        scopes: known.scopes.clone(),
                        weight: 1,
                        deprecated: false,
                    }));
                }
            }
            Some(routes) => {
                for (place, route) in routes.iter().enumerate() {
                    operations.extend(
                        route_operations(route, outline)
                            .with_context(|| format!("routes[{place}] `{}`", route.operation))?,
                    );
                }
            }
        }
        for path in CONTROL_PATHS {
            for method in ["GET", "POST", "PUT", "DELETE"] {
                operations.push(Operation {
                    name: "sandbox".to_owned(),
                    method: method.to_owned(),
                    path: path.to_owned(),
                    scopes: Vec::new(),
                    weight: 0,
                    deprecated: false,
                });
            }
        }
        Ok(operations)
    }

    fn credential_changes(
        &self,
        entry: &CredentialEntry,
        product: ProductId,
        agreement: AgreementId,
        pepper: &Pepper,
        from_ms: u64,
        changes: &mut Vec<Change>,
    ) {
        let organisation_name = entry.organisation.as_deref().unwrap_or(&entry.app);
        let organisation = OrganisationId::from_bytes(bytes_of("organisation", organisation_name));
        let app = AppId::from_bytes(bytes_of("app", &entry.app));
        let environment = shared::credential::inspect_key(&entry.key)
            .map_or(Environment::Test, |parts| parts.environment);
        changes.push(Change::Organisation(Organisation {
            organisation,
            suspended: entry.suspended,
            accepted: entry
                .accepted
                .then_some(AcceptedVersion {
                    agreement,
                    version: 1,
                })
                .into_iter()
                .collect(),
        }));
        changes.push(Change::App(App {
            app,
            organisation,
            // Test keys of a suspended organisation go on; those of a suspended app do not.
            suspended: entry.suspended,
        }));
        if let Some((name, plan)) = entry
            .plan
            .as_ref()
            .and_then(|name| self.plans.get_key_value(name))
        {
            let period_ms = plan
                .quota
                .as_ref()
                .map_or(MONTH_SECS, |quota| quota.period_secs)
                .saturating_mul(1_000);
            changes.push(Change::Subscription(Subscription {
                subscription: SubscriptionId::from_bytes(bytes_of("subscription", &entry.app)),
                app,
                product,
                plan: PlanId::from_bytes(bytes_of("plan", name)),
                environments: vec![Environment::Test, Environment::Live],
                ends_at_ms: None,
                periods: (0..=periods_of(period_ms))
                    .map(|count| from_ms.saturating_add(count.saturating_mul(period_ms)))
                    .collect(),
            }));
        }
        changes.push(Change::Credential(Credential {
            credential: CredentialId::from_bytes(bytes_of("credential", &entry.key)),
            app,
            environment,
            hash: pepper.digest(&entry.key),
            scopes: entry.scopes.clone(),
            addresses: entry.addresses.clone(),
            expires_at_ms: entry.expires_at.as_deref().and_then(read_time_ms),
            revoked_at_ms: entry.revoked.then_some(from_ms),
            ends_at_ms: None,
        }));
    }
}

impl PlanEntry {
    fn plan(&self, name: &str) -> Plan {
        Plan {
            plan: PlanId::from_bytes(bytes_of("plan", name)),
            rate_limits: self.rate_limits.clone(),
            quota: self.quota.as_ref().map(|quota| Quota {
                name: quota.name.clone(),
                limit: quota.limit,
                enforcement: match (quota.soft, quota.ceiling_percent) {
                    (true, _) => QuotaEnforcement::Soft,
                    (false, Some(ceiling_percent)) => {
                        QuotaEnforcement::Corridor { ceiling_percent }
                    }
                    (false, None) => QuotaEnforcement::Hard,
                },
                without_lease: WithoutLease::Refuse,
                shadow: false,
            }),
            counting: self.counting.clone(),
            when_stale: WhenStale::Open,
        }
    }
}

/// The path with the server's base path, and without it: the mock answers both.
fn paths_of(outline: &Outline, known: &OperationOutline) -> impl Iterator<Item = String> + use<> {
    let path = known.path.split('#').next().unwrap_or("").to_owned();
    let bare = path
        .strip_prefix(outline.base_path.as_str())
        .filter(|bare| bare.starts_with('/') && !outline.base_path.is_empty())
        .map(str::to_owned);
    std::iter::once(path).chain(bare)
}

fn route_operations(route: &RouteEntry, outline: &Outline) -> Result<Vec<Operation>> {
    let make = |method: &str, path: String, scopes: &[String]| Operation {
        name: route.operation.clone(),
        method: method.to_owned(),
        path,
        scopes: route.scopes.clone().unwrap_or_else(|| scopes.to_vec()),
        weight: route.weight.unwrap_or(1),
        deprecated: false,
    };
    let known = outline
        .operations
        .iter()
        .find(|known| known.operation_id == route.operation);
    match (&route.method, &route.path, known) {
        (Some(method), Some(path), _) => {
            Ok(vec![make(&method.to_ascii_uppercase(), path.clone(), &[])])
        }
        (None, None, Some(known)) => Ok(paths_of(outline, known)
            .map(|path| make(&known.method, path, &known.scopes))
            .collect()),
        (None, None, None) => bail!("is not in the document: give `method` and `path`"),
        _ => bail!("give `method` and `path` together"),
    }
}

fn read_time_ms(text: &str) -> Option<u64> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    u64::try_from(time.timestamp_millis()).ok()
}

#[cfg(test)]
mod tests;
