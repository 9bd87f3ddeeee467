//! Samples for the partner's page of recent requests.
//!
//! Owns: which calls are sampled and how a worker hands its newest samples to
//! the elected one. Never a body, a query string or a key. Does not own: sending.

use serde::{Deserialize, Serialize};
use shared::ids::CredentialId;
use shared::usage::RequestSample;
use std::collections::{BTreeMap, VecDeque};

/// Most samples a worker keeps.
const KEPT: usize = 128;
/// Failures sampled per credential and second before they are thinned out like
/// successes: a storm of refusals must not push everybody else's samples out.
const FIRST_FAILURES: u32 = 5;

/// A worker's newest samples, numbered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RequestLog {
    /// The number of the first sample.
    first: u64,
    samples: VecDeque<RequestSample>,
    #[serde(skip)]
    is_dirty: bool,
    #[serde(skip)]
    calls: u64,
    #[serde(skip)]
    second: u64,
    #[serde(skip)]
    seen: BTreeMap<Option<CredentialId>, u32>,
}

impl RequestLog {
    /// Whether the next call is to be sampled.
    pub fn wants(
        &mut self,
        credential: Option<CredentialId>,
        is_failure: bool,
        sample_every: u32,
        now_ms: u64,
    ) -> bool {
        self.calls += 1;
        let by_turn = self.calls.is_multiple_of(u64::from(sample_every.max(1)));
        // A newcomer's first successes are looked for as much as failures are.
        let most = if is_failure { FIRST_FAILURES } else { 1 };
        self.is_first(credential, now_ms, most) || by_turn
    }

    fn is_first(&mut self, credential: Option<CredentialId>, now_ms: u64, most: u32) -> bool {
        let second = now_ms / 1_000;
        if second != self.second {
            self.second = second;
            self.seen.clear();
        }
        if self.seen.len() > KEPT {
            return false;
        }
        let count = self.seen.entry(credential).or_default();
        *count += 1;
        *count <= most
    }

    /// Adds a sample.
    pub fn push(&mut self, sample: RequestSample) {
        if self.samples.len() >= KEPT {
            self.samples.pop_front();
            self.first += 1;
        }
        self.samples.push_back(sample);
        self.is_dirty = true;
    }

    /// The log as it is shared, if it changed.
    pub fn take_changed(&mut self) -> Option<Vec<u8>> {
        core::mem::take(&mut self.is_dirty)
            .then(|| serde_json::to_vec(self).ok())
            .flatten()
    }

    /// Reads a shared log.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The samples from number `from` on, and the number behind the last.
    #[must_use]
    pub fn since(&self, from: u64) -> (Vec<RequestSample>, u64) {
        let end = self.first + self.samples.len() as u64;
        let known = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        (self.samples.iter().skip(known).cloned().collect(), end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(number: u64) -> RequestSample {
        RequestSample {
            at_ms: number,
            request_id: String::new(),
            credential: None,
            installation: None,
            operation: String::new(),
            method: "GET".into(),
            status: 200,
            code: None,
            latency_us: 1,
        }
    }

    #[test]
    fn the_log_is_bounded_and_readers_take_up_where_they_were() {
        let mut log = RequestLog::default();
        (0..200).for_each(|number| log.push(sample(number)));
        let read = RequestLog::read(&log.take_changed().unwrap()).unwrap();
        assert_eq!(log.take_changed(), None);
        let (samples, end) = read.since(0);
        assert_eq!((samples.len(), end), (KEPT, 200));
        assert_eq!(read.since(199).0, [sample(199)]);
        assert_eq!(read.since(200).0, []);
    }

    #[test]
    fn a_storm_of_failures_is_thinned_out() {
        let mut log = RequestLog::default();
        let wanted = (0..1_000)
            .filter(|_| log.wants(None, true, 100, 5_000))
            .count();
        assert!((10..=16).contains(&wanted), "{wanted}");
    }
}
