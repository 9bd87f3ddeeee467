//! As much of HTML as the portal's own templates need: tags, attributes, entities.

/// Elements that stand inside a sentence. Every other tag ends a message.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "bdi", "bdo", "br", "cite", "code", "data", "del", "dfn", "em", "i", "img",
    "ins", "kbd", "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "svg", "time",
    "u", "var", "wbr",
];

/// Elements whose content is not language.
const OPAQUE: &[&str] = &[
    "code", "kbd", "pre", "samp", "script", "style", "svg", "textarea", "var",
];

const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];

/// Attributes that people read or hear. `data-say-…` is what scripts show.
const READ: &[&str] = &[
    "alt",
    "aria-description",
    "aria-label",
    "aria-roledescription",
    "aria-valuetext",
    "label",
    "placeholder",
    "title",
];

/// What a tag is to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `<a …>`
    Open,
    /// `</a>`
    Close,
    /// `<br>`
    Void,
}

/// A tag, read from its source.
#[derive(Debug)]
pub struct Tag<'a> {
    /// In lower case, as the templates write it.
    pub name: &'a str,
    /// Opening, closing or neither.
    pub kind: Kind,
    source: &'a str,
}

impl<'a> Tag<'a> {
    /// Reads `<name …>`. Comments and the doctype have a name that begins with `!`.
    pub fn read(source: &'a str) -> Self {
        let inner = source.trim_start_matches('<').trim_end_matches('>');
        let (is_close, inner) = match inner.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, inner),
        };
        let end = inner
            .find(|c: char| c.is_ascii_whitespace() || c == '/')
            .unwrap_or(inner.len());
        let name = inner.get(..end).unwrap_or_default();
        let kind = if is_close {
            Kind::Close
        } else if VOID.contains(&name) || source.ends_with("/>") || name.starts_with('!') {
            Kind::Void
        } else {
            Kind::Open
        };
        Self { name, kind, source }
    }

    /// Whether it stands inside a sentence.
    pub fn is_inline(&self) -> bool {
        INLINE.contains(&self.name)
    }

    /// Whether what it encloses stays untouched.
    pub fn is_opaque(&self) -> bool {
        self.kind == Kind::Open
            && (OPAQUE.contains(&self.name)
                || self
                    .attributes()
                    .any(|one| one.name == "translate" && one.value(self.source) == "no"))
    }

    /// Its attributes with a quoted value.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes {
            source: self.source,
            at: 1 + self.name.len(),
        }
    }

    fn has(&self, name: &str, values: &[&str]) -> bool {
        self.attributes()
            .any(|one| one.name == name && values.contains(&one.value(self.source)))
    }

    /// Whether this attribute's value is read by people.
    pub fn is_read(&self, attribute: &str) -> bool {
        READ.contains(&attribute)
            || attribute.starts_with("data-say-")
            || attribute == "value"
                && self.name == "input"
                && self.has("type", &["submit", "button", "reset"])
            || attribute == "content"
                && self.name == "meta"
                && (self.has("name", &["description"])
                    || self.has("property", &["og:title", "og:description"]))
    }
}

/// An attribute: its name and where its value stands in the tag's source.
#[derive(Debug)]
pub struct Attribute<'a> {
    /// The name.
    pub name: &'a str,
    /// The bytes of the value, without quotes.
    pub range: std::ops::Range<usize>,
}

impl Attribute<'_> {
    /// The value.
    pub fn value<'s>(&self, source: &'s str) -> &'s str {
        source.get(self.range.clone()).unwrap_or_default()
    }
}

/// Walks a tag's attributes.
#[derive(Debug)]
pub struct Attributes<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let rest = self.source.get(self.at..)?;
        let equals = rest.find("=\"")?;
        let before = rest.get(..equals)?;
        let name = before
            .rsplit(|c: char| c.is_ascii_whitespace())
            .next()
            .unwrap_or_default();
        let start = self.at + equals + 2;
        let length = self.source.get(start..)?.find('"')?;
        self.at = start + length + 1;
        Some(Attribute {
            name,
            range: start..start + length,
        })
    }
}

/// Text as people read it: entities replaced.
pub fn decode(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        plain.push_str(before);
        let known = behind.split_once(';').and_then(|(name, after)| {
            let c = match name {
                "amp" | "#38" => '&',
                "lt" | "#60" => '<',
                "gt" | "#62" => '>',
                "quot" | "#34" => '"',
                "apos" | "#39" => '\'',
                "nbsp" | "#160" => '\u{A0}',
                _ => return None,
            };
            Some((c, after))
        });
        match known {
            Some((c, after)) => {
                plain.push(c);
                rest = after;
            }
            None => {
                plain.push('&');
                rest = behind;
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_its_attributes() {
        let source = r#"<input type="submit" value="Go on" title="x > y" required>"#;
        let tag = Tag::read(source);
        assert_eq!((tag.name, tag.kind), ("input", Kind::Void));
        let read: Vec<&str> = tag
            .attributes()
            .filter(|one| tag.is_read(one.name))
            .map(|one| one.value(source))
            .collect();
        assert_eq!(read, ["Go on", "x > y"]);
        assert!(Tag::read(r#"<div class="prose" translate="no">"#).is_opaque());
        assert_eq!(Tag::read("</p>").kind, Kind::Close);
    }

    #[test]
    fn what_was_escaped_is_read_back() {
        let mut escaped = String::new();
        crate::marks::write_escaped(&mut escaped, "a & <b> \"c\" 'd'").unwrap();
        assert_eq!(decode(&escaped), "a & <b> \"c\" 'd'");
        assert_eq!(decode("a & b &unknown; c"), "a & b &unknown; c");
    }
}
