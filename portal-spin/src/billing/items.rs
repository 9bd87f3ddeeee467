//! What is owed for a part of a period, and the line it becomes: the amount owed less what was billed
//! for the same part before.
//!
//! Because every line is a difference of two ratings of the whole, what is billed for a part sums to
//! rating it once, whatever arrived late and however often the plan changed. Pure: an item carries all
//! that its line is computed from, so an invoice can be redone from its items, byte for byte.

use bigdecimal::Zero;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::money::{Currency, Money};

use super::decimal::{Decimal, parse_decimal, plain, round_half_up};
use super::explanation::{Breakdown, explain};
use super::part_price::price_for_part;
use super::price::{FieldProblem, Price};
use super::proration::Fraction;
use super::rating::{Usage, rate, to_money};

/// Names what is owed: at most one item of an invoice has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemKey {
    pub subscription_id: String,
    pub plan_id: String,
    /// The charge's name.
    pub charge: String,
    /// Where the part begins; 0 for what is charged once.
    pub start_ms: i64,
}

/// What an item is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Owed {
    Recurring {
        amount: String,
    },
    OneOff {
        amount: String,
    },
    Usage {
        price: Value,
        quantity: String,
        events: u64,
        counts: String,
    },
}

/// Something owed, with all that its line needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub key: ItemKey,
    pub app: String,
    pub product: String,
    pub plan: String,
    pub currency: Currency,
    pub owed: Owed,
    /// The whole period, Unix milliseconds.
    pub period: (i64, i64),
    /// The part of it that was served.
    pub served: (i64, i64),
    pub period_words: String,
    /// The time zone of the period; absent in invoices from when there was only this one.
    #[serde(default = "utc", skip_serializing_if = "is_utc")]
    pub time_zone: String,
    pub fraction: Fraction,
    pub is_trial: bool,
    /// Whether a part that was billed and then not served is given back.
    pub refunds: bool,
    /// What was billed for the same key before.
    pub billed: Option<Billed>,
}

/// What was billed for a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Billed {
    pub amount_minor: i64,
    /// The quantity that amount was for; empty where none is.
    pub quantity: String,
    /// The newest invoice that billed it; empty where the amount was nothing.
    pub invoice: String,
}

/// What an item comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Rated {
    /// The whole amount owed for the key.
    pub owed_minor: i64,
    pub breakdown: Option<Breakdown>,
    pub formula: String,
}

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// `inl_…`
    pub id: String,
    /// `charge`, `adjustment` (of something billed before) or `credit`.
    pub kind: &'static str,
    pub description: String,
    pub app: String,
    pub product: String,
    pub plan: String,
    pub charge: String,
    pub subscription_id: String,
    pub plan_id: String,
    /// The part that was served, in words.
    pub period: String,
    pub period_start: String,
    pub period_end: String,
    pub proration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<String>,
    /// How the amount follows; redo it by hand.
    pub formula: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breakdown: Option<Breakdown>,
    /// Why something billed before is on this invoice again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub amount: String,
    #[serde(skip)]
    pub amount_minor: i64,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn is_utc(zone: &str) -> bool {
    zone == "UTC"
}

fn too_large() -> FieldProblem {
    FieldProblem::new("amount", "is past what an invoice can hold")
}

impl Item {
    /// Whether its amount follows from a quantity.
    pub fn quantity(&self) -> Option<&str> {
        match &self.owed {
            Owed::Usage { quantity, .. } => Some(quantity),
            _ => None,
        }
    }

    /// Rates the whole of what is owed for the key.
    pub fn rate(&self) -> Result<Rated, FieldProblem> {
        let places = u32::from(self.currency.decimals());
        match &self.owed {
            Owed::Recurring { amount } | Owed::OneOff { amount } => {
                let amount = parse(amount)?;
                let part = match self.owed {
                    Owed::OneOff { .. } => round_half_up(&amount, places),
                    _ if self.is_trial => Decimal::zero(),
                    _ => self.fraction.of(&amount, self.currency),
                };
                let money = to_money(self.currency, &part).ok_or_else(too_large)?;
                let formula = if self.is_trial {
                    "trial: no charge".to_owned()
                } else if self.fraction.is_whole() || matches!(self.owed, Owed::OneOff { .. }) {
                    format!("{} {}", money.to_major(), self.currency)
                } else {
                    format!(
                        "{} × {} ÷ {} = {} {}",
                        plain(&amount),
                        self.fraction.numerator,
                        self.fraction.denominator,
                        money.to_major(),
                        self.currency
                    )
                };
                Ok(Rated {
                    owed_minor: money.minor,
                    breakdown: None,
                    formula,
                })
            }
            Owed::Usage {
                price,
                quantity,
                events,
                ..
            } => {
                let price = price_for_part(&Price::from_json(price)?, &self.fraction);
                let line = rate(&price, &Usage::new(parse(quantity)?, Some(*events))?)?;
                let money = line.money().ok_or_else(too_large)?;
                let breakdown = explain(&price, &line);
                if self.is_trial {
                    let formula = format!("trial: no charge (would be {})", breakdown.formula);
                    return Ok(Rated {
                        owed_minor: 0,
                        breakdown: None,
                        formula,
                    });
                }
                Ok(Rated {
                    owed_minor: money.minor,
                    formula: breakdown.formula.clone(),
                    breakdown: Some(breakdown),
                })
            }
        }
    }

    /// The line, and what is billed for the key with it; no line where nothing changed.
    pub fn line(
        &self,
        line_id: impl Fn(&ItemKey) -> String,
    ) -> Result<Option<(Line, i64)>, FieldProblem> {
        let rated = self.rate()?;
        let before = self.billed.as_ref();
        let billed_minor = before.map_or(0, |billed| billed.amount_minor);
        let change = rated.owed_minor - billed_minor;
        let is_same_quantity =
            before.is_none_or(|billed| billed.quantity == self.quantity().unwrap_or_default());
        if before.is_some() && change == 0 && is_same_quantity {
            return Ok(None);
        }
        // Only a fixed amount is kept where the plan gives nothing back: usage is what it is.
        if change < 0 && !self.refunds && self.quantity().is_none() {
            return Ok(None);
        }
        let kind = match (before, change) {
            (None, _) => "charge",
            (Some(_), change) if change < 0 => "credit",
            _ => "adjustment",
        };
        let major = |minor| Money::from_minor(self.currency, minor).to_major();
        let reason = before.map(|billed| self.reason(billed, change));
        let formula = if before.is_some() {
            format!(
                "{}; less {} billed before = {}",
                rated.formula,
                major(billed_minor),
                major(change)
            )
        } else {
            rated.formula
        };
        let line = Line {
            id: line_id(&self.key),
            kind,
            description: self.describe(),
            app: self.app.clone(),
            product: self.product.clone(),
            plan: self.plan.clone(),
            charge: self.key.charge.clone(),
            subscription_id: self.key.subscription_id.clone(),
            plan_id: self.key.plan_id.clone(),
            period: self.period_words.clone(),
            period_start: crate::encoding::rfc3339(self.served.0),
            period_end: crate::encoding::rfc3339(self.served.1),
            proration: match self.owed {
                Owed::OneOff { .. } => "charged once".to_owned(),
                _ => self.fraction.describe(),
            },
            quantity: self.quantity().map(str::to_owned),
            formula,
            breakdown: rated.breakdown,
            reason,
            amount: major(change),
            amount_minor: change,
        };
        Ok(Some((line, change)))
    }

    fn reason(&self, billed: &Billed, change: i64) -> String {
        let place = if billed.invoice.is_empty() {
            "after the period was closed".to_owned()
        } else {
            format!("after invoice {} was issued", billed.invoice)
        };
        match self.quantity() {
            Some(quantity) if quantity != billed.quantity => format!(
                "usage reported {place}: {} was billed, {quantity} is counted now",
                billed.quantity
            ),
            Some(_) => format!("the part of the period changed {place}"),
            None if change < 0 => format!(
                "the part that was not served is given back: the plan or its end changed {place}"
            ),
            None => format!("the plan or its end changed {place}"),
        }
    }

    fn describe(&self) -> String {
        let what = match &self.owed {
            Owed::Usage { counts, .. } => format!("{} ({counts})", self.key.charge),
            _ => self.key.charge.clone(),
        };
        let trial = if self.is_trial { ", trial" } else { "" };
        format!("{}: {what}, plan {}{trial}", self.product, self.plan)
    }
}

fn parse(text: &str) -> Result<Decimal, FieldProblem> {
    parse_decimal(text).map_err(|error| FieldProblem::new("amount", error.to_string()))
}
