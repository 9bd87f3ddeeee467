//! A stored document on paper: as a page that prints, and as CSV.

use serde::Deserialize;

use super::invoice::Document;
use super::period::describe_span;
use super::store::StoredInvoice;
use crate::database::DatabaseError;

/// A stored document, as far as a reader is shown it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ShownDocument {
    pub currency: String,
    /// Empty for UTC.
    pub time_zone: String,
    pub seller: String,
    pub buyer: ShownParty,
    pub lines: Vec<ShownLine>,
    pub subtotal: String,
    pub discounts: Vec<ShownAmount>,
    pub taxes: Vec<ShownAmount>,
    pub total: String,
    pub credit_drawn: String,
    pub amount_due: String,
    /// What may be missing from the quantities.
    pub gaps: Vec<String>,
    /// Of a credit note: the invoice it credits, and why.
    pub credits: String,
    pub reason: String,
}

/// Who pays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ShownParty {
    pub organisation_id: String,
    pub name: String,
    pub address: String,
    pub country: String,
    pub tax_id: String,
}

/// A line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ShownLine {
    pub id: String,
    pub kind: String,
    pub description: String,
    pub app: String,
    pub period: String,
    pub period_start: String,
    pub period_end: String,
    pub proration: String,
    pub quantity: String,
    pub formula: String,
    pub reason: String,
    pub amount: String,
    pub breakdown: ShownBreakdown,
}

/// The parts of a line's amount.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ShownBreakdown {
    pub parts: Vec<ShownPart>,
}

/// `quantity × unit amount = amount`, of a tier.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ShownPart {
    pub counts: String,
    pub range: String,
    pub quantity: String,
    pub unit_amount: String,
    pub amount: String,
}

/// A discount or tax.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ShownAmount {
    #[serde(alias = "code")]
    pub name: String,
    pub formula: String,
    pub amount: String,
}

/// Reads a stored document.
pub fn read_document(invoice: &StoredInvoice) -> Result<ShownDocument, DatabaseError> {
    serde_json::from_str(&invoice.document)
        .map_err(|error| DatabaseError::Shape(format!("a stored document does not parse: {error}")))
}

/// A document that was just composed, as far as a reader is shown it.
pub fn show_document(document: &Document) -> Result<ShownDocument, DatabaseError> {
    serde_json::to_value(document)
        .and_then(serde_json::from_value)
        .map_err(|error| DatabaseError::Shape(format!("a document is not shown: {error}")))
}

impl ShownDocument {
    /// A span in words, in the document's time zone.
    pub fn describe_span(&self, start_ms: i64, end_ms: i64) -> String {
        let zone = match self.time_zone.as_str() {
            "" => "UTC",
            zone => zone,
        };
        // A stored zone is known; should one leave the data, UTC is still true.
        describe_span(start_ms, end_ms, zone)
            .or_else(|_| describe_span(start_ms, end_ms, "UTC"))
            .unwrap_or_default()
    }
}

/// A cell of CSV (RFC 4180). Text that a spreadsheet would run as a formula is quoted off.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '@', '\t', '\r'])
        || text.starts_with('-') && text.parse::<f64>().is_err();
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

/// The document as CSV: a row per line, discount and tax, and the totals.
pub fn to_csv(invoice: &StoredInvoice) -> Result<String, DatabaseError> {
    let document = read_document(invoice)?;
    let mut csv = String::from(
        "number,row,id,description,app,period_start,period_end,proration,quantity,formula,amount,currency\r\n",
    );
    let mut row = |kind: &str, cells: [&str; 8], amount: &str| {
        let mut all = vec![cell(&invoice.view.number), kind.to_owned()];
        all.extend(cells.iter().map(|text| cell(text)));
        all.extend([cell(amount), invoice.view.currency.clone()]);
        csv.push_str(&all.join(","));
        csv.push_str("\r\n");
    };
    for line in &document.lines {
        let formula = if line.reason.is_empty() {
            line.formula.clone()
        } else {
            format!("{} ({})", line.formula, line.reason)
        };
        let cells = [
            line.id.as_str(),
            &line.description,
            &line.app,
            &line.period_start,
            &line.period_end,
            &line.proration,
            &line.quantity,
            &formula,
        ];
        row(&line.kind, cells, &line.amount);
    }
    for (kind, amounts) in [("discount", &document.discounts), ("tax", &document.taxes)] {
        for one in amounts {
            row(
                kind,
                ["", &one.name, "", "", "", "", "", &one.formula],
                &one.amount,
            );
        }
    }
    let blank = |name| ["", name, "", "", "", "", "", ""];
    row("total", blank("Total"), &document.total);
    if !document.credit_drawn.is_empty() {
        row(
            "credit_drawn",
            blank("Credit drawn"),
            &document.credit_drawn,
        );
        row("amount_due", blank("Amount due"), &document.amount_due);
    }
    for gap in &document.gaps {
        row("gap", blank(gap), "");
    }
    Ok(csv)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_run() {
        assert_eq!(cell("-21.00"), "-21.00");
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("-cmd|x"), "'-cmd|x");
        assert_eq!(cell("a \"b\", c"), "\"a \"\"b\"\", c\"");
    }
}
