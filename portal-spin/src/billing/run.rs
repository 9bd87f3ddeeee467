//! The billing run: what is due is composed and issued, a few organisations at a time.
//!
//! One transaction bills a few organisations, each at one boundary: it locks their accounts, reads what is
//! due, issues, and moves the cursors of the subscriptions it billed. A run that is killed anywhere leaves
//! whole invoices behind and goes on with the rest; two runs at once take turns at the locks, and the
//! second finds nothing due. What cannot be billed is tried again by itself, so that it stops nobody else.

use std::collections::VecDeque;

use shared::ids::OrganisationId;

use super::facts::{PlanCache, Subject};
use super::gather::{self, LOOK_BACK_MS};
use super::inputs::{self, Due};
use super::invoice::compose;
use super::issuing::{Ready, issue};
use super::items::Item;
use super::readings::Readings;
use super::{accounts, invoice::Inputs};
use crate::context::Context;
use crate::database::{DatabaseError, placeholders};
use crate::params;

const HOUR_MS: i64 = 3_600_000;
const ROWS_PER_STATEMENT: usize = 100;
/// Organisations that share a transaction, and with it every statement that reads. Others wait for it.
const ORGANISATIONS_PER_TRANSACTION: usize = 20;
/// Organisations per run; the next tick goes on.
const ORGANISATIONS_PER_RUN: i64 = 500;
/// Boundaries of one organisation per run.
const BOUNDARIES_PER_RUN: u32 = 14;

/// How long after a boundary its invoice is issued.
pub fn grace_ms(context: &Context) -> i64 {
    let hours = context
        .configuration()
        .get("invoice_grace_hours")
        .parse()
        .unwrap_or(24_i64);
    hours.clamp(0, 35 * 24) * HOUR_MS
}

/// Issues what is due. Answers how many invoices and credit notes.
pub async fn run_billing(context: &Context) -> Result<u64, DatabaseError> {
    let connection = &context.connection;
    let before_ms = context.now_ms - grace_ms(context);
    let due = connection
        .query(
            "SELECT a.organisation_id, MIN(COALESCE(c.next_bill_at_ms, s.live_from_ms)) AS at_ms,
                COUNT(f.organisation_id)
             FROM subscriptions s JOIN apps a ON a.app_id = s.app_id
             LEFT JOIN billing_cursors c ON c.subscription_id = s.subscription_id
             LEFT JOIN billing_failures f ON f.organisation_id = a.organisation_id
             WHERE s.live_from_ms IS NOT NULL AND c.finished_at_ms IS NULL
                AND COALESCE(c.next_bill_at_ms, s.live_from_ms) <= $1
             GROUP BY a.organisation_id ORDER BY at_ms, a.organisation_id LIMIT $2",
            params![before_ms, ORGANISATIONS_PER_RUN],
        )
        .await?;
    let plans = PlanCache::default();
    let organisations = due.len();
    let due = due
        .iter()
        .map(|row| {
            Ok(Organisation {
                id: row.parse(0)?,
                has_failed: row.get::<i64>(2)? > 0,
            })
        })
        .collect::<Result<Vec<Organisation>, DatabaseError>>()?;
    let mut work: VecDeque<(Vec<Organisation>, u32)> = due
        .chunks(ORGANISATIONS_PER_TRANSACTION)
        .map(|some| (some.to_vec(), BOUNDARIES_PER_RUN))
        .collect();
    let mut issued = 0;
    while let Some((mut some, boundaries)) = work.pop_front() {
        // Everybody locks in the same order.
        some.sort_unstable_by_key(|organisation| organisation.id);
        let billed = context
            .connection
            .transaction(async || bill_next(context, &plans, &some, before_ms).await)
            .await;
        match (billed, some.as_slice()) {
            (Ok(billed), _) => {
                issued += billed.invoices;
                if boundaries > 1 && !billed.more.is_empty() {
                    work.push_front((billed.more, boundaries - 1));
                }
            }
            // Nothing of these organisations is half done; the others do not wait for it.
            (Err(DatabaseError::Shape(detail) | DatabaseError::Conflict(detail)), [one]) => {
                note_failure(context, one.id, &detail).await?;
            }
            (Err(DatabaseError::Shape(_) | DatabaseError::Conflict(_)), several) => {
                for one in several.iter().rev() {
                    work.push_front((vec![*one], boundaries));
                }
            }
            (Err(error), _) => return Err(error),
        }
    }
    if issued > 0 {
        let run_id = format!(
            "{:012x}{}",
            context.now_ms,
            crate::encoding::hex(&context.random::<4>())
        );
        connection
            .execute(
                "INSERT INTO billing_runs (run_id, started_at_ms, organisations, invoices)
                 VALUES ($1, $2, $3, $4)",
                params![
                    run_id,
                    context.now_ms,
                    i64::try_from(organisations).unwrap_or(i64::MAX),
                    i64::try_from(issued).unwrap_or(i64::MAX)
                ],
            )
            .await?;
    }
    Ok(issued)
}

async fn note_failure(
    context: &Context,
    organisation_id: OrganisationId,
    detail: &str,
) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "INSERT INTO billing_failures (organisation_id, at_ms, detail) VALUES ($1, $2, $3)
             ON CONFLICT (organisation_id) DO UPDATE SET at_ms = excluded.at_ms, detail = excluded.detail",
            params![organisation_id.to_string(), context.now_ms, detail],
        )
        .await?;
    Ok(())
}

async fn forget_failures(
    context: &Context,
    organisations: &[Organisation],
) -> Result<(), DatabaseError> {
    let failed: Vec<OrganisationId> = organisations
        .iter()
        .filter(|organisation| organisation.has_failed)
        .map(|organisation| organisation.id)
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "DELETE FROM billing_failures WHERE organisation_id IN {}",
        placeholders(1, failed.len())
    );
    context
        .connection
        .execute(&sql, accounts::ids(&failed))
        .await?;
    Ok(())
}

/// An organisation that is due.
#[derive(Debug, Clone, Copy)]
struct Organisation {
    id: OrganisationId,
    has_failed: bool,
}

/// What a transaction did.
struct Billed {
    invoices: u64,
    /// Organisations of which another boundary is due.
    more: Vec<Organisation>,
}

/// An organisation's oldest boundary that is due, with the subscriptions that are.
struct Boundary {
    organisation: Organisation,
    bill_at_ms: i64,
    subjects: Vec<Subject>,
    is_more_due: bool,
}

impl Boundary {
    fn oldest(
        organisation: Organisation,
        mut subjects: Vec<Subject>,
        before_ms: i64,
    ) -> Option<Self> {
        let bill_at_ms = subjects
            .iter()
            .map(|subject| subject.next_bill_at_ms)
            .filter(|at| *at <= before_ms)
            .min()?;
        let is_more_due = subjects
            .iter()
            .any(|subject| (bill_at_ms + 1..=before_ms).contains(&subject.next_bill_at_ms));
        subjects.retain(|subject| subject.next_bill_at_ms == bill_at_ms);
        Some(Self {
            organisation,
            bill_at_ms,
            subjects,
            is_more_due,
        })
    }
}

/// Bills the oldest boundary that is due of each of these organisations.
async fn bill_next(
    context: &Context,
    plans: &PlanCache,
    organisations: &[Organisation],
    before_ms: i64,
) -> Result<Billed, DatabaseError> {
    let connection = &context.connection;
    let ids: Vec<OrganisationId> = organisations.iter().map(|one| one.id).collect();
    accounts::lock_accounts(connection, &ids).await?;
    let mut subjects = plans.subjects_of(connection, &ids).await?;
    let mut boundaries: Vec<Boundary> = organisations
        .iter()
        .filter_map(|organisation| {
            let own = subjects.remove(&organisation.id)?;
            Boundary::oldest(*organisation, own, before_ms)
        })
        .collect();
    let ready = list_ready(context, plans, &boundaries).await?;
    let invoices = issue(context, &ready).await?;
    move_cursors(context, &mut boundaries, before_ms).await?;
    forget_failures(context, organisations).await?;
    Ok(Billed {
        invoices,
        more: boundaries
            .iter()
            .filter(|boundary| boundary.is_more_due)
            .map(|boundary| boundary.organisation)
            .collect(),
    })
}

/// The documents of these boundaries, in the order in which they are numbered.
async fn list_ready(
    context: &Context,
    plans: &PlanCache,
    boundaries: &[Boundary],
) -> Result<Vec<Ready>, DatabaseError> {
    let connection = &context.connection;
    let wanted: Vec<(&Subject, i64)> = boundaries
        .iter()
        .flat_map(|one| one.subjects.iter().map(|subject| (subject, one.bill_at_ms)))
        .collect();
    let readings = Readings::read(connection, plans, &wanted).await?;
    let mut dues = Vec::with_capacity(boundaries.len());
    for boundary in boundaries {
        let at_ms = boundary.bill_at_ms;
        let mut items = Vec::new();
        for subject in &boundary.subjects {
            for item in gather::items_of(connection, plans, &readings, subject, at_ms).await? {
                if is_changed(&item)? {
                    items.push(item);
                }
            }
        }
        dues.push(Due {
            organisation_id: boundary.organisation.id,
            bill_at_ms: at_ms,
            items,
        });
    }
    let inputs = inputs::list_inputs(context, dues).await?;
    let mut ready = Vec::with_capacity(inputs.len());
    for (boundary, inputs) in boundaries.iter().zip(inputs) {
        for inputs in inputs {
            ready.push(compose_ready(boundary, inputs)?);
        }
    }
    Ok(ready)
}

fn compose_ready(boundary: &Boundary, inputs: Inputs) -> Result<Ready, DatabaseError> {
    let composed = compose(&inputs).map_err(|problem| {
        DatabaseError::Shape(format!("the invoice cannot be computed: {problem}"))
    })?;
    Ok(Ready {
        organisation_id: boundary.organisation.id,
        bill_at_ms: boundary.bill_at_ms,
        inputs,
        composed,
    })
}

/// The subscriptions' next boundaries, and whether these are due too.
async fn move_cursors(
    context: &Context,
    boundaries: &mut [Boundary],
    before_ms: i64,
) -> Result<(), DatabaseError> {
    let mut cursors = Vec::new();
    for boundary in boundaries {
        let at_ms = boundary.bill_at_ms;
        for subject in &boundary.subjects {
            let next_ms = subject.timeline.boundary_after(at_ms)?;
            // After its end a subscription is looked back to until no edge can bring anything more.
            let finished = subject
                .timeline
                .ends_at_ms
                .is_some_and(|end| at_ms >= end + LOOK_BACK_MS);
            boundary.is_more_due |= !finished && next_ms <= before_ms;
            cursors.extend(params![
                subject.id.to_string(),
                next_ms,
                finished.then_some(context.now_ms)
            ]);
        }
    }
    for rows in cursors.chunks(3 * ROWS_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO billing_cursors (subscription_id, next_bill_at_ms, finished_at_ms) VALUES {}
             ON CONFLICT (subscription_id) DO UPDATE SET
                next_bill_at_ms = excluded.next_bill_at_ms, finished_at_ms = excluded.finished_at_ms",
            placeholders(rows.len() / 3, 3)
        );
        context.connection.execute(&sql, rows.to_vec()).await?;
    }
    Ok(())
}

/// Whether an item makes a line. One that was billed as it stands is left out: a plan by the day would
/// carry its last 75 in every invoice's inputs.
fn is_changed(item: &Item) -> Result<bool, DatabaseError> {
    if item.billed.is_none() {
        return Ok(true);
    }
    let line = item.line(|_| String::new()).map_err(|problem| {
        DatabaseError::Shape(format!("the invoice cannot be computed: {problem}"))
    })?;
    Ok(line.is_some())
}
