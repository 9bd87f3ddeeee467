//! Dunning: reminders of overdue invoices, then live calls stop at the gateway, and start again with
//! the payment.

use serde_json::json;
use shared::ids::OrganisationId;

use super::notices;
use super::store::{self, StoredInvoice};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::{audit, params, reactions};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Days after the due date on which a reminder is sent.
const REMIND_AFTER_DAYS: &[i64] = &[0, 3, 7];
const PER_TICK: i64 = 200;

/// Days after the due date at which live calls stop; `None` where they never do.
fn suspend_after_days(context: &Context) -> Option<i64> {
    match context.configuration().get("suspend_after_days") {
        "never" => None,
        days => Some(days.parse().unwrap_or(14).clamp(1, 3_650)),
    }
}

/// A step of dunning: what it is noted as, from how many days after the due date on, and whether it stops
/// live calls.
struct Step {
    notice: String,
    after_days: i64,
    suspends: bool,
}

fn steps(suspend_after: Option<i64>) -> Vec<Step> {
    let reminders = REMIND_AFTER_DAYS
        .iter()
        .filter(|days| suspend_after.is_none_or(|last| **days < last))
        .map(|days| Step {
            notice: format!("reminder-{days}"),
            after_days: *days,
            suspends: false,
        });
    let suspension = suspend_after.map(|days| Step {
        notice: "suspended".to_owned(),
        after_days: days,
        suspends: true,
    });
    reminders.chain(suspension).collect()
}

/// Reminds of what is overdue and stops live calls where the policy says so. Answers how many steps.
pub async fn run_dunning(context: &Context) -> Result<u64, DatabaseError> {
    let connection = &context.connection;
    let steps = steps(suspend_after_days(context));
    let mut taken = 0;
    for (index, step) in steps.iter().enumerate() {
        // Each invoice takes the step that it has reached, not those before it. Only invoices that have
        // not taken it are listed, so that old ones never stand before new ones.
        let next = steps.get(index + 1);
        let due = (
            next.map_or(i64::MIN, |next| context.now_ms - next.after_days * DAY_MS),
            context.now_ms - step.after_days * DAY_MS,
        );
        let found = store::list_overdue(connection, due, &step.notice, PER_TICK, context.now_ms);
        for invoice in found.await? {
            let is_taken = connection
                .transaction(async || {
                    take_step(context, &invoice, &step.notice, step.suspends).await
                })
                .await?;
            taken += u64::from(is_taken);
        }
    }
    Ok(taken)
}

async fn take_step(
    context: &Context,
    invoice: &StoredInvoice,
    step: &str,
    suspends: bool,
) -> Result<bool, DatabaseError> {
    super::accounts::lock_account(&context.connection, invoice.organisation_id).await?;
    // It may have been paid while this waited for the lock.
    let still = store::find_invoice(&context.connection, invoice.id, context.now_ms).await?;
    if still.is_none_or(|now| now.view.state != "overdue") {
        return Ok(false);
    }
    if !notices::is_new(context, &invoice.view.id, invoice.view.due_at, step).await? {
        return Ok(false);
    }
    let number = &invoice.view.number;
    let amount = format!("{} {}", invoice.view.amount_due, invoice.view.currency);
    let link = notices::link(context, &invoice.view.id);
    let object = invoice.id.to_string();
    let detail = json!({ "number": number, "amount_due": invoice.view.amount_due, "currency": invoice.view.currency });
    if suspends {
        let text = format!(
            "Invoice {number} over {amount} is overdue. Live calls are refused until it is paid; the sandbox keeps working.\n\nPay here, and live calls pass again within a second of the payment:\n{link}"
        );
        notices::tell_payers(
            context,
            invoice.organisation_id,
            "Live calls are stopped: an invoice is overdue",
            &text,
        )
        .await?;
        notices::tell_operator(
            context,
            &format!("Invoice {number}: live calls stopped"),
            &format!("{amount} are overdue.\n\n{link}"),
        )
        .await?;
        context
            .connection
            .execute(
                "UPDATE billing_accounts SET suspended_at_ms = COALESCE(suspended_at_ms, $2)
                 WHERE organisation_id = $1",
                params![invoice.organisation_id.to_string(), context.now_ms],
            )
            .await?;
        audit::record(
            context,
            Some(invoice.organisation_id),
            "billing.suspended",
            &object,
            detail,
        )
        .await?;
        reactions::standing_changed(context, invoice.organisation_id).await?;
    } else {
        let when = match suspend_after_days(context) {
            Some(days) => {
                format!("Without payment live calls stop {days} days after the due date.")
            }
            None => String::new(),
        };
        let text = format!(
            "Invoice {number} over {amount} was due. {when}\n\nSee and pay it here:\n{link}"
        );
        notices::tell_payers(
            context,
            invoice.organisation_id,
            &format!("Reminder: invoice {number} is overdue"),
            &text,
        )
        .await?;
        audit::record(
            context,
            Some(invoice.organisation_id),
            "invoice.overdue",
            &object,
            detail,
        )
        .await?;
    }
    Ok(true)
}

/// Lifts the stop of live calls when no overdue invoice is left that caused it. Call it inside the
/// transaction of the payment. Answers whether it was lifted; the caller tells the edges.
pub async fn release_if_settled(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<bool, DatabaseError> {
    let released = context
        .connection
        .execute(
            "UPDATE billing_accounts SET suspended_at_ms = NULL
             WHERE organisation_id = $1 AND suspended_at_ms IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM invoices i JOIN billing_notices n ON n.subject = i.invoice_id
                WHERE i.organisation_id = $1 AND n.notice = 'suspended' AND i.paid_at_ms IS NULL
                    AND i.voided_at_ms IS NULL AND (i.uncollectible_at_ms IS NULL OR $2 <> 'yes'))",
            params![
                organisation_id.to_string(),
                context.configuration().get("uncollectible_restores")
            ],
        )
        .await?;
    Ok(released == 1)
}

/// Tells edges and people that live calls pass again. Call it behind every audit record of the
/// transaction: the feed comes last.
pub async fn tell_restored(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<(), DatabaseError> {
    audit::record(
        context,
        Some(organisation_id),
        "billing.restored",
        &organisation_id.to_string(),
        json!({}),
    )
    .await?;
    reactions::standing_changed(context, organisation_id).await
}
