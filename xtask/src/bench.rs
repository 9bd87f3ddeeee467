//! `cargo xtask bench`: paired comparisons, printed as tables and written to
//! `target/bench/*.json`.

use crate::command;
use crate::{artifacts, setup};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::path::Path;

#[derive(Args)]
pub struct Options {
    /// Which benchmark; all where none is named
    #[arg(value_enum)]
    name: Option<Name>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// CPU per request of the edge filter beside no filter, Envoy's own filters and ext_authz
    Edge,
    /// Invoices of 10 000 subscriptions, and ingest of usage on both databases
    Billing,
    /// The sandbox: correctness, refusals, state, start, memory, throughput, hostile requests
    Mock,
    /// The portal: sign-up to first call, keys, cost of a page, pages at scale
    Portal,
    /// Analytics of 10 000 partners over 24 months: every page's time, every number against the log
    Analytics,
}

pub fn run(options: &Options) -> Result<()> {
    let all = Name::value_variants();
    for name in options.name.as_ref().map_or(all, std::slice::from_ref) {
        match name {
            Name::Edge => edge()?,
            Name::Billing => component("billing")?,
            Name::Mock => mock()?,
            Name::Portal => portal()?,
            Name::Analytics => component("analytics")?,
        }
    }
    Ok(())
}

/// A domain of the component, its own code built natively with optimisation. Each measurement is a line
/// `BENCH {…}`.
fn component(domain: &str) -> Result<()> {
    let filter = format!("{domain}::bench");
    let mut measured = command::cargo(&[
        "test",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "portal-spin",
        "--lib",
        &filter,
        "--",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    let Some(text) = command::output(&mut measured) else {
        bail!(
            "the {domain} benchmark failed: run `cargo test --release -p portal-spin --lib {filter} -- --ignored --nocapture`"
        );
    };
    let rows: Vec<Value> = text
        .lines()
        .filter_map(|line| Some(line.split_once("BENCH ")?.1))
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    for row in &rows {
        println!("{}", row["name"].as_str().unwrap_or_default());
        for (name, value) in row.as_object().into_iter().flatten() {
            match value {
                Value::Object(parts) => {
                    println!("  {name}");
                    for (part, value) in parts {
                        println!("    {part:<24} {value}");
                    }
                }
                value if name != "name" => println!("  {name:<26} {value}"),
                _ => {}
            }
        }
    }
    let folder = command::root().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(
        folder.join(format!("{domain}.json")),
        serde_json::to_string_pretty(&rows)?,
    )?;
    Ok(())
}

fn mock() -> Result<()> {
    command::invoke(&mut command::cargo(&[
        "run",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "sandbox-mock",
        "--features",
        "serve",
        "--example",
        "bench-mock",
    ]))
}

fn portal() -> Result<()> {
    let artifacts = artifacts::build()?;
    let envoy = setup::envoy(Path::new(".portico"))?;
    command::invoke(
        command::cargo(&[
            "run",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            "tests",
            "--example",
            "bench-portal",
        ])
        .env("PORTICO_ENVOY", envoy)
        .env("PORTICO_EDGE_FILTER", artifacts.edge_filter())
        .env("PORTICO_ARTIFACTS", &artifacts.folder),
    )
}

fn edge() -> Result<()> {
    let filter = artifacts::build_edge_filter()?;
    let envoy = setup::envoy(Path::new(".portico"))?;
    command::invoke(
        command::cargo(&[
            "bench",
            "--quiet",
            "--locked",
            "--package",
            "edge-filter",
            "--bench",
            "edge",
        ])
        .env("PORTICO_ENVOY", envoy)
        .env("PORTICO_EDGE_FILTER", filter),
    )
}
