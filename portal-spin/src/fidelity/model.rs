//! Reports and their score.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::plan::Operation;

use crate::web::FieldError;

/// A document has no more operations than this, and a trace no more calls that it does not have.
const MOST_OPERATIONS: usize = 3_000;
/// How many differences of an operation are kept.
const MOST_DIFFERENCES: usize = 20;
const LONGEST_TEXT: usize = 300;

/// A report as `portico mock drift SPEC --trace FILE --json` prints it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FidelityBody {
    /// The version of the product whose document was compared; the published one without.
    #[serde(default)]
    pub version: Option<i64>,
    /// The share of faithful exchanges in percent; it is calculated anew.
    #[serde(default)]
    pub fidelity: Option<f64>,
    /// How many exchanges were compared; counted anew.
    #[serde(default)]
    pub exchanges: Option<i64>,
    /// How many operations the document has.
    pub operations_declared: i64,
    /// How many of them were called.
    pub operations_seen: i64,
    /// What was found, by operation.
    pub operations: Vec<OperationBody>,
}

/// What was found about one operation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationBody {
    /// `operationId`, or method and path of a call that the document does not have.
    pub operation: String,
    /// Method and path.
    pub route: String,
    /// How many exchanges were compared.
    pub exchanges: i64,
    /// How many of them were as the document says.
    pub faithful: i64,
    /// Their share in percent; it is calculated anew.
    #[serde(default, skip_serializing)]
    pub fidelity: Option<f64>,
    /// How they differed.
    pub differences: Vec<Difference>,
}

/// One way in which production differs from the document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// `missing_member`, `new_member`, `type`, `enum`, `value`, `status`, `header`, `request`,
    /// `unknown_operation` or `only_in_mock`.
    pub kind: String,
    /// Where.
    pub place: String,
    /// What.
    pub message: String,
    /// In how many exchanges.
    pub exchanges: i64,
    /// Whether it costs fidelity.
    pub counts: bool,
}

/// What is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    pub operations_declared: i64,
    pub operations_seen: i64,
    pub operations: Vec<OperationBody>,
}

/// How far the sandbox mirrors production.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FidelityView {
    /// The version of the product that was compared.
    pub version: i64,
    /// When the report came.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub reported_at: i64,
    /// The share of faithful exchanges, in percent.
    pub fidelity: f64,
    /// How many exchanges were compared.
    pub exchanges: i64,
    /// How many operations the document has.
    pub operations_declared: i64,
    /// How many of them were called.
    pub operations_seen: i64,
    /// By operation, the least faithful first.
    pub operations: Vec<OperationView>,
}

/// How far one operation mirrors production.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "OperationFidelity")]
pub struct OperationView {
    /// `operationId`.
    pub operation: String,
    /// Method and path.
    pub route: String,
    /// The share of faithful exchanges, in percent.
    pub fidelity: f64,
    /// How many exchanges were compared.
    pub exchanges: i64,
    /// How they differed.
    pub differences: Vec<Difference>,
}

impl OperationView {
    /// The share as people read it.
    pub fn percent(&self) -> String {
        percent(self.fidelity)
    }
}

impl FidelityView {
    /// The share as people read it.
    pub fn percent(&self) -> String {
        percent(self.fidelity)
    }

    /// When the report came, as people read it.
    pub fn reported(&self) -> String {
        crate::encoding::readable_time(self.reported_at)
    }

    /// What was found about an operation.
    pub fn operation(&self, name: &str) -> Option<&OperationView> {
        self.operations.iter().find(|row| row.operation == name)
    }
}

fn percent(share: f64) -> String {
    format!("{share:.2} %")
}

fn share(faithful: i64, exchanges: i64) -> f64 {
    if exchanges == 0 {
        return 100.0;
    }
    // Two digits, never rounded up to a hundred that it is not.
    (faithful as f64 / exchanges as f64 * 10_000.0).floor() / 100.0
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

impl Report {
    /// Checks a report and takes what is kept of it.
    pub fn read(body: &FidelityBody) -> Result<Report, Vec<FieldError>> {
        let mut problems = Vec::new();
        let mut wrong = |field: String, detail: &str| {
            problems.push(FieldError {
                field,
                code: "out_of_range".to_owned(),
                detail: detail.to_owned(),
            });
        };
        if body.operations.len() > MOST_OPERATIONS {
            wrong("operations".to_owned(), "At most 3 000 operations.");
        }
        if body.operations_declared < 0 || body.operations_seen < 0 {
            wrong("operations_declared".to_owned(), "A number from 0.");
        }
        for (place, row) in body.operations.iter().enumerate().take(MOST_OPERATIONS) {
            // Sums of them must not overflow.
            if !(0..=1_000_000_000_000).contains(&row.exchanges) {
                wrong(format!("operations.{place}.exchanges"), "A number from 0.");
            }
            if !(0..=row.exchanges).contains(&row.faithful) {
                wrong(
                    format!("operations.{place}.faithful"),
                    "A number from 0 to the exchanges of the operation.",
                );
            }
        }
        problems.truncate(20);
        if !problems.is_empty() {
            return Err(problems);
        }
        let operations = body.operations.iter().map(|row| OperationBody {
            operation: shortened(&row.operation),
            route: shortened(&row.route),
            exchanges: row.exchanges,
            faithful: row.faithful,
            fidelity: None,
            differences: row
                .differences
                .iter()
                .take(MOST_DIFFERENCES)
                .map(kept)
                .collect(),
        });
        Ok(Report {
            operations_declared: body.operations_declared,
            operations_seen: body.operations_seen,
            operations: operations.collect(),
        })
    }

    /// The report as it is shown; partners see the operations of their product only.
    pub fn view(
        &self,
        version: i64,
        reported_at: i64,
        of_product: Option<&[Operation]>,
    ) -> FidelityView {
        let is_shown = |row: &&OperationBody| {
            of_product.is_none_or(|known| known.iter().any(|known| known.name == row.operation))
        };
        let shown: Vec<&OperationBody> = self.operations.iter().filter(is_shown).collect();
        let sum = |count: fn(&OperationBody) -> i64| shown.iter().map(|row| count(row)).sum();
        let exchanges: i64 = sum(|row| row.exchanges);
        let faithful: i64 = sum(|row| row.faithful);
        let mut operations: Vec<OperationView> = shown
            .iter()
            .map(|row| OperationView {
                operation: row.operation.clone(),
                route: row.route.clone(),
                fidelity: share(row.faithful, row.exchanges),
                exchanges: row.exchanges,
                differences: row.differences.clone(),
            })
            .collect();
        operations.sort_by(|a, b| {
            (a.fidelity.total_cmp(&b.fidelity)).then_with(|| a.operation.cmp(&b.operation))
        });
        let count = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
        FidelityView {
            version,
            reported_at,
            fidelity: share(faithful, exchanges),
            exchanges,
            operations_declared: of_product
                .map_or(self.operations_declared, |known| count(known.len())),
            operations_seen: of_product.map_or(self.operations_seen, |_| count(shown.len())),
            operations,
        }
    }
}

fn kept(difference: &Difference) -> Difference {
    Difference {
        kind: shortened(&difference.kind),
        place: shortened(&difference.place),
        message: shortened(&difference.message),
        exchanges: difference.exchanges,
        counts: difference.counts,
    }
}
