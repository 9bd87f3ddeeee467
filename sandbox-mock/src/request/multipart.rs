//! Multipart bodies. A part without a content type, a missing end or no boundary at all is read as far as it goes.

use super::form::{Raw, tree_of};

const MOST_PARTS: usize = 1_000;

/// Reads the parts of a body; `None` when the content type names no boundary or the body does not use it.
pub(crate) fn read(content_type: &str, body: &[u8]) -> Option<Raw> {
    let boundary = boundary(content_type)?;
    let delimiter = format!("--{boundary}").into_bytes();
    let mut parts: Vec<(String, Raw)> = Vec::new();
    let mut rest = after(body, &delimiter)?;
    while parts.len() < MOST_PARTS && !rest.starts_with(b"--") {
        let (part, next) = match find(rest, &delimiter) {
            Some(at) => (
                rest.get(..at).unwrap_or_default(),
                rest.get(at + delimiter.len()..).unwrap_or_default(),
            ),
            None => (rest, &b"--"[..]),
        };
        if let Some((name, text)) = read_part(part) {
            parts.push((name, Raw::Text(text)));
        }
        rest = next;
    }
    Some(tree_of(
        parts.iter().map(|(name, raw)| (name.as_str(), raw.clone())),
    ))
}

fn boundary(content_type: &str) -> Option<String> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("boundary") && !value.is_empty())
            .then(|| value.to_owned())
    })
}

fn read_part(part: &[u8]) -> Option<(String, String)> {
    let part = part
        .strip_prefix(b"\r\n")
        .or_else(|| part.strip_prefix(b"\n"))
        .unwrap_or(part);
    let (head, body) = match find(part, b"\r\n\r\n") {
        Some(at) => (part.get(..at)?, part.get(at + 4..)?),
        None => {
            let at = find(part, b"\n\n")?;
            (part.get(..at)?, part.get(at + 2..)?)
        }
    };
    let body = body
        .strip_suffix(b"\r\n")
        .or_else(|| body.strip_suffix(b"\n"))
        .unwrap_or(body);
    let head = String::from_utf8_lossy(head);
    let disposition = head.lines().find(|line| {
        line.to_ascii_lowercase()
            .starts_with("content-disposition:")
    })?;
    let name = disposition.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("name")
            .then(|| value.trim().trim_matches('"').to_owned())
    })?;
    Some((name, String::from_utf8_lossy(body).into_owned()))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len().max(1))
        .position(|window| window == wanted)
}

fn after<'t>(text: &'t [u8], wanted: &[u8]) -> Option<&'t [u8]> {
    find(text, wanted).and_then(|at| text.get(at + wanted.len()..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_with_and_without_content_types() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"attributes\"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.bin\"\r\n\r\n\xff\x00\r\n--x--\r\n";
        let raw = read("multipart/form-data; boundary=\"x\"", body).unwrap();
        assert_eq!(
            raw.field("attributes"),
            Some(&Raw::Text("{\"a\":1}".to_owned()))
        );
        assert!(raw.field("file").is_some());
    }

    #[test]
    fn malformed_bodies_are_read_as_far_as_they_go() {
        for (content_type, body) in [
            ("multipart/form-data", &b"--x"[..]),
            ("multipart/form-data; boundary=", b"--x"),
            ("multipart/form-data; boundary=x", b""),
            ("multipart/form-data; boundary=x", b"--x"),
            ("multipart/form-data; boundary=x", b"--x\r\n\r\nfoo"),
            (
                "multipart/form-data; boundary=x",
                b"--x\r\nContent-Disposition: form-data; name\r\n\r\nfoo\r\n--x",
            ),
            ("multipart/form-data; boundary=x", b"\xff\xfe--x--"),
        ] {
            let _ = read(content_type, body);
        }
    }
}
