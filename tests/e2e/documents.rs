//! README, docs and deploy: links lead somewhere, and every file for operators can be read.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use tests::stack::repository;

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// README, docs, and what stands beside them.
pub fn documents() -> Result<Vec<PathBuf>> {
    let root = repository();
    let mut found = Vec::new();
    for folder in ["docs", "deploy", "examples"] {
        files(&root.join(folder), &mut found)?;
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ] {
        found.push(root.join(name));
    }
    Ok(found)
}

#[test]
fn every_relative_link_of_a_document_leads_to_a_file() -> Result<()> {
    let mut wrong = Vec::new();
    for document in documents()? {
        let text = std::fs::read_to_string(&document)?;
        let folder = document.parent().context("a file without a folder")?;
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !folder.join(path).exists() {
                wrong.push(format!("{}: {target}", document.display()));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_xtask_that_a_document_names_exists() -> Result<()> {
    let known = ["up", "test", "check", "bench", "build", "dist", "languages"];
    for document in documents()? {
        let text = std::fs::read_to_string(&document)?;
        for word in text.split("cargo xtask ").skip(1) {
            let name: String = word.chars().take_while(char::is_ascii_lowercase).collect();
            ensure!(
                name.is_empty() || known.contains(&name.as_str()),
                "{} names `cargo xtask {name}`",
                document.display()
            );
        }
    }
    Ok(())
}
