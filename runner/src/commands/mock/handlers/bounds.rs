//! What one call of a handler has: its memory, its clock, its randomness.

use std::time::Duration;

use sandbox_mock::handler::HandlerCall;
use sandbox_mock::random::Random;
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};

const MOST_TABLE_ELEMENTS: usize = 100_000;
/// Random bytes before they repeat.
const RANDOM_WORDS: usize = 128;

/// The data of the store of one call.
pub(super) struct Guest {
    pub(super) bounds: Bounds,
    wasi: WasiCtx,
    table: ResourceTable,
}

/// Counts the memory of all parts of a component together.
pub(super) struct Bounds {
    most_bytes: usize,
    bytes: usize,
    /// Whether more was asked for.
    pub(super) was_full: bool,
}

struct TenantClock {
    now: Duration,
}

impl Guest {
    pub(super) fn new(call: &HandlerCall, most_bytes: usize) -> Guest {
        let mut random = Random::new(call.seed);
        let words = (0..RANDOM_WORDS).flat_map(|_| random.next().to_le_bytes());
        let bytes: Vec<u8> = words.collect();
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stderr()
            .allow_tcp(false)
            .allow_udp(false)
            .secure_random(Deterministic::new(bytes.clone()))
            .insecure_random(Deterministic::new(bytes))
            .insecure_random_seed(u128::from(call.seed))
            .wall_clock(TenantClock {
                now: Duration::from_millis(call.now_ms),
            });
        Guest {
            bounds: Bounds {
                most_bytes,
                bytes: 0,
                was_full: false,
            },
            wasi: wasi.build(),
            table: ResourceTable::new(),
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl ResourceLimiter for Bounds {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add(desired.saturating_sub(current));
        if bytes > self.most_bytes {
            self.was_full = true;
            return Ok(false);
        }
        self.bytes = bytes;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MOST_TABLE_ELEMENTS)
    }
}

impl HostWallClock for TenantClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.now
    }
}
