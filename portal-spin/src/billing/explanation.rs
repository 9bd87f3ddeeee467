//! A rated line in words and as a table, so that a partner can redo it by hand.
//!
//! Owns the formula's text and the JSON breakdown; computes nothing.

use super::decimal::plain;
use super::price::Price;
use super::rating::{Commitment, Part, PartKind, RatedLine, TierRange};
use bigdecimal::Zero;
use serde::Serialize;

/// The breakdown of a rated line, as invoices and `portico rate --explain` show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breakdown {
    pub model: &'static str,
    pub quantity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub included_units: Option<String>,
    pub billable: String,
    pub parts: Vec<BreakdownPart>,
    pub subtotal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commitment: Option<&'static str>,
    pub unrounded: String,
    pub formula: String,
}

/// One row: `quantity × unit_amount = amount`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BreakdownPart {
    /// What is counted: `flat`, `units`, `packages`, `share` (of an amount), `events`.
    pub counts: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<usize>,
    /// The tier's range in words: `above 5 up to 10`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    pub quantity: String,
    pub unit_amount: String,
    pub amount: String,
}

/// Explains a line that `price` gave.
pub fn explain(price: &Price, line: &RatedLine) -> Breakdown {
    Breakdown {
        model: price.model().name(),
        quantity: plain(&line.quantity),
        included_units: (!price.included_units().is_zero()).then(|| plain(price.included_units())),
        billable: plain(&line.billable),
        parts: line.parts.iter().map(explain_part).collect(),
        subtotal: plain(&line.subtotal),
        commitment: line.commitment.map(|commitment| match commitment {
            Commitment::Minimum => "minimum",
            Commitment::Maximum => "maximum",
        }),
        unrounded: plain(&line.unrounded),
        formula: formula(price, line),
    }
}

/// The whole computation on one line:
/// `tier 1: 100 + tier 3: 5 × 10 = 150, at most 120 = 120.00 USD`.
pub fn formula(price: &Price, line: &RatedLine) -> String {
    let mut text = String::new();
    if !price.included_units().is_zero() {
        text.push_str(&format!(
            "{} less {} included = {} billable; ",
            plain(&line.quantity),
            plain(price.included_units()),
            plain(&line.billable)
        ));
    }
    let terms: Vec<String> = line.parts.iter().map(term).collect();
    if !terms.is_empty() {
        text.push_str(&terms.join(" + "));
        text.push_str(" = ");
    }
    text.push_str(&plain(&line.subtotal));
    match line.commitment {
        Some(Commitment::Minimum) => {
            text.push_str(&format!(", at least {}", plain(&line.unrounded)))
        }
        Some(Commitment::Maximum) => {
            text.push_str(&format!(", at most {}", plain(&line.unrounded)))
        }
        None => {}
    }
    let amount = line.amount_text();
    let verb = if line.unrounded == line.amount {
        "="
    } else {
        "rounded to"
    };
    text.push_str(&format!(" {verb} {amount} {}", line.currency));
    text
}

fn term(part: &Part) -> String {
    let tier = part
        .tier
        .as_ref()
        .map(|tier| format!("tier {}: ", tier.number))
        .unwrap_or_default();
    let (quantity, amount) = (plain(&part.quantity), plain(&part.unit_amount));
    match part.kind {
        PartKind::Flat => format!("{tier}{amount}"),
        PartKind::Units | PartKind::Share => format!("{tier}{quantity} × {amount}"),
        PartKind::Packages => format!("{quantity} packages × {amount}"),
        PartKind::Events => format!("{quantity} events × {amount}"),
    }
}

fn explain_part(part: &Part) -> BreakdownPart {
    BreakdownPart {
        counts: match part.kind {
            PartKind::Flat => "flat",
            PartKind::Units => "units",
            PartKind::Packages => "packages",
            PartKind::Share => "share",
            PartKind::Events => "events",
        },
        tier: part.tier.as_ref().map(|tier| tier.number),
        range: part.tier.as_ref().map(range),
        quantity: plain(&part.quantity),
        unit_amount: plain(&part.unit_amount),
        amount: plain(&part.amount),
    }
}

fn range(tier: &TierRange) -> String {
    match (&tier.up_to, tier.number) {
        (None, _) => format!("above {}", plain(&tier.above)),
        (Some(bound), 1) => format!("up to {}", plain(bound)),
        (Some(bound), _) => format!("above {} up to {}", plain(&tier.above), plain(bound)),
    }
}
