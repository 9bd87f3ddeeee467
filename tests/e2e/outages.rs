//! Parts that die while calls go on.

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use std::time::Duration;
use tests::actors::{ApiClient, Partner, Visitor};
use tests::process::signal;
use tests::stack::{DataFolder, Stack};
use tests::wait::eventually;

async fn partner_with_client(stack: &Stack) -> Result<(Partner, String, ApiClient)> {
    let partner = Visitor::new(stack.endpoints()).become_partner().await?;
    partner.accept_agreements().await?;
    let app = partner.create_app("An app").await?;
    let key = partner.issue_test_key(&app).await?;
    let client = ApiClient::new(stack.endpoints(), Some(&key.key));
    Ok((partner, app, client))
}

/// Calls `count` times, slowly enough for every plan's rate limit.
async fn call(client: &ApiClient, count: u64) -> Result<()> {
    for _ in 0..count {
        let status = client.status_of("/v1/orders").await?;
        ensure!(status == 200, "{status}");
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    Ok(())
}

/// The gateway, the usage page and the quota count this many calls, none twice.
async fn expect_everywhere(
    partner: &Partner,
    app: &str,
    client: Option<&ApiClient>,
    calls: u64,
) -> Result<()> {
    partner
        .wait_for_calls(app, calls, Duration::from_secs(30))
        .await?;
    let one = partner.expect_one_number(app, "test", client).await?;
    ensure!(one == calls, "{one} calls are counted instead of {calls}");
    Ok(())
}

async fn process_id(stack: &Stack, name: &str) -> Result<u32> {
    let path = stack.data().path().join("processes.json");
    eventually(
        "processes.json to name the part",
        Duration::from_secs(10),
        async || {
            let text = std::fs::read_to_string(&path).ok()?;
            let processes: serde_json::Value = serde_json::from_str(&text).ok()?;
            u32::try_from(processes[name].as_u64()?).ok()
        },
    )
    .await
    .with_context(|| format!("no `{name}`"))
}

#[tokio::test]
async fn known_keys_work_while_the_portal_is_down_and_every_call_is_counted_once() -> Result<()> {
    let stack = Stack::start().await?;
    let (partner, app, client) = partner_with_client(&stack).await?;
    call(&client, 5).await?;
    let portal = process_id(&stack, "portal").await?;
    // Stopped, not killed: the supervisor would start a killed one at once.
    signal(portal, Signal::STOP);
    call(&client, 20).await?;
    signal(portal, Signal::CONT);
    signal(portal, Signal::KILL);
    call(&client, 5).await?;
    partner
        .wait_for_calls(&app, 30, Duration::from_secs(30))
        .await?;
    // Nothing may be counted twice either, however late a report arrives.
    tokio::time::sleep(Duration::from_secs(3)).await;
    expect_everywhere(&partner, &app, Some(&client), 30).await
}

#[tokio::test]
async fn a_restarted_envoy_knows_the_keys_again_and_loses_no_reported_call() -> Result<()> {
    let stack = Stack::start().await?;
    let (partner, app, client) = partner_with_client(&stack).await?;
    call(&client, 5).await?;
    partner
        .wait_for_calls(&app, 5, Duration::from_secs(10))
        .await?;
    let envoy = process_id(&stack, "envoy").await?;
    signal(envoy, Signal::KILL);
    eventually(
        "the gateway to be back",
        Duration::from_secs(60),
        async || (client.status_of("/v1/orders").await.ok()? == 200).then_some(()),
    )
    .await?;
    call(&client, 4).await?;
    // What the killed gateway had on lease stays lent for a while, so its successor counts from there.
    expect_everywhere(&partner, &app, None, 10).await
}

#[tokio::test]
async fn ctrl_c_right_after_a_call_loses_none() -> Result<()> {
    let data = DataFolder::new()?;
    let stack = Stack::start_in(data.clone()).await?;
    let (partner, app, client) = partner_with_client(&stack).await?;
    call(&client, 3).await?;
    stack.stop()?;
    drop(stack);
    let again = Stack::start_in(data).await?;
    expect_everywhere(&partner, &app, Some(&client), 3).await?;
    drop(again);
    Ok(())
}
