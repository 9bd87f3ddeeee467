//! The operator's table of tax rates, and which of them an invoice carries.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accounts::Account;
use super::decimal::{Decimal, parse_decimal};
use super::invoice::Tax;
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row, Value, placeholders};
use crate::params;
use crate::web::Failure;

/// A rate of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TaxRate {
    /// Names the rate.
    pub id: String,
    /// As on the invoice: `VAT 19%`.
    pub name: String,
    /// ISO 3166 code of the buyer's country.
    pub country: String,
    /// The buyer's region; empty for the whole country.
    pub region: String,
    /// A decimal string.
    pub percent: String,
    /// Whether a buyer with a tax number accounts for it.
    pub reverse_charge: bool,
    /// From when.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub from: i64,
    /// Until when.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub until: Option<i64>,
}

/// A new rate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaxRateRequest {
    /// As on the invoice: `VAT 19%`.
    pub name: String,
    /// ISO 3166 code of the buyer's country.
    pub country: String,
    /// The buyer's region; empty for the whole country.
    #[serde(default)]
    pub region: String,
    /// A decimal string.
    pub percent: String,
    /// Whether a buyer with a tax number accounts for it.
    #[serde(default)]
    pub reverse_charge: bool,
}

/// Two capital letters, or nothing.
pub fn read_country(text: &str) -> Result<String, Failure> {
    let country = text.trim().to_ascii_uppercase();
    if country.is_empty() || country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(country);
    }
    Err(Failure::field(
        "country",
        "malformed",
        "Give the two letters of the country, such as DE.",
    ))
}

/// A decimal from 0 to 100.
pub fn read_percent(text: &str) -> Result<String, Failure> {
    let in_range = |number: &Decimal| *number >= 0 && *number <= 100;
    match parse_decimal(text.trim()) {
        Ok(number) if in_range(&number) && number.fractional_digit_count() <= 6 => {
            Ok(text.trim().to_owned())
        }
        _ => Err(Failure::field(
            "percent",
            "out_of_range",
            "Give a number from 0 to 100, such as 19 or 7.7.",
        )),
    }
}

/// Adds a rate from now on. Call it inside a transaction.
pub async fn add_rate(context: &Context, request: &TaxRateRequest) -> Result<String, Failure> {
    let country = read_country(&request.country)?;
    if country.is_empty() {
        return Err(Failure::field(
            "country",
            "required",
            "Give the buyer's country.",
        ));
    }
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > 60 {
        return Err(Failure::field(
            "name",
            "required",
            "Say what invoices call it, in up to 60 characters.",
        ));
    }
    let percent = read_percent(&request.percent)?;
    let id = format!(
        "{:012x}{}",
        context.now_ms,
        crate::encoding::hex(&context.random::<4>())
    );
    context
        .connection
        .execute(
            "INSERT INTO tax_rates (tax_rate_id, name, country, region, percent, reverse_charge, from_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params![
                &id,
                name,
                country,
                request.region.trim(),
                percent,
                i64::from(request.reverse_charge),
                context.now_ms
            ],
        )
        .await?;
    Ok(id)
}

/// Ends a rate now. Answers whether there was one in force.
pub async fn end_rate(context: &Context, tax_rate_id: &str) -> Result<bool, DatabaseError> {
    let ended = context
        .connection
        .execute(
            "UPDATE tax_rates SET until_ms = $2 WHERE tax_rate_id = $1 AND until_ms IS NULL",
            params![tax_rate_id, context.now_ms],
        )
        .await?;
    Ok(ended == 1)
}

const COLUMNS: &str =
    "tax_rate_id, name, country, region, percent, reverse_charge, from_ms, until_ms";

fn read(row: &Row) -> Result<TaxRate, DatabaseError> {
    Ok(TaxRate {
        id: row.get(0)?,
        name: row.get(1)?,
        country: row.get(2)?,
        region: row.get(3)?,
        percent: row.get(4)?,
        reverse_charge: row.get(5)?,
        from: row.get(6)?,
        until: row.get(7)?,
    })
}

/// The table, newest first.
pub async fn list_rates(connection: &Connection) -> Result<Vec<TaxRate>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM tax_rates ORDER BY tax_rate_id DESC LIMIT 500");
    let rows = connection.query(&sql, vec![]).await?;
    rows.iter().map(read).collect()
}

/// Every rate of these buyers' countries, present and past.
pub async fn list_rates_for<'a>(
    connection: &Connection,
    buyers: impl Iterator<Item = &'a Account>,
) -> Result<Vec<TaxRate>, DatabaseError> {
    let countries: BTreeSet<&str> = buyers
        .map(|account| account.country.as_str())
        .filter(|country| !country.is_empty())
        .collect();
    if countries.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM tax_rates WHERE country IN {} ORDER BY region, tax_rate_id",
        placeholders(1, countries.len())
    );
    let countries = countries.into_iter().map(Value::from).collect();
    let rows = connection.query(&sql, countries).await?;
    rows.iter().map(read).collect()
}

/// Rates in force for a buyer at the boundary that is billed, of [`list_rates_for`].
pub fn applying(rates: &[TaxRate], account: &Account, at_ms: i64) -> Vec<Tax> {
    let is_theirs = |rate: &&TaxRate| {
        rate.country == account.country
            && (rate.region.is_empty() || rate.region == account.region)
            && rate.from <= at_ms
            && rate.until.is_none_or(|until| until > at_ms)
    };
    rates
        .iter()
        .filter(is_theirs)
        .map(|rate| Tax {
            name: rate.name.clone(),
            percent: rate.percent.clone(),
            is_reversed: rate.reverse_charge && !account.tax_id.is_empty(),
        })
        .collect()
}
