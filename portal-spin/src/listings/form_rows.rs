//! The configuration form of a listing as rows of inputs, and back. No I/O.

use super::content::{FieldKind, FormField};
use crate::web::Failure;
use crate::web::forms::Form;

/// One row: a field as it is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormRow {
    /// `field_name`.
    pub name: String,
    /// `field_label`.
    pub label: String,
    /// `field_kind`.
    pub kind: String,
    /// `field_need`: `required` or `optional`.
    pub need: String,
    /// `field_choices`, by comma.
    pub choices: String,
    /// `field_hint`.
    pub hint: String,
    /// `field_min`.
    pub min: String,
    /// `field_max`.
    pub max: String,
    /// `field_max_length`.
    pub max_length: String,
}

impl FormRow {
    /// A field as its row shows it.
    pub fn of(field: &FormField) -> Self {
        let number = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
        let need = if field.required {
            "required"
        } else {
            "optional"
        };
        Self {
            name: field.name.clone(),
            label: field.label.clone(),
            kind: field.kind.as_str().to_owned(),
            need: need.to_owned(),
            choices: field.choices.join(", "),
            hint: field.hint.clone(),
            min: number(field.min),
            max: number(field.max),
            max_length: number(field.max_length.map(i64::from)),
        }
    }

    fn is_empty(&self) -> bool {
        self.name.is_empty() && self.label.is_empty()
    }

    fn read(&self) -> Result<FormField, Failure> {
        let wrong = |code: &str, detail: String| Failure::field("form", code, detail);
        let number = |text: &str, what: &str| -> Result<Option<i64>, Failure> {
            if text.is_empty() {
                return Ok(None);
            }
            let name = &self.name;
            text.parse().map(Some).map_err(|_| {
                let detail =
                    format!("The {what} of `{name}` must be a whole number, not `{text}`.");
                wrong("not_a_number", detail)
            })
        };
        let kind: FieldKind = self.kind.parse().map_err(|()| {
            let detail = format!(
                "The kind of `{}` must be text, secret, choice, url or number.",
                self.name
            );
            wrong("unknown_kind", detail)
        })?;
        let most = number(&self.max_length, "longest length")?;
        let max_length = most.map(u32::try_from).transpose().map_err(|_| {
            let detail = format!("The longest length of `{}` is out of range.", self.name);
            wrong("out_of_range", detail)
        })?;
        Ok(FormField {
            name: self.name.clone(),
            label: self.label.clone(),
            kind,
            hint: self.hint.clone(),
            required: self.need == "required",
            choices: self
                .choices
                .split(',')
                .map(|choice| choice.trim().to_owned())
                .filter(|choice| !choice.is_empty())
                .collect(),
            min: number(&self.min, "smallest number")?,
            max: number(&self.max, "largest number")?,
            max_length,
        })
    }
}

/// The rows that were sent, an empty one at the end left out.
pub fn rows_of(form: &Form) -> Vec<FormRow> {
    let all = |name: &str| form.all(name).into_iter();
    let (mut labels, mut kinds, mut needs) =
        (all("field_label"), all("field_kind"), all("field_need"));
    let (mut choices, mut hints) = (all("field_choices"), all("field_hint"));
    let (mut smallest, mut largest) = (all("field_min"), all("field_max"));
    let mut lengths = all("field_max_length");
    let text = |next: Option<String>| next.unwrap_or_default().trim().to_owned();
    all("field_name")
        .map(|name| FormRow {
            name: name.trim().to_owned(),
            label: text(labels.next()),
            kind: text(kinds.next()),
            need: text(needs.next()),
            choices: text(choices.next()),
            hint: text(hints.next()),
            min: text(smallest.next()),
            max: text(largest.next()),
            max_length: text(lengths.next()),
        })
        .filter(|row| !row.is_empty())
        .collect()
}

/// The fields of these rows.
pub fn read_rows(rows: &[FormRow]) -> Result<Vec<FormField>, Failure> {
    rows.iter().map(FormRow::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_back_as_they_are_shown_with_their_bounds() {
        let fields = vec![
            FormField {
                name: "region".to_owned(),
                label: "Region".to_owned(),
                kind: FieldKind::Choice,
                hint: "Where".to_owned(),
                required: true,
                choices: vec!["eu".to_owned(), "us".to_owned()],
                min: None,
                max: None,
                max_length: None,
            },
            FormField {
                name: "days".to_owned(),
                label: "Days".to_owned(),
                kind: FieldKind::Number,
                hint: String::new(),
                required: false,
                choices: Vec::new(),
                min: Some(-1),
                max: Some(30),
                max_length: Some(3),
            },
        ];
        let rows: Vec<FormRow> = fields.iter().map(FormRow::of).collect();
        let mut sent = form_urlencoded::Serializer::new(String::new());
        for row in rows.iter().chain([&FormRow::default()]) {
            sent.append_pair("field_name", &row.name);
            sent.append_pair("field_label", &row.label);
            sent.append_pair("field_kind", &row.kind);
            sent.append_pair("field_need", &row.need);
            sent.append_pair("field_choices", &row.choices);
            sent.append_pair("field_hint", &row.hint);
            sent.append_pair("field_min", &row.min);
            sent.append_pair("field_max", &row.max);
            sent.append_pair("field_max_length", &row.max_length);
        }
        let read = rows_of(&Form::parse(sent.finish().as_bytes()));
        assert_eq!(read, rows);
        assert_eq!(read_rows(&read).unwrap(), fields);
    }

    #[test]
    fn what_is_no_kind_or_no_number_is_named() {
        let row = |kind: &str, min: &str, length: &str| FormRow {
            name: "days".to_owned(),
            kind: kind.to_owned(),
            min: min.to_owned(),
            max_length: length.to_owned(),
            ..FormRow::default()
        };
        for (row, part) in [
            (row("banana", "", ""), "kind of `days`"),
            (row("number", "two", ""), "smallest number of `days`"),
            (row("text", "", "-1"), "longest length of `days`"),
        ] {
            let failure = read_rows(&[row]).unwrap_err();
            assert_eq!(failure.errors[0].field, "form");
            assert!(failure.errors[0].detail.contains(part), "{part}");
        }
    }
}
