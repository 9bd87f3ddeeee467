//! Periods beside a slow computation, at random instants in every IANA time zone.
//!
//! The slow way takes one thing from the time-zone library, a zone's offset at an instant.
//! Dates are counted by hand, and the instant of a local time is searched for. A period is then
//! what lies between two neighbouring boundaries.
//!
//! `PORTICO_PERIOD_INSTANTS` sets how many instants (a million takes minutes in a debug build).

use super::period::{Calendar, Cycle, Period};
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn roll(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ *state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

fn between(state: &mut u64, start: i64, end: i64) -> i64 {
    start + (roll(state) % (end - start) as u64) as i64
}

/// Days of a month, counted on the fingers.
fn month_length(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The day's number, 1970-01-01 being 0, for years from 1900.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    // 25 567 days lie between the beginnings of 1900 and 1970.
    let before = year - 1;
    let leap_days =
        (before / 4 - before / 100 + before / 400) - (1_899 / 4 - 1_899 / 100 + 1_899 / 400);
    let months: i64 = (1..month).map(|month| month_length(year, month)).sum();
    (year - 1_900) * 365 + leap_days + months + day - 1 - 25_567
}

fn date(day: i64) -> (i64, i64, i64) {
    let mut year = 1_970 + day.div_euclid(366);
    while day_number(year + 1, 1, 1) <= day {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && day_number(year, month + 1, 1) <= day {
        month += 1;
    }
    (year, month, day - day_number(year, month, 1) + 1)
}

struct Slow {
    zone: TimeZone,
}

impl Slow {
    fn offset_ms(&self, instant_ms: i64) -> i64 {
        let instant = Timestamp::from_millisecond(instant_ms).unwrap();
        i64::from(self.zone.to_offset(instant).seconds()) * 1_000
    }

    fn local_ms(&self, instant_ms: i64) -> i64 {
        instant_ms + self.offset_ms(instant_ms)
    }

    /// The first instant at which clocks show a local time; where they skip it, the instant that
    /// they would show it without the change.
    fn instant_ms(&self, local_ms: i64) -> i64 {
        let mut offsets: Vec<i64> = (-26..=26)
            .map(|hours| self.offset_ms(local_ms + hours * HOUR_MS))
            .collect();
        offsets.sort_unstable();
        offsets.dedup();
        let shown = offsets.iter().map(|offset| local_ms - offset);
        let first = shown
            .filter(|instant| self.local_ms(*instant) == local_ms)
            .min();
        first.unwrap_or_else(|| {
            let before_the_change = local_ms - offsets.last().unwrap();
            local_ms - self.offset_ms(before_the_change)
        })
    }

    /// The boundary with a number that grows with time; and about which number an instant has.
    fn boundary(&self, cycle: Cycle, number: i64) -> i64 {
        match cycle {
            Cycle::Day => self.instant_ms(number * DAY_MS),
            // Day 4 was a Monday, day 3 a Sunday.
            Cycle::Week { first_day } => {
                let first = if first_day == Weekday::Monday { 4 } else { 3 };
                self.instant_ms((first + 7 * number) * DAY_MS)
            }
            Cycle::Month => {
                let (year, month) = (number.div_euclid(12), number.rem_euclid(12) + 1);
                self.instant_ms(day_number(year, month, 1) * DAY_MS)
            }
            Cycle::Anchored { anchor_ms, .. } if number == 0 => anchor_ms,
            Cycle::Anchored { anchor_ms, months } => {
                let local = self.local_ms(anchor_ms);
                let (year, month, day) = date(local.div_euclid(DAY_MS));
                let months = year * 12 + month - 1 + number * i64::from(months);
                let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
                let day = day.min(month_length(year, month));
                self.instant_ms(day_number(year, month, day) * DAY_MS + local.rem_euclid(DAY_MS))
            }
        }
    }

    fn period_containing(&self, cycle: Cycle, instant_ms: i64) -> Period {
        let day = self.local_ms(instant_ms).div_euclid(DAY_MS);
        let month_of = |day| {
            let (year, month, _) = date(day);
            year * 12 + month - 1
        };
        let about = match cycle {
            Cycle::Day => day,
            Cycle::Week { .. } => (day - 4).div_euclid(7),
            Cycle::Month => month_of(day),
            Cycle::Anchored { anchor_ms, months } => {
                let anchor_day = self.local_ms(anchor_ms).div_euclid(DAY_MS);
                (month_of(day) - month_of(anchor_day)).div_euclid(i64::from(months))
            }
        };
        let periods = (about - 3..=about + 3).map(|number| Period {
            start_ms: self.boundary(cycle, number),
            end_ms: self.boundary(cycle, number + 1),
        });
        let containing: Vec<_> = periods
            .filter(|period| period.contains(instant_ms))
            .collect();
        assert_eq!(containing.len(), 1, "{cycle:?} {instant_ms}");
        containing[0]
    }
}

#[test]
fn periods_of_every_time_zone_agree_with_the_slow_computation() {
    let instants: u64 =
        std::env::var("PORTICO_PERIOD_INSTANTS").map_or(20_000, |text| text.parse().unwrap());
    let names: Vec<String> = TimeZoneDatabase::bundled()
        .available()
        .map(|name| name.as_str().to_owned())
        .collect();
    assert!(names.len() > 400, "{}", names.len());
    // From 1970 to 2099.
    let ends = (0, 4_102_444_800_000);
    let mut state = 1;
    for number in 0..instants {
        let name = &names[number as usize % names.len()];
        let slow = Slow {
            zone: TimeZoneDatabase::bundled().get(name).unwrap(),
        };
        let mut instant_ms = between(&mut state, ends.0, ends.1);
        let cycle = match roll(&mut state) % 5 {
            0 => Cycle::Day,
            1 => Cycle::Week {
                first_day: Weekday::Monday,
            },
            2 => Cycle::Week {
                first_day: Weekday::Sunday,
            },
            3 => Cycle::Month,
            _ => Cycle::Anchored {
                anchor_ms: between(&mut state, ends.0, ends.1),
                months: 1 + (roll(&mut state) % 13) as u32,
            },
        };
        // Every other instant lies near a clock change, where there is one.
        if number % 2 == 0
            && let Some(change) = slow
                .zone
                .following(Timestamp::from_millisecond(instant_ms).unwrap())
                .next()
        {
            let near = change.timestamp().as_millisecond();
            instant_ms = near + between(&mut state, -DAY_MS, DAY_MS);
        }
        let expected = slow.period_containing(cycle, instant_ms);
        let found = Calendar::new(cycle, name)
            .unwrap()
            .period_containing(instant_ms)
            .unwrap();
        assert_eq!(found, expected, "{name} {cycle:?} {instant_ms}");
    }
    println!(
        "{instants} instants in {} time zones, 0 differences",
        names.len()
    );
}
