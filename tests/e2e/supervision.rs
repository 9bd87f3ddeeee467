//! `portico up` as a person uses it: Ctrl-C, a second start, clear errors.

use anyhow::{Result, ensure};
use rustix::process::Signal;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;
use tests::actors::{ApiClient, Visitor};
use tests::process::{Process, signal};
use tests::stack::{DataFolder, Stack, up_command};

#[tokio::test]
async fn a_second_start_keeps_the_data_and_fresh_starts_over() -> Result<()> {
    let data = DataFolder::new()?;
    let stack = Stack::start_in(data.clone()).await?;
    let partner = Visitor::new(stack.endpoints()).become_partner().await?;
    let app = partner.create_app("Kept").await?;
    let key = partner.issue_test_key(&app).await?;
    let demo = stack.demo()?;
    ensure!(
        stack.stop()?.success(),
        "Ctrl-C is a clean end:\n{}",
        stack.printed()
    );
    drop(stack);

    let stack = Stack::start_in(data.clone()).await?;
    ensure!(stack.demo()? == demo, "demo.json is kept");
    let client = ApiClient::new(stack.endpoints(), Some(&key.key));
    let answer = client.get("/v1/orders").await?;
    let status = answer.status();
    ensure!(
        status == 200,
        "the key still works: {status} {}",
        answer.text().await?
    );
    partner
        .wait_for_calls(&app, 1, Duration::from_secs(20))
        .await?;
    // A gateway that has no time to give its lease back leaves its successor to count from there.
    partner.expect_one_number(&app, "test", None).await?;
    stack.stop()?;
    drop(stack);

    let mut fresh = up_command(&data)?;
    fresh.arg("--fresh");
    let mut process = Process::start("portico up --fresh", &mut fresh)?;
    process
        .wait_for_line("ready", Duration::from_secs(120))
        .await?;
    let gateway = format!("http://127.0.0.1:{}/v1/orders", data.port_base() + 1);
    let answer = reqwest::Client::new()
        .get(gateway)
        .bearer_auth(&key.key)
        .send()
        .await?;
    ensure!(
        answer.status() == 401,
        "the key is gone: {}",
        answer.status()
    );
    Ok(())
}

#[tokio::test]
async fn ctrl_c_leaves_no_process_behind() -> Result<()> {
    let stack = Stack::start().await?;
    let text = std::fs::read_to_string(stack.data().path().join("processes.json"))?;
    let processes: serde_json::Value = serde_json::from_str(&text)?;
    let id = stack.process().id();
    signal(id, Signal::INT);
    ensure!(stack.stop()?.success());
    for (name, child) in processes.as_object().into_iter().flatten() {
        let path = format!("/proc/{child}/stat");
        ensure!(!std::path::Path::new(&path).exists(), "{name} still runs");
    }
    Ok(())
}

#[tokio::test]
async fn a_taken_port_is_one_line_that_says_what_to_do() -> Result<()> {
    let data = DataFolder::new()?;
    let _taken = TcpListener::bind(("127.0.0.1", data.port_base()))?;
    let output = up_command(&data)?.output()?;
    ensure!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().last().unwrap_or_default();
    ensure!(
        last.contains(&data.port_base().to_string()) && last.contains("--port-base"),
        "{errors}"
    );
    Ok(())
}

#[tokio::test]
async fn a_missing_envoy_is_one_line_that_says_what_to_do() -> Result<()> {
    let data = DataFolder::new()?;
    let mut command = up_command(&data)?;
    // The last --envoy counts.
    command.args(["--envoy", "/nonexistent/envoy"]);
    let output = command.output()?;
    ensure!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(errors.contains("/nonexistent/envoy"), "{errors}");
    Ok(())
}

#[tokio::test]
async fn an_envoy_that_will_not_start_is_one_line_with_its_own_words() -> Result<()> {
    let data = DataFolder::new()?;
    let envoy = data.path().join("envoy-that-fails");
    std::fs::write(&envoy, "#!/bin/sh\necho 'unknown extension' >&2\nexit 3\n")?;
    std::fs::set_permissions(&envoy, std::fs::Permissions::from_mode(0o755))?;
    let output = up_command(&data)?.arg("--envoy").arg(&envoy).output()?;
    ensure!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().last().unwrap_or_default();
    ensure!(
        last.contains("envoy did not start")
            && last.contains("unknown extension")
            && last.contains("envoy.log"),
        "{errors}"
    );
    Ok(())
}
