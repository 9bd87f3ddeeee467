//! The mock as a native HTTP server that follows its document.
//!
//! Owns the listener, the watch on the file and the swap. A request is answered by the mock that was current when it
//! came; a document that cannot be read leaves the last good one in place. What is remembered stays.

mod deliveries;
mod gate;
mod handlers;

pub use deliveries::Sender;
pub use gate::{Asked, Gate, Judgement, Pass};
pub use handlers::Handlers;

use crate::control::LATENCY_HEADER;
use crate::document::join_path;
use crate::handler::{Handled, Turn};
use crate::mock::{Context, Mock, Summary, tenant_of};
use crate::request::Request;
use crate::response::{Response, problem};
use crate::state::MemoryStore;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::collections::HashSet;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;

/// How the mock is served.
pub struct Options {
    /// The document.
    pub spec: PathBuf,
    /// The port on 127.0.0.1; 0 for any free one.
    pub port: u16,
    /// Other seeds give other values.
    pub seed: u64,
    /// Whether what is created is remembered.
    pub stateful: bool,
    /// Faults for every tenant: a JSON file as `/.portico/faults` takes it.
    pub faults: Option<PathBuf>,
    /// What stands in front of the mock.
    pub gate: Option<Arc<dyn Gate>>,
    /// Sends webhooks and callbacks; without it they are only listed.
    pub sender: Option<Arc<dyn Sender>>,
    /// Answer operations in place of the mock.
    pub handlers: Option<Arc<dyn Handlers>>,
}

/// What happens while serving, for whoever reports it.
#[derive(Debug)]
pub enum Event {
    /// The address that is listened on.
    Listening(SocketAddr, Summary),
    /// The document changed and is served.
    Reloaded(Summary),
    /// The document changed and cannot be read.
    Broken(String),
}

const LARGEST_BODY: usize = 16 * 1024 * 1024;
const LOOK_EVERY: Duration = Duration::from_millis(300);

struct Server {
    mock: RwLock<Arc<Mock>>,
    memory: Mutex<MemoryStore>,
    seed: u64,
    stateful: bool,
    gate: Option<Arc<dyn Gate>>,
    handlers: Option<Arc<dyn Handlers>>,
    /// Tenants that something waits to be sent for.
    waiting: Mutex<HashSet<String>>,
}

/// Serves until `stop` is ready.
pub async fn serve(
    options: Options,
    stop: impl Future<Output = ()>,
    mut report: impl FnMut(Event) + Send + 'static,
) -> anyhow::Result<()> {
    let (mock, summary, mut seen) = load(&options)?;
    let listener = TcpListener::bind(("127.0.0.1", options.port))
        .await
        .map_err(|error| {
            anyhow::anyhow!(
                "port {} cannot be used: {error}; choose another one with --port",
                options.port
            )
        })?;
    report(Event::Listening(listener.local_addr()?, summary));
    let server = Arc::new(Server {
        mock: RwLock::new(Arc::new(mock)),
        memory: Mutex::default(),
        seed: options.seed,
        stateful: options.stateful,
        gate: options.gate.clone(),
        handlers: options.handlers.clone(),
        waiting: Mutex::default(),
    });
    let deliver = deliveries::deliver(Arc::clone(&server), options.sender.clone());
    let watched = Arc::clone(&server);
    let watch = async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if seen.iter().all(|(path, time)| modified(path) == *time) {
                continue;
            }
            match load(&options) {
                Ok((mock, summary, files)) => {
                    seen = files;
                    *watched.mock.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(mock);
                    report(Event::Reloaded(summary));
                }
                Err(error) => {
                    for (path, time) in &mut seen {
                        *time = modified(path);
                    }
                    report(Event::Broken(error.to_string()));
                }
            }
        }
    };
    let accept = async {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                // Out of file descriptors, most likely: let some connections end.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| {
                    let server = Arc::clone(&server);
                    async move { Ok::<_, Infallible>(server.answer(request, peer).await) }
                });
                // A connection that breaks off is the client's business.
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    };
    tokio::select! {
        () = stop => Ok(()),
        () = watch => Ok(()),
        () = deliver => Ok(()),
        () = accept => Ok(()),
    }
}

type Seen = Vec<(PathBuf, Option<SystemTime>)>;

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}

/// Reads a document with the files beside it, and when each one was changed.
fn load(options: &Options) -> anyhow::Result<(Mock, Summary, Seen)> {
    let spec = options.spec.as_path();
    let mut seen = vec![(spec.to_owned(), modified(spec))];
    let bytes = std::fs::read(spec)
        .map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", spec.display()))?;
    let folder = spec.parent().unwrap_or(Path::new(""));
    let mut read_file = |name: &str| {
        let path = folder.join(name);
        seen.push((path.clone(), modified(&path)));
        std::fs::read(path).ok()
    };
    let (mut mock, summary) = Mock::from_files(&bytes, &mut read_file)
        .map_err(|error| anyhow::anyhow!("{}: {error}", spec.display()))?;
    if let Some(handlers) = &options.handlers {
        mock.set_handlers(&handlers.operations())
            .map_err(|problem| anyhow::anyhow!("{}: {problem}", spec.display()))?;
    }
    if let Some(path) = &options.faults {
        seen.push((path.to_owned(), modified(path)));
        let json = std::fs::read(path)
            .map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", path.display()))?;
        mock.set_faults(&json)
            .map_err(|problem| anyhow::anyhow!("{}: {problem}", path.display()))?;
    }
    Ok((mock, summary, seen))
}

/// A document and every file that it refers to, for the compiler.
pub fn read_files(spec: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let bytes = std::fs::read(spec)
        .map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", spec.display()))?;
    let folder = spec.parent().unwrap_or(Path::new("")).to_owned();
    let mut files = vec![(String::new(), bytes.clone())];
    crate::document::load(&bytes, &mut |name| {
        let found = std::fs::read(folder.join(join_path("", name))).ok()?;
        files.push((name.to_owned(), found.clone()));
        Some(found)
    })
    .map_err(|error| anyhow::anyhow!("{}: {error}", spec.display()))?;
    Ok(files)
}

impl Server {
    fn mock(&self) -> Arc<Mock> {
        Arc::clone(&self.mock.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        peer: SocketAddr,
    ) -> hyper::Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = match Limited::new(body, LARGEST_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => {
                return into_http(refusal(
                    413,
                    "body_too_large",
                    "The body is larger than 16 MiB or broke off.",
                ));
            }
        };
        let mut asked = Asked::read(&parts);
        let Some(gate) = &self.gate else {
            return into_http(held_back(self.respond(&asked, &body).await).await);
        };
        let path = asked.target.split('?').next().unwrap_or("");
        asked.open = self.mock().is_open(&asked.method, path);
        match gate.judge(asked.clone(), peer).await {
            Judgement::Refuse(refusal) => into_http(refusal),
            Judgement::Pass(pass) => {
                asked.change(&pass);
                let mut answer = held_back(self.respond(&asked, &body).await).await;
                gate.finish(pass.stream, &answer);
                // The gateway's word counts: a declared header of the same name is only made up.
                answer
                    .headers
                    .retain(|(name, _)| pass.fields.iter().all(|(own, _)| own != name));
                answer.headers.extend(pass.fields);
                into_http(answer)
            }
        }
    }

    async fn respond(&self, asked: &Asked, body: &[u8]) -> Response {
        let mock = self.mock();
        let mut handled = None;
        loop {
            match (
                self.turn(&mock, asked, body, handled.as_ref()),
                &self.handlers,
            ) {
                (Turn::Answer(response), _) => return response,
                // No lock is held while a handler runs.
                (Turn::Ask(call), Some(handlers)) => handled = Some(handlers.handle(*call).await),
                (Turn::Ask(_), None) => {
                    return refusal(501, "handler_not_run", "Nothing here runs a handler.");
                }
            }
        }
    }

    fn turn(&self, mock: &Mock, asked: &Asked, body: &[u8], handled: Option<&Handled>) -> Turn {
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let request = Request {
            method: &asked.method,
            path,
            query,
            headers: &asked.headers,
            body,
        };
        let context = Context {
            seed: self.seed,
            tenant: tenant_of(&request),
            now_ms: now_ms(),
            stateful: self.stateful,
        };
        // The store is in memory: holding the lock costs microseconds and makes every request atomic.
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = mock.respond_turn_now(request, &mut *memory, &context, handled);
        if let Some(gate) = &self.gate
            && path.starts_with("/.portico/")
            && asked.method != "GET"
        {
            gate.move_clock(&context.tenant, mock.clock_ahead_ms(&mut *memory, &context));
        }
        if asked.method != "GET" {
            deliveries::note(self, &mut memory, &context);
        }
        turn
    }
}

/// An answer after as long as it says itself.
async fn held_back(answer: Response) -> Response {
    let ms = answer
        .header(LATENCY_HEADER)
        .and_then(|text| text.parse().ok());
    if let Some(ms) = ms {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    answer
}

fn now_ms() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server is the host: it reads the clock and hands the time on"
    )]
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

fn refusal(status: u16, code: &str, message: &str) -> Response {
    let headers = vec![(
        "content-type".to_owned(),
        "application/problem+json".to_owned(),
    )];
    Response {
        status,
        headers,
        body: problem(status, code, message).to_string().into_bytes(),
    }
}

fn into_http(answer: Response) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (
            hyper::header::HeaderName::from_bytes(name.as_bytes()),
            hyper::header::HeaderValue::from_str(&value),
        ) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
