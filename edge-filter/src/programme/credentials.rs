//! The credentials, 36 bytes each and a little room to grow.
//!
//! Rows lie sorted by digest in a fixed number of buckets, chosen by the
//! digest's first bits (digests are uniform), so an insertion moves one bucket's
//! tail at most. What few credentials have (scopes, networks, expiry,
//! revocation) stands aside in a slab. Does not own: what a row permits.
//!
//! A row: 15 bytes of the digest, the first of which its bucket implies; 16 of the
//! credential's id; 4 of its app's number, or of its place in the slab, which then
//! has the app; and a byte of flags.

use super::ScopeId;
use crate::address::Network;
use shared::credential::{Environment, KeyHash};
use shared::ids::CredentialId;

const ROW: usize = 36;
const DIGEST: usize = 15;
const NUMBER: usize = DIGEST + 16;
const FLAGS: usize = NUMBER + 4;
/// At least 8, so that a bucket implies its digests' first byte.
const BUCKET_BITS: u32 = 10;
const LIVE: u8 = 1;
const GENERATION: u8 = 2;
const HAS_EXTRAS: u8 = 4;

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
    /// When it will be revoked: its successor has taken over by then.
    pub ends_at_ms: Option<u64>,
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

/// What stands aside of a row.
#[derive(Debug)]
struct Aside {
    app: u32,
    extras: Extras,
}

/// All credentials.
#[derive(Debug)]
pub struct CredentialTable {
    buckets: Vec<Vec<u8>>,
    asides: Vec<Option<Box<Aside>>>,
    free_asides: Vec<u32>,
    generation: u8,
    sweeping: usize,
    length: usize,
}

impl Default for CredentialTable {
    fn default() -> Self {
        Self {
            buckets: vec![Vec::new(); 1 << BUCKET_BITS],
            asides: Vec::new(),
            free_asides: Vec::new(),
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
    let [_, own @ ..] = &hash.0;
    rows.binary_search_by(|row| {
        row.first_chunk::<DIGEST>()
            .map_or(&[][..], |row| row)
            .cmp(own)
    })
}

/// The number in a row: its app's, or its place in the slab.
fn number_of(row: &[u8]) -> u32 {
    let bytes = row.get(NUMBER..FLAGS);
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

fn flags_of(row: &[u8]) -> u8 {
    row.get(FLAGS).copied().unwrap_or_default()
}

/// The slab's place of a row that has one.
fn aside_of(row: &[u8]) -> Option<u32> {
    (flags_of(row) & HAS_EXTRAS != 0).then(|| number_of(row))
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
        let aside = match aside_of(row) {
            Some(place) => Some(self.asides.get(place as usize)?.as_deref()?),
            None => None,
        };
        Some(Found {
            credential: CredentialId::from_bytes(row.get(DIGEST..NUMBER)?.try_into().ok()?),
            app: aside.map_or_else(|| number_of(row), |aside| aside.app),
            environment: if flags_of(row) & LIVE == 0 {
                Environment::Test
            } else {
                Environment::Live
            },
            extras: aside.map(|aside| &aside.extras),
        })
    }

    /// Stores a credential, in place of its former state.
    pub fn upsert(&mut self, new: NewCredential) {
        let mut flags = self.generation;
        if new.environment == Environment::Live {
            flags |= LIVE;
        }
        let mut number = new.app;
        if let Some(extras) = new.extras {
            flags |= HAS_EXTRAS;
            number = self.set_aside(Aside {
                app: new.app,
                extras,
            });
        }
        let mut row = [0u8; ROW];
        let [_, digest @ ..] = &new.hash.0;
        let parts = [
            &digest[..],
            new.credential.as_bytes(),
            &number.to_le_bytes(),
            &[flags],
        ];
        for (to, from) in row.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        let Some(bucket) = self.buckets.get_mut(bucket_of(&new.hash)) else {
            return;
        };
        match place_of(bucket, &new.hash) {
            Ok(place) => {
                let mut former = None;
                if let Some(old) = bucket.get_mut(place * ROW..(place + 1) * ROW) {
                    former = aside_of(old);
                    old.copy_from_slice(&row);
                }
                self.forget_aside(former);
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
        let former = bucket.get(place * ROW..).and_then(aside_of);
        bucket.drain(place * ROW..(place + 1) * ROW);
        self.length -= 1;
        self.forget_aside(former);
    }

    fn set_aside(&mut self, aside: Aside) -> u32 {
        let aside = Some(Box::new(aside));
        if let Some(free) = self.free_asides.pop()
            && let Some(place) = self.asides.get_mut(free as usize)
        {
            *place = aside;
            return free;
        }
        self.asides.push(aside);
        (self.asides.len() - 1) as u32
    }

    fn forget_aside(&mut self, number: Option<u32>) {
        if let Some(number) = number
            && let Some(place) = self.asides.get_mut(number as usize)
        {
            *place = None;
            self.free_asides.push(number);
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
        let is_stale = |row: &&[u8; ROW]| flags_of(&row[..]) & GENERATION != self.generation;
        let stale = rows.iter().filter(is_stale).count();
        if stale > 0 {
            let asides = rows.iter().filter(is_stale).map(|row| aside_of(&row[..]));
            let asides: Vec<_> = asides.collect();
            let kept = rows.iter().filter(|row| !is_stale(row));
            *bucket = kept.copied().collect::<Vec<_>>().concat();
            self.length -= stale;
            asides
                .into_iter()
                .for_each(|place| self.forget_aside(place));
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
    fn a_credential_takes_no_more_than_forty_bytes() {
        let mut table = CredentialTable::default();
        let hash = |number: u128| {
            let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            mixed.to_be_bytes()
        };
        for number in 0..200_000 {
            table.upsert(credential(hash(number), number as u32, None));
        }
        assert_eq!(table.len(), 200_000);
        let bytes = table.row_bytes() + table.buckets.len() * size_of::<Vec<u8>>();
        assert!(bytes < 200_000 * 40, "{bytes}");
        for number in 0..200_000 {
            let found = table.find(&KeyHash(hash(number))).unwrap();
            assert_eq!(found.app, number as u32);
            assert_eq!(found.credential.as_bytes(), &hash(number));
        }
    }

    #[test]
    fn digests_that_differ_in_their_first_byte_alone_are_told_apart() {
        let mut table = CredentialTable::default();
        let hash = |first: u8| [[first].as_slice(), &[7; 15]].concat().try_into().unwrap();
        for first in 0..=255 {
            table.upsert(credential(hash(first), first.into(), Some(first.into())));
        }
        table.remove(&KeyHash(hash(9)));
        for first in 0..=255 {
            let found = table.find(&KeyHash(hash(first)));
            let found =
                found.map(|found| (found.app, found.extras.and_then(|own| own.expires_at_ms)));
            let kept = (first != 9).then(|| (first.into(), Some(first.into())));
            assert_eq!(found, kept);
        }
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
