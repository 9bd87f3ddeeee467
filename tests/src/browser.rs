//! A real, headless Chromium.

use crate::accessibility_tree::{self, Spoken};
use crate::ports;
use crate::process::{Process, signal};
use crate::stack::Stack;
use crate::wait::eventually;
use anyhow::{Context as _, Result, ensure};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// What pages are told of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Prefers light pages.
    Light,
    /// Prefers dark pages.
    Dark,
    /// Runs no scripts.
    WithoutScripts,
}

/// A browser window with a profile of its own.
pub struct Browser {
    pub window: Client,
    driver_address: String,
    _driver: Process,
    profile: TempDir,
}

impl Drop for Browser {
    /// A test that fails does not close its window, and Chromium outlives its driver.
    fn drop(&mut self) {
        let own = self.profile.path().display().to_string();
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        for process in processes {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let id = process.file_name().to_string_lossy().parse();
            if let (true, Ok(id)) = (String::from_utf8_lossy(&line).contains(&own), id) {
                signal(id, Signal::KILL);
            }
        }
    }
}

impl Browser {
    /// Opens a window of `width` × `height` pixels.
    ///
    /// # Errors
    /// When Chromium or its driver is missing or does not start.
    pub async fn open(width: u32, height: u32) -> Result<Self> {
        Self::open_as(width, height, Look::Light).await
    }

    /// As [`Browser::open`], for a reader with a preference. The page is exactly `width` wide.
    ///
    /// # Errors
    /// When Chromium or its driver is missing or does not start.
    pub async fn open_as(width: u32, height: u32, look: Look) -> Result<Self> {
        let port = ports::free_port()?;
        let profile = tempfile::Builder::new()
            .prefix("portico-browser-")
            .tempdir()?;
        let driver = Process::start(
            "chromedriver",
            Command::new("chromedriver").arg(format!("--port={port}")),
        )?;
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--window-size={width},{height}"),
            // Colour scheme: 0 is dark, 1 is light.
            format!(
                "--blink-settings=preferredColorScheme={},scriptEnabled={}",
                u8::from(look != Look::Dark),
                look != Look::WithoutScripts
            ),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let mut capabilities = serde_json::Map::new();
        capabilities.insert(
            "goog:chromeOptions".to_owned(),
            json!({
                "args": arguments,
                "mobileEmulation": {
                    "deviceMetrics": { "width": width, "height": height, "pixelRatio": 1.0, "mobile": false, "touch": false },
                },
            }),
        );
        let address = format!("http://127.0.0.1:{port}");
        let window = eventually("Chromium to start", Duration::from_secs(60), async || {
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities.clone())
                .connect(&address)
                .await
                .ok()
        })
        .await?;
        Ok(Self {
            window,
            driver_address: address,
            _driver: driver,
            profile,
        })
    }

    /// Logs a person of `demo.json` in by the form: `partner` or `operator`.
    ///
    /// # Errors
    /// When there is no such person, or the log-in does not lead on.
    pub async fn log_in(&self, stack: &Stack, who: &str) -> Result<()> {
        self.log_in_at(&stack.endpoints().portal, stack, who).await
    }

    /// As [`Browser::log_in`], by another name of the portal's machine.
    ///
    /// # Errors
    /// When there is no such person, or the log-in does not lead on.
    pub async fn log_in_at(&self, portal: &str, stack: &Stack, who: &str) -> Result<()> {
        let demo = stack.demo()?;
        let window = &self.window;
        let address = format!("{portal}/log-in");
        window.goto(&address).await?;
        for name in ["email", "password"] {
            let value = demo[who][name].as_str().context("no such person")?;
            let field = Locator::Css(&format!("input[name={name}]"));
            window.find(field).await?.send_keys(value).await?;
        }
        let button = Locator::Css("main form button[type=submit], main form button:not([type])");
        window.find(button).await?.click().await?;
        eventually(
            "the log-in to lead on",
            Duration::from_secs(20),
            async || {
                let at = window.current_url().await.ok()?;
                (at.as_str() != address).then_some(())
            },
        )
        .await
    }

    /// Plugs in an authenticator that knows its user and confirms everything (WebDriver's virtual one).
    ///
    /// # Errors
    /// When the driver has none.
    pub async fn plug_in_authenticator(&self) -> Result<()> {
        let session = self.window.session_id().await?.context("no session")?;
        let address = format!(
            "{}/session/{session}/webauthn/authenticator",
            self.driver_address
        );
        let authenticator = json!({
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserConsenting": true,
            "isUserVerified": true,
        });
        let answer = reqwest::Client::new()
            .post(address)
            .json(&authenticator)
            .send()
            .await?;
        let status = answer.status();
        ensure!(status.is_success(), "{status}: {}", answer.text().await?);
        Ok(())
    }

    /// What a screen reader is told of the page, in the order of reading.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub async fn accessibility_tree(&self) -> Result<Vec<Spoken>> {
        let session = self.window.session_id().await?.context("no session")?;
        let address = format!("{}/session/{session}/goog/cdp/execute", self.driver_address);
        let mut answer = Value::Null;
        for command in ["Accessibility.enable", "Accessibility.getFullAXTree"] {
            let sent = reqwest::Client::new().post(&address);
            let sent = sent.json(&json!({ "cmd": command, "params": {} }));
            answer = sent.send().await?.error_for_status()?.json().await?;
        }
        accessibility_tree::read(&answer["value"])
    }

    /// Waits for something on the page and answers its text.
    ///
    /// # Errors
    /// When it does not come in time; the error has what the page says instead.
    pub async fn wait_for_text(&self, selector: &str, part: &str) -> Result<String> {
        let found = eventually(part, Duration::from_secs(20), async || {
            for element in self.window.find_all(Locator::Css(selector)).await.ok()? {
                let text = element.text().await.ok()?;
                if text.contains(part) {
                    return Some(text);
                }
            }
            None
        })
        .await;
        if found.is_err() {
            let at = self.window.current_url().await?;
            let body = self.window.find(Locator::Css("body")).await?.text().await?;
            return found.with_context(|| format!("{at} says:\n{body}"));
        }
        found
    }

    /// Closes the window.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub async fn close(self) -> Result<()> {
        self.window.clone().close().await?;
        Ok(())
    }
}
