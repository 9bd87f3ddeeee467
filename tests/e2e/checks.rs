//! The rules look at real gateway traffic and at a real webhook endpoint.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tests::actors::{ApiClient, Partner};
use tests::partner_app::PartnerApp;
use tests::stack::{Stack, repository};

/// Rules that a draft of the app breaks, with what they say.
async fn broken(partner: &Partner, app: &str) -> Result<Vec<(String, String)>> {
    let path = format!("/api/v1/apps/{app}/listing/checks");
    let checks = partner.call(Method::GET, &path, None).await?;
    ensure!(checks["took_ms"].as_u64() <= Some(5_000), "{checks}");
    let findings = checks["findings"].as_array().context("no findings")?;
    Ok(findings
        .iter()
        .filter(|finding| finding["passes"] == false)
        .map(|finding| {
            let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
            (text("rule"), text("detail"))
        })
        .collect())
}

#[tokio::test]
async fn rules_judge_the_traffic_and_the_webhook_endpoint_that_are_really_there() -> Result<()> {
    let stack = Stack::start().await?;
    let endpoints = stack.endpoints();
    let demo = stack.demo()?;
    let partner = Partner::log_in(endpoints, &demo["partner"]).await?;
    let operator = Partner::log_in(endpoints, &demo["operator"]).await?;
    let app = demo["app_id"].as_str().context("no demo app")?;

    // The operator calls an operation deprecated; the app goes on calling it.
    let products = operator
        .call(Method::GET, "/api/v1/operator/products", None)
        .await?;
    let product = products["items"][0]["id"].as_str().context("no product")?;
    let document = std::fs::read_to_string(repository().join("examples/demo-api/openapi.yaml"))?;
    let name = "operationId: listEvents";
    let document = document.replace(name, &format!("{name}\n      deprecated: true"));
    let path = format!("/api/v1/operator/products/{product}");
    let body = json!({ "document": document });
    operator
        .call(Method::POST, &format!("{path}/versions"), Some(&body))
        .await?;
    operator
        .call(Method::POST, &format!("{path}/publications"), None)
        .await?;
    let test = ApiClient::new(endpoints, demo["test_key"].as_str());
    for path in ["/v1/orders", "/v1/orders", "/v1/events"] {
        ensure!(test.status_of(path).await? == 200, "{path}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let one = partner.expect_one_number(app, "test", Some(&test)).await?;
    ensure!(one == 3, "{one}");
    let found = broken(&partner, app).await?;
    let deprecated = found.iter().find(|(rule, _)| rule == "traffic.deprecated");
    ensure!(
        deprecated.is_some_and(|(_, detail)| detail.contains("listEvents")),
        "{found:?}"
    );

    // A careful endpoint, a careless one, one that is out of order, and one that is not registered.
    let server = PartnerApp::start().await?;
    let hooks = format!(
        "/api/v1/organisations/{}/webhook-endpoints",
        partner.organisation
    );
    for (path, rule) in [
        ("/hooks", None),
        ("/hooks/careless", Some("webhook.refuses_forgery")),
        ("/hooks/deaf", Some("webhook.ping")),
        ("/hooks/elsewhere", Some("webhook.registered")),
    ] {
        let url = format!("{}{path}", server.origin);
        if rule != Some("webhook.registered") {
            let made = partner
                .call(Method::POST, &hooks, Some(&json!({ "url": url })))
                .await?;
            if rule.is_none() {
                server.trust(made["secret"].as_str().context("no secret")?)?;
            }
        }
        let body: Value = json!({ "draft": { "name": "Order sync", "webhook_url": url } });
        let listing = format!("/api/v1/apps/{app}/listing");
        partner.call(Method::PATCH, &listing, Some(&body)).await?;
        let found = broken(&partner, app).await?;
        let about: Vec<&str> = found
            .iter()
            .map(|(rule, _)| rule.as_str())
            .filter(|rule| rule.starts_with("webhook."))
            .collect();
        ensure!(about == Vec::from_iter(rule), "{path}: {found:?}");
    }
    ensure!(server.events("ping").len() == 1, "one ping was verified");
    Ok(())
}
