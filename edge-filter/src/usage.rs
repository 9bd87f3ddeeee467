//! Counting: usage cells in memory, kept as the very bytes that are mirrored
//! into shared data.
//!
//! A virtual machine owns a slot; a slot has a fixed number of buckets; a bucket
//! is a list of rows, and counting a call changes one row in place and mirrors
//! its bucket. So a crash loses at most the call in hand, and the elected worker
//! reports every slot's rows without asking their owner. Rows of a finished
//! minute are dropped once the portal has them. Does not own: reporting.

use crate::bytes::{Reader, hash64};
use shared::ids::{CredentialId, InstallationId, MeterId, SubscriptionId};
use shared::problem::Code;
use shared::usage::{Cell, LATENCY_BUCKETS, latency_bucket, outcome};

/// Buckets of a slot.
pub const BUCKETS: usize = 512;
/// Past this many rows a call counts into an older minute of its own series
/// rather than opening a row: memory stays bounded while the portal is away.
pub const MAX_ROWS: usize = 32 * 1024;

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The status sent.
    Status(u16),
    /// The client gave up.
    Aborted,
    /// The edge refused.
    Refused(Code),
}

const ABORTED: u8 = 6;
const FIRST_CODE: u8 = 16;

impl Outcome {
    fn to_byte(self) -> u8 {
        match self {
            Self::Status(status) => u8::try_from(status / 100).unwrap_or(5).clamp(1, 5),
            Self::Aborted => ABORTED,
            Self::Refused(code) => {
                let place = Code::ALL.iter().position(|other| *other == code);
                FIRST_CODE + u8::try_from(place.unwrap_or(0)).unwrap_or(0)
            }
        }
    }

    fn text(byte: u8) -> &'static str {
        match byte {
            ABORTED => outcome::ABORTED,
            1..=5 => outcome::of_status(u16::from(byte) * 100),
            _ => Code::ALL
                .get(usize::from(byte.saturating_sub(FIRST_CODE)))
                .map_or("", |code| code.as_str()),
        }
    }
}

/// A series of cells: everything but the minute.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// The credential, if a known one was used.
    pub credential: Option<CredentialId>,
    /// The subscription decided under.
    pub subscription: Option<SubscriptionId>,
    /// The installation whose token was used.
    pub installation: Option<InstallationId>,
    /// The product's meters.
    pub meters: &'a [MeterId],
    /// The operation's name.
    pub operation: &'a str,
    /// What became of the call.
    pub outcome: Outcome,
}

/// One call's quantities.
#[derive(Debug, Clone, Copy)]
pub struct Quantities<'a> {
    /// Units per meter, in the series' order.
    pub units: &'a [u64],
    /// Bytes of the request body.
    pub bytes_in: u64,
    /// Bytes of the response body.
    pub bytes_out: u64,
    /// First byte in to last byte out.
    pub latency_us: u64,
}

impl Series<'_> {
    fn identity(&self, bytes: &mut Vec<u8>) {
        let mut id = |id: Option<&[u8; 16]>| match id {
            Some(id) => bytes.extend_from_slice(id),
            None => bytes.extend_from_slice(&[0; 16]),
        };
        id(self.credential.as_ref().map(CredentialId::as_bytes));
        id(self.subscription.as_ref().map(SubscriptionId::as_bytes));
        id(self.installation.as_ref().map(InstallationId::as_bytes));
        bytes.push(self.outcome.to_byte());
        let meters = self.meters.len().min(usize::from(u8::MAX));
        bytes.push(meters as u8);
        for meter in self.meters.iter().take(meters) {
            bytes.extend_from_slice(meter.as_bytes());
        }
        let operation = self.operation.as_bytes();
        let operation = operation
            .get(..operation.len().min(1_024))
            .unwrap_or_default();
        bytes.extend_from_slice(&(operation.len() as u16).to_le_bytes());
        bytes.extend_from_slice(operation);
    }
}

// A row: length u16, identity length u16, minute u32, last minute counted u32,
// identity, then count, bytes in, bytes out, units per meter (u64 each) and the
// latency buckets (u32 each).
const ROW_HEAD: usize = 12;

struct Row {
    start: usize,
    length: usize,
    minute: u32,
    touched: u32,
    identity: core::ops::Range<usize>,
}

fn rows(bucket: &[u8]) -> impl Iterator<Item = Row> {
    let mut start = 0;
    core::iter::from_fn(move || {
        let mut head = Reader::new(bucket.get(start..)?);
        let length = usize::from(head.u16()?);
        let identity = usize::from(head.u16()?);
        let row = Row {
            start,
            length,
            minute: head.u32()?,
            touched: head.u32()?,
            identity: start + ROW_HEAD..start + ROW_HEAD + identity,
        };
        start += length.max(ROW_HEAD);
        (start <= bucket.len()).then_some(row)
    })
}

fn add_at(bucket: &mut [u8], place: usize, amount: u64) {
    if let Some(bytes) = bucket.get_mut(place..place + 8) {
        let mut number = [0; 8];
        number.copy_from_slice(bytes);
        let sum = u64::from_le_bytes(number).saturating_add(amount);
        bytes.copy_from_slice(&sum.to_le_bytes());
    }
}

fn count_at(bucket: &mut [u8], place: usize) {
    if let Some(bytes) = bucket.get_mut(place..place + 4) {
        let mut number = [0; 4];
        number.copy_from_slice(bytes);
        let sum = u32::from_le_bytes(number).saturating_add(1);
        bytes.copy_from_slice(&sum.to_le_bytes());
    }
}

/// Where a series was counted: good until rows move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    arrangement: u32,
    minute: u32,
    outcome: u8,
    identity_length: u16,
    bucket: usize,
    start: usize,
}

impl Place {
    /// The number of the bucket to mirror.
    #[must_use]
    pub const fn bucket(self) -> usize {
        self.bucket
    }
}

/// The cells that one virtual machine counts.
#[derive(Debug)]
pub struct UsageTable {
    buckets: Vec<Vec<u8>>,
    /// Counts up whenever rows move.
    arrangement: u32,
    rows: usize,
    /// Minutes never go back: a cell that was dropped must not begin again.
    last_minute: u32,
    scratch: Vec<u8>,
}

impl Default for UsageTable {
    fn default() -> Self {
        Self {
            buckets: vec![Vec::new(); BUCKETS],
            arrangement: 0,
            rows: 0,
            last_minute: 0,
            scratch: Vec::new(),
        }
    }
}

impl UsageTable {
    /// Forgets everything: it is another virtual machine's now.
    pub fn clear(&mut self) {
        let arrangement = self.arrangement.wrapping_add(1);
        *self = Self {
            arrangement,
            ..Self::default()
        };
    }

    /// Takes over a bucket that a former owner of the slot left in shared data.
    pub fn adopt(&mut self, place: usize, bytes: Vec<u8>) {
        for row in rows(&bytes) {
            self.rows += 1;
            self.last_minute = self.last_minute.max(row.touched);
        }
        if let Some(bucket) = self.buckets.get_mut(place) {
            *bucket = bytes;
        }
        self.arrangement = self.arrangement.wrapping_add(1);
    }

    fn minute_of(&mut self, now_ms: u64) -> u32 {
        let minute = u32::try_from(now_ms / shared::usage::MINUTE_MS).unwrap_or(u32::MAX);
        self.last_minute = self.last_minute.max(minute);
        self.last_minute
    }

    /// Counts one more call of the series that was counted at `known`, if it still
    /// stands there; the number of the bucket to mirror.
    pub fn count_again(
        &mut self,
        known: Place,
        outcome: Outcome,
        quantities: &Quantities<'_>,
        now_ms: u64,
    ) -> Option<usize> {
        let minute = self.minute_of(now_ms);
        if (known.arrangement, known.minute, known.outcome)
            != (self.arrangement, minute, outcome.to_byte())
        {
            return None;
        }
        let bucket = self.buckets.get_mut(known.bucket)?;
        let identity_length = usize::from(known.identity_length);
        add_call(bucket, known.start, identity_length, quantities, minute);
        Some(known.bucket)
    }

    /// Counts a call; where.
    pub fn count(
        &mut self,
        series: &Series<'_>,
        quantities: &Quantities<'_>,
        now_ms: u64,
    ) -> Place {
        let minute = self.minute_of(now_ms);
        let mut identity = core::mem::take(&mut self.scratch);
        identity.clear();
        series.identity(&mut identity);
        let mut place = Place {
            arrangement: self.arrangement,
            minute,
            outcome: series.outcome.to_byte(),
            identity_length: identity.len() as u16,
            bucket: (hash64(&[&identity]) as usize) % BUCKETS,
            start: 0,
        };
        let is_full = self.rows >= MAX_ROWS;
        if let Some(bucket) = self.buckets.get_mut(place.bucket) {
            let same = |row: &Row| bucket.get(row.identity.clone()) == Some(identity.as_slice());
            let own = rows(bucket)
                .filter(same)
                .filter(|row| row.minute == minute || is_full)
                .max_by_key(|row| row.minute);
            place.start = match own {
                Some(row) => row.start,
                None => {
                    self.rows += 1;
                    open_row(bucket, &identity, minute, quantities.units.len())
                }
            };
            add_call(bucket, place.start, identity.len(), quantities, minute);
        }
        self.scratch = identity;
        place
    }

    /// A bucket's bytes.
    #[must_use]
    pub fn bucket(&self, place: usize) -> &[u8] {
        self.buckets.get(place).map_or(&[], Vec::as_slice)
    }

    /// Drops rows last counted into before `minute`: the portal has them. The
    /// numbers of the buckets to mirror.
    pub fn drop_before(&mut self, minute: u32) -> Vec<usize> {
        let mut changed = Vec::new();
        let mut dropped = 0;
        for (place, bucket) in self.buckets.iter_mut().enumerate() {
            if rows(bucket).all(|row| row.touched >= minute) {
                continue;
            }
            let mut kept = Vec::new();
            for row in rows(bucket) {
                if row.touched < minute {
                    dropped += 1;
                } else if let Some(bytes) = bucket.get(row.start..row.start + row.length) {
                    kept.extend_from_slice(bytes);
                }
            }
            *bucket = kept;
            changed.push(place);
            self.arrangement = self.arrangement.wrapping_add(1);
        }
        self.rows = self.rows.saturating_sub(dropped);
        self.last_minute = self.last_minute.max(minute);
        changed
    }
}

fn open_row(bucket: &mut Vec<u8>, identity: &[u8], minute: u32, meters: usize) -> usize {
    let start = bucket.len();
    let counters = (3 + meters) * 8 + LATENCY_BUCKETS * 4;
    let length = ROW_HEAD + identity.len() + counters;
    bucket.extend_from_slice(&(length as u16).to_le_bytes());
    bucket.extend_from_slice(&(identity.len() as u16).to_le_bytes());
    bucket.extend_from_slice(&minute.to_le_bytes());
    bucket.extend_from_slice(&minute.to_le_bytes());
    bucket.extend_from_slice(identity);
    bucket.resize(start + length, 0);
    start
}

fn add_call(
    bucket: &mut [u8],
    start: usize,
    identity_length: usize,
    quantities: &Quantities<'_>,
    minute: u32,
) {
    if let Some(touched) = bucket.get_mut(start + 8..start + 12) {
        touched.copy_from_slice(&minute.to_le_bytes());
    }
    let mut place = start + ROW_HEAD + identity_length;
    let totals = [1, quantities.bytes_in, quantities.bytes_out];
    for amount in totals.iter().chain(quantities.units) {
        add_at(bucket, place, *amount);
        place += 8;
    }
    count_at(bucket, place + latency_bucket(quantities.latency_us) * 4);
}

/// The cells that a mirrored bucket stands for: one per meter.
pub fn cells_of(slot: u16, bucket: &[u8]) -> Vec<Cell> {
    touched_cells_of(slot, bucket)
        .flat_map(|(_, cells)| cells)
        .collect()
}

/// The same by row, each with the minute that it was last counted into.
pub fn touched_cells_of(slot: u16, bucket: &[u8]) -> impl Iterator<Item = (u32, Vec<Cell>)> {
    rows(bucket).filter_map(move |row| {
        let bytes = bucket.get(row.start..row.start + row.length)?;
        Some((row.touched, cells_of_row(slot, row.minute, bytes)?))
    })
}

fn cells_of_row(slot: u16, minute: u32, row: &[u8]) -> Option<Vec<Cell>> {
    let mut reader = Reader::new(row);
    reader.take(ROW_HEAD)?;
    let mut id = || reader.array::<16>();
    let (credential, subscription, installation) = (id()?, id()?, id()?);
    let outcome = Outcome::text(reader.u8()?).to_owned();
    let meters = usize::from(reader.u8()?);
    let meters: Vec<MeterId> = (0..meters)
        .map(|_| reader.array().map(MeterId::from_bytes))
        .collect::<Option<_>>()?;
    let operation = usize::from(reader.u16()?);
    let operation = String::from_utf8_lossy(reader.take(operation)?).into_owned();
    let (count, bytes_in, bytes_out) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let units: Vec<u64> = meters.iter().map(|_| reader.u64()).collect::<Option<_>>()?;
    let mut latency = Vec::new();
    for place in 0..LATENCY_BUCKETS {
        match reader.u32()? {
            0 => {}
            calls => latency.push((place as u8, u64::from(calls))),
        }
    }
    let known = |id: [u8; 16]| (id != [0; 16]).then_some(id);
    let cell = Cell {
        slot,
        credential: known(credential).map(CredentialId::from_bytes),
        subscription: known(subscription).map(SubscriptionId::from_bytes),
        installation: known(installation).map(InstallationId::from_bytes),
        meter: None,
        operation,
        outcome,
        minute: u64::from(minute),
        count,
        units: 0,
        bytes_in,
        bytes_out,
        latency,
    };
    if meters.is_empty() {
        return Some(vec![cell]);
    }
    let per_meter = meters.into_iter().zip(units).enumerate();
    Some(
        per_meter
            .map(|(place, (meter, units))| {
                let mut cell = Cell {
                    meter: Some(meter),
                    units,
                    ..cell.clone()
                };
                if place > 0 {
                    // Bytes and latency belong to the call; one cell carries them.
                    (cell.bytes_in, cell.bytes_out) = (0, 0);
                    cell.latency.clear();
                }
                cell
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const NOW: u64 = 1_767_225_600_000;
    const METERS: [MeterId; 2] = [MeterId::from_bytes([8; 16]), MeterId::from_bytes([9; 16])];

    fn series(credential: u8, operation: &str, outcome: Outcome) -> Series<'_> {
        Series {
            credential: Some(CredentialId::from_bytes([credential; 16])),
            subscription: None,
            installation: None,
            meters: &METERS,
            operation,
            outcome,
        }
    }

    fn quantities(units: &[u64]) -> Quantities<'_> {
        Quantities {
            units,
            bytes_in: 3,
            bytes_out: 5,
            latency_us: 600,
        }
    }

    fn cells(table: &UsageTable) -> Vec<Cell> {
        (0..BUCKETS)
            .flat_map(|place| cells_of(4, table.bucket(place)))
            .collect()
    }

    #[test]
    fn a_call_makes_one_cell_per_meter_and_the_first_carries_bytes_and_latency() {
        let mut table = UsageTable::default();
        table.count(
            &series(1, "getOrder", Outcome::Status(200)),
            &quantities(&[1, 7]),
            NOW,
        );
        table.count(
            &series(1, "getOrder", Outcome::Status(204)),
            &quantities(&[1, 2]),
            NOW,
        );
        let cells = cells(&table);
        assert_eq!(cells.len(), 2);
        let (calls, rows) = (&cells[0], &cells[1]);
        assert_eq!(
            (calls.count, calls.units, calls.bytes_in, calls.bytes_out),
            (2, 2, 6, 10)
        );
        assert_eq!(calls.latency, [(3, 2)]);
        assert_eq!((rows.count, rows.units, rows.bytes_in), (2, 9, 0));
        assert_eq!(
            (calls.outcome.as_str(), calls.minute, calls.slot),
            ("2xx", NOW / 60_000, 4)
        );
    }

    #[test]
    fn refusals_and_aborts_have_outcomes_of_their_own() {
        let mut table = UsageTable::default();
        for code in Code::ALL {
            table.count(
                &series(1, "", Outcome::Refused(*code)),
                &quantities(&[0, 0]),
                NOW,
            );
        }
        table.count(&series(1, "", Outcome::Aborted), &quantities(&[1, 1]), NOW);
        let mut outcomes: Vec<_> = cells(&table).into_iter().map(|cell| cell.outcome).collect();
        outcomes.dedup();
        assert_eq!(outcomes.len(), Code::ALL.len() + 1);
        assert!(
            outcomes.contains(&"rate_limited".to_owned())
                && outcomes.contains(&"aborted".to_owned())
        );
    }

    #[test]
    fn a_finished_minute_is_dropped_and_a_clock_that_steps_back_does_not_reopen_it() {
        let mut table = UsageTable::default();
        let minute = (NOW / 60_000) as u32;
        let ok = Outcome::Status(200);
        table.count(&series(1, "a", ok), &quantities(&[1, 1]), NOW);
        table.count(&series(1, "a", ok), &quantities(&[1, 1]), NOW + 60_000);
        assert_eq!(table.drop_before(minute + 1).len(), 1);
        assert_eq!(cells(&table).len(), 2);
        table.count(&series(1, "a", ok), &quantities(&[1, 1]), NOW);
        let cells = cells(&table);
        assert!(
            cells
                .iter()
                .all(|cell| cell.minute == u64::from(minute) + 1 && cell.count == 2)
        );
    }

    #[test]
    fn an_exploding_cardinality_reuses_minutes_and_loses_no_call() {
        let mut table = UsageTable::default();
        let names: Vec<String> = (0..64).map(|n| format!("op{n}")).collect();
        for minute in 0..1_000 {
            for name in &names {
                table.count(
                    &series(1, name, Outcome::Status(200)),
                    &quantities(&[1, 1]),
                    NOW + minute * 60_000,
                );
            }
        }
        assert!(table.rows <= MAX_ROWS);
        let total: u64 = cells(&table)
            .iter()
            .filter(|c| c.meter == Some(METERS[0]))
            .map(|c| c.count)
            .sum();
        assert_eq!(total, 64 * 1_000);
    }

    #[test]
    fn a_place_is_not_used_again_once_rows_have_moved() {
        let mut table = UsageTable::default();
        let ok = Outcome::Status(200);
        let count = |table: &mut UsageTable, minute: u64| {
            table.count(
                &series(1, "a", ok),
                &quantities(&[1, 1]),
                NOW + minute * 60_000,
            )
        };
        let again = |table: &mut UsageTable, place, outcome, minute: u64| {
            table.count_again(place, outcome, &quantities(&[1, 1]), NOW + minute * 60_000)
        };
        count(&mut table, 0);
        let place = count(&mut table, 1);
        assert_eq!(again(&mut table, place, ok, 1), Some(place.bucket()));
        assert_eq!(again(&mut table, place, Outcome::Aborted, 1), None);
        assert_eq!(again(&mut table, place, ok, 2), None);
        let place = count(&mut table, 2);
        table.drop_before(u32::try_from(NOW / 60_000).unwrap() + 1);
        assert_eq!(again(&mut table, place, ok, 2), None);
        let place = count(&mut table, 2);
        table.clear();
        assert_eq!(again(&mut table, place, ok, 2), None);
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_a_map(calls in proptest::collection::vec(
            (1u8..6, 0usize..3, 200u16..600, 0u64..3, 0u64..100), 0..300)) {
            let names = ["listOrders", "getOrder", ""];
            let mut table = UsageTable::default();
            let mut map: BTreeMap<(u8, &str, u16, u64), (u64, u64)> = BTreeMap::new();
            let mut latest = 0;
            let mut places = BTreeMap::new();
            for (credential, name, status, minute, units) in calls {
                latest = latest.max(minute);
                let now = NOW + minute * 60_000;
                let outcome = Outcome::Status(status);
                let series = series(credential, names[name], outcome);
                let known = places.get(&(credential, name)).copied();
                if known.and_then(|known| table.count_again(known, outcome, &quantities(&[1, units]), now)).is_none() {
                    let place = table.count(&series, &quantities(&[1, units]), now);
                    places.insert((credential, name), place);
                }
                let entry = map.entry((credential, names[name], status / 100, latest)).or_default();
                entry.0 += 1;
                entry.1 += units;
            }
            let cells = cells(&table);
            prop_assert_eq!(cells.len(), map.len() * 2);
            for ((credential, name, class, minute), (count, units)) in map {
                let found = cells.iter().find(|cell| {
                    cell.credential == Some(CredentialId::from_bytes([credential; 16]))
                        && cell.operation == name
                        && cell.outcome == outcome::of_status(class * 100)
                        && cell.minute == NOW / 60_000 + minute
                        && cell.meter == Some(METERS[1])
                });
                prop_assert_eq!(found.map(|cell| (cell.count, cell.units)), Some((count, units)));
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = cells_of(0, &bytes);
        }
    }
}
