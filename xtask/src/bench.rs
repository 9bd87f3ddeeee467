//! `cargo xtask bench`: paired comparisons, printed as tables and written to
//! `target/bench/*.json`.

use crate::command;
use crate::{artifacts, setup};
use anyhow::Result;
use clap::{Args, ValueEnum};
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
}

pub fn run(options: &Options) -> Result<()> {
    let all = Name::value_variants();
    for name in options.name.as_ref().map_or(all, std::slice::from_ref) {
        match name {
            Name::Edge => edge()?,
        }
    }
    Ok(())
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
