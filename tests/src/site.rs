//! The portal's pages as a visitor, a partner or the operator meets them: found by following links.

use crate::stack::Stack;
use anyhow::{Context as _, Result, ensure};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use std::collections::{BTreeMap, VecDeque};

/// A page that was found.
#[derive(Debug, Clone)]
pub struct Page {
    pub path: String,
    /// The page that links to it.
    pub from: String,
    pub status: u16,
    pub html: String,
}

/// Someone who looks around, with a session or without.
pub struct Reader {
    client: Client,
    portal: String,
    session: String,
}

impl Reader {
    /// Someone who is not logged in.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn visitor(stack: &Stack) -> Result<Self> {
        Ok(Self {
            client: Client::builder().redirect(Policy::none()).build()?,
            portal: stack.endpoints().portal.clone(),
            session: String::new(),
        })
    }

    /// Someone of `demo.json`: `partner` or `operator`.
    ///
    /// # Errors
    /// When the log-in fails.
    pub async fn logged_in(stack: &Stack, who: &str) -> Result<Self> {
        let mut reader = Self::visitor(stack)?;
        let demo = stack.demo()?;
        let text = |name: &str| demo[who][name].as_str().context("no such log-in");
        let answer = reader
            .client
            .post(format!("{}/log-in", reader.portal))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!(
                "email={}&password={}",
                text("email")?.replace('@', "%40"),
                text("password")?.replace(' ', "+").replace(',', "%2C")
            ))
            .send()
            .await?;
        ensure!(
            answer.status() == StatusCode::SEE_OTHER,
            "log-in: {}",
            answer.status()
        );
        reader.session = answer
            .headers()
            .get_all("set-cookie")
            .iter()
            .filter_map(|cookie| cookie.to_str().ok())
            .find_map(|cookie| cookie.split(';').next()?.strip_prefix("portico_session="))
            .context("no session cookie")?
            .to_owned();
        Ok(reader)
    }

    /// Whether it is somebody's.
    #[must_use]
    pub const fn is_logged_in(&self) -> bool {
        !self.session.is_empty()
    }

    /// One page, over at most three redirects.
    ///
    /// # Errors
    /// When the portal does not answer.
    pub async fn read(&self, path: &str) -> Result<Page> {
        let mut at = path.to_owned();
        for _ in 0..3 {
            let answer = self
                .client
                .get(format!("{}{at}", self.portal))
                .header("cookie", format!("portico_session={}", self.session))
                .send()
                .await?;
            if answer.status().is_redirection()
                && let Some(next) = answer.headers().get("location")
            {
                at = next.to_str()?.to_owned();
                continue;
            }
            return Ok(Page {
                path: path.to_owned(),
                from: String::new(),
                status: answer.status().as_u16(),
                html: answer.text().await?,
            });
        }
        anyhow::bail!("{path} redirects without end")
    }

    /// Every page that links lead to from `start`, one of each shape: ids count as the same.
    ///
    /// # Errors
    /// When the portal does not answer.
    pub async fn walk(&self, start: &str) -> Result<Vec<Page>> {
        let mut waiting = VecDeque::from([(start.to_owned(), String::new())]);
        let mut seen: BTreeMap<String, usize> = BTreeMap::from([(shape(start), 1)]);
        let mut pages = Vec::new();
        while let Some((path, from)) = waiting.pop_front() {
            let mut page = self.read(&path).await?;
            page.from = from;
            for link in links(&page.html) {
                let link = link.split('#').next().unwrap_or_default().to_owned();
                let is_page = link.starts_with('/')
                    && !["/assets/", "/api/", "/log-out"]
                        .iter()
                        .any(|no| link.starts_with(no))
                    && !link.ends_with("/evidence")
                    // A page as a file.
                    && !link.contains("format=");
                if is_page && !link.is_empty() {
                    let count = seen.entry(shape(&link)).or_default();
                    *count += 1;
                    if *count == 1 {
                        waiting.push_back((link, path.clone()));
                    }
                }
            }
            pages.push(page);
            ensure!(pages.len() < 400, "the site has no end: last {path}");
        }
        Ok(pages)
    }
}

/// Addresses in `href` attributes.
#[must_use]
pub fn links(html: &str) -> Vec<String> {
    html.split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(|link| link.replace("&amp;", "&"))
        .collect()
}

/// A path without its ids and values: `/apps/app_01m8…` is `/apps/app_`.
fn shape(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| match segment.split_once('_') {
            Some((prefix, id)) if id.len() > 20 => format!("{prefix}_"),
            _ => segment.to_owned(),
        })
        .collect();
    let names: Vec<&str> = query
        .split('&')
        .filter_map(|pair| pair.split('=').next())
        .collect();
    format!("{}?{}", segments.join("/"), names.join("&"))
}
