//! Passkeys in a real browser, with the driver's virtual authenticator.

use anyhow::{Result, ensure};
use fantoccini::Locator;
use tests::browser::Browser;
use tests::stack::Stack;

#[tokio::test]
async fn a_passkey_is_added_logs_in_and_is_removed() -> Result<()> {
    let stack = Stack::start().await?;
    // Passkeys belong to names; an address cannot have any.
    let portal = stack.endpoints().portal.replace("127.0.0.1", "localhost");
    let browser = Browser::open(1280, 900).await?;
    let window = &browser.window;
    browser.plug_in_authenticator().await?;
    browser.log_in_at(&portal, &stack, "partner").await?;

    let passkeys = format!("{portal}/account/passkeys");
    window.goto(&passkeys).await?;
    let add = "form[data-passkey=create] button";
    let name = window.find(Locator::Css("input[name=name]")).await?;
    name.send_keys("Laptop").await?;
    window.find(Locator::Css(add)).await?.click().await?;
    let row = browser.wait_for_text("main tbody tr", "Laptop").await?;
    ensure!(row.contains("never") && row.contains("one device"), "{row}");

    // The authenticator has one for this account, so it does not make a second.
    window.find(Locator::Css(add)).await?.click().await?;
    browser
        .wait_for_text("[data-passkey-problem]", "has a passkey")
        .await?;
    let rows = window.find_all(Locator::Css("main tbody tr")).await?;
    ensure!(rows.len() == 1, "there are {} passkeys", rows.len());

    log_out(&browser).await?;
    let log_in = "form[data-passkey=get] button";
    window
        .goto(&format!("{portal}/log-in?next=/account/passkeys"))
        .await?;
    window.find(Locator::Css(log_in)).await?.click().await?;
    let row = browser.wait_for_text("main tbody tr", "Laptop").await?;
    ensure!(!row.contains("never"), "its use was not noted: {row}");

    window
        .find(Locator::Css("main tbody button"))
        .await?
        .click()
        .await?;
    browser.wait_for_text("main .empty", "none yet").await?;
    log_out(&browser).await?;
    window.goto(&format!("{portal}/log-in")).await?;
    window.find(Locator::Css(log_in)).await?.click().await?;
    browser.wait_for_text("main", "not known here").await?;
    browser.close().await
}

async fn log_out(browser: &Browser) -> Result<()> {
    let button = Locator::Css("form[action='/log-out'] button");
    browser.window.find(button).await?.click().await?;
    browser
        .wait_for_text("nav.account", "Create account")
        .await
        .map(drop)
}
