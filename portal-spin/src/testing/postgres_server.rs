//! A PostgreSQL server for the test process: in a temporary directory, gone when the process ends.

use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

struct Server {
    url: String,
    /// Holds the pipe to the watchdog open: when this process ends in any way, the watchdog stops the
    /// server and removes its files.
    _watchdog: Option<Child>,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// The address of the server; starts it at first use. `PORTICO_TEST_POSTGRES` names one to use instead.
pub fn url() -> &'static str {
    &SERVER
        .get_or_init(|| match std::env::var("PORTICO_TEST_POSTGRES") {
            Ok(url) if !url.is_empty() => Server {
                url,
                _watchdog: None,
            },
            _ => start(),
        })
        .url
}

fn start() -> Server {
    let binaries = find_binaries();
    let directory = std::env::temp_dir().join(format!("portal-postgres-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("the temporary directory can be written");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700)).unwrap();
    // PostgreSQL refuses to run as root.
    let user = is_root().then_some((65_534, 65_534));
    if let Some((uid, gid)) = user {
        chown(&directory, Some(uid), Some(gid)).unwrap();
    }
    let data = directory.join("data");
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(binaries.join(program));
        command
            .args(arguments)
            .current_dir(&directory)
            .stdin(Stdio::null());
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command
    };
    let data_text = data.to_str().unwrap();
    let made = run(
        "initdb",
        &[
            "-D",
            data_text,
            "-U",
            "portico",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ],
    )
    .output()
    .expect("initdb runs");
    assert!(
        made.status.success(),
        "initdb failed: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let port = free_port();
    let options = format!(
        "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off \
         -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
    );
    let log = directory.join("log");
    let log_text = log.to_str().unwrap();
    let started = run(
        "pg_ctl",
        &[
            "-D", data_text, "-l", log_text, "-w", "-o", &options, "start",
        ],
    )
    .stdout(Stdio::null())
    .stderr(Stdio::null())
    .status()
    .expect("pg_ctl runs");
    assert!(
        started.success(),
        "PostgreSQL did not start: {}",
        std::fs::read_to_string(&log).unwrap_or_default()
    );
    let script = "read _; \"$1\" -D \"$2\" -m immediate stop >/dev/null 2>&1; rm -rf \"$3\"";
    let mut watchdog = Command::new("sh");
    watchdog
        .args(["-c", script, "sh"])
        .args([binaries.join("pg_ctl"), data, directory])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Its own group: Ctrl-C on the tests must not kill it before it has cleaned up.
        .process_group(0);
    if let Some((uid, gid)) = user {
        watchdog.uid(uid).gid(gid);
    }
    Server {
        url: format!("postgres://portico@127.0.0.1:{port}/postgres"),
        _watchdog: Some(watchdog.spawn().expect("sh runs")),
    }
}

fn find_binaries() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|path| path.join("initdb").exists())
        .collect();
    found.sort();
    if let Some(path) = found.pop() {
        return path;
    }
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).find(|directory| directory.join("initdb").exists())
    });
    on_path.unwrap_or_else(|| {
        panic!(
            "PostgreSQL is not installed, and every store test runs on it too. Install it \
             (Debian: apt-get install postgresql), or set PORTICO_TEST_POSTGRES to the URL of a server \
             on which the tests may create schemas."
        )
    })
}

fn is_root() -> bool {
    let mut status = String::new();
    std::fs::File::open(Path::new("/proc/self/status"))
        .and_then(|mut file| file.read_to_string(&mut status))
        .is_ok_and(|_| status.lines().any(|line| line.starts_with("Uid:\t0\t")))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
