//! What the items of boundaries are computed from: what was billed before, and usage. Read for many
//! subscriptions in a statement each, so that a run does not ask for every invoice by itself.

use std::collections::{BTreeSet, HashMap};

use shared::credential::Environment;
use shared::ids::SubscriptionId;

use super::charges::{Basis, Counted};
use super::facts::{PlanCache, Subject};
use super::gather::LOOK_BACK_MS;
use super::items::{Billed, ItemKey};
use super::period::{Period, PeriodProblem};
use super::timeline::Part;
use crate::database::{Connection, DatabaseError, Value, placeholders};
use crate::metering::{self, UsageSum};

const SUBSCRIPTIONS_PER_STATEMENT: usize = 200;

/// What was billed for the keys of a subscription.
pub type BilledBefore = HashMap<ItemKey, Billed>;

/// Everything read for some subscriptions.
#[derive(Default)]
pub struct Readings {
    billed: HashMap<SubscriptionId, BilledBefore>,
    usage: HashMap<(SubscriptionId, Period), Vec<UsageSum>>,
}

impl Readings {
    /// Reads what the items of these subscriptions at these boundaries need.
    pub async fn read(
        connection: &Connection,
        plans: &PlanCache,
        wanted: &[(&Subject, i64)],
    ) -> Result<Self, DatabaseError> {
        let mut readings = Self::default();
        let mut spans: HashMap<Period, BTreeSet<SubscriptionId>> = HashMap::new();
        for (subject, bill_at_ms) in wanted {
            for span in spans_of(connection, plans, subject, *bill_at_ms).await? {
                spans.entry(span).or_default().insert(subject.id);
            }
        }
        // In order of time, so that a run that is repeated runs the same statements.
        let mut spans: Vec<(Period, BTreeSet<SubscriptionId>)> = spans.into_iter().collect();
        spans.sort_by_key(|(span, _)| (span.start_ms, span.end_ms));
        for (span, subscriptions) in spans {
            let ids: Vec<SubscriptionId> = subscriptions.into_iter().collect();
            let usage = metering::list_usage(connection, &ids, Environment::Live, span).await?;
            for (id, sums) in usage {
                readings.usage.insert((id, span), sums);
            }
        }
        for some in wanted.chunks(SUBSCRIPTIONS_PER_STATEMENT) {
            readings.read_billed(connection, some).await?;
        }
        Ok(readings)
    }

    async fn read_billed(
        &mut self,
        connection: &Connection,
        wanted: &[(&Subject, i64)],
    ) -> Result<(), DatabaseError> {
        // A part begins at most a period before what is looked back to.
        let earliest = |bill_at_ms: i64| bill_at_ms - 2 * LOOK_BACK_MS;
        let from_ms: HashMap<SubscriptionId, i64> = wanted
            .iter()
            .map(|(subject, bill_at_ms)| (subject.id, earliest(*bill_at_ms)))
            .collect();
        let Some(first_ms) = from_ms.values().min() else {
            return Ok(());
        };
        let mut parameters: Vec<Value> = wanted
            .iter()
            .map(|(subject, _)| subject.id.to_string().into())
            .collect();
        parameters.push(Value::Integer(*first_ms));
        let sql = format!(
            "SELECT subscription_id, plan_id, charge, start_ms, amount_minor, quantity, invoice
             FROM billed_items WHERE subscription_id IN {} AND (start_ms >= ${} OR start_ms = 0)",
            placeholders(1, wanted.len()),
            parameters.len()
        );
        for row in connection.query(&sql, parameters).await? {
            let id: SubscriptionId = row.parse(0)?;
            let key = ItemKey {
                subscription_id: id.to_string(),
                plan_id: row.get(1)?,
                charge: row.get(2)?,
                start_ms: row.get(3)?,
            };
            let is_wanted =
                key.start_ms == 0 || from_ms.get(&id).is_some_and(|from| key.start_ms >= *from);
            if is_wanted {
                let billed = Billed {
                    amount_minor: row.get(4)?,
                    quantity: row.get(5)?,
                    invoice: row.get(6)?,
                };
                self.billed.entry(id).or_default().insert(key, billed);
            }
        }
        Ok(())
    }

    /// What was billed for a key.
    pub fn billed(&self, subject: &Subject, key: &ItemKey) -> Option<&Billed> {
        self.billed.get(&subject.id)?.get(key)
    }

    /// All that was billed for a subscription.
    pub fn all_billed(&self, subject: &Subject) -> impl Iterator<Item = (&ItemKey, &Billed)> {
        self.billed.get(&subject.id).into_iter().flatten()
    }

    /// What was used in a part.
    pub fn usage(&self, subject: &Subject, part: &Part) -> &[UsageSum] {
        self.usage
            .get(&(subject.id, metered_span(subject, part)))
            .map_or(&[], Vec::as_slice)
    }
}

/// The spans whose usage a boundary's items are computed from.
async fn spans_of(
    connection: &Connection,
    plans: &PlanCache,
    subject: &Subject,
    bill_at_ms: i64,
) -> Result<BTreeSet<Period>, DatabaseError> {
    let mut spans = BTreeSet::new();
    let from_ms = bill_at_ms - LOOK_BACK_MS;
    for part in subject.timeline.parts(from_ms, bill_at_ms)? {
        if part.served.end_ms > bill_at_ms {
            continue;
        }
        let plan = plans.plan(connection, part.plan_id).await?;
        let mut uses = plan
            .charges
            .iter()
            .filter_map(|charge| match &charge.basis {
                Basis::Usage { meter, counts, .. } => Some(plan.counted(meter.as_deref(), *counts)),
                _ => None,
            });
        let Some(first) = uses.next() else { continue };
        spans.insert(metered_span(subject, &part));
        if first == Counted::DistinctInstallations
            || uses.any(|counted| counted == Counted::DistinctInstallations)
        {
            for earlier in parts_before(subject, &part)? {
                spans.insert(metered_span(subject, &earlier));
            }
        }
    }
    Ok(spans)
}

/// The span whose minutes belong to a part. A minute belongs to the part that it begins in; the one in
/// which the subscription went live begins before it and holds no live call from before.
fn metered_span(subject: &Subject, part: &Part) -> Period {
    let mut span = part.served;
    if span.start_ms == subject.timeline.live_from_ms {
        span.start_ms -= span.start_ms.rem_euclid(60_000);
    }
    span
}

/// Parts of the same billing period that were served, and not free of charge, before this one.
pub fn parts_before(subject: &Subject, part: &Part) -> Result<Vec<Part>, PeriodProblem> {
    let (start_ms, end_ms) = (part.period.start_ms, part.served.start_ms);
    if start_ms >= end_ms {
        return Ok(Vec::new());
    }
    let mut parts = subject.timeline.parts(start_ms, end_ms)?;
    parts.retain(|before| {
        let is_within = start_ms <= before.served.start_ms && before.served.end_ms <= end_ms;
        is_within && !before.is_trial
    });
    Ok(parts)
}
