//! Latencies and errors of production in the form that the sandbox takes them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::metering::{self, Behaviour};
use crate::routes::Outcome;
use crate::web::{Failure, response};

/// Fewer calls say little about how an operation behaves.
const FEWEST_CALLS: u64 = 20;
const MOST_HOURS: i64 = 168;

/// What happens to calls of an operation, as `portico mock serve --faults` takes it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FaultView {
    /// The operation.
    pub operation: String,
    /// `[bucket, calls]`, in the buckets of usage cells.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<(usize, u64)>,
    /// The status of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The share of calls that meet it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}

/// A list of them, as a file for the sandbox.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct FaultList(Vec<FaultView>);

/// `GET /api/v1/operator/sandbox-faults?hours=24&environment=live&errors=yes`: a list for the sandbox.
pub async fn list_sandbox_faults(context: &Context) -> Outcome {
    let hours = context.query("hours").unwrap_or_default();
    let hours: i64 = match hours.as_str() {
        "" => 24,
        text => text
            .parse()
            .ok()
            .filter(|hours| (1..=MOST_HOURS).contains(hours))
            .ok_or_else(|| Failure::field("hours", "out_of_range", "From 1 to 168."))?,
    };
    let environment = context.query("environment").unwrap_or_default();
    let environment = match environment.as_str() {
        "" | "live" => "live",
        "test" => "test",
        _ => {
            let detail = "Give `test` or `live`, or leave it out.";
            return Err(Failure::field("environment", "unknown_value", detail));
        }
    };
    let with_errors = context.query("errors").unwrap_or_default() == "yes";
    let since = context.now_ms / 60_000 - hours * 60;
    let behaviour = metering::list_behaviour(&context.connection, environment, since).await?;
    let faults: Vec<FaultView> = behaviour
        .iter()
        .filter(|(_, behaviour)| behaviour.calls >= FEWEST_CALLS)
        .flat_map(|(operation, behaviour)| faults_of(operation, behaviour, with_errors))
        .collect();
    response::ok(&FaultList(faults))
}

fn faults_of(operation: &str, behaviour: &Behaviour, with_errors: bool) -> Vec<FaultView> {
    let buckets = behaviour.latency.iter().copied().enumerate();
    let histogram: Vec<(usize, u64)> = buckets.filter(|(_, calls)| *calls > 0).collect();
    let fault = FaultView {
        operation: operation.to_owned(),
        histogram: Vec::new(),
        status: None,
        rate: None,
    };
    let mut faults = Vec::new();
    if with_errors && behaviour.errors > 0 {
        faults.push(FaultView {
            status: Some(503),
            rate: Some(behaviour.errors as f64 / behaviour.calls as f64),
            ..fault.clone()
        });
    }
    if !histogram.is_empty() {
        faults.push(FaultView { histogram, ..fault });
    }
    faults
}
