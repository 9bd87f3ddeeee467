//! From stranger to first 2xx in a browser, counted: screens, clicks, mails.

use crate::person::Person;
use anyhow::{Context as _, Result, ensure};
use fantoccini::Locator;
use reqwest::Method;
use serde_json::{Value, json};
use tests::actors::{ApiClient, Partner};
use tests::stack::Stack;

const PASSWORD: &str = "a long password of a stranger";
const EMAIL: &str = "grace@stranger.example";

/// What a stranger had to do so far.
#[derive(Debug, Default)]
struct Effort {
    screens: u32,
    clicks: u32,
}

impl Effort {
    /// A screen that asks for something; the click into each field counts, and so does the button.
    async fn screen(
        &mut self,
        person: &Person,
        fields: &[(&str, &str)],
        button: &str,
    ) -> Result<()> {
        self.screens += 1;
        for (name, text) in fields {
            person.fill(name, text).await?;
            self.clicks += 1;
        }
        self.clicks += 1;
        person.follow(button).await
    }
}

async fn mails(stack: &Stack) -> Result<Vec<Value>> {
    let address = format!("{}/dev/outbox?to={EMAIL}", stack.endpoints().portal);
    let outbox: Value = reqwest::get(address).await?.json().await?;
    Ok(outbox["emails"].as_array().context("no mails")?.clone())
}

#[tokio::test]
async fn a_stranger_needs_four_screens_ten_clicks_and_one_mail_to_the_first_2xx() -> Result<()> {
    let stack = Stack::shared().await?;
    let grace = Person::new(&stack).await?;
    let mut effort = Effort::default();
    grace.open("/register").await?;
    let account = [
        ("email", EMAIL),
        ("organisation_name", "Stranger Ltd"),
        ("password", PASSWORD),
    ];
    effort
        .screen(&grace, &account, "form[action='/register'] button")
        .await?;

    let mail = mails(&stack).await?.pop().context("no mail")?;
    let code = mail["code"].as_str().context("no code")?.to_owned();
    let html = mail["html"].as_str().unwrap_or_default();
    ensure!(html.contains(&code), "the two parts differ: {mail}");
    effort
        .screen(&grace, &[("code", &code)], "form[action='/verify'] button")
        .await?;
    effort
        .screen(&grace, &[], "form[action$='/first-key'] button")
        .await?;

    effort.screens += 1;
    let line = grace.find("#curl").await?.text().await?;
    let key = line
        .split("Bearer ")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .context("no key in the line")?;
    let client = ApiClient::new(stack.endpoints(), Some(key));
    let answer = client.get("/v1/orders").await?;
    let status = answer.status();
    ensure!(status == 200, "{status}: {}", answer.text().await?);
    ensure!(effort.screens <= 4 && effort.clicks <= 10, "{effort:?}");
    ensure!(mails(&stack).await?.len() == 1, "more mails than one");
    println!("{effort:?}, 1 mail, no operator");

    // The page notices the call, and an account that exists is told of by mail alone.
    grace.reads("Last call").await?;
    let log_in = json!({ "email": EMAIL, "password": PASSWORD });
    let api = Partner::log_in(stack.endpoints(), &log_in).await?;
    let apps = format!("/api/v1/organisations/{}/apps", api.organisation);
    let apps = api.call(Method::GET, &apps, None).await?;
    let app = apps["items"][0]["id"].as_str().context("no app")?;
    let one = api.expect_one_number(app, "test", Some(&client)).await?;
    ensure!(one == 1, "{one}");
    let log_out = Locator::Css("form[action='/log-out'] button");
    grace.window().find(log_out).await?.click().await?;
    grace.open("/register").await?;
    effort
        .screen(&grace, &account, "form[action='/register'] button")
        .await?;
    grace.reads("We sent a message to").await?;
    ensure!(mails(&stack).await?.len() == 2, "nobody told the owner");
    grace.browser.close().await
}
