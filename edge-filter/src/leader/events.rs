//! Telling a sink beside the portal what was counted, as CloudEvents.
//!
//! Cells of a finished minute are copied, as ready-made batches, into a ring in
//! shared data before their rows may be dropped, and leave it when the sink has
//! taken them: so neither a crash nor another election loses one, and a sink that is
//! down costs the ring and no more. When the ring is full its oldest batch is given
//! up, and the next batch says so. Owns: the ring, and when it is sent. Does not
//! own: what an event says; see [`crate::usage_event`].

use super::{PortalAnswer, Surroundings, is_due, is_overdue, next_try_ms};
use crate::bytes::Reader;
use crate::configuration::Sink;
use crate::ports::{Host, PortalCall, SharedData, Stored};
use crate::shared_state::{Boot, EVENTS, event_batch_key, presences, usage_key};
use crate::usage::touched_cells_of;
use crate::usage_event::{BATCH_TYPE, Gap, Teller};
use shared::usage::MINUTE_MS;

/// Most batches that wait: with the largest size of one, most memory.
pub const BATCHES: u64 = if cfg!(test) { 8 } else { 128 };
/// A batch is closed past this size.
const BATCH_BYTES: usize = 60 * 1_024;
/// A minute's rows are final this long after its end.
const FINAL_AFTER_MS: u64 = 2_000;
/// How long copying may take on a tick.
const SLICE_NS: u64 = 1_500_000;
/// How long the sink may take.
const TIMEOUT_MS: u32 = 5_000;
/// Most batches sent at the very end, when none can be sent again.
const LAST_BATCHES: u64 = 16;

/// Where the ring stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Ring {
    /// Rows last counted into before this minute have been copied.
    copied_before: u32,
    /// The number of the oldest batch …
    first: u64,
    /// … and of the next to be stored.
    next: u64,
    /// What was given up and not told yet.
    gap: Gap,
}

impl Ring {
    fn read(shared: &impl SharedData) -> Option<(Self, u32)> {
        let (bytes, version) = shared.read(EVENTS)?;
        let mut reader = Reader::new(&bytes);
        let ring = Self {
            copied_before: reader.u32()?,
            first: reader.u64()?,
            next: reader.u64()?,
            gap: Gap {
                events: reader.u64()?,
                from_minute: reader.u32()?,
                until_minute: reader.u32()?,
            },
        };
        Some((ring, version))
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.copied_before.to_le_bytes().to_vec();
        for number in [self.first, self.next, self.gap.events] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for minute in [self.gap.from_minute, self.gap.until_minute] {
            bytes.extend_from_slice(&minute.to_le_bytes());
        }
        bytes
    }

    /// Makes room for a batch; how many events were given up for it.
    fn make_room(&mut self, shared: &impl SharedData) -> u64 {
        if self.next - self.first < BATCHES {
            return 0;
        }
        let oldest = Batch::read(shared, self.first).unwrap_or_default();
        self.first += 1;
        let was_empty = self.gap.events == 0;
        self.gap.events += u64::from(oldest.events);
        if was_empty {
            self.gap.from_minute = oldest.minute;
        }
        self.gap.from_minute = self.gap.from_minute.min(oldest.minute);
        self.gap.until_minute = self.gap.until_minute.max(oldest.minute);
        oldest.events.into()
    }
}

/// Rows last counted into before this minute need not be kept for the sink.
pub(super) fn copied_before(shared: &impl SharedData) -> u32 {
    Ring::read(shared).map_or(0, |(ring, _)| ring.copied_before)
}

/// A batch that waits.
#[derive(Debug, Default)]
struct Batch {
    events: u32,
    minute: u32,
    /// A JSON array without its closing bracket.
    json: Vec<u8>,
}

impl Batch {
    fn read(shared: &impl SharedData, number: u64) -> Option<Self> {
        let (mut bytes, _) = shared.read(&event_batch_key(number % BATCHES))?;
        let mut reader = Reader::new(&bytes);
        let (events, minute) = (reader.u32()?, reader.u32()?);
        Some(Self {
            events,
            minute,
            json: bytes.split_off(8),
        })
    }

    fn write(&self, shared: &impl SharedData, number: u64) {
        let mut bytes = self.events.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.minute.to_le_bytes());
        bytes.extend_from_slice(&self.json);
        shared.write(&event_batch_key(number % BATCHES), &bytes, None);
    }

    fn push(&mut self, event: &[u8]) {
        self.json.push(if self.events == 0 { b'[' } else { b',' });
        self.json.extend_from_slice(event);
        self.events += 1;
    }
}

/// The copying of finished minutes, a slice per tick.
struct Copying {
    /// Rows last counted into before this minute are copied.
    before: u32,
    /// Buckets still to be looked at.
    buckets: Vec<(u16, usize)>,
    /// The ring as it stands …
    stored: Ring,
    version: u32,
    /// … and as it will be once all are.
    ring: Ring,
    batch: Batch,
    given_up: u64,
    /// Somebody else has stored the ring meanwhile.
    is_outrun: bool,
}

struct Sent {
    token: u32,
    number: u64,
    events: u32,
    at_ms: u64,
}

/// Events that the sink has taken, and that were given up, since this was last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventCounts {
    /// Taken by the sink.
    pub sent: u64,
    /// Given up for want of room.
    pub dropped: u64,
}

/// The elected worker's telling of events.
#[derive(Default)]
pub(super) struct Events {
    copying: Option<Copying>,
    sent: Option<Sent>,
    due_at_ms: u64,
    failures: u32,
    pub counts: EventCounts,
}

impl Events {
    pub fn tick<H: Host>(&mut self, around: &Surroundings<'_, H>, boot: &Boot) {
        let Some(sink) = &around.configuration.sink else {
            return;
        };
        let settled_ms = around.now_ms.saturating_sub(FINAL_AFTER_MS);
        let before = u32::try_from(settled_ms / MINUTE_MS).unwrap_or(u32::MAX);
        let began_ns = around.host.now_ns();
        self.copy(around, boot, before, || {
            around.host.now_ns().saturating_sub(began_ns) < SLICE_NS
        });
        let is_overdue = |sent: &mut Sent| is_overdue(sent.at_ms, TIMEOUT_MS, around.now_ms);
        if self.sent.take_if(is_overdue).is_some() {
            self.fail(around, "an answer went astray");
        }
        if self.sent.is_none() && is_due(self.due_at_ms, around.now_ms) {
            self.send(around, sink);
        }
    }

    /// Copies what is finished and not yet copied, while there is time.
    fn copy<H: Host>(
        &mut self,
        around: &Surroundings<'_, H>,
        boot: &Boot,
        before: u32,
        has_time: impl Fn() -> bool,
    ) {
        if self.copying.is_none() {
            self.copying = begin(around, before);
        }
        let Some(mut copying) = self.copying.take() else {
            return;
        };
        let teller = Teller {
            boot: boot.id,
            edge: around.edge_name,
        };
        while let Some((slot, bucket)) = copying.buckets.pop() {
            copying.take_bucket(around.host, &teller, slot, bucket);
            self.counts.dropped += core::mem::take(&mut copying.given_up);
            if copying.is_outrun {
                return;
            }
            if !has_time() && !copying.buckets.is_empty() {
                self.copying = Some(copying);
                return;
            }
        }
        copying.close_batch(around.host, &teller);
        self.counts.dropped += copying.given_up;
        copying.ring.copied_before = copying.before;
        if !copying.is_outrun {
            // Should it fail, it is copied again, under the same ids.
            let ring = copying.ring.to_bytes();
            around.host.write(EVENTS, &ring, Some(copying.version));
        }
    }

    /// Sends the oldest batch.
    fn send<H: Host>(&mut self, around: &Surroundings<'_, H>, sink: &Sink) {
        let Some((ring, _)) = Ring::read(around.host) else {
            return;
        };
        if ring.first < ring.next {
            self.send_batch(around, sink, ring.first);
        }
    }

    fn send_batch<H: Host>(&mut self, around: &Surroundings<'_, H>, sink: &Sink, number: u64) {
        let Some(batch) = Batch::read(around.host, number) else {
            return;
        };
        let mut body = batch.json;
        body.push(b']');
        let mut headers = vec![("content-type", BATCH_TYPE.to_owned())];
        if let Some(key) = &sink.key {
            headers.push(("authorization", format!("Bearer {key}")));
        }
        let call = PortalCall {
            method: "POST",
            path: sink.path.clone(),
            headers,
            body,
            timeout_ms: TIMEOUT_MS,
        };
        let token = around
            .host
            .call_portal(&sink.cluster, &sink.authority, &call);
        self.sent = token.map(|token| Sent {
            token,
            number,
            events: batch.events,
            at_ms: around.now_ms,
        });
        if token.is_none() {
            self.fail(
                around,
                "the proxy refuses the call: check `usage_events_cluster`",
            );
        }
    }

    fn fail<H: Host>(&mut self, around: &Surroundings<'_, H>, why: &str) {
        let what = "usage events not taken by the sink";
        self.due_at_ms = next_try_ms(around, &mut self.failures, what, why);
    }

    /// Takes the sink's answer; whether it was one.
    pub fn take_answer<H: Host>(
        &mut self,
        around: &Surroundings<'_, H>,
        token: u32,
        answer: &PortalAnswer<'_>,
    ) -> bool {
        let Some(sent) = self.sent.take_if(|sent| sent.token == token) else {
            return false;
        };
        if !(200..300).contains(&answer.status) {
            self.fail(around, &format!("it answers {}", answer.status));
            return true;
        }
        self.failures = 0;
        self.due_at_ms = around.now_ms;
        self.counts.sent += u64::from(sent.events);
        if let Some((mut ring, version)) = Ring::read(around.host)
            && ring.first <= sent.number
        {
            ring.first = sent.number + 1;
            // Should it fail, the batch is sent again, under the same ids.
            if around.host.write(EVENTS, &ring.to_bytes(), Some(version)) == Stored::Yes {
                event_batch_is_free(around.host, sent.number);
            }
            // What is being copied began from the ring as it was.
            self.copying = None;
        }
        if let Some(sink) = &around.configuration.sink {
            self.send(around, sink);
        }
        true
    }

    /// The process ends: also what the minute in hand has so far is told, once.
    pub fn end<H: Host>(&mut self, around: &Surroundings<'_, H>, boot: &Boot) {
        let Some(sink) = &around.configuration.sink else {
            return;
        };
        self.copying = None;
        let minute = around.now_ms / MINUTE_MS;
        let before = u32::try_from(minute).unwrap_or(u32::MAX).saturating_add(1);
        self.copy(around, boot, before, || true);
        let Some((ring, _)) = Ring::read(around.host) else {
            return;
        };
        let in_hand = self.sent.take().map_or(ring.first, |sent| sent.number + 1);
        for number in (in_hand.max(ring.first)..ring.next).take(LAST_BATCHES as usize) {
            self.send_batch(around, sink, number);
        }
    }
}

fn event_batch_is_free(shared: &impl SharedData, number: u64) {
    shared.write(&event_batch_key(number % BATCHES), &[], None);
}

/// Begins to copy, if a minute has finished since the last copy. Where nothing was
/// ever copied it begins with the minute in hand.
fn begin<H: Host>(around: &Surroundings<'_, H>, before: u32) -> Option<Copying> {
    let Some((ring, version)) = Ring::read(around.host) else {
        let minute = u32::try_from(around.now_ms / MINUTE_MS).unwrap_or(u32::MAX);
        let ring = Ring {
            copied_before: minute,
            ..Ring::default()
        };
        around.host.write(EVENTS, &ring.to_bytes(), None);
        return None;
    };
    (ring.copied_before < before).then(|| Copying {
        before,
        buckets: presences(around.host)
            .iter()
            .flat_map(|(slot, worker)| worker.touched.buckets().map(|bucket| (*slot, bucket)))
            .collect(),
        stored: ring,
        version,
        ring,
        batch: Batch::default(),
        given_up: 0,
        is_outrun: false,
    })
}

impl Copying {
    fn take_bucket(
        &mut self,
        shared: &impl SharedData,
        teller: &Teller<'_>,
        slot: u16,
        bucket: usize,
    ) {
        let Some((bytes, _)) = shared.read(&usage_key(slot, bucket)) else {
            return;
        };
        let copied_before = self.ring.copied_before;
        for (touched, cells) in touched_cells_of(slot, &bytes) {
            if touched < copied_before || touched >= self.before {
                continue;
            }
            for cell in cells {
                self.batch.minute = touched;
                self.batch.push(&teller.usage(&cell, touched));
                if self.batch.json.len() >= BATCH_BYTES {
                    self.close_batch(shared, teller);
                }
            }
        }
    }

    /// Gives the oldest batch up where the ring is full, and says so before its place is
    /// taken.
    fn make_room(&mut self, shared: &impl SharedData) {
        let given_up = self.ring.make_room(shared);
        if given_up == 0 {
            return;
        }
        self.stored.first = self.ring.first;
        self.stored.gap = self.ring.gap;
        let bytes = self.stored.to_bytes();
        let stored = shared.write(EVENTS, &bytes, Some(self.version));
        let now = Ring::read(shared).filter(|(now, _)| *now == self.stored);
        match (stored, now) {
            (Stored::Yes, Some((_, version))) => {
                self.version = version;
                self.given_up += given_up;
            }
            _ => self.is_outrun = true,
        }
    }

    /// Stores the batch, in place of the oldest where the ring is full. Nobody sees it
    /// before the ring is stored.
    fn close_batch(&mut self, shared: &impl SharedData, teller: &Teller<'_>) {
        let mut batch = core::mem::take(&mut self.batch);
        if batch.events == 0 || self.is_outrun {
            return;
        }
        self.make_room(shared);
        if self.ring.gap.events > 0 {
            batch.push(&teller.gap(self.ring.gap, self.ring.next));
            self.ring.gap = Gap::default();
        }
        batch.write(shared, self.ring.next);
        self.ring.next += 1;
    }
}
