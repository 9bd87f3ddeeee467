//! What the gateway refuses, and how it says so.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use tests::actors::{ApiClient, IssuedKey, Partner, Visitor, expect_refusal};
use tests::stack::Stack;
use tests::wait::eventually;

async fn partner_with_key(stack: &Stack) -> Result<(Partner, IssuedKey)> {
    let partner = Visitor::new(stack.endpoints()).become_partner().await?;
    partner.accept_agreements().await?;
    let app = partner.create_app("An app").await?;
    let key = partner.issue_test_key(&app).await?;
    Ok((partner, key))
}

#[tokio::test]
async fn a_call_without_a_key_is_refused_and_told_how_to_send_one() -> Result<()> {
    let stack = Stack::shared().await?;
    let answer = ApiClient::new(stack.endpoints(), None)
        .get("/v1/orders")
        .await?;
    ensure!(answer.headers().contains_key("www-authenticate"));
    let problem = expect_refusal(answer, 401, "missing_credential").await?;
    ensure!(
        problem["help"]
            .as_str()
            .is_some_and(|help| help.ends_with("missing_credential"))
    );
    ensure!(
        problem["request_id"]
            .as_str()
            .is_some_and(|id| !id.is_empty())
    );
    Ok(())
}

#[tokio::test]
async fn a_key_with_a_wrong_checksum_is_malformed_and_a_sound_stranger_unknown() -> Result<()> {
    let stack = Stack::shared().await?;
    let key = stack.demo()?["test_key"]
        .as_str()
        .context("no test key")?
        .to_owned();
    let last = if key.ends_with('a') { 'b' } else { 'a' };
    let broken = format!("{}{last}", &key[..key.len() - 1]);
    let answer = ApiClient::new(stack.endpoints(), Some(&broken))
        .get("/v1/orders")
        .await?;
    expect_refusal(answer, 401, "malformed_credential").await?;

    let stranger = shared::credential::PlainKey::generate(
        "pk",
        shared::credential::Environment::Live,
        |bytes| bytes.fill(77),
    )?;
    let answer = ApiClient::new(stack.endpoints(), Some(stranger.expose()))
        .get("/v1/orders")
        .await?;
    expect_refusal(answer, 401, "unknown_credential").await?;
    Ok(())
}

#[tokio::test]
async fn a_revoked_key_is_refused_within_one_second() -> Result<()> {
    let stack = Stack::shared().await?;
    let (partner, key) = partner_with_key(&stack).await?;
    let client = ApiClient::new(stack.endpoints(), Some(&key.key));
    ensure!(client.status_of("/v1/orders").await? == 200);
    partner.revoke(&key).await?;
    let revoked = Instant::now();
    eventually(
        "the key to be refused",
        Duration::from_secs(5),
        async || (client.status_of("/v1/orders").await.ok()? == 401).then_some(()),
    )
    .await?;
    ensure!(
        revoked.elapsed() < Duration::from_secs(1),
        "still accepted {:?} after the portal's answer",
        revoked.elapsed()
    );
    expect_refusal(client.get("/v1/orders").await?, 401, "revoked_credential").await?;
    Ok(())
}

#[tokio::test]
async fn a_replaced_key_is_accepted_until_its_overlap_ends() -> Result<()> {
    const OVERLAP: Duration = Duration::from_secs(6);
    let stack = Stack::shared().await?;
    let (partner, old) = partner_with_key(&stack).await?;
    let rotated = Instant::now();
    let path = format!(
        "/api/v1/apps/{}/credentials/{}/rotations?wait=active",
        old.app, old.id
    );
    let body = json!({ "overlap_secs": OVERLAP.as_secs() });
    let new = partner.call(Method::POST, &path, Some(&body)).await?;
    let new = new["key"].as_str().context("the new key is shown")?;
    let (old, new) = (
        ApiClient::new(stack.endpoints(), Some(&old.key)),
        ApiClient::new(stack.endpoints(), Some(new)),
    );
    let mut accepted = 0;
    while rotated.elapsed() + Duration::from_secs(1) < OVERLAP {
        let answer = old.get("/v1/orders").await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status == 200, "after {:?}: {text}", rotated.elapsed());
        ensure!(new.status_of("/v1/orders").await? == 200);
        accepted += 1;
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    ensure!(
        accepted > 0,
        "the new key took {:?} to become active",
        rotated.elapsed()
    );
    tokio::time::sleep((OVERLAP + Duration::from_secs(1)).saturating_sub(rotated.elapsed())).await;
    expect_refusal(old.get("/v1/orders").await?, 401, "revoked_credential").await?;
    ensure!(new.status_of("/v1/orders").await? == 200);
    Ok(())
}

#[tokio::test]
async fn calls_over_the_rate_limit_are_refused_with_the_standard_headers() -> Result<()> {
    let stack = Stack::shared().await?;
    let (partner, key) = partner_with_key(&stack).await?;
    let client = ApiClient::new(stack.endpoints(), Some(&key.key));
    for _ in 0..2_000 {
        let answer = client.get("/v1/orders").await?;
        if answer.status() == 200 {
            continue;
        }
        for header in ["ratelimit", "ratelimit-policy", "retry-after"] {
            ensure!(answer.headers().contains_key(header), "a 429 has {header}");
        }
        let problem = expect_refusal(answer, 429, "rate_limited").await?;
        ensure!(
            problem["violated-policies"]
                .as_array()
                .is_some_and(|names| !names.is_empty()),
            "{problem}"
        );
        ensure!(
            problem["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
        );
        // What was refused counts nowhere.
        partner
            .expect_one_number(&key.app, "test", Some(&client))
            .await?;
        return Ok(());
    }
    anyhow::bail!("2000 calls in a row met no rate limit")
}

#[tokio::test]
async fn two_different_credentials_are_ambiguous_and_the_same_twice_is_not() -> Result<()> {
    let stack = Stack::shared().await?;
    let (_, key) = partner_with_key(&stack).await?;
    let address = format!("{}/v1/orders", stack.endpoints().gateway);
    let client = reqwest::Client::new();
    let same = client
        .get(&address)
        .bearer_auth(&key.key)
        .header("x-api-key", &key.key);
    ensure!(same.send().await?.status() == 200);
    let two = client
        .get(&address)
        .bearer_auth(&key.key)
        .header("x-api-key", "pk_test_another");
    expect_refusal(two.send().await?, 400, "ambiguous_credential").await?;
    let basic = client.get(&address).basic_auth(&key.key, Some(""));
    ensure!(basic.send().await?.status() == 200);
    Ok(())
}

#[tokio::test]
async fn the_company_sees_our_identity_headers_and_neither_the_key_nor_forgeries() -> Result<()> {
    let stack = Stack::shared().await?;
    let demo = stack.demo()?;
    let key = demo["live_key"].as_str().context("no live key")?;
    let answer = reqwest::Client::new()
        .get(format!("{}/v1/whoami", stack.endpoints().gateway))
        .bearer_auth(key)
        .header("x-portico-organisation", "org_forged")
        .header("x-portico-anything", "forged")
        .send()
        .await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    let seen = answer.text().await?;
    ensure!(!seen.contains("forged"), "{seen}");
    ensure!(!seen.contains(key), "{seen}");
    let organisation = demo["organisation_id"]
        .as_str()
        .context("no organisation")?;
    ensure!(seen.contains(organisation), "{seen}");
    Ok(())
}
