//! One token bucket.
//!
//! A bucket is kept as the time at which it will be full again, in exact
//! arithmetic: whole nanoseconds, and the rest in 1/limit nanoseconds. Nothing is
//! rounded in the caller's favour or against it, all of it fits in 64 bits, which
//! WebAssembly divides natively, and a full bucket needs no storage. Does not
//! own: where buckets are kept.

use crate::bytes::Reader;

/// Longest window, in seconds: keeps every sum below 64 bits.
const MAX_WINDOW_SECS: u32 = 366 * 24 * 3600;

/// A length of time: whole nanoseconds, and less than one in 1/limit nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Span {
    ns: u64,
    rest: u64,
}

/// A bucket that is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Which limit of the account, and of what.
    pub key: u64,
    /// When it is full again: whole nanoseconds since the Unix epoch …
    full_at_ns: u64,
    /// … and the rest in 1/limit nanoseconds.
    full_at_rest: u32,
    limit: u32,
    window_secs: u32,
}

/// What a bucket says about a request of some tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whole tokens left now (after taking, if taken).
    pub remaining: u32,
    /// Nanoseconds until one more whole token is there; 0 when it is full.
    pub next_token_ns: u64,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn full(key: u64, limit: u32, window_secs: u32) -> Self {
        Self {
            key,
            full_at_ns: 0,
            full_at_rest: 0,
            limit: limit.max(1),
            window_secs: window_secs.clamp(1, MAX_WINDOW_SECS),
        }
    }

    const fn window_ns(&self) -> u64 {
        self.window_secs as u64 * 1_000_000_000
    }

    const fn window(&self) -> Span {
        Span {
            ns: self.window_ns(),
            rest: 0,
        }
    }

    fn sum(&self, a: Span, b: Span) -> Span {
        let (ns, rest) = (a.ns + b.ns, a.rest + b.rest);
        let limit = u64::from(self.limit);
        if rest < limit {
            Span { ns, rest }
        } else {
            Span {
                ns: ns + 1,
                rest: rest - limit,
            }
        }
    }

    /// How far the bucket is from full. Never more than empty: a clock that
    /// stepped back must not lock a caller out.
    fn debt(&self, now_ns: u64) -> Span {
        if self.full_at_ns < now_ns {
            return Span::default();
        }
        let debt = Span {
            ns: self.full_at_ns - now_ns,
            rest: u64::from(self.full_at_rest),
        };
        debt.min(self.window())
    }

    fn set_debt(&mut self, now_ns: u64, debt: Span) {
        self.full_at_ns = now_ns.saturating_add(debt.ns);
        self.full_at_rest = u32::try_from(debt.rest).unwrap_or(0);
    }

    /// Whether both have the same limit and window.
    #[must_use]
    pub const fn has_limits_of(&self, other: &Self) -> bool {
        self.limit == other.limit && self.window_secs == other.window_secs
    }

    /// Gives the bucket another limit and window; tokens taken stay taken.
    pub fn change(&mut self, limit: u32, window_secs: u32, now_ns: u64) {
        let (limit, window_secs) = (limit.max(1), window_secs.clamp(1, MAX_WINDOW_SECS));
        if (limit, window_secs) == (self.limit, self.window_secs) {
            return;
        }
        // Counted in 1/limit nanoseconds a token is worth one window, whatever
        // the limit: so the debt scales with the window alone.
        let debt = self.debt(now_ns);
        let debt = u128::from(debt.ns) * u128::from(self.limit) + u128::from(debt.rest);
        let debt = (debt * u128::from(window_secs)).div_ceil(u128::from(self.window_secs));
        self.limit = limit;
        self.window_secs = window_secs;
        let limit = u128::from(limit);
        let debt = Span {
            ns: u64::try_from(debt / limit).unwrap_or(u64::MAX),
            rest: u64::try_from(debt % limit).unwrap_or(0),
        };
        self.set_debt(now_ns, debt.min(self.window()));
    }

    /// Gives the bucket another limit and window; the tokens in it stay, as many as fit:
    /// what it grows by is filled in time, because another edge may just have used it.
    pub fn change_keeping_tokens(&mut self, limit: u32, window_secs: u32, now_ns: u64) {
        let (limit, window_secs) = (limit.max(1), window_secs.clamp(1, MAX_WINDOW_SECS));
        if (limit, window_secs) == (self.limit, self.window_secs) {
            return;
        }
        let debt = self.debt(now_ns);
        let debt = u128::from(debt.ns) * u128::from(self.limit) + u128::from(debt.rest);
        let left = u128::from(self.window_ns()) * u128::from(self.limit) - debt;
        // Counted in 1/limit nanoseconds, a token is worth one window.
        let left = left * u128::from(window_secs) / u128::from(self.window_secs);
        (self.limit, self.window_secs) = (limit, window_secs);
        let limit = u128::from(limit);
        let debt = (u128::from(self.window_ns()) * limit).saturating_sub(left);
        let debt = Span {
            ns: u64::try_from(debt / limit).unwrap_or(u64::MAX),
            rest: u64::try_from(debt % limit).unwrap_or(0),
        };
        self.set_debt(now_ns, debt.min(self.window()));
    }

    /// The time in which so many tokens come back.
    fn worth(&self, tokens: u32) -> Span {
        let limit = u64::from(self.limit);
        let (each, rest) = (self.window_ns() / limit, self.window_ns() % limit);
        // More tokens than fit would be refused for ever: such a call takes all.
        match u64::from(tokens.min(self.limit)) {
            1 => Span { ns: each, rest },
            tokens => Span {
                ns: each * tokens + rest * tokens / limit,
                rest: rest * tokens % limit,
            },
        }
    }

    /// Whether `tokens` can be taken.
    #[must_use]
    pub fn has(&self, tokens: u32, now_ns: u64) -> bool {
        self.sum(self.debt(now_ns), self.worth(tokens)) <= self.window()
    }

    /// Takes `tokens`; the caller has asked [`Self::has`].
    pub fn take(&mut self, tokens: u32, now_ns: u64) {
        let debt = self.sum(self.debt(now_ns), self.worth(tokens));
        self.set_debt(now_ns, debt.min(self.window()));
    }

    /// Nanoseconds until `tokens` can be taken.
    #[must_use]
    pub fn wait_ns(&self, tokens: u32, now_ns: u64) -> u64 {
        let needed = self.sum(self.debt(now_ns), self.worth(tokens));
        if needed <= self.window() {
            return 0;
        }
        needed.ns - self.window_ns() + u64::from(needed.rest > 0)
    }

    /// What is left.
    #[must_use]
    pub fn standing(&self, now_ns: u64) -> Standing {
        let debt = self.debt(now_ns);
        let left = if debt.rest == 0 {
            Span {
                ns: self.window_ns() - debt.ns,
                rest: 0,
            }
        } else {
            Span {
                ns: self.window_ns() - debt.ns - 1,
                rest: u64::from(self.limit) - debt.rest,
            }
        };
        // Estimated in floating point, which may be off by one, then made exact.
        let estimate = left.ns as f64 * f64::from(self.limit) / self.window_ns() as f64;
        let mut remaining = (estimate as u32).min(self.limit);
        while self.worth(remaining) > left {
            remaining -= 1;
        }
        while remaining < self.limit && self.worth(remaining + 1) <= left {
            remaining += 1;
        }
        Standing {
            remaining,
            next_token_ns: if remaining >= self.limit {
                0
            } else {
                self.wait_ns(remaining + 1, now_ns)
            },
        }
    }

    /// Whether it need not be kept.
    #[must_use]
    pub fn is_full(&self, now_ns: u64) -> bool {
        self.debt(now_ns) == Span::default()
    }

    /// Appends its 28 bytes.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.key.to_le_bytes());
        bytes.extend_from_slice(&self.full_at_ns.to_le_bytes());
        bytes.extend_from_slice(&self.full_at_rest.to_le_bytes());
        bytes.extend_from_slice(&self.limit.to_le_bytes());
        bytes.extend_from_slice(&self.window_secs.to_le_bytes());
    }

    /// Reads what [`Self::write`] wrote.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut bucket = Self {
            key: reader.u64()?,
            full_at_ns: reader.u64()?,
            full_at_rest: reader.u32()?,
            limit: reader.u32()?.max(1),
            window_secs: reader.u32()?.clamp(1, MAX_WINDOW_SECS),
        };
        bucket.full_at_rest = bucket.full_at_rest.min(bucket.limit - 1);
        Some(bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_767_225_600 * SECOND;

    fn take(bucket: &mut Bucket, tokens: u32, now_ns: u64) -> bool {
        let has = bucket.has(tokens, now_ns);
        if has {
            bucket.take(tokens, now_ns);
        }
        has
    }

    #[test]
    fn a_full_bucket_gives_its_limit_and_not_one_more() {
        let mut bucket = Bucket::full(1, 50, 1);
        let admitted = (0..80).filter(|_| take(&mut bucket, 1, START)).count();
        assert_eq!(admitted, 50);
        assert_eq!(bucket.wait_ns(1, START), SECOND / 50);
        assert!(!bucket.has(1, START + SECOND / 50 - 1));
        assert!(bucket.has(1, START + SECOND / 50));
    }

    #[test]
    fn seven_per_second_loses_nothing_to_rounding() {
        let mut bucket = Bucket::full(1, 7, 1);
        let mut admitted = 0;
        for step in 0..10_000_000 / 100 {
            admitted += u32::from(take(&mut bucket, 1, START + step * 100_000));
        }
        // 10 s at 7/s beside the 7 it starts with; the last instant is just short of 10 s.
        assert_eq!(admitted, 7 + 69);
    }

    #[test]
    fn a_clock_that_steps_back_locks_nobody_out_for_longer_than_a_window() {
        let mut bucket = Bucket::full(1, 10, 1);
        assert!(take(&mut bucket, 10, START + 3_600 * SECOND));
        assert_eq!(bucket.wait_ns(1, START), SECOND / 10);
    }

    #[test]
    fn another_limit_keeps_what_was_taken() {
        let mut bucket = Bucket::full(1, 50, 1);
        bucket.take(40, START);
        bucket.change(100, 1, START);
        assert_eq!(bucket.standing(START).remaining, 60);
        bucket.change(30, 60, START);
        assert_eq!(bucket.standing(START).remaining, 0);
    }

    #[test]
    fn tokens_stay_when_a_share_moves() {
        let mut bucket = Bucket::full(1, 50, 1);
        bucket.take(40, START);
        bucket.change_keeping_tokens(100, 1, START);
        assert_eq!(bucket.standing(START).remaining, 10);
        assert_eq!(bucket.standing(START + SECOND / 2).remaining, 60);
        bucket.change_keeping_tokens(5, 60, START);
        assert_eq!(bucket.standing(START).remaining, 5);
    }

    #[test]
    fn a_call_that_weighs_more_than_the_limit_takes_all() {
        let mut bucket = Bucket::full(1, 5, 1);
        assert!(take(&mut bucket, 9, START));
        assert_eq!(bucket.standing(START).remaining, 0);
    }

    /// A bucket simulated in whole tokens·window, advanced step by step.
    struct Reference {
        level: u128,
        at_ns: u64,
        limit: u128,
        window_ns: u128,
    }

    impl Reference {
        fn take(&mut self, tokens: u32, now_ns: u64) -> bool {
            let passed = u128::from(now_ns - self.at_ns);
            let capacity = self.limit * self.window_ns;
            self.level = (self.level + passed * self.limit).min(capacity);
            self.at_ns = now_ns;
            let cost = u128::from(tokens).min(self.limit) * self.window_ns;
            let has = self.level >= cost;
            if has {
                self.level -= cost;
            }
            has
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        /// 1 000 cases of 1 000 requests: 10^6 decisions, no difference.
        #[test]
        fn the_bucket_agrees_with_the_slow_way(
            limit in 1u32..200, window_secs in 1u32..120,
            steps in proptest::collection::vec((0u64..3 * SECOND, 1u32..4, 0u8..4), 1_000),
        ) {
            let mut bucket = Bucket::full(1, limit, window_secs);
            let window_ns = u128::from(window_secs) * u128::from(SECOND);
            let mut reference = Reference {
                level: u128::from(limit) * window_ns, at_ns: START, limit: u128::from(limit), window_ns,
            };
            let mut now = START;
            for (gap, tokens, kind) in steps {
                // Mostly tight bursts: gaps of a fraction of a token matter most.
                now += if kind == 0 { gap } else { gap % (SECOND / u64::from(limit)) };
                prop_assert_eq!(take(&mut bucket, tokens, now), reference.take(tokens, now));
                prop_assert_eq!(u128::from(bucket.standing(now).remaining), reference.level / window_ns);
                let wait = bucket.wait_ns(tokens, now);
                prop_assert!(bucket.has(tokens, now + wait));
                prop_assert!(wait == 0 || !bucket.has(tokens, now + wait - 1));
            }
        }

        #[test]
        fn a_bucket_round_trips(limit: u32, window: u32, tokens in 0u32..100, key: u64) {
            let mut bucket = Bucket::full(key, limit, window);
            bucket.take(tokens, START);
            let mut bytes = Vec::new();
            bucket.write(&mut bytes);
            prop_assert_eq!(Bucket::read(&mut Reader::new(&bytes)), Some(bucket));
        }
    }
}
