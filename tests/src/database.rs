//! The SQLite file of a running stack, for what no URL does: time that passed, a proof on the public
//! internet, a programme of ten thousand partners.

use crate::stack::Stack;
use anyhow::{Context as _, Result, ensure};
use std::process::Command;

const SCRIPT: &str = "import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=30)
changed = [database.execute(statement).rowcount for statement in sys.argv[2:]]
database.commit()
print(sum(changed))";

/// Runs statements in one transaction; how many rows they changed.
///
/// # Errors
/// When Python is missing or a statement fails.
pub fn change(stack: &Stack, statements: &[&str]) -> Result<i64> {
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(stack.data().path().join("sqlite_db.db"))
        .args(statements)
        .output()
        .context("this needs python3")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}
