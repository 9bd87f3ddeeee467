//! A child process that is asked to stop, then made to, and never left behind.

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A running child and what it has printed.
pub struct Process {
    name: String,
    child: Child,
    printed: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts `command` with its output gathered.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let printed = Arc::new(Mutex::new(Vec::new()));
        if let Some(stream) = child.stdout.take() {
            gather(stream, Arc::clone(&printed));
        }
        if let Some(stream) = child.stderr.take() {
            gather(stream, Arc::clone(&printed));
        }
        Ok(Self {
            name: name.to_owned(),
            child,
            printed,
        })
    }

    /// Everything printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        self.printed
            .lock()
            .unwrap_or_else(|held| held.into_inner())
            .join("\n")
    }

    /// Waits for a line that equals `line`.
    ///
    /// # Errors
    /// When the process ends first or the deadline passes.
    pub async fn wait_for_line(&mut self, line: &str, deadline: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            if self.printed().lines().any(|printed| printed.trim() == line) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                // The readers may be a moment behind the end.
                tokio::time::sleep(Duration::from_millis(200)).await;
                bail!(
                    "{} ended ({status}) before `{line}`:\n{}",
                    self.name,
                    self.printed()
                );
            }
            if started.elapsed() > deadline {
                bail!(
                    "{} did not print `{line}` within {deadline:?}:\n{}",
                    self.name,
                    self.printed()
                );
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// When it does not end in time; it is then killed.
    pub fn stop(&mut self, deadline: Duration) -> Result<ExitStatus> {
        signal(self.child.id(), Signal::TERM);
        let started = Instant::now();
        while started.elapsed() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.kill()?;
        self.child.wait()?;
        bail!("{} did not end within {deadline:?} of SIGTERM", self.name)
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() && self.stop(Duration::from_secs(10)).is_err() {
            self.kill();
        }
    }
}

/// Sends `signal` to a process that this test started.
pub fn signal(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn gather(stream: impl Read + Send + 'static, into: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            into.lock()
                .unwrap_or_else(|held| held.into_inner())
                .push(line);
        }
    });
}
