//! An invoice's document: lines, discounts, taxes, credit drawn, what is due.
//!
//! Owns the order in which these apply and nothing else: a pure function of its inputs. The inputs are
//! stored with the invoice, so that composing them again gives the same bytes.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::ids::InvoiceLineId;
use shared::money::{Currency, Money};

use super::decimal::{Decimal, parse_decimal, plain, round_half_up};
use super::items::{Item, ItemKey, Line};
use super::price::FieldProblem;
use super::rating::to_money;
use crate::encoding::rfc3339;

/// All that an invoice is computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    pub seller: String,
    pub buyer: Party,
    pub currency: Currency,
    /// The span the invoice is about, Unix milliseconds.
    pub period: (i64, i64),
    pub items: Vec<Item>,
    pub coupons: Vec<Coupon>,
    pub taxes: Vec<Tax>,
    /// Credit that may be drawn.
    pub wallet_minor: i64,
    /// Where calls of the period may be missing, in sentences.
    #[serde(default)]
    pub gaps: Vec<String>,
}

/// Who pays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    pub organisation_id: String,
    pub name: String,
    pub address: String,
    pub country: String,
    pub tax_id: String,
}

/// A discount that applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coupon {
    pub redemption_id: String,
    pub code: String,
    /// One of the two.
    pub percent: Option<String>,
    pub amount_minor: Option<i64>,
    /// Which of its periods this invoice is, from 1, and how many it has.
    pub use_number: i64,
    pub periods: Option<i64>,
}

/// A tax of the operator's table that applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tax {
    pub name: String,
    pub percent: String,
    /// The buyer accounts for it.
    pub is_reversed: bool,
}

/// The document, as JSON shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// `invoice`, or `credit_note` where more is given back than charged.
    pub kind: &'static str,
    pub seller: String,
    pub buyer: Party,
    pub currency: Currency,
    pub period_start: String,
    pub period_end: String,
    /// Whose calendar bounds the period, where that is not UTC's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    pub lines: Vec<Line>,
    pub subtotal: String,
    pub discounts: Vec<Discount>,
    pub taxes: Vec<TaxLine>,
    pub total: String,
    pub credit_drawn: String,
    pub amount_due: String,
    /// What may be missing from the quantities, in sentences; nothing is charged for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
}

/// A discount in the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Discount {
    pub code: String,
    pub formula: String,
    pub amount: String,
}

/// A tax in the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaxLine {
    pub name: String,
    pub formula: String,
    pub amount: String,
}

/// A document with what the store needs of it in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    pub document: Document,
    pub total_minor: i64,
    pub drawn_minor: i64,
    pub due_minor: i64,
    /// What each line adds to what is billed for its key, and the quantity billed now.
    pub billed: Vec<(ItemKey, i64, String)>,
    /// Redemptions of coupons that took something off.
    pub redemptions: Vec<String>,
}

impl Composed {
    /// Whether there is anything to ask for or to give back.
    pub fn has_amounts(&self) -> bool {
        self.document
            .lines
            .iter()
            .any(|line| line.amount_minor != 0)
    }
}

/// Composes the document.
pub fn compose(inputs: &Inputs) -> Result<Composed, FieldProblem> {
    let currency = inputs.currency;
    let major = |minor: i64| Money::from_minor(currency, minor).to_major();
    let mut lines = Vec::new();
    let mut billed = Vec::new();
    // Whose zone the document is in: what is billed for the first time, or else anything.
    let mut main: Option<&Item> = None;
    let line_id = |key: &ItemKey| line_id(inputs, key);
    for item in &inputs.items {
        if let Some((line, change)) = item.line(line_id)? {
            if main.is_none_or(|known| known.billed.is_some() && item.billed.is_none()) {
                main = Some(item);
            }
            let quantity = item.quantity().unwrap_or_default().to_owned();
            billed.push((item.key.clone(), change, quantity));
            lines.push(line);
        }
    }
    let subtotal = sum(lines.iter().map(|line| line.amount_minor))?;
    let mut taxable = subtotal;
    let mut discounts = Vec::new();
    let mut redemptions = Vec::new();
    for coupon in &inputs.coupons {
        let Some((amount, formula)) = discount(coupon, taxable, currency)? else {
            continue;
        };
        taxable -= amount;
        redemptions.push(coupon.redemption_id.clone());
        discounts.push(Discount {
            code: coupon.code.clone(),
            formula,
            amount: major(-amount),
        });
    }
    let mut taxes = Vec::new();
    let mut total = taxable;
    for tax in &inputs.taxes {
        let amount = if tax.is_reversed {
            0
        } else {
            share(taxable, &tax.percent, currency)?
        };
        total = sum([total, amount].into_iter())?;
        let formula = if tax.is_reversed {
            "reverse charge: the buyer accounts for the tax".to_owned()
        } else {
            format!("{}% of {} = {}", tax.percent, major(taxable), major(amount))
        };
        taxes.push(TaxLine {
            name: tax.name.clone(),
            formula,
            amount: major(amount),
        });
    }
    let drawn = inputs.wallet_minor.clamp(0, total.max(0));
    let due = total.max(0) - drawn;
    Ok(Composed {
        document: Document {
            kind: if total < 0 { "credit_note" } else { "invoice" },
            seller: inputs.seller.clone(),
            buyer: inputs.buyer.clone(),
            currency,
            period_start: rfc3339(inputs.period.0),
            period_end: rfc3339(inputs.period.1),
            time_zone: main
                .map(|item| item.time_zone.clone())
                .filter(|zone| zone != "UTC"),
            lines,
            subtotal: major(subtotal),
            discounts,
            taxes,
            total: major(total),
            credit_drawn: major(drawn),
            amount_due: major(due),
            gaps: inputs.gaps.clone(),
        },
        total_minor: total,
        drawn_minor: drawn,
        due_minor: due,
        billed,
        redemptions,
    })
}

/// A line's id follows from what the line is about: the same inputs, the same id.
fn line_id(inputs: &Inputs, key: &ItemKey) -> String {
    let mut digest = Sha256::new();
    for part in [
        inputs.buyer.organisation_id.as_str(),
        inputs.currency.as_str(),
        &key.subscription_id,
        &key.plan_id,
        &key.charge,
        &key.start_ms.to_string(),
    ] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let full: [u8; 32] = digest.finalize().into();
    let mut bytes = [0; 10];
    for (to, from) in bytes.iter_mut().zip(full) {
        *to = from;
    }
    InvoiceLineId::new(inputs.period.1.unsigned_abs(), &bytes).to_string()
}

fn sum(amounts: impl Iterator<Item = i64>) -> Result<i64, FieldProblem> {
    amounts
        .into_iter()
        .try_fold(0_i64, i64::checked_add)
        .ok_or_else(|| FieldProblem::new("amount", "is past what an invoice can hold"))
}

/// A percentage of an amount, rounded half up to the minor unit.
fn share(minor: i64, percent: &str, currency: Currency) -> Result<i64, FieldProblem> {
    let percent =
        parse_decimal(percent).map_err(|error| FieldProblem::new("percent", error.to_string()))?;
    let places = u32::from(currency.decimals());
    let amount =
        Decimal::new(minor.into(), i64::from(places)) * percent * Decimal::new(1.into(), 2);
    to_money(currency, &round_half_up(&amount, places))
        .map(|money| money.minor)
        .ok_or_else(|| FieldProblem::new("amount", "is past what an invoice can hold"))
}

/// What a coupon takes off; nothing where there is nothing to take it from.
fn discount(
    coupon: &Coupon,
    from_minor: i64,
    currency: Currency,
) -> Result<Option<(i64, String)>, FieldProblem> {
    if from_minor <= 0 {
        return Ok(None);
    }
    let major = |minor: i64| Money::from_minor(currency, minor).to_major();
    let (amount, how) = match (&coupon.percent, coupon.amount_minor) {
        (Some(percent), _) => {
            let amount = share(from_minor, percent, currency)?;
            (
                amount,
                format!("{}% of {}", plain_percent(percent), major(from_minor)),
            )
        }
        (None, Some(amount)) => (
            amount,
            format!("{} off {}", major(amount), major(from_minor)),
        ),
        (None, None) => return Ok(None),
    };
    let amount = amount.clamp(0, from_minor);
    let place = match coupon.periods {
        Some(periods) => format!(", invoice {} of {periods}", coupon.use_number),
        None => String::new(),
    };
    Ok(Some((amount, format!("{how} = {}{place}", major(amount)))))
}

fn plain_percent(percent: &str) -> String {
    parse_decimal(percent).map_or_else(|_| percent.to_owned(), |number| plain(&number))
}
