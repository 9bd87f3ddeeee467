//! Billing periods of a subscription, as edges know them.

use crate::billing::period::{Calendar, Cycle, Period, PeriodProblem};
use crate::catalogue::BillingCycle;
use crate::context::Context;
use crate::database::DatabaseError;

/// How many coming boundaries edges are told.
const COMING: usize = 5;
/// More are told when the last known one is nearer than this: at least three are then left.
const EXTEND_BEFORE_MS: i64 = 95 * 24 * 60 * 60 * 1000;

impl From<PeriodProblem> for DatabaseError {
    fn from(problem: PeriodProblem) -> Self {
        Self::Shape(format!("a billing period cannot be drawn: {problem}"))
    }
}

/// The calendar of a subscription's periods.
pub fn calendar(cycle: BillingCycle, anchor_ms: i64) -> Result<Calendar, PeriodProblem> {
    let cycle = match cycle {
        BillingCycle::Month => Cycle::Month,
        BillingCycle::Anniversary => Cycle::Anchored {
            anchor_ms,
            months: 1,
        },
    };
    Calendar::new(cycle, "UTC")
}

/// The period that an instant falls in.
pub fn period_at(cycle: BillingCycle, anchor_ms: i64, at_ms: i64) -> Result<Period, PeriodProblem> {
    calendar(cycle, anchor_ms)?.period_containing(at_ms)
}

/// The start of the current period and the coming boundaries.
pub fn boundaries(
    cycle: BillingCycle,
    anchor_ms: i64,
    now_ms: i64,
) -> Result<Vec<i64>, PeriodProblem> {
    let calendar = calendar(cycle, anchor_ms)?;
    let mut period = calendar.period_containing(now_ms)?;
    let mut boundaries = vec![period.start_ms, period.end_ms];
    while boundaries.len() <= COMING {
        period = calendar.period_after(&period)?;
        boundaries.push(period.end_ms);
    }
    Ok(boundaries)
}

/// Tells edges the next boundaries of subscriptions that will run out of them, at most 500 at a time.
pub async fn extend_periods(context: &Context) -> Result<u64, DatabaseError> {
    let due =
        super::store::list_to_extend(&context.connection, context.now_ms + EXTEND_BEFORE_MS, 500)
            .await?;
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

    #[test]
    fn edges_know_the_current_period_and_at_least_three_boundaries_beyond() {
        // 2026-01-31T12:00:00Z
        let now_ms = 1_769_860_800_000;
        let months = boundaries(BillingCycle::Month, 0, now_ms).unwrap();
        assert_eq!(months.len(), COMING + 1);
        assert!(months[0] <= now_ms && now_ms < months[1]);
        assert_eq!(months[1], 1_769_904_000_000);
        let anniversaries = boundaries(BillingCycle::Anniversary, now_ms, now_ms).unwrap();
        assert_eq!(anniversaries[0], now_ms);
        // 28 February, then back to the 31st.
        assert_eq!(anniversaries[1], 1_772_280_000_000);
        assert_eq!(anniversaries[2], 1_774_958_400_000);
        let left_at_extension = |known: &[i64]| {
            let last = *known.last().unwrap();
            known
                .iter()
                .filter(|at| **at > last - EXTEND_BEFORE_MS && **at <= last)
                .count()
        };
        assert!(left_at_extension(&months) >= 3);
        assert!(left_at_extension(&anniversaries) >= 3);
    }
}
