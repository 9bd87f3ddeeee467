//! A usage price for a part of a period.
//!
//! What a price grants or asks for a whole period is prorated: flat amounts, minimum and maximum (to the
//! minor unit), included and free units (to whole units). What it asks for a unit stays, and so do the
//! bounds of tiers: usage of the part starts at the first tier again.

use bigdecimal::Zero;

use super::decimal::{Decimal, scale_half_up};
use super::price::{Model, Price};
use super::proration::Fraction;

/// The price for this part.
pub fn price_for_part(price: &Price, fraction: &Fraction) -> Price {
    let mut part = price.clone();
    if fraction.is_whole() {
        return part;
    }
    let currency = part.currency;
    let amount = |whole: &Decimal| fraction.of(whole, currency);
    let units = |whole: &Decimal| {
        if whole.is_zero() {
            return whole.clone();
        }
        scale_half_up(whole, fraction.numerator, fraction.denominator, 0).unwrap_or_default()
    };
    part.minimum = part.minimum.as_ref().map(amount);
    part.maximum = part.maximum.as_ref().map(amount);
    part.included_units = units(&part.included_units);
    match &mut part.model {
        Model::Flat { flat_amount } => *flat_amount = amount(flat_amount),
        Model::Graduated { tiers } | Model::Volume { tiers } | Model::Stairstep { tiers } => {
            for tier in tiers {
                tier.flat_amount = tier.flat_amount.as_ref().map(amount);
            }
        }
        Model::Package { free_units, .. } => *free_units = units(free_units),
        Model::Percentage {
            free_units,
            free_events,
            ..
        } => {
            *free_units = units(free_units);
            let scaled = u128::from(*free_events) * u128::from(fraction.numerator)
                / u128::from(fraction.denominator.max(1));
            *free_events = u64::try_from(scaled).unwrap_or(u64::MAX);
        }
        Model::PerUnit { .. } => {}
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::decimal::parse_decimal;
    use crate::billing::{Usage, rate};
    use serde_json::json;

    #[test]
    fn what_is_for_a_period_is_prorated_and_what_is_for_a_unit_is_not() {
        let price = Price::from_json(&json!({
            "model": "graduated", "currency": "USD", "included_units": "100", "minimum": "62", "maximum": "310",
            "tiers": [{ "up_to": "10", "flat_amount": "31", "unit_amount": "1" }, { "up_to": null, "unit_amount": "2" }]
        }))
        .unwrap();
        let fraction = Fraction::new(10, 31, "days");
        let part = price_for_part(&price, &fraction);
        let amount = |quantity: &str| {
            rate(
                &part,
                &Usage::new(parse_decimal(quantity).unwrap(), None).unwrap(),
            )
            .unwrap()
            .amount_text()
        };
        // 32 included, minimum 20.00, first tier 10.00 flat.
        assert_eq!(amount("32"), "20.00");
        assert_eq!(amount("52"), "40.00");
        assert_eq!(amount("1000"), "100.00");
        assert_eq!(
            price_for_part(&price, &Fraction::new(31, 31, "days")),
            price
        );
    }
}
