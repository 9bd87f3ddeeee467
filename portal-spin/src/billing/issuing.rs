//! Issuing: composed invoices and credit notes get their numbers, are stored, draw credit, and are told of.
//!
//! All in the caller's transaction, behind the locks of the accounts, a statement for many of them each.

use serde_json::json;
use shared::ids::{InvoiceId, OrganisationId};
use shared::money::Money;

use super::invoice::{Composed, Inputs};
use super::notices::{self, News};
use super::{store, wallet};
use crate::audit::{self, Happened};
use crate::context::Context;
use crate::database::{DatabaseError, Value, next_numbers, placeholders};
use crate::params;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const ROWS_PER_STATEMENT: usize = 100;
/// Columns of an invoice that is issued.
const COLUMNS: usize = 17;

/// What is owed at a boundary in one currency, composed.
pub struct Ready {
    pub organisation_id: OrganisationId,
    pub bill_at_ms: i64,
    pub inputs: Inputs,
    pub composed: Composed,
}

/// A document with its number.
struct Numbered<'a> {
    ready: &'a Ready,
    id: InvoiceId,
    number: String,
}

/// Stores these documents under their numbers, draws the credit, tells the partners, and notes what is
/// billed. One without amounts is only noted. Answers how many were issued.
pub async fn issue(context: &Context, ready: &[Ready]) -> Result<u64, DatabaseError> {
    let numbered = give_numbers(context, ready).await?;
    let terms: i64 = context
        .configuration()
        .get("payment_terms_days")
        .parse()
        .unwrap_or(14);
    let due_at_ms = context.now_ms + terms.clamp(0, 365) * DAY_MS;
    insert(context, &numbered, due_at_ms).await?;
    for one in &numbered {
        draw_credit(context, one).await?;
    }
    let news: Vec<News> = numbered
        .iter()
        .map(|one| News {
            organisation_id: one.ready.organisation_id,
            number: &one.number,
            invoice_id: one.id.to_string(),
            document: &one.ready.composed.document,
            due_at_ms,
        })
        .collect();
    notices::tell_issued(context, &news).await?;
    audit::record_all(context, numbered.iter().map(Numbered::happened).collect()).await?;
    note_billed(context, ready, &numbered).await?;
    Ok(numbered.len() as u64)
}

/// The numbers of those with amounts, each kind's without holes.
async fn give_numbers<'a>(
    context: &Context,
    ready: &'a [Ready],
) -> Result<Vec<Numbered<'a>>, DatabaseError> {
    let mut numbered = Vec::with_capacity(ready.len());
    for (kind, sequence, prefix) in [
        ("invoice", "invoices", "INV"),
        ("credit_note", "credit_notes", "CRN"),
    ] {
        let own: Vec<&Ready> = ready
            .iter()
            .filter(|one| one.composed.has_amounts() && one.composed.document.kind == kind)
            .collect();
        if own.is_empty() {
            continue;
        }
        let count = i64::try_from(own.len()).unwrap_or(i64::MAX);
        let first = next_numbers(&context.connection, sequence, count).await?;
        for (count, ready) in (first..).zip(own) {
            numbered.push(Numbered {
                ready,
                id: store::new_invoice_id(context, count),
                number: format!("{prefix}-{count:06}"),
            });
        }
    }
    Ok(numbered)
}

impl Numbered<'_> {
    fn happened(&self) -> Happened {
        let document = &self.ready.composed.document;
        let action = match document.kind {
            "invoice" => "invoice.issued",
            _ => "credit_note.issued",
        };
        Happened {
            organisation_id: Some(self.ready.organisation_id),
            action: action.to_owned(),
            object: self.id.to_string(),
            detail: json!({ "number": self.number, "total": document.total, "currency": self.ready.inputs.currency.as_str() }),
        }
    }
}

async fn insert(
    context: &Context,
    numbered: &[Numbered<'_>],
    due_at_ms: i64,
) -> Result<(), DatabaseError> {
    let json = |value: serde_json::Result<String>| {
        value.map_err(|error| {
            DatabaseError::Shape(format!("an invoice does not serialise: {error}"))
        })
    };
    let mut rows: Vec<Value> = Vec::with_capacity(numbered.len() * COLUMNS);
    for one in numbered {
        let Ready {
            inputs, composed, ..
        } = one.ready;
        rows.extend(params![
            one.id.to_string(),
            one.ready.organisation_id.to_string(),
            composed.document.kind,
            &one.number,
            inputs.currency.as_str(),
            one.ready.bill_at_ms,
            inputs.period.0,
            inputs.period.1,
            context.now_ms,
            due_at_ms,
            composed.total_minor,
            composed.drawn_minor,
            0_i64,
            composed.due_minor,
            (composed.due_minor == 0).then_some(context.now_ms),
            json(serde_json::to_string(inputs))?,
            json(serde_json::to_string(&composed.document))?,
        ]);
    }
    for rows in rows.chunks(COLUMNS * ROWS_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO invoices (invoice_id, organisation_id, kind, number, currency, bill_at_ms,
                period_start_ms, period_end_ms, issued_at_ms, due_at_ms, total_minor, wallet_minor,
                credited_minor, amount_due_minor, paid_at_ms, inputs, document) VALUES {}",
            placeholders(rows.len() / COLUMNS, COLUMNS)
        );
        context.connection.execute(&sql, rows.to_vec()).await?;
    }
    Ok(())
}

/// Credit drawn or given, and coupons used.
async fn draw_credit(context: &Context, one: &Numbered<'_>) -> Result<(), DatabaseError> {
    let composed = &one.ready.composed;
    let id = one.id.to_string();
    let credit = if composed.total_minor < 0 {
        -composed.total_minor
    } else {
        -composed.drawn_minor
    };
    if credit != 0 {
        let kind = if credit > 0 { "credit_note" } else { "drawn" };
        let amount = Money::from_minor(one.ready.inputs.currency, credit);
        let organisation_id = one.ready.organisation_id;
        wallet::add_entry(
            context,
            organisation_id,
            amount,
            kind,
            Some(&id),
            &one.number,
        )
        .await?;
    }
    for redemption in &composed.redemptions {
        context
            .connection
            .execute(
                "INSERT INTO coupon_uses (redemption_id, invoice_id) VALUES ($1, $2)",
                params![redemption, &id],
            )
            .await?;
    }
    Ok(())
}

/// Adds what the lines bill to what is billed for their keys.
async fn note_billed(
    context: &Context,
    ready: &[Ready],
    numbered: &[Numbered<'_>],
) -> Result<(), DatabaseError> {
    let mut rows: Vec<Value> = Vec::new();
    for one in ready {
        let number = numbered
            .iter()
            .find(|numbered| std::ptr::eq(numbered.ready, one))
            .map_or("", |numbered| numbered.number.as_str());
        for (key, change, quantity) in &one.composed.billed {
            rows.extend(params![
                &key.subscription_id,
                &key.plan_id,
                &key.charge,
                key.start_ms,
                *change,
                quantity,
                number
            ]);
        }
    }
    for rows in rows.chunks(7 * ROWS_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO billed_items (subscription_id, plan_id, charge, start_ms, amount_minor,
                quantity, invoice) VALUES {}
             ON CONFLICT (subscription_id, plan_id, charge, start_ms) DO UPDATE SET
                amount_minor = billed_items.amount_minor + excluded.amount_minor,
                quantity = excluded.quantity,
                invoice = CASE WHEN excluded.invoice = '' THEN billed_items.invoice ELSE excluded.invoice END",
            placeholders(rows.len() / 7, 7)
        );
        context.connection.execute(&sql, rows.to_vec()).await?;
    }
    Ok(())
}
