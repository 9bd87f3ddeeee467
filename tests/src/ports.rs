//! Free ports on 127.0.0.1.

use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Mutex;

/// The ports `portico up` takes, counted from its base.
const OFFSETS: [u16; 5] = [0, 1, 2, 3, 9];

static HANDED_OUT: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A base with all of its ports free, never handed out twice by this process.
///
/// # Errors
/// When no such base is found.
pub fn free_base() -> Result<u16> {
    let mut handed_out = HANDED_OUT.lock().unwrap_or_else(|held| held.into_inner());
    // Below the range that the system gives to outgoing connections, and spread
    // by process so that two test runs rarely meet.
    let start = 10_000 + (std::process::id() % 1_000) as u16 * 20;
    let base = (start..32_000)
        .step_by(20)
        .chain((10_000..start).step_by(20))
        .find(|base| {
            !handed_out.contains(base) && OFFSETS.iter().all(|offset| is_free(base + offset))
        })
        .context("no free range of ports on 127.0.0.1")?;
    handed_out.insert(base);
    Ok(base)
}

/// One free port.
///
/// # Errors
/// When the system gives none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
