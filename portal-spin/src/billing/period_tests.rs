//! Periods across short months, leap years and clock changes.

use super::period::{Calendar, Cycle, Period, PeriodProblem};
use jiff::Timestamp;
use jiff::civil::Weekday;
use proptest::prelude::*;

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn calendar(cycle: Cycle, zone: &str) -> Calendar {
    Calendar::new(cycle, zone).unwrap()
}

fn assert_period(calendar: &Calendar, instant: &str, start: &str, end: &str) {
    let period = calendar.period_containing(at(instant)).unwrap();
    let text = |ms| Timestamp::from_millisecond(ms).unwrap().to_string();
    assert_eq!(
        (text(period.start_ms), text(period.end_ms)),
        (start.to_owned(), end.to_owned()),
        "{instant}"
    );
}

#[test]
fn months_begin_at_local_midnight_on_both_sides_of_a_clock_change() {
    let berlin = calendar(Cycle::Month, "Europe/Berlin");
    assert_period(
        &berlin,
        "2026-03-15T12:00:00Z",
        "2026-02-28T23:00:00Z",
        "2026-03-31T22:00:00Z",
    );
    assert_period(
        &berlin,
        "2026-10-15T12:00:00Z",
        "2026-09-30T22:00:00Z",
        "2026-10-31T23:00:00Z",
    );
    // The last moment of March there, and the first of April.
    assert_period(
        &berlin,
        "2026-03-31T21:59:59Z",
        "2026-02-28T23:00:00Z",
        "2026-03-31T22:00:00Z",
    );
    assert_period(
        &berlin,
        "2026-03-31T22:00:00Z",
        "2026-03-31T22:00:00Z",
        "2026-04-30T22:00:00Z",
    );
    let utc = calendar(Cycle::Month, "UTC");
    assert_period(
        &utc,
        "2028-02-29T23:59:59Z",
        "2028-02-01T00:00:00Z",
        "2028-03-01T00:00:00Z",
    );
}

#[test]
fn days_of_a_clock_change_have_23_and_25_hours() {
    let new_york = calendar(Cycle::Day, "America/New_York");
    assert_period(
        &new_york,
        "2026-03-08T12:00:00Z",
        "2026-03-08T05:00:00Z",
        "2026-03-09T04:00:00Z",
    );
    assert_period(
        &new_york,
        "2026-11-01T12:00:00Z",
        "2026-11-01T04:00:00Z",
        "2026-11-02T05:00:00Z",
    );
    let spring = new_york
        .period_containing(at("2026-03-08T12:00:00Z"))
        .unwrap();
    assert_eq!(spring.seconds(), 23 * 3_600);
    assert_eq!(new_york.days(&spring).unwrap(), 1);
}

#[test]
fn a_midnight_that_a_clock_change_skips_is_the_moment_after() {
    // Brazil moved from 00:00 to 01:00 on 4 November 2018.
    let sao_paulo = calendar(Cycle::Day, "America/Sao_Paulo");
    assert_period(
        &sao_paulo,
        "2018-11-04T12:00:00Z",
        "2018-11-04T03:00:00Z",
        "2018-11-05T02:00:00Z",
    );
    // Samoa had no 30 December 2011: the 29th meets the 31st.
    let apia = calendar(Cycle::Day, "Pacific/Apia");
    assert_period(
        &apia,
        "2011-12-30T09:00:00Z",
        "2011-12-29T10:00:00Z",
        "2011-12-30T10:00:00Z",
    );
    assert_period(
        &apia,
        "2011-12-30T10:00:00Z",
        "2011-12-30T10:00:00Z",
        "2011-12-31T10:00:00Z",
    );
}

#[test]
fn a_clock_set_back_across_midnight_does_not_bring_the_former_month_back() {
    // At 00:01 on 1 November 2009 clocks in Newfoundland went back to 23:01 of 31 October.
    let st_johns = calendar(Cycle::Month, "America/St_Johns");
    assert_period(
        &st_johns,
        "2009-11-01T02:45:00Z",
        "2009-11-01T02:30:00Z",
        "2009-12-01T03:30:00Z",
    );
}

#[test]
fn weeks_begin_on_the_day_that_was_chosen() {
    let monday = calendar(
        Cycle::Week {
            first_day: Weekday::Monday,
        },
        "UTC",
    );
    assert_period(
        &monday,
        "2026-01-01T00:00:00Z",
        "2025-12-29T00:00:00Z",
        "2026-01-05T00:00:00Z",
    );
    let sunday = calendar(
        Cycle::Week {
            first_day: Weekday::Sunday,
        },
        "UTC",
    );
    assert_period(
        &sunday,
        "2026-01-04T00:00:00Z",
        "2026-01-04T00:00:00Z",
        "2026-01-11T00:00:00Z",
    );
}

#[test]
fn an_anchor_on_the_31st_falls_on_the_last_day_and_comes_back() {
    let anchored = calendar(
        Cycle::Anchored {
            anchor_ms: at("2026-01-31T15:30:00Z"),
            months: 1,
        },
        "UTC",
    );
    assert_period(
        &anchored,
        "2026-02-01T00:00:00Z",
        "2026-01-31T15:30:00Z",
        "2026-02-28T15:30:00Z",
    );
    assert_period(
        &anchored,
        "2026-02-28T15:30:00Z",
        "2026-02-28T15:30:00Z",
        "2026-03-31T15:30:00Z",
    );
    assert_period(
        &anchored,
        "2026-04-30T15:29:59Z",
        "2026-03-31T15:30:00Z",
        "2026-04-30T15:30:00Z",
    );
    assert_period(
        &anchored,
        "2028-03-01T00:00:00Z",
        "2028-02-29T15:30:00Z",
        "2028-03-31T15:30:00Z",
    );
    assert_period(
        &anchored,
        "2025-12-25T00:00:00Z",
        "2025-11-30T15:30:00Z",
        "2025-12-31T15:30:00Z",
    );
}

#[test]
fn an_anchor_keeps_its_local_time_of_day_through_a_clock_change() {
    let anchored = calendar(
        Cycle::Anchored {
            anchor_ms: at("2026-01-10T08:00:00Z"),
            months: 1,
        },
        "Europe/Berlin",
    );
    assert_period(
        &anchored,
        "2026-04-01T00:00:00Z",
        "2026-03-10T08:00:00Z",
        "2026-04-10T07:00:00Z",
    );
    // 02:30 does not exist on 29 March 2026 in Berlin: the boundary is 03:30 there.
    let skipped = calendar(
        Cycle::Anchored {
            anchor_ms: at("2026-01-29T01:30:00Z"),
            months: 1,
        },
        "Europe/Berlin",
    );
    assert_period(
        &skipped,
        "2026-03-29T12:00:00Z",
        "2026-03-29T01:30:00Z",
        "2026-04-29T00:30:00Z",
    );
    let yearly = calendar(
        Cycle::Anchored {
            anchor_ms: at("2024-02-29T00:00:00Z"),
            months: 12,
        },
        "UTC",
    );
    assert_period(
        &yearly,
        "2025-06-01T00:00:00Z",
        "2025-02-28T00:00:00Z",
        "2026-02-28T00:00:00Z",
    );
    assert_period(
        &yearly,
        "2028-06-01T00:00:00Z",
        "2028-02-29T00:00:00Z",
        "2029-02-28T00:00:00Z",
    );
}

#[test]
fn periods_say_where_they_run() {
    let berlin = calendar(Cycle::Month, "Europe/Berlin");
    let march = berlin
        .period_containing(at("2026-03-15T00:00:00Z"))
        .unwrap();
    assert_eq!(
        berlin.describe(&march).unwrap(),
        "2026-03-01 to 2026-03-31 (Europe/Berlin)"
    );
    let part = Period {
        start_ms: at("2026-03-17T09:30:00Z"),
        ..march
    };
    assert_eq!(
        berlin.describe(&part).unwrap(),
        "2026-03-17 10:30 to 2026-04-01 00:00 (Europe/Berlin)"
    );
    let day = calendar(Cycle::Day, "UTC");
    assert_eq!(
        day.describe(&day.period_containing(0).unwrap()).unwrap(),
        "1970-01-01 (UTC)"
    );
}

#[test]
fn unknown_zones_and_lengths_are_named() {
    assert_eq!(
        Calendar::new(Cycle::Month, "Mars/Olympus").unwrap_err(),
        PeriodProblem::UnknownZone("Mars/Olympus".to_owned())
    );
    for months in [0, 121] {
        assert_eq!(
            Calendar::new(
                Cycle::Anchored {
                    anchor_ms: 0,
                    months
                },
                "UTC"
            )
            .unwrap_err(),
            PeriodProblem::MonthCount
        );
    }
    assert_eq!(
        calendar(Cycle::Month, "UTC").period_containing(i64::MAX),
        Err(PeriodProblem::OutOfRange)
    );
}

fn any_calendar() -> impl Strategy<Value = Calendar> {
    let zones = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "Africa/Cairo",
        "Australia/Lord_Howe",
    ];
    let cycle = prop_oneof![
        Just(Cycle::Day),
        prop::sample::select(vec![Weekday::Monday, Weekday::Sunday])
            .prop_map(|first_day| Cycle::Week { first_day }),
        Just(Cycle::Month),
        (instants(), 1u32..14)
            .prop_map(|(anchor_ms, months)| Cycle::Anchored { anchor_ms, months }),
    ];
    (cycle, prop::sample::select(zones.to_vec())).prop_map(|(cycle, zone)| calendar(cycle, zone))
}

/// Some time between 1990 and 2060.
fn instants() -> impl Strategy<Value = i64> {
    631_152_000_000i64..2_840_140_800_000
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn periods_hold_their_instants_and_meet_without_gap_or_overlap(calendar in any_calendar(), instant in instants()) {
        let period = calendar.period_containing(instant).unwrap();
        prop_assert!(period.contains(instant));
        prop_assert_eq!(calendar.period_containing(period.start_ms).unwrap(), period);
        prop_assert_eq!(calendar.period_containing(period.end_ms - 1).unwrap(), period);
        prop_assert_eq!(calendar.period_after(&period).unwrap().start_ms, period.end_ms);
        prop_assert_eq!(calendar.period_before(&period).unwrap().end_ms, period.start_ms);
    }

    #[test]
    fn days_and_seconds_of_the_parts_of_a_period_sum_to_the_whole(calendar in any_calendar(), instant in instants(), cuts in prop::collection::vec(0.0f64..1.0, 0..5)) {
        let period = calendar.period_containing(instant).unwrap();
        let length = (period.end_ms - period.start_ms) as f64;
        let mut ends: Vec<i64> = cuts.iter().map(|cut| period.start_ms + (length * cut) as i64).collect();
        ends.push(period.end_ms);
        ends.sort_unstable();
        let (mut start_ms, mut days, mut seconds) = (period.start_ms, 0, 0);
        for end_ms in ends {
            let part = Period { start_ms, end_ms };
            days += calendar.days(&part).unwrap();
            seconds += part.seconds();
            start_ms = end_ms;
        }
        prop_assert_eq!(days, calendar.days(&period).unwrap());
        prop_assert_eq!(seconds, period.seconds());
    }
}
