//! Single sign-on through a real provider: npm's `oidc-provider`, a process of its own.

use anyhow::{Context as _, Result, ensure};
use fantoccini::Locator;
use reqwest::{Method, Url};
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use tests::actors::Partner;
use tests::browser::Browser;
use tests::database;
use tests::partner_app::PartnerApp;
use tests::ports;
use tests::process::Process;
use tests::stack::{DataFolder, Stack, repository};
use tests::wait::eventually;

const PACKAGE: &str = "oidc-provider@9.13.3";
const SECRET: &str = "a secret of the tests";

/// The folder with the provider, installed by npm where it is missing; none where that is not possible.
fn installed() -> Option<PathBuf> {
    // Two tests need it at once, and two runs of npm in one folder leave neither's files whole.
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER.get_or_init(install).clone()
}

fn install() -> Option<PathBuf> {
    let folder = repository().join("target/oidc-provider");
    if !folder.join("node_modules/oidc-provider").is_dir() {
        let npm = Command::new("npm")
            .args(["install", "--silent", "--no-save", "--no-audit", "--prefix"])
            .arg(&folder)
            .arg(PACKAGE)
            .status();
        if !npm.is_ok_and(|status| status.success()) {
            return None;
        }
    }
    let script = repository().join("tests/sign_on/provider.mjs");
    std::fs::copy(script, folder.join("provider.mjs")).ok()?;
    Some(folder)
}

/// A running provider.
struct Provider {
    issuer: String,
    _process: Process,
}

impl Provider {
    /// Starts one whose client is the portal of a data folder.
    async fn start(data: &DataFolder) -> Result<Option<Self>> {
        let Some(folder) = installed() else {
            eprintln!(
                "skipped: npm does not install {PACKAGE}, the provider that this test logs in at"
            );
            return Ok(None);
        };
        let port = ports::free_port()?;
        let mut command = Command::new("node");
        command
            .arg(folder.join("provider.mjs"))
            .arg(port.to_string())
            .arg(format!(
                "http://127.0.0.1:{}/log-in/callback",
                data.port_base()
            ));
        let mut process = Process::start("the provider", &mut command)?;
        process
            .wait_for_line("ready", Duration::from_secs(60))
            .await?;
        Ok(Some(Self {
            issuer: format!("http://127.0.0.1:{port}"),
            _process: process,
        }))
    }

    /// Makes its next ID token a forged one.
    async fn forge(&self, kind: &str) -> Result<()> {
        let address = format!("{}/forge?next={kind}", self.issuer);
        let answer = reqwest::get(address).await?.text().await?;
        ensure!(answer == "ready", "{kind}: {answer}");
        Ok(())
    }
}

/// Logs in at the provider's own pages, as far as it asks.
async fn at_the_provider(browser: &Browser, provider: &Provider, email: &str) -> Result<()> {
    let window = &browser.window;
    eventually("the way back", Duration::from_secs(30), async || {
        let at = window.current_url().await.ok()?;
        if at.as_str().contains("/log-in/callback") || !is_under_way(at.as_str(), &provider.issuer)
        {
            return Some(());
        }
        if let Ok(login) = window.find(Locator::Css("input[name=login]")).await {
            login.send_keys(email).await.ok()?;
            let password = window.find(Locator::Css("input[name=password]")).await;
            password.ok()?.send_keys("anything").await.ok()?;
        }
        let button = window
            .find(Locator::Css("button[type=submit]"))
            .await
            .ok()?;
        if at.as_str().starts_with(&provider.issuer) {
            button.click().await.ok()?;
        }
        None
    })
    .await
}

fn is_under_way(at: &str, issuer: &str) -> bool {
    at.starts_with(issuer) || at.ends_with("/log-in/sign-on")
}

#[tokio::test]
async fn the_staff_log_in_at_their_provider_and_a_forged_answer_does_not() -> Result<()> {
    let data = DataFolder::new()?;
    let Some(provider) = Provider::start(&data).await? else {
        return Ok(());
    };
    let settings = [
        ("staff_issuer", provider.issuer.as_str()),
        ("staff_client_id", "portal"),
        ("staff_client_secret", SECRET),
    ];
    let stack = Stack::start_with(data, &settings).await?;
    let portal = &stack.endpoints().portal;
    let demo = stack.demo()?;
    let operator = demo["operator"]["email"].as_str().context("no operator")?;
    let browser = Browser::open(1280, 900).await?;
    let window = &browser.window;
    let start = async || -> Result<()> {
        window
            .goto(&format!("{portal}/log-in/sign-on?next=/operator"))
            .await?;
        let staff = Locator::XPath("//form[input[@name='staff']]/button");
        window.find(staff).await?.click().await?;
        at_the_provider(&browser, &provider, operator).await
    };

    for kind in ["nonce", "audience", "expired", "issuer", "unsigned", "key"] {
        provider.forge(kind).await?;
        start().await?;
        browser
            .wait_for_text("main", "answer could not be used")
            .await
            .context(kind)?;
        window.goto(&format!("{portal}/operator")).await?;
        let at = window.current_url().await?;
        ensure!(at.path() == "/log-in", "{kind} logged in: {at}");
    }
    start().await?;
    browser.wait_for_text("nav.account", "Log out").await?;
    let at = window.current_url().await?;
    ensure!(at.path() == "/operator", "{at}");
    browser.close().await
}

#[tokio::test]
async fn a_partners_people_log_in_at_the_partners_own_provider() -> Result<()> {
    let data = DataFolder::new()?;
    let Some(provider) = Provider::start(&data).await? else {
        return Ok(());
    };
    let stack = Stack::start_in(data).await?;
    let portal = &stack.endpoints().portal;
    let owner = Partner::log_in(stack.endpoints(), &stack.demo()?["partner"]).await?;
    let path = format!(
        "/api/v1/organisations/{}/identity-provider",
        owner.organisation
    );
    let body = json!({
        "issuer": provider.issuer, "client_id": "portal", "client_secret": SECRET,
        "domain": "partner.example", "role": "developer",
    });
    owner.call(Method::PUT, &path, Some(&body)).await?;

    let browser = Browser::open(1280, 900).await?;
    let window = &browser.window;
    let start = async |email: &str| -> Result<()> {
        window.goto(&format!("{portal}/log-in/sign-on")).await?;
        let field = window.find(Locator::Css("input[name=email]")).await?;
        field.send_keys(email).await?;
        let button = Locator::Css("main form button[type=submit]");
        window.find(button).await?.click().await?;
        Ok(())
    };
    start("new@partner.example").await?;
    browser
        .wait_for_text("main", "no single sign-on for this address")
        .await?;
    prove_domain(&stack)?;

    start("new@partner.example").await?;
    at_the_provider(&browser, &provider, "new@partner.example").await?;
    browser
        .wait_for_text("nav.account", "Provided Person")
        .await?;
    window
        .goto(&format!(
            "{portal}/organisations/{}/settings",
            owner.organisation
        ))
        .await?;
    browser.wait_for_text("main dl", "developer").await?;

    // The provider speaks for its own domain only.
    window.delete_all_cookies().await?;
    window.goto(&format!("{}/auth", provider.issuer)).await?;
    window.delete_all_cookies().await?;
    start("other@partner.example").await?;
    at_the_provider(&browser, &provider, "eve@elsewhere.example").await?;
    browser
        .wait_for_text("main", "answer could not be used")
        .await?;
    browser.close().await
}

#[tokio::test]
async fn a_customer_logs_in_at_the_operators_provider_and_installs_an_app() -> Result<()> {
    const EMAIL: &str = "cleo@shop.example";
    let data = DataFolder::new()?;
    let Some(provider) = Provider::start(&data).await? else {
        return Ok(());
    };
    let settings = [
        ("customer_issuer", provider.issuer.as_str()),
        ("customer_client_id", "portal"),
        ("customer_client_secret", SECRET),
    ];
    let stack = Stack::start_with(data, &settings).await?;
    let demo = stack.demo()?;
    let owner = Partner::log_in(stack.endpoints(), &demo["partner"]).await?;
    let server = PartnerApp::start().await?;
    let callback = format!("{}/callback", server.origin);
    let app = format!(
        "/api/v1/apps/{}",
        demo["app_id"].as_str().context("no app")?
    );
    let body = json!({
        "visibility": "private", "customers": [EMAIL],
        "draft": {
            "name": "Order sync", "redirect_uris": [callback],
            "scopes": [{ "scope": "orders:read", "reason": "To copy new orders." }],
        },
    });
    owner
        .call(Method::PATCH, &format!("{app}/listing"), Some(&body))
        .await?;
    let body = json!({ "environment": "live" });
    let issued = owner
        .call(Method::POST, &format!("{app}/oauth-clients"), Some(&body))
        .await?;
    let client = issued["client"]["client_id"]
        .as_str()
        .context("no client")?;
    let wanted = Url::parse_with_params(
        &format!("{}/oauth/authorize", stack.endpoints().portal),
        [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", &callback),
            // Of RFC 7636, appendix B.
            (
                "code_challenge",
                "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            ),
            ("code_challenge_method", "S256"),
        ],
    )?;

    let browser = Browser::open(1280, 900).await?;
    let window = &browser.window;
    window.goto(wanted.as_str()).await?;
    let customer = Locator::XPath("//form[.//input[@name='customer']]//button");
    window
        .wait()
        .at_most(Duration::from_secs(30))
        .for_element(customer)
        .await?
        .click()
        .await?;
    at_the_provider(&browser, &provider, EMAIL).await?;
    browser
        .wait_for_text("main", &format!("asks for access for {EMAIL}"))
        .await?;
    let install = Locator::Css("button[value='install']");
    window.find(install).await?.click().await?;
    let back = eventually("the way back", Duration::from_secs(30), async || {
        server.returned()
    })
    .await?;
    ensure!(back.contains("code=") && back.contains("iss="), "{back}");
    browser.close().await
}

/// The proof lies at the domain over https, which a test has not got: it is noted as if it had been found.
fn prove_domain(stack: &Stack) -> Result<()> {
    let statement = "UPDATE identity_providers SET domain_verified_at_ms = 1";
    let changed = database::change(stack, &[statement])?;
    ensure!(changed == 1, "{changed} providers");
    Ok(())
}
