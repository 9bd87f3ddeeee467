//! The way from the log-in to a first call, in a browser that runs no scripts.

use anyhow::{Context as _, Result, ensure};
use fantoccini::Locator;
use std::time::Duration;
use tests::browser::{Browser, Look};
use tests::stack::Stack;
use tests::wait::eventually;

#[tokio::test]
async fn a_partner_gets_a_key_and_sees_the_first_call_with_scripts_off() -> Result<()> {
    let stack = Stack::start().await?;
    let demo = stack.demo()?;
    let portal = &stack.endpoints().portal;
    let browser = Browser::open_as(1280, 900, Look::WithoutScripts).await?;
    let window = &browser.window;
    browser.log_in(&stack, "partner").await?;
    let next = "form[action$='/first-key'] button";
    window
        .wait()
        .at_most(Duration::from_secs(10))
        .for_element(Locator::Css(next))
        .await?
        .click()
        .await?;
    let line = window
        .wait()
        .at_most(Duration::from_secs(10))
        .for_element(Locator::Css(".notice #curl"))
        .await?;
    let line = line.text().await?;
    let key = line
        .split("Bearer ")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .context("no key")?;
    let address = line.rsplit(' ').next().context("no address")?;
    let copy = window.find(Locator::Css("[data-copy]")).await?;
    ensure!(
        !copy.is_displayed().await?,
        "scripts ran: the copy button shows"
    );

    let client = reqwest::Client::new();
    eventually("the new key to work", Duration::from_secs(20), async || {
        let answer = client.get(address).bearer_auth(key).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await?;
    let home = format!(
        "{portal}/organisations/{}",
        demo["organisation_id"]
            .as_str()
            .context("no organisation")?
    );
    eventually("the home to say so", Duration::from_secs(30), async || {
        window.goto(&home).await.ok()?;
        let steps = window
            .find(Locator::Css(".journey"))
            .await
            .ok()?
            .text()
            .await
            .ok()?;
        steps.contains("200").then_some(())
    })
    .await?;
    browser.close().await
}
