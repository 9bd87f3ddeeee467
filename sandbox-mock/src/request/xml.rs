//! XML bodies: a small reader and writer of elements, attributes and text, guided by the `xml` notes of schemas.

use super::form::Raw;
use super::shape;
use crate::json::Value;
use crate::schema::{SchemaId, Schemas};
use std::fmt::Write;

const MAX_DEPTH: usize = 64;

/// Reads a document into fields by the names its elements and attributes have.
pub(crate) fn read(text: &str) -> Option<Raw> {
    let mut reader = Reader {
        rest: text.trim_start_matches('\u{feff}'),
    };
    reader.skip_to_element()?;
    reader.element(0).map(|(_, raw)| raw)
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn skip_to_element(&mut self) -> Option<()> {
        loop {
            let at = self.rest.find('<')?;
            self.rest = self.rest.get(at..)?;
            if self.rest.starts_with("<!--") {
                self.rest = self.rest.split_once("-->")?.1;
            } else if self.rest.starts_with("<?") || self.rest.starts_with("<!") {
                self.rest = self.rest.split_once('>')?.1;
            } else {
                return Some(());
            }
        }
    }

    fn element(&mut self, depth: usize) -> Option<(&'t str, Raw)> {
        if depth > MAX_DEPTH {
            return None;
        }
        let (tag, rest) = self.rest.strip_prefix('<')?.split_once('>')?;
        self.rest = rest;
        let (tag, empty) = tag
            .strip_suffix('/')
            .map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        let mut fields: Vec<(String, Raw)> = Vec::new();
        let mut attributes = attributes.trim();
        while let Some((key, rest)) = attributes.split_once('=') {
            let quote = rest
                .chars()
                .next()
                .filter(|quote| matches!(quote, '"' | '\''))?;
            let (value, rest) = rest.get(1..)?.split_once(quote)?;
            if !key.starts_with("xmlns") {
                fields.push((local(key.trim()).to_owned(), Raw::Text(unescape(value))));
            }
            attributes = rest.trim_start();
        }
        let mut text = String::new();
        loop {
            if empty {
                break;
            }
            let at = self.rest.find('<')?;
            text.push_str(&unescape(self.rest.get(..at)?));
            self.rest = self.rest.get(at..)?;
            if let Some(rest) = self.rest.strip_prefix("</") {
                self.rest = rest.split_once('>')?.1;
                break;
            } else if let Some(rest) = self.rest.strip_prefix("<![CDATA[") {
                let (data, rest) = rest.split_once("]]>")?;
                text.push_str(data);
                self.rest = rest;
            } else if let Some(rest) = self.rest.strip_prefix("<!--") {
                self.rest = rest.split_once("-->")?.1;
            } else {
                let (child, raw) = self.element(depth + 1)?;
                add(&mut fields, child, raw);
            }
        }
        let raw = if fields.is_empty() {
            Raw::Text(text.trim().to_owned())
        } else {
            Raw::Fields(fields)
        };
        Some((local(name), raw))
    }
}

fn add(fields: &mut Vec<(String, Raw)>, name: &str, raw: Raw) {
    match fields.iter_mut().find(|(known, _)| known == name) {
        Some((_, Raw::Many(entries))) => entries.push(raw),
        Some((_, known)) => {
            let first = std::mem::replace(known, Raw::Many(Vec::new()));
            *known = Raw::Many(vec![first, raw]);
        }
        None => fields.push((name.to_owned(), raw)),
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

/// Renames what was read from XML names to member names and unwraps wrapped arrays.
pub(crate) fn renamed(schemas: &Schemas, id: SchemaId, raw: Raw, depth: usize) -> Raw {
    if depth > MAX_DEPTH {
        return raw;
    }
    match raw {
        Raw::Fields(fields) => {
            let declared = shape::properties(schemas, id);
            let mut out = Vec::new();
            for (name, raw) in fields {
                let known = declared.iter().find(|(property, schema)| {
                    element_name(schemas, *schema, property) == name
                        || item_name(schemas, *schema, property) == name
                });
                let Some((property, schema)) = known else {
                    out.push((name, raw));
                    continue;
                };
                let raw = match (is_wrapped(schemas, *schema), raw) {
                    (true, Raw::Fields(inner)) => match inner.into_iter().next() {
                        Some((_, Raw::Many(entries))) => Raw::Many(entries),
                        Some((_, entry)) => Raw::Many(vec![entry]),
                        None => Raw::Many(Vec::new()),
                    },
                    (true, Raw::Text(text)) if text.is_empty() => Raw::Many(Vec::new()),
                    (_, raw) => raw,
                };
                out.push((property.clone(), renamed(schemas, *schema, raw, depth + 1)));
            }
            Raw::Fields(out)
        }
        Raw::Many(entries) => {
            let items = shape::items(schemas, id);
            Raw::Many(
                entries
                    .into_iter()
                    .map(|entry| {
                        items.map_or(entry.clone(), |items| {
                            renamed(schemas, items, entry, depth + 1)
                        })
                    })
                    .collect(),
            )
        }
        raw => raw,
    }
}

fn is_wrapped(schemas: &Schemas, id: SchemaId) -> bool {
    schemas
        .get(id)
        .notes
        .as_ref()
        .is_some_and(|notes| notes.xml.wrapped)
}

fn own_name(schemas: &Schemas, id: SchemaId) -> Option<&str> {
    schemas
        .get(id)
        .notes
        .as_ref()
        .and_then(|notes| notes.xml.name.as_deref())
}

fn element_name<'n>(schemas: &'n Schemas, id: SchemaId, property: &'n str) -> &'n str {
    own_name(schemas, id).unwrap_or(property)
}

/// The name of the entries of an array.
fn item_name<'n>(schemas: &'n Schemas, id: SchemaId, property: &'n str) -> &'n str {
    shape::items(schemas, id)
        .and_then(|items| own_name(schemas, items))
        .unwrap_or(property)
}

/// Writes a value as an XML document.
pub(crate) fn write(schemas: &Schemas, id: Option<SchemaId>, value: &Value) -> String {
    let root = id
        .and_then(|id| {
            own_name(schemas, id).or_else(|| schemas.get(id).name.map(|name| schemas.name(name)))
        })
        .unwrap_or("root");
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    if let Value::Array(entries) = value {
        let items = id.and_then(|id| shape::items(schemas, id));
        let name = items
            .and_then(|items| own_name(schemas, items))
            .unwrap_or("item");
        let root = if root == "root" {
            format!("{name}s")
        } else {
            root.to_owned()
        };
        let _ = write!(out, "<{root}>");
        for entry in entries {
            element(schemas, items, name, entry, &mut out);
        }
        let _ = write!(out, "</{root}>");
    } else {
        element(schemas, id, root, value, &mut out);
    }
    out
}

fn element(schemas: &Schemas, id: Option<SchemaId>, name: &str, value: &Value, out: &mut String) {
    let name = &name.replace(
        |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')),
        "_",
    );
    let notes = id
        .and_then(|id| schemas.get(id).notes.as_ref())
        .map(|notes| &notes.xml);
    let prefix = notes
        .and_then(|xml| xml.prefix.as_ref())
        .map_or_else(String::new, |prefix| format!("{prefix}:"));
    let namespace = notes
        .and_then(|xml| xml.namespace.as_ref())
        .map_or_else(String::new, |uri| {
            let colon = if prefix.is_empty() { "" } else { ":" };
            format!(
                " xmlns{colon}{}=\"{}\"",
                prefix.trim_end_matches(':'),
                escape(uri)
            )
        });
    let _ = write!(out, "<{prefix}{name}{namespace}");
    match value {
        Value::Object(members) => {
            let member_schema = |name: &str| id.and_then(|id| shape::property(schemas, id, name));
            let is_attribute = |name: &str| {
                member_schema(name)
                    .and_then(|id| schemas.get(id).notes.as_ref())
                    .is_some_and(|notes| notes.xml.attribute)
            };
            for (name, member) in members.iter().filter(|(name, _)| is_attribute(name)) {
                let _ = write!(out, " {name}=\"{}\"", escape(&plain(member)));
            }
            out.push('>');
            for (name, member) in members.iter().filter(|(name, _)| !is_attribute(name)) {
                member_elements(schemas, member_schema(name), name, member, out);
            }
        }
        Value::Array(entries) => {
            out.push('>');
            for entry in entries {
                element(
                    schemas,
                    id.and_then(|id| shape::items(schemas, id)),
                    "item",
                    entry,
                    out,
                );
            }
        }
        value => {
            out.push('>');
            out.push_str(&escape(&plain(value)));
        }
    }
    let _ = write!(out, "</{prefix}{name}>");
}

fn member_elements(
    schemas: &Schemas,
    id: Option<SchemaId>,
    name: &str,
    value: &Value,
    out: &mut String,
) {
    let Value::Array(entries) = value else {
        return element(
            schemas,
            id,
            id.map_or(name, |id| element_name(schemas, id, name)),
            value,
            out,
        );
    };
    let outer = id.map_or(name, |id| element_name(schemas, id, name));
    let inner = id.map_or(name, |id| item_name(schemas, id, outer));
    let wrapped = id.is_some_and(|id| is_wrapped(schemas, id));
    if wrapped {
        let _ = write!(out, "<{outer}>");
    }
    for entry in entries {
        element(
            schemas,
            id.and_then(|id| shape::items(schemas, id)),
            inner,
            entry,
            out,
        );
    }
    if wrapped {
        let _ = write!(out, "</{outer}>");
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_attributes_and_text_are_read() {
        let raw = read("<?xml version='1.0'?><!-- x --><p:Pet id=\"1\"><name>A &amp; B</name><tag>x</tag><tag>y</tag><e/></p:Pet>").unwrap();
        assert_eq!(raw.field("id"), Some(&Raw::Text("1".to_owned())));
        assert_eq!(raw.field("name"), Some(&Raw::Text("A & B".to_owned())));
        assert!(matches!(raw.field("tag"), Some(Raw::Many(tags)) if tags.len() == 2));
    }

    #[test]
    fn broken_xml_is_no_document() {
        for text in [
            "",
            "<",
            "<a",
            "<a>",
            "<a><b></a",
            "x",
            "<a b=c>",
            "<!DOCTYPE",
            &"<a>".repeat(10_000),
        ] {
            assert_eq!(read(text), None, "{text:.20}");
        }
    }
}
