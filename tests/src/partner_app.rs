//! A partner's app: an HTTP server with pages, a webhook endpoint, and the two ends of an installation.

use anyhow::{Context as _, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Signatures older than this are refused.
const TOLERANCE_SECS: u64 = 300;

/// What the app knows and has seen.
#[derive(Default)]
struct State {
    webhook_secret: Vec<u8>,
    install_to: String,
    events: Vec<Value>,
    returned: Option<String>,
}

/// The running app.
///
/// `/hooks` checks signatures, `/hooks/careless` takes everything, `/hooks/deaf` answers 500. `/install`
/// begins an installation, `/callback` ends it. Every other path is a page.
pub struct PartnerApp {
    /// `http://127.0.0.1:port`
    pub origin: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl Drop for PartnerApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl PartnerApp {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    // A browser that closes early is not the app's trouble.
                    let _ = answer(stream, &state).await;
                });
            }
        });
        Ok(Self {
            origin,
            state,
            server,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|held| held.into_inner())
    }

    /// Gives it the secret of its endpoint: `whsec_…`.
    ///
    /// # Errors
    /// When it is none.
    pub fn trust(&self, secret: &str) -> Result<()> {
        let text = secret.strip_prefix("whsec_").context("no whsec_ secret")?;
        self.state().webhook_secret = STANDARD.decode(text)?;
        Ok(())
    }

    /// Where `/install` sends the customer.
    pub fn install_at(&self, authorization_url: &str) {
        self.state().install_to = authorization_url.to_owned();
    }

    /// The query that the customer came back with.
    #[must_use]
    pub fn returned(&self) -> Option<String> {
        self.state().returned.clone()
    }

    /// Verified events of this type.
    #[must_use]
    pub fn events(&self, kind: &str) -> Vec<Value> {
        let state = self.state();
        let events = state.events.iter();
        events
            .filter(|event| event["type"] == kind)
            .cloned()
            .collect()
    }
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

async fn read(stream: &mut TcpStream) -> Result<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break end;
        }
        ensure!(bytes.len() < 100_000, "no end of the headers");
        ensure!(stream.read_buf(&mut bytes).await? > 0, "closed early");
    };
    let head = String::from_utf8(bytes[..end].to_vec())?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (
        first.next().unwrap_or_default(),
        first.next().unwrap_or("/"),
    );
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = match headers.get("content-length") {
        Some(length) => length.parse()?,
        None => 0,
    };
    let is_chunked = headers
        .get("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let body = loop {
        let so_far = &bytes[end + 4..];
        let whole = if is_chunked {
            join_chunks(so_far)?
        } else {
            so_far.get(..length).map(<[u8]>::to_vec)
        };
        if let Some(body) = whole {
            break body;
        }
        ensure!(stream.read_buf(&mut bytes).await? > 0, "closed early");
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body,
    })
}

/// The body of chunks (RFC 9112, section 7.1); none while some of them are missing.
fn join_chunks(mut bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|part| part == b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&bytes[..end])?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
        let Some(rest) = bytes.get(end + 2..).filter(|rest| rest.len() >= size + 2) else {
            return Ok(None);
        };
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(&rest[..size]);
        bytes = &rest[size + 2..];
    }
}

async fn answer(mut stream: TcpStream, state: &Mutex<State>) -> Result<()> {
    let request = read(&mut stream).await?;
    let (status, location, body) = {
        let mut state = state.lock().unwrap_or_else(|held| held.into_inner());
        handle(&request, &mut state)
    };
    let location = location.map_or(String::new(), |place| format!("location: {place}\r\n"));
    let text = format!(
        "HTTP/1.1 {status} .\r\ncontent-type: text/html; charset=utf-8\r\n{location}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

fn handle(request: &Request, state: &mut State) -> (u16, Option<String>, &'static str) {
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/hooks") => match verify(request, &state.webhook_secret) {
            Ok(event) => {
                state.events.push(event);
                (204, None, "")
            }
            Err(_) => (401, None, ""),
        },
        ("POST", "/hooks/careless") => (204, None, ""),
        ("POST", "/hooks/deaf") => (500, None, ""),
        ("GET", "/install") => (302, Some(state.install_to.clone()), ""),
        ("GET", "/callback") => {
            state.returned = Some(request.query.clone());
            (
                200,
                None,
                "<!doctype html><title>Order sync</title><h1>Connected</h1>",
            )
        }
        _ => (
            200,
            None,
            "<!doctype html><title>Order sync</title><h1>Order sync</h1>",
        ),
    }
}

/// As the Standard Webhooks specification has it.
#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own, outside the portal"
)]
fn verify(request: &Request, secret: &[u8]) -> Result<Value> {
    let header = |name: &str| request.headers.get(name).context("a header is missing");
    let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    let sent: u64 = timestamp.parse()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    ensure!(now.abs_diff(sent) <= TOLERANCE_SECS, "too old");
    let body = std::str::from_utf8(&request.body)?;
    let is_signed = header("webhook-signature")?.split(' ').any(|signature| {
        let Some(Ok(signature)) = signature
            .strip_prefix("v1,")
            .map(|text| STANDARD.decode(text))
        else {
            return false;
        };
        Hmac::<Sha256>::new_from_slice(secret).is_ok_and(|mut mac| {
            mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
            mac.verify_slice(&signature).is_ok()
        })
    });
    ensure!(is_signed, "no signature is right");
    Ok(serde_json::from_str(body)?)
}
