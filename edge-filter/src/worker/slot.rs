//! A worker's own place in shared data: taking it, saying that it lives, and
//! dropping what the portal has stored.

use super::Worker;
use crate::leader::Ledger;
use crate::ports::Host;
use crate::request_log::RequestLog;
use crate::shared_state::{claim_slot, read_presence, samples_key, slot_key, usage_key};

/// How often a worker says that it lives …
const HEARTBEAT_MS: u64 = 250;
/// … and that calls have passed, which are then reported.
const NEWS_MS: u64 = 100;
/// How often it looks whether finished minutes may be dropped.
const DROP_MS: u64 = 1_000;

impl Worker {
    pub(super) fn ensure_slot(&mut self, host: &impl Host, now_ms: u64) {
        if self.slot.is_some() {
            return;
        }
        let Some((slot, presence)) = claim_slot(host, self.owner, now_ms) else {
            return;
        };
        self.slot = Some(slot);
        self.inherited = presence.decided;
        self.presence = presence;
        self.told = presence;
        for bucket in presence.touched.buckets() {
            if let Some((bytes, _)) = host.read(&usage_key(slot, bucket)) {
                self.usage.adopt(bucket, bytes);
            }
        }
        if let Some(log) = host
            .read(&samples_key(slot))
            .and_then(|(bytes, _)| RequestLog::read(&bytes))
        {
            self.request_log = log;
        }
        // A minute that was dropped must not begin again, should the clock have stepped back.
        self.dropped_at_ms = 0;
        self.drop_stored(host, now_ms);
    }

    pub(super) fn show_presence(&mut self, host: &impl Host, now_ms: u64) {
        let Some(slot) = self.slot else {
            return;
        };
        self.presence.applied_position = self.replay.applied_position;
        self.presence.served = self.presence.decided - self.inherited;
        let is_news = self.presence.applied_position != self.told.applied_position
            || (self.told.served == 0) != (self.presence.served == 0);
        let pause_ms = if self.presence.passed == self.told.passed {
            HEARTBEAT_MS
        } else {
            NEWS_MS
        };
        if !is_news && now_ms.abs_diff(self.told.seen_at_ms) < pause_ms {
            return;
        }
        match read_presence(host, slot) {
            Some(shown) if shown.owner != self.owner => {
                // After a stall of many seconds the slot is another's, with its cells.
                self.slot = None;
                self.usage.clear();
                self.request_log = RequestLog::default();
                self.ensure_slot(host, now_ms);
            }
            _ => {}
        }
        self.presence.seen_at_ms = now_ms;
        self.told = self.presence;
        if let Some(slot) = self.slot {
            host.write(&slot_key(slot), &self.presence.to_bytes(), None);
        }
    }

    /// Mirrors a bucket of rows. A bucket never used before is announced first: who
    /// reports looks at no other.
    pub(super) fn mirror(&mut self, host: &impl Host, bucket: usize) {
        let Some(slot) = self.slot else {
            return;
        };
        if self.presence.touched.insert(bucket)
            && read_presence(host, slot).is_some_and(|shown| shown.owner == self.owner)
        {
            host.write(&slot_key(slot), &self.presence.to_bytes(), None);
        }
        host.write(&usage_key(slot, bucket), self.usage.bucket(bucket), None);
    }

    /// Says that it lives no longer. The slot stays its own for a while: a call
    /// in hand may still be counted.
    pub(super) fn leave_slot(&mut self, host: &impl Host) {
        if let Some(slot) = self.slot {
            self.presence.has_left = true;
            host.write(&slot_key(slot), &self.presence.to_bytes(), None);
        }
    }

    /// Hands the newest samples to the elected worker.
    pub(super) fn share_samples(&mut self, host: &impl Host) {
        if let (Some(slot), Some(bytes)) = (self.slot, self.request_log.take_changed()) {
            host.write(&samples_key(slot), &bytes, None);
        }
    }

    pub(super) fn drop_stored(&mut self, host: &impl Host, now_ms: u64) {
        if now_ms.abs_diff(self.dropped_at_ms) < DROP_MS {
            return;
        }
        self.dropped_at_ms = now_ms;
        let (Some(slot), Some(ledger)) = (self.slot, Ledger::read(host)) else {
            return;
        };
        for bucket in self.usage.drop_before(ledger.stored_before) {
            host.write(&usage_key(slot, bucket), self.usage.bucket(bucket), None);
        }
    }
}
