//! An independent OAuth client library completes every flow.

use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::Command;
use tests::stack::{Stack, repository};

/// A Python that finds Authlib: at hand, or in a folder of its own.
fn python_with_authlib(folder: &Path) -> Result<Command> {
    let python = || {
        let mut command =
            Command::new(std::env::var_os("PORTICO_PYTHON").unwrap_or("python3".into()));
        command.env("PYTHONPATH", folder);
        command
    };
    let finds = |command: &mut Command| {
        command
            .args(["-c", "import authlib, requests"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !finds(&mut python()) {
        let output = python()
            .args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(folder)
            .args(["authlib", "requests"])
            .output()
            .context("Python does not start")?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pip: {text}");
    }
    Ok(python())
}

#[tokio::test]
async fn an_independent_client_library_completes_every_flow() -> Result<()> {
    let stack = Stack::start().await?;
    let folder = tempfile::tempdir()?;
    let mut python = python_with_authlib(folder.path())
        .context("this test needs Python with the packages authlib and requests")?;
    let script = repository().join("tests/oauth/independent_client.py");
    let demo = stack.data().path().join("demo.json");
    let portal = stack.endpoints().portal.clone();
    let output =
        tokio::task::spawn_blocking(move || python.arg(script).arg(portal).arg(demo).output())
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
