//! From a method and a path to the row of the table.

use super::{ROUTES, Route};

/// What the table has for a request.
pub enum Found {
    /// The route, and its path parameters.
    Route(&'static Route, Vec<(&'static str, String)>),
    /// The path exists for these methods only.
    OtherMethods(Vec<&'static http::Method>),
    /// Nothing.
    Nothing,
}

/// Finds the route of a request. A literal segment wins over a parameter.
pub fn find(method: &http::Method, path: &str) -> Found {
    let wanted = if method == http::Method::HEAD {
        &http::Method::GET
    } else {
        method
    };
    let mut others = Vec::new();
    let mut best: Option<(&'static Route, Vec<(&'static str, String)>)> = None;
    for route in ROUTES {
        let Some(parameters) = match_template(route.template, path) else {
            continue;
        };
        if route.method != *wanted {
            others.push(&route.method);
        } else if best
            .as_ref()
            .is_none_or(|(_, known)| known.len() > parameters.len())
        {
            best = Some((route, parameters));
        }
    }
    match best {
        Some((route, parameters)) => Found::Route(route, parameters),
        None if others.is_empty() => Found::Nothing,
        None => Found::OtherMethods(others),
    }
}

fn match_template(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut parameters = Vec::new();
    let mut given = path.split('/');
    for segment in template.split('/') {
        let value = given.next()?;
        match segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        {
            Some(_) if value.is_empty() => return None,
            Some(name) => parameters.push((name, decode_segment(value)?)),
            None if segment == value => {}
            None => return None,
        }
    }
    given.next().is_none().then_some(parameters)
}

/// Percent-decoding of one path segment, where `+` is a plus.
fn decode_segment(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.to_owned());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(*crate::encoding::unhex(std::str::from_utf8(&digits).ok()?)?.first()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
