//! Credit of an organisation: paid in, given back, drawn by invoices. The balance is the sum of entries.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use shared::ids::OrganisationId;
use shared::money::{Currency, Money};

use super::accounts::ids;
use crate::context::Context;
use crate::database::{Connection, DatabaseError, placeholders};
use crate::params;

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WalletEntry {
    /// Names the entry.
    pub id: String,
    /// ISO 4217.
    pub currency: String,
    /// In major units; negative where an invoice drew it.
    pub amount: String,
    /// `top_up`, `credit_note`, `drawn`, or `returned` where the invoice that drew it is void.
    pub kind: String,
    /// The invoice that drew it or gave it.
    pub invoice_id: Option<String>,
    /// Why.
    pub note: String,
    /// When.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub at: i64,
}

/// Credit of one organisation in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WalletView {
    /// The organisation.
    pub organisation_id: String,
    /// Its name.
    pub organisation: String,
    /// ISO 4217.
    pub currency: String,
    /// In major units.
    pub amount: String,
}

/// Credit that is left, of all organisations.
pub async fn list_wallets(
    connection: &Connection,
    limit: i64,
) -> Result<Vec<WalletView>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT w.organisation_id, o.name, w.currency, CAST(SUM(w.amount_minor) AS BIGINT) AS balance
             FROM wallet_entries w JOIN organisations o ON o.organisation_id = w.organisation_id
             GROUP BY w.organisation_id, o.name, w.currency HAVING SUM(w.amount_minor) > 0
             ORDER BY balance DESC, w.organisation_id LIMIT $1",
            params![limit],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let currency: Currency = row.parse(2)?;
            Ok(WalletView {
                organisation_id: row.get(0)?,
                organisation: row.get(1)?,
                currency: currency.to_string(),
                amount: Money::from_minor(currency, row.get(3)?).to_major(),
            })
        })
        .collect()
}

/// What is left to each organisation in each currency; none where nothing ever was.
pub async fn list_balances(
    connection: &Connection,
    organisations: &[OrganisationId],
) -> Result<HashMap<(OrganisationId, Currency), i64>, DatabaseError> {
    let sql = format!(
        "SELECT organisation_id, currency, CAST(SUM(amount_minor) AS BIGINT) FROM wallet_entries
         WHERE organisation_id IN {} GROUP BY organisation_id, currency",
        placeholders(1, organisations.len())
    );
    let rows = connection.query(&sql, ids(organisations)).await?;
    rows.iter()
        .map(|row| Ok(((row.parse(0)?, row.parse(1)?), row.get(2)?)))
        .collect()
}

/// What is left, in every currency that has an entry.
pub async fn balances(
    connection: &Connection,
    organisation_id: OrganisationId,
) -> Result<Vec<Money>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT currency, CAST(SUM(amount_minor) AS BIGINT) FROM wallet_entries
             WHERE organisation_id = $1 GROUP BY currency ORDER BY currency",
            params![organisation_id.to_string()],
        )
        .await?;
    rows.iter()
        .map(|row| Ok(Money::from_minor(row.parse(0)?, row.get(1)?)))
        .collect()
}

/// Appends an entry. Call it inside the transaction of what it is for, behind the account's lock.
pub async fn add_entry(
    context: &Context,
    organisation_id: OrganisationId,
    amount: Money,
    kind: &str,
    invoice_id: Option<&str>,
    note: &str,
) -> Result<(), DatabaseError> {
    let entry_id = crate::encoding::hex(&context.random::<16>());
    context
        .connection
        .execute(
            "INSERT INTO wallet_entries (entry_id, organisation_id, currency, amount_minor, kind,
                invoice_id, note, at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                format!("{:016x}{entry_id}", context.now_ms),
                organisation_id.to_string(),
                amount.currency.as_str(),
                amount.minor,
                kind,
                invoice_id,
                note,
                context.now_ms,
            ],
        )
        .await?;
    Ok(())
}

/// The newest entries, newest first.
pub async fn list_entries(
    connection: &Connection,
    organisation_id: OrganisationId,
    limit: i64,
) -> Result<Vec<WalletEntry>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT entry_id, currency, amount_minor, kind, invoice_id, note, at_ms FROM wallet_entries
             WHERE organisation_id = $1 ORDER BY entry_id DESC LIMIT $2",
            params![organisation_id.to_string(), limit],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let currency: Currency = row.parse(1)?;
            Ok(WalletEntry {
                id: row.get(0)?,
                currency: currency.to_string(),
                amount: Money::from_minor(currency, row.get(2)?).to_major(),
                kind: row.get(3)?,
                invoice_id: row.get(4)?,
                note: row.get(5)?,
                at: row.get(6)?,
            })
        })
        .collect()
}
