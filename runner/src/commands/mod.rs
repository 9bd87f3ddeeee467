//! The command line of `portico`, one file per subcommand.

mod audit;
mod evidence;
mod key;
mod mock;
mod rate;
mod run;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The Portico partner programme on one machine, and its command-line tools.
#[derive(Parser)]
#[command(name = "portico", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a Spin application without Spin.
    Run(run::Arguments),
    /// Run the whole programme on this machine: portal, sandbox, demo upstream and Envoy.
    Up(up::Arguments),
    /// Serve or compile a mock of an OpenAPI document.
    Mock(mock::Arguments),
    /// Look at API keys.
    Key(key::Arguments),
    /// Check evidence of acceptances.
    Evidence(evidence::Arguments),
    /// Check exported audit logs.
    Audit(audit::Arguments),
    /// Rate usage: JSON lines in, JSON lines out.
    Rate(rate::Arguments),
}

/// Parses the command line and does what it says. An `Err` is for the user: one
/// line that says what to do.
pub async fn dispatch() -> Result<ExitCode> {
    match Arguments::parse().command {
        Command::Run(arguments) => run::run(arguments).await,
        Command::Up(arguments) => up::run(arguments).await,
        Command::Mock(arguments) => mock::run(arguments).await,
        Command::Key(arguments) => key::run(&arguments),
        Command::Evidence(arguments) => evidence::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Rate(arguments) => rate::run(&arguments),
    }
}
