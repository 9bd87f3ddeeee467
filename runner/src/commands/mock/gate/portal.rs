//! The portal's end of the edge protocol, for one edge and a programme that stands in a file.
//!
//! Owns the feed and the grants: the only edge there is may hold the whole of every quota. What is reported is
//! acknowledged and kept nowhere; a mock bills nobody.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use shared::feed::{Change, FEED_PATH, FeedEntry, FeedPage, SNAPSHOT_PATH, SnapshotPage};
use shared::ids::{PlanId, SubscriptionId};
use shared::lease::{LeaseGrant, LeaseRequest};
use shared::share::divide;
use shared::usage::{Report, ReportAnswer};

/// Long enough for a clock that is moved by years.
const NEVER_MS: u64 = 1 << 50;

/// What the edge is told.
#[derive(Default)]
pub struct LocalPortal {
    log: Vec<FeedEntry>,
    ceilings: HashMap<SubscriptionId, u64>,
}

impl LocalPortal {
    pub fn publish(&mut self, changes: Vec<Change>, now_ms: u64) {
        for change in changes {
            let position = self.log.len() as u64 + 1;
            self.log.push(FeedEntry {
                position,
                at_ms: now_ms,
                change,
            });
        }
        let mut plans: HashMap<PlanId, u64> = HashMap::new();
        for entry in &self.log {
            if let Change::Plan(plan) = &entry.change {
                let ceiling = plan.quota.as_ref().and_then(|quota| quota.ceiling());
                plans.insert(plan.plan, ceiling.unwrap_or(0));
            }
        }
        for entry in &self.log {
            if let Change::Subscription(subscription) = &entry.change {
                let ceiling = plans.get(&subscription.plan).copied().unwrap_or(0);
                self.ceilings.insert(subscription.subscription, ceiling);
            }
        }
    }

    /// The body for a call of the edge.
    pub fn answer(&self, path: &str, body: &[u8], now_ms: u64) -> Result<Vec<u8>> {
        let head = self.log.len() as u64;
        if path.starts_with(SNAPSHOT_PATH) {
            let changes = self.log.iter().map(|entry| entry.change.clone()).collect();
            return Ok(serde_json::to_vec(&SnapshotPage {
                position: head,
                next: None,
                changes,
                packed_apps: Vec::new(),
                packed_credentials: Default::default(),
            })?);
        }
        if path.starts_with(FEED_PATH) {
            let after: u64 = path
                .rsplit_once("after=")
                .context("no position")?
                .1
                .parse()?;
            let from = usize::try_from(after)?;
            return Ok(serde_json::to_vec(&FeedPage {
                after,
                next: head.max(after),
                complete: false,
                entries: self.log.get(from..).unwrap_or_default().to_vec(),
            })?);
        }
        if body.is_empty() {
            bail!("{path} is not a path of the edge protocol");
        }
        let report: Report = serde_json::from_slice(body)?;
        Ok(serde_json::to_vec(&ReportAnswer {
            acknowledged: report.sequence,
            head,
            now_ms,
            leases: report.leases.iter().map(|wish| self.grant(wish)).collect(),
            // There is no other edge.
            shares: report
                .shares
                .iter()
                .map(|wish| divide(wish.key, wish.held, wish.demand, &[]))
                .collect(),
        })?)
    }

    fn grant(&self, wish: &LeaseRequest) -> LeaseGrant {
        let ceiling = self
            .ceilings
            .get(&wish.key.subscription)
            .copied()
            .unwrap_or(0);
        LeaseGrant {
            key: wish.key,
            granted: ceiling.saturating_add(wish.given_back).max(wish.granted),
            pool: 0,
            ends_at_ms: NEVER_MS,
        }
    }
}
