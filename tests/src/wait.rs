//! Waiting for a condition, with a deadline.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Polls `condition` until it yields a value.
///
/// # Errors
/// When `deadline` passes; `what` names what was waited for.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return Ok(value);
        }
        if started.elapsed() > deadline {
            bail!("waited {deadline:?} in vain for {what}");
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
