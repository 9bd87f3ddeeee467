//! Bytes as text, and times as people and JSON read them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of hexadecimal text; `None` if it is not that.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            let digits = std::str::from_utf8(pair).ok()?;
            digits
                .bytes()
                .all(|digit| digit.is_ascii_hexdigit())
                .then(|| u8::from_str_radix(digits, 16).ok())?
        })
        .collect()
}

/// URL-safe base64 without padding.
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Text that stands for itself in HTML, also inside an attribute.
pub fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Reads base64url, with or without padding.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

/// RFC 3339, UTC, to the millisecond: how every time looks in JSON.
pub fn rfc3339(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms)
        .map_or_else(|_| unix_ms.to_string(), |time| format!("{time:.3}"))
}

/// `2026-11-22 14:05 UTC`: how a time looks on a page.
pub fn readable_time(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(
        |_| unix_ms.to_string(),
        |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

/// `12 345`, with narrow spaces that do not break: how a count looks on a page.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A time is kept so that every offset can write it: the last days of the year 9999 cannot be.
const TIME_EXPECTED: &str =
    "expected a time like 2026-11-22T14:05:00Z, at the latest 9999-12-30T22:00:00Z"; // shown

/// For `#[serde(with = "crate::encoding::time")]`: an `i64` of Unix milliseconds that is RFC 3339 in JSON.
pub mod time {
    /// Writes the time.
    pub fn serialize<S: serde::Serializer>(
        unix_ms: &i64,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::rfc3339(*unix_ms))
    }

    /// Reads the time.
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        text.parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
            .map_err(|_| serde::de::Error::custom(super::TIME_EXPECTED))
    }
}

/// As [`time`], for an `Option<i64>`.
pub mod optional_time {
    /// Writes the time or null.
    pub fn serialize<S: serde::Serializer>(
        unix_ms: &Option<i64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match unix_ms {
            Some(unix_ms) => super::time::serialize(unix_ms, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the time or null.
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<i64>, D::Error> {
        let text = <Option<String> as serde::Deserialize>::deserialize(deserializer)?;
        text.map(|text| {
            text.parse::<jiff::Timestamp>()
                .map(jiff::Timestamp::as_millisecond)
                .map_err(|_| serde::de::Error::custom(super::TIME_EXPECTED))
        })
        .transpose()
    }
}
