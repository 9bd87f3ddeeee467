//! HTML forms, and a form shown again with what was typed and what is wrong with it.

use super::{Failure, FieldError};

/// A name that people read, in a field of this name: trimmed, 1 to `most` characters, one line of plain
/// text. The only rule for names of people, organisations, apps, keys and whatever else has one.
pub fn read_name(field: &str, text: &str, most: usize) -> Result<String, FieldError> {
    let fault = |code: &str, detail: String| FieldError {
        field: field.to_owned(),
        code: code.to_owned(),
        detail,
    };
    let name = text.trim();
    let length = name.chars().count();
    if length == 0 {
        Err(fault("required", "Fill this in.".to_owned()))
    } else if length > most {
        Err(fault("too_long", format!("Use at most {most} characters.")))
    } else if name.chars().any(breaks_a_line) {
        Err(fault(
            "invalid_text",
            "Use one line of plain text.".to_owned(),
        ))
    } else {
        Ok(name.to_owned())
    }
}

/// Control characters, the two separators that break a line like them, and those that turn the direction
/// of what follows: a name must not change how the text around it reads.
fn breaks_a_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The fields of a posted form.
#[derive(Debug, Clone, Default)]
pub struct Form {
    fields: Vec<(String, String)>,
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn parse(body: &[u8]) -> Self {
        Self {
            fields: form_urlencoded::parse(body).into_owned().collect(),
        }
    }

    /// A form with these fields.
    #[cfg(test)]
    pub fn of(fields: &[(String, String)]) -> Self {
        Self {
            fields: fields.to_vec(),
        }
    }

    /// Reads `multipart/form-data`, which forms with a file use. A file of text is a field like others;
    /// what is not UTF-8 is left out here.
    pub fn parse_multipart(body: &[u8], boundary: &str) -> Self {
        Self {
            fields: super::multipart::parts(body, boundary)
                .into_iter()
                .filter_map(|part| {
                    let text = std::str::from_utf8(part.bytes).ok()?.to_owned();
                    Some((part.name, text))
                })
                .collect(),
        }
    }

    /// A field's text, without surrounding space; empty if it was not sent.
    pub fn text(&self, name: &str) -> String {
        self.raw(name).trim().to_owned()
    }

    /// A field as typed (passwords).
    pub fn raw(&self, name: &str) -> &str {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// All values of a repeated field.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.fields
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// Whether a box was ticked.
    pub fn is_ticked(&self, name: &str) -> bool {
        !self.raw(name).is_empty()
    }
}

/// What a form page shows besides its labels: the values and the errors of the last try.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    form: Form,
    errors: Vec<FieldError>,
    general: String,
}

impl Shown {
    /// A form that failed: its values and its errors. Failures that are not the visitor's to mend
    /// pass through.
    pub fn again(form: Form, failure: Failure) -> Result<Self, Failure> {
        if failure.status.is_server_error() {
            return Err(failure);
        }
        let general = if failure.errors.is_empty() {
            failure.detail
        } else {
            String::new()
        };
        Ok(Self {
            form,
            errors: failure.errors,
            general,
        })
    }

    /// As it is, with what is wrong with the whole.
    pub fn with_general(mut self, detail: &str) -> Self {
        detail.clone_into(&mut self.general);
        self
    }

    /// A form with values filled in.
    pub fn with_values(values: &[(&str, &str)]) -> Self {
        let fields = values
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        Self {
            form: Form { fields },
            ..Self::default()
        }
    }

    /// The value of a field.
    pub fn value(&self, name: &str) -> &str {
        self.form.raw(name)
    }

    /// Whether a repeated field has this value among its own.
    pub fn has(&self, name: &str, value: &str) -> bool {
        let mut fields = self.form.fields.iter();
        fields.any(|(known, own)| known == name && own == value)
    }

    /// What is wrong with a field; empty if nothing.
    pub fn error(&self, name: &str) -> &str {
        self.errors
            .iter()
            .find(|error| error.field == name)
            .map_or("", |error| error.detail.as_str())
    }

    /// Everything that is wrong with a field.
    pub fn errors<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.errors
            .iter()
            .filter(move |error| error.field == name)
            .map(|error| error.detail.as_str())
    }

    /// Says what is wrong with the whole.
    pub fn set_general(&mut self, detail: &str) {
        detail.clone_into(&mut self.general);
    }

    /// What is wrong with the whole.
    pub fn general(&self) -> &str {
        &self.general
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_plain_text() {
        assert_eq!(
            read_name("name", "  Ünïcödé 株式会社 👩‍💻 ", 80).unwrap(),
            "Ünïcödé 株式会社 👩‍💻"
        );
        assert!(read_name("name", &"ж".repeat(80), 80).is_ok());
        for (text, code) in [
            (" \t\r\n", "required"),
            (&*"ж".repeat(81), "too_long"),
            ("a\0b", "invalid_text"),
            ("a\r\nBcc: eve@example.com", "invalid_text"),
            ("a\u{1b}[2J", "invalid_text"),
            ("a\u{2028}b", "invalid_text"),
            ("a\u{202e}moc.live", "invalid_text"),
        ] {
            let fault = read_name("organisation_name", text, 80).unwrap_err();
            assert_eq!((&*fault.field, &*fault.code), ("organisation_name", code));
        }
    }

    #[test]
    fn a_form_with_a_file_is_read_like_one_without() {
        let body = "--X\r\nContent-Disposition: form-data; name=\"tags\"\r\n\r\npilot\r\n--X\r\n\
            Content-Disposition: form-data; name=\"file\"; filename=\"a;b.csv\"\r\nContent-Type: text/csv\r\n\r\n\
            email\r\nada@example.com\r\n\r\n--X--\r\n";
        let form = Form::parse_multipart(body.as_bytes(), "X");
        assert_eq!(form.raw("tags"), "pilot");
        assert_eq!(form.raw("file"), "email\r\nada@example.com\r\n");
        for end in 0..body.len() {
            Form::parse_multipart(&body.as_bytes()[..end], "X");
        }
        assert_eq!(Form::parse_multipart(body.as_bytes(), "").raw("none"), "");
    }
}
