//! Turns the catalogues in `languages/` into tables, so that nothing is read or sorted at start.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=languages");
    let mut files: Vec<_> = fs::read_dir("languages")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "po"))
        .collect();
    files.sort();
    let mut tables = String::from("pub static TRANSLATIONS: &[Catalogue] = &[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let text = fs::read_to_string(&file).unwrap();
        let read = languages::po::File::read(&text);
        let read = read.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        write_table(&mut tables, &read);
    }
    tables.push_str("];\n");
    let out = env::var_os("OUT_DIR").unwrap();
    fs::write(Path::new(&out).join("languages.rs"), tables).unwrap();
}

fn write_table(out: &mut String, file: &languages::po::File) {
    let mut texts: Vec<(&str, &str)> = file
        .entries
        .iter()
        .filter(|entry| !entry.text.is_empty())
        .map(|entry| (entry.id.as_str(), entry.text.as_str()))
        .collect();
    texts.sort_unstable();
    let mut patterns: Vec<(&str, usize)> = texts
        .iter()
        .enumerate()
        .filter_map(|(at, (id, _))| Some((languages::catalogue::first_chunk(id)?, at)))
        .collect();
    patterns.sort_unstable();
    writeln!(
        out,
        "Catalogue {{ tag: {:?}, name: {:?}, is_complete: {}, texts: &{texts:?}, patterns: &{patterns:?} }},",
        file.field("Language"),
        file.field("X-Language-Name"),
        file.is_complete(),
    )
    .unwrap();
}
