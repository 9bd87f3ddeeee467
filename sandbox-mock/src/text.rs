//! Percent-encoding and the spelling of names, for URLs, forms and pointers.

/// Decodes `%41`; anything that is not a valid escape stays as it is, and broken UTF-8 is replaced.
pub(crate) fn percent_decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escape = (*byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escape {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Decodes a form or query component, where a plus is a space.
pub(crate) fn form_decode(text: &str) -> String {
    percent_decode(&text.replace('+', " "))
}

/// Encodes everything but the unreserved characters of RFC 3986.
pub(crate) fn percent_encode(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A name without case and separators: `orderId`, `order_id` and `Order-ID` are one.
pub(crate) fn plain_name(name: &str) -> String {
    // Nearly every name is ASCII, and this is called for each member of each answer.
    if name.is_ascii() {
        let mut plain = String::with_capacity(name.len());
        let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
        plain.extend(letters.map(|byte| char::from(byte.to_ascii_lowercase())));
        return plain;
    }
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Whether a member of this name holds the id of the object that it is in.
pub(crate) fn is_id_name(name: &str) -> bool {
    let plain = plain_name(name);
    ["id", "sid", "gid", "uid", "guid", "uuid"].contains(&plain.as_str())
}

/// The words of a name, in lower case.
pub(crate) struct Words {
    text: String,
    /// Where each word ends in the text.
    ends: [u16; MOST_WORDS],
    count: usize,
}

/// What follows the last of these is one word with it.
const MOST_WORDS: usize = 32;

impl Words {
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &str> {
        (0..self.count).map(|at| {
            let end_of = |at: usize| self.ends.get(at).map_or(0, |end| usize::from(*end));
            let start = at.checked_sub(1).map_or(0, end_of);
            self.text.get(start..end_of(at)).unwrap_or("")
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn last(&self) -> &str {
        self.iter().next_back().unwrap_or("")
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.iter().any(|known| known == word)
    }

    pub(crate) fn has_one_of(&self, list: &[&str]) -> bool {
        self.iter().any(|word| list.contains(&word))
    }

    /// All words without anything between them.
    pub(crate) fn joined(&self) -> &str {
        &self.text
    }

    /// Ends the last word here, unless it is empty.
    fn end_word(&mut self) {
        let end = u16::try_from(self.text.len()).unwrap_or(u16::MAX);
        let before = self.count.checked_sub(1).and_then(|at| self.ends.get(at));
        if before.copied().unwrap_or(0) == end {
            return;
        }
        if let Some(slot) = self.ends.get_mut(self.count.min(MOST_WORDS - 1)) {
            *slot = end;
            self.count = (self.count + 1).min(MOST_WORDS);
        }
    }
}

/// The words of a name in lower case: `createdAt`, `created_at` and `Created-At` are `created at`.
pub(crate) fn words(name: &str) -> Words {
    let mut words = Words {
        text: String::with_capacity(name.len()),
        ends: [0; MOST_WORDS],
        count: 0,
    };
    let mut previous_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            words.end_word();
            previous_lower = false;
            continue;
        }
        if c.is_uppercase() && previous_lower {
            words.end_word();
        }
        previous_lower = c.is_lowercase() || c.is_numeric();
        if c.is_ascii() {
            words.text.push(c.to_ascii_lowercase());
        } else {
            words.text.extend(c.to_lowercase());
        }
    }
    words.end_word();
    words
}

/// The singular of a collection's name, as far as English endings tell.
pub(crate) fn singular(name: &str) -> String {
    if let Some(stem) = name.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    for ending in ["sses", "shes", "ches", "xes", "zes"] {
        if name.ends_with(ending) {
            return name.strip_suffix("es").unwrap_or(name).to_owned();
        }
    }
    match name.strip_suffix('s') {
        Some(stem) if !stem.ends_with('s') && stem.len() > 1 => stem.to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_nonsense_stays() {
        assert_eq!(percent_decode("a%2Fb%zz%4"), "a/b%zz%4");
        assert_eq!(form_decode("a+b%20c%FF"), "a b c\u{fffd}");
        assert_eq!(percent_decode(&percent_encode("é/ü x")), "é/ü x");
    }

    #[test]
    fn names_are_split_into_words() {
        let of = |name: &str| words(name).iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(of("createdAt"), ["created", "at"]);
        assert_eq!(of("X-Request-ID"), ["x", "request", "id"]);
        assert_eq!(of("__éTé"), ["é", "té"]);
        assert_eq!(of(""), [""; 0]);
        assert_eq!(of(&"a_".repeat(40)).len(), 32);
        assert_eq!(words("created_at").joined(), "createdat");
        assert_eq!(plain_name("order_Id"), "orderid");
    }

    #[test]
    fn collections_have_a_singular() {
        for (plural, single) in [
            ("orders", "order"),
            ("companies", "company"),
            ("addresses", "address"),
            ("boxes", "box"),
            ("status", "statu"),
            ("class", "class"),
        ] {
            assert_eq!(singular(plural), single);
        }
    }
}
