//! The demo programme, seeded through the portal in development.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::client;
use super::data_folder::DataFolder;

const FILE: &str = "demo.json";

/// Seeds the demo programme once and keeps its logins and keys, which cannot be
/// shown a second time.
pub async fn seed(portal: u16, data: &DataFolder) -> Result<Value> {
    let (status, body) = client::send("POST", portal, "/dev/seed", &[])
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
