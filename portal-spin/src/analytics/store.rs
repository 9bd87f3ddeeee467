//! What reports read: calls by partner, product and month. Only sums, never cells.

use std::collections::BTreeMap;

use super::calendar::DAY_MS;
use super::period::Days;
use crate::database::{Connection, DatabaseError, Row};
use crate::params;

/// Calls of something over a span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Let through, whatever the answer.
    pub calls: i64,
    /// 2xx.
    pub successes: i64,
    /// 4xx.
    pub client_errors: i64,
    /// 5xx.
    pub server_errors: i64,
    /// Refused by a rate limit.
    pub rate_limited: i64,
    /// Refused by the quota.
    pub quota_exceeded: i64,
    /// Refused at the gateway for any reason, limits included.
    pub refused: i64,
}

impl Calls {
    const SUMS: &str = "CAST(SUM(d.calls) AS BIGINT), CAST(SUM(d.successes) AS BIGINT),
        CAST(SUM(d.client_errors) AS BIGINT), CAST(SUM(d.server_errors) AS BIGINT),
        CAST(SUM(d.rate_limited) AS BIGINT), CAST(SUM(d.quota_exceeded) AS BIGINT),
        CAST(SUM(d.refused) AS BIGINT)";

    fn read(row: &Row, first: usize) -> Result<Self, DatabaseError> {
        Ok(Self {
            calls: row.get(first)?,
            successes: row.get(first + 1)?,
            client_errors: row.get(first + 2)?,
            server_errors: row.get(first + 3)?,
            rate_limited: row.get(first + 4)?,
            quota_exceeded: row.get(first + 5)?,
            refused: row.get(first + 6)?,
        })
    }

    /// Let through or refused.
    pub const fn all(&self) -> i64 {
        self.calls + self.refused
    }

    /// Refused by a limit.
    pub const fn limited(&self) -> i64 {
        self.rate_limited + self.quota_exceeded
    }

    /// Adds others.
    pub const fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.successes += other.successes;
        self.client_errors += other.client_errors;
        self.server_errors += other.server_errors;
        self.rate_limited += other.rate_limited;
        self.quota_exceeded += other.quota_exceeded;
        self.refused += other.refused;
    }
}

/// Live calls of a span, row by row: the running totals at the ends of its whole months, one of them
/// negative, and the days around these.
async fn live_rows(connection: &Connection, days: Days) -> Result<String, DatabaseError> {
    const COUNTERS: [&str; 7] = [
        "calls",
        "successes",
        "client_errors",
        "server_errors",
        "rate_limited",
        "quota_exceeded",
        "refused",
    ];
    let columns = |sign: &str| {
        let each = COUNTERS.map(|counter| format!("{sign}{counter} AS {counter}"));
        format!("organisation_id, product_id, {}", each.join(", "))
    };
    let parts = days.parts();
    let mut rows: Vec<String> = parts
        .days
        .iter()
        .map(|days| {
            format!(
                "SELECT {} FROM partner_days WHERE environment = 'live' AND day >= {} AND day < {}",
                columns(""),
                days.from,
                days.to
            )
        })
        .collect();
    if let Some((from, to)) = parts.months {
        let last = number(
            connection,
            "SELECT COALESCE(MAX(month), -1) FROM live_totals",
        )
        .await?;
        for (sign, month) in [("", to - 1), ("-", from - 1)] {
            rows.push(format!(
                "SELECT {} FROM live_totals WHERE month = {}",
                columns(sign),
                month.min(last)
            ));
        }
    }
    Ok(format!("({}) d", rows.join(" UNION ALL ")))
}

/// Live calls by partner.
pub async fn live_calls_by_partner(
    connection: &Connection,
    days: Days,
) -> Result<BTreeMap<String, Calls>, DatabaseError> {
    let sql = format!(
        "SELECT d.organisation_id, {} FROM {} GROUP BY d.organisation_id
         HAVING SUM(d.calls) + SUM(d.refused) > 0",
        Calls::SUMS,
        live_rows(connection, days).await?
    );
    let rows = connection.query(&sql, vec![]).await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, Calls::read(row, 1)?)))
        .collect()
}

/// How many partners had a live 2xx.
pub async fn count_active(connection: &Connection, days: Days) -> Result<i64, DatabaseError> {
    let sql = format!(
        "SELECT COUNT(*) FROM (SELECT d.organisation_id FROM {} GROUP BY d.organisation_id
            HAVING SUM(d.successes) > 0) a",
        live_rows(connection, days).await?
    );
    number(connection, &sql).await
}

/// Live calls of a product by a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductCalls {
    /// The product; empty for calls of no subscription.
    pub product_id: String,
    /// The partner.
    pub organisation_id: String,
    /// The calls.
    pub calls: Calls,
}

/// Live calls by product and partner.
pub async fn live_calls_by_product(
    connection: &Connection,
    days: Days,
) -> Result<Vec<ProductCalls>, DatabaseError> {
    let sql = format!(
        "SELECT d.product_id, d.organisation_id, {} FROM {} GROUP BY d.product_id, d.organisation_id
         HAVING SUM(d.calls) + SUM(d.refused) > 0",
        Calls::SUMS,
        live_rows(connection, days).await?
    );
    let rows = connection.query(&sql, vec![]).await?;
    rows.iter()
        .map(|row| {
            Ok(ProductCalls {
                product_id: row.get(0)?,
                organisation_id: row.get(1)?,
                calls: Calls::read(row, 2)?,
            })
        })
        .collect()
}

/// Calls of one partner by day, an environment.
pub async fn calls_of_partner_by_day(
    connection: &Connection,
    organisation_id: &str,
    environment: &str,
    days: Days,
) -> Result<BTreeMap<i64, Calls>, DatabaseError> {
    let sql = format!(
        "SELECT d.day, {} FROM partner_days d
         WHERE d.organisation_id = $1 AND d.environment = $2 AND d.day >= $3 AND d.day < $4
         GROUP BY d.day",
        Calls::SUMS
    );
    let rows = connection
        .query(
            &sql,
            params![organisation_id, environment, days.from, days.to],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, Calls::read(row, 1)?)))
        .collect()
}

/// Partners that were active (a live 2xx), and how they moved, in a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Month {
    /// Active.
    pub active: i64,
    /// Active for the first time.
    pub new: i64,
    /// Active, not in the month before, but earlier.
    pub returned: i64,
    /// Active in the month before and not in this one.
    pub churned: i64,
    /// Their successful live calls.
    pub successes: i64,
}

/// Every month since the first call, as the sums stand; and the month behind the last, with its leavers.
pub async fn list_months(connection: &Connection) -> Result<BTreeMap<i64, Month>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT month, CAST(SUM(partners) AS BIGINT), CAST(SUM(stayed) AS BIGINT),
                CAST(SUM(CASE WHEN first_month = month THEN partners ELSE 0 END) AS BIGINT),
                CAST(SUM(successes) AS BIGINT)
             FROM active_months GROUP BY month ORDER BY month",
            vec![],
        )
        .await?;
    let mut months: BTreeMap<i64, Month> = BTreeMap::new();
    let mut stayed: BTreeMap<i64, i64> = BTreeMap::new();
    for row in rows {
        let (month, active, stay, new): (i64, i64, i64, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let entry = months.entry(month).or_default();
        (entry.active, entry.new, entry.successes) = (active, new, row.get(4)?);
        stayed.insert(month + 1, stay);
        months.entry(month + 1).or_default().churned = active - stay;
    }
    for (number, month) in &mut months {
        let stay = stayed.get(number).copied().unwrap_or_default();
        month.returned = month.active - month.new - stay;
    }
    Ok(months)
}

/// How many partners of each month of first live call were active so many months later.
pub async fn list_retention(
    connection: &Connection,
) -> Result<BTreeMap<i64, BTreeMap<i64, i64>>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT first_month, month - first_month, partners FROM active_months",
            vec![],
        )
        .await?;
    let mut cohorts: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
    for row in rows {
        cohorts
            .entry(row.get(0)?)
            .or_default()
            .insert(row.get(1)?, row.get(2)?);
    }
    Ok(cohorts)
}

/// Live calls by partner and week, of these weeks.
pub async fn live_successes_by_week(
    connection: &Connection,
    weeks: std::ops::Range<i64>,
) -> Result<BTreeMap<String, BTreeMap<i64, i64>>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT organisation_id, week, CAST(SUM(successes) AS BIGINT) FROM partner_weeks
             WHERE environment = 'live' AND successes > 0 AND week >= $1 AND week < $2
             GROUP BY organisation_id, week",
            params![weeks.start, weeks.end],
        )
        .await?;
    let mut partners: BTreeMap<String, BTreeMap<i64, i64>> = BTreeMap::new();
    for row in rows {
        partners
            .entry(row.get(0)?)
            .or_default()
            .insert(row.get(1)?, row.get(2)?);
    }
    Ok(partners)
}

/// The day of the last live 2xx of partners that had one since this month, and none since that one.
pub async fn last_days_of_leavers(
    connection: &Connection,
    since_month: i64,
    left_month: i64,
) -> Result<Vec<(i64, String)>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT MAX(d.day), g.organisation_id FROM (
                SELECT organisation_id FROM partner_months
                WHERE environment = 'live' AND successes > 0 AND month >= $1
                GROUP BY organisation_id HAVING MAX(month) < $2) g
             JOIN partner_days d ON d.organisation_id = g.organisation_id AND d.environment = 'live'
                AND d.successes > 0
             GROUP BY g.organisation_id",
            params![since_month, left_month],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}

/// How many partners had made a live call answered 2xx before this day, and how many of them were issued an
/// invoice above zero before it.
pub async fn count_live_and_paying(
    connection: &Connection,
    day: i64,
) -> Result<(i64, i64), DatabaseError> {
    let end_ms = day.saturating_mul(DAY_MS);
    let row = connection
        .query_one(
            "SELECT COUNT(*), COUNT(p.organisation_id) FROM partner_milestones l
             LEFT JOIN partner_milestones p ON p.organisation_id = l.organisation_id
                AND p.milestone = 'paying' AND p.at_ms < $1
             WHERE l.milestone = 'first_live_call' AND l.at_ms < $2",
            params![end_ms, end_ms],
        )
        .await?;
    Ok((row.get(0)?, row.get(1)?))
}

/// Views of the sign-up page by source.
pub async fn visits_by_source(
    connection: &Connection,
    days: Days,
) -> Result<BTreeMap<String, i64>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT source, CAST(SUM(views) AS BIGINT) FROM visits WHERE day >= $1 AND day < $2
             GROUP BY source",
            params![days.from, days.to],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}

/// Names of all products.
pub async fn product_names(
    connection: &Connection,
) -> Result<BTreeMap<String, String>, DatabaseError> {
    let rows = connection
        .query("SELECT product_id, name FROM products", vec![])
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}

/// What was recorded when partners cancelled, the newest of each.
pub async fn cancellation_reasons(
    connection: &Connection,
) -> Result<BTreeMap<String, String>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT a.organisation_id, s.cancellation_reason
             FROM subscriptions s JOIN apps a ON a.app_id = s.app_id
             WHERE s.cancellation_reason IS NOT NULL AND s.cancellation_reason <> ''
             ORDER BY COALESCE(s.cancelled_at_ms, s.ends_at_ms, 0), s.subscription_id",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}

/// A standing subscription on a plan that one partner alone may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOff {
    /// The partner.
    pub organisation_id: String,
    /// Its name.
    pub name: String,
    /// The app.
    pub app: String,
    /// The product.
    pub product: String,
    /// The plan.
    pub plan: String,
}

/// Who has a one-off price.
pub async fn list_one_off(connection: &Connection) -> Result<Vec<OneOff>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT o.organisation_id, o.name, a.name, r.name, p.name
             FROM subscriptions s JOIN plans p ON p.plan_id = s.plan_id
             JOIN products r ON r.product_id = s.product_id
             JOIN apps a ON a.app_id = s.app_id
             JOIN organisations o ON o.organisation_id = a.organisation_id
             WHERE p.private_organisation_id IS NOT NULL AND s.cancelled_at_ms IS NULL
             ORDER BY o.name, a.name",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(OneOff {
                organisation_id: row.get(0)?,
                name: row.get(1)?,
                app: row.get(2)?,
                product: row.get(3)?,
                plan: row.get(4)?,
            })
        })
        .collect()
}

/// A row count or any other single number.
pub async fn number(connection: &Connection, sql: &str) -> Result<i64, DatabaseError> {
    connection.query_one(sql, vec![]).await?.get(0)
}
