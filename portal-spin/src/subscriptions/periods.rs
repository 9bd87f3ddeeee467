//! Billing periods of a subscription, as edges know them.

use crate::billing::period::{Period, PeriodProblem};
use crate::catalogue::{BillingCycle, PeriodRule};
use crate::context::Context;
use crate::database::DatabaseError;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl From<PeriodProblem> for DatabaseError {
    fn from(problem: PeriodProblem) -> Self {
        Self::Shape(format!("a billing period cannot be drawn: {problem}"))
    }
}

/// How many coming boundaries edges are told, and how long before the last of them they are told more: an
/// edge may be away from the portal for 35 days.
const fn told_ahead(cycle: BillingCycle) -> (usize, i64) {
    match cycle {
        BillingCycle::Day => (45, 35 * DAY_MS),
        BillingCycle::Week => (8, 35 * DAY_MS),
        BillingCycle::Month | BillingCycle::Anniversary => (5, 95 * DAY_MS),
    }
}

/// The period that an instant falls in.
pub fn period_at(rule: &PeriodRule, anchor_ms: i64, at_ms: i64) -> Result<Period, PeriodProblem> {
    rule.calendar(anchor_ms)?.period_containing(at_ms)
}

/// Boundaries as edges are told them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundaries {
    /// The start of the current period and the coming boundaries.
    pub at_ms: Vec<i64>,
    /// When edges are to be told more.
    pub extend_at_ms: i64,
}

/// The start of the current period and the coming boundaries.
pub fn boundaries(
    rule: &PeriodRule,
    anchor_ms: i64,
    now_ms: i64,
) -> Result<Boundaries, PeriodProblem> {
    let (coming, ahead_ms) = told_ahead(rule.cycle);
    let calendar = rule.calendar(anchor_ms)?;
    let mut period = calendar.period_containing(now_ms)?;
    let mut at_ms = vec![period.start_ms, period.end_ms];
    while at_ms.len() <= coming {
        period = calendar.period_after(&period)?;
        at_ms.push(period.end_ms);
    }
    Ok(Boundaries {
        extend_at_ms: period.end_ms - ahead_ms,
        at_ms,
    })
}

/// Tells edges the next boundaries of subscriptions that will run out of them, at most 500 at a time.
pub async fn extend_periods(context: &Context) -> Result<u64, DatabaseError> {
    let due = super::store::list_to_extend(&context.connection, context.now_ms, 500).await?;
    for subscription_id in &due {
        context
            .connection
            .transaction(async || {
                let Some(mut subscription) =
                    super::store::find_subscription(&context.connection, *subscription_id).await?
                else {
                    return Ok(());
                };
                super::store::publish(&context.connection, &mut subscription, context.now_ms).await
            })
            .await?;
    }
    Ok(due.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::FirstDay;

    fn told(cycle: BillingCycle, zone: &str, anchor_ms: i64, now_ms: i64) -> Boundaries {
        let rule = PeriodRule {
            cycle,
            week_starts_on: FirstDay::Monday,
            time_zone: zone.to_owned(),
        };
        boundaries(&rule, anchor_ms, now_ms).unwrap()
    }

    #[test]
    fn edges_know_the_current_period_and_enough_boundaries_to_be_away() {
        // 2026-01-31T12:00:00Z
        let now_ms = 1_769_860_800_000;
        for cycle in [
            BillingCycle::Day,
            BillingCycle::Week,
            BillingCycle::Month,
            BillingCycle::Anniversary,
        ] {
            for zone in ["UTC", "America/St_Johns"] {
                let told = told(cycle, zone, now_ms, now_ms);
                assert!(told.at_ms[0] <= now_ms && now_ms < told.at_ms[1]);
                assert!(told.at_ms.is_sorted_by(|a, b| a < b));
                // Told more some days from now, and 35 days of boundaries are left until then.
                assert!(told.extend_at_ms > now_ms + 5 * DAY_MS, "{cycle:?}");
                assert!(told.at_ms.last().unwrap() - told.extend_at_ms >= 35 * DAY_MS);
            }
        }
        let months = told(BillingCycle::Month, "UTC", 0, now_ms);
        assert_eq!(months.at_ms[1], 1_769_904_000_000);
        let anniversaries = told(BillingCycle::Anniversary, "UTC", now_ms, now_ms);
        assert_eq!(anniversaries.at_ms[0], now_ms);
        // 28 February, then back to the 31st.
        assert_eq!(anniversaries.at_ms[1], 1_772_280_000_000);
        assert_eq!(anniversaries.at_ms[2], 1_774_958_400_000);
    }
}
