//! Revenue: issued invoices, line by line, by partner and product. Invoices are billing's; here they are
//! only summed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use shared::money::{Currency, Money};

use super::calendar::{DAY_MS, day_of, first_day_of_month, month_label, month_of, month_of_day};
use super::chart::lines;
use super::partners::by_id;
use super::period::Days;
use super::programme::{frame, partner_link};
use super::report::{Datum, Figure, Report, Table, column, defined};
use super::store;
use super::trend::{self, rank};
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::params;
use crate::web::Failure;

/// Invoices read per tick.
const INVOICES_PER_STEP: i64 = 200;
/// Products in the matrix.
const PRODUCTS_SHOWN: usize = 12;
pub(super) const COUNTS: &str = "lines of issued invoices less credit notes and discounts, before taxes, by the UTC day of issue; voided invoices are left out, a credit note by hand counts whole";

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

/// Reads invoices that were not read before, and notes who began to pay. Answers how many.
pub async fn read_new_invoices(context: &Context) -> Result<u64, DatabaseError> {
    let connection = &context.connection;
    let is_new = "SELECT 1 FROM invoices i WHERE NOT EXISTS (
        SELECT 1 FROM revenue_lines r WHERE r.invoice_id = i.invoice_id) LIMIT 1";
    if connection.query_optional(is_new, vec![]).await?.is_none() {
        return Ok(0);
    }
    connection
        .transaction(async || {
            let rows = connection
                .query(
                    "SELECT i.invoice_id, i.organisation_id, i.currency, i.issued_at_ms, i.total_minor,
                        i.document
                     FROM invoices i WHERE NOT EXISTS (
                        SELECT 1 FROM revenue_lines r WHERE r.invoice_id = i.invoice_id)
                     ORDER BY i.invoice_id LIMIT $1",
                    params![INVOICES_PER_STEP],
                )
                .await?;
            if rows.is_empty() {
                return Ok(0);
            }
            let products = products_of_subscriptions(connection).await?;
            for row in &rows {
                let text: String = row.get(2)?;
                let Ok(currency) = text.parse::<Currency>() else { continue };
                let parts = parts(currency, row.get(4)?, &row.get::<String>(5)?, &products);
                for (number, (product, is_recurring, amount)) in (0_i64..).zip(parts) {
                    connection
                        .execute(
                            "INSERT INTO revenue_lines (invoice_id, line, organisation_id, product_id,
                                currency, day, is_recurring, amount_minor)
                             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                             ON CONFLICT (invoice_id, line) DO NOTHING",
                            params![
                                row.get::<String>(0)?,
                                number,
                                row.get::<String>(1)?,
                                product,
                                &text,
                                day_of(row.get(3)?),
                                i64::from(is_recurring),
                                amount,
                            ],
                        )
                        .await?;
                }
            }
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
            Ok(rows.len() as u64)
        })
        .await
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

/// Revenue of one partner and product on one day.
#[derive(Debug, Clone)]
struct Entry {
    organisation_id: String,
    product_id: String,
    month: i64,
    is_recurring: bool,
    minor: i64,
}

async fn list_entries(
    connection: &Connection,
    currency: Currency,
    days: Days,
) -> Result<Vec<Entry>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT r.organisation_id, r.product_id, r.day, r.is_recurring,
                CAST(SUM(r.amount_minor) AS BIGINT)
             FROM revenue_lines r JOIN invoices i ON i.invoice_id = r.invoice_id
                AND i.voided_at_ms IS NULL
             WHERE r.currency = $1 AND r.day >= $2 AND r.day < $3
             GROUP BY r.organisation_id, r.product_id, r.day, r.is_recurring",
            params![currency.as_str(), days.from, days.to],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Entry {
                organisation_id: row.get(0)?,
                product_id: row.get(1)?,
                month: month_of_day(row.get(2)?),
                is_recurring: row.get(3)?,
                minor: row.get(4)?,
            })
        })
        .collect()
}

/// The currency asked for, or the one of most lines.
pub(super) async fn currency(context: &Context) -> Result<Currency, Failure> {
    if let Some(text) = context.query("currency") {
        return text
            .parse()
            .map_err(|_| Failure::field("currency", "unknown_value", "Give a currency like USD."));
    }
    let row = context
        .connection
        .query_optional(
            "SELECT currency FROM revenue_lines GROUP BY currency ORDER BY COUNT(*) DESC, currency LIMIT 1",
            vec![],
        )
        .await?;
    let text = row.map_or(Ok("USD".to_owned()), |row| row.get::<String>(0))?;
    text.parse()
        .map_err(|_| Failure::internal("an invoice is in a currency that is none"))
}

fn total<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> i64 {
    entries.into_iter().map(|entry| entry.minor).sum()
}

fn by_key<'a>(entries: &'a [Entry], key: impl Fn(&'a Entry) -> &'a str) -> BTreeMap<&'a str, i64> {
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for entry in entries {
        *sums.entry(key(entry)).or_default() += entry.minor;
    }
    sums
}

/// Revenue of each month, in minor units.
pub(super) async fn sum_by_month(
    context: &Context,
    currency: Currency,
    days: Days,
) -> Result<Vec<(i64, i64)>, Failure> {
    let entries = list_entries(&context.connection, currency, days).await?;
    Ok(entries
        .iter()
        .map(|entry| (entry.month, entry.minor))
        .collect())
}

/// The figure that leads.
pub async fn figure(context: &Context, days: Days) -> Result<Figure, Failure> {
    let currency = currency(context).await?;
    let now = list_entries(&context.connection, currency, days).await?;
    let before = list_entries(&context.connection, currency, days.before()).await?;
    Ok(Figure {
        name: "revenue",
        label: "Revenue",
        value: Datum::amount(currency, total(&now)),
        before: Datum::amount(currency, total(&before)),
        definition: COUNTS.to_owned(),
    })
}

/// Who pays, for what, and how it moves.
pub async fn show_revenue(context: &Context) -> Result<Report, Failure> {
    let connection = &context.connection;
    let days = Days::read(context, 12)?;
    let currency = currency(context).await?;
    let amount = |minor: i64| Datum::amount(currency, minor);
    let entries = list_entries(connection, currency, days).await?;
    let before = list_entries(connection, currency, days.before()).await?;
    let mut report = frame(
        "revenue",
        "Revenue",
        "Who pays, for what, and how does it move?",
        days,
    );
    let partners = by_key(&entries, |entry| &entry.organisation_id);
    let paying = |partners: &BTreeMap<&str, i64>| {
        i64::try_from(partners.values().filter(|minor| **minor > 0).count()).unwrap_or(0)
    };
    let all = total(&entries);
    let recurring = total(entries.iter().filter(|entry| entry.is_recurring));
    let ranked = rank(partners.iter().map(|(id, minor)| (*id, *minor)));
    let up_to = |place: usize| {
        let place = place.min(ranked.len());
        let found = place.checked_sub(1).and_then(|place| ranked.get(place));
        Datum::Share(found.map_or(0, |one| one.up_to_here), all)
    };
    let number = paying(&partners);
    let before_partners = by_key(&before, |entry| &entry.organisation_id);
    let plain = |name, label, value, before, definition: &str| Figure {
        name,
        label,
        value,
        before,
        definition: definition.to_owned(),
    };
    report.figures = vec![
        plain(
            "revenue",
            "Revenue",
            amount(all),
            amount(total(&before)),
            COUNTS,
        ),
        plain(
            "paying",
            "Paying partners",
            Datum::Count(number),
            Datum::Count(paying(&before_partners)),
            "organisations with revenue above zero in the span",
        ),
        plain(
            "per_partner",
            "Per paying partner",
            number_of(all.checked_div(number).map(amount)),
            number_of(
                total(&before)
                    .checked_div(paying(&before_partners))
                    .map(amount),
            ),
            "revenue by paying partners",
        ),
        plain(
            "recurring",
            "Recurring",
            Datum::Share(recurring, all),
            Datum::Nothing,
            "share of lines without a quantity (fees); the rest is usage and discounts",
        ),
        plain(
            "top_1",
            "The largest partner",
            up_to(1),
            Datum::Nothing,
            "share of all revenue in the span",
        ),
        plain(
            "top_5",
            "The five largest",
            up_to(5),
            Datum::Nothing,
            "share of all revenue in the span",
        ),
    ];
    report.figures.push(forecast(context, currency).await?);
    report.tables.push(by_month(&entries, currency, days));
    let journeys = store::list_journeys(connection).await?;
    let known = by_id(&journeys);
    let mut touches: BTreeMap<String, i64> = BTreeMap::new();
    for touch in store::list_touches(connection, days.from * DAY_MS).await? {
        if days.holds(touch.at_ms) {
            *touches.entry(touch.organisation_id).or_default() += 1;
        }
    }
    let all_touches: i64 = touches.values().sum();
    report.tables.push(Table {
        name: "partners",
        title: "Partners by revenue".to_owned(),
        definition: COUNTS.to_owned(),
        columns: vec![
            column("Partner"),
            column("Revenue"),
            defined("Share", "of all revenue in the span"),
            defined("Up to here", "this partner's share and those of all above"),
            defined("Change", "against the span before"),
            defined("Human touches", "actions of the operator's staff on the partner in the span"),
            defined("Share of touches", "of all human touches in the span"),
            defined("Remark", "quiet and big: a tenth of revenue or more, and less than half of that share of the touches"),
        ],
        rows: ranked
            .iter()
            .filter_map(|one| {
                let touched = touches.get(one.key).copied().unwrap_or_default();
                let is_big = all > 0 && one.amount.saturating_mul(10) >= all;
                let is_quiet = i128::from(touched) * i128::from(all) * 2
                    < i128::from(one.amount) * i128::from(all_touches.max(1));
                Some(vec![
                    partner_link(one.key, &known.get(one.key)?.name),
                    amount(one.amount),
                    Datum::Share(one.amount, all),
                    Datum::Share(one.up_to_here, all),
                    Datum::Change(before_partners.get(one.key).copied().unwrap_or_default(), one.amount),
                    Datum::Count(touched),
                    Datum::Share(touched, all_touches),
                    Datum::Text(if is_big && is_quiet { "quiet and big" } else { "" }.to_owned()),
                ])
            })
            .collect(),
        chart: None,
    });
    let names = store::product_names(connection).await?;
    let name = |id: &str| {
        names
            .get(id)
            .cloned()
            .unwrap_or_else(|| "(discounts and credit)".to_owned())
    };
    let products = rank(by_key(&entries, |entry| &entry.product_id));
    let users = |product: &str| -> i64 {
        let ids: BTreeSet<&str> = entries
            .iter()
            .filter(|entry| entry.product_id == product && entry.minor > 0)
            .map(|entry| entry.organisation_id.as_str())
            .collect();
        i64::try_from(ids.len()).unwrap_or(0)
    };
    report.tables.push(Table {
        name: "products",
        title: "Products by revenue".to_owned(),
        definition: "Which products earn most, and per partner.".to_owned(),
        columns: [
            "Product",
            "Revenue",
            "Share",
            "Paying partners",
            "Per paying partner",
        ]
        .map(column)
        .to_vec(),
        rows: products
            .iter()
            .map(|one| {
                let users = users(one.key);
                vec![
                    Datum::Text(name(one.key)),
                    amount(one.amount),
                    Datum::Share(one.amount, all),
                    Datum::Count(users),
                    number_of(one.amount.checked_div(users).map(amount)),
                ]
            })
            .collect(),
        chart: None,
    });
    let shown: Vec<&str> = products
        .iter()
        .take(PRODUCTS_SHOWN)
        .map(|one| one.key)
        .collect();
    let mut cells: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for entry in &entries {
        *cells
            .entry((&entry.organisation_id, &entry.product_id))
            .or_default() += entry.minor;
    }
    let mut columns = vec![column("Partner")];
    columns.extend(shown.iter().map(|id| column(&name(id))));
    report.tables.push(Table {
        name: "matrix",
        title: "Products by partner".to_owned(),
        definition: format!("Revenue in the span; the {PRODUCTS_SHOWN} largest products."),
        columns,
        rows: ranked
            .iter()
            .filter_map(|one| {
                let mut row = vec![partner_link(one.key, &known.get(one.key)?.name)];
                row.extend(
                    shown.iter().map(|id| {
                        number_of(cells.get(&(one.key, *id)).map(|minor| amount(*minor)))
                    }),
                );
                Some(row)
            })
            .collect(),
        chart: None,
    });
    Ok(report)
}

fn number_of(found: Option<Datum>) -> Datum {
    found.unwrap_or(Datum::Nothing)
}

fn by_month(entries: &[Entry], currency: Currency, days: Days) -> Table {
    let sum = |month: i64, recurring: Option<bool>| {
        Datum::amount(
            currency,
            total(entries.iter().filter(|entry| {
                entry.month == month && recurring.is_none_or(|wanted| wanted == entry.is_recurring)
            })),
        )
    };
    Table {
        name: "months",
        title: "Revenue by month".to_owned(),
        definition: format!("{COUNTS}; of a month that is not over, what is issued so far"),
        columns: vec![
            column("Month"),
            column("Revenue"),
            defined("Recurring", "lines without a quantity: fees"),
            defined("Usage", "lines with a quantity, less discounts and credit"),
        ],
        rows: days
            .month_names()
            .into_iter()
            .map(|(month, label)| {
                vec![
                    Datum::Text(label),
                    sum(month, None),
                    sum(month, Some(true)),
                    sum(month, Some(false)),
                ]
            })
            .collect(),
        chart: lines(&[1, 2, 3]),
    }
}

/// What the month that runs is likely to bring, from the 24 whole months before.
async fn forecast(context: &Context, currency: Currency) -> Result<Figure, Failure> {
    let present = month_of(context.now_ms);
    let days = Days {
        from: first_day_of_month(present - 24),
        to: first_day_of_month(present),
    };
    let entries = list_entries(&context.connection, currency, days).await?;
    let first = entries
        .iter()
        .map(|entry| entry.month)
        .min()
        .unwrap_or(present);
    let series: Vec<i64> = (first..present)
        .map(|month| total(entries.iter().filter(|entry| entry.month == month)))
        .collect();
    let found = trend::forecast(&series);
    Ok(Figure {
        name: "forecast",
        label: "Forecast for this month",
        value: number_of(found.map(|found| Datum::amount(currency, found.next))),
        before: number_of(series.last().map(|last| Datum::amount(currency, *last))),
        definition: found.map_or_else(
            || "needs six whole months of revenue".to_owned(),
            |found| {
                format!(
                    "revenue of {}: {}. Tried on the last {} months it was off by {} in all",
                    month_label(present),
                    found.method.describe(),
                    found.months,
                    Datum::Share(found.error, found.tried_on).text()
                )
            },
        ),
    })
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
