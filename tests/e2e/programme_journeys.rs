//! The programme's journeys in browsers: a partner goes live, a lawyer changes the terms, finance closes a
//! month.

use crate::billing::month_that_ended;
use crate::person::{PATIENCE, Person};
use crate::pictures::take_pictures;
use anyhow::{Context as _, Result, ensure};
use fantoccini::Locator;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::actors::{ApiClient, Partner, expect_refusal};
use tests::stack::Stack;
use tests::wait::eventually;

const EMAIL: &str = "mary@newcomer.example";
const PASSWORD: &str = "a long password of a newcomer";

/// The code in the only mail to this address.
async fn code_by_mail(stack: &Stack) -> Result<String> {
    let address = format!("{}/dev/outbox?to={EMAIL}", stack.endpoints().portal);
    let outbox: Value = reqwest::get(address).await?.json().await?;
    let code = outbox["emails"][0]["code"].as_str();
    Ok(code.context("no code")?.to_owned())
}

/// The key on a page that shows one this once.
async fn key_shown(person: &Person, css: &str) -> Result<String> {
    let text = person.find(css).await?.text().await?;
    let start = text.find("pk_").context("no key")?;
    let key = text[start..].chars();
    Ok(key
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect())
}

/// Reads and accepts whatever this organisation has not accepted.
async fn accept_all(person: &Person, organisation: &str) -> Result<()> {
    let list = format!("/organisations/{organisation}/agreements");
    for _ in 0..5 {
        person.open(&list).await?;
        let waiting = Locator::XPath("//main//a[normalize-space()='Read and accept']");
        let Ok(link) = person.window().find(waiting).await else {
            return Ok(());
        };
        let href = link.attr("href").await?.context("a link without an end")?;
        person.open(&href).await?;
        person.fill("stated_role", "Chief executive").await?;
        person.press("#accept").await?;
        person.press("#has_authority").await?;
        person
            .follow("form[action*='/agreements/'] button[type=submit]")
            .await?;
    }
    anyhow::bail!("agreements without end")
}

#[tokio::test]
async fn a_partner_goes_from_sign_up_to_a_live_call_in_a_browser() -> Result<()> {
    let stack = Stack::start().await?;
    let mary = Person::new(&stack).await?;
    mary.open("/register").await?;
    for (name, text) in [
        ("email", EMAIL),
        ("organisation_name", "Newcomer Ltd"),
        ("password", PASSWORD),
    ] {
        mary.fill(name, text).await?;
    }
    mary.follow("form[action='/register'] button").await?;
    mary.fill("code", &code_by_mail(&stack).await?).await?;
    mary.follow("form[action='/verify'] button").await?;
    let home = mary.path().await?;
    let organisation = home
        .strip_prefix("/organisations/")
        .with_context(|| format!("not home but {home}"))?
        .to_owned();
    mary.follow("form[action$='/first-key'] button").await?;
    let test_key = key_shown(&mary, "#curl").await?;

    // The sandbox: what works, and what does not and is handled.
    let sandbox = ApiClient::new(stack.endpoints(), Some(&test_key));
    for _ in 0..11 {
        ensure!(sandbox.status_of("/v1/orders").await? == 200);
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    ensure!(sandbox.status_of("/v1/orders/ord_missing").await? >= 400);
    ensure!(sandbox.status_of("/v1/orders").await? == 200);
    let log_in = json!({ "email": EMAIL, "password": PASSWORD });
    let api = Partner::log_in(stack.endpoints(), &log_in).await?;
    let path = format!("/api/v1/organisations/{organisation}/apps");
    let apps = api.call(Method::GET, &path, None).await?;
    let app = apps["items"][0]["id"]
        .as_str()
        .context("no app")?
        .to_owned();
    api.expect_one_number(&app, "test", Some(&sandbox)).await?;

    // A plan with a price, which asks for agreements, billing details and a sandbox that was understood.
    let subscriptions = format!("/apps/{app}/subscriptions");
    mary.open(&subscriptions).await?;
    mary.choose("select[name=plan_id]", "Starter").await?;
    mary.follow("form[action$='/plan'] button").await?;
    mary.reads("49").await?;
    mary.follow("form[action$='/plan'] button").await?;
    mary.open(&subscriptions).await?;
    mary.reads("Before going live").await?;
    mary.reads("Billing details").await?;
    accept_all(&mary, &organisation).await?;
    mary.open(&format!("/organisations/{organisation}/billing"))
        .await?;
    for (name, text) in [
        ("legal_name", "Newcomer Ltd"),
        ("address", "1 First Street"),
        ("country", "DE"),
    ] {
        mary.fill(name, text).await?;
    }
    mary.follow("form[action$='/account'] button").await?;
    mary.open(&subscriptions).await?;
    mary.follow("form[action$='/go-live'] button").await?;
    mary.reads("approved").await?;

    mary.open(&format!("/apps/{app}/credentials")).await?;
    mary.choose("#environment", "live").await?;
    mary.follow("form[method=post][action$='/credentials'] button")
        .await?;
    let live_key = key_shown(&mary, "#key").await?;
    ensure!(live_key.starts_with("pk_live_"), "{live_key}");
    let live = ApiClient::new(stack.endpoints(), Some(&live_key));
    let answer = live.get("/v1/orders").await?;
    ensure!(answer.status() == 200, "{}", answer.text().await?);
    ensure!(
        answer.headers().contains_key("x-demo-upstream"),
        "a live key reaches the company"
    );
    // Thirteen in the sandbox before it.
    api.wait_for_calls(&app, 14, PATIENCE).await?;
    let one = api.expect_one_number(&app, "live", None).await?;
    ensure!(one == 1, "{one}");
    eventually("the newest call on the home page", PATIENCE, async || {
        mary.open(&format!("{home}?environment=live")).await.ok()?;
        let main = mary.find("main").await.ok()?.text().await.ok()?;
        main.contains("GET listOrders").then_some(())
    })
    .await?;
    take_pictures(
        &stack,
        "partner",
        &[
            ("partner-home", "/"),
            ("partner-products", "/products"),
            ("partner-plans", &subscriptions_of_demo(&stack)?),
        ],
    )
    .await?;
    mary.browser.close().await
}

fn subscriptions_of_demo(stack: &Stack) -> Result<String> {
    let demo = stack.demo()?;
    let app = demo["app_id"].as_str().context("no demo app")?;
    Ok(format!("/apps/{app}/subscriptions"))
}

#[tokio::test]
async fn a_lawyer_publishes_a_material_change_and_a_partner_accepts_it_in_browsers() -> Result<()> {
    let stack = Stack::start().await?;
    let demo = stack.demo()?;
    let organisation = demo["organisation_id"].as_str().context("no partner")?;
    let live = ApiClient::new(stack.endpoints(), demo["live_key"].as_str());
    let test = ApiClient::new(stack.endpoints(), demo["test_key"].as_str());
    ensure!(live.status_of("/v1/orders").await? == 200);

    let lawyer = Person::new(&stack).await?;
    lawyer.browser.log_in(&stack, "operator").await?;
    lawyer.open("/operator/agreements").await?;
    lawyer.press("main section details summary").await?;
    lawyer.fill("label", "2.0").await?;
    lawyer.fill("grace_days", "0").await?;
    lawyer
        .fill("markdown", "# Terms\n\nData is deleted after thirty days.")
        .await?;
    lawyer.press("input[name=is_material]").await?;
    lawyer.follow("form[action$='/versions'] button").await?;
    lawyer.reads("2.0").await?;
    eventually("live calls to stop", PATIENCE, async || {
        (live.status_of("/v1/orders").await.ok()? == 403).then_some(())
    })
    .await?;
    expect_refusal(live.get("/v1/orders").await?, 403, "agreement_required").await?;
    ensure!(
        test.status_of("/v1/orders").await? == 200,
        "the sandbox goes on"
    );

    let partner = Person::new(&stack).await?;
    partner.browser.log_in(&stack, "partner").await?;
    partner
        .open(&format!("/organisations/{organisation}"))
        .await?;
    partner.reads("Read and accept").await?;
    let agreements = format!("/organisations/{organisation}/agreements");
    let pages = [
        ("agreements", agreements.as_str()),
        (
            "home-with-agreement",
            &format!("/organisations/{organisation}"),
        ),
    ];
    take_pictures(&stack, "partner", &pages).await?;
    take_pictures(
        &stack,
        "operator",
        &[("operator-agreements", "/operator/agreements")],
    )
    .await?;
    accept_all(&partner, organisation).await?;
    let accepted = Instant::now();
    eventually("live calls to pass", Duration::from_secs(10), async || {
        (live.status_of("/v1/orders").await.ok()? == 200).then_some(())
    })
    .await?;
    // The page that shows the list was read after the acceptance, too.
    ensure!(
        accepted.elapsed() < Duration::from_secs(1),
        "{:?} after the acceptance",
        accepted.elapsed()
    );
    partner.open(&agreements).await?;
    partner.reads("Download").await?;
    for person in [lawyer, partner] {
        person.browser.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn finance_closes_a_month_in_a_browser() -> Result<()> {
    let (_data, stack, scene) = month_that_ended().await?;
    let finance = Person::new(&stack).await?;
    finance.browser.log_in(&stack, "operator").await?;
    let invoices = async |state: &str| -> Result<Vec<String>> {
        let path = format!("/operator/billing?state={state}");
        finance.open(&path).await?;
        let links = Locator::Css("main a[href^='/operator/invoices/']");
        let mut found = Vec::new();
        for link in finance.window().find_all(links).await? {
            found.extend(link.attr("href").await?);
        }
        Ok(found)
    };
    let mut due = Vec::new();
    eventually("two invoices to be paid", PATIENCE, async || {
        due = invoices("open").await.ok()?;
        due.extend(invoices("overdue").await.ok()?);
        (due.len() >= 2).then_some(())
    })
    .await
    .with_context(|| format!("{due:?}"))?;
    let mut due = due.into_iter();
    let mut next = || due.next().context("no invoice");

    let paid = next()?;
    finance.open(&paid).await?;
    finance.fill("amount", "a lot").await?;
    let reason = finance.find("form[action$='/credit-notes'] [name=reason]");
    reason.await?.send_keys("Late delivery").await?;
    let give = "form[action$='/credit-notes'] button";
    finance.follow(give).await?;
    let error = finance.find("#amount-error").await?.text().await?;
    ensure!(!error.is_empty(), "an amount that is none is refused");
    finance.fill("amount", "1.00").await?;
    finance.follow(give).await?;
    finance.open(&paid).await?;
    finance.fill("reference", "Transfer 2026-11-23").await?;
    finance.follow("form[action$='/payments'] button").await?;
    finance.reads("paid").await?;
    finance.open("/operator/billing?q=CRN").await?;
    finance.reads("CRN-").await?;

    let void = next()?;
    finance.open(&void).await?;
    finance
        .find("#void-reason")
        .await?
        .send_keys("Billed twice by hand")
        .await?;
    finance.follow("form[action$='/void'] button").await?;
    finance.reads("void").await?;
    let mut states = Vec::new();
    for invoice in scene.invoices().await? {
        states.extend(invoice["state"].as_str().map(str::to_owned));
    }
    for state in ["paid", "void", "given"] {
        ensure!(
            states.iter().any(|own| own == state),
            "no {state} in {states:?}"
        );
    }
    finance.open("/operator/analytics/revenue").await?;
    finance.reads("Revenue").await?;
    take_pictures(
        &stack,
        "operator",
        &[
            ("finance-billing", "/operator/billing"),
            ("finance-invoice", &paid),
            ("finance-revenue", "/operator/analytics/revenue"),
        ],
    )
    .await?;
    finance.browser.close().await
}
