//! All pages: no link leads nowhere, none is heavy, none calls elsewhere.

use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use tests::site::{Page, Reader, links};
use tests::stack::Stack;

/// What a page may weigh with its stylesheets, script and icon, before compression.
const MOST_BYTES: usize = 100_000;

/// Everything that can be reached, by role.
pub async fn walk(stack: &Stack) -> Result<Vec<(&'static str, Reader, Vec<Page>)>> {
    let demo = stack.demo()?;
    let organisation = demo["organisation_id"].as_str().unwrap_or_default();
    let visitor = Reader::visitor(stack)?;
    let partner = Reader::logged_in(stack, "partner").await?;
    let operator = Reader::logged_in(stack, "operator").await?;
    let mut found = Vec::new();
    for (role, reader, start) in [
        ("visitor", visitor, "/".to_owned()),
        ("partner", partner, format!("/organisations/{organisation}")),
        ("operator", operator, "/operator".to_owned()),
    ] {
        let pages = reader.walk(&start).await?;
        ensure!(pages.len() > 8, "{role} found {} pages only", pages.len());
        found.push((role, reader, pages));
    }
    Ok(found)
}

#[tokio::test]
async fn every_link_leads_to_a_page_and_no_page_is_heavy() -> Result<()> {
    let stack = Stack::shared().await?;
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (role, reader, pages) in walk(&stack).await? {
        for page in &pages {
            if page.status != 200 {
                wrong.push(format!(
                    "{role}: {} ({}) linked from {}",
                    page.path, page.status, page.from
                ));
            }
            let mut bytes = page.html.len();
            for asset in links(&page.html)
                .into_iter()
                .filter(|link| link.starts_with("/assets/"))
            {
                if !sizes.contains_key(&asset) {
                    sizes.insert(asset.clone(), reader.read(&asset).await?.html.len());
                }
                bytes += sizes.get(&asset).copied().unwrap_or_default();
            }
            if bytes > MOST_BYTES && !page.path.contains("/reference") {
                wrong.push(format!("{role}: {} weighs {bytes} bytes", page.path));
            }
            for part in ["<style", " style=", "src=\"http", "src=\"//", "onclick="] {
                if page.html.contains(part) {
                    wrong.push(format!("{role}: {} has {part}", page.path));
                }
            }
        }
        println!("{role}: {} pages", pages.len());
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
