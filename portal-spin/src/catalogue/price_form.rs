//! The price of a plan as fields and rows of a form.

use serde_json::{Map, Value, json};

use super::form_fields::{Faults, Values, filled_rows, name_in_row, text_of};
use crate::web::forms::Form;

/// Rows of tiers that the form offers beyond those that are filled.
const MORE_TIERS: usize = 3;
/// Rows that are read at most.
const MOST_TIERS: usize = 40;
const TIER: [&str; 3] = ["up_to", "flat_amount", "unit_amount"];

/// Models with what they are called on the page.
pub const MODELS: &[(&str, &str)] = &[
    ("", "none yet"),
    ("flat", "flat: an amount a period"),
    ("per_unit", "per unit"),
    ("graduated", "graduated: each tier its own rate"),
    ("volume", "volume: all units at the tier reached"),
    ("stairstep", "stairstep: an amount for the tier reached"),
    ("package", "package: an amount for so many units"),
    ("percentage", "percentage of an amount"),
];

/// What belongs to a model, beside tiers.
fn own(model: &str) -> &'static [&'static str] {
    match model {
        "flat" => &["flat_amount"],
        "per_unit" => &["unit_amount"],
        "package" => &["package_amount", "package_size", "free_units"],
        "percentage" => &["rate", "fixed_per_event", "free_units", "free_events"],
        _ => &[],
    }
}

const OPTIONAL: [&str; 3] = ["minimum", "maximum", "included_units"];

/// What the fields show of a price.
pub fn values(price: Option<&Value>) -> Values {
    let Some(price) = price else {
        return Values::new();
    };
    let mut values = Values::new();
    for name in ["model", "currency"]
        .iter()
        .chain(own(&text_of(price.get("model"))))
        .chain(&OPTIONAL)
    {
        values.push((format!("price_{name}"), text_of(price.get(name))));
    }
    let skips = text_of(price.get("zero_usage")) == "skip";
    let skips = if skips { "yes" } else { "" };
    values.push(("price_skips_zero".to_owned(), skips.to_owned()));
    let tiers = price.get("tiers").and_then(Value::as_array);
    for (row, tier) in tiers.into_iter().flatten().enumerate() {
        for part in TIER {
            values.push((format!("tier_{row}_{part}"), text_of(tier.get(part))));
        }
    }
    values
}

/// The rows of tiers that the form shows.
pub fn rows(price: Option<&Value>) -> Vec<usize> {
    let tiers = price.and_then(|price| price.get("tiers")?.as_array());
    (0..tiers.map_or(0, Vec::len) + MORE_TIERS).collect()
}

fn filled(form: &Form) -> Vec<usize> {
    filled_rows(form, "tier", &TIER, MOST_TIERS)
}

/// The price that a form describes; null where no model is chosen.
pub fn read(form: &Form, faults: &mut Faults) -> Value {
    let model = form.text("price_model");
    if model.is_empty() {
        return Value::Null;
    }
    let mut price = Map::new();
    let currency = form.text("price_currency").to_uppercase();
    price.insert("currency".to_owned(), json!(currency));
    for name in own(&model).iter().chain(&OPTIONAL) {
        let field = format!("price_{name}");
        let text = form.text(&field);
        if text.is_empty() {
            continue;
        }
        let value = if *name == "free_events" {
            json!(faults.number(&field, &text))
        } else {
            json!(text)
        };
        price.insert((*name).to_owned(), value);
    }
    if form.is_ticked("price_skips_zero") {
        price.insert("zero_usage".to_owned(), json!("skip"));
    }
    if matches!(model.as_str(), "graduated" | "volume" | "stairstep") {
        let tiers = filled(form)
            .into_iter()
            .map(|row| tier(form, row))
            .collect();
        price.insert("tiers".to_owned(), Value::Array(tiers));
    }
    price.insert("model".to_owned(), json!(model));
    Value::Object(price)
}

fn tier(form: &Form, row: usize) -> Value {
    let mut tier = Map::from_iter([("up_to".to_owned(), Value::Null)]);
    for part in TIER {
        let text = form.text(&format!("tier_{row}_{part}"));
        if !text.is_empty() {
            tier.insert(part.to_owned(), json!(text));
        }
    }
    Value::Object(tier)
}

/// The form's name of what `terms.` calls `price…`.
pub fn field_of(below: &str, form: &Form) -> String {
    let Some(member) = below.strip_prefix("price.") else {
        return "price_model".to_owned();
    };
    if let Some(place) = member.strip_prefix("tiers") {
        return name_in_row(place, "tier", &filled(form))
            .unwrap_or_else(|| "price_tiers".to_owned());
    }
    format!("price_{member}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::Price;

    #[test]
    fn every_model_comes_back_from_its_form_as_it_was() {
        for price in [
            json!({ "model": "flat", "currency": "USD", "flat_amount": "49", "minimum": "1", "zero_usage": "skip" }),
            json!({ "model": "per_unit", "currency": "EUR", "unit_amount": "0.01", "included_units": "1000" }),
            json!({ "model": "graduated", "currency": "USD", "tiers": [
                { "up_to": "5", "flat_amount": "100" }, { "up_to": "10", "unit_amount": "7" }, { "up_to": null, "unit_amount": "5" }] }),
            json!({ "model": "stairstep", "currency": "JPY", "maximum": "900", "tiers": [
                { "up_to": "5", "flat_amount": "100" }, { "up_to": null, "flat_amount": "50" }] }),
            json!({ "model": "package", "currency": "USD", "package_amount": "15", "package_size": "10", "free_units": "2" }),
            json!({ "model": "percentage", "currency": "USD", "rate": "0.013", "fixed_per_event": "2", "free_events": 3 }),
        ] {
            Price::from_json(&price).unwrap();
            let mut faults = Faults::default();
            assert_eq!(read(&Form::of(&values(Some(&price))), &mut faults), price);
            faults.check().unwrap();
        }
        assert_eq!(read(&Form::of(&[]), &mut Faults::default()), Value::Null);
        assert!(values(None).is_empty());
    }

    #[test]
    fn a_fault_in_a_tier_is_shown_in_the_row_that_was_typed() {
        let typed = Form::of(&[
            ("price_model".to_owned(), "graduated".to_owned()),
            ("tier_0_up_to".to_owned(), "5".to_owned()),
            ("tier_3_unit_amount".to_owned(), "x".to_owned()),
        ]);
        assert_eq!(
            field_of("price.tiers[1].unit_amount", &typed),
            "tier_3_unit_amount"
        );
        assert_eq!(field_of("price.currency", &typed), "price_currency");
        assert_eq!(field_of("price.tiers", &typed), "price_tiers");
    }
}
