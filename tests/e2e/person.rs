//! Someone with a browser, who reads, types and presses as people do.

use std::time::Duration;

use anyhow::{Context as _, Result};
use fantoccini::elements::Element;
use fantoccini::{Client, Locator};
use tests::browser::Browser;
use tests::stack::Stack;
use tests::wait::eventually;

/// How long a page, a check or a delivery may take on a busy machine. What must be quick is timed elsewhere.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Someone with a browser.
pub struct Person {
    pub browser: Browser,
    portal: String,
}

impl Person {
    pub async fn new(stack: &Stack) -> Result<Self> {
        Ok(Self {
            browser: Browser::open(1280, 1000).await?,
            portal: stack.endpoints().portal.clone(),
        })
    }

    pub fn window(&self) -> &Client {
        &self.browser.window
    }

    pub async fn open(&self, path: &str) -> Result<()> {
        let at = format!("{}{path}", self.portal);
        Ok(self.window().goto(&at).await?)
    }

    /// Waits for an element.
    pub async fn find(&self, css: &str) -> Result<Element> {
        self.window()
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css(css))
            .await
            .with_context(|| format!("nothing matches {css}"))
    }

    /// Types into a field in place of what stands there.
    pub async fn fill(&self, name: &str, text: &str) -> Result<()> {
        let field = self.find(&format!("main [name='{name}']")).await?;
        field.clear().await?;
        Ok(field.send_keys(text).await?)
    }

    pub async fn choose(&self, css: &str, value: &str) -> Result<()> {
        let select = self.find(css).await?;
        let option = format!(".//option[@value='{value}' or normalize-space()='{value}']");
        let option = select.find(Locator::XPath(&option)).await?;
        Ok(option.click().await?)
    }

    pub async fn press(&self, css: &str) -> Result<()> {
        Ok(self.find(css).await?.click().await?)
    }

    /// Presses what leads to another page, and waits for that page: the old one may say the same words.
    pub async fn follow(&self, css: &str) -> Result<()> {
        let mark = "document.documentElement.dataset.left = 'yes'";
        let arrived =
            "return document.readyState === 'complete' && !document.documentElement.dataset.left";
        let link = self.find(css).await?;
        self.window().execute(mark, vec![]).await?;
        link.click().await?;
        let what = format!("the page behind {css}");
        eventually(&what, PATIENCE, async || {
            let seen = self.window().execute(arrived, vec![]).await.ok()?;
            (seen == true).then_some(())
        })
        .await
    }

    /// Waits until the page's text has this part.
    pub async fn reads(&self, part: &str) -> Result<()> {
        let mut seen = String::new();
        let found = eventually("a text on the page", PATIENCE, async || {
            let main = self.window().find(Locator::Css("main")).await.ok()?;
            seen = main.text().await.ok()?;
            seen.contains(part).then_some(())
        })
        .await;
        found.with_context(|| format!("no “{part}” in:\n{seen}"))
    }

    pub async fn path(&self) -> Result<String> {
        Ok(self.window().current_url().await?.path().to_owned())
    }

    /// Logs in on the log-in page that is shown.
    pub async fn give_password(&self, stack: &Stack, who: &str) -> Result<()> {
        let demo = stack.demo()?;
        for name in ["email", "password"] {
            let value = demo[who][name].as_str().context("no such person")?;
            self.fill(name, value).await?;
        }
        self.follow("form[action='/log-in'] button").await
    }
}
