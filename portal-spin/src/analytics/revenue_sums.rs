//! Sums of revenue over a span, by partner, product and month: the running totals at the ends of its whole
//! months, and the lines of the days around these.

use std::collections::BTreeMap;

use shared::money::Currency;

use super::calendar::month_of_day;
use super::period::Days;
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::params;
use crate::web::Failure;

/// Revenue of a partner with a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The partner.
    pub organisation_id: String,
    /// The product; empty for discounts and credit.
    pub product_id: String,
    /// In minor units.
    pub minor: i64,
    /// The part of it that is fees.
    pub recurring_minor: i64,
}

/// Revenue of a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MonthSum {
    /// In minor units.
    pub minor: i64,
    /// The part of it that is fees.
    pub recurring_minor: i64,
}

/// The currency asked for, or the one of most partners and months.
pub async fn currency(context: &Context) -> Result<Currency, Failure> {
    if let Some(text) = context.query("currency") {
        return text
            .parse()
            .map_err(|_| Failure::field("currency", "unknown_value", "Give a currency like USD."));
    }
    let row = context
        .connection
        .query_optional(
            "SELECT currency FROM revenue_months GROUP BY currency
             ORDER BY COUNT(*) DESC, currency LIMIT 1",
            vec![],
        )
        .await?;
    let text = row.map_or(Ok("USD".to_owned()), |row| row.get::<String>(0))?;
    text.parse()
        .map_err(|_| Failure::internal("an invoice is in a currency that is none"))
}

/// By partner and product. Who has nothing is left out.
pub async fn by_partner_and_product(
    connection: &Connection,
    currency: Currency,
    days: Days,
) -> Result<Vec<Sum>, DatabaseError> {
    let parts = days.parts();
    let mut rows: Vec<String> = parts
        .days
        .iter()
        .map(|days| {
            format!(
                "SELECT organisation_id, product_id, amount_minor AS total_minor,
                    amount_minor * is_recurring AS recurring_minor
                 FROM revenue_lines WHERE currency = $1 AND day >= {} AND day < {}",
                days.from, days.to
            )
        })
        .collect();
    if let Some((from, to)) = parts.months {
        let last: i64 = connection
            .query_one(
                "SELECT COALESCE(MAX(month), -1) FROM revenue_totals WHERE currency = $1",
                params![currency.as_str()],
            )
            .await?
            .get(0)?;
        for (sign, month) in [("", to - 1), ("-", from - 1)] {
            rows.push(format!(
                "SELECT organisation_id, product_id, {sign}total_minor AS total_minor,
                    {sign}recurring_minor AS recurring_minor
                 FROM revenue_totals WHERE currency = $1 AND month = {}",
                month.min(last)
            ));
        }
    }
    let sql = format!(
        "SELECT r.organisation_id, r.product_id, CAST(SUM(r.total_minor) AS BIGINT),
            CAST(SUM(r.recurring_minor) AS BIGINT)
         FROM ({}) r GROUP BY r.organisation_id, r.product_id
         HAVING SUM(r.total_minor) <> 0 OR SUM(r.recurring_minor) <> 0",
        rows.join(" UNION ALL ")
    );
    let rows = connection.query(&sql, params![currency.as_str()]).await?;
    rows.iter()
        .map(|row| {
            Ok(Sum {
                organisation_id: row.get(0)?,
                product_id: row.get(1)?,
                minor: row.get(2)?,
                recurring_minor: row.get(3)?,
            })
        })
        .collect()
}

/// By month, of the whole programme. Of a month that the span cuts, only its days.
pub async fn by_month(
    connection: &Connection,
    currency: Currency,
    days: Days,
) -> Result<BTreeMap<i64, MonthSum>, DatabaseError> {
    let parts = days.parts();
    let mut months: BTreeMap<i64, MonthSum> = BTreeMap::new();
    let mut add = |month: i64, minor: i64, recurring_minor: i64| {
        let sum = months.entry(month).or_default();
        sum.minor += minor;
        sum.recurring_minor += recurring_minor;
    };
    if let Some((from, to)) = parts.months {
        let rows = connection
            .query(
                "SELECT month, CAST(SUM(total_minor) AS BIGINT), CAST(SUM(recurring_minor) AS BIGINT)
                 FROM revenue_months WHERE currency = $1 AND month >= $2 AND month < $3
                 GROUP BY month",
                params![currency.as_str(), from, to],
            )
            .await?;
        for row in rows {
            add(row.get(0)?, row.get(1)?, row.get(2)?);
        }
    }
    for days in parts.days {
        let rows = connection
            .query(
                "SELECT day, CAST(SUM(amount_minor) AS BIGINT),
                    CAST(SUM(amount_minor * is_recurring) AS BIGINT)
                 FROM revenue_lines WHERE currency = $1 AND day >= $2 AND day < $3 GROUP BY day",
                params![currency.as_str(), days.from, days.to],
            )
            .await?;
        for row in rows {
            add(month_of_day(row.get(0)?), row.get(1)?, row.get(2)?);
        }
    }
    Ok(months)
}

/// All of it.
pub async fn total(
    connection: &Connection,
    currency: Currency,
    days: Days,
) -> Result<i64, DatabaseError> {
    let months = by_month(connection, currency, days).await?;
    Ok(months.values().map(|month| month.minor).sum())
}
