//! A raw key exists in the response that issued it and in the client, nowhere else.

use anyhow::{Result, ensure};
use std::path::Path;
use tests::actors::{ApiClient, Visitor};
use tests::stack::{DataFolder, Stack};

#[tokio::test]
async fn no_raw_key_is_in_files_stats_config_dump_or_logs() -> Result<()> {
    let data = DataFolder::new()?;
    let stack = Stack::start_in(data.clone()).await?;
    let partner = Visitor::new(stack.endpoints()).become_partner().await?;
    let app = partner.create_app("Secretive").await?;
    let key = partner.issue_test_key(&app).await?;
    let client = ApiClient::new(stack.endpoints(), Some(&key.key));
    ensure!(client.status_of("/v1/orders").await? == 200);
    ensure!(client.status_of("/v1/no-such-thing").await? >= 400);
    partner
        .expect_one_number(&app, "test", Some(&client))
        .await?;

    let secrets = std::fs::read_to_string(data.path().join("secrets.json"))?;
    let secrets: serde_json::Value = serde_json::from_str(&secrets)?;
    let hidden: Vec<&str> = std::iter::once(key.key.as_str())
        .chain(
            ["edge_secret", "key_pepper"]
                .iter()
                .filter_map(|name| secrets[*name].as_str()),
        )
        .collect();
    ensure!(
        hidden.len() == 3,
        "secrets.json names the edge secret and the pepper"
    );

    let admin = &stack.endpoints().envoy_admin;
    for page in ["stats", "config_dump?include_eds", "clusters"] {
        let text = reqwest::get(format!("{admin}/{page}"))
            .await?
            .text()
            .await?;
        for secret in &hidden {
            ensure!(!text.contains(secret), "{page} shows a secret");
        }
    }
    ensure!(!stack.printed().contains(&key.key), "printed");
    stack.stop()?;
    search(data.path(), &key.key)
}

/// Looks for `needle` in every file below `folder`.
fn search(folder: &Path, needle: &str) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, needle)?;
        } else if path.is_file() {
            let bytes = std::fs::read(&path)?;
            let found = bytes
                .windows(needle.len())
                .any(|window| window == needle.as_bytes());
            ensure!(!found, "{} holds a raw key", path.display());
        }
    }
    Ok(())
}
