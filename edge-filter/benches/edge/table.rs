//! A large programme in one virtual machine: what a credential weighs, how long the
//! cold load works, and how long it works at a stretch. Runs natively, on the
//! filter's own replay; what Envoy's process weighs is told by the tests of scale.

use edge_filter::feed_log::{Head, Replay, Writer};
use edge_filter::ports::{SharedData, Stored};
use edge_filter::programme::Programme;
use shared::credential::{Environment, KeyHash};
use shared::feed::PackedCredential;
use shared::ids::{AppId, CredentialId};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Counts the bytes that are alive.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(bytes, layout) }
    }
}

#[derive(Default)]
struct Memory(RefCell<HashMap<String, Vec<u8>>>);

impl SharedData for Memory {
    fn read(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        Some((self.0.borrow().get(key)?.clone(), 1))
    }

    fn write(&self, key: &str, value: &[u8], _: Option<u32>) -> Stored {
        self.0.borrow_mut().insert(key.to_owned(), value.to_vec());
        Stored::Yes
    }
}

/// The log of a snapshot with so many credentials, ascending by digest as the portal sends them.
fn log_of(credentials: u64, memory: &Memory) -> Head {
    let mut hashes: Vec<[u8; 16]> = (0..u128::from(credentials))
        .map(|number| {
            let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            (mixed ^ mixed >> 61).to_be_bytes()
        })
        .collect();
    hashes.sort_unstable();
    let mut writer = Writer::new(1);
    writer.packed_apps(memory, &[AppId::from_bytes([2; 16])]);
    let mut rows = shared::feed::PackedCredentials::default();
    for hash in hashes {
        rows.push(&PackedCredential {
            hash: KeyHash(hash),
            credential: CredentialId::from_bytes(hash),
            app: 0,
            environment: Environment::Live,
        });
    }
    writer.packed(memory, rows.as_bytes());
    writer.snapshot_end(memory);
    writer.flush(memory);
    writer.head(Head::default(), 1, 1)
}

/// Loads and prints; the row of the results.
pub fn measure() -> serde_json::Value {
    let wanted = std::env::var("PORTICO_BENCH_CREDENTIALS").ok();
    let credentials = wanted
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let memory = Memory::default();
    let head = log_of(credentials, &memory);
    let before = LIVE.load(Ordering::Relaxed);
    let (mut programme, mut replay) = (Programme::default(), Replay::default());
    let (mut slices, mut longest, mut worked) = (0u32, Duration::ZERO, Duration::ZERO);
    loop {
        let (start, before) = (Instant::now(), crate::own_cpu());
        let has_time = || start.elapsed() < Duration::from_millis(2);
        let more = replay.advance(&memory, &head, &mut programme, has_time);
        // What others do on the machine meanwhile is not the filter's work.
        let slice = crate::own_cpu().saturating_sub(before);
        slices += 1;
        worked += slice;
        longest = longest.max(slice);
        if !more {
            break;
        }
    }
    let bytes = (LIVE.load(Ordering::Relaxed) - before) as f64 / credentials as f64;
    println!(
        "{credentials} credentials: {bytes:.1} bytes each; loaded in {worked:.0?} of work in {slices} slices, the longest {longest:.1?}"
    );
    serde_json::json!({
        "credentials": credentials, "bytes_each": bytes, "load_ms": worked.as_secs_f64() * 1e3,
        "slices": slices, "longest_slice_ms": longest.as_secs_f64() * 1e3,
    })
}
