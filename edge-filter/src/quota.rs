//! One subscription's quota in one billing period, as this edge spends it.
//!
//! Owns: spending and refunding a lease, what to ask for, what to give back.
//! Every number is cumulative (see [`shared::lease`]). Does not own: the pool;
//! that is the portal's, and the sum of what edges hold never passes it.

use crate::bytes::Reader;
use shared::credential::Environment;
use shared::ids::SubscriptionId;
use shared::lease::{LeaseGrant, LeaseKey, LeaseRequest};
use shared::plan::{Quota, WithoutLease};

/// How long an ended period's account is kept, so that its final state is
/// reported: ten minutes.
const KEPT_AFTER_PERIOD_MS: u64 = 600_000;

/// A lease, or for a soft quota just the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseAccount {
    /// The billing period's start, Unix milliseconds.
    pub period_start_ms: u64,
    /// Its end.
    pub period_end_ms: u64,
    /// The plan's limit when last spent.
    pub limit: u64,
    /// Units granted to this boot.
    pub granted: u64,
    /// Units spent or reserved.
    pub spent: u64,
    /// Units given back.
    pub given_back: u64,
    /// Units spent beyond the lease, never more than the plan's overdraft. Part of `spent`.
    pub overdrawn: u64,
    /// Units left in the pool for everyone when the portal last answered.
    pub pool: u64,
    /// When the lease ends unless renewed; 0 before the first answer.
    pub ends_at_ms: u64,
    /// When units were last spent: what is idle is held small.
    pub spent_at_ms: u64,
    /// Units of the heaviest call that came lately: a lease below it would refuse
    /// that call for ever, however much the pool has.
    pub heaviest: u64,
    /// Whether calls are refused at a ceiling, so that a lease is needed.
    pub is_hard: bool,
}

const BYTES: usize = 11 * 8 + 1;

/// Where units come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Funds {
    /// The lease, or nowhere in particular for a soft quota.
    Lease,
    /// What the plan allows beyond a lease that cannot be renewed.
    Overdraft,
}

/// Why a quota has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// The allowance is used up until the period ends.
    UsedUp,
    /// The lease is spent or ended and the pool may have more.
    LeaseSpent,
}

impl LeaseAccount {
    /// An account nobody has spent from.
    #[must_use]
    pub const fn new((start_ms, end_ms): (u64, u64), limit: u64, is_hard: bool) -> Self {
        Self {
            period_start_ms: start_ms,
            period_end_ms: end_ms,
            limit,
            granted: 0,
            spent: 0,
            given_back: 0,
            overdrawn: 0,
            pool: limit,
            ends_at_ms: 0,
            spent_at_ms: 0,
            heaviest: 0,
            is_hard,
        }
    }

    /// Takes note of what a call weighs; whether a lease must be asked for because
    /// of it.
    pub const fn hear_of(&mut self, units: u64) -> bool {
        let is_heavier = self.is_hard && units > self.heaviest;
        if is_heavier {
            self.heaviest = units;
        }
        is_heavier && units > self.unspent()
    }

    /// Units that may still be spent from the lease.
    #[must_use]
    pub const fn unspent(&self) -> u64 {
        self.granted
            .saturating_sub(self.given_back)
            .saturating_sub(self.spent)
    }

    /// Units left as far as this edge knows: for the `RateLimit` header.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        if self.is_hard {
            self.pool.saturating_add(self.unspent())
        } else {
            self.pool.saturating_sub(self.spent)
        }
    }

    /// Where `units` may be spent from now.
    ///
    /// # Errors
    /// Why they may not be spent.
    pub fn check(
        &self,
        units: u64,
        quota: &Quota,
        now_ms: u64,
        portal_answers: bool,
    ) -> Result<Funds, NoRoom> {
        if !self.is_hard || (now_ms < self.ends_at_ms && self.unspent() >= units) {
            return Ok(Funds::Lease);
        }
        // Overdraft is for a portal that does not answer: one that answers and
        // has nothing left has said that the quota is used up.
        if portal_answers && self.ends_at_ms > 0 && self.pool == 0 {
            return Err(NoRoom::UsedUp);
        }
        match quota.without_lease {
            WithoutLease::Overdraft { units: most }
                if self.overdrawn.saturating_add(units) <= most =>
            {
                Ok(Funds::Overdraft)
            }
            _ => Err(NoRoom::LeaseSpent),
        }
    }

    /// Spends `units` where [`Self::check`] said.
    pub const fn spend(&mut self, units: u64, funds: Funds, now_ms: u64) {
        self.spent = self.spent.saturating_add(units);
        self.spent_at_ms = now_ms;
        if matches!(funds, Funds::Overdraft) {
            self.overdrawn = self.overdrawn.saturating_add(units);
        }
    }

    /// Settles a reservation of `reserved` to what the call weighed in truth.
    pub const fn settle(&mut self, reserved: u64, actual: u64) {
        self.spent = self.spent.saturating_sub(reserved).saturating_add(actual);
    }

    /// How many units this edge should hold unspent: two seconds of demand, at
    /// least a hundredth of the limit, and never a share of what is left that
    /// would strand it on other edges.
    #[must_use]
    pub fn target(&self, spent_per_sec: u64) -> u64 {
        let comfortable = (self.limit / 100).clamp(1, 1_000);
        let fair = (self.pool / 20).max(self.limit / 400).max(1);
        let target = (spent_per_sec.saturating_mul(2)).max(comfortable).min(fair);
        target.max(self.heaviest)
    }

    /// Units spent that no grant covers: a plan that was soft, or a call that
    /// weighed more than was reserved. They are asked for first.
    const fn uncovered(&self) -> u64 {
        let used = self.spent.saturating_add(self.given_back);
        used.saturating_sub(self.granted)
    }

    /// Whether to ask the portal at once rather than with the next report.
    #[must_use]
    pub fn is_low(&self, now_ms: u64) -> bool {
        self.is_hard
            && (self.ends_at_ms <= now_ms
                || (self.pool > 0
                    && (self.unspent() < self.target(0).div_ceil(2)
                        || self.unspent() < self.heaviest)))
    }

    /// What to tell the portal; gives back what is not needed, and everything
    /// when `ending`.
    pub fn request(&mut self, key: LeaseKey, spent_per_sec: u64, ending: bool) -> LeaseRequest {
        let mut wanted = 0;
        if self.is_hard {
            let unspent = self.unspent();
            let target = if ending {
                0
            } else {
                self.target(spent_per_sec)
            };
            if unspent > target.saturating_mul(2) {
                self.given_back += unspent - target;
            } else if unspent < target {
                wanted = (target - unspent).saturating_add(self.uncovered());
            }
            // Unless calls as heavy come again, room for them is given back bit by bit.
            self.heaviest -= self.heaviest.div_ceil(8);
        }
        LeaseRequest {
            key,
            granted: self.granted,
            spent: self.spent,
            given_back: self.given_back,
            wanted,
        }
    }

    /// Takes the portal's answer. Answers may be repeated or out of order.
    pub const fn apply(&mut self, grant: &LeaseGrant) {
        if grant.granted > self.granted {
            self.granted = grant.granted;
        }
        if grant.ends_at_ms > self.ends_at_ms {
            self.ends_at_ms = grant.ends_at_ms;
        }
        self.pool = grant.pool;
    }

    /// Whether it may be forgotten.
    #[must_use]
    pub const fn is_over(&self, now_ms: u64) -> bool {
        now_ms > self.period_end_ms.saturating_add(KEPT_AFTER_PERIOD_MS)
    }

    /// Its key on the wire.
    #[must_use]
    pub const fn key(&self, subscription: SubscriptionId, environment: Environment) -> LeaseKey {
        LeaseKey {
            subscription,
            environment,
            period_start_ms: self.period_start_ms,
        }
    }

    /// Appends its bytes.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.reserve(BYTES);
        for number in [
            self.period_start_ms,
            self.period_end_ms,
            self.limit,
            self.granted,
            self.spent,
            self.given_back,
            self.overdrawn,
            self.pool,
            self.ends_at_ms,
            self.spent_at_ms,
            self.heaviest,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.push(u8::from(self.is_hard));
    }

    /// Reads what [`Self::write`] wrote.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            period_start_ms: reader.u64()?,
            period_end_ms: reader.u64()?,
            limit: reader.u64()?,
            granted: reader.u64()?,
            spent: reader.u64()?,
            given_back: reader.u64()?,
            overdrawn: reader.u64()?,
            pool: reader.u64()?,
            ends_at_ms: reader.u64()?,
            spent_at_ms: reader.u64()?,
            heaviest: reader.u64()?,
            is_hard: reader.u8()? == 1,
        })
    }
}
