//! Repository tidiness: what no other tool looks at.

use crate::command::{output, root};
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::Command;

/// No source file may be longer; nine in ten are far shorter.
const MOST_LINES: usize = 700;
const LARGEST_FILE: u64 = 600 * 1024;

/// Texts that no committed file may hold, in two halves so that this file does not.
const FORBIDDEN: [(&str, &str, &str); 5] = [
    ("/ro", "ot/", "a path of one machine"),
    ("/home", "/", "a path of one machine"),
    ("todo", "!(", "an unfinished mark"),
    ("TO", "DO", "an unfinished mark"),
    ("FIX", "ME", "an unfinished mark"),
];

pub fn check() -> Result<()> {
    let mut list = Command::new("git");
    list.args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root());
    let files = output(&mut list).context("tidy: `git ls-files` failed")?;
    let mut problems = Vec::new();
    for name in files.lines() {
        let path = root().join(name);
        if path.is_file() {
            inspect(name, &path, &mut problems);
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    bail!("tidy:\n  {}", problems.join("\n  "));
}

fn inspect(name: &str, path: &Path, problems: &mut Vec<String>) {
    let size = path.metadata().map_or(0, |metadata| metadata.len());
    if size > LARGEST_FILE {
        problems.push(format!(
            "{name}: {size} bytes; build output does not belong here"
        ));
    }
    let Ok(text) = std::fs::read_to_string(path) else {
        return;
    };
    let is_rust = name.ends_with(".rs");
    if is_rust && text.lines().count() > MOST_LINES {
        problems.push(format!(
            "{name}: more than {MOST_LINES} lines; split it by what it owns"
        ));
    }
    if text.contains('\r') && !name.ends_with(".http") {
        problems.push(format!("{name}: carriage returns"));
    }
    let is_made =
        name.ends_with(".lock") || name.contains("/fixtures/") || name.contains("/snapshots/");
    for (number, line) in text.lines().enumerate() {
        if line.ends_with([' ', '\t']) && !name.ends_with(".md") && !is_made {
            problems.push(format!("{name}:{}: white space at the end", number + 1));
        }
        for (start, end, what) in FORBIDDEN {
            let is_allowed = is_made || (name.starts_with("deploy/") && start.starts_with('/'));
            if !is_allowed && line.contains(&format!("{start}{end}")) {
                problems.push(format!("{name}:{}: {what}", number + 1));
            }
        }
    }
}
