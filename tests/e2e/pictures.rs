//! Pictures of pages for people to look at, kept in `target/screenshots`.

use anyhow::{Context as _, Result};
use tests::accessibility_tree;
use tests::browser::{Browser, Look};
use tests::stack::{Stack, repository};

/// A phone, a tablet, a desk; by day and by night.
const VIEWS: [(u32, Look, &str); 6] = [
    (390, Look::Light, "phone-light"),
    (390, Look::Dark, "phone-dark"),
    (820, Look::Light, "tablet-light"),
    (820, Look::Dark, "tablet-dark"),
    (1280, Look::Light, "desk-light"),
    (1280, Look::Dark, "desk-dark"),
];

/// Keeps a picture by its name.
pub fn keep(name: &str, picture: Vec<u8>) -> Result<()> {
    let folder = repository().join("target/screenshots");
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join(name), picture)?)
}

/// Keeps what a screen reader is told of these pages beside the pictures, and asks of each what every
/// page has to have.
async fn take_trees(stack: &Stack, role: &str, pages: &[(&str, &str)]) -> Result<()> {
    let browser = Browser::open(1280, 900).await?;
    if !role.is_empty() {
        browser.log_in(stack, role).await?;
    }
    for (page, path) in pages {
        let at = format!("{}{path}", stack.endpoints().portal);
        browser.window.goto(&at).await?;
        let tree = browser.accessibility_tree().await?;
        let text = accessibility_tree::as_text(&tree);
        keep(&format!("{page}.tree.txt"), text.into_bytes())?;
        accessibility_tree::check(&tree).with_context(|| format!("{page}: {path}"))?;
    }
    browser.close().await
}

/// Keeps the accessibility tree of these pages (a name and a path) and takes pictures of them, as someone
/// of `demo.json` sees them or a visitor, in every view. Pictures only where `PORTICO_PICTURES` is set:
/// they take minutes.
pub async fn take_pictures(stack: &Stack, role: &str, pages: &[(&str, &str)]) -> Result<()> {
    take_trees(stack, role, pages).await?;
    if std::env::var_os("PORTICO_PICTURES").is_none() {
        return Ok(());
    }
    for (width, look, name) in VIEWS {
        let browser = Browser::open_as(width, 2_400, look).await?;
        if !role.is_empty() {
            browser.log_in(stack, role).await?;
        }
        for (page, path) in pages {
            let at = format!("{}{path}", stack.endpoints().portal);
            browser.window.goto(&at).await?;
            let picture = browser.window.screenshot().await?;
            keep(&format!("{page}-{name}.png"), picture)?;
        }
        browser.close().await?;
    }
    Ok(())
}
