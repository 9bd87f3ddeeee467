//! The data folder: what `up` keeps there, and that only one `up` uses it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What `--fresh` removes: all that `up` and its parts write, but neither the
/// installed Envoy nor the cache of compiled components, and nothing else that
/// somebody may keep in the folder.
const WRITTEN_HERE: [&str; 17] = [
    "access.log",
    "demo.json",
    "endpoints.json",
    "envoy.log",
    "envoy.yaml",
    "portal.log",
    "processes.json",
    "sandbox.log",
    "sandbox.toml",
    "secrets.json",
    "sqlite_db.db",
    "sqlite_db.db-journal",
    "sqlite_db.db-shm",
    "sqlite_db.db-wal",
    "sqlite_key_value.db",
    "sqlite_key_value.db-shm",
    "sqlite_key_value.db-wal",
];

/// An opened data folder; nobody else can open it meanwhile.
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Opens the folder, making it if need be, and empties it when `fresh`.
    pub fn open(path: &Path, fresh: bool) -> Result<Self> {
        std::fs::create_dir_all(path)
            .with_context(|| format!("cannot create the data folder {}", path.display()))?;
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot use the data folder {}", path.display()))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .with_context(|| format!("cannot write into the data folder {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another `portico up` uses {}: stop it, or choose another --data-dir",
                path.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).context("cannot lock the data folder");
            }
        }
        let folder = Self { path, _lock: lock };
        if fresh {
            folder.empty()?;
        }
        Ok(folder)
    }

    fn empty(&self) -> Result<()> {
        for name in WRITTEN_HERE {
            let file = self.file(name);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", file.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the children's process ids are kept.
    pub fn processes(&self) -> PathBuf {
        self.file("processes.json")
    }

    /// Reads a JSON file; `None` when there is none.
    pub fn read_json(&self, name: &str) -> Result<Option<Value>> {
        let file = self.file(name);
        match std::fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .with_context(|| format!("{} is damaged: mend or remove it", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// Writes a JSON file in one step; `secret` keeps it to this user.
    pub fn write_json(&self, name: &str, value: &Value, secret: bool) -> Result<()> {
        write_json(&self.file(name), value, secret)
    }

    /// A manifest that serves the sandbox component alone, at the root.
    pub fn write_sandbox_manifest(&self, component: &Path) -> Result<PathBuf> {
        let component = component.canonicalize()?;
        let source = toml::Value::from(component.display().to_string());
        let text = format!(
            "spin_manifest_version = 2\n\
             [application]\nname = \"portico-sandbox\"\nversion = \"0.1.0\"\n\
             [[trigger.http]]\nroute = \"/...\"\ncomponent = \"sandbox\"\n\
             [component.sandbox]\nsource = {source}\nkey_value_stores = [\"default\"]\n"
        );
        let file = self.file("sandbox.toml");
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }
}

/// Writes a JSON file in one step: a reader never sees half of it.
pub fn write_json(file: &Path, value: &Value, secret: bool) -> Result<()> {
    let beside = file.with_extension("json.new");
    let describe = || format!("cannot write {}", file.display());
    let mut opened = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(if secret { 0o600 } else { 0o644 })
        .open(&beside)
        .with_context(describe)?;
    let text = serde_json::to_string_pretty(value)? + "\n";
    opened.write_all(text.as_bytes()).with_context(describe)?;
    std::fs::rename(&beside, file).with_context(describe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_and_fresh_leaves_strangers_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("precious.txt"), "mine").unwrap();
        std::fs::write(folder.path().join("demo.json"), "{}").unwrap();
        let first = DataFolder::open(folder.path(), true).unwrap();
        assert!(folder.path().join("precious.txt").exists());
        assert!(!folder.path().join("demo.json").exists());
        let error = DataFolder::open(folder.path(), false).err().unwrap();
        assert!(error.to_string().contains("--data-dir"), "{error}");
        drop(first);
        DataFolder::open(folder.path(), false).unwrap();
    }
}
