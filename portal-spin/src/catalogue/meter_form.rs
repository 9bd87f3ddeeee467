//! The meters of a new product as rows of a form.

use super::form_fields::{filled_rows, name_in_row};
use super::{MeterSource, MeterView};
use crate::web::Failure;
use crate::web::forms::Form;

/// Rows that the form of a new product offers; the API takes more.
pub const ROWS: usize = 3;
const PARTS: [&str; 2] = ["name", "header"];

/// Sources with what they are called on the page.
pub const SOURCES: &[(&str, &str)] = &[
    ("response_header", "a number in a response header"),
    ("bytes", "bytes of bodies, both ways"),
    ("weight", "weights of operations"),
    ("distinct_installations", "distinct installations"),
];

fn filled(form: &Form) -> Vec<usize> {
    filled_rows(form, "meter", &PARTS, ROWS)
}

/// The meters that a form's rows say; none where nothing was typed.
pub fn read(form: &Form) -> Option<Vec<MeterView>> {
    let rows = filled(form);
    let meters = rows.iter().map(|row| {
        let cell = |part: &str| form.text(&format!("meter_{row}_{part}"));
        MeterView {
            id: String::new(),
            name: cell("name"),
            source: match cell("source").as_str() {
                "bytes" => MeterSource::Bytes,
                "weight" => MeterSource::Weight,
                "distinct_installations" => MeterSource::DistinctInstallations,
                _ => MeterSource::ResponseHeader {
                    name: cell("header"),
                },
            },
        }
    });
    (!rows.is_empty()).then(|| meters.collect())
}

/// The same failure with the form's names of the fields.
pub fn named_as_in_form(mut failure: Failure, form: &Form) -> Failure {
    let rows = filled(form);
    for error in &mut failure.errors {
        let place = error.field.strip_prefix("meters");
        if let Some(field) = place.and_then(|place| name_in_row(place, "meter", &rows)) {
            error.field = field.replace("_source.name", "_header");
        }
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(fields: &[(&str, &str)]) -> Form {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Form::of(&fields.iter().map(own).collect::<Vec<_>>())
    }

    #[test]
    fn rows_left_empty_are_no_meters() {
        assert!(read(&typed(&[("meter_0_source", "bytes")])).is_none());
        let form = typed(&[
            ("meter_1_name", "Rows"),
            ("meter_1_source", "response_header"),
            ("meter_1_header", "x-rows"),
        ]);
        let meters = read(&form).unwrap();
        assert_eq!(meters.len(), 1);
        let name = "x-rows".to_owned();
        assert_eq!(meters[0].source, MeterSource::ResponseHeader { name });
    }

    #[test]
    fn a_fault_is_shown_in_the_row_that_was_typed() {
        let form = typed(&[("meter_2_name", "Rows")]);
        let fault = |field| Failure::field(field, "malformed", "Give the header's name.");
        let field = |failure: Failure| named_as_in_form(failure, &form).errors[0].field.clone();
        assert_eq!(field(fault("meters[0].source.name")), "meter_2_header");
        assert_eq!(field(fault("meters[0].name")), "meter_2_name");
    }
}
