//! The demo programme with a past: it is told behind `ready`, and its pages are worth looking at.

use anyhow::{Context as _, Result, ensure};
use reqwest::Client;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tests::browser::{Browser, Look};
use tests::site::Reader;
use tests::stack::{DataFolder, Stack, repository};
use tests::wait::eventually;

const PAGES: [&str; 12] = [
    "/operator",
    "/operator/analytics",
    "/operator/analytics/revenue",
    "/operator/analytics/worth",
    "/operator/analytics/funnel",
    "/operator/analytics/cohorts",
    "/operator/analytics/partners",
    "/operator/analytics/friction",
    "/operator/analytics/limits",
    "/operator/analytics/quiet",
    "/operator/analytics/growing",
    "/operator/analytics/earning-products",
];

fn screenshots() -> Result<PathBuf> {
    let folder = repository().join("target/screenshots");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Whether the past is told; asking for it plays the next days.
async fn is_told(stack: &Stack) -> Option<()> {
    let address = format!("{}/dev/seed/history", stack.endpoints().portal);
    let answer = Client::new().post(address).send().await.ok()?;
    let view: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
    (view["done"] == true).then_some(())
}

#[tokio::test]
async fn every_main_page_of_the_demo_programme_has_something_to_show() -> Result<()> {
    let stack = Stack::start_in(DataFolder::new()?.with_months(14)).await?;
    eventually(
        "the past to be told",
        Duration::from_secs(300),
        async || is_told(&stack).await,
    )
    .await?;
    let portal = &stack.endpoints().portal;
    let reader = Reader::logged_in(&stack, "operator").await?;
    for path in PAGES {
        let page = reader.read(path).await?;
        ensure!(page.status == 200, "{path}: {}", page.status);
        let tables = page.html.matches("<thead>").count();
        let empty = page.html.matches("Nothing in this span.").count();
        ensure!(empty < tables, "{path} shows nothing");
    }
    for (width, look, name) in [
        (1440, Look::Light, "light"),
        (1440, Look::Dark, "dark"),
        (390, Look::Light, "phone-light"),
        (390, Look::Dark, "phone-dark"),
    ] {
        let browser = Browser::open_as(width, 1600, look).await?;
        let window = &browser.window;
        browser.log_in(&stack, "operator").await?;
        for path in PAGES {
            window.goto(&format!("{portal}{path}")).await?;
            let wide = "return document.documentElement.scrollWidth";
            let wide = window.execute(wide, vec![]).await?;
            ensure!(
                wide.as_u64().context("no width")? <= u64::from(width),
                "{path} scrolls sideways at {width}"
            );
            let file = path.trim_matches('/').replace('/', "-");
            let picture = window.screenshot().await?;
            std::fs::write(screenshots()?.join(format!("{file}-{name}.png")), picture)?;
        }
        browser.close().await?;
    }
    Ok(())
}
