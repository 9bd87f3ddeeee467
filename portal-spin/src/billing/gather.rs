//! From what is stored to the inputs of an invoice: what each subscription owes at a boundary.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use shared::credential::Environment;
use shared::ids::{MeterId, OrganisationId};
use shared::money::Currency;

use super::charges::{Basis, CheckedCharge, Counted};
use super::decimal::plain;
use super::facts::{PlanCache, PlanFacts, Subject};
use super::invoice::Inputs;
use super::items::{Billed, Item, ItemKey, Owed};
use super::period::{Calendar, Period};
use super::timeline::Part;
use super::{accounts, coupons, taxes, wallet};
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::edges::{self, Gap};
use crate::metering::{self, UsageSum};
use crate::params;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How far back a boundary looks for what changed: an edge may be away for 35 days, and the cells it
/// brings then belong to a period that may have begun a month before.
pub const LOOK_BACK_MS: i64 = 75 * DAY_MS;

/// What was billed for the keys of a subscription.
pub type BilledBefore = HashMap<ItemKey, Billed>;

/// Reads what was billed for the parts that a boundary looks back to.
pub async fn read_billed(
    connection: &Connection,
    subject: &Subject,
    bill_at_ms: i64,
) -> Result<BilledBefore, DatabaseError> {
    let rows = connection
        .query(
            "SELECT plan_id, charge, start_ms, amount_minor, quantity, invoice FROM billed_items
             WHERE subscription_id = $1 AND (start_ms >= $2 OR start_ms = 0)",
            // A part begins at most a period before what is looked back to.
            params![subject.id.to_string(), bill_at_ms - 2 * LOOK_BACK_MS],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let key = ItemKey {
                subscription_id: subject.id.to_string(),
                plan_id: row.get(0)?,
                charge: row.get(1)?,
                start_ms: row.get(2)?,
            };
            let billed = Billed {
                amount_minor: row.get(3)?,
                quantity: row.get(4)?,
                invoice: row.get(5)?,
            };
            Ok((key, billed))
        })
        .collect()
}

/// All that a subscription owes at a boundary: usage of parts that have ended, recurring amounts of
/// parts that have begun, and what is charged once.
pub async fn list_items(
    connection: &Connection,
    plans: &PlanCache,
    subject: &Subject,
    bill_at_ms: i64,
) -> Result<Vec<Item>, DatabaseError> {
    let billed = read_billed(connection, subject, bill_at_ms).await?;
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
        let mut usage: Option<Vec<UsageSum>> = None;
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
                    if usage.is_none() {
                        let span = metered_span(subject, &part);
                        let sums =
                            metering::list_usage(connection, subject.id, Environment::Live, span);
                        usage = Some(sums.await?);
                    }
                    owed_usage(&plan, charge, usage.as_deref().unwrap_or_default())?
                }
                _ => continue,
            };
            let key = ItemKey {
                subscription_id: subject.id.to_string(),
                plan_id: part.plan_id.to_string(),
                charge: charge.name.clone(),
                start_ms,
            };
            let before = billed.get(&key).cloned();
            items.push(item(
                subject, &plan, charge, &calendar, &part, key, owed, before,
            )?);
        }
    }
    add_unserved(subject, plans, connection, &billed, from_ms, &mut items).await?;
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

/// The span whose minutes belong to a part. A minute belongs to the part that it begins in; the one in
/// which the subscription went live begins before it and holds no live call from before.
fn metered_span(subject: &Subject, part: &Part) -> Period {
    let mut span = part.served;
    if span.start_ms == subject.timeline.live_from_ms {
        span.start_ms -= span.start_ms.rem_euclid(60_000);
    }
    span
}

/// Recurring amounts that were billed in advance for parts that never came: the plan changed, or the
/// subscription ended, before they began.
async fn add_unserved(
    subject: &Subject,
    plans: &PlanCache,
    connection: &Connection,
    billed: &BilledBefore,
    from_ms: i64,
    items: &mut Vec<Item>,
) -> Result<(), DatabaseError> {
    let known: BTreeSet<ItemKey> = items.iter().map(|item| item.key.clone()).collect();
    let mut missing: Vec<(&ItemKey, &Billed)> = billed
        .iter()
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

/// What a usage charge counts of these sums.
fn owed_usage(
    plan: &PlanFacts,
    charge: &CheckedCharge,
    sums: &[UsageSum],
) -> Result<Owed, DatabaseError> {
    let Basis::Usage {
        meter,
        counts,
        operations,
        price,
    } = &charge.basis
    else {
        return Err(DatabaseError::Shape("a charge is not for usage".to_owned()));
    };
    let found = plan.find_meter(meter.as_deref());
    let meter_id: Option<MeterId> = match counts {
        Counted::Units => found.map(|meter| meter.id),
        Counted::Calls | Counted::DistinctInstallations => plan.calls_meter(),
    };
    let counted: Vec<&UsageSum> = sums
        .iter()
        .filter(|sum| {
            meter_id.is_some_and(|meter| sum.meter_id == meter.to_string())
                && metering::counts(&plan.counting, &sum.outcome)
                && (operations.is_empty() || operations.contains(&sum.operation))
        })
        .collect();
    let total = |part: fn(&UsageSum) -> i64| -> i128 {
        counted.iter().map(|sum| i128::from(part(sum))).sum()
    };
    let events = total(|sum| sum.calls);
    let (quantity, words) = match counts {
        Counted::Units => {
            let name = found.map_or("units", |meter| meter.name.as_str());
            (total(|sum| sum.units), name.to_owned())
        }
        Counted::Calls => (events, "calls".to_owned()),
        Counted::DistinctInstallations => {
            let seen: BTreeSet<&str> = counted
                .iter()
                .filter(|sum| sum.calls > 0 && !sum.installation_id.is_empty())
                .map(|sum| sum.installation_id.as_str())
                .collect();
            (seen.len() as i128, "distinct installations".to_owned())
        }
    };
    Ok(Owed::Usage {
        price: price.to_json(),
        quantity: quantity.to_string(),
        events: u64::try_from(events).unwrap_or(u64::MAX),
        counts: words,
    })
}

/// The inputs of what an organisation owes at one boundary, per currency: these subscriptions' items
/// with the organisation's coupons, taxes and credit.
pub async fn inputs_of(
    context: &Context,
    organisation_id: OrganisationId,
    bill_at_ms: i64,
    items: Vec<(Currency, Item)>,
) -> Result<Vec<Inputs>, DatabaseError> {
    let connection = &context.connection;
    let mut by_currency: BTreeMap<Currency, Vec<Item>> = BTreeMap::new();
    for (currency, item) in items {
        by_currency.entry(currency).or_default().push(item);
    }
    if by_currency.is_empty() {
        return Ok(Vec::new());
    }
    let account = accounts::find_account(connection, organisation_id).await?;
    let mut inputs = Vec::with_capacity(by_currency.len());
    for (currency, items) in by_currency {
        let new = items.iter().filter(|item| item.billed.is_none());
        let served_from_ms = new
            .clone()
            .map(|item| item.served.0)
            .filter(|start| *start < bill_at_ms)
            .min();
        // What was served until now; where nothing was, what is charged in advance; a moment else.
        let period = match served_from_ms {
            Some(start_ms) => (start_ms, bill_at_ms),
            None => (
                bill_at_ms,
                new.map(|item| item.served.1).max().unwrap_or(bill_at_ms),
            ),
        };
        let gaps = list_gaps(connection, &items).await?;
        inputs.push(Inputs {
            seller: context.configuration().get("invoice_seller").to_owned(),
            buyer: account.party(organisation_id),
            currency,
            period,
            items,
            coupons: coupons::list_applying(connection, organisation_id, currency).await?,
            taxes: taxes::list_applying(connection, &account, bill_at_ms).await?,
            wallet_minor: wallet::balance(connection, organisation_id, currency).await?,
            gaps,
        });
    }
    Ok(inputs)
}

/// Gaps in the spans whose usage is billed for the first time. They concern every caller of an edge.
async fn list_gaps(connection: &Connection, items: &[Item]) -> Result<Vec<String>, DatabaseError> {
    let new = items
        .iter()
        .filter(|item| item.billed.is_none() && item.quantity().is_some());
    let Some(from_ms) = new.clone().map(|item| item.served.0).min() else {
        return Ok(Vec::new());
    };
    let until_ms = new.map(|item| item.served.1).max().unwrap_or(from_ms);
    let gaps = edges::boots::list_gaps(connection, from_ms, until_ms).await?;
    Ok(gaps.iter().map(Gap::describe).collect())
}
