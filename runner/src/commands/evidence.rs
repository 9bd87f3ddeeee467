//! `portico evidence`: what an outsider can tell from an evidence file, offline.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use portal::agreements::verify_evidence;
use serde_json::Value;

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check that an evidence file is byte for byte as it was signed, and print what it proves.
    /// Exits with 1 when it is not.
    Verify {
        /// The file that the portal exported.
        file: PathBuf,
        /// The key that the operator publishes: 64 hexadecimal digits, or a file with them or with
        /// the answer of /api/v1/evidence-key. Without it, the file is checked against the key it
        /// names itself, which you then compare with the published one.
        #[arg(long)]
        public_key: Option<String>,
    },
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Command::Verify { file, public_key } = &arguments.command;
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let given = public_key.as_deref().map(read_key).transpose()?;
    match verify(&bytes, given.as_deref()) {
        Ok(report) => {
            print!("{report}");
            Ok(ExitCode::SUCCESS)
        }
        Err(reason) => {
            println!("verdict       NOT VALID: {reason}");
            Ok(ExitCode::from(1))
        }
    }
}

/// The digits themselves, or what a file holds.
fn read_key(text: &str) -> Result<String> {
    let is_key = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_key(text.trim()) {
        return Ok(text.trim().to_owned());
    }
    let content = std::fs::read_to_string(Path::new(text)).with_context(|| {
        format!("--public-key takes 64 hexadecimal digits or a file; {text} is neither")
    })?;
    let key = match serde_json::from_str::<Value>(&content) {
        Ok(Value::Object(answer)) => answer
            .get("public_key")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        _ => content.trim().to_owned(),
    };
    if !is_key(&key) {
        bail!("{text} does not hold a public key of 64 hexadecimal digits");
    }
    Ok(key)
}

/// The report, or why the file proves nothing.
fn verify(bytes: &[u8], public_key: Option<&str>) -> Result<String, String> {
    let own = || {
        let file: Value = serde_json::from_slice(bytes).ok()?;
        Some(file.get("public_key")?.as_str()?.to_owned())
    };
    let key = match public_key {
        Some(key) => key.to_owned(),
        None => own().ok_or("this is not an evidence file")?,
    };
    let record = verify_evidence(bytes, &key).map_err(|error| error.to_string())?;
    let trust = match public_key {
        Some(_) => "the key you gave",
        None => "its own key: compare it with the one the operator publishes",
    };
    Ok(format!(
        "verdict       valid: byte for byte as signed, by {trust}\n\
         public key    {key}\n\
         agreement     {} ({}), version {}\n\
         document      SHA-256 {}\n\
         organisation  {} ({})\n\
         accepted by   {} <{}>, {}{}\n\
         accepted at   {} from {}\n\
         acceptance    {}, number {} of the chain, after {}\n",
        record.agreement_title,
        record.label,
        record.version,
        record.document_sha256,
        record.organisation_name,
        record.organisation_id,
        record.person_name,
        record.person_email,
        record.member_role,
        if record.stated_role.is_empty() {
            String::new()
        } else {
            format!(", as {}", record.stated_role)
        },
        record.accepted_at,
        record.address,
        record.acceptance_id,
        record.position,
        record.previous_hash,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_evidence_is_refused_with_a_reason() {
        for bytes in [&b""[..], b"{}", b"{\"public_key\":\"00\"}", b"\xff"] {
            assert!(verify(bytes, None).is_err());
        }
        assert!(
            verify(b"{}", Some(&"0".repeat(64)))
                .unwrap_err()
                .contains("not an evidence file")
        );
    }

    #[test]
    fn a_key_comes_as_digits_or_in_a_file() {
        let digits = "ab".repeat(32);
        assert_eq!(read_key(&digits).unwrap(), digits);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.json");
        std::fs::write(
            &file,
            format!("{{\"algorithm\":\"Ed25519\",\"public_key\":\"{digits}\"}}"),
        )
        .unwrap();
        assert_eq!(read_key(file.to_str().unwrap()).unwrap(), digits);
        std::fs::write(&file, "nothing").unwrap();
        assert!(read_key(file.to_str().unwrap()).is_err());
        assert!(read_key("/no/such/file").is_err());
    }
}
