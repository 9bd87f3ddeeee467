//! This edge's share of the rate limits that all edges enforce together.
//!
//! Owns: what a limit becomes under a share, and the demand that the share is
//! worked out from. Does not own: the division; that is the portal's, and the sum
//! of shares never passes the whole (see [`shared::share`]).

use crate::bytes::Reader;
use shared::share::{FIRST, WHOLE};

/// The share of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Millionths granted; 0 before the first grant.
    pub granted: u32,
    /// Units ever asked for, passed or refused; wraps.
    pub asked: u64,
    /// Whether no other edge had a share when it was granted.
    pub is_sole: bool,
}

impl Share {
    /// Tokens and seconds of a limit under this share. A share too small for one token
    /// keeps its rate by a longer window.
    #[must_use]
    pub fn of(self, limit: u32, window_secs: u32) -> (u32, u32) {
        let share = if self.granted == 0 {
            FIRST
        } else {
            self.granted.min(WHOLE)
        };
        let millionths = u64::from(limit.max(1)) * u64::from(share);
        let whole = u64::from(WHOLE);
        if millionths >= whole {
            return ((millionths / whole) as u32, window_secs);
        }
        let longer = (u64::from(window_secs) * whole).div_ceil(millionths.max(1));
        (1, u32::try_from(longer).unwrap_or(u32::MAX))
    }

    /// Appends its 13 bytes.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.granted.to_le_bytes());
        bytes.extend_from_slice(&self.asked.to_le_bytes());
        bytes.push(u8::from(self.is_sole));
    }

    /// Reads what [`Self::write`] wrote.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            granted: reader.u32()?,
            asked: reader.u64()?,
            is_sole: reader.u8()? == 1,
        })
    }
}

/// Over how long demand is taken, in milliseconds.
const MEMORY_MS: f64 = 4_000.0;
/// What was told is repeated this often, in milliseconds …
const REPEAT_MS: u64 = 5_000;
/// … and at once when demand has changed by this factor.
const NEWS: f64 = 1.25;

/// What one edge knows of the demand for a share, and what it has told of it.
#[derive(Debug, Default)]
pub struct Demand {
    asked: u64,
    at_ms: u64,
    per_sec: Option<f64>,
    told: Option<(u32, u64, u64)>,
    /// Whether the portal owes more than it could grant.
    pub is_partial: bool,
}

impl Demand {
    /// Takes note of a share; thousandths of a unit asked for per second lately. None at
    /// the first look at a share that others have followed: it takes two.
    pub fn follow(&mut self, share: Share, now_ms: u64) -> Option<u64> {
        let units = share.asked.wrapping_sub(self.asked) as f64;
        let passed_ms = now_ms.saturating_sub(self.at_ms) as f64;
        let rate = units * 1_000.0 / passed_ms.max(1.0);
        match self.per_sec {
            Some(per_sec) => {
                let kept = (-passed_ms / MEMORY_MS).exp();
                self.per_sec = Some(per_sec * kept + rate * (1.0 - kept));
            }
            None if self.at_ms > 0 => self.per_sec = Some(rate.max(1.0)),
            // A new share: asked for since a moment ago.
            None if share.granted == 0 => self.per_sec = Some(units.max(1.0)),
            None => {}
        }
        (self.asked, self.at_ms) = (share.asked, now_ms.max(self.at_ms));
        self.per_sec.map(|per_sec| (per_sec * 1_000.0) as u64)
    }

    /// Whether there is something to tell; notes that it was told.
    pub fn tells(&mut self, share: Share, demand: u64, now_ms: u64) -> bool {
        let is_known = self.told.is_some_and(|(held, told, at_ms)| {
            let (low, high) = (told as f64 / NEWS, told as f64 * NEWS);
            held == share.granted
                && (low..=high).contains(&(demand as f64))
                && now_ms.abs_diff(at_ms) < REPEAT_MS
        });
        let tells = !is_known || share.granted == 0 || self.is_partial;
        if tells {
            self.told = Some((share.granted, demand, now_ms));
        }
        tells
    }

    /// What was told may not have arrived.
    pub const fn tell_again(&mut self) {
        self.told = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(granted: u32) -> Share {
        Share {
            granted,
            ..Share::default()
        }
    }

    #[test]
    fn a_share_scales_tokens_and_where_none_is_left_the_window() {
        assert_eq!(share(WHOLE).of(100, 60), (100, 60));
        assert_eq!(share(250_000).of(100, 60), (25, 60));
        assert_eq!(
            share(0).of(160, 1),
            (10, 1),
            "a sixteenth before the first grant"
        );
        assert_eq!(share(100_000).of(2, 60), (1, 300));
    }

    #[test]
    fn demand_rises_with_calls_and_ends_without_them() {
        let mut demand = Demand::default();
        let mut share = Share {
            asked: 1,
            ..Share::default()
        };
        assert_eq!(demand.follow(share, 1_000), Some(1_000));
        for second in 2..60 {
            share.asked += 20;
            demand.follow(share, second * 1_000);
        }
        let steady = demand.follow(share, 60_000).unwrap();
        assert!((15_000..=20_000).contains(&steady), "{steady}");
        let left = (61..200).filter_map(|second| demand.follow(share, second * 1_000));
        assert_eq!(left.last(), Some(0));
    }

    #[test]
    fn who_takes_over_looks_twice_before_telling_of_demand() {
        let mut demand = Demand::default();
        let mut share = Share {
            granted: 700_000,
            asked: 1_000_000,
            is_sole: false,
        };
        assert_eq!(demand.follow(share, 1_000), None);
        share.asked += 50;
        assert_eq!(demand.follow(share, 2_000), Some(50_000));
    }

    #[test]
    fn only_news_are_told_and_everything_now_and_then() {
        let mut demand = Demand::default();
        let held = share(500_000);
        assert!(demand.tells(held, 10_000, 10_000));
        assert!(!demand.tells(held, 11_000, 11_000));
        assert!(demand.tells(held, 14_000, 12_000));
        assert!(demand.tells(share(400_000), 14_000, 13_000));
        assert!(!demand.tells(share(400_000), 14_000, 14_000));
        assert!(demand.tells(share(400_000), 14_000, 18_000));
    }

    proptest! {
        /// Whatever the division, the edges together allow no more than the limit, but for
        /// the one token that every edge has at least.
        #[test]
        fn shares_of_a_limit_sum_to_no_more_than_it(
            limit in 1u32..10_000, window in 1u32..86_400,
            cuts in proptest::collection::vec(1u32..WHOLE, 1..8),
        ) {
            let total: u64 = cuts.iter().map(|cut| u64::from(*cut)).sum();
            let mut rate = 0.0;
            let mut tokens = 0;
            for cut in &cuts {
                let part = (u64::from(*cut) * u64::from(WHOLE) / total) as u32;
                prop_assume!(part > 0);
                let (own, window_secs) = share(part).of(limit, window);
                rate += f64::from(own) / f64::from(window_secs);
                tokens += own;
            }
            prop_assert!(rate <= f64::from(limit) / f64::from(window) + 1e-9);
            prop_assert!(tokens <= limit + cuts.len() as u32);
        }
    }
}
