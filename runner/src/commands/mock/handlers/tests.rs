use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Instant;

use sandbox_mock::serve::{Event, Options, serve};

use super::*;

const DEMO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/demo-api/openapi.yaml"
);
const LIMITS: Limits = Limits {
    memory_bytes: 32 << 20,
    time: Duration::from_millis(500),
};

/// The folder with the example, the hostile handler, and the latter with a network.
static BUILT: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    build("quote-handler", &[], &folder.path().join("quote.wasm"));
    let networked = folder.path().join("networked.wasm");
    build("hostile-handler", &["--features", "network"], &networked);
    build("hostile-handler", &[], &folder.path().join("hostile.wasm"));
    folder
});

fn build(package: &str, more: &[&str], to: &Path) {
    let program = std::env::current_exe().unwrap();
    // target/<profile>/deps/<program>
    let target = program.ancestors().nth(3).unwrap();
    let status = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--quiet", "--locked", "--profile", "wasm"])
        .args(["--target", "wasm32-wasip2", "--package", package])
        .args(more)
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "{package} does not build");
    let built = format!("wasm32-wasip2/wasm/{}.wasm", package.replace('-', "_"));
    std::fs::copy(target.join(built), to).unwrap();
}

fn components(handlers: &[(&str, &str)]) -> Result<Components> {
    let files: Vec<(String, PathBuf)> = handlers
        .iter()
        .map(|(operation, file)| ((*operation).to_owned(), BUILT.path().join(file)))
        .collect();
    Components::load(&files, LIMITS)
}

fn call(query: &str) -> HandlerCall {
    HandlerCall {
        operation: "getBalance".to_owned(),
        method: "GET".to_owned(),
        path: "/v1/balance".to_owned(),
        query: query.to_owned(),
        parameters: Vec::new(),
        headers: Vec::new(),
        body: Vec::new(),
        tenant: "app_one".to_owned(),
        now_ms: 1_767_225_600_123,
        seed: 7,
        suggestion: sandbox_mock::Response {
            status: 200,
            headers: Vec::new(),
            body: b"{}".to_vec(),
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_handler_loses_its_request_and_nothing_else() {
    let components = components(&[("getBalance", "hostile.wasm")]).unwrap();
    let timed_out = HandlerFailure::TimedOut { after_ms: 500 };
    for query in ["do=hang", "do=sleep"] {
        let started = Instant::now();
        assert_eq!(components.run(call(query)).await, Err(timed_out.clone()));
        assert!(started.elapsed() < Duration::from_secs(3), "{query}");
    }
    for (query, words) in [
        ("do=crash", "unreachable"),
        ("do=recurse", "out of bounds"),
        ("do=fill", "it needs more than 32 MiB of memory"),
    ] {
        match components.run(call(query)).await {
            Err(HandlerFailure::Crashed(reason)) => assert!(reason.contains(words), "{reason}"),
            other => panic!("{query}: {other:?}"),
        }
    }
    let refused = HandlerFailure::Refused("there is no stock".to_owned());
    assert_eq!(components.run(call("do=fail")).await, Err(refused));
    assert_eq!(components.run(call("")).await, Ok(call("").suggestion));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_finds_no_file_and_meets_the_tenants_clock_and_the_same_randomness() {
    let components = components(&[("getBalance", "hostile.wasm")]).unwrap();
    let answer = components.run(call("do=look")).await.unwrap();
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert!(
        text.starts_with(
            "folders [false, false, false, false] written false variables 0 now 1767225600123 random "
        ),
        "{text}"
    );
    assert_eq!(components.run(call("do=look")).await, Ok(answer.clone()));
    let other = HandlerCall {
        seed: 8,
        ..call("do=look")
    };
    assert_ne!(components.run(other).await, Ok(answer));
}

#[test]
fn what_is_no_handler_is_refused_with_a_reason() {
    let error = |handlers: &[(&str, &str)]| format!("{:#}", components(handlers).err().unwrap());
    let networked = error(&[("getBalance", "networked.wasm")]);
    assert!(
        networked.contains("networked.wasm imports wasi:sockets/"),
        "{networked}"
    );
    let twice = error(&[("getBalance", "hostile.wasm"), ("getBalance", "quote.wasm")]);
    assert!(twice.contains("getBalance twice"), "{twice}");
    std::fs::write(BUILT.path().join("text.wasm"), "no component").unwrap();
    let text = error(&[("getBalance", "text.wasm")]);
    assert!(text.contains("text.wasm is no component"), "{text}");
    let missing = error(&[("getBalance", "missing.wasm")]);
    assert!(missing.contains("missing.wasm cannot be read"), "{missing}");
}

fn send(address: SocketAddr, method: &str, target: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer pk_test_x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.get(9..12).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    (status, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_prices_orders_that_are_remembered_while_another_handler_hangs() {
    let handlers = components(&[
        ("createOrder", "quote.wasm"),
        ("getBalance", "hostile.wasm"),
    ])
    .unwrap();
    let (found, listening) = tokio::sync::oneshot::channel();
    let mut found = Some(found);
    let options = Options {
        spec: DEMO.into(),
        port: 0,
        seed: 1,
        stateful: true,
        faults: None,
        gate: None,
        sender: None,
        handlers: Some(Arc::new(handlers)),
    };
    let server = tokio::spawn(serve(options, std::future::pending(), move |event| {
        if let (Event::Listening(address, _), Some(found)) = (event, found.take()) {
            let _ = found.send(address);
        }
    }));
    let address = listening.await.unwrap();
    let hanging =
        tokio::task::spawn_blocking(move || send(address, "GET", "/v1/balance?do=hang", ""));
    let story = tokio::task::spawn_blocking(move || {
        let order = |quantity: u32| {
            format!(
                r#"{{"customer_id":"cus_7Hq2LmX9aB","currency":"EUR","items":[{{"product_id":"prod_4kTz81WqYc","quantity":{quantity}}}]}}"#
            )
        };
        let (status, body) = send(address, "POST", "/v1/orders", &order(2));
        assert_eq!(status, 201, "{body}");
        let order_made: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(order_made["total_amount"], 11_800);
        let path = format!("/v1/orders/{}", order_made["id"].as_str().unwrap());
        let (_, again) = send(address, "GET", &path, "");
        let again: serde_json::Value = serde_json::from_str(&again).unwrap();
        assert_eq!(again["total_amount"], 11_800);
        let (status, body) = send(address, "POST", "/v1/orders", &order(99));
        assert_eq!(status, 422);
        assert!(body.contains("credit_limit_exceeded"), "{body}");
    });
    story.await.unwrap();
    let (status, body) = hanging.await.unwrap();
    assert_eq!(status, 504);
    let said = "The handler hostile.wasm of getBalance did not answer within 500 ms.";
    assert!(
        body.contains(said) && body.contains("handler_timed_out"),
        "{body}"
    );
    server.abort();
}
