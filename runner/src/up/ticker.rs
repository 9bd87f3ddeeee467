//! The portal's background work is an ordinary request that somebody sends
//! regularly: here this task, elsewhere a cron job.

use std::time::Duration;

use super::client;

const EVERY: Duration = Duration::from_secs(1);

/// Sends `POST /internal/tick` once a second, for ever. A failure is the
/// portal's to log; the next tick does what this one did not.
pub async fn run(portal: u16, secret: String) {
    let authorization = format!("Bearer {secret}");
    let mut interval = tokio::time::interval(EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let headers = [("authorization", authorization.as_str())];
        match client::send("POST", portal, "/internal/tick", &headers).await {
            Ok((status, _)) if status.is_success() => {}
            Ok((status, _)) => tracing::debug!("tick: {status}"),
            Err(error) => tracing::debug!("tick: {error:#}"),
        }
    }
}
