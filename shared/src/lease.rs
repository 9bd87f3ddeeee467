//! Leases: shares of a hard quota lent to an edge.
//!
//! Every number is cumulative over the edge boot and the billing period, so a
//! repeated or reordered message changes nothing. The portal keeps
//!
//! ```text
//! Σ over boots (granted − given back)  ≤  ceiling
//! ```
//! and an edge spends only what it was granted, until the lease ends. What a
//! boot was granted and has not spent returns to the pool when the boot gives
//! it back, or, after an unclean end, never within the period: the portal
//! cannot know it was not spent.

use crate::credential::Environment;
use crate::ids::SubscriptionId;
use serde::{Deserialize, Serialize};

/// What a lease is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeaseKey {
    /// The subscription whose plan has the quota.
    pub subscription: SubscriptionId,
    /// Test and live traffic have counters of their own.
    pub environment: Environment,
    /// The start of the billing period, Unix milliseconds.
    pub period_start_ms: u64,
}

/// An edge's side of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// What it is a share of.
    #[serde(flatten)]
    pub key: LeaseKey,
    /// Units granted to this boot, as far as the edge knows.
    pub granted: u64,
    /// Units this boot has spent or reserved.
    pub spent: u64,
    /// Units this boot has given back for good; never more than granted − spent.
    pub given_back: u64,
    /// Units it would like beyond what it holds unspent.
    pub wanted: u64,
}

/// The portal's side of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseGrant {
    /// What it is a share of.
    #[serde(flatten)]
    pub key: LeaseKey,
    /// Units granted to this boot in all; never falls.
    pub granted: u64,
    /// Units left in the pool for everyone, for `RateLimit` headers and for
    /// asking in smaller steps near the end.
    pub pool: u64,
    /// When the edge must stop spending it unless renewed, Unix milliseconds.
    pub ends_at_ms: u64,
}
