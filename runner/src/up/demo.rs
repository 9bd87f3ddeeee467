//! The demo programme, seeded through the portal in development.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::client;
use super::data_folder::DataFolder;

const FILE: &str = "demo.json";
/// Between two slices of the past the portal has time for others.
const BETWEEN_SLICES: Duration = Duration::from_millis(60);
/// After a slice that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Seeds the demo programme once and keeps its logins and keys, which cannot be
/// shown a second time.
pub async fn seed(portal: u16, months: u32, data: &DataFolder) -> Result<Value> {
    let path = format!("/dev/seed?months={months}");
    let (status, body) = client::send("POST", portal, &path, &[])
        .await
        .context("the demo programme was not seeded")?;
    if !status.is_success() {
        bail!(
            "the demo programme was not seeded: the portal answered {status}: {}",
            String::from_utf8_lossy(&body)
        );
    }
    let answer: Value = serde_json::from_slice(&body)
        .context("the portal's answer to POST /dev/seed is not JSON")?;
    if answer["already_seeded"] == true
        && let Some(kept) = data.read_json(FILE)?
    {
        return Ok(kept);
    }
    data.write_json(FILE, &answer, true)?;
    Ok(answer)
}

/// Has the portal tell the programme's past, slice by slice, behind `ready`: a
/// start does not wait for it. What an earlier start left off goes on.
pub async fn play_history(portal: u16) {
    loop {
        let pause = match client::send("POST", portal, "/dev/seed/history", &[]).await {
            Ok((status, body)) if status.is_success() => {
                let view: Value = serde_json::from_slice(&body).unwrap_or_default();
                if view["done"] == true {
                    tracing::debug!("the demo programme's past is told: {view}");
                    return;
                }
                BETWEEN_SLICES
            }
            Ok((status, body)) => {
                let text = String::from_utf8_lossy(&body).into_owned();
                tracing::warn!("the demo programme's past: {status}: {text}");
                AFTER_FAILURE
            }
            Err(error) => {
                tracing::debug!("the demo programme's past: {error:#}");
                AFTER_FAILURE
            }
        };
        tokio::time::sleep(pause).await;
    }
}
