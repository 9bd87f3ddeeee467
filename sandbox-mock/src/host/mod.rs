//! The HTTP component: the only place that names the SDK.
//!
//! The compiled document is in this module's memory because `portico mock build` called `prepare` and took a
//! snapshot; a request therefore finds it ready.

mod deliveries;
#[cfg(feature = "spin-store")]
mod key_value;

use crate::json::{Value, object};
use crate::mock::{Context, Mock, Summary, tenant_of};
use crate::request::Request as MockRequest;
use crate::response::problem;
#[cfg(feature = "spin-store")]
use key_value::KeyValueStore as GuestStore;
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{FullBody, Request, Response};
use spin_sdk::http_service;
use std::sync::OnceLock;

static MOCK: OnceLock<Mock> = OnceLock::new();

/// Larger bodies are refused before they are read into values.
const LARGEST_BODY: usize = 16 * 1024 * 1024;
const SEED: u64 = 1;

mod preparation {
    spin_sdk::wit_bindgen::generate!({
        path: "wit",
        world: "preparation",
        runtime_path: "::spin_sdk::wit_bindgen::rt",
    });

    struct Preparation;

    impl Guest for Preparation {
        fn prepare(files: Vec<(String, Vec<u8>)>) -> Result<String, String> {
            super::prepare(files)
        }
    }

    export!(Preparation);
}

fn prepare(files: Vec<(String, Vec<u8>)>) -> Result<String, String> {
    let document = files
        .first()
        .map(|(_, bytes)| bytes.as_slice())
        .unwrap_or_default();
    let mut read_file = |name: &str| {
        files
            .iter()
            .skip(1)
            .find(|(known, _)| known == name)
            .map(|(_, bytes)| bytes.clone())
    };
    let (mock, summary) =
        Mock::from_files(document, &mut read_file).map_err(|error| error.to_string())?;
    MOCK.set(mock)
        .map_err(|_| "the component holds a document already".to_owned())?;
    // What is free again must not travel in the snapshot.
    drop(files);
    Ok(summary_json(&summary).to_string())
}

fn summary_json(summary: &Summary) -> Value {
    let count = |count: usize| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    object([
        ("title", Value::from(summary.title.as_str())),
        ("operations", count(summary.operations)),
        ("schemas", count(summary.schemas)),
        ("collections", count(summary.collections)),
        ("webhooks", count(summary.webhooks)),
        (
            "findings",
            Value::Array(
                summary
                    .findings
                    .iter()
                    .map(|finding| Value::from(finding.to_string()))
                    .collect(),
            ),
        ),
    ])
}

#[http_service]
async fn handle(request: Request) -> Response<FullBody<bytes::Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.bytes().await.unwrap_or_default();
    let Some(mock) = MOCK.get() else {
        return refusal(
            503,
            "no_document",
            "This component holds no document: make one with `portico mock build SPEC -o FILE.wasm`.",
        );
    };
    if body.len() > LARGEST_BODY {
        return refusal(413, "body_too_large", "The body is larger than 16 MiB.");
    }
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    // Under a route such as `/sandbox/...` Spin says which part of the path is ours.
    let below_route = headers
        .iter()
        .find(|(name, _)| name == "spin-path-info")
        .map(|(_, path)| path.as_str());
    let request = MockRequest {
        method: parts.method.as_str(),
        path: below_route.unwrap_or(parts.uri.path()),
        query: parts.uri.query().unwrap_or(""),
        headers: &headers,
        body: &body,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the host reads the clock and hands the time on"
    )]
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let context = Context {
        seed: SEED,
        tenant: tenant_of(&request),
        now_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
        stateful: true,
    };
    // Nothing runs between requests here: what is due goes out with the next one that changes something.
    let deliver = request.method != "GET";
    let answer = mock
        .respond(request, &mut GuestStore::default(), &context)
        .await;
    if deliver {
        deliveries::send_due(&mut GuestStore::default(), &context).await;
    }
    let latency_ms = answer
        .header(crate::LATENCY_HEADER)
        .and_then(|text| text.parse().ok());
    if let Some(ms) = latency_ms {
        spin_sdk::time::sleep(std::time::Duration::from_millis(ms)).await;
    }
    into_http(answer)
}

fn refusal(status: u16, code: &str, message: &str) -> Response<FullBody<bytes::Bytes>> {
    let body = problem(status, code, message).to_string().into_bytes();
    let headers = vec![
        (
            "content-type".to_owned(),
            "application/problem+json".to_owned(),
        ),
        ("content-length".to_owned(), body.len().to_string()),
    ];
    into_http(crate::Response {
        status,
        headers,
        body,
    })
}

fn into_http(answer: crate::Response) -> Response<FullBody<bytes::Bytes>> {
    let mut response = Response::new(FullBody::new(bytes::Bytes::from(answer.body)));
    *response.status_mut() =
        spin_sdk::http::StatusCode::from_u16(answer.status).unwrap_or_default();
    for (name, value) in answer.headers {
        let name = spin_sdk::http::HeaderName::from_bytes(name.as_bytes());
        let value = spin_sdk::http::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// Without Spin's interfaces the memory is this instance's own.
#[cfg(not(feature = "spin-store"))]
mod instance_store {
    use crate::state::{MemoryStore, Store};
    use std::future::{Future, ready};
    use std::sync::{LazyLock, Mutex, PoisonError};

    static MEMORY: LazyLock<Mutex<MemoryStore>> = LazyLock::new(Mutex::default);

    #[derive(Default)]
    pub(super) struct InstanceStore;

    impl InstanceStore {
        fn with<T>(use_store: impl FnOnce(&mut MemoryStore) -> T) -> T {
            use_store(&mut MEMORY.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl Store for InstanceStore {
        fn read(&mut self, key: &str) -> impl Future<Output = Option<Vec<u8>>> {
            ready(Self::with(|memory| memory.get(key)))
        }

        fn write(&mut self, key: &str, bytes: Vec<u8>) -> impl Future<Output = ()> {
            ready(Self::with(|memory| memory.set(key, bytes)))
        }

        fn remove(&mut self, key: &str) -> impl Future<Output = ()> {
            ready(Self::with(|memory| memory.forget(key)))
        }
    }
}
#[cfg(not(feature = "spin-store"))]
use instance_store::InstanceStore as GuestStore;
