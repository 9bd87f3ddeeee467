//! The whole product, running: portal, gateway, sandbox, upstream.

use crate::ports;
use crate::process::Process;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Mutex;

/// How long a stack may take to say `ready`, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(240);

/// Addresses of the running parts, without a slash at the end.
#[derive(Debug, Clone)]
pub struct Endpoints {
    pub portal: String,
    pub gateway: String,
    pub sandbox: String,
    pub upstream: String,
    pub envoy_admin: String,
}

/// A running product with a data folder of its own.
pub struct Stack {
    process: std::sync::Mutex<Process>,
    data: DataFolder,
    endpoints: Endpoints,
}

/// The folder a stack keeps its data in; shared when a stack is started again.
#[derive(Clone)]
pub struct DataFolder {
    folder: Arc<TempDir>,
    port_base: u16,
    months: u32,
}

impl DataFolder {
    /// An empty folder and a free range of ports.
    ///
    /// # Errors
    /// When there is neither, or the parts were not built.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("portico-e2e-").tempdir()?;
        // The same components are compiled once for all stacks: that is most of what a start costs.
        let compiled = artifacts()?.join("cache");
        std::fs::create_dir_all(&compiled)?;
        std::os::unix::fs::symlink(compiled, folder.path().join("cache"))?;
        Ok(Self {
            folder: Arc::new(folder),
            port_base: ports::free_base()?,
            months: 0,
        })
    }

    /// The same, for a demo programme with so many months of past.
    #[must_use]
    pub const fn with_months(mut self, months: u32) -> Self {
        self.months = months;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The first of its ports.
    #[must_use]
    pub const fn port_base(&self) -> u16 {
        self.port_base
    }
}

/// The repository's root.
#[must_use]
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// The folder with the built parts.
///
/// # Errors
/// When they were not built.
pub fn artifacts() -> Result<PathBuf> {
    let folder = std::env::var_os("PORTICO_ARTIFACTS")
        .map_or_else(|| repository().join("target/portico"), PathBuf::from);
    anyhow::ensure!(
        folder.join("portico").is_file(),
        "{} has no `portico`: run `cargo xtask build` first",
        folder.display()
    );
    Ok(folder)
}

/// A command that runs the built `portico` from the repository's root.
///
/// # Errors
/// When it was not built.
pub fn portico() -> Result<Command> {
    let mut command = Command::new(artifacts()?.join("portico"));
    command.current_dir(repository());
    Ok(command)
}

/// The command `portico up` for a data folder.
///
/// # Errors
/// When the parts were not built.
pub fn up_command(data: &DataFolder) -> Result<Command> {
    let mut command = portico()?;
    command
        .arg("up")
        .arg("--data-dir")
        .arg(data.path())
        .arg("--port-base")
        .arg(data.port_base().to_string())
        // A past is work in the background; the journey that looks at one asks for it.
        .args(["--demo-months", &data.months.to_string()])
        .arg("--edge-filter")
        .arg(artifacts()?.join("edge_filter.wasm"));
    if let Some(envoy) = std::env::var_os("PORTICO_ENVOY") {
        command.arg("--envoy").arg(envoy);
    }
    Ok(command)
}

static SHARED: Mutex<Weak<Stack>> = Mutex::const_new(Weak::new());

impl Stack {
    /// A stack of the test's own, with the demo programme.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start() -> Result<Self> {
        Self::start_in(DataFolder::new()?).await
    }

    /// A stack on an existing data folder.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_in(data: DataFolder) -> Result<Self> {
        Self::start_with(data, &[]).await
    }

    /// As [`Stack::start_in`], with settings of the portal: names of Spin variables and their values.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_with(data: DataFolder, settings: &[(&str, &str)]) -> Result<Self> {
        let mut command = up_command(&data)?;
        for (name, value) in settings {
            command.env(format!("SPIN_VARIABLE_{}", name.to_uppercase()), value);
        }
        let mut process = Process::start("portico up", &mut command)?;
        process.wait_for_line("ready", READY_WITHIN).await?;
        let endpoints = read_endpoints(&data)?;
        Ok(Self {
            process: std::sync::Mutex::new(process),
            data,
            endpoints,
        })
    }

    /// A stack that tests which break nothing share; it ends with the last of them.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn shared() -> Result<Arc<Self>> {
        let mut shared = SHARED.lock().await;
        if let Some(stack) = shared.upgrade() {
            return Ok(stack);
        }
        let stack = Arc::new(Self::start().await?);
        *shared = Arc::downgrade(&stack);
        Ok(stack)
    }

    /// Where the parts are.
    #[must_use]
    pub const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Its data folder.
    #[must_use]
    pub const fn data(&self) -> &DataFolder {
        &self.data
    }

    /// The demo programme's logins and keys.
    ///
    /// # Errors
    /// When `demo.json` is missing or malformed.
    pub fn demo(&self) -> Result<Value> {
        read_json(&self.data.path().join("demo.json"))
    }

    /// Ends it as Ctrl-C does and says how it ended.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&self) -> Result<std::process::ExitStatus> {
        self.process().stop(Duration::from_secs(20))
    }

    /// What it printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        self.process().printed()
    }

    /// The supervising process.
    pub fn process(&self) -> std::sync::MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(|held| held.into_inner())
    }
}

fn read_endpoints(data: &DataFolder) -> Result<Endpoints> {
    let json = read_json(&data.path().join("endpoints.json"))?;
    let address = |name: &str| -> Result<String> {
        let text = json[name]
            .as_str()
            .with_context(|| format!("endpoints.json has no `{name}`"))?;
        Ok(text.trim_end_matches('/').to_owned())
    };
    Ok(Endpoints {
        portal: address("portal")?,
        gateway: address("gateway")?,
        sandbox: address("sandbox")?,
        upstream: address("upstream")?,
        envoy_admin: address("envoy_admin")?,
    })
}

fn read_json(path: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}
