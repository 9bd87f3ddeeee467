//! Scenarios that are bound to a tenant's key, so that they work through clients that can set no header.

use crate::json::Value;
use crate::request::Request;
use crate::scenario::Scenario;

const MOST: usize = 100;

/// A scenario and the calls that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    /// As in `x-portico-scenario`.
    pub(crate) scenario: String,
    /// An `operationId`; absent for every operation.
    operation: Option<String>,
    /// A request header, and the value it must have.
    header: Option<(String, String)>,
}

impl Binding {
    fn read(value: &Value) -> Result<Binding, String> {
        let Some(members) = value.as_object() else {
            return Err("must be an object".to_owned());
        };
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        const KNOWN: [&str; 4] = ["scenario", "operation", "header", "value"];
        for (name, value) in members {
            if !KNOWN.contains(&name.as_str()) {
                return Err(format!(
                    "{name}: is not known; there are {}",
                    KNOWN.join(", ")
                ));
            }
            if value.as_str().is_none_or(str::is_empty) {
                return Err(format!("{name}: must be a text that is not empty"));
            }
        }
        let header = match (text("header"), text("value")) {
            (Some(header), Some(value)) => Some((header, value)),
            (None, None) => None,
            _ => return Err("header: must come together with value".to_owned()),
        };
        Ok(Binding {
            scenario: text("scenario").ok_or("scenario: is missing")?,
            operation: text("operation"),
            header,
        })
    }

    /// Reads a list of bindings, and says which one is wrong.
    pub(crate) fn read_all(value: &Value) -> Result<Vec<Binding>, String> {
        let entries = value.as_array().ok_or("must be a list of scenarios")?;
        if entries.len() > MOST {
            return Err(format!("must have at most {MOST} scenarios"));
        }
        entries
            .iter()
            .enumerate()
            .map(|(place, entry)| {
                Binding::read(entry).map_err(|problem| format!("/{place} {problem}"))
            })
            .collect()
    }

    fn is_for(&self, operation: &str, request: &Request<'_>) -> bool {
        self.operation.as_deref().is_none_or(|own| own == operation)
            && self
                .header
                .as_ref()
                .is_none_or(|(name, value)| request.header(name) == Some(value))
    }
}

/// What the caller asks for: by the request itself, else by the first binding that fits; and who said so.
pub(crate) fn scenario_for(
    bindings: &[Binding],
    operation: &str,
    request: &Request<'_>,
) -> (Scenario, Option<(String, &'static str)>) {
    let asked = Scenario::read(request);
    if asked != Scenario::default() {
        let text = request
            .header("x-portico-scenario")
            .or_else(|| request.header("prefer"))
            .unwrap_or_default();
        return (asked, Some((text.to_owned(), "request")));
    }
    let bound = bindings
        .iter()
        .find(|binding| binding.is_for(operation, request));
    match bound {
        Some(binding) => (
            Scenario::named(&binding.scenario),
            Some((binding.scenario.clone(), "key")),
        ),
        None => (asked, None),
    }
}
