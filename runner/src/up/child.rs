//! Child processes that are kept alive, and never left behind.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use serde_json::{Map, Value};
use tokio::process::{Child, Command};

use super::{client, data_folder};

/// How long a child may take to end after SIGTERM.
const STOP_WITHIN: Duration = Duration::from_secs(8);
/// How long is waited before a dead child is started again; doubles up to the second.
const RESTART_AFTER: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// A child that lived this long did start.
const SETTLED: Duration = Duration::from_secs(10);

/// How to start a child.
#[derive(Clone)]
pub struct Recipe {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
    log: Option<PathBuf>,
}

impl Recipe {
    pub fn new(name: &'static str, program: PathBuf) -> Self {
        Self {
            name,
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
            log: None,
        }
    }

    pub fn arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(OsString::from));
        self
    }

    pub fn argument(mut self, argument: impl AsRef<Path>) -> Self {
        self.arguments.push(argument.as_ref().into());
        self
    }

    pub fn environment(mut self, variables: Vec<(String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// Where its output goes, appended.
    pub fn log(mut self, file: PathBuf) -> Self {
        self.log = Some(file);
        self
    }

    fn spawn(&self) -> Result<Child> {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            // A group of its own: Ctrl-C reaches only the supervisor, which stops
            // the children in order.
            .process_group(0);
        if let Some(file) = &self.log {
            let log = File::options()
                .create(true)
                .append(true)
                .open(file)
                .with_context(|| format!("cannot write {}", file.display()))?;
            command.stdout(log.try_clone()?).stderr(log);
        }
        // SAFETY: between fork and exec only one system call is made, which
        // neither allocates nor takes a lock.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::TERM))?));
        }
        Command::from(command)
            .spawn()
            .with_context(|| format!("cannot start {} ({})", self.name, self.program.display()))
    }

    /// The most telling lines at the end of its log.
    fn last_words(&self) -> String {
        let text = self
            .log
            .as_ref()
            .and_then(|file| std::fs::read_to_string(file).ok())
            .unwrap_or_default();
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let told = lines
            .iter()
            .rev()
            .find(|line| {
                line.contains("[critical]") || line.contains("[error]") || line.contains("error")
            })
            .or(lines.last());
        told.map_or_else(
            || "it printed nothing".to_owned(),
            |line| (*line).to_owned(),
        )
    }
}

struct Running {
    recipe: Recipe,
    child: Child,
    started: Instant,
    pause: Duration,
}

/// All children, in the order they were started.
pub struct Family {
    running: Vec<Running>,
    processes: PathBuf,
}

impl Family {
    /// No children yet; `processes` is where their ids are kept.
    pub fn new(processes: PathBuf) -> Self {
        Self {
            running: Vec::new(),
            processes,
        }
    }

    /// Starts a child.
    pub fn start(&mut self, recipe: Recipe) -> Result<()> {
        let child = recipe.spawn()?;
        self.running.push(Running {
            recipe,
            child,
            started: Instant::now(),
            pause: RESTART_AFTER.0,
        });
        self.write_processes()
    }

    fn write_processes(&self) -> Result<()> {
        let ids: Map<String, Value> = self
            .running
            .iter()
            .filter_map(|running| {
                Some((running.recipe.name.to_owned(), running.child.id()?.into()))
            })
            .collect();
        data_folder::write_json(&self.processes, &Value::Object(ids), false)
    }

    /// Polls `GET path` until it answers `status`. A child that ends meanwhile is
    /// an error with its last words.
    pub async fn wait_until_it_answers(
        &mut self,
        name: &str,
        port: u16,
        path: &str,
        status: u16,
        within: Duration,
    ) -> Result<()> {
        let started = Instant::now();
        loop {
            let answered = client::send("GET", port, path, &[]).await;
            if matches!(&answered, Ok((answer, _)) if answer.as_u16() == status) {
                return Ok(());
            }
            for running in &mut self.running {
                if let Some(ended) = running.child.try_wait()? {
                    bail!(
                        "{} did not start ({ended}): {}{}",
                        running.recipe.name,
                        running.recipe.last_words(),
                        whole_log(&running.recipe)
                    );
                }
            }
            if started.elapsed() > within {
                let answer = match answered {
                    Ok((answer, _)) => format!("answers {answer} instead of {status}"),
                    Err(error) => format!("does not answer: {error:#}"),
                };
                let recipe = self
                    .running
                    .iter()
                    .find(|running| running.recipe.name == name);
                bail!(
                    "{name}: http://127.0.0.1:{port}{path} {answer} after {within:?}{}",
                    recipe.map_or_else(String::new, |running| whole_log(&running.recipe))
                );
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Starts again whatever dies, for ever.
    pub async fn keep_alive(&mut self) {
        loop {
            for index in 0..self.running.len() {
                if let Some(ended) = self.running.get_mut(index).and_then(Running::ended) {
                    self.restart(index, ended).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn restart(&mut self, index: usize, ended: ExitStatus) {
        let Some(running) = self.running.get_mut(index) else {
            return;
        };
        let name = running.recipe.name;
        if running.started.elapsed() > SETTLED {
            running.pause = RESTART_AFTER.0;
        }
        tracing::warn!(
            "{name} ended ({ended}): {}; starting it again",
            running.recipe.last_words()
        );
        tokio::time::sleep(running.pause).await;
        running.pause = (running.pause * 2).min(RESTART_AFTER.1);
        running.started = Instant::now();
        match running.recipe.spawn() {
            Ok(child) => running.child = child,
            Err(error) => tracing::error!("{name}: {error:#}"),
        }
        if let Err(error) = self.write_processes() {
            tracing::error!("{error:#}");
        }
    }

    /// Ends the children, the last one started first: Envoy sends its last usage
    /// report while the portal still listens.
    pub async fn stop(&mut self) {
        while let Some(mut running) = self.running.pop() {
            if let Some(pid) = running
                .child
                .id()
                .and_then(|id| Pid::from_raw(id.cast_signed()))
            {
                let _ = kill_process(pid, Signal::TERM);
            }
            if tokio::time::timeout(STOP_WITHIN, running.child.wait())
                .await
                .is_err()
            {
                tracing::warn!(
                    "{} did not end within {STOP_WITHIN:?}: killed",
                    running.recipe.name
                );
                let _ = running.child.kill().await;
            }
        }
        let _ = std::fs::remove_file(&self.processes);
    }
}

impl Running {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

fn whole_log(recipe: &Recipe) -> String {
    recipe.log.as_ref().map_or_else(String::new, |file| {
        format!(" (all of it in {})", file.display())
    })
}
