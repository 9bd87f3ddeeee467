//! Waiting to be told to stop.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Returns on SIGINT (Ctrl-C) or SIGTERM.
pub async fn wait_for_stop() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
