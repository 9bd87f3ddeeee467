//! `cargo xtask bench`: paired comparisons, printed as tables and written to
//! `target/bench/*.json`.

use crate::command;
use crate::{artifacts, setup};
use anyhow::{Result, bail};
use clap::Args;
use std::path::Path;

#[derive(Args)]
pub struct Options {
    /// Which benchmark; all where none is named
    name: Option<String>,
}

/// The benchmarks: examples of the `tests` package, named `bench-…`.
const NAMES: [&str; 1] = ["edge"];

pub fn run(options: &Options) -> Result<()> {
    let chosen: Vec<&str> = match options.name.as_deref() {
        None => NAMES.to_vec(),
        Some(name) if NAMES.contains(&name) => vec![name],
        Some(name) => bail!("no benchmark `{name}`: there are {}", NAMES.join(", ")),
    };
    let artifacts = artifacts::build()?;
    let envoy = setup::envoy(Path::new(".portico"))?;
    for name in chosen {
        let example = format!("bench-{name}");
        run_example(&example, &artifacts, &envoy)?;
    }
    Ok(())
}

fn run_example(example: &str, artifacts: &artifacts::Artifacts, envoy: &Path) -> Result<()> {
    command::invoke(
        command::cargo(&[
            "run",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            "tests",
            "--example",
            example,
        ])
        .env("PORTICO_ENVOY", envoy)
        .env("PORTICO_ARTIFACTS", &artifacts.folder),
    )
}
