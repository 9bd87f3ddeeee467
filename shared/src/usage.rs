//! Usage: cumulative cells, the report that carries them, and its answer.
//!
//! A cell's counters only grow while its edge boot lives, and a report repeats
//! the current totals. The portal keeps the maximum per cell and field, so
//! resending, reordering and duplicating change nothing, and a lost report is
//! healed by the next.

use crate::ids::{CredentialId, EdgeBootId, InstallationId, MeterId, SubscriptionId};
use crate::lease::{LeaseGrant, LeaseRequest};
use crate::share::{ShareGrant, ShareRequest};
use serde::{Deserialize, Serialize};

/// Milliseconds of a cell's minute.
pub const MINUTE_MS: u64 = 60_000;

/// Upper bounds of the latency buckets in microseconds; a last bucket has none.
/// Each is about √2 times the one before, from 250 µs to 92 s.
pub const LATENCY_BOUNDS_US: [u64; 38] = [
    250, 354, 500, 707, 1_000, 1_414, 2_000, 2_828, 4_000, 5_657, 8_000, 11_314, 16_000, 22_627,
    32_000, 45_255, 64_000, 90_510, 128_000, 181_019, 256_000, 362_039, 512_000, 724_077,
    1_024_000, 1_448_155, 2_048_000, 2_896_309, 4_096_000, 5_792_619, 8_192_000, 11_585_238,
    16_384_000, 23_170_475, 32_768_000, 46_340_950, 65_536_000, 92_681_900,
];

/// Number of latency buckets.
pub const LATENCY_BUCKETS: usize = LATENCY_BOUNDS_US.len() + 1;

/// The bucket that a latency falls in; bounds are inclusive.
#[must_use]
pub fn latency_bucket(latency_us: u64) -> usize {
    LATENCY_BOUNDS_US.partition_point(|&bound| bound < latency_us)
}

/// What became of a call, as usage counts it.
///
/// Text form: `2xx` … `5xx`, `aborted`, or a refusal's code (see
/// [`crate::problem::Code`]).
pub mod outcome {
    /// The client gave up before the response ended.
    pub const ABORTED: &str = "aborted";

    /// The outcome of an HTTP status.
    #[must_use]
    pub const fn of_status(status: u16) -> &'static str {
        match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        }
    }

    /// The status class (2 for `2xx`) of an outcome that is one.
    #[must_use]
    pub fn status_class(outcome: &str) -> Option<u8> {
        match outcome {
            "1xx" => Some(1),
            "2xx" => Some(2),
            "3xx" => Some(3),
            "4xx" => Some(4),
            "5xx" => Some(5),
            _ => None,
        }
    }
}

/// One usage cell. Identity: everything up to `minute`, together with the
/// report's edge boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The slot: which of the edge's workers counted.
    pub slot: u16,
    /// The credential; absent for calls with none that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialId>,
    /// The subscription the call was decided under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionId>,
    /// The installation whose token was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<InstallationId>,
    /// The meter; absent for calls that belong to no product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<MeterId>,
    /// The operation's name, or empty where none matched. Never a raw path.
    pub operation: String,
    /// See [`outcome`].
    pub outcome: String,
    /// The minute, as whole minutes since the Unix epoch (of the edge's clock at the call's end).
    pub minute: u64,
    /// Calls.
    pub count: u64,
    /// The meter's quantity; what quota and price count when the outcome counts.
    pub units: u64,
    /// Bytes of request bodies.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes_in: u64,
    /// Bytes of response bodies.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes_out: u64,
    /// Calls per latency bucket: `[bucket, count]`, ascending, zeros left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency: Vec<(u8, u64)>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A call in the partner's request log: all first failures, successes sampled.
/// Never a body, a query string or a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSample {
    /// When the call ended, Unix milliseconds.
    pub at_ms: u64,
    /// `x-request-id`.
    pub request_id: String,
    /// The credential; absent for calls with none that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialId>,
    /// The installation whose token was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<InstallationId>,
    /// The operation's name, or empty.
    pub operation: String,
    /// The HTTP method.
    pub method: String,
    /// The status sent; 0 when the client gave up before one.
    pub status: u16,
    /// The refusal's code, when the edge refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// From first byte in to last byte out, microseconds.
    pub latency_us: u64,
}

/// What an edge sends about once a second, and at its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which boot of which edge.
    pub edge: EdgeDescription,
    /// Counts up with every new report of the boot; the same when one is resent.
    pub sequence: u64,
    /// The sender's clock, Unix milliseconds.
    pub sent_at_ms: u64,
    /// The feed position that every live worker has applied.
    pub applied_position: u64,
    /// Calls decided so far, over all workers: bounds what an unclean end may lose.
    pub decided: u64,
    /// Whether this is the last report of a clean end.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub ended: bool,
    /// Cells that changed since the last acknowledged report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Cell>,
    /// Samples for the request log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<RequestSample>,
    /// The state of every lease held or wanted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<LeaseRequest>,
    /// The state of every share of rate limits held or wanted, where there is news.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<ShareRequest>,
}

/// Which boot of which edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeDescription {
    /// The boot: new with every start of the Envoy process.
    pub boot: EdgeBootId,
    /// The edge's stable name (Envoy's node id).
    pub name: String,
    /// The filter's version.
    pub version: String,
    /// When the boot began, Unix milliseconds.
    pub started_at_ms: u64,
}

/// The portal's answer to a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// The report's sequence: its cells and samples are stored.
    pub acknowledged: u64,
    /// The newest feed position.
    pub head: u64,
    /// The portal's clock, Unix milliseconds.
    pub now_ms: u64,
    /// The state of every lease asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<LeaseGrant>,
    /// The share of every account asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<ShareGrant>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_buckets_include_their_upper_bound() {
        assert_eq!(latency_bucket(0), 0);
        assert_eq!(latency_bucket(250), 0);
        assert_eq!(latency_bucket(251), 1);
        assert_eq!(latency_bucket(92_681_900), LATENCY_BUCKETS - 2);
        assert_eq!(latency_bucket(u64::MAX), LATENCY_BUCKETS - 1);
        assert!(LATENCY_BOUNDS_US.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn outcomes_know_their_class() {
        assert_eq!(outcome::of_status(204), "2xx");
        assert_eq!(outcome::status_class("4xx"), Some(4));
        assert_eq!(outcome::status_class("rate_limited"), None);
    }
}
