//! What a plan charges: several charges of three kinds, read and checked from its terms.
//!
//! Owns the charges' JSON and the rules between them. What a charge costs in a part of a period is
//! `items`; the price models are `price`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::money::Currency;

use super::decimal::{Decimal, parse_decimal};
use super::price::{FieldProblem, Price};

/// One charge of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Charge {
    /// An amount for every period, charged at its start.
    Recurring {
        /// As on the invoice.
        name: String,
        /// ISO 4217.
        currency: String,
        /// In major units, a decimal string.
        amount: String,
    },
    /// An amount once, when billing of the plan begins.
    OneOff {
        /// As on the invoice.
        name: String,
        /// ISO 4217.
        currency: String,
        /// In major units, a decimal string.
        amount: String,
    },
    /// What was used, charged behind the period's end.
    Usage {
        /// As on the invoice.
        name: String,
        /// The name of the product's meter; without, the meter that the quota counts.
        #[serde(default)]
        meter: Option<String>,
        /// What of the meter is counted.
        #[serde(default)]
        counts: Counted,
        /// Only these operations; all where none is named.
        #[serde(default)]
        operations: Vec<String>,
        /// A price of one of the models.
        #[serde(deserialize_with = "super::distinct_json::deserialize_value")]
        price: serde_json::Value,
    },
}

/// What of a meter a charge counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// The meter's units: calls, weights, bytes or what a response header said.
    #[default]
    Units,
    /// Calls, whatever the meter measures.
    Calls,
    /// Installations with at least one call that counts.
    DistinctInstallations,
}

/// A checked charge.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedCharge {
    /// As on the invoice; names the charge within its plan.
    pub name: String,
    /// What it costs.
    pub basis: Basis,
}

/// What a charge is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Basis {
    /// Every period.
    Recurring(Currency, Decimal),
    /// Once.
    OneOff(Currency, Decimal),
    /// Usage.
    Usage {
        /// The meter's name; none for the meter that the quota counts.
        meter: Option<String>,
        /// What of it.
        counts: Counted,
        /// Only these, if any.
        operations: Vec<String>,
        /// The price.
        price: Box<Price>,
    },
}

impl CheckedCharge {
    /// The currency it is charged in.
    pub fn currency(&self) -> Currency {
        match &self.basis {
            Basis::Recurring(currency, _) | Basis::OneOff(currency, _) => *currency,
            Basis::Usage { price, .. } => price.currency(),
        }
    }
}

/// The name of the charge that a plan's `price` is.
pub const USAGE: &str = "Usage";

/// The charges of a plan: its `price`, then its `charges`. The first problem names its field.
pub fn check_charges(
    price: Option<&serde_json::Value>,
    charges: &[Charge],
) -> Result<Vec<CheckedCharge>, FieldProblem> {
    let mut checked: Vec<CheckedCharge> = Vec::new();
    if let Some(price) = price {
        checked.push(CheckedCharge {
            name: USAGE.to_owned(),
            basis: Basis::Usage {
                meter: None,
                counts: Counted::Units,
                operations: Vec::new(),
                price: Box::new(Price::from_json(price)?),
            },
        });
    }
    for (index, charge) in charges.iter().enumerate() {
        let field = |name: &str| format!("charges[{index}].{name}");
        let next = check_charge(charge, &field)?;
        if checked.iter().any(|known| known.name == next.name) {
            return Err(FieldProblem::new(
                field("name"),
                "is the name of another charge of this plan: every line of an invoice names its charge",
            ));
        }
        if let Some(first) = checked.first()
            && first.currency() != next.currency()
        {
            return Err(FieldProblem::new(
                field("currency"),
                format!("is not {}: a plan has one currency", first.currency()),
            ));
        }
        checked.push(next);
    }
    Ok(checked)
}

fn check_charge(
    charge: &Charge,
    field: &impl Fn(&str) -> String,
) -> Result<CheckedCharge, FieldProblem> {
    let (Charge::Recurring { name, .. } | Charge::OneOff { name, .. } | Charge::Usage { name, .. }) =
        charge;
    let length = name.trim().chars().count();
    if !(1..=80).contains(&length) || name.chars().any(char::is_control) {
        return Err(FieldProblem::new(
            field("name"),
            "is what the invoice says: write 1 to 80 characters",
        ));
    }
    let basis = match charge {
        Charge::Recurring {
            currency, amount, ..
        } => {
            let (currency, amount) = fixed_amount(currency, amount, field)?;
            Basis::Recurring(currency, amount)
        }
        Charge::OneOff {
            currency, amount, ..
        } => {
            let (currency, amount) = fixed_amount(currency, amount, field)?;
            Basis::OneOff(currency, amount)
        }
        Charge::Usage {
            meter,
            counts,
            operations,
            price,
            ..
        } => Basis::Usage {
            meter: meter.clone(),
            counts: *counts,
            operations: operations.clone(),
            price: Price::from_json(price)
                .and_then(|price| price.check_open_ended().map(|()| Box::new(price)))
                .map_err(|problem| FieldProblem::new(field(&problem.field), problem.problem))?,
        },
    };
    Ok(CheckedCharge {
        name: name.trim().to_owned(),
        basis,
    })
}

fn fixed_amount(
    currency: &str,
    amount: &str,
    field: &impl Fn(&str) -> String,
) -> Result<(Currency, Decimal), FieldProblem> {
    let currency: Currency = currency
        .parse()
        .map_err(|_| FieldProblem::new(field("currency"), "is no ISO 4217 code such as USD"))?;
    let problem = |problem: String| FieldProblem::new(field("amount"), problem);
    let amount = parse_decimal(amount).map_err(|error| problem(error.to_string()))?;
    if amount < 0 {
        return Err(problem("must not be negative".to_owned()));
    }
    if amount.fractional_digit_count() > i64::from(currency.decimals()) {
        return Err(problem(format!(
            "has more digits than {currency}: write at most {} behind the point",
            currency.decimals()
        )));
    }
    Ok((currency, amount))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(charges: serde_json::Value) -> Result<Vec<CheckedCharge>, String> {
        let charges: Vec<Charge> = serde_json::from_value(charges).map_err(|e| e.to_string())?;
        let price = json!({ "model": "per_unit", "currency": "USD", "unit_amount": "1" });
        check_charges(Some(&price), &charges).map_err(|problem| problem.field)
    }

    #[test]
    fn a_plan_has_several_charges_of_one_currency() {
        let charges = json!([
            { "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "49" },
            { "kind": "one_off", "name": "Set-up", "currency": "USD", "amount": "100.00" },
            { "kind": "usage", "name": "Rows", "meter": "rows", "operations": ["listOrders"],
              "price": { "model": "per_unit", "currency": "USD", "unit_amount": "0.01" } }
        ]);
        assert_eq!(check(charges).unwrap().len(), 4);
    }

    #[test]
    fn a_wrong_charge_is_named() {
        for (charge, field) in [
            (
                json!({ "kind": "recurring", "name": "", "currency": "USD", "amount": "1" }),
                "charges[0].name",
            ),
            (
                json!({ "kind": "recurring", "name": "Usage", "currency": "USD", "amount": "1" }),
                "charges[0].name",
            ),
            (
                json!({ "kind": "recurring", "name": "A", "currency": "EUR", "amount": "1" }),
                "charges[0].currency",
            ),
            (
                json!({ "kind": "one_off", "name": "A", "currency": "USD", "amount": "1.005" }),
                "charges[0].amount",
            ),
            (
                json!({ "kind": "one_off", "name": "A", "currency": "USD", "amount": "-1" }),
                "charges[0].amount",
            ),
            (
                json!({ "kind": "usage", "name": "A", "price": { "model": "flat", "currency": "USD" } }),
                "charges[0].price.flat_amount",
            ),
        ] {
            assert_eq!(check(json!([charge])), Err(field.to_owned()));
        }
    }
}
