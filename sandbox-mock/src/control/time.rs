//! Times in words, and what runs out as time passes.

use crate::generation::date_time;
use crate::json::Value;
use crate::operation::Api;
use crate::request::shape;
use crate::schema::SchemaId;
use crate::text::plain_name;
use crate::validation::Direction;
use crate::validation::schema::is_valid;

/// RFC 3339 in UTC, to the second.
pub(crate) fn in_words(ms: i64) -> Value {
    Value::from(date_time(ms.div_euclid(1_000)))
}

/// Reads an RFC 3339 time as Unix milliseconds; parts of a second are dropped.
pub(crate) fn read_time(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 {
        return None;
    }
    let rest = text.get(19..)?;
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let minutes =
                zone.get(1..3)?.parse::<i64>().ok()? * 60 + zone.get(4..6)?.parse::<i64>().ok()?;
            if *sign == b'+' { minutes } else { -minutes }
        }
        _ => return None,
    };
    // Days from civil (Hinnant): years begin in March, so that the leap day is the last one.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1_000)
}

/// A remembered item as it is now: one whose time ran out since the tenant began is `expired`, where its schema
/// knows that word.
pub(crate) fn expired(api: &Api, schema: SchemaId, entity: &mut Value, since_ms: i64, now_ms: i64) {
    const ENDS: [&str; 6] = [
        "expiresat",
        "expires",
        "expireson",
        "expirydate",
        "expirationdate",
        "validuntil",
    ];
    const STANDINGS: [&str; 2] = ["status", "state"];
    let Some(members) = entity.as_object() else {
        return;
    };
    let ends = members.iter().find_map(|(name, value)| {
        ENDS.contains(&plain_name(name).as_str())
            .then(|| match value {
                Value::String(text) => read_time(text),
                Value::Int(seconds) => seconds.checked_mul(1_000),
                _ => None,
            })
            .flatten()
    });
    if ends.is_none_or(|ends| ends <= since_ms || ends > now_ms) {
        return;
    }
    let standing = members
        .iter()
        .find(|(name, _)| STANDINGS.contains(&plain_name(name).as_str()))
        .map(|(name, _)| name.clone());
    let word = Value::from("expired");
    if let Some(name) = standing
        && let Some(id) = shape::property(&api.schemas, schema, &name)
        && is_valid(&api.schemas, id, &word, Direction::Response)
    {
        entity.set(&name, word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for ms in [0, 951_782_400_000, 1_767_225_600_000, 4_102_444_799_000] {
            let text = in_words(ms);
            assert_eq!(text.as_str().and_then(read_time), Some(ms), "{text}");
        }
        assert_eq!(
            read_time("2026-01-01T02:00:00.5+02:00"),
            Some(1_767_225_600_000)
        );
        for bad in [
            "",
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:00",
            "éééééééééééé",
        ] {
            assert_eq!(read_time(bad), None, "{bad}");
        }
    }
}
