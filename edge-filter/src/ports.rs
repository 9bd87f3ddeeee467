//! What the filter needs of the proxy that runs it.
//!
//! Owns: the traits. Does not own: any implementation; `host` has the one for
//! Envoy, `testing` an in-memory one that lets several virtual machines share data.

use crate::refusal::Refusal;

/// What became of a compare-and-swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// The value is stored.
    Yes,
    /// Somebody else stored a value since it was read: read again.
    Changed,
    /// The proxy refused.
    Failed,
}

/// Data shared by every virtual machine of one Envoy process.
///
/// There is no delete, and a first write to a key ignores the version, so keys
/// are fixed in number and created before workers exist (see
/// [`crate::shared_state::create_keys`]).
pub trait SharedData {
    /// The value and its version.
    fn read(&self, key: &str) -> Option<(Vec<u8>, u32)>;
    /// Stores `value`; with a version, only if it is still the one read.
    fn write(&self, key: &str, value: &[u8], version: Option<u32>) -> Stored;
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Somebody should look.
    Warning,
    /// Something does not work.
    Error,
}

/// A call to the portal, to be made in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalCall {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Headers besides the pseudo headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// After how long to give up.
    pub timeout_ms: u32,
}

/// The proxy that runs the filter.
pub trait Host: SharedData {
    /// The wall clock, nanoseconds since the Unix epoch. May step backwards.
    fn now_ns(&self) -> u64;
    /// Fills `bytes` from a cryptographic generator.
    fn fill_random(&self, bytes: &mut [u8]);
    /// Starts a call through the portal's cluster; the answer comes later under
    /// the token returned. `None` where the proxy refuses.
    fn call_portal(&self, cluster: &str, authority: &str, call: &PortalCall) -> Option<u32>;
    /// Writes a line to the proxy's log.
    fn log(&self, level: Level, message: &str);
    /// The trusted address of the client of the request in hand, `address:port`.
    fn client_address(&self) -> Option<String>;
    /// Whether `signature` of `message` was made with the key (SHA-256; the key
    /// as SubjectPublicKeyInfo), where the proxy can tell; `None` where it cannot.
    fn verify_signature(&self, key_der: &[u8], signature: &[u8], message: &[u8]) -> Option<bool>;
    /// A counter of the proxy; `None` where it refuses.
    fn define_counter(&self, name: &str) -> Option<u32>;
    /// Adds to a counter.
    fn add_to_counter(&self, counter: u32, amount: u64);
    /// The headers of the request in hand, in Envoy's form.
    fn request_headers(&self) -> Vec<u8>;
    /// The headers of the response in hand, in Envoy's form; empty where there is none.
    fn response_headers(&self) -> Vec<u8>;
    /// Removes a header of the request.
    fn remove_request_header(&self, name: &str);
    /// Sets a header of the request in place of what it has under that name.
    fn replace_request_header(&self, name: &str, value: &str);
    /// Adds a header to the request.
    fn add_request_header(&self, name: &str, value: &str);
    /// Adds a header to the response.
    fn add_response_header(&self, name: &str, value: &str);
    /// Has the route chosen again.
    fn clear_route(&self);
    /// Puts the decision where access logs and traces find it.
    fn describe(&self, decision: &str);
    /// Answers the request here.
    fn respond(&self, refusal: &Refusal);
    /// A number about the request in hand.
    fn number(&self, what: Number) -> Option<u64>;
}

/// What the proxy can be asked about a request that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Bytes of the request body.
    RequestBytes,
    /// Bytes of the response body.
    ResponseBytes,
    /// Envoy's response flags.
    ResponseFlags,
}
