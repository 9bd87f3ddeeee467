//! The catalogue files: what each lacks, what it has too much, and bringing it up to date.

use super::texts::Texts;
use ::languages::message::placeholders;
use ::languages::po::{Entry, File};
use anyhow::{Context as _, Result, anyhow, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn read_all(folder: &Path) -> Result<BTreeMap<PathBuf, File>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ext| ext == "po") {
            let text = std::fs::read_to_string(&path)?;
            let file = File::read(&text).map_err(|error| anyhow!("{}: {error}", path.display()))?;
            found.insert(path, file);
        }
    }
    Ok(found)
}

/// What is wrong with the catalogues. One that does not say that it is complete may lack translations.
pub fn check(folder: &Path, texts: &Texts) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (path, file) in read_all(folder)? {
        problems.extend(check_one(&path, &file, texts));
        let empty = file
            .entries
            .iter()
            .filter(|entry| entry.text.is_empty())
            .count();
        if !file.is_complete() {
            eprintln!(
                "languages: {} says X-Complete: no; {empty} texts wait for a translation",
                path.display()
            );
        }
    }
    Ok(problems)
}

fn check_one(path: &Path, file: &File, texts: &Texts) -> Vec<String> {
    let path = path.display();
    let mut problems = Vec::new();
    for name in ["Language", "X-Language-Name", "X-Complete"] {
        if file.field(name).is_empty() {
            problems.push(format!("{path}: the header has no {name}"));
        }
    }
    let known: BTreeMap<&str, &Entry> = file
        .entries
        .iter()
        .map(|entry| (entry.id.as_str(), entry))
        .collect();
    for (id, place) in &texts.places {
        let at = format!("{}/{}:{}", super::SOURCE, place.file, place.line);
        match known.get(id.as_str()) {
            None if file.is_complete() => problems.push(format!(
                "{at}: {path} lacks {id:?}; run `cargo xtask languages` and translate it"
            )),
            Some(entry) if entry.text.is_empty() && file.is_complete() => {
                problems.push(format!(
                    "{path}:{}: no translation of {id:?} ({at})",
                    entry.line
                ));
            }
            _ => {}
        }
    }
    for entry in &file.entries {
        let at = format!("{path}:{}", entry.line);
        if !texts.places.contains_key(&entry.id) && file.is_complete() {
            problems.push(format!(
                "{at}: nothing says {:?} any more; run `cargo xtask languages`",
                entry.id
            ));
        }
        if entry.text.is_empty() {
            continue;
        }
        let (wanted, given) = (placeholders(&entry.id), placeholders(&entry.text));
        if wanted != given {
            problems.push(format!(
                "{at}: the text has {wanted:?}, its translation {given:?}"
            ));
        }
        if entry.text.trim() != entry.text && entry.id.trim() == entry.id {
            problems.push(format!("{at}: the translation begins or ends with space"));
        }
        if entry.text.chars().any(::languages::marks::is_mark) {
            problems.push(format!(
                "{at}: the translation holds a mark of the private use area"
            ));
        }
    }
    problems
}

/// Adds what is missing, removes what is no longer used, and sorts by place.
pub fn update(folder: &Path, texts: &Texts) -> Result<()> {
    for (path, mut file) in read_all(folder)? {
        let mut old: BTreeMap<String, Entry> = std::mem::take(&mut file.entries)
            .into_iter()
            .map(|entry| (entry.id.clone(), entry))
            .collect();
        let mut entries: Vec<Entry> = texts
            .places
            .iter()
            .map(|(id, place)| {
                let mut entry = old.remove(id).unwrap_or_default();
                entry.id.clone_from(id);
                entry.places = vec![place.file.clone()];
                entry.comments.clone_from(&place.comments);
                entry
            })
            .collect();
        entries.sort_by(|one, other| (&one.places, &one.id).cmp(&(&other.places, &other.id)));
        file.entries = entries;
        std::fs::write(&path, file.write())?;
        let empty = file
            .entries
            .iter()
            .filter(|entry| entry.text.is_empty())
            .count();
        eprintln!(
            "{}: {} to translate, {} removed",
            path.display(),
            empty,
            old.len()
        );
    }
    Ok(())
}

/// Prints the entries without a translation, as they stand in the file.
pub fn print_missing(folder: &Path, tag: &str, texts: &Texts) -> Result<()> {
    let path = folder.join(format!("{tag}.po"));
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let file = File::read(&text).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let translated: BTreeSet<&str> = file
        .entries
        .iter()
        .filter(|entry| !entry.text.is_empty())
        .map(|entry| entry.id.as_str())
        .collect();
    let mut missing = 0;
    for (id, place) in texts
        .places
        .iter()
        .filter(|(id, _)| !translated.contains(id.as_str()))
    {
        println!("{}:{}: {id:?}", place.file, place.line);
        missing += 1;
    }
    if missing > 0 {
        bail!("{} lacks {missing} texts", path.display());
    }
    Ok(())
}
