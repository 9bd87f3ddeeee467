//! Dates and times: when things usually happen, and how a moment is written.

use crate::text::Words;

/// How long after the first date of a thing a date of this name usually is, in seconds.
pub(super) fn date_rank(words: &Words) -> i64 {
    const DAY: i64 = 86_400;
    let has = |list: &[&str]| words.has_one_of(list);
    if has(&["birth", "birthday", "birthdate", "dob", "born"]) {
        return -32 * 365 * DAY;
    }
    if has(&[
        "expires",
        "expire",
        "expiry",
        "expiration",
        "expired",
        "exp",
    ]) {
        return 90 * DAY;
    }
    if has(&["due", "deadline", "next", "renewal"]) {
        return 30 * DAY;
    }
    if has(&[
        "end",
        "ended",
        "ends",
        "completed",
        "finished",
        "closed",
        "delivered",
        "until",
        "to",
        "checkout",
        "cancelled",
        "canceled",
        "resolved",
    ]) {
        return 7 * DAY;
    }
    if has(&[
        "updated",
        "modified",
        "changed",
        "paid",
        "processed",
        "last",
        "edited",
        "accepted",
        "shipped",
        "sent",
    ]) {
        return DAY;
    }
    if has(&[
        "start",
        "started",
        "starts",
        "begin",
        "from",
        "activated",
        "published",
    ]) {
        return 3_600;
    }
    0
}

/// Year, month and day of a day counted from 1970-01-01 (Hinnant's civil-from-days).
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

pub(super) fn date(second: i64) -> String {
    let (year, month, day) = civil(second.div_euclid(86_400));
    format!("{year:04}-{month:02}-{day:02}")
}

pub(super) fn time(second: i64) -> String {
    let of_day = second.rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02}",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60
    )
}

pub(crate) fn date_time(second: i64) -> String {
    format!("{}T{}Z", date(second), time(second))
}

pub(super) fn mail_date(second: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let day_number = second.div_euclid(86_400);
    let (year, month, day) = civil(day_number);
    let name = |list: &[&'static str], index: i64| {
        usize::try_from(index)
            .ok()
            .and_then(|index| list.get(index).copied())
            .unwrap_or("")
    };
    format!(
        "{}, {day:02} {} {year:04} {} +0000",
        name(&DAYS, day_number.rem_euclid(7)),
        name(&MONTHS, month - 1),
        time(second)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(date_time(0), "1970-01-01T00:00:00Z");
        assert_eq!(date_time(1_709_210_096), "2024-02-29T12:34:56Z");
        assert_eq!(mail_date(1_709_210_096), "Thu, 29 Feb 2024 12:34:56 +0000");
        assert_eq!(date(-1), "1969-12-31");
    }
}
