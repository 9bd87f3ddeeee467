//! `cargo xtask languages`: the texts of templates and code, held against the catalogues.

mod catalogues;
mod source;
mod template;
mod texts;
mod walk;

use anyhow::{Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use texts::Texts;

/// Below the repository.
const SOURCE: &str = "portal-spin/src";
const CATALOGUES: &str = "portal-spin/languages";

#[derive(Args, Default)]
pub struct Options {
    /// Change nothing; fail if a catalogue lacks a text or holds one that is no longer used
    #[arg(long)]
    check: bool,
    /// Print every text with its place
    #[arg(long)]
    list: bool,
    /// Print the texts that this language lacks
    #[arg(long, value_name = "TAG")]
    missing: Option<String>,
}

pub fn run(options: &Options) -> Result<()> {
    let texts = collect()?;
    if options.list {
        for (id, place) in &texts.places {
            println!("{SOURCE}/{}:{}: {id:?}", place.file, place.line);
        }
    }
    if let Some(tag) = &options.missing {
        return catalogues::print_missing(Path::new(CATALOGUES), tag, &texts);
    }
    if options.check {
        return check_with(&texts);
    }
    if !texts.problems.is_empty() {
        bail!("{}", texts.problems.join("\n"));
    }
    catalogues::update(Path::new(CATALOGUES), &texts)?;
    eprintln!(
        "languages: {} texts, {} words",
        texts.places.len(),
        texts.words()
    );
    Ok(())
}

/// What CI asks.
pub fn check() -> Result<()> {
    check_with(&collect()?)
}

fn check_with(texts: &Texts) -> Result<()> {
    let mut problems = texts.problems.clone();
    problems.extend(catalogues::check(Path::new(CATALOGUES), texts)?);
    if problems.is_empty() {
        return Ok(());
    }
    bail!("languages:\n{}", problems.join("\n"))
}

fn collect() -> Result<Texts> {
    let root = PathBuf::from(SOURCE);
    let mut files = Vec::new();
    walk_folder(&root, &mut files)?;
    let mut names: Vec<String> = files
        .iter()
        .filter_map(|file| Some(file.strip_prefix(&root).ok()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    let mut texts = Texts::default();
    let templates: Vec<String> = names
        .iter()
        .filter(|name| name.ends_with(".html"))
        .cloned()
        .collect();
    walk::collect(&walk::read_templates(&root, &templates)?, &mut texts);
    for name in names.iter().filter(|name| name.ends_with(".rs")) {
        source::collect(name, &std::fs::read_to_string(root.join(name))?, &mut texts)?;
    }
    // The codes of the gateway, which the portal's help pages explain.
    source::collect(
        "../../shared/src/problem.rs",
        &std::fs::read_to_string("shared/src/problem.rs")?,
        &mut texts,
    )?;
    Ok(texts)
}

fn walk_folder(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk_folder(&path, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}
