//! The credentials, 40 bytes each.
//!
//! Rows lie sorted by digest in a fixed number of buckets, chosen by the
//! digest's first bits (digests are uniform), so an insertion moves one bucket's
//! tail at most. What few credentials have (scopes, networks, expiry,
//! revocation) stands aside in a slab. Does not own: what a row permits.

use super::ScopeId;
use crate::address::Network;
use shared::credential::{Environment, KeyHash};
use shared::ids::CredentialId;

const ROW: usize = 40;
const BUCKET_BITS: u32 = 10;
const LIVE: u32 = 1;
const GENERATION: u32 = 2;
const HAS_EXTRAS: u32 = 4;
const EXTRAS_SHIFT: u32 = 3;

/// What few credentials have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras {
    /// Scopes it is limited to.
    pub scopes: Option<Box<[ScopeId]>>,
    /// Networks it may be used from; empty where any.
    pub networks: Box<[Network]>,
    /// Whether its address list has an entry that is no network: such a list
    /// never allows more than it says.
    pub is_restricted: bool,
    /// When it expires.
    pub expires_at_ms: Option<u64>,
    /// When it was revoked.
    pub revoked_at_ms: Option<u64>,
}

/// A credential as found.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The credential.
    pub credential: CredentialId,
    /// Its app's number.
    pub app: u32,
    /// Where it works.
    pub environment: Environment,
    /// What few have.
    pub extras: Option<&'a Extras>,
}

/// A credential to store.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// The digest.
    pub hash: KeyHash,
    /// The credential.
    pub credential: CredentialId,
    /// Its app's number.
    pub app: u32,
    /// Where it works.
    pub environment: Environment,
    /// What few have.
    pub extras: Option<Extras>,
}

/// All credentials.
#[derive(Debug)]
pub struct CredentialTable {
    buckets: Vec<Vec<u8>>,
    extras: Vec<Option<Box<Extras>>>,
    free_extras: Vec<u32>,
    generation: u32,
    sweeping: usize,
    length: usize,
}

impl Default for CredentialTable {
    fn default() -> Self {
        Self {
            buckets: vec![Vec::new(); 1 << BUCKET_BITS],
            extras: Vec::new(),
            free_extras: Vec::new(),
            generation: 0,
            sweeping: 1 << BUCKET_BITS,
            length: 0,
        }
    }
}

fn bucket_of(hash: &KeyHash) -> usize {
    usize::from(u16::from_be_bytes([hash.0[0], hash.0[1]]) >> (16 - BUCKET_BITS))
}

fn place_of(bucket: &[u8], hash: &KeyHash) -> Result<usize, usize> {
    let (rows, _) = bucket.as_chunks::<ROW>();
    rows.binary_search_by(|row| {
        row.as_slice()
            .get(..16)
            .unwrap_or_default()
            .cmp(&hash.0[..])
    })
}

fn word(row: &[u8], place: usize) -> u32 {
    row.get(place..place + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

impl CredentialTable {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes of memory that rows take.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        self.buckets.iter().map(Vec::capacity).sum()
    }

    /// Finds the credential of a digest.
    #[must_use]
    pub fn find(&self, hash: &KeyHash) -> Option<Found<'_>> {
        let bucket = self.buckets.get(bucket_of(hash))?;
        let place = place_of(bucket, hash).ok()? * ROW;
        let row = bucket.get(place..place + ROW)?;
        let flags = word(row, 36);
        let extras = (flags & HAS_EXTRAS != 0)
            .then(|| self.extras.get((flags >> EXTRAS_SHIFT) as usize))
            .flatten()
            .and_then(Option::as_deref);
        Some(Found {
            credential: CredentialId::from_bytes(row.get(16..32)?.try_into().ok()?),
            app: word(row, 32),
            environment: if flags & LIVE == 0 {
                Environment::Test
            } else {
                Environment::Live
            },
            extras,
        })
    }

    /// Stores a credential, in place of its former state.
    pub fn upsert(&mut self, new: NewCredential) {
        let mut flags = self.generation;
        if new.environment == Environment::Live {
            flags |= LIVE;
        }
        if let Some(extras) = new.extras {
            flags |= HAS_EXTRAS | self.keep_extras(extras) << EXTRAS_SHIFT;
        }
        let mut row = [0u8; ROW];
        let parts = [
            &new.hash.0[..],
            new.credential.as_bytes(),
            &new.app.to_le_bytes(),
            &flags.to_le_bytes(),
        ];
        for (to, from) in row.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        let Some(bucket) = self.buckets.get_mut(bucket_of(&new.hash)) else {
            return;
        };
        match place_of(bucket, &new.hash) {
            Ok(place) => {
                let mut former = 0;
                if let Some(old) = bucket.get_mut(place * ROW..(place + 1) * ROW) {
                    former = word(old, 36);
                    old.copy_from_slice(&row);
                }
                self.forget_extras(former);
            }
            Err(place) => {
                if bucket.capacity() - bucket.len() < ROW {
                    // Growing by doubling would waste up to half of the memory.
                    let rows = bucket.len() / ROW;
                    bucket.reserve_exact((rows / 16).max(4) * ROW);
                }
                let at = place * ROW;
                bucket.splice(at..at, row);
                self.length += 1;
            }
        }
    }

    /// Forgets a credential.
    pub fn remove(&mut self, hash: &KeyHash) {
        let Some(bucket) = self.buckets.get_mut(bucket_of(hash)) else {
            return;
        };
        let Ok(place) = place_of(bucket, hash) else {
            return;
        };
        let flags = bucket.get(place * ROW..).map_or(0, |row| word(row, 36));
        bucket.drain(place * ROW..(place + 1) * ROW);
        self.length -= 1;
        self.forget_extras(flags);
    }

    fn keep_extras(&mut self, extras: Extras) -> u32 {
        let extras = Some(Box::new(extras));
        if let Some(free) = self.free_extras.pop()
            && let Some(place) = self.extras.get_mut(free as usize)
        {
            *place = extras;
            return free;
        }
        self.extras.push(extras);
        (self.extras.len() - 1) as u32
    }

    fn forget_extras(&mut self, flags: u32) {
        if flags & HAS_EXTRAS != 0 {
            let number = flags >> EXTRAS_SHIFT;
            if let Some(place) = self.extras.get_mut(number as usize) {
                *place = None;
                self.free_extras.push(number);
            }
        }
    }

    /// From now on, what is stored belongs to a new generation.
    pub const fn begin_generation(&mut self) {
        self.generation ^= GENERATION;
        self.sweeping = usize::MAX;
    }

    /// The generation is complete: what it does not have is to be swept.
    pub const fn end_generation(&mut self) {
        self.sweeping = 0;
    }

    /// Sweeps one bucket; whether there is more to sweep.
    pub fn sweep_some(&mut self) -> bool {
        let Some(bucket) = self.buckets.get_mut(self.sweeping) else {
            return false;
        };
        let (rows, _) = bucket.as_chunks::<ROW>();
        let is_stale = |row: &[u8; ROW]| word(row, 36) & GENERATION != self.generation;
        let stale: Vec<KeyHash> = rows
            .iter()
            .filter(|row| is_stale(row))
            .filter_map(|row| row.first_chunk().copied().map(KeyHash))
            .collect();
        for hash in stale {
            self.remove(&hash);
        }
        self.sweeping += 1;
        self.sweeping < self.buckets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn credential(hash: [u8; 16], app: u32, expires_at_ms: Option<u64>) -> NewCredential {
        NewCredential {
            hash: KeyHash(hash),
            credential: CredentialId::from_bytes(hash),
            app,
            environment: if app.is_multiple_of(2) {
                Environment::Test
            } else {
                Environment::Live
            },
            extras: expires_at_ms.map(|at| Extras {
                expires_at_ms: Some(at),
                ..Extras::default()
            }),
        }
    }

    #[test]
    fn a_row_takes_forty_bytes_and_little_more() {
        let mut table = CredentialTable::default();
        for number in 0..100_000u128 {
            let hash =
                (number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)).to_be_bytes();
            table.upsert(credential(hash, 1, None));
        }
        assert_eq!(table.len(), 100_000);
        assert!(table.row_bytes() < 100_000 * 44, "{}", table.row_bytes());
    }

    #[test]
    fn a_new_generation_sweeps_what_it_does_not_repeat() {
        let mut table = CredentialTable::default();
        table.upsert(credential([1; 16], 1, Some(5)));
        table.upsert(credential([2; 16], 1, None));
        table.begin_generation();
        assert!(
            !table.sweep_some(),
            "nothing is swept before the generation is complete"
        );
        table.upsert(credential([2; 16], 3, None));
        table.end_generation();
        while table.sweep_some() {}
        assert_eq!(table.len(), 1);
        assert_eq!(
            table.find(&KeyHash([2; 16])).map(|found| found.app),
            Some(3)
        );
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_a_map(steps in proptest::collection::vec(
            (any::<bool>(), 0u8..40, 0u32..9, proptest::option::of(0u64..9)), 0..400)) {
            let mut table = CredentialTable::default();
            let mut map = BTreeMap::new();
            for (add, key, app, expires) in steps {
                let hash = [key.wrapping_mul(7); 16];
                if add {
                    table.upsert(credential(hash, app, expires));
                    map.insert(hash, (app, expires));
                } else {
                    table.remove(&KeyHash(hash));
                    map.remove(&hash);
                }
                prop_assert_eq!(table.len(), map.len());
            }
            for key in 0..40u8 {
                let hash = [key.wrapping_mul(7); 16];
                let found = table.find(&KeyHash(hash))
                    .map(|found| (found.app, found.extras.and_then(|extras| extras.expires_at_ms)));
                prop_assert_eq!(found, map.get(&hash).copied());
            }
        }
    }
}
