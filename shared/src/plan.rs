//! What an edge enforces of products and plans. Prices are not here: an edge
//! needs none.

use crate::ids::{MeterId, PlanId, ProductId};
use serde::{Deserialize, Serialize};

/// A product as an edge sees it: operations and meters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The product.
    pub product: ProductId,
    /// The operations, at most one per method and path template.
    pub operations: Vec<Operation>,
    /// The meters. A request makes one usage cell per meter; the first counts calls.
    pub meters: Vec<Meter>,
}

/// One API operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The name used in usage, pages and invoices: the `operationId`.
    pub name: String,
    /// The HTTP method in upper case.
    pub method: String,
    /// The path template as OpenAPI writes it, `/v1/orders/{order_id}`. A segment
    /// is either literal or one `{parameter}`, which may have literal text around it.
    pub path: String,
    /// Scopes that are all needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Units one call spends of quota and weight meters.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u32,
    /// Whether the document calls it deprecated: it works, and new apps should not use it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
}

const fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
const fn is_one(weight: &u32) -> bool {
    *weight == 1
}

/// What is counted, and out of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// The meter.
    pub meter: MeterId,
    /// Where its quantity comes from.
    pub source: MeterSource,
}

/// Where a meter's quantity comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum MeterSource {
    /// One per call.
    Calls,
    /// The operation's weight.
    Weight,
    /// Bytes of request and response bodies.
    Bytes,
    /// A whole number in a response header; absent or malformed counts 0.
    ResponseHeader {
        /// The header's name, lower case.
        name: String,
    },
}

/// A plan version as an edge sees it. Never edited: a change is a new [`PlanId`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The plan version.
    pub plan: PlanId,
    /// Rate limits, all of which must have room (all or nothing).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<RateLimit>,
    /// The billing period's allowance, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// What counts as used.
    #[serde(default)]
    pub counting: Counting,
    /// What holds once the feed is older than the staleness budget.
    #[serde(default)]
    pub when_stale: WhenStale,
}

/// A token bucket: `limit` tokens refilled evenly over `window_secs`, full at first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// The name in `RateLimit-Policy` and in `violated-policies`; unique in the plan.
    pub name: String,
    /// Requests (or units, for weighted operations) per window; at least 1.
    pub limit: u32,
    /// The window in seconds; at least 1.
    pub window_secs: u32,
    /// What shares one bucket.
    #[serde(default)]
    pub per: RateLimitScope,
    /// Count what would have been refused, refuse nothing.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub shadow: bool,
    /// Whether it holds over all edges together, each enforcing a share that follows
    /// its demand (see [`crate::share`]), or whole at each edge.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub across_edges: bool,
}

/// What shares one rate-limit bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateLimitScope {
    /// All credentials of the subscription, per environment.
    #[default]
    Subscription,
    /// Each credential.
    Credential,
    /// Each operation of the subscription, per environment.
    Operation,
}

/// A billing period's allowance. Test traffic has its own counter and is never billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// The name in `RateLimit-Policy` and `violated-policies`.
    pub name: String,
    /// Units per billing period.
    pub limit: u64,
    /// What happens at the limit.
    pub enforcement: QuotaEnforcement,
    /// What happens when a lease is spent and cannot be renewed.
    #[serde(default)]
    pub without_lease: WithoutLease,
    /// Count what would have been refused, refuse nothing.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub shadow: bool,
}

/// What happens when a quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum QuotaEnforcement {
    /// Refused at the limit, exactly.
    Hard,
    /// Never refused; what passes the limit is overage.
    Soft,
    /// Overage up to `ceiling_percent` of the limit (above 100), refused there, exactly.
    Corridor {
        /// For example 120.
        ceiling_percent: u32,
    },
}

impl Quota {
    /// Units at which calls are refused; `None` when they never are.
    #[must_use]
    pub const fn ceiling(&self) -> Option<u64> {
        match self.enforcement {
            QuotaEnforcement::Hard => Some(self.limit),
            QuotaEnforcement::Soft => None,
            QuotaEnforcement::Corridor { ceiling_percent } => {
                Some((self.limit as u128 * ceiling_percent as u128 / 100) as u64)
            }
        }
    }
}

/// What an edge does with a hard quota whose lease is spent and cannot be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum WithoutLease {
    /// Refuse: never over the limit, and no call ever waits. A burst that is faster than the lease
    /// is renewed is refused although the pool has more.
    Refuse,
    /// Allow this many more units on each edge.
    Overdraft {
        /// Units beyond the lease, per edge and period.
        units: u64,
    },
    /// Hold the call until the lease is renewed, then refuse: never over the limit.
    /// A portal that does not answer, or has nothing left, is not waited for.
    Wait {
        /// The longest wait in milliseconds; more than [`MAX_WAIT_MS`] counts as that.
        most_ms: u32,
    },
}

/// The longest that a call may be held for a lease, in milliseconds.
pub const MAX_WAIT_MS: u32 = 2_000;

/// The longest wait where a plan says nothing.
const USUAL_WAIT_MS: u32 = 1_000;

impl Default for WithoutLease {
    /// A short wait: a first burst finds a small lease, and being told that the allowance is used up
    /// while nearly all of it is left is worse than some milliseconds.
    fn default() -> Self {
        Self::Wait {
            most_ms: USUAL_WAIT_MS,
        }
    }
}

/// Which calls spend quota and are metered. Refused calls never do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counting {
    /// Status classes that count, such as 2 for 2xx.
    pub status_classes: Vec<u8>,
    /// Whether a call that the client gave up counts.
    pub aborted: bool,
    /// A response header that holds the true weight of the call: the operation's
    /// weight is reserved first and settled to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_header: Option<String>,
}

impl Default for Counting {
    /// 2xx, 3xx, 4xx and aborted calls count; 5xx do not.
    fn default() -> Self {
        Self {
            status_classes: vec![2, 3, 4],
            aborted: true,
            weight_header: None,
        }
    }
}

/// What holds once the feed is older than the programme's staleness budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenStale {
    /// Go on with the last feed known.
    #[default]
    Open,
    /// Refuse with `portal_stale`.
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corridor_ends_at_its_ceiling_without_overflow() {
        let mut quota = Quota {
            name: "month".into(),
            limit: 1_000,
            enforcement: QuotaEnforcement::Corridor {
                ceiling_percent: 120,
            },
            without_lease: WithoutLease::Refuse,
            shadow: false,
        };
        assert_eq!(quota.ceiling(), Some(1_200));
        quota.limit = u64::MAX / 2;
        assert_eq!(
            quota.ceiling(),
            Some((u128::from(u64::MAX / 2) * 6 / 5) as u64)
        );
        quota.enforcement = QuotaEnforcement::Soft;
        assert_eq!(quota.ceiling(), None);
    }
}
