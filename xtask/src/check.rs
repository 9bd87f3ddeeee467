//! `cargo xtask check`: what CI runs.

use crate::command::{cargo, find_on_path, invoke, output};
use crate::{languages, setup, test, tidy};
use anyhow::Result;
use clap::Args;

#[derive(Args)]
pub struct Options {
    /// Leave the tests out
    #[arg(long)]
    no_tests: bool,
}

/// The version of the audit tool that is installed when there is none.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

pub fn run(options: &Options) -> Result<()> {
    setup::wasm_targets()?;
    tidy::check()?;
    languages::check()?;
    step(&["fmt", "--all", "--check"])?;
    step(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])?;
    for (package, target) in [
        ("edge-filter", "wasm32-wasip1"),
        ("portal-spin", "wasm32-wasip2"),
        ("sandbox-mock", "wasm32-wasip2"),
    ] {
        step(&[
            "clippy",
            "--package",
            package,
            "--target",
            target,
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ])?;
    }
    invoke(
        cargo(&["doc", "--workspace", "--no-deps", "--locked", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    audit()?;
    if !options.no_tests {
        test::run(&test::Options::default())?;
    }
    eprintln!("check: everything holds");
    Ok(())
}

fn step(arguments: &[&str]) -> Result<()> {
    invoke(&mut cargo(arguments))
}

/// Licences, sources and bans always; advisories where their database can be had.
fn audit() -> Result<()> {
    if find_on_path("cargo-deny").is_none() {
        step(&["install", "--quiet", "--locked", CARGO_DENY])?;
    }
    step(&[
        "deny",
        "--all-features",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ])?;
    let fetched = output(&mut cargo(&["deny", "fetch", "db"])).is_some();
    if fetched {
        return step(&["deny", "check", "--hide-inclusion-graph", "advisories"]);
    }
    eprintln!(
        "audit: the advisory database cannot be reached from here; advisories were NOT checked"
    );
    Ok(())
}
