//! Building every part in release and laying the results side by side in
//! `target/portico/`, where `spin.toml`, the runner and the tests find them.

use crate::command::{cargo, invoke, output, root};
use crate::setup;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// The OpenAPI document of the demo programme.
const DEMO_API: &str = "examples/demo-api/openapi.yaml";

/// Where the parts are.
pub struct Artifacts {
    pub folder: PathBuf,
}

impl Artifacts {
    /// The native binary.
    pub fn portico(&self) -> PathBuf {
        self.folder.join("portico")
    }

    /// Envoy's filter.
    pub fn edge_filter(&self) -> PathBuf {
        self.folder.join("edge_filter.wasm")
    }
}

/// Where the parts are laid side by side.
pub fn folder() -> PathBuf {
    root().join("target/portico")
}

/// The folder cargo builds into.
pub fn target_directory() -> Result<PathBuf> {
    let mut command = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--offline",
    ]);
    let text = output(&mut command).context("cannot run `cargo metadata`")?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    let folder = metadata["target_directory"]
        .as_str()
        .context("`cargo metadata` does not name the target directory")?;
    Ok(PathBuf::from(folder))
}

fn build_wasm(package: &str, target: &str) -> Result<()> {
    invoke(&mut cargo(&[
        "build",
        "--quiet",
        "--locked",
        "--profile",
        "wasm",
        "--package",
        package,
        "--target",
        target,
    ]))
}

/// Builds Envoy's filter alone; where it is.
pub fn build_edge_filter() -> Result<PathBuf> {
    setup::wasm_targets()?;
    build_wasm("edge-filter", "wasm32-wasip1")?;
    Ok(target_directory()?.join("wasm32-wasip1/wasm/edge_filter.wasm"))
}

/// Builds everything.
pub fn build() -> Result<Artifacts> {
    build_with(&["build", "--release", "--package", "runner"])
}

/// Builds everything, the runner together with the tests that use it: by itself it would have other
/// features of the libraries they share, and wasmtime would be compiled twice.
pub fn build_for_tests() -> Result<Artifacts> {
    build_with(&[
        "test",
        "--no-run",
        "--release",
        "--package",
        "runner",
        "--package",
        "tests",
    ])
}

fn build_with(runner: &[&str]) -> Result<Artifacts> {
    build_edge_filter()?;
    build_wasm("portal-spin", "wasm32-wasip2")?;
    build_wasm("sandbox-mock", "wasm32-wasip2")?;
    invoke(cargo(runner).args(["--quiet", "--locked"]))?;

    let built = target_directory()?;
    let artifacts = Artifacts { folder: folder() };
    std::fs::create_dir_all(&artifacts.folder)?;
    let parts = [
        ("wasm32-wasip1/wasm/edge_filter.wasm", "edge_filter.wasm"),
        ("wasm32-wasip2/wasm/portal.wasm", "portal.wasm"),
        ("wasm32-wasip2/wasm/sandbox_mock.wasm", "sandbox_guest.wasm"),
        ("release/portico", "portico"),
    ];
    for (from, to) in parts {
        place(&built.join(from), &artifacts.folder.join(to))?;
    }
    invoke(
        std::process::Command::new(artifacts.portico())
            .args(["mock", "build", DEMO_API, "--guest"])
            .arg(artifacts.folder.join("sandbox_guest.wasm"))
            .arg("-o")
            .arg(artifacts.folder.join("sandbox.wasm"))
            .current_dir(root()),
    )?;
    Ok(artifacts)
}

/// Puts `from` at `to` in one step: a running process keeps the file it has.
fn place(from: &Path, to: &Path) -> Result<()> {
    let beside = to.with_extension("new");
    std::fs::copy(from, &beside)
        .with_context(|| format!("the build did not leave {}", from.display()))?;
    std::fs::rename(&beside, to)?;
    Ok(())
}
