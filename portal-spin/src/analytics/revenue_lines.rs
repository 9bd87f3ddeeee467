//! Invoices read into lines of revenue by partner, product and day. Invoices are billing's and never
//! change; the lines are derived and can be made again.

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::money::{Currency, Money};

use super::calendar::{day_of, month_of_day};
use super::running_totals::add_up_revenue;
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row, Value, placeholders};
use crate::params;

/// Invoices read per tick.
const INVOICES_PER_STEP: i64 = 500;
/// Lines per statement.
const LINES_PER_STATEMENT: usize = 200;

/// What is read of an invoice's document.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    lines: Vec<Line>,
    discounts: Vec<Amount>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    subscription_id: String,
    quantity: Option<String>,
    amount: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Amount {
    amount: String,
}

/// How many invoices there are, and how many of them void.
async fn count_invoices(connection: &Connection) -> Result<[i64; 2], DatabaseError> {
    let row = connection
        .query_one(
            "SELECT (SELECT COUNT(*) FROM invoices),
                (SELECT COUNT(*) FROM invoices WHERE voided_at_ms IS NOT NULL)",
            vec![],
        )
        .await?;
    Ok([row.get(0)?, row.get(1)?])
}

/// The same, when all had been read.
async fn counts_read(connection: &Connection) -> Result<[i64; 2], DatabaseError> {
    let row = connection
        .query_optional("SELECT invoices, voided FROM revenue_reading", vec![])
        .await?;
    row.map_or(Ok([0, 0]), |row| Ok([row.get(0)?, row.get(1)?]))
}

/// Reads invoices that were not read before, forgets those that were voided since, and notes who began to
/// pay. Answers how many it read.
pub async fn read_new_invoices(context: &Context) -> Result<u64, DatabaseError> {
    let connection = &context.connection;
    // Invoices are never removed: as many as were read are the same ones.
    if count_invoices(connection).await? == counts_read(connection).await? {
        return Ok(0);
    }
    connection
        .transaction(async || {
            let [all, voided] = count_invoices(connection).await?;
            let [_, voided_before] = counts_read(connection).await?;
            let mut changed: BTreeMap<String, i64> = BTreeMap::new();
            if voided != voided_before {
                forget_voided(connection, &mut changed).await?;
            }
            let read = read_step(connection, &mut changed).await?;
            for (currency, month) in &changed {
                add_up_revenue(connection, currency, *month).await?;
            }
            note_who_pays(connection).await?;
            let invoices = if read == INVOICES_PER_STEP { -1 } else { all };
            connection
                .execute(
                    "INSERT INTO revenue_reading (revenue_reading_id, invoices, voided) VALUES (1, $1, $2)
                     ON CONFLICT (revenue_reading_id) DO UPDATE SET invoices = excluded.invoices,
                        voided = excluded.voided",
                    params![invoices, voided],
                )
                .await?;
            Ok(read.unsigned_abs())
        })
        .await
}

/// Notes that a currency's sums differ from this month on.
fn note_change(changed: &mut BTreeMap<String, i64>, currency: &str, month: i64) {
    let first = changed.entry(currency.to_owned()).or_insert(month);
    *first = month.min(*first);
}

async fn forget_voided(
    connection: &Connection,
    changed: &mut BTreeMap<String, i64>,
) -> Result<(), DatabaseError> {
    let rows = connection
        .query(
            "SELECT r.currency, MIN(r.day) FROM invoices i
             JOIN revenue_lines r ON r.invoice_id = i.invoice_id
             WHERE i.voided_at_ms IS NOT NULL GROUP BY r.currency",
            vec![],
        )
        .await?;
    for row in rows {
        note_change(changed, &row.get::<String>(0)?, month_of_day(row.get(1)?));
    }
    connection
        .execute(
            "DELETE FROM revenue_lines WHERE invoice_id IN (
                SELECT invoice_id FROM invoices WHERE voided_at_ms IS NOT NULL)",
            vec![],
        )
        .await?;
    Ok(())
}

/// Reads the next invoices, oldest first; answers how many.
async fn read_step(
    connection: &Connection,
    changed: &mut BTreeMap<String, i64>,
) -> Result<i64, DatabaseError> {
    let rows = connection
        .query(
            "SELECT i.invoice_id, i.organisation_id, i.currency, i.issued_at_ms, i.total_minor,
                i.document
             FROM invoices i WHERE i.voided_at_ms IS NULL AND NOT EXISTS (
                SELECT 1 FROM revenue_lines r WHERE r.invoice_id = i.invoice_id)
             ORDER BY i.invoice_id LIMIT $1",
            params![INVOICES_PER_STEP],
        )
        .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let products = products_of_subscriptions(connection).await?;
    let mut lines: Vec<Vec<Value>> = Vec::with_capacity(rows.len() * 3);
    for row in &rows {
        lines.extend(lines_of(row, &products, changed)?);
    }
    for chunk in lines.chunks(LINES_PER_STATEMENT) {
        connection
            .execute(
                &format!(
                    "INSERT INTO revenue_lines (invoice_id, line, organisation_id, product_id, currency,
                        day, is_recurring, amount_minor)
                     VALUES {} ON CONFLICT (invoice_id, line) DO NOTHING",
                    placeholders(chunk.len(), 8)
                ),
                chunk.concat(),
            )
            .await?;
    }
    Ok(i64::try_from(rows.len()).unwrap_or(i64::MAX))
}

/// The rows of an invoice.
fn lines_of(
    row: &Row,
    products: &BTreeMap<String, String>,
    changed: &mut BTreeMap<String, i64>,
) -> Result<Vec<Vec<Value>>, DatabaseError> {
    let (invoice_id, organisation_id): (String, String) = (row.get(0)?, row.get(1)?);
    let text: String = row.get(2)?;
    let Ok(currency) = text.parse::<Currency>() else {
        return Ok(Vec::new());
    };
    let day = day_of(row.get(3)?);
    note_change(changed, &text, month_of_day(day));
    let parts = parts(currency, row.get(4)?, &row.get::<String>(5)?, products);
    Ok((0_i64..)
        .zip(parts)
        .map(|(number, (product, is_recurring, amount))| {
            params![
                &invoice_id,
                number,
                &organisation_id,
                product,
                &text,
                day,
                i64::from(is_recurring),
                amount,
            ]
        })
        .collect())
}

async fn note_who_pays(connection: &Connection) -> Result<(), DatabaseError> {
    connection
        .execute(
            "INSERT INTO partner_milestones (organisation_id, milestone, at_ms)
             SELECT i.organisation_id, 'paying', MIN(i.issued_at_ms) FROM invoices i
             WHERE i.kind = 'invoice' AND i.total_minor > 0 AND i.voided_at_ms IS NULL
                AND NOT EXISTS (SELECT 1 FROM partner_milestones m
                    WHERE m.organisation_id = i.organisation_id AND m.milestone = 'paying')
             GROUP BY i.organisation_id
             ON CONFLICT (organisation_id, milestone) DO NOTHING",
            vec![],
        )
        .await?;
    Ok(())
}

async fn products_of_subscriptions(
    connection: &Connection,
) -> Result<BTreeMap<String, String>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT subscription_id, product_id FROM subscriptions",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}

/// Product, whether it recurs, minor units: first the discounts, then each line. A document without
/// lines (a credit note by hand) is its total.
fn parts(
    currency: Currency,
    total_minor: i64,
    document: &str,
    products: &BTreeMap<String, String>,
) -> Vec<(String, bool, i64)> {
    let document: Document = serde_json::from_str(document).unwrap_or_default();
    let minor = |text: &str| Money::from_major(currency, text).map_or(0, |money| money.minor);
    if document.lines.is_empty() {
        return vec![(String::new(), false, total_minor)];
    }
    let discounts = document
        .discounts
        .iter()
        .map(|one| minor(&one.amount))
        .sum();
    let mut parts = vec![(String::new(), false, discounts)];
    parts.extend(document.lines.iter().map(|line| {
        let product = products
            .get(&line.subscription_id)
            .cloned()
            .unwrap_or_default();
        (product, line.quantity.is_none(), minor(&line.amount))
    }));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_split_into_discounts_fees_and_usage() {
        let usd: Currency = "USD".parse().unwrap();
        let products = BTreeMap::from([("sub_1".to_owned(), "prd_1".to_owned())]);
        let document = r#"{"lines":[{"subscription_id":"sub_1","amount":"20.00"},
            {"subscription_id":"sub_1","quantity":"7","amount":"1.50"}],
            "discounts":[{"amount":"-2.15"}],"taxes":[{"amount":"4.00"}],"total":"23.35"}"#;
        let found = parts(usd, 2_335, document, &products);
        assert_eq!(
            found,
            [
                (String::new(), false, -215),
                ("prd_1".to_owned(), true, 2_000),
                ("prd_1".to_owned(), false, 150)
            ]
        );
        let credit = parts(usd, -500, r#"{"kind":"credit_note"}"#, &products);
        assert_eq!(credit, [(String::new(), false, -500)]);
    }
}
