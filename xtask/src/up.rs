//! `cargo xtask up`: set up, build, then become `portico up`.

use crate::command::root;
use crate::{artifacts, setup};
use anyhow::{Context as _, Result};
use clap::Args;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

#[derive(Args)]
pub struct Options {
    /// The portal's port; gateway +1, sandbox +2, demo upstream +3, Envoy admin +9
    #[arg(long, default_value_t = 8080)]
    port_base: u16,
    /// Where the programme's data is kept
    #[arg(long, default_value = ".portico")]
    data_dir: PathBuf,
    /// Start over with empty data
    #[arg(long)]
    fresh: bool,
    /// Do not seed the demo programme
    #[arg(long)]
    no_demo: bool,
    /// How many months of past the demo programme has; 0 for none
    #[arg(long, default_value_t = 14)]
    demo_months: u32,
}

pub fn run(options: &Options) -> Result<()> {
    let envoy = setup::envoy(&options.data_dir)?;
    let artifacts = artifacts::build()?;
    let mut command = Command::new(artifacts.portico());
    command
        .arg("up")
        .arg("--port-base")
        .arg(options.port_base.to_string())
        .arg("--data-dir")
        .arg(std::path::absolute(&options.data_dir)?)
        .arg("--envoy")
        .arg(envoy)
        .arg("--edge-filter")
        .arg(artifacts.edge_filter())
        .current_dir(root());
    if options.fresh {
        command.arg("--fresh");
    }
    command
        .arg("--demo-months")
        .arg(options.demo_months.to_string());
    if options.no_demo {
        command.arg("--no-demo");
    }
    // Becoming the program, instead of starting it, leaves one process to signal.
    Err(command.exec()).context("cannot start target/portico/portico")
}
