//! An independent OAuth client library completes every flow.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::stack::{Stack, repository};

fn has_packages(python: &Path) -> bool {
    Command::new(python)
        .args(["-c", "import authlib, requests"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A Python with Authlib: the one at hand, or one in a folder of its own.
fn python_with_authlib(folder: &Path) -> Result<PathBuf> {
    let at_hand = PathBuf::from(std::env::var_os("PORTICO_PYTHON").unwrap_or("python3".into()));
    if has_packages(&at_hand) {
        return Ok(at_hand);
    }
    let run = |command: &mut Command| -> Result<()> {
        let output = command.output().context("Python does not start")?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?}: {text}");
        Ok(())
    };
    run(Command::new(&at_hand).arg("-m").arg("venv").arg(folder))?;
    let python = folder.join("bin/python");
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "authlib", "requests"]))?;
    Ok(python)
}

#[tokio::test]
async fn an_independent_client_library_completes_every_flow() -> Result<()> {
    let stack = Stack::start().await?;
    let folder = tempfile::tempdir()?;
    let python = python_with_authlib(&folder.path().join("python"))
        .context("this test needs Python with the packages authlib and requests")?;
    let script = repository().join("tests/oauth/independent_client.py");
    let demo = stack.data().path().join("demo.json");
    let portal = stack.endpoints().portal.clone();
    let output = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .arg(script)
            .arg(portal)
            .arg(demo)
            .output()
    })
    .await??;
    let (seen, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(
        output.status.success() && seen.contains("done"),
        "{seen}\n{errors}"
    );
    Ok(())
}
