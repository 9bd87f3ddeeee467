//! HTML forms, and a form shown again with what was typed and what is wrong with it.

use super::{Failure, FieldError};

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
