//! The pages, in a real browser.

use anyhow::{Context as _, Result, ensure};
use fantoccini::Locator;
use std::time::Duration;
use tests::browser::Browser;
use tests::stack::Stack;

#[tokio::test]
async fn a_partner_logs_in_and_reads_the_usage_page() -> Result<()> {
    let stack = Stack::shared().await?;
    let demo = stack.demo()?;
    let portal = &stack.endpoints().portal;

    let browser = Browser::open(1280, 900).await?;
    let window = &browser.window;
    browser.log_in(&stack, "partner").await?;
    let app = demo["app_id"].as_str().context("no demo app")?;
    window.goto(&format!("{portal}/apps/{app}/usage")).await?;
    let table = window
        .wait()
        .at_most(Duration::from_secs(10))
        .for_element(Locator::Css("main table"))
        .await?;
    ensure!(!table.text().await?.is_empty());
    let title = window.find(Locator::Css("h1")).await?.text().await?;
    ensure!(title.to_lowercase().contains("usage"), "{title}");
    browser.close().await
}
