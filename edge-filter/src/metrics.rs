//! A fixed number of metrics, whatever the number of keys.
//!
//! Owns: their names, what they count, and the filter's own time, sampled,
//! because asking for the time is a crossing. Counted in memory and handed to the
//! proxy on ticks. Does not own: usage; that is the portal's business.

use crate::ports::Host;

/// One call in this many is timed.
const TIMED_EVERY: u32 = 64;

/// What is counted; Envoy puts `wasmcustom.` before the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Calls that passed with a credential.
    Accepted,
    /// Calls on public paths.
    Public,
    /// Calls refused here.
    Refused,
    /// Calls whose time was taken.
    Timed,
    /// Nanoseconds that the filter itself took for them, in all phases.
    TimedNs,
    /// Usage events that the sink has taken.
    EventsSent,
    /// Usage events that were given up because it was away for too long.
    EventsDropped,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Public,
        Self::Refused,
        Self::Timed,
        Self::TimedNs,
        Self::EventsSent,
        Self::EventsDropped,
    ];

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "portico.calls_accepted",
            Self::Public => "portico.calls_public",
            Self::Refused => "portico.calls_refused",
            Self::Timed => "portico.calls_timed",
            Self::TimedNs => "portico.calls_timed_ns",
            Self::EventsSent => "portico.usage_events_sent",
            Self::EventsDropped => "portico.usage_events_dropped",
        }
    }
}

/// What one virtual machine has counted and not yet handed over.
#[derive(Debug, Default)]
pub struct Metrics {
    ids: Vec<Option<u32>>,
    pending: [u64; Metric::ALL.len()],
}

impl Metrics {
    /// Whether a stream's time is taken.
    #[must_use]
    pub const fn times(stream: u32) -> bool {
        stream.is_multiple_of(TIMED_EVERY)
    }

    /// Counts.
    pub fn add(&mut self, metric: Metric, amount: u64) {
        if let Some(pending) = self.pending.get_mut(metric as usize) {
            *pending += amount;
        }
    }

    /// Hands over what was counted.
    pub fn flush(&mut self, host: &impl Host) {
        if self.ids.is_empty() {
            let define = |metric: Metric| host.define_counter(metric.name());
            self.ids = Metric::ALL.into_iter().map(define).collect();
        }
        for (id, pending) in self.ids.iter().zip(&mut self.pending) {
            let amount = core::mem::take(pending);
            if let (Some(id), true) = (id, amount > 0) {
                host.add_to_counter(*id, amount);
            }
        }
    }
}
