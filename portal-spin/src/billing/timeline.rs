//! Which plan was served when: a subscription's phases cut into parts of billing periods.
//!
//! Owns the cut and what the trial covers. What the parts cost is `items`.

use shared::ids::PlanId;

use super::period::{Calendar, Period, PeriodProblem};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// No timeline has more parts: two hundred years of months.
const MOST_PARTS: usize = 2_400;

/// A plan in force from an instant, with the calendar of its periods.
#[derive(Debug, Clone)]
pub struct Phase {
    /// From when.
    pub from_ms: i64,
    /// The plan version.
    pub plan_id: PlanId,
    /// How its periods follow one another.
    pub calendar: Calendar,
    /// Its trial, in days; only the plan that billing begins with has one.
    pub trial_days: u32,
}

/// A subscription over time.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// Phases, oldest first.
    pub phases: Vec<Phase>,
    /// When live calls, and with them billing, began.
    pub live_from_ms: i64,
    /// When it ends.
    pub ends_at_ms: Option<i64>,
}

/// A part of one period in which one plan was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The plan version.
    pub plan_id: PlanId,
    /// The whole period.
    pub period: Period,
    /// What was served of it.
    pub served: Period,
    /// Whether it is free of charge.
    pub is_trial: bool,
}

impl Timeline {
    /// The phase in force at an instant, or the first.
    pub fn phase_at(&self, at_ms: i64) -> Option<&Phase> {
        self.phases
            .iter()
            .rev()
            .find(|phase| phase.from_ms <= at_ms)
            .or(self.phases.first())
    }

    /// When the trial ends; billing's beginning where there is none.
    pub fn trial_until_ms(&self) -> i64 {
        let days = self
            .phase_at(self.live_from_ms)
            .map_or(0, |phase| phase.trial_days);
        self.live_from_ms.saturating_add(i64::from(days) * DAY_MS)
    }

    /// What was served of each phase outside the trial, in order of time; phases of which nothing was are
    /// left out.
    pub fn paid_phases(&self) -> impl Iterator<Item = (Period, PlanId)> + '_ {
        let first_ms = self.trial_until_ms();
        self.phases
            .iter()
            .enumerate()
            .filter_map(move |(index, phase)| {
                let next_ms = self.phases.get(index + 1).map(|next| next.from_ms);
                let served = Period {
                    start_ms: phase.from_ms.max(first_ms),
                    end_ms: next_ms
                        .into_iter()
                        .chain(self.ends_at_ms)
                        .min()
                        .unwrap_or(i64::MAX),
                };
                (served.start_ms < served.end_ms).then_some((served, phase.plan_id))
            })
    }

    /// The first boundary behind an instant.
    pub fn boundary_after(&self, at_ms: i64) -> Result<i64, PeriodProblem> {
        let phase = self.phase_at(at_ms).ok_or(PeriodProblem::OutOfRange)?;
        Ok(phase.calendar.period_containing(at_ms)?.end_ms)
    }

    /// Parts that touch `from_ms` and what follows and begin at or before `until_ms`, in order of time.
    pub fn parts(&self, from_ms: i64, until_ms: i64) -> Result<Vec<Part>, PeriodProblem> {
        let trial_until_ms = self.trial_until_ms();
        let mut parts = Vec::new();
        for (index, phase) in self.phases.iter().enumerate() {
            let next_ms = self.phases.get(index + 1).map(|next| next.from_ms);
            let start_ms = phase.from_ms.max(self.live_from_ms);
            let end_ms = next_ms
                .into_iter()
                .chain(self.ends_at_ms)
                .min()
                .unwrap_or(i64::MAX);
            let mut at_ms = start_ms.max(from_ms);
            while at_ms < end_ms && at_ms <= until_ms && parts.len() < MOST_PARTS {
                let period = phase.calendar.period_containing(at_ms)?;
                // The part keeps its whole length, also where `from_ms` falls into it.
                let served = Period {
                    start_ms: start_ms.max(period.start_ms),
                    end_ms: end_ms.min(period.end_ms),
                };
                let part = |start_ms, end_ms, is_trial| Part {
                    plan_id: phase.plan_id,
                    period,
                    served: Period { start_ms, end_ms },
                    is_trial,
                };
                let split_ms = trial_until_ms.clamp(served.start_ms, served.end_ms);
                if served.start_ms < split_ms {
                    parts.push(part(served.start_ms, split_ms, true));
                }
                if split_ms < served.end_ms {
                    parts.push(part(split_ms, served.end_ms, false));
                }
                at_ms = period.end_ms;
            }
        }
        parts.retain(|part| part.served.start_ms <= until_ms);
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::period::Cycle;
    use proptest::prelude::*;

    /// 2026-01-01T00:00:00Z
    const START_MS: i64 = 1_767_225_600_000;

    fn timeline(offsets: &[i64], live: i64, end: Option<i64>, trial_days: u32) -> Timeline {
        let phases = offsets
            .iter()
            .enumerate()
            .map(|(index, offset)| Phase {
                from_ms: START_MS + offset,
                plan_id: PlanId::from_bytes([u8::try_from(index).unwrap(); 16]),
                calendar: Calendar::new(Cycle::Month, "UTC").unwrap(),
                trial_days,
            })
            .collect();
        Timeline {
            phases,
            live_from_ms: START_MS + live,
            ends_at_ms: end.map(|end| START_MS + end),
        }
    }

    proptest! {
        #[test]
        fn parts_follow_one_another_without_hole_or_overlap(
            mut offsets in prop::collection::vec(0i64..100 * DAY_MS, 1..6),
            live in 0i64..20 * DAY_MS,
            length in 1i64..90 * DAY_MS,
            trial_days in 0u32..40,
        ) {
            offsets.sort_unstable();
            offsets.dedup();
            offsets[0] = 0;
            let timeline = timeline(&offsets, live, Some(live + length), trial_days);
            let parts = timeline.parts(0, i64::MAX).unwrap();
            prop_assert_eq!(parts[0].served.start_ms, START_MS + live);
            prop_assert_eq!(parts.last().unwrap().served.end_ms, START_MS + live + length);
            for pair in parts.windows(2) {
                prop_assert_eq!(pair[0].served.end_ms, pair[1].served.start_ms);
            }
            for part in &parts {
                prop_assert!(part.period.start_ms <= part.served.start_ms && part.served.end_ms <= part.period.end_ms);
                prop_assert_eq!(part.is_trial, part.served.start_ms < timeline.trial_until_ms());
                prop_assert_eq!(timeline.phase_at(part.served.start_ms).unwrap().plan_id, part.plan_id);
            }
        }
    }
}
