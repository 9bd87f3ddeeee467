//! What a listing says, and its configuration form. No I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::text_enum::text_enum;
use crate::web::FieldError;

text_enum! {
    /// Who may install an app.
    Visibility {
        /// Members of its organisation and the customers it names; no review.
        Private = "private",
        /// Everyone, once it is reviewed.
        Public = "public",
    }
}

text_enum! {
    /// What a field of the configuration form asks for.
    FieldKind {
        /// A line of text.
        Text = "text",
        /// Text that is stored sealed and never shown again.
        Secret = "secret",
        /// One of the choices.
        Choice = "choice",
        /// An https address.
        Url = "url",
        /// A whole or decimal number.
        Number = "number",
    }
}

/// One field of the form that a customer fills at installation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormField {
    /// Its name in the answers: letters, digits and `_`.
    pub name: String,
    /// What the customer reads.
    pub label: String,
    /// What it asks for.
    pub kind: FieldKind,
    /// A sentence of help.
    #[serde(default)]
    pub hint: String,
    /// Whether it must be filled.
    #[serde(default)]
    pub required: bool,
    /// What a choice offers.
    #[serde(default)]
    pub choices: Vec<String>,
    /// The smallest number.
    #[serde(default)]
    pub min: Option<i64>,
    /// The largest number.
    #[serde(default)]
    pub max: Option<i64>,
    /// The longest text, in characters; 1 000 without.
    #[serde(default)]
    pub max_length: Option<u32>,
}

/// A scope and why the app needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeRequest {
    /// The scope.
    pub scope: String,
    /// Why, for the customer.
    #[serde(default)]
    pub reason: String,
}

/// A picture of the app at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Screenshot {
    /// The picture, as the upload answered.
    pub image: String,
    /// What it shows.
    #[serde(default)]
    pub caption: String,
}

/// What a listing says. Every field may be empty in a draft.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Content {
    /// The name in the directory.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// Markdown; raw HTML is shown as text.
    pub description: String,
    /// The logo, as the upload answered.
    pub logo: String,
    /// Pictures of the app at work.
    pub screenshots: Vec<Screenshot>,
    /// Of [`CATEGORIES`].
    pub categories: Vec<String>,
    /// Languages of the app's pages, as BCP 47 tags.
    pub languages: Vec<String>,
    /// Where customers get help.
    pub support_url: String,
    /// Whom customers write to.
    pub support_email: String,
    /// The privacy statement.
    pub privacy_url: String,
    /// The terms for customers.
    pub terms_url: String,
    /// The app's page that begins an installation; empty where the portal installs by itself.
    pub install_url: String,
    /// Where the authorization endpoint may send customers back to; compared exactly.
    pub redirect_uris: Vec<String>,
    /// The endpoint for `app.installed` and the like.
    pub webhook_url: String,
    /// Scopes asked for.
    pub scopes: Vec<ScopeRequest>,
    /// What the app does with the customer's data, for the customer.
    pub data_use: String,
    /// What it costs, for the customer.
    pub pricing: String,
    /// Asked at installation.
    pub form: Vec<FormField>,
}

/// The directory's categories.
pub const CATEGORIES: &[&str] = &[
    "accounting",
    "analytics",
    "automation",
    "communication",
    "customer-support",
    "data",
    "finance",
    "logistics",
    "marketing",
    "productivity",
    "sales",
    "security",
    "other",
];

/// Refuses what would not fit anywhere; whether it is good is the rules' business.
pub fn check_bounds(content: &Content) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut fault = |field: &str, code: &str, detail: String| {
        faults.push(FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            detail,
        });
    };
    for (field, text, most) in [
        ("name", &content.name, 80),
        ("summary", &content.summary, 300),
        ("description", &content.description, 20_000),
        ("support_url", &content.support_url, 500),
        ("support_email", &content.support_email, 254),
        ("privacy_url", &content.privacy_url, 500),
        ("terms_url", &content.terms_url, 500),
        ("install_url", &content.install_url, 500),
        ("webhook_url", &content.webhook_url, 500),
        ("data_use", &content.data_use, 4_000),
        ("pricing", &content.pricing, 2_000),
    ] {
        if text.chars().count() > most {
            fault(field, "too_long", format!("Use at most {most} characters."));
        }
    }
    for (field, count, most) in [
        ("screenshots", content.screenshots.len(), 10),
        ("categories", content.categories.len(), 5),
        ("languages", content.languages.len(), 50),
        ("redirect_uris", content.redirect_uris.len(), 20),
        ("scopes", content.scopes.len(), 100),
        ("form", content.form.len(), 30),
    ] {
        if count > most {
            fault(field, "too_many", format!("Use at most {most}."));
        }
    }
    let mut names: Vec<&str> = Vec::new();
    for field in &content.form {
        let is_name = (1..=40).contains(&field.name.len())
            && field
                .name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name || names.contains(&field.name.as_str()) {
            fault(
                "form",
                "invalid_name",
                format!(
                    "The field name `{}` must be unique and made of letters, digits and `_`.",
                    field.name
                ),
            );
        }
        names.push(&field.name);
        if field.kind == FieldKind::Choice && field.choices.is_empty() {
            fault(
                "form",
                "no_choices",
                format!("`{}` offers no choices.", field.name),
            );
        }
    }
    faults
}

/// The customer's answers, checked: what to store, or what is wrong where. Fields are named
/// `config.<name>`. A secret left empty keeps `known`'s.
pub fn check_answers(
    form: &[FormField],
    answers: &Map<String, Value>,
    known: &Map<String, Value>,
) -> Result<Map<String, Value>, Vec<FieldError>> {
    let mut checked = Map::new();
    let mut faults = Vec::new();
    for field in form {
        let answer = match answers.get(&field.name) {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        if answer.is_empty() {
            match known.get(&field.name) {
                Some(kept) if field.kind == FieldKind::Secret => {
                    checked.insert(field.name.clone(), kept.clone());
                }
                _ if field.required => {
                    faults.push(answer_fault(field, "required", "Fill this in."))
                }
                _ => {}
            }
            continue;
        }
        match check_answer(field, &answer) {
            Ok(value) => {
                checked.insert(field.name.clone(), value);
            }
            Err((code, detail)) => faults.push(answer_fault(field, code, &detail)),
        }
    }
    for name in answers.keys() {
        if !form.iter().any(|field| field.name == *name) {
            faults.push(FieldError {
                field: format!("config.{name}"),
                code: "unknown_field".to_owned(),
                detail: "The app asks for no such field.".to_owned(),
            });
        }
    }
    if faults.is_empty() {
        Ok(checked)
    } else {
        Err(faults)
    }
}

fn answer_fault(field: &FormField, code: &str, detail: &str) -> FieldError {
    FieldError {
        field: format!("config.{}", field.name),
        code: code.to_owned(),
        detail: detail.to_owned(),
    }
}

fn check_answer(field: &FormField, answer: &str) -> Result<Value, (&'static str, String)> {
    let most = field.max_length.unwrap_or(1_000).min(4_000) as usize;
    if answer.chars().count() > most {
        return Err(("too_long", format!("Use at most {most} characters.")));
    }
    match field.kind {
        FieldKind::Text | FieldKind::Secret => {
            if answer.chars().any(char::is_control) {
                return Err(("invalid_text", "Use one line of plain text.".to_owned()));
            }
        }
        FieldKind::Choice => {
            if !field.choices.iter().any(|choice| choice == answer) {
                let choices = field.choices.join(", ");
                return Err(("unknown_value", format!("Choose one of: {choices}.")));
            }
        }
        FieldKind::Url => {
            if !super::address::is_https(answer) {
                return Err((
                    "not_https",
                    "Give an address that begins with https://.".to_owned(),
                ));
            }
        }
        FieldKind::Number => return check_number(field, answer),
    }
    Ok(Value::String(answer.to_owned()))
}

fn check_number(field: &FormField, answer: &str) -> Result<Value, (&'static str, String)> {
    let not_a_number = || {
        (
            "not_a_number",
            "Give a number such as 12 or 0.5.".to_owned(),
        )
    };
    let is_plain = answer
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    let number: bigdecimal::BigDecimal = match answer.parse() {
        Ok(number) if is_plain && answer.len() <= 30 => number,
        _ => return Err(not_a_number()),
    };
    if field.min.is_some_and(|min| number < min) || field.max.is_some_and(|max| number > max) {
        let bounds = match (field.min, field.max) {
            (Some(min), Some(max)) => format!("Give a number from {min} to {max}."),
            (Some(min), None) => format!("Give {min} or more."),
            (_, max) => format!("Give {} or less.", max.unwrap_or_default()),
        };
        return Err(("out_of_range", bounds));
    }
    // Kept as text: a decimal must come back as it was given.
    Ok(Value::String(answer.to_owned()))
}

/// A scope in plain words: `orders:read` is "See orders".
pub fn plain_words(scope: &str) -> String {
    let (object, verb) = scope.rsplit_once([':', '.']).unwrap_or((scope, ""));
    let object = object.replace([':', '.', '_', '-'], " ");
    match verb {
        "read" | "view" | "list" => format!("See {object}"),
        "write" | "edit" | "update" => format!("Create and change {object}"),
        "create" => format!("Create {object}"),
        "delete" | "remove" => format!("Delete {object}"),
        "admin" | "manage" => format!("Manage {object} without limits"),
        "" => format!("Use {object}"),
        other => format!("Use {object}: {}", other.replace(['_', '-'], " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(kind: FieldKind) -> FormField {
        FormField {
            name: "a".to_owned(),
            label: "A".to_owned(),
            kind,
            hint: String::new(),
            required: true,
            choices: vec!["eu".to_owned(), "us".to_owned()],
            min: Some(1),
            max: Some(10),
            max_length: Some(20),
        }
    }

    fn answer(kind: FieldKind, text: &str) -> Result<Map<String, Value>, Vec<FieldError>> {
        let answers = json!({ "a": text }).as_object().unwrap().clone();
        check_answers(&[field(kind)], &answers, &Map::new())
    }

    #[test]
    fn answers_of_every_kind_are_checked() {
        for (kind, good, bad, code) in [
            (FieldKind::Text, "hello", "line\nbreak", "invalid_text"),
            (
                FieldKind::Text,
                "hello",
                "a text of more than twenty",
                "too_long",
            ),
            (FieldKind::Secret, "s3cret", "", "required"),
            (FieldKind::Choice, "eu", "asia", "unknown_value"),
            (
                FieldKind::Url,
                "https://a.example/x",
                "http://a.example",
                "not_https",
            ),
            (FieldKind::Number, "2.5", "11", "out_of_range"),
            (FieldKind::Number, "10", "1e3", "not_a_number"),
        ] {
            assert!(answer(kind, good).is_ok(), "{kind} {good}");
            assert_eq!(answer(kind, bad).unwrap_err()[0].code, code, "{kind} {bad}");
        }
    }

    #[test]
    fn a_secret_left_empty_stays_and_unknown_fields_are_refused() {
        let known = json!({ "a": "sealed" }).as_object().unwrap().clone();
        let kept = check_answers(&[field(FieldKind::Secret)], &Map::new(), &known).unwrap();
        assert_eq!(kept["a"], "sealed");
        let stray = json!({ "a": "x", "b": "y" }).as_object().unwrap().clone();
        let faults = check_answers(&[field(FieldKind::Text)], &stray, &known).unwrap_err();
        assert_eq!(faults[0].field, "config.b");
    }

    #[test]
    fn scopes_read_as_words() {
        assert_eq!(plain_words("orders:read"), "See orders");
        assert_eq!(
            plain_words("order_lines:write"),
            "Create and change order lines"
        );
        assert_eq!(plain_words("reports"), "Use reports");
    }
}
