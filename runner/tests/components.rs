//! A real component on the host: every interface as a guest sees it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use runner::blocked_networks::BlockedNetworks;
use runner::manifest::Manifest;
use runner::spin_host::{Application, ApplicationOptions, Limits, build_engine, server};
use runner::variables::Variables;

/// Builds the component in `tests/guests/probe`, once.
fn probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| {
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/probe");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2"])
            .arg("--target-dir")
            .arg(&target)
            .current_dir(guest)
            // Flags meant for the host's own build are not for the guest.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .status()
            .unwrap();
        assert!(status.success(), "the guest does not build");
        target.join("wasm32-wasip2/release/probe.wasm")
    })
}

struct Host {
    address: String,
    task: tokio::task::JoinHandle<()>,
    data: tempfile::TempDir,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Host {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    async fn start_in(data: tempfile::TempDir) -> Self {
        Self::start_with(data, "", "none").await
    }

    /// With one more allowed host and with a blocked network.
    async fn start_with(data: tempfile::TempDir, allowed: &str, blocked: &str) -> Self {
        let manifest = Manifest::parse(
            &format!(
                r#"
spin_manifest_version = 2
[application]
name = "probe"
[variables]
greeting = {{ default = "hello" }}
none = {{ default = "" }}
[[trigger.http]]
route = "/..."
component = "probe"
[component.probe]
source = "{}"
sqlite_databases = ["default"]
key_value_stores = ["default"]
allowed_outbound_hosts = ["http://self", "{allowed}{{{{ none }}}}"]
[component.probe.variables]
greeting = "{{{{ greeting }}}} from a variable"
"#,
                probe().display()
            ),
            Path::new("."),
        )
        .unwrap();
        let variables = Variables::of_manifest(&manifest, &Default::default()).unwrap();
        let listener = server::bind("127.0.0.1:0".parse().unwrap(), "probe")
            .await
            .unwrap();
        let listen = listener.local_addr().unwrap();
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        let options = ApplicationOptions {
            data_dir: data.path().to_owned(),
            limits: Limits {
                request_timeout: Duration::from_secs(3),
                memory_bytes: 64 << 20,
            },
            listen,
            blocked_networks: BlockedNetworks::parse(&[blocked.to_owned()]).unwrap(),
        };
        let engine = build_engine(&cache).unwrap();
        let application = Application::load(&engine, &manifest, &variables, &options)
            .await
            .unwrap();
        Self {
            address: format!("http://{listen}"),
            task: tokio::spawn(server::serve(listener, Arc::new(application))),
            data,
        }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let request = http::Request::get(format!("{}{path}", self.address))
            .header("spin-client-addr", "203.0.113.9:1")
            .body(Full::<Bytes>::default())
            .unwrap();
        self.send(request).await
    }

    async fn send(&self, request: http::Request<Full<Bytes>>) -> (u16, String) {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn text(&self, path: &str) -> String {
        let (status, text) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {text}");
        text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_kept_and_an_open_transaction_is_rolled_back() {
    let host = Host::start().await;
    assert_eq!(host.text("/sqlite?one").await, "one");
    assert_eq!(host.text("/sqlite/leave-open").await, "left open");
    assert_eq!(host.text("/sqlite?two").await, "one,two");
    assert_eq!(host.text("/key-value?kept").await, "kept");

    // A transaction that ended is in the files; a key-value store is written behind, a moment later.
    let mut known = String::new();
    for _ in 0..50 {
        let data = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(host.data.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), data.path().join(file.file_name())).unwrap();
        }
        let again = Host::start_in(data).await;
        assert_eq!(again.text("/sqlite").await, "one,two");
        known = again.text("/key-value").await;
        if !known.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(known, "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_reaches_only_what_it_is_allowed_to() {
    let host = Host::start().await;
    let denied = host.text("/fetch?http://example.com/").await;
    assert!(denied.contains("HttpRequestDenied"), "{denied}");
    let elsewhere = host.text(&format!("/fetch?{}/count", host.address)).await;
    assert!(elsewhere.contains("HttpRequestDenied"), "{elsewhere}");
    let itself = host.text("/fetch?http://self.alt/variable?greeting").await;
    assert_eq!(itself, "hello from a variable");
    let database = host.text("/postgres?postgres://u:p@127.0.0.1:5432/d").await;
    assert!(database.contains("is not permitted"), "{database}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_stands_for_a_blocked_address_is_not_connected_to() {
    let other = Host::start().await;
    let port = other.address.rsplit(':').next().unwrap();
    let start = async |blocked: &str| {
        let data = tempfile::tempdir().unwrap();
        Host::start_with(data, &format!("http://localhost:{port}"), blocked).await
    };
    let fetch = format!("/fetch?http://localhost:{port}/variable?greeting");
    let open = start("none").await;
    assert_eq!(open.text(&fetch).await, "hello from a variable");
    let closed = start("private").await;
    let refused = closed.text(&fetch).await;
    assert!(refused.contains("DestinationIpProhibited"), "{refused}");
    // What the application asks of itself never leaves it.
    let itself = closed.text("/fetch?http://self.alt/count").await;
    assert!(itself.parse::<u32>().is_ok(), "{itself}");
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_those_of_the_component() {
    let host = Host::start().await;
    assert_eq!(
        host.text("/variable?greeting").await,
        "hello from a variable"
    );
    assert!(host.text("/variable?other").await.contains("Undefined"));
    assert!(
        host.text("/variable?Bad-name")
            .await
            .contains("InvalidName")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_carries_spins_headers_and_no_forged_ones() {
    let host = Host::start().await;
    let headers = host.text("/headers?a=b").await;
    for expected in [
        "spin-path-info: /headers".to_owned(),
        format!("spin-full-url: {}/headers?a=b", host.address),
        "spin-matched-route: /...".to_owned(),
        "spin-client-addr: 127.0.0.1:".to_owned(),
    ] {
        assert!(
            headers.contains(&expected),
            "{expected} is not in\n{headers}"
        );
    }
    assert!(!headers.contains("203.0.113.9"), "{headers}");
    let echoed = host
        .send(
            http::Request::post(format!("{}/echo", host.address))
                .body(Full::from("a body"))
                .unwrap(),
        )
        .await;
    assert_eq!(echoed, (200, "a body".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_reused_until_it_traps() {
    let host = Host::start().await;
    assert_eq!(host.text("/count").await, "1");
    assert_eq!(host.text("/count").await, "2");
    assert_eq!(host.get("/panic").await.0, 500);
    assert_eq!(host.text("/count").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_serves_no_more_than_128_requests() {
    let host = Host::start().await;
    for expected in (1..=128).chain(1..=2) {
        assert_eq!(host.text("/count").await, expected.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runaway_guest_is_stopped_and_others_are_served_meanwhile() {
    let host = Arc::new(Host::start().await);
    let runaway = tokio::spawn({
        let host = host.clone();
        async move {
            let started = Instant::now();
            (host.get("/spin").await.0, started.elapsed())
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(host.text("/count").await, "1");
    let (status, took) = runaway.await.unwrap();
    assert_eq!(status, 500);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_wants_too_much_memory_fails_alone() {
    let host = Host::start().await;
    assert_eq!(host.get("/memory").await.0, 500);
    assert_eq!(host.text("/count").await, "1");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = server::bind("127.0.0.1:0".parse().unwrap(), "portal")
        .await
        .unwrap();
    let address = taken.local_addr().unwrap();
    let error = server::bind(address, "portal").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("port {} is taken", address.port())),
        "{text}"
    );
    assert!(text.contains("choose another port"), "{text}");
}
