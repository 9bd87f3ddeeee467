//! The runbook's backup and restore, with the very commands that stand in it.

use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tests::actors::{ApiClient, Visitor, expect_refusal};
use tests::stack::{DataFolder, Stack, repository};
use tests::wait::eventually;

/// The runbook's command with this SQLite verb, for other files.
fn command_of_the_runbook(verb: &str, data: &Path, copy: &Path) -> Result<String> {
    let runbook = std::fs::read_to_string(repository().join("docs/runbook.md"))?;
    let mut lines = runbook.lines();
    let line = lines
        .find(|line| line.starts_with("sqlite3 ") && line.contains(verb))
        .with_context(|| format!("the runbook has no command with {verb}"))?;
    let database = data.join("sqlite_db.db");
    let command = line
        .replace("/var/lib/portico/sqlite_db.db", &database.to_string_lossy())
        .replace("/var/backups/portico/portal.db", &copy.to_string_lossy());
    ensure!(!command.contains("/var/"), "{command}");
    Ok(command)
}

fn run(command: &str) -> Result<()> {
    let output = Command::new("sh").args(["-euc", command]).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command}: {errors}");
    Ok(())
}

#[tokio::test]
async fn a_backup_brings_back_keys_and_usage_as_the_runbook_says() -> Result<()> {
    let data = DataFolder::new()?;
    let copy = data.path().join("copy.db");
    let stack = Stack::start_in(data.clone()).await?;
    let partner = Visitor::new(stack.endpoints()).become_partner().await?;
    partner.accept_agreements().await?;
    let app = partner.create_app("App").await?;
    let kept = partner.issue_test_key(&app).await?;
    let client = ApiClient::new(stack.endpoints(), Some(&kept.key));
    ensure!(client.status_of("/v1/orders").await? == 200);
    partner
        .wait_for_calls(&app, 1, Duration::from_secs(10))
        .await?;
    run(&command_of_the_runbook(".backup", data.path(), &copy)?)?;

    partner.revoke(&kept).await?;
    let lost = partner.issue_test_key(&app).await?;
    stack.stop()?;
    drop(stack);
    run(&command_of_the_runbook(".restore", data.path(), &copy)?)?;

    let stack = Stack::start_in(data).await?;
    let client = ApiClient::new(stack.endpoints(), Some(&kept.key));
    eventually(
        "the key of the backup to work",
        Duration::from_secs(10),
        async || (client.status_of("/v1/orders").await.ok()? == 200).then_some(()),
    )
    .await?;
    let stranger = ApiClient::new(stack.endpoints(), Some(&lost.key));
    expect_refusal(stranger.get("/v1/orders").await?, 401, "unknown_credential").await?;
    partner
        .wait_for_calls(&app, 2, Duration::from_secs(10))
        .await?;
    // The gateway's counter goes on from the copy, in which the lease of the edge before is still lent.
    let one = partner.expect_one_number(&app, "test", None).await?;
    ensure!(one == 2, "{one}");
    Ok(())
}
