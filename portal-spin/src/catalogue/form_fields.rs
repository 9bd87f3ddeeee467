//! What the forms of plans share: values by name, faults by field, rows that may be empty.

use serde_json::Value;

use crate::web::forms::Form;
use crate::web::{Failure, FieldError};

/// Names and values of a form's fields.
pub type Values = Vec<(String, String)>;

/// Collects what is wrong with a form, field by field.
#[derive(Default)]
pub struct Faults(Vec<FieldError>);

impl Faults {
    /// Notes a fault.
    pub fn add(&mut self, field: &str, code: &str, detail: String) {
        self.0.push(FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            detail,
        });
    }

    /// A whole number; an empty field is 0.
    pub fn number(&mut self, field: &str, text: &str) -> u64 {
        let text = text.replace([' ', '_'], "");
        if text.is_empty() {
            return 0;
        }
        text.parse().unwrap_or_else(|_| {
            self.add(field, "not_a_number", "Give a whole number.".to_owned());
            0
        })
    }

    /// Fails if anything was noted.
    pub fn check(self) -> Result<(), Failure> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Failure::fields(self.0))
        }
    }
}

/// The rows of a form in which something was typed; rows left empty in between do not count.
pub fn filled_rows(form: &Form, prefix: &str, parts: &[&str], most: usize) -> Vec<usize> {
    (0..most)
        .filter(|row| {
            parts
                .iter()
                .any(|part| !form.text(&format!("{prefix}_{row}_{part}")).is_empty())
        })
        .collect()
}

/// `tiers[1].up_to` below `tiers`, as the form calls it: the second filled row may be the third shown.
pub fn name_in_row(below: &str, prefix: &str, rows: &[usize]) -> Option<String> {
    let (index, part) = below.strip_prefix('[')?.split_once(']')?;
    let row = rows.get(index.parse::<usize>().ok()?)?;
    Some(format!("{prefix}_{row}_{}", part.trim_start_matches('.')))
}

/// A JSON text or number as a field shows it.
pub fn text_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}
