//! Rules about boots and leases, without I/O.

use shared::usage::Report;

/// An edge that was heard of this recently counts as live, in milliseconds.
pub const LIVE_FOR_MS: i64 = 5_000;
/// An edge that was silent for this long has an open gap, in milliseconds.
pub const SILENT_AFTER_MS: i64 = 120_000;
/// How long an edge may be away and still bring what it counted.
pub const AWAY_AT_MOST_MS: i64 = 35 * 24 * 60 * 60 * 1000;
/// How long an edge may spend a lease without renewing it, in milliseconds. Long, because what is
/// lent is never lent again within the period: only a changed plan makes an old lease wrong.
pub const LEASE_FOR_MS: i64 = 24 * 60 * 60 * 1000;

/// What is kept of a boot between two reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The newest report.
    pub sequence: i64,
    /// When that report was sent, by the edge's clock.
    pub sent_at_ms: i64,
    /// Calls decided up to it.
    pub decided: i64,
    /// The highest rate between two reports, in calls per 1 000 seconds.
    pub peak_rate: i64,
}

impl Progress {
    /// The progress after a newer report.
    pub fn advanced(self, report: &Report) -> Self {
        let sent_at_ms = saturating(report.sent_at_ms);
        let decided = saturating(report.decided);
        let span_ms = sent_at_ms.saturating_sub(self.sent_at_ms).max(1);
        let calls = decided.saturating_sub(self.decided).max(0);
        let rate = i128::from(calls) * 1_000_000 / i128::from(span_ms);
        Self {
            sequence: saturating(report.sequence),
            sent_at_ms,
            decided,
            peak_rate: self.peak_rate.max(i64::try_from(rate).unwrap_or(i64::MAX)),
        }
    }

    /// The most calls that may be missing after an unclean end: those decided and not yet counted at
    /// the last report, and those of the time behind it at the highest rate this boot ever showed.
    pub fn gap_calls(&self, counted: i64, until_ms: i64) -> i64 {
        let unreported = self.decided.saturating_sub(counted).max(0);
        let span_ms = until_ms.saturating_sub(self.sent_at_ms).max(0);
        let later = i128::from(self.peak_rate) * i128::from(span_ms) / 1_000_000 + 1;
        unreported.saturating_add(i64::try_from(later).unwrap_or(i64::MAX))
    }
}

/// How much of what is left an edge gets that wants `wanted` more, with `live_edges` alive.
///
/// A lone edge gets what it asks for. Among several, one request takes at most an equal part of what
/// is left, so that shares follow demand (who does not ask gets nothing) and shrink near the end.
pub fn share(wanted: u64, left: u64, live_edges: u64) -> u64 {
    let part = if live_edges <= 1 {
        left
    } else {
        left.div_ceil(live_edges)
    };
    wanted.min(part)
}

/// SQL integers are signed; a number beyond them is as good as the largest.
pub fn saturating(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gap_is_bounded_by_what_was_unreported_and_the_peak_rate() {
        // 40 calls a second at most, 7 calls decided and not yet counted, half a second of silence.
        let progress = Progress {
            sequence: 9,
            sent_at_ms: 10_000,
            decided: 107,
            peak_rate: 40_000,
        };
        assert_eq!(progress.gap_calls(100, 10_500), 7 + 20 + 1);
        assert_eq!(progress.gap_calls(200, 9_000), 1);
    }

    proptest! {
        #[test]
        fn shares_never_exceed_what_is_left_and_always_go_on(wanted in 1u64.., left: u64, edges in 0u64..1_000) {
            let share = share(wanted, left, edges);
            prop_assert!(share <= left && share <= wanted);
            prop_assert!(left == 0 || share > 0);
        }
    }
}
