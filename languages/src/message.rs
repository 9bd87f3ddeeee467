//! One message: pieces of a page that belong to one sentence, its name, and a translation put back.

use crate::html::decode;
use crate::marks::write_escaped;

/// A piece of a run of inline content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// What the template says, as HTML.
    Text(String),
    /// What is shown as it is: a value, or an element that is not language. Finished HTML.
    Value(String),
    /// Words of the program, in English, as escaped HTML.
    Words(String),
    /// `<a …>`: name and source.
    Open(String, String),
    /// `</a>`: name and source.
    Close(String, String),
    /// `<br>`
    Void(String),
}

/// Whether text says something: a separator or an arrow does not.
pub fn says_something(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
}

/// A message with what its placeholders stand for.
#[derive(Debug, Default)]
pub struct Message {
    /// The English text, with `{0}`, `<1>…</1>` and `<2/>`.
    pub id: String,
    /// What `{0}`, `{1}` … stand for.
    pub values: Vec<String>,
    tags: Vec<(String, String)>,
}

impl Message {
    /// Puts pieces together. `words` translates the program's words among them.
    pub fn of(pieces: &[Piece], mut words: impl FnMut(&str) -> String) -> Self {
        let mut message = Self::default();
        let mut open: Vec<usize> = Vec::new();
        let mut is_hole = false;
        for piece in pieces {
            let was_hole = std::mem::replace(&mut is_hole, false);
            match piece {
                Piece::Text(text) => message.add_text(&decode(text)),
                Piece::Value(value) if was_hole => {
                    // Two values without anything between: one hole, as a value may come in parts.
                    if let Some(last) = message.values.last_mut() {
                        last.push_str(value);
                    }
                    is_hole = true;
                }
                Piece::Value(value) => {
                    message.add_value(value.clone());
                    is_hole = true;
                }
                Piece::Words(text) => message.add_value(words(text)),
                Piece::Void(source) => {
                    message.tags.push((source.clone(), String::new()));
                    message.id.push_str(&format!("<{}/>", message.tags.len()));
                }
                Piece::Open(_, source) => {
                    message.tags.push((source.clone(), String::new()));
                    open.push(message.tags.len());
                    message.id.push_str(&format!("<{}>", message.tags.len()));
                }
                Piece::Close(_, source) => {
                    if let Some(number) = open.pop() {
                        if let Some(tag) = message.tags.get_mut(number - 1) {
                            tag.1.clone_from(source);
                        }
                        message.id.push_str(&format!("</{number}>"));
                    }
                }
            }
        }
        message
    }

    fn add_value(&mut self, value: String) {
        self.id.push_str(&format!("{{{}}}", self.values.len()));
        self.values.push(value);
    }

    fn add_text(&mut self, text: &str) {
        for c in text.chars() {
            if !c.is_ascii_whitespace() {
                self.id.push(c);
            } else if !self.id.ends_with(' ') {
                self.id.push(' ');
            }
        }
    }

    /// A translation as HTML, with values and tags in its places.
    pub fn fill(&self, translation: &str, into: &mut String) {
        let mut rest = translation;
        while let Some(at) = rest.find(['{', '<']) {
            let (text, behind) = rest.split_at(at);
            let _ = write_escaped(into, text);
            let found = self.placeholder(behind);
            match found {
                Some((html, length)) => {
                    into.push_str(html);
                    rest = behind.get(length..).unwrap_or_default();
                }
                None => {
                    let mut chars = behind.chars();
                    let first = chars.next().map(String::from).unwrap_or_default();
                    let _ = write_escaped(into, &first);
                    rest = chars.as_str();
                }
            }
        }
        let _ = write_escaped(into, rest);
    }

    fn placeholder(&self, text: &str) -> Option<(&str, usize)> {
        let (inner, number, length) = placeholder_at(text)?;
        let html = match inner {
            Placeholder::Value => self.values.get(number)?,
            Placeholder::Open | Placeholder::Void => &self.tags.get(number.checked_sub(1)?)?.0,
            Placeholder::Close => &self.tags.get(number.checked_sub(1)?)?.1,
        };
        Some((html, length))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    Value,
    Open,
    Close,
    Void,
}

/// The placeholder that this text begins with, its number and its length.
fn placeholder_at(text: &str) -> Option<(Placeholder, usize, usize)> {
    let (kind, inner, end) = if let Some(inner) = text.strip_prefix('{') {
        (Placeholder::Value, inner, "}")
    } else if let Some(inner) = text.strip_prefix("</") {
        (Placeholder::Close, inner, ">")
    } else {
        (Placeholder::Open, text.strip_prefix('<')?, ">")
    };
    let digits = inner.find(|c: char| !c.is_ascii_digit())?;
    let number = inner.get(..digits)?.parse().ok()?;
    let before = text.len() - inner.len() + digits;
    let behind = inner.get(digits..)?;
    if behind.starts_with(end) {
        Some((kind, number, before + 1))
    } else if kind == Placeholder::Open && behind.starts_with("/>") {
        Some((Placeholder::Void, number, before + 2))
    } else {
        None
    }
}

/// Every placeholder of a text, sorted: a translation must have the same. A value in braces may have a
/// number or a name.
pub fn placeholders(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '<']) {
        let behind = rest.get(at..).unwrap_or_default();
        let named = || {
            let (name, _) = behind.strip_prefix('{')?.split_once('}')?;
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            is_name.then_some(name.len() + 2)
        };
        let length = placeholder_at(behind)
            .map(|(_, _, length)| length)
            .or_else(named);
        if let Some(length) = length {
            found.push(behind.get(..length).unwrap_or_default().to_owned());
        }
        rest = behind.get(length.unwrap_or(1)..).unwrap_or_default();
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_translation_may_order_values_and_tags_anew() {
        let pieces = [
            Piece::Text("Read the ".into()),
            Piece::Open("a".into(), "<a href=\"/t\">".into()),
            Piece::Text("terms".into()),
            Piece::Close("a".into(), "</a>".into()),
            Piece::Text(" by  \n".into()),
            Piece::Value("5&#38;6".into()),
        ];
        let message = Message::of(&pieces, str::to_owned);
        assert_eq!(message.id, "Read the <1>terms</1> by {0}");
        let mut page = String::new();
        message.fill("Bis {0} die <1>Bedingungen</1> lesen & < {9}", &mut page);
        assert_eq!(
            page,
            "Bis 5&#38;6 die <a href=\"/t\">Bedingungen</a> lesen &#38; &#60; {9}"
        );
    }

    #[test]
    fn placeholders_are_found_whatever_their_order() {
        assert_eq!(
            placeholders("<1>a</1> {0} {link}<2/> {not one} <x>"),
            placeholders("{link} {0}<2/> <1>b</1>")
        );
        assert_ne!(placeholders("{0}"), placeholders("{1}"));
    }
}
