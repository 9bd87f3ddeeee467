//! Which of the languages there are a browser asks for (RFC 9110, 12.5.4; look-up by RFC 4647, 3.4).

/// The first of `available` that an `Accept-Language` header asks for, by its weights. A range that
/// nothing matches is shortened from its end: `de-AT` finds `de`. `*` asks for nothing in particular.
pub fn accepted<'a>(header: &str, available: &[&'a str]) -> Option<&'a str> {
    let mut ranges: Vec<(u16, &str)> = header.split(',').take(32).filter_map(range).collect();
    // Stable: ranges of one weight stay in the order given.
    ranges.sort_by_key(|range| std::cmp::Reverse(range.0));
    ranges
        .into_iter()
        .find_map(|(_, range)| find(range, available))
}

/// The language of this tag, or the one that it is a variant of.
pub fn find<'a>(tag: &str, available: &[&'a str]) -> Option<&'a str> {
    let mut range = tag;
    loop {
        let known = available
            .iter()
            .find(|known| known.eq_ignore_ascii_case(range));
        if let Some(known) = known {
            return Some(known);
        }
        range = range.rsplit_once('-')?.0;
    }
}

/// A range with its weight in thousandths; none if it is refused or cannot be read.
fn range(item: &str) -> Option<(u16, &str)> {
    let mut parts = item.split(';').map(str::trim);
    let range = parts.next()?;
    let is_range = (1..=35).contains(&range.len())
        && range
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let weight = match parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q="))) {
        Some(weight) => weight_of(weight)?,
        None => 1000,
    };
    (is_range && weight > 0).then_some((weight, range))
}

fn weight_of(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{part:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_what_it_weighs_highest_among_what_there_is() {
        let of = |header| accepted(header, &["en", "de", "fr"]);
        assert_eq!(of("de-AT,de;q=0.9,en;q=0.8"), Some("de"));
        assert_eq!(of("es, fr;q=0.5, en;q=0.6"), Some("en"));
        assert_eq!(of("en;q=0, FR-ca;q=0.001"), Some("fr"));
        assert_eq!(of("it, *;q=0.5"), None);
        assert_eq!(of("zh-Hant-TW, de"), Some("de"));
        for nonsense in [
            "",
            ",,;",
            "de;q=2",
            "de;q=x",
            "\u{1F600}",
            "de;q=0.12345",
            "-",
        ] {
            assert_eq!(of(nonsense), None, "{nonsense}");
        }
    }
}
