//! Deliveries of events: kept per tenant, signed when they are sent, retried on the tenant's clock.

use super::signature::{is_secret, made_secret, sign};
use super::{Happening, follow, happen};
use crate::control::{Tenant, in_words};
use crate::json::{Value, object, read};
use crate::mock::{Call, Context, Mock};
use crate::random::Random;
use crate::request::Request;
use crate::state::Store;

/// How many deliveries a tenant has listed.
const MOST: usize = 50;
const MOST_ENDPOINTS: usize = 10;
const LONGEST_BODY: usize = 64 * 1024;
/// Seconds from each attempt to the next, as the Standard Webhooks specification proposes.
const PAUSES_SECS: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// A request that the host is to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Which delivery it is an attempt of.
    pub delivery: String,
    /// In capitals.
    pub method: String,
    /// `http` or `https`; the host decides which addresses it connects to.
    pub url: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Checks a list of endpoints, and says which one is wrong.
pub(crate) fn check_endpoints(value: &Value) -> Result<(), String> {
    let entries = value.as_array().ok_or("must be a list of endpoints")?;
    if entries.len() > MOST_ENDPOINTS {
        return Err(format!("must have at most {MOST_ENDPOINTS} endpoints"));
    }
    for (place, entry) in entries.iter().enumerate() {
        let members = entry
            .as_object()
            .ok_or_else(|| format!("/{place} must be an object"))?;
        for (name, value) in members {
            let problem = match (name.as_str(), value) {
                ("url", Value::String(url)) if is_url(url) => continue,
                ("url", _) => "url: must begin with http:// or https:// and name a host",
                ("secret", Value::String(secret)) if is_secret(secret) => continue,
                ("secret", _) => "secret: must be whsec_ and base64 of 24 to 64 bytes",
                ("events", Value::Array(names))
                    if names.iter().all(|name| name.as_str().is_some()) =>
                {
                    continue;
                }
                ("events", _) => "events: must be a list of names",
                _ => "has a member that is not known; there are url, secret and events",
            };
            return Err(format!("/{place} {problem}"));
        }
        if entry.get("url").is_none() {
            return Err(format!("/{place} url: is missing"));
        }
    }
    Ok(())
}

fn is_url(url: &str) -> bool {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']))
        && url.len() <= 2_000
        && url.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The endpoints with the secret of each.
pub(crate) fn endpoints(tenant: &Tenant, context: &Context) -> Value {
    let set = tenant.settings.get("webhooks").and_then(Value::as_array);
    let with_secret = |entry: &Value| {
        let mut entry = entry.clone();
        if entry.get("secret").is_none() {
            let url = entry
                .get("url")
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned();
            entry.set(
                "secret",
                Value::from(made_secret(context.seed, &context.tenant, &url)),
            );
        }
        entry
    };
    Value::Array(set.unwrap_or_default().iter().map(with_secret).collect())
}

async fn load<S: Store>(store: &mut S, tenant: &Tenant) -> Vec<Value> {
    let stored = store.read(&tenant.deliveries_key()).await;
    match stored.and_then(|bytes| read(&bytes).ok()) {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    }
}

async fn save<S: Store>(store: &mut S, tenant: &Tenant, deliveries: Vec<Value>) {
    let bytes = Value::Array(deliveries).to_string().into_bytes();
    store.write(&tenant.deliveries_key(), bytes).await;
}

/// Notes the deliveries that follow a call, and names them.
pub(crate) async fn set_off<S: Store>(
    mock: &Mock,
    (call, request, answer): (&Call<'_>, &Request<'_>, Option<&Value>),
    store: &mut S,
    context: &Context,
    tenant: &Tenant,
    number: u64,
) -> Vec<String> {
    if mock.api.events.is_empty() {
        return Vec::new();
    }
    let happened = follow(&mock.api, call, request, answer, context, number);
    if happened.is_empty() {
        return Vec::new();
    }
    address(happened, store, context, tenant, number).await
}

/// Notes the deliveries of an event that somebody asked for by name.
pub(crate) async fn trigger<S: Store>(
    mock: &Mock,
    name: &str,
    subject: Option<&Value>,
    store: &mut S,
    context: &Context,
    tenant: &Tenant,
    number: u64,
) -> Option<Vec<String>> {
    let event = mock
        .api
        .events
        .iter()
        .find(|event| event.name == name && event.callback.is_none())?;
    let happening = happen(&mock.api, event, subject, context, number, None)?;
    Some(address(vec![happening], store, context, tenant, number).await)
}

async fn address<S: Store>(
    happened: Vec<Happening>,
    store: &mut S,
    context: &Context,
    tenant: &Tenant,
    number: u64,
) -> Vec<String> {
    let endpoints = endpoints(tenant, context);
    let endpoints = endpoints.as_array().unwrap_or_default();
    let text = |entry: &Value, name: &str| {
        let text = entry.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let mut deliveries = load(store, tenant).await;
    let mut ids = Vec::new();
    for happening in happened {
        if happening.body.len() > LONGEST_BODY {
            continue;
        }
        let wants = |entry: &&Value| {
            let events = entry.get("events").and_then(Value::as_array);
            events.is_none_or(|events| {
                events
                    .iter()
                    .any(|event| event.as_str() == Some(happening.name.as_str()))
            })
        };
        let targets: Vec<(String, String)> = match &happening.url {
            Some(url) => vec![(url.clone(), made_secret(context.seed, &context.tenant, url))],
            None => endpoints
                .iter()
                .filter(wants)
                .map(|entry| (text(entry, "url"), text(entry, "secret")))
                .collect(),
        };
        for (url, secret) in targets {
            let mut random = Random::for_parts(
                context.seed,
                &[
                    &context.tenant,
                    &happening.name,
                    &url,
                    &number.to_string(),
                    &deliveries.len().to_string(),
                ],
            );
            let id = format!("msg_{:016x}", random.next());
            deliveries.push(object([
                ("id", Value::from(id.as_str())),
                ("event", Value::from(happening.name.as_str())),
                ("method", Value::from(happening.method.as_str())),
                ("url", Value::from(url)),
                ("secret", Value::from(secret)),
                ("content_type", Value::from(happening.content_type.as_str())),
                ("body", Value::from(happening.body.as_str())),
                ("state", Value::from("pending")),
                ("next_at_ms", Value::Int(context.now_ms)),
                ("attempts", Value::Array(Vec::new())),
            ]));
            ids.push(id);
        }
    }
    let surplus = deliveries.len().saturating_sub(MOST);
    deliveries.drain(..surplus);
    if !ids.is_empty() {
        save(store, tenant, deliveries).await;
    }
    ids
}

/// How many deliveries there are.
pub(crate) async fn count<S: Store>(store: &mut S, tenant: &Tenant) -> u64 {
    load(store, tenant).await.len() as u64
}

/// The deliveries as they are listed, the newest first; secrets are told with the endpoints.
pub(crate) async fn list<S: Store>(store: &mut S, tenant: &Tenant) -> Value {
    let deliveries = load(store, tenant).await;
    let shown = |delivery: &Value| {
        let members = delivery.as_object().unwrap_or_default();
        let kept = members.iter().filter(|(name, _)| name != "secret");
        let kept = kept.map(|(name, value)| match (name.as_str(), value) {
            ("next_at_ms", Value::Int(ms)) => ("next_at".to_owned(), in_words(*ms)),
            _ => (name.clone(), value.clone()),
        });
        Value::Object(kept.collect())
    };
    Value::Array(deliveries.iter().rev().map(shown).collect())
}

fn pending_at(delivery: &Value) -> Option<i64> {
    let state = delivery.get("state").and_then(Value::as_str);
    (state == Some("pending"))
        .then(|| delivery.get("next_at_ms").and_then(Value::as_i64))
        .flatten()
}

/// Whether anything waits to be sent, now or later.
pub async fn has_deliveries<S: Store>(store: &mut S, context: &Context) -> bool {
    let tenant = Tenant::load(store, context).await;
    let deliveries = load(store, &tenant).await;
    deliveries
        .iter()
        .any(|delivery| pending_at(delivery).is_some())
}

/// What is to be sent now. `context.now_ms` is the wall clock: attempts are due by the tenant's clock, and signed
/// with the time at which they really go, because receivers check it.
pub async fn due<S: Store>(store: &mut S, context: &Context) -> Vec<Outgoing> {
    let tenant = Tenant::load(store, context).await;
    let now_ms = context.now_ms.saturating_add(tenant.ahead_ms);
    let deliveries = load(store, &tenant).await;
    let is_due = |delivery: &&Value| pending_at(delivery).is_some_and(|at| at <= now_ms);
    deliveries
        .iter()
        .filter(is_due)
        .map(|delivery| {
            let text = |name: &str| {
                let text = delivery.get(name).and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            let (id, body) = (text("id"), text("body"));
            let timestamp = context.now_ms.div_euclid(1_000);
            let mut headers = vec![
                ("webhook-id".to_owned(), id.clone()),
                ("webhook-timestamp".to_owned(), timestamp.to_string()),
                (
                    "webhook-signature".to_owned(),
                    sign(&text("secret"), &id, timestamp, &body),
                ),
            ];
            let content_type = text("content_type");
            if !content_type.is_empty() {
                headers.push(("content-type".to_owned(), content_type));
            }
            Outgoing {
                delivery: id,
                method: text("method"),
                url: text("url"),
                headers,
                body: body.into_bytes(),
            }
        })
        .collect()
}

/// Notes how an attempt ended: the status, or why there was none.
pub async fn settle<S: Store>(
    store: &mut S,
    context: &Context,
    id: &str,
    outcome: Result<u16, String>,
) {
    let tenant = Tenant::load(store, context).await;
    let mut deliveries = load(store, &tenant).await;
    let found = deliveries
        .iter_mut()
        .find(|delivery| delivery.get("id").and_then(Value::as_str) == Some(id));
    let Some(delivery) = found else { return };
    let due_ms = pending_at(delivery).unwrap_or(context.now_ms);
    let mut attempts = delivery
        .get("attempts")
        .and_then(Value::as_array)
        .unwrap_or_default()
        .to_vec();
    let mut attempt = object([("at", in_words(due_ms))]);
    let delivered = matches!(outcome, Ok(200..=299));
    match outcome {
        Ok(status) => attempt.set("status", Value::Int(i64::from(status))),
        Err(reason) => attempt.set("error", Value::from(reason)),
    }
    attempts.push(attempt);
    let pause = PAUSES_SECS.get(attempts.len() - 1);
    let state = match pause {
        _ if delivered => "delivered",
        Some(_) => "pending",
        None => "failed",
    };
    delivery.set("state", Value::from(state));
    delivery.set("attempts", Value::Array(attempts));
    // From the time it was due: a clock that jumps a day goes through every attempt of that day.
    let next = due_ms.saturating_add(pause.copied().unwrap_or(0).saturating_mul(1_000));
    delivery.set("next_at_ms", Value::Int(next));
    save(store, &tenant, deliveries).await;
}
