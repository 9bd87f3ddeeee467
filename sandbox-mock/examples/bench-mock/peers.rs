//! Other mocks to compare with: Prism, installed by npm into `target/bench/peers`.

use super::load::{Server, start};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PRISM: &str = "@stoplight/prism-cli@5";

/// Prism's program; installs it when it is not there yet. Says why there is none.
pub fn find_prism(root: &Path) -> Option<PathBuf> {
    let folder = root.join("target/bench/peers");
    let program = folder.join("node_modules/.bin/prism");
    if program.is_file() {
        return Some(program);
    }
    std::fs::create_dir_all(&folder).ok()?;
    let installed = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
        .arg("--prefix")
        .args([&folder])
        .arg(PRISM)
        .stdout(Stdio::null())
        .status();
    match installed {
        Ok(status) if status.success() && program.is_file() => Some(program),
        Ok(status) => {
            println!("Prism is left out: npm could not install it ({status})");
            None
        }
        Err(error) => {
            println!("Prism is left out: npm cannot be started ({error})");
            None
        }
    }
}

/// Prism, serving a document.
pub fn prism(program: &Path, spec: &Path) -> Option<Server> {
    let free = TcpListener::bind(("127.0.0.1", 0)).ok()?;
    let port = free.local_addr().ok()?.port();
    drop(free);
    start(
        Command::new(program)
            .args(["mock", "--host", "127.0.0.1", "--port", &port.to_string()])
            .arg(spec)
            .stderr(Stdio::null()),
    )
}
