//! `portico audit`: whether an exported audit log is whole, offline.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use portal::audit::verify_audit;

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check that no record of an exported log was changed, removed, added or moved.
    /// Exits with 1 when one was, and names the line.
    Verify {
        /// The export, one JSON record a line.
        file: PathBuf,
        /// A hash noted earlier: it must be in the log. Records cut off at the end are found by it.
        #[arg(long)]
        contains: Option<String>,
    },
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Command::Verify { file, contains } = &arguments.command;
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    match verify(&bytes, contains.as_deref()) {
        Ok(report) => {
            print!("{report}");
            Ok(ExitCode::SUCCESS)
        }
        Err(reason) => {
            println!("verdict    NOT VALID: {reason}");
            Ok(ExitCode::from(1))
        }
    }
}

/// The report, or what is wrong.
fn verify(bytes: &[u8], contains: Option<&str>) -> Result<String, String> {
    let (records, last_hash) = verify_audit(bytes).map_err(|error| error.to_string())?;
    if let Some(hash) = contains {
        let member = format!("\"hash\":\"{}\"", hash.trim().to_lowercase());
        let is_known = bytes
            .windows(member.len())
            .any(|window| window == member.as_bytes());
        if !is_known {
            return Err(format!(
                "no record has the hash {hash}: the log was cut or replaced"
            ));
        }
    }
    Ok(format!(
        "verdict    valid: every record is as written and follows the one before\n\
         records    {records}\n\
         last hash  {last_hash}\n"
    ))
}

#[cfg(test)]
mod tests {
    use portal::audit::AuditRecord;

    use super::*;

    /// Three records, hashed by another program than the portal.
    const LOG: &str = include_str!("audit_log_sample.jsonl");

    #[test]
    fn a_whole_log_is_valid_and_each_changed_byte_is_found() {
        let report = verify(LOG.as_bytes(), None).unwrap();
        assert!(report.contains("records    3\n"), "{report}");
        for position in 0..LOG.len() {
            let mut changed = LOG.as_bytes().to_vec();
            changed[position] ^= 1;
            if changed[position] == b'\n' || LOG.as_bytes()[position] == b'\n' {
                continue;
            }
            assert!(verify(&changed, None).is_err(), "byte {position}");
        }
    }

    #[test]
    fn a_log_cut_at_its_end_is_found_by_a_hash_noted_earlier() {
        let records: Vec<AuditRecord> = LOG
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let last = &records[records.len() - 1].hash;
        assert!(verify(LOG.as_bytes(), Some(last)).is_ok());
        let cut = LOG.lines().take(2).collect::<Vec<_>>().join("\n");
        assert!(verify(cut.as_bytes(), None).is_ok());
        assert!(
            verify(cut.as_bytes(), Some(last))
                .unwrap_err()
                .contains("cut or replaced")
        );
    }
}
