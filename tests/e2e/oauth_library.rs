//! Independent OAuth client libraries complete every flow.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
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

/// Runs a library's script against the stack, to its end.
async fn complete_every_flow(stack: &Stack, mut client: Command) -> Result<()> {
    let demo = stack.data().path().join("demo.json");
    let portal = stack.endpoints().portal.clone();
    let output =
        tokio::task::spawn_blocking(move || client.arg(portal).arg(demo).output()).await??;
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

#[tokio::test]
async fn an_independent_client_library_completes_every_flow() -> Result<()> {
    let stack = Stack::start().await?;
    let folder = tempfile::tempdir()?;
    let mut python = python_with_authlib(folder.path())
        .context("this test needs Python with the packages authlib and requests")?;
    python.arg(repository().join("tests/oauth/independent_client.py"));
    complete_every_flow(&stack, python).await
}

/// Where `cargo xtask test` puts openid-client.
fn openid_client() -> Option<PathBuf> {
    let chosen = std::env::var_os("PORTICO_OPENID_CLIENT").map(PathBuf::from);
    let folder = chosen.unwrap_or_else(|| repository().join("target/openid-client"));
    let package = folder.join("node_modules/openid-client");
    package.is_dir().then_some(folder)
}

#[tokio::test]
async fn openid_client_completes_every_flow_and_meets_every_refusal() -> Result<()> {
    let Some(folder) = openid_client() else {
        eprintln!(
            "skipped: openid-client is not there; `cargo xtask test` installs it with npm, or set PORTICO_OPENID_CLIENT to a folder with it"
        );
        return Ok(());
    };
    let stack = Stack::start().await?;
    let mut node = Command::new("node");
    node.arg(repository().join("tests/oauth/independent_client.mjs"))
        .arg(folder);
    complete_every_flow(&stack, node).await
}
