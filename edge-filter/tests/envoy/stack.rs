//! A real Envoy with the real filter between a client and echoing upstreams.

use crate::http::{Client, Message, Reply, Server};
use crate::portal::{EDGE_SECRET, KEY_PEPPER, Portal};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What to start.
pub struct Options {
    pub concurrency: u32,
    /// Further members of the plugin configuration, as JSON members.
    pub configuration: String,
    pub node_id: String,
    pub trusted_hops: u32,
    pub wasm: Option<PathBuf>,
    /// Whether the listener comes from a file that Envoy watches.
    pub watches_listener: bool,
    /// A cluster more, by name and port.
    pub cluster: Option<(&'static str, u16)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 2,
            configuration: String::new(),
            node_id: "edge-1".to_owned(),
            trusted_hops: 0,
            wasm: None,
            watches_listener: false,
            cluster: None,
        }
    }
}

pub struct Envoy {
    child: Child,
    pub gateway: SocketAddr,
    pub admin: SocketAddr,
    pub directory: PathBuf,
    _upstream: Server,
    _sandbox: Server,
}

pub fn find_envoy() -> PathBuf {
    if let Some(path) = std::env::var_os("PORTICO_ENVOY") {
        return path.into();
    }
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>())
        .map(|directory| directory.join("envoy"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let unpacked = root.join(".portico/envoy/envoy/_bin/envoy");
    on_path.chain([unpacked]).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "no Envoy: set PORTICO_ENVOY to the binary, put `envoy` on PATH, or run `cargo xtask up` once, which installs it into .portico/envoy"
        )
    })
}

pub fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    )
}

pub fn find_filter() -> PathBuf {
    let path = std::env::var_os("PORTICO_EDGE_FILTER").map_or_else(
        || target_directory().join("wasm32-wasip1/wasm/edge_filter.wasm"),
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "no filter at {}: run `cargo build --profile wasm --target wasm32-wasip1 -p edge-filter`, or set PORTICO_EDGE_FILTER",
        path.display()
    );
    path
}

/// The filter built with `fault-injection`, in a folder of its own.
pub fn faulty_filter() -> PathBuf {
    if let Some(path) = std::env::var_os("PORTICO_FAULTY_EDGE_FILTER") {
        return path.into();
    }
    let target = target_directory().join("fault-injection");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--profile",
            "wasm",
            "--target",
            "wasm32-wasip1",
        ])
        .args(["-p", "edge-filter", "--features", "fault-injection"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(
        status.success(),
        "the filter does not build with `fault-injection`"
    );
    target.join("wasm32-wasip1/wasm/edge_filter.wasm")
}

/// Ports that nobody else is given: below the range that the system hands out by itself.
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let spread = (std::process::id() % 1_000) as u16 * 10;
        let port = 20_000 + (spread + step) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// An upstream that answers what it was sent, under a name.
fn echo(name: &'static str) -> Server {
    Server::start(move |request| {
        let status = request
            .header("x-want-status")
            .and_then(|text| text.parse().ok());
        if let Some(delay) = request
            .header("x-want-delay-ms")
            .and_then(|text| text.parse().ok())
        {
            std::thread::sleep(Duration::from_millis(delay));
        }
        let headers: serde_json::Map<_, _> = request
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        let body = serde_json::json!({
            "upstream": name, "target": request.target(), "headers": headers,
        });
        let mut reply = Reply::new(status.unwrap_or(200), body.to_string());
        for (name, value) in &request.headers {
            if let Some(name) = name.strip_prefix("x-echo-") {
                reply = reply.with(name, value.clone());
            }
        }
        reply
    })
}

const WATCHED: &str = "listeners.yaml";

/// Moves the listener out of the bootstrap into a file of its own.
fn with_watched_listener(bootstrap: &str, directory: &Path) -> String {
    let (head, rest) = bootstrap.split_once("  listeners:\n").unwrap();
    let (listener, clusters) = rest.split_once("\n  clusters:").unwrap();
    let typed =
        "  - \"@type\": type.googleapis.com/envoy.config.listener.v3.Listener\n    name: gateway";
    let listener = listener.replacen("  - name: gateway", typed, 1);
    let file = directory.join(WATCHED);
    std::fs::write(&file, format!("resources:\n{listener}\n")).unwrap();
    let watch = format!(
        "dynamic_resources:\n  lds_config:\n    path_config_source: {{path: {}}}\n\n",
        file.display()
    );
    let head = head.replace("static_resources:", &format!("{watch}static_resources:"));
    format!("{head}  clusters:{clusters}")
}

fn command(bootstrap: &Path, concurrency: u32, log: std::fs::File) -> Command {
    let mut command = Command::new(find_envoy());
    command
        .arg("-c")
        .arg(bootstrap)
        .args(["--concurrency", &concurrency.to_string()])
        .args(["--file-flush-interval-msec", "50", "--log-level", "warning"])
        .args(["--component-log-level", "wasm:info"])
        .env("PORTICO_EDGE_SECRET", EDGE_SECRET)
        .env("PORTICO_KEY_PEPPER", KEY_PEPPER)
        .stdout(Stdio::null())
        .stderr(log);
    command
}

impl Envoy {
    /// Gives the watched listener another configuration, as a control plane does.
    pub fn reload(&self, from: &str, to: &str) {
        let file = self.directory.join(WATCHED);
        let listener = std::fs::read_to_string(&file).unwrap();
        assert!(listener.contains(from));
        let beside = file.with_extension("new");
        std::fs::write(&beside, listener.replace(from, to)).unwrap();
        std::fs::rename(&beside, &file).unwrap();
    }

    pub fn start(portal: &Portal, options: &Options) -> Self {
        let (upstream, sandbox) = (echo("upstream"), echo("sandbox"));
        let (gateway, admin) = (free_port(), free_port());
        let directory =
            std::env::temp_dir().join(format!("portico-edge-{}-{gateway}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let filter = options.wasm.clone().unwrap_or_else(find_filter);
        let template = include_str!("../../../deploy/envoy/bootstrap.yaml.template");
        let mut bootstrap = template
            .replace("{{gateway_port}}", &gateway.to_string())
            .replace("{{admin_port}}", &admin.to_string())
            .replace("{{portal_port}}", &portal.port().to_string())
            .replace("{{sandbox_port}}", &sandbox.address.port().to_string())
            .replace("{{upstream_port}}", &upstream.address.port().to_string())
            .replace("{{edge_filter_wasm}}", &filter.display().to_string())
            .replace("{{node_id}}", &options.node_id)
            .replace(
                "{{access_log}}",
                &directory.join("access.log").display().to_string(),
            )
            .replace(
                "xff_num_trusted_hops: 0",
                &format!("xff_num_trusted_hops: {}", options.trusted_hops),
            );
        if !options.configuration.is_empty() {
            let end = format!("\"127.0.0.1:{}\"}}", portal.port());
            assert!(bootstrap.contains(&end));
            let more = format!("{}, {}}}", end.trim_end_matches('}'), options.configuration);
            bootstrap = bootstrap.replace(&end, &more);
        }
        if let Some((name, port)) = options.cluster {
            bootstrap.push_str(&format!(
                "\n  - name: {name}\n    type: STATIC\n    load_assignment:\n      cluster_name: {name}\n      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]\n"
            ));
        }
        if options.watches_listener {
            bootstrap = with_watched_listener(&bootstrap, &directory);
        }
        let path = directory.join("bootstrap.yaml");
        std::fs::write(&path, bootstrap).unwrap();
        let log = std::fs::File::create(directory.join("envoy.log")).unwrap();
        let child = command(&path, options.concurrency, log)
            .arg("--disable-hot-restart")
            .spawn()
            .unwrap();
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut envoy = Self {
            child,
            gateway: local(gateway),
            admin: local(admin),
            directory,
            _upstream: upstream,
            _sandbox: sandbox,
        };
        envoy.wait_until_live();
        envoy
    }

    fn wait_until_live(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let ready = Client::connect(self.admin)
                .and_then(|mut client| client.send("GET", "/ready", &[], b""));
            if ready.is_ok_and(|ready| ready.status() == 200) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "Envoy does not start: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("envoy.log")).unwrap_or_default()
    }

    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.directory.join("access.log")).unwrap_or_default()
    }

    pub fn client(&self) -> Client {
        Client::connect(self.gateway).unwrap()
    }

    pub fn get(&self, target: &str, headers: &[(&str, &str)]) -> Message {
        self.client().send("GET", target, headers, b"").unwrap()
    }

    pub fn call(&self, key: &str, target: &str) -> Message {
        self.get(target, &[("authorization", &format!("Bearer {key}"))])
    }

    pub fn admin(&self, target: &str) -> String {
        let method = if target.contains("quit") {
            "POST"
        } else {
            "GET"
        };
        let answer = Client::connect(self.admin)
            .unwrap()
            .send(method, target, &[], b"")
            .unwrap();
        String::from_utf8_lossy(&answer.body).into_owned()
    }

    pub fn stat(&self, name: &str) -> u64 {
        let text = self.admin(&format!("/stats?filter={name}"));
        text.lines()
            .filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok())
            .sum()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends Envoy as an orchestrator does, and waits.
    pub fn stop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "Envoy does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("Envoy's log:\n{}", self.log());
        } else {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}
