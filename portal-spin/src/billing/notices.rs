//! What partners and the operator are told about money: mails, each sent once.

use shared::ids::OrganisationId;

use super::accounts;
use super::invoice::Document;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails;
use crate::encoding::readable_time;
use crate::organisations::{MemberRole, store::list_member_emails};
use crate::params;

/// Those who are told of money: the billing address, or everyone who pays.
async fn recipients(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<Vec<String>, DatabaseError> {
    let account = accounts::find_account(&context.connection, organisation_id).await?;
    if !account.email.is_empty() {
        return Ok(vec![account.email]);
    }
    let payers = [MemberRole::Owner, MemberRole::Billing];
    list_member_emails(&context.connection, organisation_id, &payers).await
}

/// Mails everyone who pays. Call it inside a transaction.
pub async fn tell_payers(
    context: &Context,
    organisation_id: OrganisationId,
    subject: &str,
    text: &str,
) -> Result<(), DatabaseError> {
    for to in recipients(context, organisation_id).await? {
        let values = [("headline", subject), ("details", text)];
        emails::send(context, "money", &to, &values).await?;
    }
    Ok(())
}

/// Mails the operator's finance people and administrators. Call it inside a transaction.
pub async fn tell_operator(
    context: &Context,
    subject: &str,
    text: &str,
) -> Result<(), DatabaseError> {
    let rows = context
        .connection
        .query(
            "SELECT DISTINCT p.email FROM operator_members o JOIN people p ON p.person_id = o.person_id
             WHERE o.role IN ('finance', 'administrator') AND p.disabled_at IS NULL ORDER BY p.email",
            vec![],
        )
        .await?;
    for row in rows {
        let to: String = row.get(0)?;
        let values = [("headline", subject), ("details", text)];
        emails::send(context, "money-staff", &to, &values).await?;
    }
    Ok(())
}

/// Notes that something is told; false if it was before. Call it inside a transaction.
pub async fn is_new(
    context: &Context,
    subject: &str,
    period_start_ms: i64,
    notice: &str,
) -> Result<bool, DatabaseError> {
    let inserted = context
        .connection
        .execute(
            "INSERT INTO billing_notices (subject, period_start_ms, notice, at_ms) VALUES ($1, $2, $3, $4)
             ON CONFLICT (subject, period_start_ms, notice) DO NOTHING",
            params![subject, period_start_ms, notice, context.now_ms],
        )
        .await?;
    Ok(inserted == 1)
}

/// Where a document is read.
pub fn link(context: &Context, invoice_id: &str) -> String {
    format!(
        "{}/invoices/{invoice_id}",
        context.configuration().public_url
    )
}

/// Tells of a new invoice or credit note.
pub async fn tell_issued(
    context: &Context,
    organisation_id: OrganisationId,
    number: &str,
    invoice_id: &str,
    document: &Document,
    due_at_ms: i64,
) -> Result<(), DatabaseError> {
    let currency = document.currency;
    let link = link(context, invoice_id);
    let (subject, first) = if document.kind == "credit_note" {
        let amount = document.total.trim_start_matches('-');
        (
            format!("Credit note {number}: {amount} {currency}"),
            format!(
                "{amount} {currency} are credited to your account and drawn by your next invoices."
            ),
        )
    } else if document.amount_due == shared::money::Money::from_minor(currency, 0).to_major() {
        (
            format!(
                "Invoice {number}: {} {currency}, nothing to pay",
                document.total
            ),
            "Your credit covers this invoice.".to_owned(),
        )
    } else {
        (
            format!("Invoice {number}: {} {currency}", document.amount_due),
            format!(
                "{} {currency} are due by {}.",
                document.amount_due,
                readable_time(due_at_ms)
            ),
        )
    };
    let lines: Vec<String> = document
        .lines
        .iter()
        .map(|line| {
            format!(
                "{} ({}): {} {currency}",
                line.description, line.period, line.amount
            )
        })
        .collect();
    let text = format!(
        "{first}\n\n{}\n\nHow each line was computed, to print and as CSV:\n{link}",
        lines.join("\n")
    );
    tell_payers(context, organisation_id, &subject, &text).await
}
