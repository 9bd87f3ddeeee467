//! An owner closes the organisation, and its keys end with it.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use tests::actors::{ApiClient, Visitor};
use tests::stack::Stack;
use tests::wait::eventually;

#[tokio::test]
async fn keys_of_a_closed_organisation_are_refused_within_a_second() -> Result<()> {
    let stack = Stack::shared().await?;
    let partner = Visitor::new(stack.endpoints()).become_partner().await?;
    let app = partner.create_app("Short-lived").await?;
    let key = partner.issue_test_key(&app).await?;
    let client = ApiClient::new(stack.endpoints(), Some(&key.key));
    let status = client.status_of("/v1/orders").await?;
    ensure!(status == 200, "the key was answered {status} at first");

    let base = format!("/api/v1/organisations/{}", partner.organisation);
    let name = format!("Organisation of {}", partner.email);
    let closed = Instant::now();
    let body = json!({ "name": name });
    partner
        .call(Method::POST, &format!("{base}/closure"), Some(&body))
        .await?;
    eventually(
        "the gateway to refuse",
        Duration::from_secs(10),
        async || (client.status_of("/v1/orders").await.ok()? == 401).then_some(()),
    )
    .await?;
    let took = closed.elapsed();
    ensure!(took < Duration::from_secs(1), "it took {took:?}");

    let seen = partner.call(Method::GET, &base, None).await?;
    ensure!(seen["closed_at"].is_string(), "{seen}");
    let refused = partner
        .api(
            Method::POST,
            &format!("{base}/apps"),
            Some(&json!({ "name": "New" })),
        )
        .await?;
    ensure!(refused.status() == 409, "{}", refused.status());
    let body = json!({ "email": partner.email });
    partner
        .call(Method::POST, "/api/v1/account/closure", Some(&body))
        .await?;
    let gone = partner.api(Method::GET, "/api/v1/account", None).await?;
    ensure!(gone.status() == 401, "{}", gone.status());
    Ok(())
}
