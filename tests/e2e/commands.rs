//! The commands that README and documents give: each is run as it stands, with this machine's addresses and
//! keys in place of the examples'.

use crate::documents::documents;
use anyhow::{Context as _, Result, bail, ensure};
use std::process::{Command, Output};
use tests::stack::{Stack, portico, repository};

/// Where a document's command is tried.
enum Place {
    /// Here.
    Shell(String),
    /// It is what runs this test, or what runs beside it.
    Build,
    /// In another test, because it needs a scene of its own.
    Elsewhere(&'static str),
}

/// Commands in `sh` blocks, with the document they stand in.
fn commands() -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for document in documents()? {
        let text = std::fs::read_to_string(&document)?;
        let name = document.strip_prefix(repository())?.display().to_string();
        for block in text.split("```sh\n").skip(1) {
            let (block, _) = block.split_once("```").context("a block without an end")?;
            let joined = block.replace("\\\n", " ");
            let lines = joined
                .lines()
                .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
            found.extend(lines.map(|line| (name.clone(), line.trim().to_owned())));
        }
    }
    Ok(found)
}

/// How a command is tried; an error for one that nobody thought of.
fn place_of(command: &str, stack: &Stack) -> Result<Place> {
    let endpoints = stack.endpoints();
    let demo = stack.demo()?;
    let key = demo["test_key"].as_str().context("no key")?;
    let here = command
        .replace("pk_test_…", key)
        .replace("https://api.example.com", &endpoints.gateway)
        .replace("http://127.0.0.1:8080", &endpoints.portal)
        .replace("http://127.0.0.1:8081", &endpoints.gateway);
    let mut words = command.split_whitespace();
    Ok(match words.next().unwrap_or_default() {
        "curl" => Place::Shell(here.replacen("curl", "curl --silent --show-error --fail", 1)),
        "examples/first-call.sh" | "openssl" => Place::Shell(here),
        "cargo" => Place::Build,
        "sqlite3" => Place::Elsewhere("backup"),
        other => {
            bail!("`{other}` is new in a document: say in tests/e2e/commands.rs how it is tried")
        }
    })
}

async fn run(mut command: Command) -> Result<Output> {
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

#[tokio::test]
async fn every_command_of_a_document_runs_as_it_stands() -> Result<()> {
    let stack = Stack::shared().await?;
    let all = commands()?;
    let (mut ran, mut beside) = (0, Vec::new());
    for (document, line) in &all {
        match place_of(line, &stack)? {
            Place::Shell(text) => {
                let mut command = Command::new("sh");
                command.args(["-euc", &text]).current_dir(repository());
                let output = run(command).await?;
                let errors = String::from_utf8_lossy(&output.stderr);
                ensure!(output.status.success(), "{document}: {text}: {errors}");
                ran += 1;
            }
            Place::Build => {}
            Place::Elsewhere(test) => beside.push(test),
        }
    }
    ensure!(ran >= 4, "{ran} commands of {} ran", all.len());
    ensure!(beside.iter().all(|test| *test == "backup"), "{beside:?}");
    Ok(())
}

/// `portico mock serve SPEC` as it is written between backquotes: the words that name the subcommand, and
/// the options.
fn mentions(text: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let quoted = text.split("`portico ").skip(1);
    quoted
        .filter_map(|rest| rest.split('`').next())
        .map(|call| {
            let is_name = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase());
            let words = call.split_whitespace();
            let names = words.clone().take_while(is_name).map(str::to_owned);
            let options = words
                .filter(|word| word.starts_with("--"))
                .map(|word| word.split('=').next().unwrap_or(word).to_owned());
            (names.collect(), options.collect())
        })
        .collect()
}

#[tokio::test]
async fn every_subcommand_and_option_of_portico_that_a_document_names_exists() -> Result<()> {
    let mut seen = 0;
    for document in documents()? {
        let text = std::fs::read_to_string(&document)?;
        for (names, options) in mentions(&text) {
            let mut command = portico()?;
            command.args(&names).arg("--help");
            let output = run(command).await?;
            let help = String::from_utf8_lossy(&output.stdout);
            let document = document.display();
            ensure!(output.status.success(), "{document}: portico {names:?}");
            for option in &options {
                ensure!(
                    help.contains(option.as_str()),
                    "{document}: {names:?} has no {option}"
                );
            }
            seen += 1;
        }
    }
    ensure!(seen > 20, "{seen} mentions only");
    Ok(())
}
