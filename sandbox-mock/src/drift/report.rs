//! What was found, by operation, and the score.

use crate::json::{Value, object};
use crate::operation::Operation;
use std::collections::BTreeMap;

/// What kind of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The method and path are not in the document.
    Operation,
    /// A status that is not declared.
    Status,
    /// A required header or a media type.
    Header,
    /// A required member is not sent.
    Missing,
    /// A member has another type.
    Type,
    /// A value is none of those declared.
    Enum,
    /// A member that is not declared.
    New,
    /// Another rule of the schema is broken.
    Value,
    /// A request that production takes and the document refuses or does not know.
    Request,
    /// A member that the mock shows and production did not send: optional, so it costs no point.
    MockOnly,
}

impl Kind {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Operation => "unknown_operation",
            Kind::Status => "status",
            Kind::Header => "header",
            Kind::Missing => "missing_member",
            Kind::Type => "type",
            Kind::Enum => "enum",
            Kind::New => "new_member",
            Kind::Value => "value",
            Kind::Request => "request",
            Kind::MockOnly => "only_in_mock",
        }
    }

    /// Whether it says that the document is wrong.
    pub fn counts(self) -> bool {
        self != Kind::MockOnly
    }
}

/// One difference in one exchange.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// What kind.
    pub kind: Kind,
    /// Where: `response 200 /data/*/id`.
    pub place: String,
    /// What, in words.
    pub message: String,
}

/// What was found about one operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OperationReport {
    /// `GET /v1/orders`.
    pub route: String,
    /// How many exchanges there were.
    pub exchanges: u64,
    /// How many had no difference that counts.
    pub faithful: u64,
    /// The differences, and in how many exchanges each was.
    pub differences: BTreeMap<Difference, u64>,
}

impl OperationReport {
    /// The share of faithful exchanges, in percent.
    pub fn score(&self) -> f64 {
        share(self.faithful, self.exchanges)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 100.0;
    }
    (part as f64 / whole as f64 * 10_000.0).round() / 100.0
}

/// The whole report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// By `operationId`; what the document does not have, by method and path.
    pub operations: BTreeMap<String, OperationReport>,
    /// How many operations the document has.
    pub declared: usize,
}

impl Report {
    pub(super) fn add(&mut self, operation: &Operation, differences: Vec<Difference>) {
        let report = self.operations.entry(operation.id.clone()).or_default();
        report.route = format!("{} {}", operation.method, operation.path);
        report.note(differences);
    }

    pub(super) fn unknown(&mut self, method: &str, path: &str) {
        // A bounded number of names, whatever a trace holds.
        let known = self.operations.len() < self.declared.max(1_000) + 1_000;
        let name = if known {
            format!("{method} {path}")
        } else {
            "others".to_owned()
        };
        let report = self.operations.entry(name.clone()).or_default();
        report.route = name;
        report.note(vec![Difference {
            kind: Kind::Operation,
            place: "request".to_owned(),
            message: "is not in the document".to_owned(),
        }]);
    }

    pub(super) fn count_operations(&mut self, declared: usize) {
        self.declared = declared;
    }

    /// How many exchanges were compared.
    pub fn exchanges(&self) -> u64 {
        self.operations
            .values()
            .map(|operation| operation.exchanges)
            .sum()
    }

    /// The share of faithful exchanges, in percent.
    pub fn score(&self) -> f64 {
        let faithful = self
            .operations
            .values()
            .map(|operation| operation.faithful)
            .sum();
        share(faithful, self.exchanges())
    }

    /// The report for programs.
    pub fn to_json(&self) -> Value {
        let count = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let operations = self.operations.iter().map(|(id, operation)| {
            let differences = operation.differences.iter().map(|(difference, times)| {
                object([
                    ("kind", Value::from(difference.kind.word())),
                    ("place", Value::from(difference.place.as_str())),
                    ("message", Value::from(difference.message.as_str())),
                    ("exchanges", count(*times)),
                    ("counts", Value::Bool(difference.kind.counts())),
                ])
            });
            object([
                ("operation", Value::from(id.as_str())),
                ("route", Value::from(operation.route.as_str())),
                ("exchanges", count(operation.exchanges)),
                ("faithful", count(operation.faithful)),
                ("fidelity", Value::Float(operation.score())),
                ("differences", Value::Array(differences.collect())),
            ])
        });
        let seen = self
            .operations
            .values()
            .filter(|operation| {
                let unknown = |difference: &Difference| difference.kind == Kind::Operation;
                !operation.differences.keys().any(unknown)
            })
            .count();
        object([
            ("fidelity", Value::Float(self.score())),
            ("exchanges", count(self.exchanges())),
            ("operations_declared", count(self.declared as u64)),
            ("operations_seen", count(seen as u64)),
            ("operations", Value::Array(operations.collect())),
        ])
    }
}

impl OperationReport {
    fn note(&mut self, differences: Vec<Difference>) {
        self.exchanges += 1;
        if !differences
            .iter()
            .any(|difference| difference.kind.counts())
        {
            self.faithful += 1;
        }
        let mut told: Vec<Difference> = Vec::new();
        for difference in differences {
            if !told.contains(&difference) {
                told.push(difference.clone());
                *self.differences.entry(difference).or_default() += 1;
            }
        }
    }
}
