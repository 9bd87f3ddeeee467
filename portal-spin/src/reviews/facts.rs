//! What the rules look at: gathered once, then judged without I/O.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::listings::{Content, Visibility};

/// A stored picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageFacts {
    /// Width in pixels.
    pub width: i64,
    /// Height in pixels.
    pub height: i64,
    /// Contrast of the lightest against the darkest visible pixel, times 100.
    pub contrast: i64,
}

/// What came of asking an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It answered with this status.
    Answered(u16),
    /// It did not, and why.
    Failed(String),
}

/// What a webhook endpoint did with a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookProbe {
    /// A signed ping was answered with 2xx.
    pub takes_ping: bool,
    /// The same with a wrong signature was not.
    pub refuses_forgery: bool,
}

/// What the app did at the gateway, in the sandbox, over the last 30 days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Traffic {
    /// Calls that reached the sandbox.
    pub calls: u64,
    /// Of those, answered 2xx or 3xx.
    pub successes: u64,
    /// Of those, answered 4xx.
    pub client_errors: u64,
    /// Calls over a rate limit.
    pub rate_limited: u64,
    /// Calls refused for their credential.
    pub refused_credentials: u64,
    /// Calls that succeeded after the last one over a rate limit.
    pub has_recovered: bool,
    /// Operations called successfully.
    pub operations: Vec<String>,
    /// Scopes of those operations.
    pub scopes: Vec<String>,
    /// Operations called that the product's document marks as deprecated.
    pub deprecated: Vec<String>,
    /// Operations called that the product no longer has.
    pub gone: Vec<String>,
}

/// Everything a rule may look at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// What the listing says.
    pub content: Content,
    /// Who it is for.
    pub visibility: Option<Visibility>,
    /// The logo, if it is stored.
    pub logo: Option<ImageFacts>,
    /// The screenshots that are stored.
    pub screenshots: Vec<ImageFacts>,
    /// Scopes that the app's products have.
    pub known_scopes: Vec<String>,
    /// What came of asking the listing's addresses.
    pub probes: BTreeMap<String, Probe>,
    /// What the webhook endpoint did; none where it is not registered or gave no address.
    pub webhook: Option<WebhookProbe>,
    /// Gateway traffic.
    pub traffic: Traffic,
    /// Titles of agreements that are not accepted.
    pub outstanding_agreements: Vec<String>,
    /// Whether the app has a live subscription.
    pub has_live_subscription: bool,
    /// Whether the app has an OAuth client for customers.
    pub has_live_client: bool,
    /// Whether another published app has this name.
    pub is_name_taken: bool,
    /// Whether the organisation or the app is suspended.
    pub is_suspended: bool,
    /// No address was asked: rules about answers say nothing.
    pub is_unasked: bool,
    /// Addresses on this machine count as public: development.
    pub allows_loopback: bool,
}
