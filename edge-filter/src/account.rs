//! The account of a subscription in one environment: all its buckets and its
//! leases, kept together so that one compare-and-swap decides all of them.
//!
//! Owns: the all-or-nothing decision over stacked limits and quota, and the
//! layout of an account slot in shared data, which several accounts may share.
//! Does not own: the retry when another worker was faster; see `worker`.

use crate::bytes::{Reader, hash64};
use crate::quota::{Funds, LeaseAccount, NoRoom};
use crate::rate_limit::{Bucket, Standing};
use crate::share::Share;
use shared::credential::Environment;
use shared::ids::{CredentialId, SubscriptionId};
use shared::plan::{Plan, RateLimit, RateLimitScope};

/// Past this size a slot is searched for accounts that need not be kept.
const SWEEP_BYTES: usize = 8 * 1024;

/// Whose account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccountKey {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Test and live calls never share a limit.
    pub environment: Environment,
}

impl AccountKey {
    const BYTES: usize = 17;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (id, environment) = bytes.split_at_mut(16);
        id.copy_from_slice(self.subscription.as_bytes());
        environment.fill(u8::from(self.environment == Environment::Live));
        bytes
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            subscription: SubscriptionId::from_bytes(reader.array()?),
            environment: if reader.u8()? == 1 {
                Environment::Live
            } else {
                Environment::Test
            },
        })
    }

    /// A number that chooses the slot.
    #[must_use]
    pub fn hash(self) -> u64 {
        hash64(&[&self.to_bytes()])
    }
}

/// What a request asks of an account.
#[derive(Debug, Clone, Copy)]
pub struct Charge<'a> {
    /// The plan in force.
    pub plan: &'a Plan,
    /// The credential used.
    pub credential: CredentialId,
    /// The operation's name.
    pub operation: &'a str,
    /// Units the call takes.
    pub weight: u32,
    /// The billing period.
    pub period: Option<(u64, u64)>,
    /// The time of the decision.
    pub now_ns: u64,
    /// Whether the portal has answered lately.
    pub portal_answers: bool,
}

/// What an account answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happens to the call.
    pub outcome: Outcome,
    /// One standing per rate limit of the plan, in its order.
    pub standings: Vec<Standing>,
    /// Units left of the quota.
    pub quota_left: Option<u64>,
    /// Whether a shadow limit or quota would have refused.
    pub shadow_refused: bool,
    /// Whether a lease should be asked for at once.
    pub lease_is_low: bool,
    /// Whether the account now has a lease to ask for, or more to ask for, even if
    /// the call is refused.
    pub needs_lease: bool,
    /// Whether the account has changed, even if the call is refused.
    pub is_changed: bool,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It passes; everything is taken.
    Pass,
    /// Limits at these places of the plan have no room; nothing is taken.
    RateLimited {
        /// Places in [`Plan::rate_limits`].
        violated: Vec<usize>,
        /// Until all of them have room.
        wait_ns: u64,
    },
    /// The quota has no room; nothing is taken.
    QuotaExceeded(NoRoom),
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose.
    pub key: AccountKey,
    buckets: Vec<Bucket>,
    /// Leases: the current period's, and an ended one's until it is settled.
    pub leases: Vec<LeaseAccount>,
    /// The share of the limits that all edges enforce together, where the plan has any.
    pub share: Option<Share>,
}

fn bucket_key(limit: &RateLimit, charge: &Charge<'_>) -> u64 {
    let of = match limit.per {
        RateLimitScope::Subscription => &[][..],
        RateLimitScope::Credential => charge.credential.as_bytes(),
        RateLimitScope::Operation => charge.operation.as_bytes(),
    };
    hash64(&[limit.name.as_bytes(), &[limit.per as u8], of])
}

impl Account {
    /// An account nobody has used.
    #[must_use]
    pub const fn new(key: AccountKey) -> Self {
        Self {
            key,
            buckets: Vec::new(),
            leases: Vec::new(),
            share: None,
        }
    }

    /// Whether it holds anything that the portal lends.
    #[must_use]
    pub const fn asks_the_portal(&self) -> bool {
        !self.leases.is_empty() || self.share.is_some()
    }

    /// The lease account of a period, opened if there is none.
    pub fn lease_mut(
        &mut self,
        period: (u64, u64),
        limit: u64,
        is_hard: bool,
    ) -> Option<&mut LeaseAccount> {
        let place = self
            .leases
            .iter()
            .position(|l| l.period_start_ms == period.0);
        let place = place.unwrap_or_else(|| {
            self.leases.push(LeaseAccount::new(period, limit, is_hard));
            self.leases.len() - 1
        });
        let lease = self.leases.get_mut(place)?;
        // A plan change keeps the counters and takes effect at once.
        lease.limit = limit;
        lease.is_hard = is_hard;
        Some(lease)
    }

    /// Decides a call, and takes all it needs or nothing.
    pub fn charge(&mut self, charge: &Charge<'_>) -> Decision {
        let (now_ns, weight) = (charge.now_ns, charge.weight);
        let shares = charge
            .plan
            .rate_limits
            .iter()
            .any(|limit| limit.across_edges);
        let needs_share = shares && self.ask_share(weight);
        let mut buckets: Vec<Bucket> = charge
            .plan
            .rate_limits
            .iter()
            .map(|limit| self.bucket(limit, charge))
            .collect();
        let limits = || charge.plan.rate_limits.iter();
        let without_room: Vec<usize> = buckets
            .iter()
            .enumerate()
            .filter(|(_, bucket)| !bucket.has(weight, now_ns))
            .map(|(place, _)| place)
            .collect();
        let is_shadow = |place: &usize| limits().nth(*place).is_some_and(|limit| limit.shadow);
        let violated: Vec<usize> = without_room
            .iter()
            .copied()
            .filter(|place| !is_shadow(place))
            .collect();
        let mut decision = Decision {
            outcome: Outcome::Pass,
            standings: Vec::new(),
            quota_left: None,
            shadow_refused: without_room.len() > violated.len(),
            lease_is_low: false,
            needs_lease: needs_share,
            // What was asked for is demand, passed or refused.
            is_changed: shares,
        };
        if violated.is_empty() {
            self.charge_quota(charge, &mut decision);
        } else {
            let wait_ns = violated
                .iter()
                .filter_map(|&place| buckets.get(place))
                .map(|bucket| bucket.wait_ns(weight, now_ns))
                .max();
            decision.outcome = Outcome::RateLimited {
                violated,
                wait_ns: wait_ns.unwrap_or(0),
            };
        }
        if decision.outcome == Outcome::Pass {
            for (place, bucket) in buckets.iter_mut().enumerate() {
                if !without_room.contains(&place) {
                    bucket.take(weight, now_ns);
                }
            }
            self.keep(&buckets, now_ns);
            decision.is_changed = true;
        } else if self.is_changed_by(&buckets) {
            // Else a bucket would go on filling as the former plan had it until a call passes.
            self.keep(&buckets, now_ns);
            decision.is_changed = true;
        }
        decision.standings = buckets
            .iter()
            .map(|bucket| bucket.standing(now_ns))
            .collect();
        decision
    }

    fn charge_quota(&mut self, charge: &Charge<'_>, decision: &mut Decision) {
        let (Some(quota), Some(period)) = (&charge.plan.quota, charge.period) else {
            return;
        };
        let now_ms = charge.now_ns / 1_000_000;
        let units = u64::from(charge.weight);
        let is_hard = quota.ceiling().is_some();
        // A corridor's lease comes out of its ceiling, not of the limit.
        let limit = quota.ceiling().unwrap_or(quota.limit);
        let known = self.leases.len();
        let Some(lease) = self.lease_mut(period, limit, is_hard) else {
            return;
        };
        let is_heavier = lease.hear_of(units);
        match lease.check(units, quota, now_ms, charge.portal_answers) {
            Err(_) if quota.shadow => {
                decision.shadow_refused = true;
                lease.spend(units, Funds::Lease, now_ms);
            }
            Err(no_room) => decision.outcome = Outcome::QuotaExceeded(no_room),
            Ok(funds) => lease.spend(units, funds, now_ms),
        }
        decision.quota_left = Some(lease.remaining());
        decision.lease_is_low = lease.is_low(now_ms);
        let needs_lease = is_heavier || self.leases.len() > known;
        decision.needs_lease |= needs_lease;
        decision.is_changed |= needs_lease;
    }

    fn bucket(&self, limit: &RateLimit, charge: &Charge<'_>) -> Bucket {
        let key = bucket_key(limit, charge);
        let kept = self.buckets.iter().find(|bucket| bucket.key == key);
        let share = self.share.filter(|_| limit.across_edges);
        let (tokens, window_secs) = match share {
            Some(share) => share.of(limit.limit, limit.window_secs),
            None => (limit.limit, limit.window_secs),
        };
        let mut bucket = kept
            .copied()
            .unwrap_or_else(|| Bucket::full(key, tokens, window_secs));
        if share.is_none_or(|share| share.is_sole) {
            bucket.change(tokens, window_secs, charge.now_ns);
        } else {
            bucket.change_keeping_tokens(tokens, window_secs, charge.now_ns);
        }
        bucket
    }

    /// Takes note of what a call asks of limits that all edges enforce together; whether
    /// a first share must be asked for.
    fn ask_share(&mut self, weight: u32) -> bool {
        let share = self.share.get_or_insert_default();
        share.asked = share.asked.wrapping_add(u64::from(weight));
        share.granted == 0
    }

    /// Whether a limit is no longer what it was when its bucket was stored.
    fn is_changed_by(&self, buckets: &[Bucket]) -> bool {
        let kept = |own: &&Bucket| buckets.iter().find(|new| new.key == own.key);
        let mut known = self
            .buckets
            .iter()
            .filter_map(|own| Some((own, kept(&own)?)));
        known.any(|(own, new)| !own.has_limits_of(new))
    }

    fn keep(&mut self, changed: &[Bucket], now_ns: u64) {
        let is_changed = |bucket: &Bucket| changed.iter().any(|other| other.key == bucket.key);
        self.buckets
            .retain(|bucket| !is_changed(bucket) && !bucket.is_full(now_ns));
        self.buckets.extend(changed);
    }

    fn is_forgettable(&self, now_ns: u64) -> bool {
        self.share.is_none()
            && self.buckets.iter().all(|bucket| bucket.is_full(now_ns))
            && self
                .leases
                .iter()
                .all(|lease| lease.is_over(now_ns / 1_000_000))
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.key.to_bytes());
        bytes.extend_from_slice(&(self.buckets.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&(self.leases.len() as u16).to_le_bytes());
        self.buckets.iter().for_each(|bucket| bucket.write(bytes));
        self.leases.iter().for_each(|lease| lease.write(bytes));
        if let Some(share) = self.share {
            share.write(bytes);
        }
        let length = (bytes.len() - start - 4) as u32;
        if let Some(place) = bytes.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }

    fn read(section: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(section);
        let mut account = Self::new(AccountKey::read(&mut reader)?);
        let (buckets, leases) = (reader.u16()?, reader.u16()?);
        for _ in 0..buckets {
            account.buckets.push(Bucket::read(&mut reader)?);
        }
        for _ in 0..leases {
            account.leases.push(LeaseAccount::read(&mut reader)?);
        }
        account.share = Share::read(&mut reader);
        Some(account)
    }
}

fn sections(slot: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(slot);
    core::iter::from_fn(move || {
        let length = reader.u32()?;
        reader.take(length as usize)
    })
}

/// Every account in a slot.
pub fn accounts(slot: &[u8]) -> impl Iterator<Item = Account> {
    sections(slot).filter_map(Account::read)
}

/// The account of `key` in a slot, new where there is none.
#[must_use]
pub fn find_account(slot: &[u8], key: AccountKey) -> Account {
    let wanted = key.to_bytes();
    sections(slot)
        .find(|section| section.starts_with(&wanted))
        .and_then(Account::read)
        .unwrap_or_else(|| Account::new(key))
}

/// The slot with `account` in place of its former state.
#[must_use]
pub fn with_account(slot: &[u8], account: &Account, now_ns: u64) -> Vec<u8> {
    let own = account.key.to_bytes();
    let mut bytes = Vec::with_capacity(slot.len() + 256);
    let sweep = slot.len() > SWEEP_BYTES;
    for section in sections(slot).filter(|section| !section.starts_with(&own)) {
        let forget =
            sweep && Account::read(section).is_none_or(|other| other.is_forgettable(now_ns));
        if !forget {
            bytes.extend_from_slice(&(section.len() as u32).to_le_bytes());
            bytes.extend_from_slice(section);
        }
    }
    account.write(&mut bytes);
    bytes
}
