//! Calls that are held until a lease is renewed, where the plan prefers a short
//! wait over a refusal.
//!
//! Owns: which calls may wait, for how long, and how many. A call is decided anew,
//! as if it came now, on every tick until it passes or its time is up; until then
//! it counts as refused, should its caller give up. Does not own: asking for the
//! lease, which goes on in the background as ever.

use super::Worker;
use crate::account::Outcome;
use crate::leader::portal_answers;
use crate::ports::Host;
use crate::prepared::Prepared;
use crate::quota::NoRoom;
use crate::verdict::{Stream, Verdict};
use shared::plan::{MAX_WAIT_MS, WithoutLease};

/// Most calls that one virtual machine holds; others are refused as without a wait.
const MAX_WAITING: usize = 128;
/// Time between ticks while calls wait.
const WAITING_TICK_MS: u32 = 10;

/// A call that is held.
#[derive(Debug)]
pub struct Waiting {
    /// The stream.
    pub stream: u32,
    pairs: Vec<u8>,
    started_ns: u64,
    until_ms: u64,
}

impl Worker {
    /// Whether a call that finds no lease is held; remembers until when.
    pub(super) fn may_wait(
        &self,
        prepared: &Prepared,
        outcome: &Outcome,
        record: &mut Stream,
        now_ms: u64,
    ) -> bool {
        let quota = prepared.permit.plan.quota.as_ref();
        let (Outcome::QuotaExceeded(NoRoom::LeaseSpent), Some(WithoutLease::Wait { most_ms })) =
            (outcome, quota.map(|quota| quota.without_lease))
        else {
            return false;
        };
        let answers = self.head.is_some_and(|head| portal_answers(&head, now_ms));
        let longest_ms = u64::from(most_ms.min(MAX_WAIT_MS));
        let until_ms = *record.waits_until_ms.get_or_insert(now_ms + longest_ms);
        // A clock that stepped back does not make the wait longer.
        let has_time = now_ms < until_ms && until_ms - now_ms <= longest_ms;
        answers && has_time && self.waiting.len() < MAX_WAITING
    }

    pub(super) fn hold(&mut self, stream: u32, pairs: &[u8], record: &Stream) {
        self.waiting.push(Waiting {
            stream,
            pairs: pairs.to_vec(),
            started_ns: record.started_ns,
            until_ms: record.waits_until_ms.unwrap_or_default(),
        });
    }

    pub(super) fn stop_waiting(&mut self, stream: u32) {
        self.waiting.retain(|call| call.stream != stream);
    }

    /// When the next tick is wanted, for calls that wait.
    pub(super) fn sooner(&self, next_ms: u32) -> u32 {
        if self.waiting.is_empty() {
            next_ms
        } else {
            next_ms.min(WAITING_TICK_MS)
        }
    }

    /// Takes all calls that wait, each to be decided again.
    pub fn take_waiting(&mut self) -> Vec<Waiting> {
        core::mem::take(&mut self.waiting)
    }

    /// Decides a call that waited; it may have to go on waiting.
    pub fn decide_again<'a>(&mut self, host: &impl Host, call: &'a Waiting) -> Verdict<'a> {
        self.judge_stream(host, call.stream, &call.pairs, |record| {
            record.started_ns = call.started_ns;
            record.waits_until_ms = Some(call.until_ms);
        })
    }
}
