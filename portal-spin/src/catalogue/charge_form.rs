//! The charges of a plan beside its price as rows of a form: what recurs, what is charged once, and what is
//! charged per unit of a meter. Charges with other prices are the API's; the form leaves them as they are.

use serde_json::{Map, Value, json};

use super::form_fields::{Values, filled_rows, name_in_row, text_of};
use crate::billing::charges::{Charge, Counted};
use crate::web::forms::Form;

/// Rows that the form offers beyond those that are filled.
const MORE: usize = 2;
/// Rows that are read at most.
const MOST: usize = 20;
const PARTS: [&str; 2] = ["label", "amount"];
const METERED_PARTS: [&str; 2] = ["label", "unit_amount"];

/// Kinds with what they are called on the page.
pub const KINDS: &[(&str, &str)] = &[
    ("recurring", "every period, in advance"),
    ("one_off", "once, at the beginning"),
];

/// Where a charge stands in the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// An amount.
    Fixed,
    /// An amount per unit of a meter.
    Metered,
    /// Nowhere.
    Unshown,
}

fn place_of(charge: &Charge) -> Place {
    let Charge::Usage {
        meter,
        counts,
        operations,
        price,
        ..
    } = charge
    else {
        return Place::Fixed;
    };
    let is_per_unit = price.get("model") == Some(&json!("per_unit"))
        && price.as_object().is_some_and(|price| {
            let shown = ["model", "currency", "unit_amount", "included_units"];
            price.keys().all(|name| shown.contains(&name.as_str()))
        });
    if meter.is_some() && *counts == Counted::Units && operations.is_empty() && is_per_unit {
        Place::Metered
    } else {
        Place::Unshown
    }
}

fn placed(charges: &[Charge], place: Place) -> impl Iterator<Item = &Charge> {
    charges
        .iter()
        .filter(move |charge| place_of(charge) == place)
}

/// What the rows show of a plan's charges.
pub fn values(charges: &[Charge]) -> Values {
    let mut values = Values::new();
    for (row, charge) in placed(charges, Place::Fixed).enumerate() {
        let charge = json!(charge);
        for (part, member) in [("kind", "kind"), ("label", "name"), ("amount", "amount")] {
            values.push((format!("charge_{row}_{part}"), text_of(charge.get(member))));
        }
    }
    for (row, charge) in placed(charges, Place::Metered).enumerate() {
        let charge = json!(charge);
        for (part, place) in [
            ("label", "/name"),
            ("meter", "/meter"),
            ("unit_amount", "/price/unit_amount"),
            ("included_units", "/price/included_units"),
        ] {
            let value = text_of(charge.pointer(place));
            values.push((format!("metered_{row}_{part}"), value));
        }
    }
    values
}

/// The rows of fixed charges that the form shows.
pub fn rows(charges: &[Charge]) -> Vec<usize> {
    (0..placed(charges, Place::Fixed).count() + MORE).collect()
}

/// The rows of charges per unit of a meter that the form shows.
pub fn metered_rows(charges: &[Charge]) -> Vec<usize> {
    (0..placed(charges, Place::Metered).count() + MORE).collect()
}

/// The names of the charges that the form does not show.
pub fn unshown(charges: &[Charge]) -> Vec<String> {
    placed(charges, Place::Unshown)
        .map(|charge| text_of(json!(charge).get("name")))
        .collect()
}

fn filled(form: &Form) -> Vec<usize> {
    filled_rows(form, "charge", &PARTS, MOST)
}

fn filled_metered(form: &Form) -> Vec<usize> {
    filled_rows(form, "metered", &METERED_PARTS, MOST)
}

/// The charges that a form's rows say, in the currency of its price, and those that it does not show.
pub fn read(form: &Form, known: &[Charge]) -> Value {
    let currency = form.text("price_currency").to_uppercase();
    let fixed = filled(form).into_iter().map(|row| {
        let cell = |part: &str| form.text(&format!("charge_{row}_{part}"));
        let kind = match cell("kind").as_str() {
            "one_off" => "one_off",
            _ => "recurring",
        };
        json!({ "kind": kind, "name": cell("label"), "currency": currency, "amount": cell("amount") })
    });
    let metered = filled_metered(form).into_iter().map(|row| {
        let cell = |part: &str| form.text(&format!("metered_{row}_{part}"));
        let mut price = Map::new();
        price.insert("model".to_owned(), json!("per_unit"));
        price.insert("currency".to_owned(), json!(currency));
        price.insert("unit_amount".to_owned(), json!(cell("unit_amount")));
        let included = cell("included_units");
        if !included.is_empty() {
            price.insert("included_units".to_owned(), json!(included));
        }
        json!({ "kind": "usage", "name": cell("label"), "meter": cell("meter"), "price": price })
    });
    let others = placed(known, Place::Unshown).map(|charge| json!(charge));
    Value::Array(fixed.chain(metered).chain(others).collect())
}

/// The form's name of what `terms.` calls `charges…`.
pub fn field_of(below: &str, form: &Form) -> String {
    let place = below.trim_start_matches("charges");
    let fixed = filled(form);
    let field = name_in_row(place, "charge", &fixed)
        .or_else(|| metered_field(place, fixed.len(), &filled_metered(form)));
    match field {
        Some(field) => match field.strip_suffix("_name") {
            Some(row) => format!("{row}_label"),
            None => field,
        },
        None => "price_model".to_owned(),
    }
}

/// The same for a row of a meter: these stand behind the fixed ones.
fn metered_field(place: &str, before: usize, rows: &[usize]) -> Option<String> {
    let (index, part) = place.strip_prefix('[')?.split_once(']')?;
    let index = index.parse::<usize>().ok()?.checked_sub(before)?;
    let field = name_in_row(&format!("[{index}]{part}"), "metered", rows)?;
    Some(match field.split_once("_price") {
        Some((row, member)) => match member.strip_prefix('.') {
            Some("included_units") => format!("{row}_included_units"),
            _ => format!("{row}_unit_amount"),
        },
        None => field,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_come_back_from_their_form_and_those_it_does_not_show_stay() {
        let charges = json!([
            { "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "49" },
            { "kind": "one_off", "name": "Set-up", "currency": "USD", "amount": "100.00" },
            { "kind": "usage", "name": "Rows", "meter": "Rows", "counts": "units", "operations": [],
              "price": { "model": "per_unit", "currency": "USD", "unit_amount": "0.01", "included_units": "100" } },
            { "kind": "usage", "name": "Exports", "meter": null, "counts": "units", "operations": ["export"],
              "price": { "model": "per_unit", "currency": "USD", "unit_amount": "0.01" } },
            { "kind": "usage", "name": "Bytes", "meter": "Bytes", "counts": "units", "operations": [],
              "price": { "model": "package", "currency": "USD", "package_amount": "1", "package_size": "1000" } }
        ]);
        let known: Vec<Charge> = serde_json::from_value(charges).unwrap();
        assert_eq!(rows(&known), [0, 1, 2, 3]);
        assert_eq!(metered_rows(&known), [0, 1, 2]);
        assert_eq!(unshown(&known), ["Exports", "Bytes"]);
        let mut typed = values(&known);
        typed.push(("price_currency".to_owned(), "usd".to_owned()));
        let again: Vec<Charge> = serde_json::from_value(read(&Form::of(&typed), &known)).unwrap();
        assert_eq!(again, known);
    }

    #[test]
    fn a_fault_is_shown_in_the_row_that_was_typed() {
        let typed = Form::of(&[
            ("charge_2_amount".to_owned(), "x".to_owned()),
            ("metered_1_unit_amount".to_owned(), "y".to_owned()),
        ]);
        assert_eq!(field_of("charges[0].amount", &typed), "charge_2_amount");
        assert_eq!(field_of("charges[0].name", &typed), "charge_2_label");
        assert_eq!(field_of("charges[1].name", &typed), "metered_1_label");
        assert_eq!(field_of("charges[1].meter", &typed), "metered_1_meter");
        let amount = "charges[1].price.unit_amount";
        assert_eq!(field_of(amount, &typed), "metered_1_unit_amount");
        let included = "charges[1].price.included_units";
        assert_eq!(field_of(included, &typed), "metered_1_included_units");
        assert_eq!(field_of("charges[4].price.model", &typed), "price_model");
    }
}
