//! The same numbers computed the slow way, from the list of calls itself, for a generated programme.
//! Shares no code with the reports: dates are text, sets are sets, medians are counted.

use std::collections::{BTreeMap, BTreeSet};

/// A call count as it was generated.
#[derive(Debug, Clone)]
pub struct Call {
    pub partner: usize,
    pub is_live: bool,
    pub outcome: &'static str,
    pub minute: i64,
    pub count: i64,
}

/// When a partner took the steps that calls do not tell.
#[derive(Debug, Clone)]
pub struct Partner {
    pub id: String,
    pub name: String,
    pub source: &'static str,
    /// Registered, verified, agreed, keyed.
    pub at_ms: [Option<i64>; 4],
}

pub struct World {
    pub partners: Vec<Partner>,
    pub calls: Vec<Call>,
}

fn date(minute: i64) -> String {
    jiff::Timestamp::from_second(minute * 60)
        .unwrap()
        .strftime("%Y-%m-%d")
        .to_string()
}

fn next_month(month: &str) -> String {
    let (year, number) = month.split_once('-').unwrap();
    let (year, number): (i64, i64) = (year.parse().unwrap(), number.parse().unwrap());
    if number == 12 {
        format!("{:04}-01", year + 1)
    } else {
        format!("{year:04}-{:02}", number + 1)
    }
}

impl World {
    fn successes(&self) -> impl Iterator<Item = &Call> {
        self.calls
            .iter()
            .filter(|call| call.is_live && call.outcome == "2xx")
    }

    pub fn first_success(&self, partner: usize, is_live: bool) -> Option<i64> {
        self.calls
            .iter()
            .filter(|call| {
                call.partner == partner && call.is_live == is_live && call.outcome == "2xx"
            })
            .map(|call| call.minute * 60_000)
            .min()
    }

    fn retained(&self, partner: usize) -> Option<i64> {
        let first = self.first_success(partner, true)? / 86_400_000;
        self.successes()
            .filter(|call| call.partner == partner)
            .map(|call| call.minute / 1_440)
            .filter(|day| (first + 60..=first + 90).contains(day))
            .min()
            .map(|day| day * 86_400_000)
    }

    /// Every step but paying, which has no invoices here.
    pub fn steps(&self, partner: usize) -> Vec<Option<i64>> {
        let mut steps = self.partners[partner].at_ms.to_vec();
        steps.push(self.first_success(partner, false));
        steps.push(self.first_success(partner, true));
        steps.push(None);
        steps.push(self.retained(partner));
        steps
    }

    /// Partners with a live success, by month.
    pub fn active(&self) -> BTreeMap<String, BTreeSet<usize>> {
        let mut months: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for call in self.successes() {
            months
                .entry(date(call.minute)[..7].to_owned())
                .or_default()
                .insert(call.partner);
        }
        months
    }

    /// Active, new, returned, churned, successful calls of a month.
    pub fn month(&self, month: &str) -> [i64; 5] {
        let active = self.active();
        let none = BTreeSet::new();
        let here = active.get(month).unwrap_or(&none);
        let before = active
            .iter()
            .find(|(known, _)| next_month(known) == month)
            .map_or(&none, |(_, partners)| partners);
        let ever: BTreeSet<usize> = active
            .iter()
            .filter(|(known, _)| known.as_str() < month)
            .flat_map(|(_, partners)| partners.iter().copied())
            .collect();
        let calls = self
            .successes()
            .filter(|call| date(call.minute).starts_with(month))
            .map(|call| call.count)
            .sum();
        let len = |set: BTreeSet<usize>| i64::try_from(set.len()).unwrap();
        [
            len(here.clone()),
            len(here - &ever),
            len(&(here & &ever) - before),
            len(before - here),
            calls,
        ]
    }

    /// Of the partners first live in a month: how many, and how many were active so many months later.
    pub fn retention(&self, month: &str, later: usize) -> (i64, i64) {
        let active = self.active();
        let cohort: BTreeSet<usize> = (0..self.partners.len())
            .filter(|partner| {
                self.first_success(*partner, true)
                    .is_some_and(|at| date(at / 60_000).starts_with(month))
            })
            .collect();
        let mut then = month.to_owned();
        for _ in 0..later {
            then = next_month(&then);
        }
        let still = active
            .get(&then)
            .map_or(0, |partners| (partners & &cohort).len());
        (
            i64::try_from(cohort.len()).unwrap(),
            i64::try_from(still).unwrap(),
        )
    }

    /// Live calls, 4xx and 5xx, limited and all decided, successes of a partner between two dates.
    pub fn totals(&self, partner: usize, from: &str, to: &str) -> [i64; 5] {
        let mut totals = [0; 5];
        for call in &self.calls {
            let day = date(call.minute);
            if call.partner != partner || !call.is_live || day.as_str() < from || day.as_str() > to
            {
                continue;
            }
            totals[3] += call.count;
            match call.outcome {
                "rate_limited" | "quota_exceeded" => totals[2] += call.count,
                outcome => {
                    totals[0] += call.count;
                    if outcome == "4xx" || outcome == "5xx" {
                        totals[1] += call.count;
                    }
                    if outcome == "2xx" {
                        totals[4] += call.count;
                    }
                }
            }
        }
        totals
    }

    /// Who called less than half of what was to be expected, the weeks found by walking back day by day.
    pub fn quiet(&self, now_ms: i64) -> BTreeMap<String, (i64, i64)> {
        let mut monday = now_ms / 86_400_000;
        while !jiff::Timestamp::from_second(monday * 86_400)
            .unwrap()
            .strftime("%a")
            .to_string()
            .starts_with("Mon")
        {
            monday -= 1;
        }
        let mut found = BTreeMap::new();
        for (number, partner) in self.partners.iter().enumerate() {
            let first = self
                .first_success(number, true)
                .map(|at| at / 86_400_000)
                .filter(|day| *day < monday);
            let Some(first) = first else { continue };
            let week = |back: i64| -> Option<i64> {
                let (from, to) = (monday - back * 7, monday - back * 7 + 7);
                (first < to).then(|| {
                    self.successes()
                        .filter(|call| call.partner == number)
                        .filter(|call| (from..to).contains(&(call.minute / 1_440)))
                        .map(|call| call.count)
                        .sum()
                })
            };
            let look = |back: i64| -> Option<(i64, i64)> {
                let recent = week(back + 1)? + week(back + 2)?;
                let mut base = Vec::new();
                for place in 3..=10 {
                    base.push(week(back + place)?);
                }
                // The lower median: as many as four are at or below it.
                let middle = *base
                    .iter()
                    .filter(|one| base.iter().filter(|other| other <= one).count() >= 4)
                    .min()
                    .unwrap();
                Some((middle, recent))
            };
            let Some((base, actual)) = look(0) else {
                continue;
            };
            let mut expected = base * 2;
            if let Some((then_base, then)) = look(52).filter(|(base, _)| *base > 0) {
                let bounded = then.max(then_base).min(then_base * 4);
                expected = expected * bounded / (then_base * 2);
            }
            if expected >= 20 && actual * 2 < expected {
                found.insert(partner.name.clone(), (expected, actual));
            }
        }
        found
    }
}

/// The value that so many of 100 are at or below: found by counting, not by sorting.
pub fn percentile(values: &[i64], percent: usize) -> Option<i64> {
    values
        .iter()
        .copied()
        .filter(|value| {
            let below = values.iter().filter(|other| *other <= value).count();
            below * 100 >= values.len() * percent
        })
        .min()
}
