//! axe-core on every page, in light and in dark, and at three widths.

use crate::site::walk;
use anyhow::{Context as _, Result, ensure};
use std::path::PathBuf;
use tests::browser::{Browser, Look};
use tests::stack::{Stack, repository};

/// Where `cargo xtask test` puts axe-core.
fn axe() -> Option<PathBuf> {
    let chosen = std::env::var_os("PORTICO_AXE").map(PathBuf::from);
    let usual = repository().join("target/axe/node_modules/axe-core/axe.min.js");
    chosen.or(Some(usual)).filter(|file| file.is_file())
}

/// Every width and both looks, in turn; `PORTICO_ACCESSIBILITY=all` asks for each of the six.
fn looks() -> Vec<(u32, Look)> {
    let each = [390, 820, 1440].map(|width| [(width, Look::Light), (width, Look::Dark)]);
    if std::env::var("PORTICO_ACCESSIBILITY").is_ok_and(|wish| wish == "all") {
        return each.concat();
    }
    vec![(390, Look::Light), (820, Look::Light), (1440, Look::Dark)]
}

const RUN: &str = "
    const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then((found) => done(
        found.violations.map((one) => one.id + ': ' + one.nodes.slice(0, 3)
            .map((node) => node.target.join(' ')).join(' | '))));";

#[tokio::test]
async fn axe_finds_nothing_on_any_page() -> Result<()> {
    let Some(axe) = axe() else {
        eprintln!(
            "skipped: axe-core is not there; `cargo xtask test` installs it with npm, or set PORTICO_AXE to axe.min.js"
        );
        return Ok(());
    };
    let axe = std::fs::read_to_string(axe)?;
    let stack = Stack::shared().await?;
    let portal = &stack.endpoints().portal;
    let found = walk(&stack).await?;
    let mut wrong = Vec::new();
    for (width, look) in looks() {
        let browser = Browser::open_as(width, 900, look).await?;
        let window = &browser.window;
        for (role, reader, pages) in &found {
            window.delete_all_cookies().await?;
            if reader.is_logged_in() {
                browser.log_in(&stack, role).await?;
            }
            for page in pages {
                window.goto(&format!("{portal}{}", page.path)).await?;
                let wide = "return [innerWidth, document.documentElement.scrollWidth, matchMedia('(prefers-color-scheme: dark)').matches]";
                let seen = window.execute(wide, vec![]).await?;
                ensure!(
                    seen[0] == width,
                    "the window is {} wide, not {width}",
                    seen[0]
                );
                ensure!(
                    seen[2] == matches!(look, Look::Dark),
                    "{look:?} is not what pages see"
                );
                if seen[1].as_u64() > Some(u64::from(width)) {
                    wrong.push(format!(
                        "{role} {} at {width}: scrolls sideways to {}",
                        page.path, seen[1]
                    ));
                }
                window.execute(&axe, vec![]).await?;
                let violations = window.execute_async(RUN, vec![]).await?;
                for violation in violations.as_array().context("axe gave no list")? {
                    wrong.push(format!(
                        "{role} {} {look:?} {width}: {violation}",
                        page.path
                    ));
                }
            }
        }
        browser.close().await?;
    }
    ensure!(
        wrong.is_empty(),
        "{} findings:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}
