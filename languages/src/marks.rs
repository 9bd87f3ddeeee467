//! The marks around what a template did not write itself.
//!
//! Three code points of the private use area. They are taken out of all data on the way into a page,
//! and out of the page before it leaves the portal.

use std::fmt::{self, Write};

/// Opens a value: shown as it is.
pub const VALUE: char = '\u{E000}';
/// Opens words of the program itself: looked up like a text of a template.
pub const WORDS: char = '\u{E001}';
/// Closes both.
pub const END: char = '\u{E002}';

/// Whether this is one of the marks.
pub const fn is_mark(c: char) -> bool {
    matches!(c, VALUE | WORDS | END)
}

/// Writes text for HTML: escaped, and without marks of its own.
pub fn write_escaped(into: &mut impl Write, text: &str) -> fmt::Result {
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let instead = match c {
            '"' => "&#34;",
            '&' => "&#38;",
            '\'' => "&#39;",
            '<' => "&#60;",
            '>' => "&#62;",
            c if is_mark(c) => "",
            _ => continue,
        };
        into.write_str(text.get(from..at).unwrap_or_default())?;
        into.write_str(instead)?;
        from = at + c.len_utf8();
    }
    into.write_str(text.get(from..).unwrap_or_default())
}

/// Writes a value with its marks.
pub fn write_value(into: &mut impl Write, text: &str) -> fmt::Result {
    into.write_char(VALUE)?;
    write_escaped(into, text)?;
    into.write_char(END)
}

/// Writes words with their marks; nothing for none.
pub fn write_words(into: &mut impl Write, text: &str) -> fmt::Result {
    if text.is_empty() {
        return Ok(());
    }
    into.write_char(WORDS)?;
    write_escaped(into, text)?;
    into.write_char(END)
}

/// Where the next mark stands, and which.
pub fn find(text: &str) -> Option<(usize, char)> {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(step) = bytes.get(from..)?.iter().position(|byte| *byte == 0xEE) {
        let at = from + step;
        if bytes.get(at + 1) == Some(&0x80) {
            match bytes.get(at + 2) {
                Some(0x80) => return Some((at, VALUE)),
                Some(0x81) => return Some((at, WORDS)),
                Some(0x82) => return Some((at, END)),
                _ => {}
            }
        }
        from = at + 1;
    }
    None
}

/// The text without marks.
pub fn strip(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, mark)) = find(rest) {
        plain.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + mark.len_utf8()..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_bring_marks_of_its_own() {
        let mut page = String::new();
        write_value(&mut page, "a\u{E001}<b>\u{E002}\u{F8FF}").unwrap();
        assert_eq!(page, "\u{E000}a&#60;b&#62;\u{F8FF}\u{E002}");
        assert_eq!(strip(&page), "a&#60;b&#62;\u{F8FF}");
    }
}
