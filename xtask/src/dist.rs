//! `cargo xtask dist`: what a release is made of, in one folder, with an SBOM and checksums.
//!
//! The parts are built in a folder of their own with every path of this machine written as `/portico`
//! or `/cargo`, so that the same commit and toolchain give the same bytes anywhere. `--verify` builds a
//! second time and compares.

mod sbom;

use crate::artifacts;
use crate::command::{cargo, invoke, output, root};
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is built, and is the same from one build to the next.
const PARTS: [&str; 5] = [
    "edge_filter.wasm",
    "portal.wasm",
    "sandbox.wasm",
    "sandbox_guest.wasm",
    "portico",
];

#[derive(Args)]
pub struct Options {
    /// Where the folder with the release is made
    #[arg(long, default_value = "target/dist")]
    out: PathBuf,
    /// Build a second time, in another folder, and compare every part
    #[arg(long)]
    verify: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let out = root().join(&options.out);
    let version = version()?;
    let release = out.join(format!("portico-{version}"));
    if release.exists() {
        fs::remove_dir_all(&release)?;
    }
    fs::create_dir_all(&release)?;

    build(&out.join("build"))?;
    for part in PARTS {
        fs::copy(artifacts::folder().join(part), release.join(part))
            .with_context(|| format!("the build did not leave {part}"))?;
    }
    if options.verify {
        build(&out.join("build-again"))?;
        compare(&release, &artifacts::folder())?;
    }
    let manifest = fs::read_to_string(root().join("spin.toml"))?;
    fs::write(
        release.join("spin.toml"),
        manifest.replace("target/portico/", ""),
    )?;
    for name in ["README.md", "CHANGELOG.md"] {
        fs::copy(root().join(name), release.join(name))?;
    }
    copy_folder(&root().join("deploy"), &release.join("deploy"))?;
    copy_folder(&root().join("docs"), &release.join("docs"))?;
    let bom = sbom::bill_of_materials(&version)?;
    fs::write(
        release.join("sbom.cdx.json"),
        serde_json::to_string_pretty(&bom)? + "\n",
    )?;
    let sums = checksums(&release)?;
    fs::write(release.join("SHA256SUMS"), &sums)?;
    println!("{}", release.display());
    Ok(())
}

fn version() -> Result<String> {
    let id = output(&mut cargo(&["pkgid", "--package", "runner"]))
        .context("`cargo pkgid` does not know the runner")?;
    let (_, version) = id
        .rsplit_once(['#', '@'])
        .context("`cargo pkgid` printed no version")?;
    Ok(version.to_owned())
}

/// Builds all parts with `target` as cargo's folder. A process of its own, because the compiler's flags
/// are handed down through the environment.
fn build(target: &Path) -> Result<()> {
    let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    // The last prefix that fits counts.
    let places = [
        (cargo_home, "/cargo"),
        (root(), "/portico"),
        (target.to_path_buf(), "/portico/target"),
    ];
    let flags = |option: &str| {
        places
            .iter()
            .map(|(from, to)| format!("{option}={}={to}", from.display()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    invoke(
        Command::new(std::env::current_exe()?)
            .arg("build")
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_INCREMENTAL", "0")
            .env("RUSTFLAGS", flags("--remap-path-prefix"))
            .env("CFLAGS", flags("-ffile-prefix-map"))
            .env("SOURCE_DATE_EPOCH", "0"),
    )
}

fn compare(first: &Path, second: &Path) -> Result<()> {
    let mut differing = Vec::new();
    for part in PARTS {
        if digest(&first.join(part))? != digest(&second.join(part))? {
            differing.push(part);
        }
    }
    ensure!(
        differing.is_empty(),
        "two builds of this commit differ in {}",
        differing.join(", ")
    );
    println!("two builds, the same bytes: {}", PARTS.join(", "));
    Ok(())
}

fn digest(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// `digest  path` of every file, sorted, as `sha256sum --check` reads it.
fn checksums(folder: &Path) -> Result<String> {
    let mut lines = BTreeMap::new();
    for path in files(folder)? {
        let name = path.strip_prefix(folder)?.display().to_string();
        lines.insert(name, digest(&path)?);
    }
    Ok(lines
        .into_iter()
        .map(|(name, digest)| format!("{digest}  {name}\n"))
        .collect())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for path in files(from)? {
        let target = to.join(path.strip_prefix(from)?);
        let Some(parent) = target.parent() else {
            bail!("{} has no folder", target.display());
        };
        fs::create_dir_all(parent)?;
        fs::copy(&path, &target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_what_sha256sum_checks() -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("inner"))?;
        fs::write(folder.path().join("b.txt"), "abc")?;
        fs::write(folder.path().join("inner/a.txt"), "")?;
        let sums = checksums(folder.path())?;
        assert_eq!(
            sums,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b.txt\n\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  inner/a.txt\n"
        );
        Ok(())
    }

    #[test]
    fn a_part_that_differs_is_named() -> Result<()> {
        let (first, second) = (tempfile::tempdir()?, tempfile::tempdir()?);
        for part in PARTS {
            fs::write(first.path().join(part), "same")?;
            fs::write(second.path().join(part), "same")?;
        }
        compare(first.path(), second.path())?;
        fs::write(second.path().join("portal.wasm"), "other")?;
        let error = compare(first.path(), second.path()).unwrap_err();
        assert!(error.to_string().ends_with("differ in portal.wasm"));
        Ok(())
    }
}
