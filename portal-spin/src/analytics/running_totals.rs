//! Totals from the beginning up to each month, and who was active in it: what long spans are read from.
//!
//! A total depends on all months before, so a change is followed by every month after it. Usage comes in
//! the month that runs, or the one before: that is one month or two.

use super::calendar::first_day_of_month;
use super::refresh::COUNTERS;
use super::store::number;
use crate::database::{Connection, DatabaseError};
use crate::params;

/// Adds up live calls from this month on.
pub async fn add_up_live_calls(
    connection: &Connection,
    first_changed: i64,
) -> Result<(), DatabaseError> {
    let last = number(
        connection,
        "SELECT COALESCE(MAX(month), -1) FROM partner_months",
    )
    .await?;
    let sums: Vec<String> = COUNTERS
        .split(", ")
        .map(|counter| format!("CAST(SUM(d.{counter}) AS BIGINT)"))
        .collect();
    let sql = format!(
        "INSERT INTO live_totals (month, organisation_id, product_id, {COUNTERS})
         SELECT CAST($1 AS BIGINT), d.organisation_id, d.product_id, {}
         FROM (SELECT organisation_id, product_id, {COUNTERS} FROM live_totals WHERE month = $2
            UNION ALL SELECT organisation_id, product_id, {COUNTERS} FROM partner_months
            WHERE month = $3 AND environment = 'live') d
         GROUP BY d.organisation_id, d.product_id",
        sums.join(", ")
    );
    connection
        .execute(
            "DELETE FROM live_totals WHERE month >= $1",
            params![first_changed],
        )
        .await?;
    // Months in which nobody called have totals too.
    let newest: Option<i64> = connection
        .query_one("SELECT MAX(month) FROM live_totals", vec![])
        .await?
        .get(0)?;
    let first = newest.map_or(first_changed, |newest| newest + 1);
    for month in first..=last {
        connection
            .execute(&sql, params![month, month - 1, month])
            .await?;
    }
    note_active_partners(connection, first_changed - 1, last).await
}

/// Counts who was active in these months, and who of them also in the month after.
async fn note_active_partners(
    connection: &Connection,
    first: i64,
    last: i64,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "DELETE FROM active_months WHERE month >= $1",
            params![first],
        )
        .await?;
    for month in first..=last {
        connection
            .execute(
                "INSERT INTO active_months (month, first_month, partners, stayed, successes)
                 SELECT CAST($1 AS BIGINT), a.first_month, COUNT(*), CAST(SUM(a.stayed) AS BIGINT),
                    CAST(SUM(a.successes) AS BIGINT)
                 FROM (SELECT d.organisation_id, SUM(d.successes) AS successes,
                        (SELECT MIN(f.month) FROM partner_months f
                         WHERE f.organisation_id = d.organisation_id AND f.environment = 'live'
                            AND f.successes > 0) AS first_month,
                        CASE WHEN EXISTS (SELECT 1 FROM partner_months n
                            WHERE n.organisation_id = d.organisation_id AND n.environment = 'live'
                                AND n.month = d.month + 1 AND n.successes > 0) THEN 1 ELSE 0 END AS stayed
                    FROM partner_months d
                    WHERE d.month = $2 AND d.environment = 'live' AND d.successes > 0
                    GROUP BY d.organisation_id, d.month) a
                 GROUP BY a.first_month",
                params![month, month],
            )
            .await?;
    }
    Ok(())
}

/// Adds up the revenue of a currency from this month on.
pub async fn add_up_revenue(
    connection: &Connection,
    currency: &str,
    first_changed: i64,
) -> Result<(), DatabaseError> {
    let newest: Option<i64> = connection
        .query_one(
            "SELECT MAX(day) FROM revenue_lines WHERE currency = $1",
            params![currency],
        )
        .await?
        .get(0)?;
    for table in ["revenue_totals", "revenue_months"] {
        connection
            .execute(
                &format!("DELETE FROM {table} WHERE currency = $1 AND month >= $2"),
                params![currency, first_changed],
            )
            .await?;
    }
    let Some(newest) = newest else { return Ok(()) };
    let last = super::calendar::month_of_day(newest);
    let newest: Option<i64> = connection
        .query_one(
            "SELECT MAX(month) FROM revenue_totals WHERE currency = $1",
            params![currency],
        )
        .await?
        .get(0)?;
    let first = newest.map_or(first_changed, |newest| newest + 1);
    for month in first..=last {
        let days = (first_day_of_month(month), first_day_of_month(month + 1));
        connection
            .execute(
                "INSERT INTO revenue_totals (currency, month, organisation_id, product_id, total_minor,
                    recurring_minor)
                 SELECT CAST($1 AS TEXT), CAST($2 AS BIGINT), r.organisation_id, r.product_id,
                    CAST(SUM(r.total_minor) AS BIGINT), CAST(SUM(r.recurring_minor) AS BIGINT)
                 FROM (SELECT organisation_id, product_id, total_minor, recurring_minor
                        FROM revenue_totals WHERE currency = $3 AND month = $4
                    UNION ALL SELECT organisation_id, product_id, amount_minor,
                        amount_minor * is_recurring
                        FROM revenue_lines WHERE currency = $5 AND day >= $6 AND day < $7) r
                 GROUP BY r.organisation_id, r.product_id",
                params![currency, month, currency, month - 1, currency, days.0, days.1],
            )
            .await?;
        connection
            .execute(
                "INSERT INTO revenue_months (currency, month, product_id, total_minor, recurring_minor)
                 SELECT CAST($1 AS TEXT), CAST($2 AS BIGINT), product_id, CAST(SUM(amount_minor) AS BIGINT),
                    CAST(SUM(amount_minor * is_recurring) AS BIGINT)
                 FROM revenue_lines WHERE currency = $3 AND day >= $4 AND day < $5
                 GROUP BY product_id",
                params![currency, month, currency, days.0, days.1],
            )
            .await?;
    }
    Ok(())
}
