//! The main job: a stranger signs up and calls the API with a key of their own.

use anyhow::{Result, ensure};
use std::process::Command;
use std::time::{Duration, Instant};
use tests::actors::{ApiClient, Partner, Visitor};
use tests::stack::{Stack, repository};
use tests::wait::eventually;

#[tokio::test]
async fn a_stranger_makes_a_first_call_and_the_portal_counts_it() -> Result<()> {
    let stack = Stack::shared().await?;
    let partner = Visitor::new(stack.endpoints()).become_partner().await?;
    ensure!(
        partner.accept_agreements().await? >= 1,
        "the demo programme has agreements"
    );
    let app = partner.create_app("First app").await?;
    let key = partner.issue_test_key(&app).await?;

    let client = ApiClient::new(stack.endpoints(), Some(&key.key));
    let answer = client.get("/v1/orders").await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    ensure!(answer.headers().contains_key("ratelimit-policy"));
    let called = Instant::now();
    partner
        .wait_for_calls(&app, 1, Duration::from_secs(5))
        .await?;
    ensure!(
        called.elapsed() < Duration::from_secs(5),
        "promised within five seconds"
    );
    let one = partner
        .expect_one_number(&app, "test", Some(&client))
        .await?;
    ensure!(one == 1, "{one}");
    Ok(())
}

#[tokio::test]
async fn a_call_without_an_account_goes_through_envoy_and_is_claimed_at_sign_up() -> Result<()> {
    let stack = Stack::shared().await?;
    let visitor = Visitor::new(stack.endpoints());
    let (key, token) = visitor.try_without_account().await?;
    let client = ApiClient::new(stack.endpoints(), Some(&key));
    let answer = client.get("/v1/orders").await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    let is_sandbox = answer.headers().contains_key("x-portico-mock-source");
    ensure!(is_sandbox, "a visitor's key reaches the sandbox only");

    let partner = visitor.claim(&token).await?;
    let path = format!("/api/v1/organisations/{}/apps", partner.organisation);
    let apps = partner.call(reqwest::Method::GET, &path, None).await?;
    let app = apps["items"][0]["id"].as_str().unwrap_or_default();
    partner
        .wait_for_calls(app, 1, Duration::from_secs(10))
        .await?;
    ensure!(
        client.get("/v1/orders").await?.status() == 200,
        "the key stays"
    );
    let one = partner
        .expect_one_number(app, "test", Some(&client))
        .await?;
    ensure!(one == 2, "{one}");
    Ok(())
}

#[tokio::test]
async fn the_first_call_script_passes_with_curl_and_jq_alone() -> Result<()> {
    let stack = Stack::shared().await?;
    let endpoints = stack.endpoints().clone();
    let output = tokio::task::spawn_blocking(move || {
        Command::new(repository().join("examples/first-call.sh"))
            .args([&endpoints.portal, &endpoints.gateway])
            .output()
    })
    .await??;
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{printed}\n{errors}");
    ensure!(printed.contains("counted in the portal"), "{printed}");
    Ok(())
}

#[tokio::test]
async fn test_keys_reach_the_sandbox_and_live_keys_the_company() -> Result<()> {
    let stack = Stack::shared().await?;
    let demo = stack.demo()?;
    for (name, environment) in [("test_key", "test"), ("live_key", "live")] {
        let key = demo[name].as_str().unwrap_or_default();
        let answer = ApiClient::new(stack.endpoints(), Some(key))
            .get("/v1/orders")
            .await?;
        ensure!(answer.status() == 200, "{name}: {}", answer.status());
        let is_sandbox = answer.headers().contains_key("x-portico-mock-source");
        let is_company = answer.headers().contains_key("x-demo-upstream");
        ensure!(
            is_sandbox == (environment == "test"),
            "{name} and the sandbox"
        );
        ensure!(
            is_company == (environment == "live"),
            "{name} and the company's API"
        );
    }
    // Other tests call with the demo's keys too: the gateway's counter is theirs as well.
    let partner = Partner::log_in(stack.endpoints(), &demo["partner"]).await?;
    let app = demo["app_id"].as_str().unwrap_or_default();
    for environment in ["test", "live"] {
        eventually(environment, Duration::from_secs(20), async || {
            let one = partner.expect_one_number(app, environment, None).await;
            one.ok().filter(|one| *one > 0)
        })
        .await?;
    }
    Ok(())
}
