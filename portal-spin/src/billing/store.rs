//! Invoices as stored and shown, and what becomes of them: paid, void, uncollectible, credited.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::ids::{InvoiceId, OrganisationId};
use shared::money::{Currency, Money};

use super::{accounts, dunning, wallet};
use crate::audit;
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row, Value};
use crate::params;
use crate::web::Failure;
use crate::web::paging::{PageRequest, finds};

/// An invoice or credit note without its lines.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InvoiceView {
    /// The invoice.
    pub id: String,
    /// Who pays.
    pub organisation_id: String,
    /// Its name.
    pub organisation: String,
    /// `invoice` or `credit_note`.
    pub kind: String,
    /// Without holes per operator and kind.
    pub number: String,
    /// `open`, `overdue`, `paid`, `void` or `uncollectible`; a credit note is `given`.
    pub state: String,
    /// ISO 4217.
    pub currency: String,
    /// The span it is about.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub period_start: i64,
    /// The first moment behind it.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub period_end: i64,
    /// When it was issued.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub issued_at: i64,
    /// By when it is to be paid.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub due_at: i64,
    /// The total, taxes included, in major units.
    pub total: String,
    /// What is still to be paid.
    pub amount_due: String,
    /// Where to pay, if a provider takes the payment.
    pub payment_url: Option<String>,
}

/// An invoice as it is stored.
#[derive(Debug, Clone)]
pub struct StoredInvoice {
    pub id: InvoiceId,
    pub organisation_id: OrganisationId,
    pub view: InvoiceView,
    pub currency: Currency,
    pub due_minor: i64,
    pub document: String,
    pub provider_invoice: Option<String>,
}

/// The id of a document. Documents issued in one millisecond, as a run issues them, sort by their number:
/// it stands in the first 32 bits behind the time, before what is random.
pub fn new_invoice_id(context: &Context, count: i64) -> InvoiceId {
    let mut random = context.random::<10>();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    // RFC 9562: 12 bits follow the version, and 6 the variant before the next whole byte.
    let [_, _, a, b] = (count >> 20).to_be_bytes();
    let [_, c, d, e] = ((count & 0x000f_ffff) << 2).to_be_bytes();
    let [first, second, third, fourth, fifth, ..] = &mut random;
    (*first, *second, *third, *fourth) = (a, b, c, d);
    *fifth = e | (*fifth & 0x03);
    InvoiceId::new(context.now_ms.unsigned_abs(), &random)
}

const COLUMNS: &str = "invoice_id, organisation_id, kind, number, currency, period_start_ms,
    period_end_ms, issued_at_ms, due_at_ms, total_minor, amount_due_minor, paid_at_ms, voided_at_ms,
    uncollectible_at_ms, payment_url, document, provider_invoice,
    (SELECT o.name FROM organisations o WHERE o.organisation_id = invoices.organisation_id)";

fn read(row: &Row, now_ms: i64) -> Result<StoredInvoice, DatabaseError> {
    let currency: Currency = row.parse(4)?;
    let major = |minor| Money::from_minor(currency, minor).to_major();
    let due_minor: i64 = row.get(10)?;
    let due_at: i64 = row.get(8)?;
    let kind: String = row.get(2)?;
    let state = match (
        row.get::<Option<i64>>(12)?,
        row.get::<Option<i64>>(11)?,
        row.get::<Option<i64>>(13)?,
    ) {
        _ if kind == "credit_note" => "given",
        (Some(_), _, _) => "void",
        (_, Some(_), _) => "paid",
        (_, _, Some(_)) => "uncollectible",
        _ if due_at < now_ms => "overdue",
        _ => "open",
    };
    Ok(StoredInvoice {
        id: row.parse(0)?,
        organisation_id: row.parse(1)?,
        view: InvoiceView {
            id: row.get(0)?,
            organisation_id: row.get(1)?,
            organisation: row.get::<Option<String>>(17)?.unwrap_or_default(),
            kind,
            number: row.get(3)?,
            state: state.to_owned(),
            currency: currency.to_string(),
            period_start: row.get(5)?,
            period_end: row.get(6)?,
            issued_at: row.get(7)?,
            due_at,
            total: major(row.get(9)?),
            amount_due: if matches!(state, "open" | "overdue") {
                major(due_minor)
            } else {
                major(0)
            },
            payment_url: row.get(14)?,
        },
        currency,
        due_minor,
        document: row.get(15)?,
        provider_invoice: row.get(16)?,
    })
}

/// An invoice by id.
pub async fn find_invoice(
    connection: &Connection,
    invoice_id: InvoiceId,
    now_ms: i64,
) -> Result<Option<StoredInvoice>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM invoices WHERE invoice_id = $1");
    let row = connection
        .query_optional(&sql, params![invoice_id.to_string()])
        .await?;
    row.as_ref().map(|row| read(row, now_ms)).transpose()
}

/// Invoices before an id, newest first; of one organisation, or of all.
pub async fn list_invoices(
    connection: &Connection,
    organisation_id: Option<OrganisationId>,
    page: &PageRequest,
    state: &str,
    now_ms: i64,
) -> Result<Vec<InvoiceView>, DatabaseError> {
    let owner =
        "(SELECT o.name FROM organisations o WHERE o.organisation_id = invoices.organisation_id)";
    let found = finds("$3", &["number", "invoice_id", owner]);
    // The states that `read` tells.
    let sql = format!(
        "SELECT {COLUMNS} FROM invoices WHERE invoice_id < $1 AND (organisation_id = $2 OR $2 = '')
            AND {found} AND ($4 = '' OR $4 = CASE WHEN kind = 'credit_note' THEN 'given'
                WHEN voided_at_ms IS NOT NULL THEN 'void' WHEN paid_at_ms IS NOT NULL THEN 'paid'
                WHEN uncollectible_at_ms IS NOT NULL THEN 'uncollectible'
                WHEN due_at_ms < $5 THEN 'overdue' ELSE 'open' END)
         ORDER BY invoice_id DESC LIMIT $6"
    );
    let organisation = organisation_id.map(|id| id.to_string()).unwrap_or_default();
    let parameters = params![
        page.before.as_str(),
        organisation,
        page.wanted.as_str(),
        state,
        now_ms,
        page.limit_and_one()
    ];
    connection
        .query(&sql, parameters)
        .await?
        .iter()
        .map(|row| Ok(read(row, now_ms)?.view))
        .collect()
}

/// Invoices that a condition (with its order and limit) finds.
async fn list_where(
    connection: &Connection,
    condition: &str,
    parameters: Vec<Value>,
    now_ms: i64,
) -> Result<Vec<StoredInvoice>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM invoices WHERE {condition}");
    connection
        .query(&sql, parameters)
        .await?
        .iter()
        .map(|row| read(row, now_ms))
        .collect()
}

/// Open invoices that a provider does not know yet.
pub async fn list_to_push(
    connection: &Connection,
    now_ms: i64,
    limit: i64,
) -> Result<Vec<StoredInvoice>, DatabaseError> {
    let condition = "provider_invoice IS NULL AND kind = 'invoice'
            AND paid_at_ms IS NULL AND voided_at_ms IS NULL AND uncollectible_at_ms IS NULL
            AND amount_due_minor > 0 AND (provider_next_try_ms IS NULL OR provider_next_try_ms <= $1)
         ORDER BY invoice_id LIMIT $2";
    list_where(connection, condition, params![now_ms, limit], now_ms).await
}

/// Invoices that were closed here and that a provider still thinks open.
pub async fn list_to_tell(
    connection: &Connection,
    now_ms: i64,
    limit: i64,
) -> Result<Vec<StoredInvoice>, DatabaseError> {
    let condition = "provider_invoice IS NOT NULL AND provider_told_at_ms IS NULL
            AND (paid_at_ms IS NOT NULL OR voided_at_ms IS NOT NULL OR uncollectible_at_ms IS NOT NULL)
            AND (provider_next_try_ms IS NULL OR provider_next_try_ms <= $1)
         ORDER BY invoice_id LIMIT $2";
    list_where(connection, condition, params![now_ms, limit], now_ms).await
}

/// The invoice that a provider knows by this name.
pub async fn find_by_provider(
    connection: &Connection,
    provider_invoice: &str,
) -> Result<Option<InvoiceId>, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT invoice_id FROM invoices WHERE provider_invoice = $1",
            params![provider_invoice],
        )
        .await?;
    row.map(|row| row.parse(0)).transpose()
}

/// Open invoices that were due in this span (its first moment excluded) and of which this was not told yet,
/// oldest first.
pub async fn list_overdue(
    connection: &Connection,
    due: (i64, i64),
    notice: &str,
    limit: i64,
    now_ms: i64,
) -> Result<Vec<StoredInvoice>, DatabaseError> {
    let condition = "due_at_ms > $1 AND due_at_ms <= $2 AND kind = 'invoice'
            AND paid_at_ms IS NULL AND voided_at_ms IS NULL AND uncollectible_at_ms IS NULL
            AND NOT EXISTS (SELECT 1 FROM billing_notices n
                WHERE n.subject = invoices.invoice_id AND n.notice = $3)
         ORDER BY due_at_ms, invoice_id LIMIT $4";
    list_where(
        connection,
        condition,
        params![due.0, due.1, notice, limit],
        now_ms,
    )
    .await
}

/// An open invoice, under the lock of its account. Call it inside a transaction.
pub async fn lock_open_invoice(
    context: &Context,
    invoice_id: InvoiceId,
) -> Result<StoredInvoice, Failure> {
    lock_invoice(context, invoice_id, &["open", "overdue"]).await
}

/// An invoice that can be paid: open, or given up and paid after all. As [`lock_open_invoice`].
pub async fn lock_payable_invoice(
    context: &Context,
    invoice_id: InvoiceId,
) -> Result<StoredInvoice, Failure> {
    lock_invoice(context, invoice_id, &["open", "overdue", "uncollectible"]).await
}

async fn lock_invoice(
    context: &Context,
    invoice_id: InvoiceId,
    states: &[&str],
) -> Result<StoredInvoice, Failure> {
    let find = || find_invoice(&context.connection, invoice_id, context.now_ms);
    let known = find().await?.ok_or_else(Failure::not_found)?;
    accounts::lock_account(&context.connection, known.organisation_id).await?;
    let invoice = find().await?.ok_or_else(Failure::not_found)?;
    if !states.contains(&invoice.view.state.as_str()) {
        return Err(Failure::conflict(
            "invoice_closed",
            format!(
                "{} is {}: nothing is due on it.",
                invoice.view.number, invoice.view.state
            ),
        ));
    }
    Ok(invoice)
}

/// Notes a payment of what is due. The same reference again changes nothing. A provider that was told that
/// nobody would pay is told anew. Call it inside a transaction.
pub async fn pay_invoice(
    context: &Context,
    invoice: &StoredInvoice,
    adapter: &str,
    reference: &str,
) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    let payment_id = format!(
        "{:012x}{}",
        context.now_ms,
        crate::encoding::hex(&context.random::<4>())
    );
    connection
        .execute(
            "INSERT INTO payments (payment_id, invoice_id, adapter, reference, amount_minor, at_ms)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (adapter, reference) DO NOTHING",
            params![
                payment_id,
                invoice.id.to_string(),
                adapter,
                reference,
                invoice.due_minor,
                context.now_ms
            ],
        )
        .await?;
    if adapter == "manual" && invoice.view.state == "uncollectible" {
        connection
            .execute(
                "UPDATE invoices SET provider_told_at_ms = NULL WHERE invoice_id = $1",
                params![invoice.id.to_string()],
            )
            .await?;
    }
    close(
        context,
        invoice,
        "paid_at_ms",
        "invoice.paid",
        json!({ "adapter": adapter, "reference": reference }),
    )
    .await
}

/// Closes an open invoice. What was billed stays billed: a void invoice is not billed again.
pub async fn close(
    context: &Context,
    invoice: &StoredInvoice,
    column: &'static str,
    action: &str,
    mut detail: serde_json::Value,
) -> Result<(), DatabaseError> {
    let sql =
        format!("UPDATE invoices SET {column} = $2 WHERE invoice_id = $1 AND {column} IS NULL");
    context
        .connection
        .execute(&sql, params![invoice.id.to_string(), context.now_ms])
        .await?;
    if let Some(detail) = detail.as_object_mut() {
        detail.insert("number".to_owned(), invoice.view.number.clone().into());
        detail.insert(
            "amount_due".to_owned(),
            Money::from_minor(invoice.currency, invoice.due_minor)
                .to_major()
                .into(),
        );
        detail.insert("currency".to_owned(), invoice.view.currency.clone().into());
    }
    let restored = dunning::release_if_settled(context, invoice.organisation_id).await?;
    audit::record(
        context,
        Some(invoice.organisation_id),
        action,
        &invoice.id.to_string(),
        detail,
    )
    .await?;
    if restored {
        dunning::tell_restored(context, invoice.organisation_id).await?;
    }
    Ok(())
}

/// Voids an open invoice: the credit that it drew comes back, less what credit notes of it gave already,
/// and its coupons were not used. Call it inside a transaction, behind the account's lock.
pub async fn void_invoice(
    context: &Context,
    invoice: &StoredInvoice,
    detail: serde_json::Value,
) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    let id = invoice.id.to_string();
    let row = connection
        .query_one(
            "SELECT wallet_minor, credited_minor - (total_minor - wallet_minor - amount_due_minor)
             FROM invoices WHERE invoice_id = $1",
            params![&id],
        )
        .await?;
    let (drawn, given): (i64, i64) = (row.get(0)?, row.get(1)?);
    let back = Money::from_minor(invoice.currency, drawn - given.max(0));
    if back.minor > 0 {
        let note = format!("{} is void", invoice.view.number);
        wallet::add_entry(
            context,
            invoice.organisation_id,
            back,
            "returned",
            Some(&id),
            &note,
        )
        .await?;
    }
    connection
        .execute(
            "DELETE FROM coupon_uses WHERE invoice_id = $1",
            params![&id],
        )
        .await?;
    close(context, invoice, "voided_at_ms", "invoice.voided", detail).await
}

/// Gives credit on an invoice: off what is due where it is open, into the wallet else. Call it inside a
/// transaction. Answers the credit note's id.
pub async fn credit_invoice(
    context: &Context,
    invoice: &StoredInvoice,
    amount: Money,
    reason: &str,
) -> Result<InvoiceId, DatabaseError> {
    let connection = &context.connection;
    let is_open = matches!(invoice.view.state.as_str(), "open" | "overdue");
    // What a provider asks for stays what it asks for: then the credit is for the next invoice.
    let is_asked_for = invoice.provider_invoice.is_some();
    let off_minor = if is_open && !is_asked_for {
        amount.minor.min(invoice.due_minor)
    } else {
        0
    };
    let count = crate::database::next_number(connection, "credit_notes").await?;
    let number = format!("CRN-{count:06}");
    let credit_note_id = new_invoice_id(context, count);
    let document = json!({
        "kind": "credit_note", "credits": invoice.view.number, "reason": reason,
        "currency": invoice.view.currency, "total": format!("-{}", amount.to_major()),
    });
    connection
        .execute(
            "INSERT INTO invoices (invoice_id, organisation_id, kind, number, currency, period_start_ms,
                period_end_ms, issued_at_ms, due_at_ms, total_minor, wallet_minor, credited_minor,
                amount_due_minor, inputs, document, credits_invoice_id)
             VALUES ($1, $2, 'credit_note', $3, $4, $5, $6, $7, $8, $9, 0, 0, 0, '', $10, $11)",
            params![
                credit_note_id.to_string(),
                invoice.organisation_id.to_string(),
                &number,
                &invoice.view.currency,
                invoice.view.period_start,
                invoice.view.period_end,
                context.now_ms,
                context.now_ms,
                -amount.minor,
                document.to_string(),
                invoice.id.to_string(),
            ],
        )
        .await?;
    connection
        .execute(
            "UPDATE invoices SET credited_minor = credited_minor + $2,
                amount_due_minor = amount_due_minor - $3 WHERE invoice_id = $1",
            params![invoice.id.to_string(), amount.minor, off_minor],
        )
        .await?;
    let rest = Money::from_minor(amount.currency, amount.minor - off_minor);
    if rest.minor > 0 {
        let id = credit_note_id.to_string();
        wallet::add_entry(
            context,
            invoice.organisation_id,
            rest,
            "credit_note",
            Some(&id),
            reason,
        )
        .await?;
    }
    audit::record(
        context,
        Some(invoice.organisation_id),
        "credit_note.issued",
        &credit_note_id.to_string(),
        json!({ "number": number, "credits": invoice.view.number, "reason": reason,
            "total": format!("-{}", amount.to_major()), "currency": invoice.view.currency }),
    )
    .await?;
    if is_open && off_minor == invoice.due_minor {
        close(
            context,
            invoice,
            "paid_at_ms",
            "invoice.paid",
            json!({ "adapter": "credit_note", "reference": number }),
        )
        .await?;
    }
    Ok(credit_note_id)
}

/// What of an invoice may still be credited.
pub async fn creditable_minor(
    connection: &Connection,
    invoice_id: InvoiceId,
) -> Result<i64, DatabaseError> {
    connection
        .query_one(
            "SELECT total_minor - credited_minor FROM invoices WHERE invoice_id = $1",
            params![invoice_id.to_string()],
        )
        .await?
        .get(0)
}
