//! One virtual machine: what happens at each callback of the proxy.
//!
//! Owns: the order of things per request, and the worker's own bookkeeping in
//! shared data. Does not own: any single decision; those are in their modules.

mod decision;
mod ending;
mod slot;
mod waiting;

use crate::bytes::TagKey;
use crate::configuration::Configuration;
use crate::feed_log::{Head, Replay};
use crate::leader::{Leader, Ledger, PortalAnswer, Surroundings};
use crate::metrics::{Metric, Metrics};
use crate::ports::{Host, Level};
use crate::prepared::PreparedCache;
use crate::programme::Programme;
use crate::request_log::RequestLog;
use crate::shared_state::{Presence, create_keys};
use crate::token::TokenCache;
use crate::usage::UsageTable;
use crate::verdict::Stream;
use core::cell::RefCell;
use core::hash::{BuildHasherDefault, Hasher};
use std::collections::HashMap;
pub use waiting::Waiting;

/// Work on a tick stops after this long.
const SLICE_NS: u64 = 2_000_000;
/// Time between ticks.
pub const TICK_MS: u32 = 50;
/// Time between ticks while there is a backlog.
pub const BUSY_TICK_MS: u32 = 5;
/// How long a virtual machine may replay the feed before its first request:
/// after a crash its state is back at once unless the programme is large.
const START_NS: u64 = 100_000_000;

/// How long the first calls may be held back for the first leases.
const LEASES_WITHIN_MS: u64 = 3_000;

/// Envoy numbers streams itself, one after another: nobody can aim at collisions.
#[derive(Default)]
struct StreamHasher(u64);

impl Hasher for StreamHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// One virtual machine's state.
#[derive(Default)]
pub struct Worker {
    configuration: Option<Configuration>,
    edge_name: String,
    owner: u64,
    slot: Option<u16>,
    presence: Presence,
    told: Presence,
    /// Calls that former owners of the slot decided.
    inherited: u64,
    programme: Programme,
    replay: Replay,
    ready_at_ms: Option<u64>,
    is_open: bool,
    tokens: RefCell<TokenCache>,
    prepared: RefCell<PreparedCache>,
    head: Option<Head>,
    usage: UsageTable,
    request_log: RequestLog,
    leader: Leader,
    metrics: Metrics,
    streams: HashMap<u32, Stream, BuildHasherDefault<StreamHasher>>,
    dropped_at_ms: u64,
    malformed_told: u64,
    waiting: Vec<Waiting>,
}

impl Worker {
    /// Takes a configuration.
    ///
    /// # Errors
    /// What is wrong with it, by field.
    pub fn configure(
        &mut self,
        host: &impl Host,
        json: &[u8],
        variable: impl Fn(&str) -> Option<String>,
        edge_name: &str,
    ) -> Result<(), String> {
        let configuration =
            Configuration::parse(json, variable).map_err(|error| error.to_string())?;
        self.configuration = Some(configuration);
        self.edge_name = edge_name.to_owned();
        create_keys(host);
        let mut key = [[0; 8]; 2];
        key.iter_mut().for_each(|half| host.fill_random(half));
        self.prepared = RefCell::new(PreparedCache::new(TagKey(key.map(u64::from_le_bytes))));
        if self.owner == 0 {
            let mut random = [0; 8];
            host.fill_random(&mut random);
            self.owner = u64::from_le_bytes(random) | 1;
            self.catch_up(host, host.now_ns(), START_NS);
        }
        Ok(())
    }

    /// The regular callback; after how long it is wanted again.
    pub fn tick(&mut self, host: &impl Host) -> u32 {
        let now_ns = host.now_ns();
        let now_ms = now_ns / 1_000_000;
        self.ensure_slot(host, now_ms);
        let is_busy = self.catch_up(host, now_ns, SLICE_NS);
        self.show_presence(host, now_ms);
        self.share_samples(host);
        self.metrics.flush(host);
        self.drop_stored(host, now_ms);
        let (Some(slot), Some(configuration)) = (self.slot, &self.configuration) else {
            return self.sooner(TICK_MS);
        };
        let around = Surroundings {
            host,
            configuration,
            edge_name: &self.edge_name,
            programme: &self.programme,
            position: self.replay.applied_position,
            now_ms,
        };
        self.leader.tick(&around, (slot, &self.presence));
        let events = self.leader.take_event_counts();
        self.metrics.add(Metric::EventsSent, events.sent);
        self.metrics.add(Metric::EventsDropped, events.dropped);
        self.sooner(if is_busy { BUSY_TICK_MS } else { TICK_MS })
    }

    /// Replays what is new of the feed for at most `slice_ns`; whether there is more.
    fn catch_up(&mut self, host: &impl Host, now_ns: u64, slice_ns: u64) -> bool {
        let Some((head, _)) = Head::read(host) else {
            return false;
        };
        self.head = Some(head);
        let has_time = || host.now_ns().saturating_sub(now_ns) < slice_ns;
        let more = self
            .replay
            .advance(host, &head, &mut self.programme, has_time);
        self.open(host, now_ns / 1_000_000);
        if self.replay.malformed > self.malformed_told {
            self.malformed_told = self.replay.malformed;
            host.log(
                Level::Warning,
                "portico: the feed has changes that this version cannot read",
            );
        }
        more
    }

    /// Begins to serve: after the snapshot, and after the first leases, without
    /// which a call under a hard quota would be refused although there is room.
    /// A portal that falls silent in between holds nobody back for long.
    fn open(&mut self, host: &impl Host, now_ms: u64) {
        if self.is_open || !self.replay.is_ready {
            return;
        }
        let ready_at_ms = *self.ready_at_ms.get_or_insert(now_ms);
        let has_leases = Ledger::read(host).is_some_and(|ledger| ledger.leased_position > 0);
        self.is_open = has_leases || now_ms >= ready_at_ms + LEASES_WITHIN_MS;
    }

    /// Takes the portal's answer to a background call.
    pub fn take_portal_answer(&mut self, host: &impl Host, token: u32, answer: &PortalAnswer<'_>) {
        let Some(configuration) = &self.configuration else {
            return;
        };
        let around = Surroundings {
            host,
            configuration,
            edge_name: &self.edge_name,
            programme: &self.programme,
            position: self.replay.applied_position,
            now_ms: host.now_ns() / 1_000_000,
        };
        self.leader.take_answer(&around, token, answer);
    }

    /// This virtual machine ends: with the process, or because the filter was
    /// loaded anew, when others take over from its shared data.
    pub fn end(&mut self, host: &impl Host) {
        let now_ms = host.now_ns() / 1_000_000;
        self.share_samples(host);
        self.metrics.flush(host);
        self.leave_slot(host);
        let Some(configuration) = &self.configuration else {
            return;
        };
        let around = Surroundings {
            host,
            configuration,
            edge_name: &self.edge_name,
            programme: &self.programme,
            position: self.replay.applied_position,
            now_ms,
        };
        self.leader.end(&around);
    }
}

#[cfg(test)]
mod tests;
