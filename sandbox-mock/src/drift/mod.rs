//! Drift: what production really answers, against the document and what the mock would answer.
//!
//! Owns the comparison and the score. An exchange is redacted before it is looked at, so that no report can hold a
//! secret or a person. Reading files and printing is the caller's business.

mod compare;
mod exchange;
mod report;

pub use exchange::{Exchange, ExchangeError, read_exchange};
pub use report::{Difference, Kind, OperationReport, Report};

use crate::json::Value;
use crate::matching::Matched;
use crate::mock::{Context, Mock};
use crate::operation::{Operation, Status};
use crate::request::Request;
use crate::state::NoStore;
use crate::validation::request::{check, is_json};
use compare::{Found, compare_json};

/// Compares exchanges with a mock, one after the other.
pub struct Drift<'m> {
    mock: &'m Mock,
    report: Report,
}

impl<'m> Drift<'m> {
    /// Nothing compared yet.
    pub fn new(mock: &'m Mock) -> Drift<'m> {
        Drift {
            mock,
            report: Report::default(),
        }
    }

    /// Compares one exchange.
    pub fn add(&mut self, exchange: &Exchange) {
        let mut matched = self.mock.routes.find(&exchange.method, &exchange.path);
        if exchange.method == "HEAD" && !matches!(matched, Matched::Operations(..)) {
            matched = self.mock.routes.find("GET", &exchange.path);
        }
        let Matched::Operations(indices, values) = matched else {
            self.report.unknown(&exchange.method, &exchange.path);
            return;
        };
        let operations = &self.mock.api.operations;
        let Some(operation) = indices.iter().find_map(|index| operations.get(*index)) else {
            return;
        };
        let mut differences = self.request_differences(operation, &values, exchange);
        differences.extend(self.response_differences(operation, exchange));
        self.report.add(operation, differences);
    }

    /// The report over all exchanges.
    pub fn finish(mut self) -> Report {
        self.report.count_operations(self.mock.operations().len());
        self.report
    }

    /// A request that production took and the document refuses: something is not declared, or declared too tightly.
    fn request_differences(
        &self,
        operation: &Operation,
        values: &[String],
        exchange: &Exchange,
    ) -> Vec<Difference> {
        if !(200..300).contains(&exchange.status) {
            return Vec::new();
        }
        let request = exchange.request();
        let mut differences = Vec::new();
        if let Err(refusals) = check(&self.mock.api, operation, values, &request) {
            for refusal in refusals {
                // What was redacted cannot be judged by its value.
                if exchange.redacts_value_rule(refusal.rule) {
                    continue;
                }
                differences.push(Difference {
                    kind: Kind::Request,
                    place: format!("request {}", refusal.location),
                    message: format!(
                        "production accepts what the document refuses: {}",
                        refusal.message
                    ),
                });
            }
        }
        let declared = |name: &str| {
            operation.parameters.iter().any(|parameter| {
                let own = parameter.name.trim_end_matches("[]");
                name == parameter.name || name.split('[').next() == Some(own)
            })
        };
        for (name, _) in request.query_pairs() {
            if !declared(&name) && !crate::redaction::is_secret_name(&name) {
                differences.push(Difference {
                    kind: Kind::Request,
                    place: format!("request query {name}"),
                    message: "is sent and not declared".to_owned(),
                });
            }
        }
        differences
    }

    fn response_differences(&self, operation: &Operation, exchange: &Exchange) -> Vec<Difference> {
        let status = exchange.status;
        let exact = |declared: Status| match declared {
            Status::Code(code) => code == status,
            Status::Class(class) => class == status / 100,
            Status::Default => false,
        };
        let is_declared = operation
            .responses
            .iter()
            .any(|response| exact(response.status));
        let Some(declared) = operation.response(status) else {
            return vec![Difference {
                kind: Kind::Status,
                place: format!("response {status}"),
                message: "this status is not declared".to_owned(),
            }];
        };
        let mut differences = Vec::new();
        // `default` covers errors; a success that only it covers is a surprise.
        if !is_declared
            && status < 400
            && operation.success().is_some_and(|(code, _)| code != status)
        {
            differences.push(Difference {
                kind: Kind::Status,
                place: format!("response {status}"),
                message: "this status is not declared".to_owned(),
            });
        }
        for header in declared.headers.iter().filter(|header| header.required) {
            if exchange.response_header(&header.name).is_none() {
                differences.push(Difference {
                    kind: Kind::Header,
                    place: format!("response {status} header {}", header.name),
                    message: "is declared as required and was not sent".to_owned(),
                });
            }
        }
        let Some(body) = &exchange.response_body else {
            return differences;
        };
        let sent = exchange.response_header("content-type").unwrap_or("");
        let sent = crate::validation::request::essence(sent).to_ascii_lowercase();
        let media = declared
            .content
            .iter()
            .find(|media| crate::validation::request::essence(&media.name) == sent)
            .or_else(|| declared.content.iter().find(|media| is_json(&media.name)));
        let Some(media) = media else {
            if !declared.content.is_empty() || !matches!(body, Value::Null) {
                differences.push(Difference {
                    kind: Kind::Header,
                    place: format!("response {status} header content-type"),
                    message: format!("{sent} is not declared"),
                });
            }
            return differences;
        };
        let Some(schema) = media.schema else {
            return differences;
        };
        let found = compare_json(&self.mock.api, schema, body, self.mocked(exchange));
        differences.extend(found.into_iter().map(
            |Found {
                 kind,
                 pointer,
                 message,
             }| Difference {
                kind,
                place: format!("response {status} {pointer}").trim_end().to_owned(),
                message,
            },
        ));
        differences
    }

    /// What the mock answers to the same request with the same status.
    fn mocked(&self, exchange: &Exchange) -> Option<Value> {
        let mut headers = exchange.request_headers.clone();
        headers.push(("prefer".to_owned(), format!("code={}", exchange.status)));
        // The credential is not in the exchange; that it was good is known.
        headers.push(("x-portico-credential".to_owned(), "redacted".to_owned()));
        let request = Request {
            headers: &headers,
            ..exchange.request()
        };
        let context = Context {
            seed: 1,
            tenant: "drift".to_owned(),
            now_ms: 0,
            stateful: false,
        };
        let answer = self.mock.respond_now(request, &mut NoStore, &context);
        (answer.status == exchange.status)
            .then(|| crate::json::read(&answer.body).ok())
            .flatten()
    }
}
