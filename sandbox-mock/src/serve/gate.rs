//! What may stand in front of the mock: something that judges requests as the production gateway does.

use crate::response::Response;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

/// A request without its body.
#[derive(Debug, Clone)]
pub struct Asked {
    /// In capitals.
    pub method: String,
    /// Path and query, as they came.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Whether the document asks for no credential here.
    pub open: bool,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Judgement {
    /// The mock answers it.
    Pass(Pass),
    /// It is answered so.
    Refuse(Response),
}

/// The changes to a request that passes, and to its response.
#[derive(Debug, Default)]
pub struct Pass {
    /// The name of the request until it is finished.
    pub stream: u32,
    /// Headers that go.
    pub remove: Vec<String>,
    /// Headers that come, each in place of what was there.
    pub add: Vec<(String, String)>,
    /// The target without the credential.
    pub target: Option<String>,
    /// Headers of the response.
    pub fields: Vec<(String, String)>,
}

/// Judges requests, and is told how those that passed were answered.
pub trait Gate: Send + Sync {
    /// Decides about a request.
    fn judge(
        &self,
        asked: Asked,
        peer: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = Judgement> + Send + '_>>;
    /// Learns how a request that passed was answered.
    fn finish(&self, stream: u32, answer: &Response);
    /// Learns that the clock of a tenant is ahead.
    fn move_clock(&self, tenant: &str, ahead_ms: u64);
}

impl Asked {
    pub(super) fn read(parts: &hyper::http::request::Parts) -> Asked {
        let host = parts
            .uri
            .authority()
            .filter(|_| !parts.headers.contains_key("host"));
        let headers = parts.headers.iter().map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        });
        Asked {
            method: parts.method.as_str().to_owned(),
            target: parts
                .uri
                .path_and_query()
                .map_or("/", |target| target.as_str())
                .to_owned(),
            headers: headers
                .chain(host.map(|host| ("host".to_owned(), host.as_str().to_owned())))
                .collect(),
            open: false,
        }
    }

    pub(super) fn change(&mut self, pass: &Pass) {
        self.headers.retain(|(name, _)| {
            !pass.remove.contains(name) && pass.add.iter().all(|(added, _)| added != name)
        });
        self.headers.extend(pass.add.iter().cloned());
        if let Some(target) = &pass.target {
            self.target.clone_from(target);
        }
    }
}
