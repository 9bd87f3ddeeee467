//! `portico key`: what an outsider can tell from an API key alone.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use shared::credential::inspect_key;

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print a key's brand and environment and whether its checksum holds.
    /// Exits with 1 when it does not.
    Inspect { key: String },
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Command::Inspect { key } = &arguments.command;
    let (report, holds) = inspect(key)?;
    print!("{report}");
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// The report, and whether the checksum holds. The key itself is not repeated.
fn inspect(key: &str) -> Result<(String, bool)> {
    let parts = inspect_key(key).context("this is not an API key")?;
    let verdict = if parts.checksum_holds {
        "holds"
    } else {
        "does not hold: a character is missing or mistyped"
    };
    let report = format!(
        "brand        {}\nenvironment  {}\nchecksum     {verdict}\n",
        parts.brand,
        parts.environment.as_str()
    );
    Ok((report, parts.checksum_holds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> String {
        use shared::credential::{Environment, PlainKey};
        PlainKey::generate("pk", Environment::Test, |bytes| bytes.fill(7))
            .unwrap()
            .expose()
            .to_owned()
    }

    #[test]
    fn an_issued_key_holds() {
        let (report, holds) = inspect(&key()).unwrap();
        assert!(holds);
        assert_eq!(
            report,
            "brand        pk\nenvironment  test\nchecksum     holds\n"
        );
    }

    #[test]
    fn a_mistyped_key_does_not_hold() {
        let mut mistyped = key();
        let last = if mistyped.pop() == Some('0') {
            '1'
        } else {
            '0'
        };
        mistyped.push(last);
        let (report, holds) = inspect(&mistyped).unwrap();
        assert!(!holds);
        assert!(report.contains("does not hold"));
    }

    #[test]
    fn something_else_is_not_a_key() {
        assert!(inspect("sk_live_short").is_err());
    }
}
