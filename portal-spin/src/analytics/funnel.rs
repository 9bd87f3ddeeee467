//! From registration to revenue: who got how far, and how long each step took. Pure.

use std::collections::BTreeMap;

use super::period::Days;

use crate::text_enum::text_enum;

text_enum! {
    /// A step of a partner's way, in order.
    Step {
        /// Sent the registration form.
        Registered = "registered",
        /// Proved the address.
        Verified = "verified",
        /// Accepted a first agreement.
        Agreed = "agreed",
        /// Got a first credential.
        Keyed = "keyed",
        /// First 2xx with a test credential.
        SandboxCall = "first_sandbox_call",
        /// First 2xx with a live credential.
        LiveCall = "first_live_call",
        /// First invoice above zero.
        Paying = "paying",
        /// Still called successfully 60 to 90 days after the first live call.
        Retained = "retained",
    }
}

/// How many steps there are.
pub const STEPS: usize = 8;
/// What counts as a quick first call.
pub const QUICK_MS: i64 = 30 * 60_000;

impl Step {
    /// As on pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Registered => "Registered",
            Self::Verified => "Verified",
            Self::Agreed => "Agreed",
            Self::Keyed => "Keyed",
            Self::SandboxCall => "First sandbox call",
            Self::LiveCall => "First live call",
            Self::Paying => "Paying",
            Self::Retained => "Retained",
        }
    }

    /// What counts.
    pub const fn definition(self) -> &'static str {
        match self {
            Self::Registered => "sent the registration form; one per address until it is verified",
            Self::Verified => "the address was proved and the organisation exists",
            Self::Agreed => "a member accepted a first agreement",
            Self::Keyed => "a first credential was issued",
            Self::SandboxCall => {
                "the minute of the first 2xx that the gateway counted with a test credential"
            }
            Self::LiveCall => {
                "the minute of the first 2xx that the gateway counted with a live credential"
            }
            Self::Paying => "the first invoice above zero was issued",
            Self::Retained => {
                "a day with a live 2xx, 60 to 90 days after the day of the first live call"
            }
        }
    }
}

/// A partner's way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journey {
    /// The organisation; empty where the address was never verified.
    pub organisation_id: String,
    /// Its name, or the name given when registering.
    pub name: String,
    /// First-touch source, as registered with.
    pub source: String,
    /// The partner type.
    pub partner_type: String,
    /// When each step was reached.
    pub at_ms: [Option<i64>; STEPS],
}

impl Journey {
    /// When a step was reached.
    pub fn at(&self, step: Step) -> Option<i64> {
        self.at_ms.get(step as usize).copied().flatten()
    }

    /// From registration to the first 2xx, whichever environment. Never below zero: calls are known to
    /// the minute.
    pub fn time_to_first_call(&self) -> Option<i64> {
        let first = match (self.at(Step::SandboxCall), self.at(Step::LiveCall)) {
            (Some(sandbox), Some(live)) => sandbox.min(live),
            (one, other) => one.or(other)?,
        };
        Some((first - self.at(Step::Registered)?).max(0))
    }

    /// The furthest step reached by this time.
    pub fn furthest_by(&self, time_ms: i64) -> Step {
        Step::ANY
            .iter()
            .rev()
            .copied()
            .find(|step| self.at(*step).is_some_and(|at| at <= time_ms))
            .unwrap_or(Step::Registered)
    }
}

/// The value that `percent` of 100 are at or below (nearest rank); `None` of nothing.
pub fn percentile(values: &mut [i64], percent: usize) -> Option<i64> {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied()
}

/// One step of a group of partners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSummary {
    /// The step.
    pub step: Step,
    /// How many reached it.
    pub reached: i64,
    /// How many of the step before reached it.
    pub from_previous: i64,
    /// How many reached the step before.
    pub previous: i64,
    /// Half of those took at most so long from the step before.
    pub median_ms: Option<i64>,
    /// Nine in ten.
    pub p90_ms: Option<i64>,
}

/// The steps of these partners.
pub fn summarise<'a>(journeys: impl Iterator<Item = &'a Journey>) -> Vec<StepSummary> {
    let mut reached = [0_i64; STEPS];
    let mut took: [Vec<i64>; STEPS] = Default::default();
    for journey in journeys {
        let mut before: Option<i64> = None;
        for ((at, count), took) in journey.at_ms.iter().zip(&mut reached).zip(&mut took) {
            if let Some(at) = at {
                *count += 1;
                if let Some(before) = before {
                    took.push((at - before).max(0));
                }
            }
            before = *at;
        }
    }
    let mut previous = 0;
    Step::ANY
        .iter()
        .zip(reached)
        .zip(took)
        .map(|((step, reached), mut took)| {
            let summary = StepSummary {
                step: *step,
                reached,
                from_previous: i64::try_from(took.len()).unwrap_or(i64::MAX),
                previous,
                median_ms: percentile(&mut took, 50),
                p90_ms: percentile(&mut took, 90),
            };
            previous = reached;
            summary
        })
        .collect()
}

/// Partners that registered in the same week or month, or came from the same source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cohort {
    /// How many.
    pub registered: i64,
    /// How many reached each step so far.
    pub reached: [i64; STEPS],
    /// How many made a first call.
    pub called: i64,
    /// How many of all made it within 30 minutes.
    pub quick: i64,
    /// Half of those that called took at most so long.
    pub median_ms: Option<i64>,
    /// Nine in ten.
    pub p90_ms: Option<i64>,
}

/// Groups partners by a key.
pub fn group<'a, K: Ord>(
    journeys: impl Iterator<Item = &'a Journey>,
    key: impl Fn(&Journey) -> Option<K>,
) -> BTreeMap<K, Cohort> {
    let mut groups: BTreeMap<K, (Cohort, Vec<i64>)> = BTreeMap::new();
    for journey in journeys {
        let Some(key) = key(journey) else { continue };
        let (cohort, times) = groups.entry(key).or_default();
        cohort.registered += 1;
        for (count, at) in cohort.reached.iter_mut().zip(&journey.at_ms) {
            *count += i64::from(at.is_some());
        }
        if let Some(time) = journey.time_to_first_call() {
            cohort.called += 1;
            cohort.quick += i64::from(time <= QUICK_MS);
            times.push(time);
        }
    }
    groups
        .into_iter()
        .map(|(key, (mut cohort, mut times))| {
            cohort.median_ms = percentile(&mut times, 50);
            cohort.p90_ms = percentile(&mut times, 90);
            (key, cohort)
        })
        .collect()
}

/// Partners that registered in these days, and the value of one step among them.
pub fn registered(journeys: &[Journey], days: Days) -> impl Iterator<Item = &Journey> {
    journeys.iter().filter(move |journey| {
        journey
            .at(Step::Registered)
            .is_some_and(|at| days.holds(at))
    })
}

/// All of these partners as one cohort.
pub fn whole<'a>(journeys: impl Iterator<Item = &'a Journey>) -> Cohort {
    group(journeys, |_| Some(()))
        .into_values()
        .next()
        .unwrap_or_default()
}

pub fn reached(cohort: &Cohort, step: Step) -> i64 {
    cohort
        .reached
        .get(step as usize)
        .copied()
        .unwrap_or_default()
}
