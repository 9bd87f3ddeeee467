//! `cargo xtask test`: every test, with what it needs.

use crate::command::{cargo, invoke};
use crate::{artifacts, setup};
use anyhow::Result;
use clap::Args;
use std::path::Path;

#[derive(Args, Default)]
pub struct Options {
    /// Only tests whose name contains this
    filter: Option<String>,
}

pub fn run(options: &Options) -> Result<()> {
    setup::test_needs()?;
    let artifacts = artifacts::build_for_tests()?;
    let envoy = setup::envoy(Path::new(".portico"))?;
    let axe = setup::axe();
    let openid_client = setup::openid_client();
    let manifest_schemas = setup::manifest_schemas();
    // The runner and the end-to-end tests share the release build of wasmtime;
    // everything else is quicker to build, and stricter, unoptimised.
    let quick = [
        "--package",
        "shared",
        "--package",
        "edge-filter",
        "--package",
        "portal-spin",
        "--package",
        "sandbox-mock",
        "--package",
        "xtask",
    ];
    let heavy = ["--release", "--package", "runner", "--package", "tests"];
    let mut outcome = Ok(());
    for group in [&quick[..], &heavy[..]] {
        let mut command = cargo(&["test", "--locked", "--no-fail-fast"]);
        command.args(group);
        if let Some(filter) = &options.filter {
            command.args(["--", filter]);
        }
        command
            .env("PORTICO_ENVOY", &envoy)
            .env("PORTICO_EDGE_FILTER", artifacts.edge_filter())
            .env("PORTICO_ARTIFACTS", &artifacts.folder);
        if let Some(axe) = &axe {
            command.env("PORTICO_AXE", axe);
        }
        if let Some(folder) = &openid_client {
            command.env("PORTICO_OPENID_CLIENT", folder);
        }
        if let Some(folder) = &manifest_schemas {
            command.env("PORTICO_MANIFEST_SCHEMAS", folder);
        }
        if let Some(folder) = setup::postgres_programs() {
            command.env("PORTICO_POSTGRES_PROGRAMS", folder);
        }
        // One run tells of every failure.
        outcome = outcome.and(invoke(&mut command));
    }
    outcome
}
