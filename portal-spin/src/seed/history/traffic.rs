//! How much a partner calls on a day, and with what outcome. Pure.

use super::dice::Dice;
use super::stories::{DAY_MS, Span, Story};

/// Calls of one operation and outcome in one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// Which of the partner's operations, from 0.
    pub operation: usize,
    /// As usage counts it.
    pub outcome: &'static str,
    /// Minutes since 1970.
    pub minute: i64,
    /// How many.
    pub count: i64,
}

/// What a day is like for whoever calls.
#[derive(Debug, Clone, Copy)]
pub struct Day {
    /// Days since 1970.
    pub day: i64,
    /// The programme's days.
    pub span: Span,
    /// From when calls are possible, Unix milliseconds.
    pub from_ms: i64,
    /// The first day of the billing period.
    pub period_from: i64,
}

impl Day {
    /// The last days are told by the hour.
    fn is_recent(self) -> bool {
        self.day > self.span.last_day - 3
    }

    /// Minutes at which calls are counted, with their share in hundredths.
    fn minutes(self, dice: &mut Dice) -> Vec<(i64, i64)> {
        let first = (self.day * 1_440).max(self.from_ms.div_euclid(60_000) + 1);
        let end = (self.day + 1) * 1_440;
        if first >= end {
            return Vec::new();
        }
        if !self.is_recent() {
            // A first call comes at once; later ones at about ten.
            let usual = self.day * 1_440 + dice.between(560, 720);
            return vec![(
                if first > self.day * 1_440 {
                    first
                } else {
                    usual
                },
                100,
            )];
        }
        const SHARES: [i64; 24] = [
            2, 1, 1, 1, 1, 2, 3, 4, 5, 7, 8, 8, 6, 7, 7, 6, 6, 5, 4, 4, 4, 3, 3, 2,
        ];
        (0..)
            .zip(SHARES)
            .map(|(hour, share)| (self.day * 1_440 + hour * 60 + dice.between(0, 60), share))
            .filter(|(minute, _)| *minute >= first)
            .collect()
    }
}

/// Live calls wanted on a day.
pub fn wanted(story: &Story, day: Day) -> i64 {
    let demand = &story.demand;
    let (since, base) = match demand.then {
        Some((from, daily)) if day.day >= from => (from, daily),
        _ => (day.from_ms.div_euclid(DAY_MS), demand.daily),
    };
    let age = (day.day - since).max(0);
    let mut calls = base;
    for _ in 0..age / 30 {
        calls += calls * demand.growth / 1_000;
    }
    calls += calls * demand.growth / 1_000 * (age % 30) / 30;
    // 1970-01-01 was a Thursday.
    if matches!(day.day.rem_euclid(7), 2 | 3) {
        calls = calls * 55 / 100;
    }
    if demand.is_seasonal {
        let of_year = day.day.rem_euclid(365);
        calls = calls
            * if (285..350).contains(&of_year) {
                260
            } else {
                80
            }
            / 100;
    }
    if let Some(from) = demand.fades_from.filter(|from| day.day >= *from) {
        calls = calls * (20 - (day.day - from).min(18)) / 40;
    }
    calls * Dice::of(&[story.number, day.day, 1]).between(86, 115) / 100
}

/// Live calls of a day.
pub fn live_calls(story: &Story, day: Day) -> Vec<Calls> {
    let demand = &story.demand;
    let total = wanted(story, day);
    let mut limited = total * demand.rate_limited / 1_000;
    let mut allowed = total - limited;
    let mut over = 0;
    if let Some(quota) = demand.quota {
        let usual = demand.daily * (1_000 - demand.rate_limited) / 1_000 * 9 / 10;
        let used = usual * (day.day - day.period_from).max(0);
        over = (used + allowed - quota).clamp(0, allowed);
        allowed -= over;
        if allowed == 0 {
            limited = 0;
        }
    }
    let failed = allowed * demand.client_errors / 1_000;
    let broken = allowed * 2 / 1_000;
    let good = allowed - failed - broken;
    let second = good * 28 / 100;
    let third = good * 9 / 100;
    spread(
        story,
        day,
        2,
        &[
            (0, "2xx", good - second - third),
            (1, "2xx", second),
            (2, "2xx", third),
            (1, "4xx", failed),
            (2, "5xx", broken),
            (0, "rate_limited", limited),
            (0, "quota_exceeded", over),
        ],
    )
}

/// Calls of the sandbox on a day: busy at first, then now and then.
pub fn test_calls(story: &Story, day: Day, is_live: bool) -> Vec<Calls> {
    let age = day.day - day.from_ms.div_euclid(DAY_MS);
    let mut dice = Dice::of(&[story.number, day.day, 3]);
    let is_busy = if is_live {
        dice.happens(12)
    } else {
        age < 25 || dice.happens(25)
    };
    if !is_busy && age > 0 {
        return Vec::new();
    }
    let total = story.demand.test_daily.max(12);
    let mistakes = (total / 16).max(1);
    spread(
        story,
        day,
        4,
        &[
            (1, "4xx", mistakes),
            (0, "rate_limited", i64::from(age < 2) * 2),
            (0, "2xx", total - mistakes - total / 4),
            (1, "2xx", total / 8),
            (2, "2xx", total / 8),
        ],
    )
}

fn spread(story: &Story, day: Day, salt: i64, calls: &[(usize, &'static str, i64)]) -> Vec<Calls> {
    let minutes = day.minutes(&mut Dice::of(&[story.number, day.day, salt]));
    let shares: i64 = minutes.iter().map(|(_, share)| share).sum();
    let mut spread = Vec::new();
    for (operation, outcome, total) in calls {
        let mut left = *total;
        for (place, (minute, share)) in minutes.iter().enumerate() {
            let is_last = place + 1 == minutes.len();
            let count = if is_last {
                left
            } else {
                total * share / shares.max(1)
            };
            left -= count;
            if count > 0 {
                spread.push(Calls {
                    operation: *operation,
                    outcome,
                    minute: *minute,
                    count,
                });
            }
        }
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::super::stories::{Course, FULL_MONTHS, tell};
    use super::*;

    fn scene(course: Course) -> (Story, Day) {
        let span = Span::up_to(1_793_000_000_000, FULL_MONTHS);
        let story = tell(span)
            .into_iter()
            .find(|story| story.course == course)
            .unwrap();
        let from_ms = story.acts.last().unwrap().0;
        let period_from = from_ms.div_euclid(DAY_MS);
        let day = Day {
            day: period_from + 1,
            span,
            from_ms,
            period_from,
        };
        (story, day)
    }

    fn sum(calls: &[Calls], outcome: &str) -> i64 {
        calls
            .iter()
            .filter(|one| one.outcome == outcome)
            .map(|one| one.count)
            .sum()
    }

    #[test]
    fn every_wanted_call_is_counted_once_by_the_day_and_by_the_hour() {
        let (story, mut day) = scene(Course::Steady);
        for number in [day.day, day.span.last_day] {
            day.day = number;
            let counted: i64 = live_calls(&story, day).iter().map(|one| one.count).sum();
            assert_eq!(counted, wanted(&story, day));
            assert!(
                live_calls(&story, day)
                    .iter()
                    .all(|one| one.minute / 1_440 == number)
            );
        }
    }

    #[test]
    fn a_quota_refuses_at_the_end_of_the_period_and_not_before() {
        let (story, mut day) = scene(Course::HitsLimits);
        assert_eq!(sum(&live_calls(&story, day), "quota_exceeded"), 0);
        day.day = day.period_from + 29;
        let calls = live_calls(&story, day);
        assert!(
            sum(&calls, "quota_exceeded") > 0 && sum(&calls, "2xx") == 0,
            "{calls:?}"
        );
    }

    #[test]
    fn who_grows_grows_and_who_fades_fades() {
        let (story, mut day) = scene(Course::Grows);
        day.day = story.demand.then.unwrap().0 + 30;
        let before = wanted(&story, day);
        day.day += 140;
        assert!(wanted(&story, day) > before * 5 / 4);
        let (story, mut day) = scene(Course::GoesQuiet);
        day.day = day.span.last_day - 30;
        let before = wanted(&story, day);
        day.day = day.span.last_day - 2;
        assert!(wanted(&story, day) * 3 < before);
    }
}
