//! `portico up`: the whole programme on one machine.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, builder::ArgAction};

use crate::up;

#[derive(Args)]
pub struct Arguments {
    /// Where the programme's data are kept.
    #[arg(long, default_value = ".portico")]
    data_dir: PathBuf,
    /// The portal's port; gateway +1, sandbox +2, demo upstream +3, Envoy admin +9.
    #[arg(long, default_value_t = 8080)]
    port_base: u16,
    /// Start over with empty data.
    #[arg(long)]
    fresh: bool,
    /// Do not seed the demo programme.
    #[arg(long)]
    no_demo: bool,
    /// How many months of past the demo programme has; 0 for none.
    #[arg(long, default_value_t = 14)]
    demo_months: u32,
    /// The Spin manifest with the portal.
    #[arg(long, default_value = "spin.toml")]
    manifest: PathBuf,
    /// The filter for Envoy; beside this binary unless named.
    #[arg(long)]
    edge_filter: Option<PathBuf>,
    /// The sandbox component; beside this binary unless named.
    #[arg(long)]
    sandbox: Option<PathBuf>,
    /// Envoy; on PATH, then in the data folder, unless named.
    #[arg(long, action = ArgAction::Append)]
    envoy: Vec<PathBuf>,
}

pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let program = std::env::current_exe().context("cannot find the portico binary itself")?;
    let beside = |name: &str| program.with_file_name(name);
    let envoy = arguments
        .envoy
        .last()
        .cloned()
        .or_else(|| find_on_path("envoy"))
        .unwrap_or_else(|| arguments.data_dir.join("envoy/envoy/_bin/envoy"));
    up::run(up::Options {
        envoy,
        port_base: arguments.port_base,
        fresh: arguments.fresh,
        demo_months: (!arguments.no_demo).then_some(arguments.demo_months),
        manifest: arguments.manifest,
        edge_filter: arguments
            .edge_filter
            .unwrap_or_else(|| beside("edge_filter.wasm")),
        sandbox: arguments.sandbox.unwrap_or_else(|| beside("sandbox.wasm")),
        data_dir: arguments.data_dir,
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

fn find_on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
