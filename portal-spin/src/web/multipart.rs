//! `multipart/form-data` (RFC 7578), as browsers send forms with files.

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// The field.
    pub name: String,
    /// Whether it is a file.
    pub is_file: bool,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The boundary that a content type names, if it is multipart.
pub fn boundary_of(content_type: &str) -> Option<&str> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = rest
        .split(';')
        .find_map(|part| part.trim().strip_prefix("boundary="))?;
    let boundary = boundary.trim_matches('"');
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

/// The parts of a body; what is malformed ends the list.
pub fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<Part<'a>> {
    let mark = format!("--{boundary}");
    let mut found = Vec::new();
    let Some(first) = find(body, mark.as_bytes()) else {
        return found;
    };
    let mut rest = body.get(first + mark.len()..).unwrap_or_default();
    let next = format!("\r\n{mark}");
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let Some(end) = find(part, next.as_bytes()) else {
            break;
        };
        let whole = part.get(..end).unwrap_or_default();
        found.extend(read_part(whole));
        rest = part.get(end + next.len()..).unwrap_or_default();
    }
    found
}

fn read_part(whole: &[u8]) -> Option<Part<'_>> {
    let split = find(whole, b"\r\n\r\n")?;
    let head = std::str::from_utf8(whole.get(..split)?).ok()?;
    let disposition = head.lines().find(|line| {
        line.to_ascii_lowercase()
            .starts_with("content-disposition:")
    })?;
    let value = |name: &str| {
        disposition.split(';').find_map(|pair| {
            let text = pair.trim().strip_prefix(name)?.strip_prefix('=')?;
            Some(text.trim_matches('"').to_owned())
        })
    };
    Some(Part {
        name: value("name")?,
        is_file: value("filename").is_some(),
        bytes: whole.get(split + 4..)?,
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files_are_told_apart_and_damage_ends_quietly() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"l.png\"\r\nContent-Type: image/png\r\n\r\n\x89\r\nPNG\r\n--x--\r\n";
        let found = parts(body, "x");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_str(), found[0].bytes), ("a", &b"1"[..]));
        assert!(found[1].is_file);
        assert_eq!(found[1].bytes, b"\x89\r\nPNG");
        for end in 0..body.len() {
            let _ = parts(&body[..end], "x");
        }
        assert_eq!(
            boundary_of("multipart/form-data; boundary=\"x\""),
            Some("x")
        );
        assert_eq!(boundary_of("application/json"), None);
    }
}
