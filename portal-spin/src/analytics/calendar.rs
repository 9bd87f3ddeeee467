//! Days, weeks and months, in UTC, as numbers that follow on each other.

use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A day in milliseconds.
pub const DAY_MS: i64 = 86_400_000;

/// The day that a moment belongs to; day 0 is 1970-01-01.
pub fn day_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY_MS)
}

/// The week that a day belongs to; weeks begin on Monday, week 0 has 1970-01-01, a Thursday.
pub fn week_of_day(day: i64) -> i64 {
    (day + 3).div_euclid(7)
}

/// A week's Monday.
pub fn first_day_of_week(week: i64) -> i64 {
    week * 7 - 3
}

/// The month that a day belongs to: months since January of year 0.
pub fn month_of_day(day: i64) -> i64 {
    date_of_day(day).map_or(0, |date| {
        i64::from(date.year()) * 12 + i64::from(date.month()) - 1
    })
}

/// The month that a moment belongs to.
pub fn month_of(at_ms: i64) -> i64 {
    month_of_day(day_of(at_ms))
}

/// A month's first day.
pub fn first_day_of_month(month: i64) -> i64 {
    let year = i16::try_from(month.div_euclid(12)).unwrap_or(0);
    let number = i8::try_from(month.rem_euclid(12) + 1).unwrap_or(1);
    Date::new(year, number, 1)
        .and_then(|date| date.to_zoned(TimeZone::UTC))
        .map_or(0, |zoned| day_of(zoned.timestamp().as_millisecond()))
}

/// `2026-03`.
pub fn month_label(month: i64) -> String {
    format!(
        "{:04}-{:02}",
        month.div_euclid(12),
        month.rem_euclid(12) + 1
    )
}

/// `2026-03-09`.
pub fn day_label(day: i64) -> String {
    date_of_day(day).map_or_else(|| day.to_string(), |date| date.to_string())
}

/// Reads `2026-03-09`.
pub fn parse_day(text: &str) -> Option<i64> {
    let date: Date = text.parse().ok()?;
    let zoned = date.to_zoned(TimeZone::UTC).ok()?;
    Some(day_of(zoned.timestamp().as_millisecond()))
}

fn date_of_day(day: i64) -> Option<Date> {
    let time = jiff::Timestamp::from_millisecond(day.checked_mul(DAY_MS)?).ok()?;
    Some(time.to_zoned(TimeZone::UTC).date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_in_its_week_and_month() {
        assert_eq!(week_of_day(0), 0);
        assert_eq!(day_label(first_day_of_week(0)), "1969-12-29");
        for day in (0..30_000).step_by(13) {
            let month = month_of_day(day);
            assert!(first_day_of_month(month) <= day && day < first_day_of_month(month + 1));
            assert!(day_label(day).starts_with(&month_label(month)));
            let week = week_of_day(day);
            assert!(first_day_of_week(week) <= day && day < first_day_of_week(week + 1));
            assert_eq!(parse_day(&day_label(day)), Some(day));
        }
        assert_eq!(parse_day("2026-02-30"), None);
    }
}
