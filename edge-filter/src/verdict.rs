//! What becomes of a request: the answer to the proxy, and what is remembered
//! until the response has ended.

use crate::ports::Host;
use crate::prepared::Prepared;
use crate::refusal::Refusal;
use shared::ids::CredentialId;
use shared::problem::Code;
use std::borrow::Cow;
use std::rc::Rc;

/// What the proxy is to do.
#[derive(Debug)]
pub enum Action<'a> {
    /// Let it pass, with these changes.
    Pass(Changes<'a>),
    /// Answer it here.
    Refuse(Refusal),
}

/// A verdict and its description for access logs.
#[derive(Debug)]
pub struct Verdict<'a> {
    /// What the proxy is to do.
    pub action: Action<'a>,
    /// `code=… credential=… app=… plan=… operation=…`, as far as known; `None` where
    /// access logs are not told.
    pub metadata: Option<Rc<str>>,
    /// Whether a refusal is not to be carried out yet: a lease is on its way, and
    /// the call will be decided again.
    pub is_held: bool,
}

impl Verdict<'_> {
    /// Has the proxy do it; whether the request goes on.
    pub fn carry_out(&self, host: &impl Host) -> bool {
        if self.is_held {
            return false;
        }
        if let Some(metadata) = &self.metadata {
            host.describe(metadata);
        }
        let changes = match &self.action {
            Action::Pass(changes) => changes,
            Action::Refuse(refusal) => {
                host.respond(refusal);
                return false;
            }
        };
        for name in &changes.remove {
            host.remove_request_header(name);
        }
        if let Some(target) = &changes.target {
            host.replace_request_header(":path", target);
        }
        for (name, value) in changes.add.iter() {
            host.add_request_header(name, value);
        }
        if changes.reroutes {
            host.clear_route();
        }
        true
    }
}

/// Headers by name and value.
pub type Headers = Rc<[(&'static str, Rc<str>)]>;

/// Changes to the request headers.
#[derive(Debug)]
pub struct Changes<'a> {
    /// Headers to remove.
    pub remove: Vec<&'a str>,
    /// Headers to set; none of them is left of what the client sent.
    pub add: Headers,
    /// The target without the credential.
    pub target: Option<String>,
    /// Whether the route depends on what was set.
    pub reroutes: bool,
}

/// A request between its headers and its end.
#[derive(Debug, Default)]
pub struct Stream {
    /// When it came.
    pub started_ns: u64,
    /// Its method.
    pub method: Cow<'static, str>,
    /// `x-request-id`.
    pub request_id: String,
    /// `content-length` of the request.
    pub content_length: Option<u64>,
    /// The credential, if known, also where it was refused.
    pub credential: Option<CredentialId>,
    /// Under what it was decided, unless it was refused before that.
    pub prepared: Option<Rc<Prepared>>,
    /// Why it was refused.
    pub refused: Option<Code>,
    /// Units reserved of the quota.
    pub reserved: Option<u64>,
    /// Until when it may be held for a lease, Unix milliseconds; set once it is.
    pub waits_until_ms: Option<u64>,
    /// `RateLimit` for the client.
    pub limit_state: String,
    /// What the response's headers said.
    pub response: ResponseView,
}

/// What matters of a response's headers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ResponseView {
    /// `:status`; 0 where there was no response.
    pub status: u16,
    /// `content-length`.
    pub content_length: Option<u64>,
    /// The weight header's value.
    pub weight: Option<u64>,
    /// Values of headers that meters read.
    pub metered: Vec<(String, u64)>,
}

/// A method's text, without a copy where it is a usual one.
#[must_use]
pub fn method_of(text: &str) -> Cow<'static, str> {
    const USUAL: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    let usual = USUAL.into_iter().find(|usual| *usual == text);
    usual.map_or_else(|| Cow::Owned(text.to_owned()), Cow::Borrowed)
}
