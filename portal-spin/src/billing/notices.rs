//! What partners and the operator are told about money: mails, each sent once.

use std::collections::HashMap;

use shared::ids::OrganisationId;

use super::accounts;
use super::invoice::Document;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails;
use crate::encoding::readable_time;
use crate::organisations::{MemberRole, store::member_emails_of};
use crate::params;

/// Those who are told of money: the billing address, or everyone who pays.
async fn recipients(
    context: &Context,
    organisations: &[OrganisationId],
) -> Result<HashMap<OrganisationId, Vec<String>>, DatabaseError> {
    let connection = &context.connection;
    let mut recipients = HashMap::new();
    for (id, account) in accounts::list_accounts(connection, organisations).await? {
        if !account.email.is_empty() {
            recipients.insert(id, vec![account.email]);
        }
    }
    let others: Vec<OrganisationId> = organisations
        .iter()
        .filter(|id| !recipients.contains_key(id))
        .copied()
        .collect();
    if !others.is_empty() {
        let payers = [MemberRole::Owner, MemberRole::Billing];
        recipients.extend(member_emails_of(connection, &others, &payers).await?);
    }
    Ok(recipients)
}

/// Mails everyone who pays. Call it inside a transaction.
pub async fn tell_payers(
    context: &Context,
    organisation_id: OrganisationId,
    subject: &str,
    text: &str,
) -> Result<(), DatabaseError> {
    let recipients = recipients(context, &[organisation_id]).await?;
    for to in recipients.get(&organisation_id).into_iter().flatten() {
        let values = [("headline", subject), ("details", text)];
        emails::send(context, "money", to, &values).await?;
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

/// A new invoice or credit note, to tell of.
pub struct News<'a> {
    pub organisation_id: OrganisationId,
    pub number: &'a str,
    pub invoice_id: String,
    pub document: &'a Document,
    pub due_at_ms: i64,
}

/// Tells of new invoices and credit notes.
pub async fn tell_issued(context: &Context, news: &[News<'_>]) -> Result<(), DatabaseError> {
    let mut organisations: Vec<OrganisationId> =
        news.iter().map(|one| one.organisation_id).collect();
    organisations.dedup();
    if organisations.is_empty() {
        return Ok(());
    }
    let recipients = recipients(context, &organisations).await?;
    for one in news {
        let (subject, text) = words(context, one);
        let values = [("headline", subject.as_str()), ("details", text.as_str())];
        for to in recipients.get(&one.organisation_id).into_iter().flatten() {
            emails::send(context, "money", to, &values).await?;
        }
    }
    Ok(())
}

/// Subject and text of the mail.
fn words(context: &Context, news: &News<'_>) -> (String, String) {
    let News {
        number, document, ..
    } = news;
    let currency = document.currency;
    let link = link(context, &news.invoice_id);
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
                readable_time(news.due_at_ms)
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
    (subject, text)
}
