//! The files translators edit: PO, as gettext has it, without contexts and plural forms.

use std::collections::BTreeMap;

/// A catalogue file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct File {
    /// The header's fields, in order.
    pub header: Vec<(String, String)>,
    /// What it translates.
    pub entries: Vec<Entry>,
}

/// A text.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the translator knows: `#` lines of their own.
    pub notes: Vec<String>,
    /// What the values are: `#.` lines.
    pub comments: Vec<String>,
    /// Where it stands: `#:` lines.
    pub places: Vec<String>,
    /// The English text.
    pub id: String,
    /// The translation; empty if there is none yet.
    pub text: String,
    /// The line of the file.
    pub line: usize,
}

impl File {
    /// A header field; empty if there is none.
    pub fn field(&self, name: &str) -> &str {
        let found = self.header.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Whether the file says that it has every text.
    pub fn is_complete(&self) -> bool {
        self.field("X-Complete") == "yes"
    }

    /// Reads a file. The error names the line.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut file = Self::default();
        let mut entry = Entry::default();
        let mut is_in_text = false;
        let mut has_id = false;
        for (at, line) in text.lines().enumerate() {
            let number = at + 1;
            let line = line.trim();
            let starts_anew =
                line.is_empty() || line.starts_with('#') || line.starts_with("msgid ");
            if starts_anew && is_in_text {
                file.take(std::mem::take(&mut entry));
                (is_in_text, has_id) = (false, false);
            }
            if line.is_empty() || line.starts_with("#~") {
                continue;
            }
            if let Some(place) = line.strip_prefix("#:") {
                entry.places.push(place.trim().to_owned());
            } else if let Some(comment) = line.strip_prefix("#.") {
                entry.comments.push(comment.trim().to_owned());
            } else if line.starts_with("#,") {
                if line.contains("fuzzy") {
                    return Err(format!(
                        "line {number}: settle what is marked fuzzy, and take the mark away"
                    ));
                }
            } else if let Some(note) = line.strip_prefix('#') {
                entry.notes.push(note.trim().to_owned());
            } else if let Some(quoted) = line.strip_prefix("msgid ") {
                entry.id = unquote(quoted, number)?;
                entry.line = number;
                has_id = true;
            } else if let Some(quoted) = line.strip_prefix("msgstr ") {
                if !has_id {
                    return Err(format!("line {number}: a msgstr without its msgid"));
                }
                entry.text = unquote(quoted, number)?;
                is_in_text = true;
            } else if line.starts_with('"') && has_id {
                let more = unquote(line, number)?;
                let into = if is_in_text {
                    &mut entry.text
                } else {
                    &mut entry.id
                };
                into.push_str(&more);
            } else {
                return Err(format!(
                    "line {number}: expected msgid, msgstr, a comment or a quoted line"
                ));
            }
        }
        if is_in_text {
            file.take(entry);
        }
        file.check_once()?;
        Ok(file)
    }

    fn take(&mut self, entry: Entry) {
        if entry.id.is_empty() {
            self.header = entry
                .text
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
                .collect();
        } else {
            self.entries.push(entry);
        }
    }

    fn check_once(&self) -> Result<(), String> {
        let mut seen = BTreeMap::new();
        for entry in &self.entries {
            if let Some(line) = seen.insert(entry.id.as_str(), entry.line) {
                return Err(format!(
                    "line {}: the text of line {line} a second time",
                    entry.line
                ));
            }
        }
        Ok(())
    }

    /// Writes the file.
    pub fn write(&self) -> String {
        let mut out = String::from("msgid \"\"\nmsgstr \"\"\n");
        for (name, value) in &self.header {
            out.push_str(&quote(&format!("{name}: {value}\n")));
            out.push('\n');
        }
        for entry in &self.entries {
            out.push('\n');
            for note in &entry.notes {
                out.push_str(&format!("# {note}\n"));
            }
            for comment in &entry.comments {
                out.push_str(&format!("#. {comment}\n"));
            }
            for place in &entry.places {
                out.push_str(&format!("#: {place}\n"));
            }
            write_string(&mut out, "msgid", &entry.id);
            write_string(&mut out, "msgstr", &entry.text);
        }
        out
    }
}

fn write_string(out: &mut String, keyword: &str, text: &str) {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.len() < 2 {
        out.push_str(&format!("{keyword} {}\n", quote(text)));
        return;
    }
    out.push_str(&format!("{keyword} \"\"\n"));
    for line in lines {
        out.push_str(&quote(line));
        out.push('\n');
    }
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn unquote(quoted: &str, line: usize) -> Result<String, String> {
    let inner = quoted
        .trim()
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .ok_or_else(|| format!("line {line}: a text stands in double quotes"))?;
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c == '"' {
            return Err(format!(
                "line {line}: write a quotation mark in the text as \\\""
            ));
        }
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some(same @ ('"' | '\\')) => text.push(same),
            _ => {
                return Err(format!(
                    "line {line}: unknown escape; there are \\n, \\t, \\\" and \\\\"
                ));
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let file = File {
            header: vec![
                ("Language".into(), "de".into()),
                ("X-Language-Name".into(), "Deutsch".into()),
            ],
            entries: vec![
                Entry {
                    notes: vec!["say Sie".into()],
                    comments: vec!["{0}: the name".into()],
                    places: vec!["a.html".into()],
                    id: "Hello \"{0}\"".into(),
                    text: "Guten Tag, \"{0}\" \\".into(),
                    line: 9,
                },
                Entry {
                    id: "One\ntwo".into(),
                    line: 12,
                    ..Entry::default()
                },
            ],
        };
        let again = File::read(&file.write()).unwrap();
        assert_eq!(again, file);
        assert_eq!(again.field("Language"), "de");
        assert!(!again.is_complete());
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let wrong = |text| File::read(text).unwrap_err();
        assert!(wrong("msgid \"a\"\nmsgstr b").starts_with("line 2"));
        assert!(wrong("msgid \"a\"\nmsgstr \"\\x\"").starts_with("line 2"));
        assert!(
            wrong("msgid \"a\"\nmsgstr \"\"\n\nmsgid \"a\"\nmsgstr \"\"").starts_with("line 4")
        );
        assert!(wrong("nonsense").starts_with("line 1"));
    }
}
