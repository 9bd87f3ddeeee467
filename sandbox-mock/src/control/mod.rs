//! The sandbox's own paths, below `/.portico/`: what a tenant can see and set of its sandbox.
//!
//! Owns the routes and what is kept per tenant besides the items: the request log with the reasons, the clock,
//! faults, bound scenarios, snapshots. README.md describes every path. What items are is `state`'s business.

mod binding;
mod fault;
mod log;
mod seed;
mod snapshot;
mod tenant;
mod time;

pub(crate) use binding::scenario_for;
pub(crate) use fault::{Fault, LONGEST_MS, draw};
pub(crate) use log::{Log, Why};
pub(crate) use tenant::Tenant;
pub(crate) use time::{expired, in_words};

use crate::events::delivery;
use crate::json::{Value, object, read};
use crate::mock::{Context, Mock, plain};
use crate::request::Request;
use crate::response::Response;
use crate::state::Store;
use binding::Binding;

/// How long the host is to hold the answer back, in milliseconds.
pub const LATENCY_HEADER: &str = "x-portico-mock-latency";

const PREFIX: &str = "/.portico/";
/// Further than this a clock is not moved: about a hundred years.
const FURTHEST_MS: i64 = 100 * 366 * 86_400_000;

/// The path below the prefix, when it is one of the sandbox's own.
pub(crate) fn path_of(path: &str) -> Option<&str> {
    path.strip_prefix(PREFIX)
}

/// What goes wrong here, before it is worded.
struct Mistake {
    status: u16,
    code: &'static str,
    message: String,
}

impl Mistake {
    fn invalid(message: impl Into<String>) -> Mistake {
        Mistake {
            status: 422,
            code: "invalid_body",
            message: message.into(),
        }
    }
}

/// Answers a request for one of the sandbox's own paths.
pub(crate) async fn serve<S: Store>(
    mock: &Mock,
    path: &str,
    request: &Request<'_>,
    store: &mut S,
    context: &Context,
    tenant: &mut Tenant,
) -> Response {
    match route(mock, path, request, store, context, tenant).await {
        Ok(Value::Null) => Response {
            status: 204,
            headers: Vec::new(),
            body: Vec::new(),
        },
        Ok(value) => Response {
            status: 200,
            headers: Vec::new(),
            body: value.to_string().into_bytes(),
        }
        .with("content-type", "application/json"),
        Err(mistake) => plain(mistake.status, mistake.code, &mistake.message),
    }
}

async fn route<S: Store>(
    mock: &Mock,
    path: &str,
    request: &Request<'_>,
    store: &mut S,
    context: &Context,
    tenant: &mut Tenant,
) -> Result<Value, Mistake> {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match (request.method, parts.as_slice()) {
        ("GET" | "HEAD", ["requests"]) => requests(request, store, tenant).await,
        ("GET" | "HEAD", ["requests", id]) => explanation(Some(id), store, tenant).await,
        ("GET" | "HEAD", ["why"]) => explanation(None, store, tenant).await,
        ("DELETE", ["requests"]) => {
            store.remove(&tenant.log_key()).await;
            Ok(Value::Null)
        }
        ("POST", ["reset"]) => {
            tenant.forget(store).await;
            Ok(Value::Null)
        }
        ("POST", ["seed"]) => seed::seed(mock, &body(request)?, store, context, tenant).await,
        ("GET" | "HEAD", ["snapshot"]) => Ok(snapshot::take(store, tenant).await),
        ("PUT", ["snapshot"]) => {
            snapshot::restore(&body(request)?, store, context, tenant).await?;
            Ok(Value::Null)
        }
        ("GET" | "HEAD", ["clock"]) => Ok(clock(context, tenant)),
        ("PUT", ["clock"]) => {
            let sent = body(request)?;
            let now = sent.get("now").and_then(Value::as_str);
            let now_ms = now.and_then(time::read_time).ok_or_else(|| {
                Mistake::invalid("now: must be a time such as 2026-01-31T12:00:00Z")
            })?;
            move_clock(tenant, now_ms.saturating_sub(context.now_ms))?;
            Ok(clock(context, tenant))
        }
        ("POST", ["clock", "advance"]) => {
            let sent = body(request)?;
            let seconds = sent.get("seconds").and_then(Value::as_i64);
            let seconds = seconds
                .filter(|seconds| *seconds > 0)
                .ok_or_else(|| Mistake::invalid("seconds: must be a whole number above 0"))?;
            let by_ms = seconds.saturating_mul(1_000);
            move_clock(tenant, tenant.ahead_ms.saturating_add(by_ms))?;
            Ok(clock(context, tenant))
        }
        ("DELETE", ["clock"]) => {
            tenant.set_ahead(0);
            Ok(Value::Null)
        }
        (method, [setting @ ("faults" | "scenarios" | "webhooks")]) => {
            set_or_show(method, setting, request, context, tenant)
        }
        ("GET" | "HEAD", ["deliveries"]) => Ok(object([(
            "deliveries",
            delivery::list(store, tenant).await,
        )])),
        ("POST", ["events", name]) => trigger(mock, name, request, store, context, tenant).await,
        _ => Err(Mistake {
            status: 404,
            code: "unknown_path",
            message: format!(
                "{} {PREFIX}{path} is not a path of the sandbox. There are GET requests, requests/{{id}}, why, snapshot, clock, faults, scenarios, webhooks, deliveries; POST reset, seed, clock/advance, events/{{name}}; PUT snapshot, clock, faults, scenarios, webhooks; DELETE requests, clock, faults, scenarios, webhooks.",
                request.method
            ),
        }),
    }
}

fn body(request: &Request<'_>) -> Result<Value, Mistake> {
    read(request.body).map_err(|error| Mistake {
        status: 400,
        code: "malformed_body",
        message: format!(
            "The body is not JSON: line {}: {}.",
            error.line, error.reason
        ),
    })
}

async fn requests<S: Store>(
    request: &Request<'_>,
    store: &mut S,
    tenant: &Tenant,
) -> Result<Value, Mistake> {
    let pairs = request.query_pairs();
    let limit = match pairs.iter().find(|(name, _)| name == "limit") {
        None => 20,
        Some((_, text)) => text
            .parse()
            .ok()
            .filter(|limit| *limit > 0)
            .ok_or_else(|| Mistake::invalid("limit: must be a whole number above 0"))?,
    };
    let entries = Log::entries(store, tenant).await;
    Ok(object([(
        "requests",
        Value::Array(entries.into_iter().take(limit).collect()),
    )]))
}

async fn explanation<S: Store>(
    id: Option<&str>,
    store: &mut S,
    tenant: &Tenant,
) -> Result<Value, Mistake> {
    let entries = Log::entries(store, tenant).await;
    let wanted =
        |entry: &Value| id.is_none_or(|id| entry.get("id").and_then(Value::as_str) == Some(id));
    let found = entries.into_iter().find(wanted);
    found.ok_or_else(|| Mistake {
        status: 404,
        code: "not_found",
        message: "There is no such request in the log, or no longer.".to_owned(),
    })
}

fn clock(context: &Context, tenant: &Tenant) -> Value {
    let now_ms = context.now_ms.saturating_add(tenant.ahead_ms);
    object([
        ("now", in_words(now_ms)),
        ("ahead_secs", Value::Int(tenant.ahead_ms.div_euclid(1_000))),
    ])
}

fn move_clock(tenant: &mut Tenant, ahead_ms: i64) -> Result<(), Mistake> {
    if !(tenant.ahead_ms..=FURTHEST_MS).contains(&ahead_ms) {
        return Err(Mistake::invalid(
            "The clock goes forward only, and at most a hundred years; DELETE /.portico/clock sets it right again.",
        ));
    }
    tenant.set_ahead(ahead_ms);
    Ok(())
}

/// Sends an event that the document declares to the endpoints, about what the body holds.
async fn trigger<S: Store>(
    mock: &Mock,
    name: &str,
    request: &Request<'_>,
    store: &mut S,
    context: &Context,
    tenant: &Tenant,
) -> Result<Value, Mistake> {
    let subject = match request.body {
        [] => None,
        _ => Some(body(request)?),
    };
    let name = crate::text::percent_decode(name);
    let now = Context {
        now_ms: context.now_ms.saturating_add(tenant.ahead_ms),
        ..context.clone()
    };
    let number = delivery::count(store, tenant).await;
    let subject = subject.as_ref();
    let ids = delivery::trigger(mock, &name, subject, store, &now, tenant, number).await;
    let ids = ids.ok_or_else(|| {
        let events = mock.api.events.iter();
        let known: Vec<&str> = events
            .filter(|event| event.callback.is_none())
            .map(|event| event.name.as_str())
            .collect();
        Mistake {
            status: 404,
            code: "not_found",
            message: format!(
                "{name} is no webhook of the document; there are {}.",
                known.join(", ")
            ),
        }
    })?;
    let ids = ids.into_iter().map(Value::from).collect();
    Ok(object([("deliveries", Value::Array(ids))]))
}

fn set_or_show(
    method: &str,
    setting: &str,
    request: &Request<'_>,
    context: &Context,
    tenant: &mut Tenant,
) -> Result<Value, Mistake> {
    match method {
        "GET" | "HEAD" => {}
        "DELETE" => {
            tenant.set(setting, Value::Array(Vec::new()));
            return Ok(Value::Null);
        }
        "PUT" => {
            let value = body(request)?;
            match setting {
                "faults" => Fault::read_all(&value).map(drop),
                "webhooks" => delivery::check_endpoints(&value),
                _ => Binding::read_all(&value).map(drop),
            }
            .map_err(Mistake::invalid)?;
            tenant.set(setting, value);
        }
        _ => {
            return Err(Mistake {
                status: 405,
                code: "method_not_allowed",
                message: format!("{PREFIX}{setting} has GET, PUT and DELETE."),
            });
        }
    }
    if setting == "webhooks" {
        return Ok(delivery::endpoints(tenant, context));
    }
    let set = tenant.settings.get(setting).cloned();
    Ok(set.unwrap_or(Value::Array(Vec::new())))
}
