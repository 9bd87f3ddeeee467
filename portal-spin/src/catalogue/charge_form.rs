//! The fixed charges of a plan as rows of a form: what recurs, and what is charged once. Charges for other
//! meters are the API's; the form leaves them as they are.

use serde_json::{Value, json};

use super::form_fields::{Values, filled_rows, name_in_row, text_of};
use crate::billing::charges::Charge;
use crate::web::forms::Form;

/// Rows that the form offers beyond those that are filled.
const MORE: usize = 2;
/// Rows that are read at most.
const MOST: usize = 20;
const PARTS: [&str; 2] = ["label", "amount"];

/// Kinds with what they are called on the page.
pub const KINDS: &[(&str, &str)] = &[
    ("recurring", "every period, in advance"),
    ("one_off", "once, at the beginning"),
];

fn is_fixed(charge: &Charge) -> bool {
    !matches!(charge, Charge::Usage { .. })
}

/// What the rows show of a plan's charges.
pub fn values(charges: &[Charge]) -> Values {
    let mut values = Values::new();
    for (row, charge) in charges.iter().filter(|charge| is_fixed(charge)).enumerate() {
        let charge = json!(charge);
        for (part, member) in [("kind", "kind"), ("label", "name"), ("amount", "amount")] {
            values.push((format!("charge_{row}_{part}"), text_of(charge.get(member))));
        }
    }
    values
}

/// The rows that the form shows.
pub fn rows(charges: &[Charge]) -> Vec<usize> {
    let filled = charges.iter().filter(|charge| is_fixed(charge)).count();
    (0..filled + MORE).collect()
}

fn filled(form: &Form) -> Vec<usize> {
    filled_rows(form, "charge", &PARTS, MOST)
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
    let others = known.iter().filter(|charge| !is_fixed(charge));
    Value::Array(fixed.chain(others.map(|charge| json!(charge))).collect())
}

/// The form's name of what `terms.` calls `charges…`.
pub fn field_of(below: &str, form: &Form) -> String {
    let place = below.trim_start_matches("charges");
    match name_in_row(place, "charge", &filled(form)) {
        Some(field) => match field.strip_suffix("_name") {
            Some(row) => format!("{row}_label"),
            None => field,
        },
        None => "price_model".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_charges_come_back_from_their_form_and_others_stay() {
        let charges = json!([
            { "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "49" },
            { "kind": "one_off", "name": "Set-up", "currency": "USD", "amount": "100.00" },
            { "kind": "usage", "name": "Rows", "meter": "rows", "counts": "units", "operations": [],
              "price": { "model": "per_unit", "currency": "USD", "unit_amount": "0.01" } }
        ]);
        let known: Vec<Charge> = serde_json::from_value(charges.clone()).unwrap();
        assert_eq!(rows(&known), [0, 1, 2, 3]);
        let mut typed = values(&known);
        typed.push(("price_currency".to_owned(), "usd".to_owned()));
        assert_eq!(read(&Form::of(&typed), &known), charges);
    }

    #[test]
    fn a_fault_is_shown_in_the_row_that_was_typed() {
        let typed = Form::of(&[("charge_2_amount".to_owned(), "x".to_owned())]);
        assert_eq!(field_of("charges[0].amount", &typed), "charge_2_amount");
        assert_eq!(field_of("charges[0].name", &typed), "charge_2_label");
        assert_eq!(field_of("charges[4].price.model", &typed), "price_model");
    }
}
