//! The billing run: what is due is composed and issued, organisation by organisation.
//!
//! One transaction bills one organisation at one boundary: it locks the account, reads what is due,
//! issues, and moves the cursors of the subscriptions it billed. A run that is killed anywhere leaves
//! whole invoices behind and goes on with the rest; two runs at once take turns at the lock, and the
//! second finds nothing due.

use serde_json::json;
use shared::ids::{InvoiceId, OrganisationId};
use shared::money::Money;

use super::facts::PlanCache;
use super::gather::{self, LOOK_BACK_MS};
use super::invoice::{Composed, Inputs, compose};
use super::items::Item;
use super::{accounts, notices, store, wallet};
use crate::context::Context;
use crate::database::{DatabaseError, next_number, placeholders};
use crate::{audit, params};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const ROWS_PER_STATEMENT: usize = 100;
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
    let mut issued = 0;
    let organisations = due.len();
    for row in due {
        let organisation_id: OrganisationId = row.parse(0)?;
        let has_failed = row.get::<i64>(2)? > 0;
        match bill_organisation(context, &plans, organisation_id, before_ms, has_failed).await {
            Ok(invoices) => issued += invoices,
            // Nothing of this organisation is half done; the others do not wait for it.
            Err(DatabaseError::Shape(detail) | DatabaseError::Conflict(detail)) => {
                note_failure(context, organisation_id, &detail).await?
            }
            Err(error) => return Err(error),
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

async fn forget_failure(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "DELETE FROM billing_failures WHERE organisation_id = $1",
            params![organisation_id.to_string()],
        )
        .await?;
    Ok(())
}

/// What billing one boundary did.
struct Billed {
    invoices: u64,
    /// Whether another boundary is due.
    is_more_due: bool,
}

/// Bills an organisation up to this boundary, one transaction per boundary.
async fn bill_organisation(
    context: &Context,
    plans: &PlanCache,
    organisation_id: OrganisationId,
    before_ms: i64,
    has_failed: bool,
) -> Result<u64, DatabaseError> {
    let mut issued = 0;
    for _ in 0..BOUNDARIES_PER_RUN {
        let billed = context
            .connection
            .transaction(async || {
                let billed = bill_next(context, plans, organisation_id, before_ms).await?;
                if has_failed {
                    forget_failure(context, organisation_id).await?;
                }
                Ok::<_, DatabaseError>(billed)
            })
            .await?;
        issued += billed.invoices;
        if !billed.is_more_due {
            break;
        }
    }
    Ok(issued)
}

/// Bills the oldest boundary that is due, if one is.
async fn bill_next(
    context: &Context,
    plans: &PlanCache,
    organisation_id: OrganisationId,
    before_ms: i64,
) -> Result<Billed, DatabaseError> {
    let connection = &context.connection;
    accounts::lock_account(connection, organisation_id).await?;
    let mut subjects = plans.list_subjects(connection, organisation_id).await?;
    let Some(bill_at_ms) = subjects
        .iter()
        .map(|subject| subject.next_bill_at_ms)
        .filter(|at| *at <= before_ms)
        .min()
    else {
        return Ok(Billed {
            invoices: 0,
            is_more_due: false,
        });
    };
    let mut is_more_due = subjects
        .iter()
        .any(|subject| (bill_at_ms + 1..=before_ms).contains(&subject.next_bill_at_ms));
    subjects.retain(|subject| subject.next_bill_at_ms == bill_at_ms);
    let mut items = Vec::new();
    for subject in &subjects {
        for item in gather::list_items(connection, plans, subject, bill_at_ms).await? {
            if is_changed(&item)? {
                items.push((item.currency, item));
            }
        }
    }
    let mut issued = 0;
    for inputs in gather::inputs_of(context, organisation_id, bill_at_ms, items).await? {
        let composed = compose(&inputs).map_err(|problem| {
            DatabaseError::Shape(format!("the invoice cannot be computed: {problem}"))
        })?;
        let number = if composed.has_amounts() {
            issued += 1;
            issue(
                context,
                organisation_id,
                Some(bill_at_ms),
                &inputs,
                &composed,
            )
            .await?
            .1
        } else {
            String::new()
        };
        note_billed(context, &composed, &number).await?;
    }
    let mut cursors = Vec::with_capacity(subjects.len() * 3);
    for subject in &subjects {
        let next_ms = subject.timeline.boundary_after(bill_at_ms)?;
        // After its end a subscription is looked back to until no edge can bring anything more.
        let finished = subject
            .timeline
            .ends_at_ms
            .is_some_and(|end| bill_at_ms >= end + LOOK_BACK_MS);
        is_more_due |= !finished && next_ms <= before_ms;
        cursors.extend(params![
            subject.id.to_string(),
            next_ms,
            finished.then_some(context.now_ms)
        ]);
    }
    for rows in cursors.chunks(3 * ROWS_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO billing_cursors (subscription_id, next_bill_at_ms, finished_at_ms) VALUES {}
             ON CONFLICT (subscription_id) DO UPDATE SET
                next_bill_at_ms = excluded.next_bill_at_ms, finished_at_ms = excluded.finished_at_ms",
            placeholders(rows.len() / 3, 3)
        );
        connection.execute(&sql, rows.to_vec()).await?;
    }
    Ok(Billed {
        invoices: issued,
        is_more_due,
    })
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

/// Stores an invoice or credit note under its number, draws the credit, tells the partner. Call it
/// inside a transaction, behind the account's lock.
pub async fn issue(
    context: &Context,
    organisation_id: OrganisationId,
    bill_at_ms: Option<i64>,
    inputs: &Inputs,
    composed: &Composed,
) -> Result<(InvoiceId, String), DatabaseError> {
    let connection = &context.connection;
    let kind = composed.document.kind;
    let (sequence, prefix) = match kind {
        "credit_note" => ("credit_notes", "CRN"),
        _ => ("invoices", "INV"),
    };
    let count = next_number(connection, sequence).await?;
    let number = format!("{prefix}-{count:06}");
    let invoice_id = store::new_invoice_id(context, count);
    let terms: i64 = context
        .configuration()
        .get("payment_terms_days")
        .parse()
        .unwrap_or(14);
    let due_at_ms = context.now_ms + terms.clamp(0, 365) * DAY_MS;
    let json = |value: serde_json::Result<String>| {
        value.map_err(|error| {
            DatabaseError::Shape(format!("an invoice does not serialise: {error}"))
        })
    };
    connection
        .execute(
            "INSERT INTO invoices (invoice_id, organisation_id, kind, number, currency, bill_at_ms,
                period_start_ms, period_end_ms, issued_at_ms, due_at_ms, total_minor, wallet_minor,
                credited_minor, amount_due_minor, paid_at_ms, inputs, document)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13, $14, $15, $16)",
            params![
                invoice_id.to_string(),
                organisation_id.to_string(),
                kind,
                &number,
                inputs.currency.as_str(),
                bill_at_ms,
                inputs.period.0,
                inputs.period.1,
                context.now_ms,
                due_at_ms,
                composed.total_minor,
                composed.drawn_minor,
                composed.due_minor,
                (composed.due_minor == 0).then_some(context.now_ms),
                json(serde_json::to_string(inputs))?,
                json(serde_json::to_string(&composed.document))?,
            ],
        )
        .await?;
    let text = invoice_id.to_string();
    let credit = if composed.total_minor < 0 {
        -composed.total_minor
    } else {
        -composed.drawn_minor
    };
    if credit != 0 {
        let entry_kind = if credit > 0 { "credit_note" } else { "drawn" };
        let amount = Money::from_minor(inputs.currency, credit);
        wallet::add_entry(
            context,
            organisation_id,
            amount,
            entry_kind,
            Some(&text),
            &number,
        )
        .await?;
    }
    for redemption in &composed.redemptions {
        connection
            .execute(
                "INSERT INTO coupon_uses (redemption_id, invoice_id) VALUES ($1, $2)",
                params![redemption, &text],
            )
            .await?;
    }
    notices::tell_issued(
        context,
        organisation_id,
        &number,
        &text,
        &composed.document,
        due_at_ms,
    )
    .await?;
    audit::record(
        context,
        Some(organisation_id),
        if kind == "invoice" { "invoice.issued" } else { "credit_note.issued" },
        &text,
        json!({ "number": number, "total": composed.document.total, "currency": inputs.currency.as_str() }),
    )
    .await?;
    Ok((invoice_id, number))
}

/// Adds what the lines bill to what is billed for their keys.
async fn note_billed(
    context: &Context,
    composed: &Composed,
    number: &str,
) -> Result<(), DatabaseError> {
    for rows in composed.billed.chunks(ROWS_PER_STATEMENT) {
        let mut parameters = Vec::with_capacity(rows.len() * 7);
        for (key, change, quantity) in rows {
            parameters.extend(params![
                &key.subscription_id,
                &key.plan_id,
                &key.charge,
                key.start_ms,
                *change,
                quantity,
                number
            ]);
        }
        let sql = format!(
            "INSERT INTO billed_items (subscription_id, plan_id, charge, start_ms, amount_minor,
                quantity, invoice) VALUES {}
             ON CONFLICT (subscription_id, plan_id, charge, start_ms) DO UPDATE SET
                amount_minor = billed_items.amount_minor + excluded.amount_minor,
                quantity = excluded.quantity,
                invoice = CASE WHEN excluded.invoice = '' THEN billed_items.invoice ELSE excluded.invoice END",
            placeholders(rows.len(), 7)
        );
        context.connection.execute(&sql, parameters).await?;
    }
    Ok(())
}
