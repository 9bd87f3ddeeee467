//! Shares: how several edges enforce one rate limit together.
//!
//! A plan marks a limit as one [`across_edges`](crate::plan::RateLimit::across_edges).
//! Each edge then enforces a share of it per subscription and environment, in
//! millionths, that follows the demand it sees. The portal keeps
//!
//! ```text
//! Σ over edges (the larger of what is granted and what is held)  ≤  1
//! ```
//! so a share grows only by what other edges have confirmed as given up. No call
//! waits for any of this: an edge that has no share yet enforces [`FIRST`], and one
//! that cannot reach the portal what it was granted last.

use crate::credential::Environment;
use crate::ids::SubscriptionId;
use serde::{Deserialize, Serialize};

/// The whole, in millionths.
pub const WHOLE: u32 = 1_000_000;
/// What an edge enforces before its first share is granted: a sixteenth.
pub const FIRST: u32 = WHOLE / 16;

/// Whose limits are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ShareKey {
    /// The subscription whose plan has the limits.
    pub subscription: SubscriptionId,
    /// Test and live traffic have limits of their own.
    pub environment: Environment,
}

/// An edge's side of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareRequest {
    /// What it is a share of.
    #[serde(flatten)]
    pub key: ShareKey,
    /// Millionths that the edge enforces by a grant; 0 before the first, and when it
    /// gives up its share.
    pub held: u32,
    /// Units asked for lately, passed or refused, in thousandths per second; 0 gives
    /// the share up.
    pub demand: u64,
}

/// The portal's side of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareGrant {
    /// What it is a share of.
    #[serde(flatten)]
    pub key: ShareKey,
    /// Millionths that the edge may enforce from now on.
    pub millionths: u32,
    /// Whether no other edge has a share: unused tokens of the whole limit are there at
    /// once. Otherwise a share that grows is worth a faster rate and no tokens.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub is_sole: bool,
    /// Whether more is due to it once other edges have given it up: worth asking again soon.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub is_partial: bool,
}

/// What the portal knows of one edge's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// Millionths last granted: the edge may enforce them.
    pub granted: u32,
    /// Millionths that the edge last said it enforces.
    pub held: u32,
    /// The demand it last told.
    pub demand: u64,
}

impl Holding {
    fn lent(self) -> u32 {
        self.granted.max(self.held)
    }
}

/// A share is left as it is while it is this near to what is due, in millionths.
const NEAR: u32 = WHOLE / 50;

/// What one edge may enforce, given what the others may: shares follow demand, no edge
/// that asks gets less than an eighth of an equal part, and the sum never passes the whole.
#[must_use]
pub fn divide(key: ShareKey, held: u32, demand: u64, others: &[Holding]) -> ShareGrant {
    let edges = u32::try_from(others.len())
        .unwrap_or(WHOLE)
        .saturating_add(1);
    let least = if others.is_empty() {
        0
    } else {
        WHOLE / edges / 8
    };
    let all = u128::from(demand)
        + others
            .iter()
            .map(|other| u128::from(other.demand))
            .sum::<u128>();
    let divided = u128::from(WHOLE.saturating_sub(least.saturating_mul(edges)));
    let by_demand = divided * u128::from(demand) / all.max(1);
    let due = least.saturating_add(u32::try_from(by_demand).unwrap_or(WHOLE));
    let lent = others
        .iter()
        .fold(0, |sum: u32, other| sum.saturating_add(other.lent()));
    let free = WHOLE.saturating_sub(lent);
    let millionths = if held <= free && held > 0 && held.abs_diff(due) <= NEAR && !others.is_empty()
    {
        held
    } else {
        due.min(free)
    };
    ShareGrant {
        key,
        millionths,
        is_sole: others.is_empty(),
        is_partial: millionths.saturating_add(NEAR) < due,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: ShareKey = ShareKey {
        subscription: SubscriptionId::from_bytes([1; 16]),
        environment: Environment::Live,
    };

    /// Edges that ask in turn, each told of the others as the portal knows them.
    struct Pool {
        edges: Vec<Holding>,
        enforced: Vec<u32>,
    }

    impl Pool {
        fn ask(&mut self, edge: usize, demand: u64, is_answer_lost: bool) -> ShareGrant {
            let others: Vec<_> = self
                .edges
                .iter()
                .enumerate()
                .filter(|(place, other)| *place != edge && **other != Holding::default())
                .map(|(_, other)| *other)
                .collect();
            let held = self.enforced[edge];
            let grant = divide(KEY, held, demand, &others);
            self.edges[edge] = Holding {
                granted: grant.millionths,
                held,
                demand,
            };
            if !is_answer_lost {
                self.enforced[edge] = grant.millionths;
            }
            grant
        }
    }

    fn pool(edges: usize) -> Pool {
        Pool {
            edges: vec![Holding::default(); edges],
            enforced: vec![0; edges],
        }
    }

    #[test]
    fn a_lone_edge_has_the_whole_and_another_gets_what_is_given_up() {
        let mut pool = pool(2);
        assert_eq!(pool.ask(0, 10_000, false).millionths, WHOLE);
        let second = pool.ask(1, 10_000, false);
        assert_eq!((second.millionths, second.is_partial), (0, true));
        assert_eq!(pool.ask(0, 10_000, false).millionths, WHOLE / 2);
        // What the first enforces is known when it says so.
        assert_eq!(pool.ask(1, 10_000, false).millionths, 0);
        pool.ask(0, 10_000, false);
        let second = pool.ask(1, 10_000, false);
        assert_eq!((second.millionths, second.is_partial), (WHOLE / 2, false));
    }

    #[test]
    fn shares_follow_demand_and_leave_everybody_something() {
        let mut pool = pool(3);
        for _ in 0..6 {
            pool.ask(0, 90_000, false);
            pool.ask(1, 9_000, false);
            pool.ask(2, 1, false);
        }
        assert!((WHOLE / 24..WHOLE / 20).contains(&pool.enforced[2]));
        assert!(
            (800_000..900_000).contains(&pool.enforced[0]),
            "{:?}",
            pool.enforced
        );
        let sum: u32 = pool.enforced.iter().sum();
        assert!((WHOLE - 3 * NEAR..=WHOLE).contains(&sum), "{sum}");
    }

    proptest! {
        /// Any edges, in any order, with answers lost: never more than the whole.
        #[test]
        fn shares_never_sum_to_more_than_the_whole(
            asks in proptest::collection::vec((0usize..4, 1u64..1_000_000, any::<bool>()), 1..200),
        ) {
            let mut pool = pool(4);
            for (edge, demand, is_lost) in asks {
                pool.ask(edge, demand, is_lost);
                let sum: u32 = pool.enforced.iter().sum();
                prop_assert!(sum <= WHOLE, "{:?}", pool.enforced);
            }
        }
    }
}
