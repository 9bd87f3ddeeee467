//! The formats of strings and numbers: which there are, and which texts follow them.

/// A value of `format` that the mock knows. Names differ between documents; this is what they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// None, or one that says nothing about the text.
    #[default]
    None,
    /// RFC 3339 `date-time`.
    DateTime,
    /// RFC 3339 `full-date`.
    Date,
    /// RFC 3339 `full-time`.
    Time,
    /// ISO 8601 duration.
    Duration,
    /// RFC 2822 date, as in e-mails.
    MailDate,
    /// Seconds since 1970.
    UnixTime,
    /// An e-mail address.
    Email,
    /// A host name.
    Hostname,
    /// A dotted IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An absolute URI.
    Uri,
    /// A URI or a relative reference.
    UriReference,
    /// A URI template.
    UriTemplate,
    /// A UUID.
    Uuid,
    /// A JSON pointer.
    JsonPointer,
    /// A regular expression.
    Regex,
    /// Base64 text.
    Byte,
    /// Bytes, not text.
    Binary,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A decimal number as text.
    Decimal,
    /// A telephone number.
    Phone,
    /// An ISO 3166 country.
    Country,
    /// An ISO 4217 currency.
    Currency,
    /// An HTTP method.
    HttpMethod,
    /// A secret.
    Password,
    /// A language tag.
    Language,
    /// A colour.
    Colour,
    /// A time zone of the IANA database.
    TimeZone,
}

impl Format {
    pub(super) fn named(name: &str) -> Format {
        match name.to_ascii_lowercase().as_str() {
            "date-time" | "datetime" | "rfc3339" | "iso8601" | "iso-8601" | "iso-date-time" => {
                Format::DateTime
            }
            "date" | "full-date" => Format::Date,
            "time" | "partial-time" => Format::Time,
            "duration" => Format::Duration,
            "date-time-rfc-2822" | "rfc2822" | "rfc-2822" => Format::MailDate,
            "unix-time" | "unixtime" | "timestamp" | "unix-timestamp" | "epoch" => Format::UnixTime,
            "email" | "idn-email" => Format::Email,
            "hostname" | "idn-hostname" => Format::Hostname,
            "ipv4" | "ip" | "ip-address" => Format::Ipv4,
            "ipv6" => Format::Ipv6,
            "uri" | "url" | "iri" => Format::Uri,
            "uri-reference" | "iri-reference" => Format::UriReference,
            "uri-template" => Format::UriTemplate,
            "uuid" | "guid" | "uuid4" => Format::Uuid,
            "json-pointer" | "relative-json-pointer" => Format::JsonPointer,
            "regex" => Format::Regex,
            "byte" | "base64" => Format::Byte,
            "binary" => Format::Binary,
            "int32" => Format::Int32,
            "int64" => Format::Int64,
            "decimal" => Format::Decimal,
            "phone-number" | "phone" | "e164" => Format::Phone,
            "iso-country-code" | "country-code" | "country" => Format::Country,
            "currency" | "iso-4217" => Format::Currency,
            "http-method" => Format::HttpMethod,
            "password" => Format::Password,
            "language" | "bcp47" | "locale" => Format::Language,
            "color" | "colour" | "hex-color" => Format::Colour,
            "timezone" | "time-zone" => Format::TimeZone,
            _ => Format::None,
        }
    }

    /// What a text has to be, in words, for the formats that are checked.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Format::DateTime => "a date and time as RFC 3339 writes them",
            Format::Date => "a date (YYYY-MM-DD)",
            Format::Time => "a time as RFC 3339 writes it",
            Format::Email => "an e-mail address",
            Format::Ipv4 => "an IPv4 address",
            Format::Ipv6 => "an IPv6 address",
            Format::Uri => "an absolute URI",
            Format::Uuid => "a UUID",
            Format::Duration => "a duration as ISO 8601 writes it (P3DT4H)",
            Format::Hostname => "a host name",
            Format::UriReference => "a URI or a relative reference",
            Format::JsonPointer => "a JSON pointer",
            Format::Byte => "Base64 text",
            _ => "of its format",
        }
    }

    /// Whether a text follows the format. Formats that documents use loosely accept every text.
    pub(crate) fn accepts(self, text: &str) -> bool {
        match self {
            Format::DateTime => is_date_time(text),
            Format::Date => is_date(text),
            Format::Time => is_time(text),
            Format::Email => {
                let (local, domain) = text.rsplit_once('@').unwrap_or(("", ""));
                !local.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace)
            }
            Format::Ipv4 => text.parse::<std::net::Ipv4Addr>().is_ok(),
            Format::Ipv6 => text.parse::<std::net::Ipv6Addr>().is_ok(),
            Format::Uri => {
                let scheme = text.split(':').next().unwrap_or("");
                text.len() > scheme.len()
                    && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                    && scheme.bytes().all(|byte| {
                        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
                    })
                    && !text.contains(char::is_whitespace)
            }
            Format::Uuid => is_uuid(text),
            Format::Duration => is_duration(text),
            Format::Hostname => {
                let name = text.strip_suffix('.').unwrap_or(text);
                !name.is_empty() && name.len() <= 253 && name.split('.').all(is_label)
            }
            Format::UriReference => !text.contains(|c: char| c.is_whitespace() || c == '\\'),
            Format::JsonPointer => is_json_pointer(text),
            // Both alphabets, with and without padding, in lines or not: all of these are met.
            Format::Byte => text.bytes().all(|byte| {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=' | b'\r' | b'\n')
            }),
            _ => true,
        }
    }
}

/// A part of a host name, also an international one.
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .chars()
            .all(|c| c == '-' || c == '_' || c.is_alphanumeric())
}

/// A pointer (`/a/b`), or a relative one that begins with a number.
fn is_json_pointer(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let has_number = rest.len() < text.len();
    (rest.is_empty() || rest.starts_with('/') || (has_number && rest == "#"))
        && rest
            .split('~')
            .skip(1)
            .all(|after| after.starts_with(['0', '1']))
}

/// `P1Y2M3DT4H5M6S` with at least one part, or `P4W`; a fraction only at the end.
fn is_duration(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let Some(rest) = text.strip_prefix('P') else {
        return false;
    };
    let (days, time) = match rest.split_once('T') {
        Some((_, "")) => return false,
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    !rest.is_empty() && has_parts(days, "YMWD") && has_parts(time, "HMS")
}

/// Whether a text is numbers, each followed by one of `units` in their order.
fn has_parts(text: &str, units: &str) -> bool {
    let mut units = units.chars();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(end) = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',') else {
            return false;
        };
        let (number, after) = rest.split_at(end);
        let mut letters = after.chars();
        let unit = letters.next();
        let is_number = number.starts_with(|c: char| c.is_ascii_digit())
            && number.ends_with(|c: char| c.is_ascii_digit());
        if !is_number || unit.is_none() || !units.any(|known| Some(known) == unit) {
            return false;
        }
        rest = letters.as_str();
    }
    true
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn number(text: &str, digits: usize) -> Option<u32> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=12).contains(&month) && (1..=days).contains(&day)
}

fn is_time(text: &str) -> bool {
    let (clock, offset) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => (text.get(..at).unwrap_or(""), text.get(at..).unwrap_or("")),
        None => return false,
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let within = |text: &str, most: u32| number(text, 2).is_some_and(|value| value <= most);
    let mut parts = clock.split(':');
    let clock_holds = matches!(
        (parts.next(), parts.next(), parts.next(), parts.next()),
        (Some(hour), Some(minute), Some(second), None)
            if within(hour, 23) && within(minute, 59) && within(second, 60)
    );
    let offset_holds = offset.eq_ignore_ascii_case("z")
        || offset
            .get(1..)
            .and_then(|offset| offset.split_once(':'))
            .is_some_and(|(hour, minute)| within(hour, 23) && within(minute, 59));
    clock_holds
        && offset_holds
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_date_time(text: &str) -> bool {
    match (text.get(..10), text.get(10..11), text.get(11..)) {
        (Some(date), Some("T" | "t" | " "), Some(time)) => is_date(date) && is_time(time),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_checked_to_the_day_and_second() {
        for text in ["2024-02-29T23:59:60Z", "2024-01-01t00:00:00.123+05:30"] {
            assert!(Format::DateTime.accepts(text), "{text}");
        }
        for text in [
            "2023-02-29T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:00",
            "2024-1-1T00:00:00Z",
            "é",
            "",
        ] {
            assert!(!Format::DateTime.accepts(text), "{text}");
        }
        assert!(!Format::Date.accepts("2024-13-01"));
    }

    #[test]
    fn durations_hosts_pointers_and_base64_are_checked() {
        let cases: [(Format, &[&str], &[&str]); 5] = [
            (
                Format::Duration,
                &["P1D", "PT5M", "P1Y2M3DT4H5M6.5S", "P4W", "PT0.5S"],
                &["1 day", "P", "PT", "P1DT", "P1H", "PT5M3H", "P.5D", "5M"],
            ),
            (
                Format::Hostname,
                &["example.com", "a-b.example", "münchen.example", "localhost"],
                &["", "a..b", "-a.example", "a b", "http://a.example"],
            ),
            (
                Format::JsonPointer,
                &["", "/a/b~0c~1d", "0#", "1/a"],
                &["a", "/a~2", "/~", "#"],
            ),
            (Format::UriReference, &["/a?b#c", "a"], &["a b", "\\a"]),
            (Format::Byte, &["QUJD", "-_8=", ""], &["not base64!", "é"]),
        ];
        for (format, good, bad) in cases {
            for text in good {
                assert!(format.accepts(text), "{format:?} {text}");
            }
            for text in bad {
                assert!(!format.accepts(text), "{format:?} {text}");
            }
        }
    }

    #[test]
    fn loosely_used_formats_accept_every_text() {
        assert!(Format::Phone.accepts("not a number"));
        assert!(Format::named("space_delimited_list").accepts("anything"));
    }
}
