//! Requests, and reading their parts into values.
//!
//! Owns the spellings: queries, headers, cookies, forms, multipart, XML. Text has no types, so reading is guided by
//! the schema (`shape`). Whether what was read is valid is `validation`'s business.

pub(crate) mod form;
pub(crate) mod multipart;
pub(crate) mod shape;
pub(crate) mod xml;

use crate::operation::{Location, Parameter, Style};
use crate::schema::{Schemas, Types};
use crate::text::{form_decode, percent_decode};
use form::Raw;

/// A request as it came. Paths and queries are still percent-encoded.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// In capitals.
    pub method: &'r str,
    /// Without the query.
    pub path: &'r str,
    /// Without the question mark.
    pub query: &'r str,
    /// Names in any case.
    pub headers: &'r [(String, String)],
    /// The whole body.
    pub body: &'r [u8],
}

impl Request<'_> {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The media type of the body, in lower case and without parameters.
    pub(crate) fn media_type(&self) -> Option<String> {
        let value = self.header("content-type")?;
        let essence = value
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        (!essence.is_empty()).then_some(essence)
    }

    /// The pairs of the query, decoded.
    pub(crate) fn query_pairs(&self) -> Vec<(String, String)> {
        form::pairs(self.query)
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case("cookie"));
        cookies
            .flat_map(|(_, value)| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| percent_decode(value))
    }

    /// What a parameter holds, not yet typed; `None` when it is not there.
    pub(crate) fn parameter(
        &self,
        schemas: &Schemas,
        parameter: &Parameter,
        pairs: &[(String, String)],
        path_value: Option<&str>,
    ) -> Option<Raw> {
        match parameter.location {
            Location::Path => path_value
                .map(|text| Raw::Text(path_text(parameter, text, is_list(schemas, parameter)))),
            Location::Header => self.header(&parameter.name).map(|text| {
                // Blanks around the entries of a list are no part of them (RFC 9110, section 5.6.1).
                Raw::Text(if text.contains(',') && is_list(schemas, parameter) {
                    text.split(',').map(str::trim).collect::<Vec<_>>().join(",")
                } else {
                    text.to_owned()
                })
            }),
            Location::Cookie => self.cookie(&parameter.name).map(Raw::Text),
            Location::Query => query_parameter(schemas, parameter, pairs),
        }
    }
}

/// Whether a parameter is an array or object and cannot be a plain text.
fn is_list(schemas: &Schemas, parameter: &Parameter) -> bool {
    parameter.schema.is_some_and(|id| {
        let types = shape::types(schemas, id);
        !types.has(Types::STRING) && (types.has(Types::ARRAY) || types.has(Types::OBJECT))
    })
}

/// A path parameter without the marks of its style: `.a.b` and `;name=a;name=b` become `a.b` and `a;b`.
fn path_text(parameter: &Parameter, text: &str, is_list: bool) -> String {
    match parameter.style {
        Style::Label => {
            let text = text.strip_prefix('.').unwrap_or(text);
            // The first editions of 3.0 write a list that is not exploded with dots, the later ones with commas.
            if !is_list || parameter.explode || text.contains(',') {
                text.to_owned()
            } else {
                text.replace('.', ",")
            }
        }
        Style::Matrix => {
            let text = text.strip_prefix(';').unwrap_or(text);
            let own = |part: &'_ str| {
                part.strip_prefix(parameter.name.as_str())
                    .and_then(|rest| rest.strip_prefix('='))
                    .map_or_else(|| part.to_owned(), str::to_owned)
            };
            text.split(';').map(own).collect::<Vec<_>>().join(";")
        }
        _ => text.to_owned(),
    }
}

fn query_parameter(
    schemas: &Schemas,
    parameter: &Parameter,
    pairs: &[(String, String)],
) -> Option<Raw> {
    let name = parameter.name.as_str();
    let bare = name.strip_suffix("[]").unwrap_or(name);
    let values: Vec<&String> = pairs
        .iter()
        .filter(|(known, _)| {
            known == name || known.strip_suffix("[]").is_some_and(|known| known == bare)
        })
        .map(|(_, value)| value)
        .collect();
    if !values.is_empty() {
        return Some(match values.as_slice() {
            [only] if !name.ends_with("[]") => Raw::Text((*only).clone()),
            many => Raw::Many(many.iter().map(|text| Raw::Text((*text).clone())).collect()),
        });
    }
    let nested: Vec<(String, String)> = pairs
        .iter()
        .filter(|(known, _)| {
            known
                .strip_prefix(bare)
                .is_some_and(|rest| rest.starts_with('['))
        })
        .cloned()
        .collect();
    if !nested.is_empty() {
        return form::tree(&nested).field(bare).cloned();
    }
    // The members of an exploded object stand in the query by their own names.
    let schema = parameter
        .schema
        .filter(|_| parameter.style == Style::Form && parameter.explode)?;
    let fields: Vec<(String, Raw)> = pairs
        .iter()
        .filter(|(known, _)| {
            shape::is_object(schemas, schema) && shape::property(schemas, schema, known).is_some()
        })
        .map(|(known, value)| (known.clone(), Raw::Text(value.clone())))
        .collect();
    (!fields.is_empty()).then_some(Raw::Fields(fields))
}

/// Splits `a=b&c` into decoded pairs.
pub(crate) fn split_pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (form_decode(name), form_decode(value))
    })
}
