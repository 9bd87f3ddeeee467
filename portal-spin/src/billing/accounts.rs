//! Who pays: the address on invoices, the budget, and the lock of an organisation's billing.

use std::collections::HashMap;

use shared::ids::OrganisationId;
use shared::money::Currency;

use super::invoice::Party;
use crate::database::{Connection, DatabaseError, Row, Value, placeholders};
use crate::params;

/// An organisation's billing account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The organisation's name, where no legal name is given.
    pub organisation: String,
    pub legal_name: String,
    pub address: String,
    /// ISO 3166, two capital letters; empty where not known.
    pub country: String,
    pub region: String,
    pub tax_id: String,
    /// Where invoices go; empty for everyone with the role.
    pub email: String,
    pub budget_minor: Option<i64>,
    pub budget_currency: Option<Currency>,
    pub suspended_at_ms: Option<i64>,
    pub provider_customer: Option<String>,
}

impl Account {
    /// What an invoice needs and nobody has given yet.
    pub fn missing_details(&self) -> Vec<&'static str> {
        [
            ("legal name", &self.legal_name),
            ("address", &self.address),
            ("country", &self.country),
        ]
        .into_iter()
        .filter(|(_, value)| value.trim().is_empty())
        .map(|(name, _)| name)
        .collect()
    }

    /// The buyer as an invoice names them.
    pub fn party(&self, organisation_id: OrganisationId) -> Party {
        let name = if self.legal_name.is_empty() {
            &self.organisation
        } else {
            &self.legal_name
        };
        Party {
            organisation_id: organisation_id.to_string(),
            name: name.clone(),
            address: self.address.clone(),
            country: self.country.clone(),
            tax_id: self.tax_id.clone(),
        }
    }
}

/// The account of an organisation, with defaults where nothing was filled in.
pub async fn find_account(
    connection: &Connection,
    organisation_id: OrganisationId,
) -> Result<Account, DatabaseError> {
    list_accounts(connection, &[organisation_id])
        .await?
        .remove(&organisation_id)
        .ok_or_else(|| DatabaseError::Shape(format!("{organisation_id} is gone")))
}

/// The accounts of organisations, with defaults where nothing was filled in.
pub async fn list_accounts(
    connection: &Connection,
    organisations: &[OrganisationId],
) -> Result<HashMap<OrganisationId, Account>, DatabaseError> {
    let rows = connection
        .query(
            &format!(
                "SELECT o.name, COALESCE(b.legal_name, ''), COALESCE(b.address, ''), COALESCE(b.country, ''),
                COALESCE(b.region, ''), COALESCE(b.tax_id, ''), COALESCE(b.email, ''), b.budget_minor,
                COALESCE(b.budget_currency, ''), b.suspended_at_ms, b.provider_customer, o.organisation_id
             FROM organisations o LEFT JOIN billing_accounts b ON b.organisation_id = o.organisation_id
             WHERE o.organisation_id IN {}",
                placeholders(1, organisations.len())
            ),
            ids(organisations),
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.parse(11)?, read(row)?)))
        .collect()
}

/// Ids as parameters.
pub(super) fn ids(organisations: &[OrganisationId]) -> Vec<Value> {
    organisations
        .iter()
        .map(|id| id.to_string().into())
        .collect()
}

fn read(row: &Row) -> Result<Account, DatabaseError> {
    let currency: String = row.get(8)?;
    Ok(Account {
        organisation: row.get(0)?,
        legal_name: row.get(1)?,
        address: row.get(2)?,
        country: row.get(3)?,
        region: row.get(4)?,
        tax_id: row.get(5)?,
        email: row.get(6)?,
        budget_minor: row.get(7)?,
        budget_currency: currency.parse().ok(),
        suspended_at_ms: row.get(9)?,
        provider_customer: row.get(10)?,
    })
}

/// Locks an organisation's billing until the transaction ends.
pub async fn lock_account(
    connection: &Connection,
    organisation_id: OrganisationId,
) -> Result<(), DatabaseError> {
    lock_accounts(connection, &[organisation_id]).await
}

/// Locks the billing of several organisations until the transaction ends. They are locked in the order
/// given: two who lock more than one must both sort them.
pub async fn lock_accounts(
    connection: &Connection,
    organisations: &[OrganisationId],
) -> Result<(), DatabaseError> {
    let rows: Vec<String> = (1..=organisations.len())
        .map(|place| format!("(${place}, '', '', '', '', '', '', '')"))
        .collect();
    let sql = format!(
        "INSERT INTO billing_accounts (organisation_id, legal_name, address, country, region,
            tax_id, email, budget_currency) VALUES {}
         ON CONFLICT (organisation_id) DO UPDATE SET email = billing_accounts.email",
        rows.join(", ")
    );
    connection.execute(&sql, ids(organisations)).await?;
    Ok(())
}

/// Stores what a partner filled in. Call it inside a transaction, behind [`lock_account`].
pub async fn put_account(
    connection: &Connection,
    organisation_id: OrganisationId,
    account: &Account,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "UPDATE billing_accounts SET legal_name = $2, address = $3, country = $4, region = $5,
                tax_id = $6, email = $7, budget_minor = $8, budget_currency = $9
             WHERE organisation_id = $1",
            params![
                organisation_id.to_string(),
                &account.legal_name,
                &account.address,
                &account.country,
                &account.region,
                &account.tax_id,
                &account.email,
                account.budget_minor,
                account
                    .budget_currency
                    .map(|currency| currency.as_str().to_owned())
                    .unwrap_or_default(),
            ],
        )
        .await?;
    Ok(())
}

/// Whether live calls are stopped because an invoice is overdue.
pub async fn is_suspended_for_payment(
    connection: &Connection,
    organisation_id: OrganisationId,
) -> Result<bool, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT suspended_at_ms FROM billing_accounts WHERE organisation_id = $1",
            params![organisation_id.to_string()],
        )
        .await?;
    row.map_or(Ok(false), |row| Ok(row.get::<Option<i64>>(0)?.is_some()))
}
