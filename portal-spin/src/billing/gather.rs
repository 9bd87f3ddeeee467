//! From what is stored to what each subscription owes at a boundary.

use std::collections::BTreeSet;

use super::charges::{Basis, CheckedCharge, Counted};
use super::decimal::plain;
use super::facts::{PlanCache, PlanFacts, Subject};
use super::items::{Billed, Item, ItemKey, Owed};
use super::period::{Calendar, Period};
use super::readings::{Readings, parts_before};
use super::timeline::Part;
use crate::database::{Connection, DatabaseError};
use crate::metering::{self, UsageSum};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How far back a boundary looks for what changed: an edge may be away for 35 days, and the cells it
/// brings then belong to a period that may have begun a month before.
pub const LOOK_BACK_MS: i64 = 75 * DAY_MS;

/// What one subscription owes at a boundary.
pub async fn list_items(
    connection: &Connection,
    plans: &PlanCache,
    subject: &Subject,
    bill_at_ms: i64,
) -> Result<Vec<Item>, DatabaseError> {
    let readings = Readings::read(connection, plans, &[(subject, bill_at_ms)]).await?;
    items_of(connection, plans, &readings, subject, bill_at_ms).await
}

/// All that a subscription owes at a boundary: usage of parts that have ended, recurring amounts of
/// parts that have begun, and what is charged once.
pub async fn items_of(
    connection: &Connection,
    plans: &PlanCache,
    readings: &Readings,
    subject: &Subject,
    bill_at_ms: i64,
) -> Result<Vec<Item>, DatabaseError> {
    let from_ms = bill_at_ms - LOOK_BACK_MS;
    let mut items = Vec::new();
    for part in subject.timeline.parts(from_ms, bill_at_ms)? {
        let plan = plans.plan(connection, part.plan_id).await?;
        let calendar = subject
            .timeline
            .phase_at(part.served.start_ms)
            .map(|phase| phase.calendar.clone())
            .ok_or_else(|| DatabaseError::Shape("a subscription has no phase".to_owned()))?;
        let has_ended = part.served.end_ms <= bill_at_ms;
        for charge in &plan.charges {
            let mut start_ms = part.served.start_ms;
            let owed = match &charge.basis {
                Basis::Recurring(_, amount) => Owed::Recurring {
                    amount: plain(amount),
                },
                Basis::OneOff(_, amount)
                    if is_first_time(connection, plans, subject, &plan, charge, start_ms)
                        .await? =>
                {
                    start_ms = 0;
                    Owed::OneOff {
                        amount: plain(amount),
                    }
                }
                Basis::Usage { .. } if has_ended => {
                    let sums = readings.usage(subject, &part);
                    let before =
                        seen_before(connection, plans, readings, subject, &part, charge).await?;
                    owed_usage(&plan, charge, sums, &before)?
                }
                _ => continue,
            };
            let key = ItemKey {
                subscription_id: subject.id.to_string(),
                plan_id: part.plan_id.to_string(),
                charge: charge.name.clone(),
                start_ms,
            };
            let before = readings.billed(subject, &key).cloned();
            items.push(item(
                subject, &plan, charge, &calendar, &part, key, owed, before,
            )?);
        }
    }
    add_unserved(subject, plans, connection, readings, from_ms, &mut items).await?;
    Ok(items)
}

/// Whether what is charged once is due where this part begins: where billing of the plan begins, in any of
/// its versions. A plan that is left and taken again does not charge it again.
async fn is_first_time(
    connection: &Connection,
    plans: &PlanCache,
    subject: &Subject,
    plan: &PlanFacts,
    charge: &CheckedCharge,
    start_ms: i64,
) -> Result<bool, DatabaseError> {
    for (served, plan_id) in subject.timeline.paid_phases() {
        let known = plans.plan(connection, plan_id).await?;
        let is_same_plan = known.product_id == plan.product_id && known.slug == plan.slug;
        let charges_it = known
            .charges
            .iter()
            .any(|other| other.name == charge.name && matches!(other.basis, Basis::OneOff(..)));
        if is_same_plan && charges_it {
            return Ok(served.start_ms == start_ms);
        }
    }
    Ok(false)
}

/// Installations that a charge of this name counted in an earlier part of the same period: each counts
/// once in a period, in the part that saw it first. Whatever parts a plan's changes cut a period into,
/// what they count sums to what the whole period would.
async fn seen_before<'a>(
    connection: &Connection,
    plans: &PlanCache,
    readings: &'a Readings,
    subject: &Subject,
    part: &Part,
    charge: &CheckedCharge,
) -> Result<BTreeSet<&'a str>, DatabaseError> {
    let mut seen = BTreeSet::new();
    let plan = plans.plan(connection, part.plan_id).await?;
    if plan.counted_by(charge) != Some(Counted::DistinctInstallations) {
        return Ok(seen);
    }
    for before in parts_before(subject, part)? {
        let plan = plans.plan(connection, before.plan_id).await?;
        let same = plan.charges.iter().find(|other| {
            other.name == charge.name
                && plan.counted_by(other) == Some(Counted::DistinctInstallations)
        });
        if let Some(same) = same {
            let counted = counted_sums(&plan, same, readings.usage(subject, &before));
            seen.extend(metering::distinct_installations(counted));
        }
    }
    Ok(seen)
}

/// Recurring amounts that were billed in advance for parts that never came: the plan changed, or the
/// subscription ended, before they began.
async fn add_unserved(
    subject: &Subject,
    plans: &PlanCache,
    connection: &Connection,
    readings: &Readings,
    from_ms: i64,
    items: &mut Vec<Item>,
) -> Result<(), DatabaseError> {
    let known: BTreeSet<ItemKey> = items.iter().map(|item| item.key.clone()).collect();
    let mut missing: Vec<(&ItemKey, &Billed)> = readings
        .all_billed(subject)
        .filter(|(key, before)| {
            key.start_ms >= from_ms && before.amount_minor != 0 && !known.contains(*key)
        })
        .collect();
    missing.sort_by_key(|(key, _)| (*key).clone());
    for (key, before) in missing {
        let plan_id = key
            .plan_id
            .parse()
            .map_err(|_| DatabaseError::Shape("a billed plan's id does not parse".to_owned()))?;
        let plan = plans.plan(connection, plan_id).await?;
        let Some(charge) = plan.charges.iter().find(|charge| charge.name == key.charge) else {
            continue;
        };
        let Basis::Recurring(_, amount) = &charge.basis else {
            continue;
        };
        let calendar = subject
            .timeline
            .phase_at(key.start_ms)
            .map(|phase| phase.calendar.clone())
            .ok_or_else(|| DatabaseError::Shape("a subscription has no phase".to_owned()))?;
        let period = calendar.period_containing(key.start_ms)?;
        // A part that was cut short begins elsewhere only if nothing of it was served.
        let served = Period {
            start_ms: key.start_ms,
            end_ms: key.start_ms,
        };
        let part = Part {
            plan_id,
            period,
            served,
            is_trial: false,
        };
        let owed = Owed::Recurring {
            amount: plain(amount),
        };
        items.push(item(
            subject,
            &plan,
            charge,
            &calendar,
            &part,
            key.clone(),
            owed,
            Some(before.clone()),
        )?);
    }
    Ok(())
}

#[allow(clippy::too_many_arguments)] // one value of each; a struct would be the item again
fn item(
    subject: &Subject,
    plan: &PlanFacts,
    charge: &CheckedCharge,
    calendar: &Calendar,
    part: &Part,
    key: ItemKey,
    owed: Owed,
    billed: Option<Billed>,
) -> Result<Item, DatabaseError> {
    Ok(Item {
        key,
        app: subject.app.clone(),
        product: plan.product.clone(),
        plan: plan.name.clone(),
        currency: charge.currency(),
        owed,
        period: (part.period.start_ms, part.period.end_ms),
        served: (part.served.start_ms, part.served.end_ms),
        period_words: calendar.describe(&part.served)?,
        time_zone: calendar.zone_name().to_owned(),
        fraction: plan
            .proration
            .fraction(calendar, &part.period, &part.served)?,
        is_trial: part.is_trial,
        refunds: plan.refunds,
        billed,
    })
}

/// The sums that a usage charge counts: of its meter, its operations and the outcomes that its plan counts.
fn counted_sums<'a>(
    plan: &PlanFacts,
    charge: &CheckedCharge,
    sums: &'a [UsageSum],
) -> Vec<&'a UsageSum> {
    let Basis::Usage {
        meter, operations, ..
    } = &charge.basis
    else {
        return Vec::new();
    };
    let meter_id = match plan.counted_by(charge) {
        Some(Counted::Units) => plan.find_meter(meter.as_deref()).map(|meter| meter.id),
        _ => plan.calls_meter(),
    };
    let Some(meter_id) = meter_id.map(|id| id.to_string()) else {
        return Vec::new();
    };
    sums.iter()
        .filter(|sum| {
            sum.meter_id == meter_id
                && metering::counts(&plan.counting, &sum.outcome)
                && (operations.is_empty() || operations.contains(&sum.operation))
        })
        .collect()
}

/// What a usage charge counts of these sums; `seen` are installations that count already.
fn owed_usage(
    plan: &PlanFacts,
    charge: &CheckedCharge,
    sums: &[UsageSum],
    seen: &BTreeSet<&str>,
) -> Result<Owed, DatabaseError> {
    let Basis::Usage { meter, price, .. } = &charge.basis else {
        return Err(DatabaseError::Shape("a charge is not for usage".to_owned()));
    };
    let counted = counted_sums(plan, charge, sums);
    let total = |part: fn(&UsageSum) -> i64| -> i128 {
        counted.iter().map(|sum| i128::from(part(sum))).sum()
    };
    let events = total(|sum| sum.calls);
    let (quantity, words) = match plan.counted_by(charge) {
        Some(Counted::Calls) => (events, "calls".to_owned()),
        Some(Counted::DistinctInstallations) => {
            let all = metering::distinct_installations(counted.iter().copied());
            let words = if seen.is_empty() {
                "distinct installations with a call that counts"
            } else {
                "distinct installations with a call that counts, without those of the period's earlier part"
            };
            (all.difference(seen).count() as i128, words.to_owned())
        }
        _ => {
            let found = plan.find_meter(meter.as_deref());
            let name = found.map_or("units", |meter| meter.name.as_str());
            (total(|sum| sum.units), name.to_owned())
        }
    };
    Ok(Owed::Usage {
        price: price.to_json(),
        quantity: quantity.to_string(),
        events: u64::try_from(events).unwrap_or(u64::MAX),
        counts: words,
    })
}
