//! Portico's developer commands. Owns set-up, build and the order of checks;
//! everything a user of the product runs is in the `portico` binary.

mod artifacts;
mod bench;
mod check;
mod command;
mod dist;
mod languages;
mod setup;
mod test;
mod tidy;
mod up;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Portico's developer commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing, build, start everything; Ctrl-C stops all of it
    Up(up::Options),
    /// Build every part in release into target/portico/
    Build,
    /// Install what the tests need and run every test
    Test(test::Options),
    /// Format, clippy (native and wasm), docs, dependency audit, tidiness, tests
    Check(check::Options),
    /// Run the benchmarks, or the one named
    Bench(bench::Options),
    /// Build a release: every part, SBOM and checksums, in one folder
    Dist(dist::Options),
    /// Bring the catalogues of the portal's languages up to date with its texts, or check them
    Languages(languages::Options),
    /// Install what `up` needs (wasm targets, Envoy) and print where Envoy is
    Setup {
        /// Where Envoy is installed when it is not on PATH
        #[arg(long, default_value = ".portico")]
        data_dir: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = run(Arguments::parse().command);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Up(options) => up::run(&options),
        Command::Build => artifacts::build().map(drop),
        Command::Test(options) => test::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Dist(options) => dist::run(&options),
        Command::Languages(options) => languages::run(&options),
        Command::Setup { data_dir } => {
            setup::wasm_targets()?;
            println!("{}", setup::envoy(&data_dir)?.display());
            Ok(())
        }
    }
}
