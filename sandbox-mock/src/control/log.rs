//! The request log of a tenant, and why each answer is as it is.
//!
//! One value per tenant: lines of JSON, the newest last, cut when it grows too long. Bodies, credentials and the
//! values of secret parameters never stand in it.

use super::Tenant;
use crate::json::{Value, object, read};
use crate::operation::Operation;
use crate::response::Problem;
use crate::state::Store;

/// About sixty requests; a thousand tenants then need 16 MB at most.
const LONGEST: usize = 16 * 1024;
const LONGEST_ENTRY: usize = 4 * 1024;

/// What led to an answer.
#[derive(Debug, Default)]
pub(crate) struct Why {
    /// `operationId`, path template and line of the operation.
    pub(crate) operation: Option<(String, String, u32)>,
    /// `answered`, `refused`, `unknown_path`, `replayed`, …
    pub(crate) outcome: &'static str,
    /// Rules that the request broke.
    pub(crate) violations: Vec<Value>,
    /// The media type answered with, and the line of its schema.
    pub(crate) media: Option<(String, Option<u32>)>,
    /// The name of the example.
    pub(crate) example: Option<String>,
    /// The scenario, and where it was asked for.
    pub(crate) scenario: Option<(String, &'static str)>,
    /// Whether a fault chose the status.
    pub(crate) fault: Option<u16>,
    pub(crate) latency_ms: u64,
    /// Webhooks that were set off.
    pub(crate) deliveries: Vec<String>,
}

/// The end of the log: all that is needed to go on with it.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The number of the next request.
    pub(crate) next: u64,
}

fn number_of(line: &str) -> Option<u64> {
    line.split_once('\t')?.0.parse().ok()
}

impl Log {
    pub(crate) async fn load<S: Store>(store: &mut S, tenant: &Tenant) -> Log {
        let line = store.read_last_line(&tenant.log_key()).await;
        let line = line.and_then(|line| String::from_utf8(line).ok());
        let last = line.as_deref().and_then(number_of);
        Log {
            next: last.map_or(1, |last| last + 1),
        }
    }

    pub(crate) async fn append<S: Store>(&self, entry: &Value, store: &mut S, tenant: &Tenant) {
        let mut line = entry.to_string();
        if line.len() > LONGEST_ENTRY {
            line = object([
                ("id", Value::from(self.next_id())),
                ("outcome", Value::from("too long to keep")),
            ])
            .to_string();
        }
        let line = format!("{}\t{line}", self.next);
        store.append_line(&tenant.log_key(), &line, LONGEST).await;
    }

    /// The entries, the newest first.
    pub(crate) async fn entries<S: Store>(store: &mut S, tenant: &Tenant) -> Vec<Value> {
        let bytes = store.read(&tenant.log_key()).await.unwrap_or_default();
        let text = String::from_utf8(bytes).unwrap_or_default();
        let entries = text.lines().rev();
        entries
            .filter_map(|line| read(line.split_once('\t')?.1.as_bytes()).ok())
            .collect()
    }

    pub(crate) fn next_id(&self) -> String {
        format!("req_{}", self.next)
    }
}

impl Why {
    /// Notes an operation that fits the path; the first one stands unless a later one answers.
    pub(crate) fn try_operation(&mut self, operation: &Operation, counts: bool) {
        if counts {
            self.operation = Some((operation.id.clone(), operation.path.clone(), operation.line));
        }
    }

    pub(crate) fn refused_by(&mut self, problem: &Problem) {
        if self.outcome == problem.code && !self.violations.is_empty() {
            return;
        }
        self.outcome = problem.code;
        self.violations.clone_from(&problem.violations);
        if self.violations.is_empty() {
            self.violations
                .push(object([("message", Value::from(problem.message.as_str()))]));
        }
    }

    /// The entry for the log.
    pub(crate) fn entry(
        &self,
        id: &str,
        at_ms: i64,
        (method, target): (&str, String),
        status: u16,
        source: Option<&str>,
    ) -> Value {
        let mut entry = object([
            ("id", Value::from(id)),
            ("at", super::time::in_words(at_ms)),
            ("method", Value::from(method)),
            ("target", Value::from(target)),
            ("status", Value::Int(i64::from(status))),
            ("outcome", Value::from(self.outcome)),
        ]);
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                entry.set(name, value);
            }
        };
        if let Some((operation, template, line)) = &self.operation {
            set("operation", Some(Value::from(operation.as_str())));
            set("template", Some(Value::from(template.as_str())));
            set("line", Some(Value::Int(i64::from(*line))));
        }
        set("source", source.map(Value::from));
        if let Some((media, line)) = &self.media {
            set("media_type", Some(Value::from(media.as_str())));
            set("schema_line", line.map(|line| Value::Int(i64::from(line))));
        }
        set("example", self.example.as_deref().map(Value::from));
        if let Some((scenario, from)) = &self.scenario {
            set("scenario", Some(Value::from(scenario.as_str())));
            set("scenario_from", Some(Value::from(*from)));
        }
        set("fault", self.fault.map(|code| Value::Int(i64::from(code))));
        if self.latency_ms > 0 {
            let ms = i64::try_from(self.latency_ms).unwrap_or(i64::MAX);
            set("latency_ms", Some(Value::Int(ms)));
        }
        if !self.violations.is_empty() {
            set("violations", Some(Value::Array(self.violations.clone())));
        }
        if !self.deliveries.is_empty() {
            let ids = self.deliveries.iter().map(|id| Value::from(id.as_str()));
            set("deliveries", Some(Value::Array(ids.collect())));
        }
        entry
    }
}
