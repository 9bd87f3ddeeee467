//! How a text becomes a message: variables in braces, the operator's wording where there is one. Pure but
//! for [`compose`] and [`send`].

use super::catalogue::{PROGRAMME, TEXTS};
use super::{Message, queue_email};
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::organisations::language::language_of_recipient;
use crate::params;
use crate::web::languages::Language;

/// A text, as it stands in the code.
#[derive(Debug)]
pub struct Text {
    /// Its name in URLs and in the database.
    pub name: &'static str,
    /// When it is sent, for the operator.
    pub when: &'static str,
    /// The subject line.
    pub subject: &'static str,
    /// The text; a line that is only a link becomes one.
    pub body: &'static str,
    /// What may stand in braces, each with an example.
    pub variables: &'static [(&'static str, &'static str)],
    /// Variables without which the mail is of no use.
    pub needed: &'static [&'static str],
}

/// The text of this name.
pub fn find_text(name: &str) -> Option<&'static Text> {
    TEXTS.iter().find(|text| text.name == name)
}

/// Puts values in place of `{name}`. The error is the first part in braces that is no variable.
pub fn fill<'a>(
    template: &str,
    value_of: impl Fn(&str) -> Option<&'a str>,
) -> Result<String, String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = behind.split_once('}') else {
            let part: String = behind.chars().take(20).collect();
            return Err(format!("{{{part}"));
        };
        filled.push_str(value_of(name).ok_or_else(|| format!("{{{name}}}"))?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Why this wording may not stand, if it may not: `field` is `subject` or `text`.
pub fn problem(text: &Text, field: &str, wording: &str) -> Option<String> {
    let known = |name: &str| {
        let found = text.variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, example)| *example)
    };
    if let Err(wrong) = fill(wording, known) {
        let names: Vec<String> = text
            .variables
            .iter()
            .map(|(name, _)| format!("{{{name}}}"))
            .collect();
        return Some(format!(
            "{wrong} is no variable of this e-mail. It has {}.",
            names.join(", ")
        ));
    }
    if field == "subject" && wording.chars().any(char::is_control) {
        return Some("Write the subject in one line.".to_owned());
    }
    let longest = if field == "subject" { 200 } else { 5_000 };
    if wording.chars().count() > longest {
        return Some(format!("Use at most {longest} characters."));
    }
    let missing = text
        .needed
        .iter()
        .find(|name| field == "text" && !wording.contains(&format!("{{{name}}}")));
    missing.map(|name| format!("Leave {{{name}}} in: without it the e-mail is of no use."))
}

/// The operator's wording of a text, if there is one: subject and body.
pub async fn find_wording(
    connection: &Connection,
    name: &str,
) -> Result<Option<(String, String)>, DatabaseError> {
    connection
        .query_optional(
            "SELECT subject, body FROM email_texts WHERE name = $1",
            params![name],
        )
        .await?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .transpose()
}

/// Variables whose value the program words; what people wrote or named stays.
const WORDED: &[&str] = &[
    "role", "wish", "outcome", "change", "changes", "headline", "details", "state", "what",
];

fn said(language: Language, name: &str, value: &str) -> String {
    if !WORDED.contains(&name) {
        return value.to_owned();
    }
    // Lines are texts of their own.
    let lines = value.split('\n').map(|line| language.say(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// A message of this name, in the operator's words where there are any that can be filled in.
pub async fn compose(
    context: &Context,
    name: &'static str,
    to: &str,
    values: &[(&str, &str)],
) -> Result<Message, DatabaseError> {
    let text =
        find_text(name).ok_or_else(|| DatabaseError::Shape(format!("there is no text {name}")))?;
    let language = language_of_recipient(context, to).await?;
    let values: Vec<(&str, String)> = values
        .iter()
        .map(|(name, value)| (*name, said(language, name, value)))
        .collect();
    let brand = context.app.brand();
    let value_of = |name: &str| {
        if name == PROGRAMME.0 {
            return Some(brand.name.as_str());
        }
        let found = values.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    };
    let words = |subject: &str, body: &str| {
        Ok::<_, String>((fill(subject, value_of)?, fill(body, value_of)?))
    };
    let wording = find_wording(&context.connection, name).await?;
    let in_own_words = wording.and_then(|(subject, body)| words(&subject, &body).ok());
    let (subject, text) = match in_own_words {
        Some(filled) => filled,
        None => words(&language.say(text.subject), &language.say(text.body))
            .map_err(DatabaseError::Shape)?,
    };
    Ok(Message {
        to: to.to_owned(),
        subject,
        text,
        code: None,
        language: language.tag,
    })
}

/// Composes a message of this name and queues it. Call it inside the transaction of the change.
pub async fn send(
    context: &Context,
    name: &'static str,
    to: &str,
    values: &[(&str, &str)],
) -> Result<(), DatabaseError> {
    let message = compose(context, name, to, values).await?;
    queue_email(context, &message).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_in_the_code_may_stand() {
        for text in TEXTS {
            assert_eq!(
                problem(text, "subject", text.subject),
                None,
                "{}",
                text.name
            );
            assert_eq!(problem(text, "text", text.body), None, "{}", text.name);
        }
    }

    #[test]
    fn a_bad_variable_is_named_with_those_there_are() {
        let text = find_text("password-reset").unwrap();
        let said = problem(text, "subject", "Hello {nmae}").unwrap();
        assert!(
            said.starts_with("{nmae} is no variable") && said.contains("{link}"),
            "{said}"
        );
        assert!(
            problem(text, "text", "{link")
                .unwrap()
                .starts_with("{link is no")
        );
        assert!(
            problem(text, "text", "no link")
                .unwrap()
                .contains("Leave {link} in")
        );
        assert!(problem(text, "subject", "two\nlines").is_some());
    }

    #[test]
    fn values_are_never_read_as_variables() {
        let value_of = |name: &str| (name == "a").then_some("{b}");
        assert_eq!(fill("{a} and {a}", value_of).unwrap(), "{b} and {b}");
        assert_eq!(fill("{b}", value_of).unwrap_err(), "{b}");
    }
}
