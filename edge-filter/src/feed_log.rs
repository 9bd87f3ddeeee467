//! The feed as the virtual machines of one Envoy hand it to each other.
//!
//! The elected worker reads the portal's feed once and writes it into shared
//! data as numbered chunks of records; every other virtual machine, also one
//! reloaded after a crash, replays the chunks in small slices. A snapshot starts
//! a new generation under other keys; the former one stays readable until its
//! readers have moved on. Owns: records, chunks, the head, replay. Does not own:
//! the conversation with the portal; see `leader`.

use crate::bytes::Reader;
use crate::ports::{SharedData, Stored};
use crate::programme::Programme;
use crate::shared_state::{FEED_HEAD, chunk_key};
use shared::feed::{PACKED_CREDENTIAL_BYTES, PackedCredential};
use shared::ids::AppId;

/// Bytes past which a chunk is closed.
const CHUNK_BYTES: usize = 32 * 1024;
/// Most rows of packed credentials in a record.
const ROWS_PER_RECORD: usize = 256;
/// Changes applied before the time is looked at again; a record of packed rows
/// counts as many. Either takes a small part of a slice.
const CHANGES_PER_LOOK: u32 = 16;
/// Bytes of changes behind a snapshot past which a new snapshot is cheaper.
const REBASE_BYTES: u64 = 8 * 1024 * 1024;

const CHANGE: u8 = b'C';
const FIRST_APPS: u8 = b'a';
const MORE_APPS: u8 = b'A';
const PACKED: u8 = b'P';
const SNAPSHOT_END: u8 = b'E';

/// Where the log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Counts snapshots, from 1.
    pub generation: u32,
    /// Chunks written.
    pub chunks: u32,
    /// Bytes of the last chunk.
    pub last_bytes: u32,
    /// The feed position reached when all chunks are applied.
    pub position: u64,
    /// When the portal last answered, Unix milliseconds.
    pub fresh_at_ms: u64,
    /// Bytes of the snapshot …
    pub snapshot_bytes: u64,
    /// … and of the changes behind it.
    pub change_bytes: u64,
}

impl Head {
    /// Reads the head; `None` before the first snapshot is complete.
    pub fn read(shared: &impl SharedData) -> Option<(Self, u32)> {
        let (bytes, version) = shared.read(FEED_HEAD)?;
        let mut reader = Reader::new(&bytes);
        let head = Self {
            generation: reader.u32()?,
            chunks: reader.u32()?,
            last_bytes: reader.u32()?,
            position: reader.u64()?,
            fresh_at_ms: reader.u64()?,
            snapshot_bytes: reader.u64()?,
            change_bytes: reader.u64()?,
        };
        Some((head, version))
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(48);
        for number in [self.generation, self.chunks, self.last_bytes] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [
            self.position,
            self.fresh_at_ms,
            self.snapshot_bytes,
            self.change_bytes,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Publishes the head, if nobody else has in the meantime.
    pub fn publish(self, shared: &impl SharedData, version: Option<u32>) -> Stored {
        shared.write(FEED_HEAD, &self.to_bytes(), version)
    }

    /// Whether a new snapshot would be cheaper to replay than the changes.
    #[must_use]
    pub const fn is_long(&self) -> bool {
        self.change_bytes > REBASE_BYTES && self.change_bytes > self.snapshot_bytes
    }
}

/// Writes chunks. The head is published by the caller, when they are complete.
#[derive(Debug)]
pub struct Writer {
    generation: u32,
    chunk: u32,
    bytes: Vec<u8>,
    is_dirty: bool,
    written: u64,
}

impl Writer {
    /// A writer of a new generation.
    #[must_use]
    pub const fn new(generation: u32) -> Self {
        Self {
            generation,
            chunk: 0,
            bytes: Vec::new(),
            is_dirty: false,
            written: 0,
        }
    }

    /// A writer that goes on behind `head`.
    pub fn resume(shared: &impl SharedData, head: &Head) -> Self {
        let chunk = head.chunks.saturating_sub(1);
        let mut bytes = shared
            .read(&chunk_key(head.generation, chunk))
            .map(|(bytes, _)| bytes)
            .unwrap_or_default();
        // A predecessor may have written more than it published.
        bytes.truncate(head.last_bytes as usize);
        Self {
            generation: head.generation,
            chunk,
            bytes,
            is_dirty: false,
            written: 0,
        }
    }

    fn record(&mut self, shared: &impl SharedData, tag: u8, payload: &[u8]) {
        if self.bytes.len() >= CHUNK_BYTES {
            self.flush(shared);
            self.bytes.clear();
            self.chunk += 1;
        }
        self.bytes.push(tag);
        self.bytes
            .extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(payload);
        self.written += payload.len() as u64 + 5;
        self.is_dirty = true;
    }

    /// Appends a change as JSON with `kind` and `state`.
    pub fn change(&mut self, shared: &impl SharedData, json: &[u8]) {
        self.record(shared, CHANGE, json);
    }

    /// Appends the apps that the packed rows behind them count in.
    pub fn packed_apps(&mut self, shared: &impl SharedData, apps: &[AppId]) {
        for (place, apps) in apps.chunks(1_024).enumerate() {
            let tag = if place == 0 { FIRST_APPS } else { MORE_APPS };
            let bytes: Vec<u8> = apps.iter().flat_map(|app| *app.as_bytes()).collect();
            self.record(shared, tag, &bytes);
        }
    }

    /// Appends packed credentials.
    pub fn packed(&mut self, shared: &impl SharedData, rows: &[u8]) {
        for rows in rows.chunks(ROWS_PER_RECORD * PACKED_CREDENTIAL_BYTES) {
            self.record(shared, PACKED, rows);
        }
    }

    /// Closes the snapshot.
    pub fn snapshot_end(&mut self, shared: &impl SharedData) {
        self.record(shared, SNAPSHOT_END, &[]);
    }

    /// Stores what is not stored yet.
    pub fn flush(&mut self, shared: &impl SharedData) {
        if core::mem::take(&mut self.is_dirty) {
            shared.write(&chunk_key(self.generation, self.chunk), &self.bytes, None);
        }
    }

    /// The head that makes everything written visible.
    #[must_use]
    pub const fn head(&self, former: Head, position: u64, fresh_at_ms: u64) -> Head {
        let mut head = former;
        head.generation = self.generation;
        head.chunks = self.chunk + 1;
        head.last_bytes = self.bytes.len() as u32;
        head.position = position;
        head.fresh_at_ms = fresh_at_ms;
        head
    }

    /// Bytes written since this was last asked.
    pub const fn take_written(&mut self) -> u64 {
        let written = self.written;
        self.written = 0;
        written
    }
}

/// Empties the keys of a generation that nobody reads any more.
pub fn forget_chunks(shared: &impl SharedData, generation: u32, chunks: u32) {
    for chunk in 0..chunks {
        shared.write(&chunk_key(generation, chunk), &[], None);
    }
}

/// How far one virtual machine has replayed the log.
#[derive(Debug, Default)]
pub struct Replay {
    generation: u32,
    chunk: u32,
    offset: usize,
    bytes: Vec<u8>,
    is_final: bool,
    is_sweeping: bool,
    /// The feed position applied; 0 before the first snapshot.
    pub applied_position: u64,
    /// Whether a snapshot has been applied in full.
    pub is_ready: bool,
    /// Changes that could not be read.
    pub malformed: u64,
}

impl Replay {
    /// Applies what is new, as long as `has_time` says so. Whether there is more.
    pub fn advance(
        &mut self,
        shared: &impl SharedData,
        head: &Head,
        programme: &mut Programme,
        mut has_time: impl FnMut() -> bool,
    ) -> bool {
        if head.generation != self.generation {
            self.generation = head.generation;
            (self.chunk, self.offset, self.is_final) = (0, 0, false);
            self.bytes.clear();
            programme.begin_snapshot();
        }
        let mut unlooked = 0u32;
        let more = loop {
            if self.offset >= self.available(head) {
                if !self.next_chunk(shared, head) {
                    break false;
                }
                continue;
            }
            let Some(changes) = self.apply_record(programme) else {
                // A torn chunk: begin again from the start of the generation.
                self.generation = 0;
                break true;
            };
            unlooked += changes;
            if unlooked >= CHANGES_PER_LOOK {
                unlooked = 0;
                if !has_time() {
                    break true;
                }
            }
        };
        programme.settle();
        if !more {
            self.applied_position = head.position;
        }
        if self.is_sweeping && !more {
            while self.is_sweeping && has_time() {
                self.is_sweeping = programme.sweep_some();
            }
        }
        more || self.is_sweeping
    }

    /// Bytes of the chunk in hand that the head vouches for.
    fn available(&self, head: &Head) -> usize {
        let vouched = if self.chunk + 1 == head.chunks {
            head.last_bytes as usize
        } else {
            usize::MAX
        };
        vouched.min(self.bytes.len())
    }

    /// Takes up the next chunk, or the growth of the last one; whether there is any.
    fn next_chunk(&mut self, shared: &impl SharedData, head: &Head) -> bool {
        let is_last = |chunk: u32| chunk + 1 >= head.chunks;
        if is_last(self.chunk) {
            if self.offset >= head.last_bytes as usize {
                return false;
            }
        } else if self.is_final {
            self.chunk += 1;
            self.offset = 0;
        }
        // A chunk read while it was the last may have grown: it is read once more.
        self.is_final = !is_last(self.chunk);
        self.bytes = shared
            .read(&chunk_key(self.generation, self.chunk))
            .map(|(bytes, _)| bytes)
            .unwrap_or_default();
        self.is_final || self.offset < self.available(head)
    }

    /// Applies the next record; how many changes its work is worth.
    fn apply_record(&mut self, programme: &mut Programme) -> Option<u32> {
        let mut reader = Reader::new(self.bytes.get(self.offset..).unwrap_or_default());
        let record = (|| {
            let tag = reader.u8()?;
            let length = reader.u32()? as usize;
            Some((tag, reader.take(length)?))
        })();
        let (tag, payload) = record?;
        self.offset += payload.len() + 5;
        match tag {
            CHANGE => self.malformed += u64::from(programme.apply_json(payload).is_err()),
            FIRST_APPS | MORE_APPS => {
                let (ids, _) = payload.as_chunks::<16>();
                let apps = ids.iter().map(|id| AppId::from_bytes(*id));
                programme.add_packed_apps(apps, tag == FIRST_APPS);
            }
            PACKED => programme.add_packed(packed_rows(payload)),
            SNAPSHOT_END => {
                programme.end_snapshot();
                self.is_ready = true;
                self.is_sweeping = true;
            }
            _ => self.malformed += 1,
        }
        Some(if tag == CHANGE { 1 } else { CHANGES_PER_LOOK })
    }
}

fn packed_rows(bytes: &[u8]) -> impl Iterator<Item = PackedCredential> + '_ {
    bytes
        .chunks_exact(PACKED_CREDENTIAL_BYTES)
        .filter_map(PackedCredential::read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryHost;
    use shared::credential::{Environment, KeyHash};
    use shared::feed::{Change, Credential, PackedCredentials};
    use shared::ids::CredentialId;

    fn hash(number: u32) -> KeyHash {
        let mixed = u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        KeyHash(mixed.to_be_bytes())
    }

    /// Counted in credentials and not in time, so that a busy machine says the same.
    #[test]
    fn the_time_is_looked_at_after_a_bounded_number_of_changes() {
        const CHANGES: u32 = 1_000;
        const ROWS: u32 = 5_000;
        let host = MemoryHost::at(1);
        let mut writer = Writer::new(1);
        for number in 0..CHANGES {
            let change = Change::Credential(Credential {
                credential: CredentialId::from_bytes(hash(number).0),
                app: AppId::from_bytes([2; 16]),
                environment: Environment::Live,
                hash: hash(number),
                scopes: None,
                addresses: vec!["10.0.0.0/8".into()],
                expires_at_ms: None,
                revoked_at_ms: None,
                ends_at_ms: None,
            });
            writer.change(&host, &serde_json::to_vec(&change).unwrap());
        }
        writer.packed_apps(&host, &[AppId::from_bytes([2; 16])]);
        let mut rows = PackedCredentials::default();
        for number in CHANGES..CHANGES + ROWS {
            rows.push(&PackedCredential {
                hash: hash(number),
                credential: CredentialId::from_bytes(hash(number).0),
                app: 0,
                environment: Environment::Live,
            });
        }
        writer.packed(&host, rows.as_bytes());
        writer.snapshot_end(&host);
        writer.flush(&host);
        let head = writer.head(Head::default(), 7, 1);
        let (mut programme, mut replay) = (Programme::default(), Replay::default());
        let mut known = 0;
        // No time at all: every slice ends at the first look.
        while replay.applied_position == 0 {
            replay.advance(&host, &head, &mut programme, || false);
            let now_known = (0..CHANGES + ROWS)
                .skip(known)
                .take_while(|number| programme.find_credential(&hash(*number)).is_some())
                .count();
            let most = if known < CHANGES as usize {
                CHANGES_PER_LOOK as usize
            } else {
                ROWS_PER_RECORD
            };
            assert!(now_known <= most, "{now_known} behind {known}");
            known += now_known;
        }
        assert_eq!(known, (CHANGES + ROWS) as usize);
    }
}
