//! What the virtual machines of one Envoy share, by key.
//!
//! Owns: the names and number of keys (fixed, because shared data knows no
//! delete), their creation before workers exist, the boot's identity and the
//! workers' slots. Does not own: the contents of accounts, cells and feed log.

use crate::account::{Account, AccountKey, find_account, with_account};
use crate::bytes::{Reader, push_number};
use crate::ports::{Host, SharedData, Stored};
use crate::usage::BUCKETS;
use shared::ids::EdgeBootId;

/// Most virtual machines that can be alive at once.
pub const SLOTS: u16 = 128;
/// Slots that accounts hash into.
pub const ACCOUNT_SLOTS: u64 = 2_048;
/// After how long without a heartbeat a worker no longer counts as alive. A
/// crashed worker may hold back the position that the portal is told for as long.
pub const ALIVE_MS: u64 = 1_500;
/// After how long a slot may be taken by another virtual machine: far longer
/// than any stall, because two owners of one slot would overwrite each other.
const SLOT_FREE_MS: u64 = 10_000;

const BOOT: &str = "portico.2.boot";
/// The elected worker and until when.
pub const LEADER: &str = "portico.2.leader";
/// Accounts that need a lease at once.
pub const URGENT: &str = "portico.2.urgent";
/// The feed log's head.
pub const FEED_HEAD: &str = "portico.2.feed";
/// What the elected worker must not forget when another is elected.
pub const LEDGER: &str = "portico.2.ledger";

/// Where the ring of events for a sink stands; there only where one is configured.
pub const EVENTS: &str = "portico.2.events";

/// Tries of a compare-and-swap. Every failure means another worker succeeded,
/// so this many in a row do not happen.
pub const TRIES: u32 = 10_000;

fn numbered(prefix: &str, numbers: &[u64]) -> String {
    let mut key = String::with_capacity(prefix.len() + 24);
    key.push_str(prefix);
    for (place, number) in numbers.iter().enumerate() {
        if place > 0 {
            key.push('.');
        }
        push_number(&mut key, *number);
    }
    key
}

/// The key of a worker's slot.
#[must_use]
pub fn slot_key(slot: u16) -> String {
    numbered("portico.2.slot.", &[u64::from(slot)])
}

/// The key of the slot that an account is kept in.
#[must_use]
pub fn slot_of(account: AccountKey) -> String {
    account_key(account.hash() % ACCOUNT_SLOTS)
}

/// The key of an account slot.
#[must_use]
pub fn account_key(slot: u64) -> String {
    numbered("portico.2.account.", &[slot])
}

/// The key of a bucket of usage rows.
#[must_use]
pub fn usage_key(slot: u16, bucket: usize) -> String {
    numbered("portico.2.usage.", &[u64::from(slot), bucket as u64])
}

/// The key of a worker's newest samples for the request log.
#[must_use]
pub fn samples_key(slot: u16) -> String {
    numbered("portico.2.samples.", &[u64::from(slot)])
}

/// The key of a batch of events.
#[must_use]
pub fn event_batch_key(place: u64) -> String {
    numbered("portico.2.events.", &[place])
}

/// The key of a chunk of the feed log.
#[must_use]
pub fn chunk_key(generation: u32, chunk: u32) -> String {
    numbered(
        "portico.2.feed.",
        &[u64::from(generation % 2), u64::from(chunk)],
    )
}

/// Which boot of the Envoy process this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// Its id.
    pub id: EdgeBootId,
    /// When it began, Unix milliseconds.
    pub started_at_ms: u64,
}

/// Creates the fixed keys where they are missing. Envoy configures the first
/// virtual machine on the main thread before any worker exists, so whoever
/// finds them missing is alone.
pub fn create_keys(host: &impl Host) {
    if host.read(BOOT).is_some() {
        return;
    }
    let now_ms = host.now_ns() / 1_000_000;
    let mut random = [0; 10];
    host.fill_random(&mut random);
    for slot in 0..SLOTS {
        host.write(&slot_key(slot), &[], None);
    }
    for slot in 0..ACCOUNT_SLOTS {
        host.write(&account_key(slot), &[], None);
    }
    for key in [LEADER, URGENT, FEED_HEAD, LEDGER] {
        host.write(key, &[], None);
    }
    let mut boot = EdgeBootId::new(now_ms, &random).as_bytes().to_vec();
    boot.extend_from_slice(&now_ms.to_le_bytes());
    host.write(BOOT, &boot, None);
}

/// The boot's identity.
pub fn read_boot(shared: &impl SharedData) -> Option<Boot> {
    let (bytes, _) = shared.read(BOOT)?;
    let mut reader = Reader::new(&bytes);
    Some(Boot {
        id: EdgeBootId::from_bytes(reader.array()?),
        started_at_ms: reader.u64()?,
    })
}

/// What a worker tells the others about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Presence {
    /// Which virtual machine owns the slot.
    pub owner: u64,
    /// When it last said so, Unix milliseconds.
    pub seen_at_ms: u64,
    /// The feed position it has applied.
    pub applied_position: u64,
    /// Calls decided in this slot, by all its owners.
    pub decided: u64,
    /// Of them, those that passed: what is worth a report of its own.
    pub passed: u64,
    /// Calls this owner has served: one that serves none is the main thread's.
    pub served: u64,
    /// Whether the owner has ended in good order.
    pub has_left: bool,
    /// The buckets of usage rows that anything was ever counted into.
    pub touched: Touched,
}

/// A set of buckets: who reports need not look at the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touched([u64; BUCKETS / 64]);

impl Touched {
    /// Every bucket.
    pub const ALL: Self = Self([u64::MAX; BUCKETS / 64]);

    /// Adds a bucket; whether it is new.
    pub fn insert(&mut self, bucket: usize) -> bool {
        let Some(word) = self.0.get_mut(bucket / 64) else {
            return false;
        };
        let former = *word;
        *word |= 1 << (bucket % 64);
        former != *word
    }

    /// The buckets in it, ascending.
    pub fn buckets(self) -> impl Iterator<Item = usize> {
        (0..BUCKETS).filter(move |bucket| {
            let word = self.0.get(bucket / 64);
            word.is_some_and(|word| word >> (bucket % 64) & 1 == 1)
        })
    }
}

impl Presence {
    /// Whether the worker lives.
    #[must_use]
    pub const fn is_alive(&self, now_ms: u64) -> bool {
        self.owner != 0 && !self.has_left && now_ms < self.seen_at_ms.saturating_add(ALIVE_MS)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Some(Self {
            owner: reader.u64()?,
            seen_at_ms: reader.u64()?,
            applied_position: reader.u64()?,
            decided: reader.u64()?,
            passed: reader.u64()?,
            served: reader.u64()?,
            has_left: reader.u64()? == 1,
            touched: Self::read_touched(&mut reader),
        })
    }

    /// An older version of the filter did not say: then it may be any.
    fn read_touched(reader: &mut Reader<'_>) -> Touched {
        let mut touched = Touched::default();
        for word in &mut touched.0 {
            match reader.u64() {
                Some(read) => *word = read,
                None => return Touched::ALL,
            }
        }
        touched
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [
            self.owner,
            self.seen_at_ms,
            self.applied_position,
            self.decided,
            self.passed,
            self.served,
            u64::from(self.has_left),
        ]
        .into_iter()
        .chain(self.touched.0)
        .flat_map(u64::to_le_bytes)
        .collect()
    }
}

/// What a slot says.
pub fn read_presence(shared: &impl SharedData, slot: u16) -> Option<Presence> {
    let (bytes, _) = shared.read(&slot_key(slot))?;
    Presence::read(&bytes)
}

/// Every slot that somebody owns or owned.
pub fn presences(shared: &impl SharedData) -> Vec<(u16, Presence)> {
    (0..SLOTS)
        .map_while(|slot| read_presence(shared, slot).map(|presence| (slot, presence)))
        .collect()
}

/// Takes the first slot that is free, under the name `owner`.
pub fn claim_slot(shared: &impl SharedData, owner: u64, now_ms: u64) -> Option<(u16, Presence)> {
    (0..SLOTS).find_map(|slot| Some((slot, claim(shared, slot, owner, now_ms)?)))
}

fn claim(shared: &impl SharedData, slot: u16, owner: u64, now_ms: u64) -> Option<Presence> {
    let key = slot_key(slot);
    for _ in 0..TRIES {
        let (bytes, version) = shared.read(&key)?;
        let former = Presence::read(&bytes).unwrap_or_default();
        let is_free = former.owner == 0 || now_ms.abs_diff(former.seen_at_ms) > SLOT_FREE_MS;
        if !is_free {
            return None;
        }
        let presence = Presence {
            owner,
            seen_at_ms: now_ms,
            applied_position: 0,
            decided: former.decided,
            passed: former.passed,
            served: 0,
            has_left: false,
            touched: former.touched,
        };
        match shared.write(&key, &presence.to_bytes(), Some(version)) {
            Stored::Yes => return Some(presence),
            // Slots are taken in order, without holes: the same one is looked at again.
            Stored::Changed => {}
            Stored::Failed => return None,
        }
    }
    None
}

/// Changes an account so that no other worker's change is lost. `change` says
/// what it found and whether to store.
pub fn update_account<T>(
    shared: &impl SharedData,
    key: AccountKey,
    now_ns: u64,
    change: impl FnMut(&mut Account) -> (T, bool),
) -> Option<T> {
    update_account_in(shared, &slot_of(key), key, now_ns, change)
}

/// The same where the key of the account's slot is at hand.
pub fn update_account_in<T>(
    shared: &impl SharedData,
    slot: &str,
    key: AccountKey,
    now_ns: u64,
    mut change: impl FnMut(&mut Account) -> (T, bool),
) -> Option<T> {
    for _ in 0..TRIES {
        let (bytes, version) = shared.read(slot)?;
        let mut account = find_account(&bytes, key);
        let (answer, stores) = change(&mut account);
        if !stores {
            return Some(answer);
        }
        let bytes = with_account(&bytes, &account, now_ns);
        match shared.write(slot, &bytes, Some(version)) {
            Stored::Yes => return Some(answer),
            Stored::Changed => {}
            Stored::Failed => return None,
        }
    }
    None
}
