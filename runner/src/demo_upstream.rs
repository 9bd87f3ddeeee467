//! The demo upstream: stands for the company's API behind the gateway.
//!
//! Answers the demo API's document with the mock engine, natively and with data
//! of its own, and `GET /v1/whoami` with the identity headers it received, so
//! that anyone can see what an upstream learns about a caller. It checks no
//! credential: the gateway did, and removed it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sandbox_mock::state::MemoryStore;
use sandbox_mock::{Context, Mock};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

const DOCUMENT: &[u8] = include_bytes!("../../examples/demo-api/openapi.yaml");
/// Other data than the sandbox has, so that a person sees which one answered.
const SEED: u64 = 2_026;
const MOST_BODY_BYTES: usize = 1 << 20;
/// Marks every answer of this server.
const MARK: &str = "x-demo-upstream";

struct Upstream {
    mock: Mock,
    store: Mutex<MemoryStore>,
}

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener) {
    let mock = match Mock::from_source(DOCUMENT) {
        Ok((mock, _)) => mock,
        Err(error) => {
            tracing::error!("the demo API's document: {error}");
            return;
        }
    };
    let upstream = Arc::new(Upstream {
        mock,
        store: Mutex::default(),
    });
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve_connection(stream, upstream.clone()));
            }
            Err(error) => {
                tracing::warn!("demo upstream: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, upstream: Arc<Upstream>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let upstream = upstream.clone();
        async move { Ok::<_, Infallible>(answer(&upstream, request).await) }
    });
    if let Err(error) = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!("demo upstream: {error}");
    }
}

async fn answer(upstream: &Upstream, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().path() == "/v1/whoami" {
        return whoami(request.headers());
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MOST_BODY_BYTES).collect().await else {
        return respond(413, &[], b"the body is larger than 1 MiB".as_slice());
    };
    let body = body.to_bytes();
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), text)
        })
        .collect();
    let request = sandbox_mock::Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
    };
    let context = Context {
        seed: SEED,
        tenant: sandbox_mock::tenant_of(&request),
        now_ms: now_ms(),
        stateful: true,
    };
    let mut store = upstream.store.lock().await;
    let made = upstream.mock.respond(request, &mut *store, &context).await;
    drop(store);
    // The company's API does not know that a mock plays its part.
    let headers: Vec<(String, String)> = made
        .headers
        .into_iter()
        .filter(|(name, _)| !name.starts_with("x-portico-"))
        .collect();
    respond(made.status, &headers, made.body)
}

fn now_ms() -> i64 {
    #[allow(clippy::disallowed_methods)] // a server at the edge of the process reads the clock
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}

fn whoami(headers: &http::HeaderMap) -> Response<Full<Bytes>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let identity = json!({
        "organisation": text("x-portico-organisation"),
        "app": text("x-portico-app"),
        "plan": text("x-portico-plan"),
        "credential": text("x-portico-credential"),
        "environment": text("x-portico-environment"),
        "scopes": text("x-portico-scopes").map(|scopes| scopes.split(' ').collect::<Vec<_>>()),
        "installation": text("x-portico-installation"),
        "request_id": text("x-request-id"),
        "received_headers": headers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(),
    });
    let json = [("content-type".to_owned(), "application/json".to_owned())];
    respond(200, &json, identity.to_string().into_bytes())
}

fn respond(
    status: u16,
    headers: &[(String, String)],
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status).header(MARK, "1");
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response
        .body(Full::new(body.into()))
        .unwrap_or_else(|_| Response::new(Full::default()))
}
