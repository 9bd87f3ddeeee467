//! The tick's part: sums of days, weeks and months by partner, and the first successes of each.
//!
//! Everything here is derived and can be made again: metering says which days changed, and those are
//! summed anew whole.

use super::calendar::{DAY_MS, first_day_of_month, first_day_of_week, month_of_day, week_of_day};
use super::{revenue_lines, running_totals};
use crate::context::Context;
use crate::database::{Connection, DatabaseError};
use crate::{metering, params};

/// Days per tick: each is one transaction's work, and other writers wait.
const DAYS_PER_STEP: i64 = 31;
/// First calls are looked for while calls came in the last minutes.
const FRESH_MINUTES: i64 = 5;

pub(super) const COUNTERS: &str =
    "calls, successes, client_errors, server_errors, rate_limited, quota_exceeded, refused";

/// Sums what changed in usage and reads new invoices. Answers how many days.
pub async fn refresh(context: &Context) -> Result<u64, DatabaseError> {
    revenue_lines::read_new_invoices(context).await?;
    sum_changed_days(context).await
}

async fn sum_changed_days(context: &Context) -> Result<u64, DatabaseError> {
    let connection = &context.connection;
    let waiting = connection
        .query_optional("SELECT day FROM usage_changed_days LIMIT 1", vec![])
        .await?
        .is_some();
    if !waiting {
        let is_fresh = connection
            .query_optional(
                "SELECT 1 FROM usage_rollups WHERE last_minute >= $1 LIMIT 1",
                params![context.now_ms.div_euclid(60_000) - FRESH_MINUTES],
            )
            .await?
            .is_some();
        if is_fresh {
            find_first_calls(connection, i64::MAX).await?;
        }
        return Ok(0);
    }
    connection
        .transaction(async || {
            let days = metering::take_changed_days(connection, DAYS_PER_STEP).await?;
            let (Some(first), Some(last)) = (days.first(), days.last()) else {
                return Ok(0);
            };
            for day in runs(&days) {
                sum_days(connection, day).await?;
            }
            let mut weeks: Vec<i64> = days.iter().map(|day| week_of_day(*day)).collect();
            weeks.dedup();
            for week in weeks {
                let days = first_day_of_week(week)..first_day_of_week(week + 1);
                sum_again(connection, "partner_weeks", "week", week, days).await?;
            }
            for month in month_of_day(*first)..=month_of_day(*last) {
                let days = first_day_of_month(month)..first_day_of_month(month + 1);
                sum_again(connection, "partner_months", "month", month, days).await?;
            }
            running_totals::add_up_live_calls(connection, month_of_day(*first)).await?;
            let changed_ms = first * DAY_MS;
            find_first_calls(connection, changed_ms).await?;
            find_retained(connection, changed_ms).await?;
            for days in runs(&days) {
                note_early_errors(connection, days).await?;
            }
            Ok(days.len() as u64)
        })
        .await
}

/// Days that follow on each other, as ranges.
fn runs(days: &[i64]) -> Vec<std::ops::Range<i64>> {
    let mut runs: Vec<std::ops::Range<i64>> = Vec::new();
    for day in days {
        match runs.last_mut() {
            Some(run) if run.end == *day => run.end += 1,
            _ => runs.push(*day..day + 1),
        }
    }
    runs
}

async fn sum_days(
    connection: &Connection,
    days: std::ops::Range<i64>,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "DELETE FROM partner_days WHERE day >= $1 AND day < $2",
            params![days.start, days.end],
        )
        .await?;
    let let_through = "('1xx', '2xx', '3xx', '4xx', '5xx', 'aborted')";
    let sum = |condition: &str| {
        format!("CAST(SUM(CASE WHEN c.outcome {condition} THEN c.count ELSE 0 END) AS BIGINT)")
    };
    let sums = [
        sum(&format!("IN {let_through}")),
        sum("= '2xx'"),
        sum("= '4xx'"),
        sum("= '5xx'"),
        sum("= 'rate_limited'"),
        sum("= 'quota_exceeded'"),
        sum(&format!("NOT IN {let_through}")),
    ]
    .join(", ");
    let select = format!(
        "a.organisation_id, c.environment, COALESCE(u.product_id, ''), c.minute / 1440, {sums}"
    );
    metering::insert_calls_of_days(
        connection,
        &format!("partner_days (organisation_id, environment, product_id, day, {COUNTERS})"),
        &select,
        "JOIN apps a ON a.app_id = c.app_id
         LEFT JOIN subscriptions u ON u.subscription_id = c.subscription_id
         GROUP BY 1, 2, 3, 4",
        days,
    )
    .await?;
    Ok(())
}

async fn sum_again(
    connection: &Connection,
    table: &str,
    unit: &str,
    number: i64,
    days: std::ops::Range<i64>,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            &format!("DELETE FROM {table} WHERE {unit} = $1"),
            params![number],
        )
        .await?;
    let sums: Vec<String> = COUNTERS
        .split(", ")
        .map(|counter| format!("CAST(SUM({counter}) AS BIGINT)"))
        .collect();
    let sql = format!(
        "INSERT INTO {table} (organisation_id, environment, product_id, {unit}, {COUNTERS})
         SELECT organisation_id, environment, product_id, CAST($1 AS BIGINT), {}
         FROM partner_days WHERE day >= $2 AND day < $3
         GROUP BY organisation_id, environment, product_id",
        sums.join(", ")
    );
    connection
        .execute(&sql, params![number, days.start, days.end])
        .await?;
    Ok(())
}

/// Notes each partner's first 2xx by environment, where it is not known or may have moved because cells
/// from `changed_ms` on are new.
async fn find_first_calls(connection: &Connection, changed_ms: i64) -> Result<(), DatabaseError> {
    let milestone = first_call_in("s.environment");
    connection
        .execute(
            &format!(
                "INSERT INTO partner_milestones (organisation_id, milestone, at_ms)
                 SELECT a.organisation_id, {milestone}, MIN(c.minute) * 60000
                 FROM apps a JOIN usage_series s ON s.app_id = a.app_id AND s.outcome = '2xx'
                 JOIN usage_cells c ON c.series = s.series AND c.count > 0
                 WHERE NOT EXISTS (SELECT 1 FROM partner_milestones m
                    WHERE m.organisation_id = a.organisation_id AND m.milestone = {milestone}
                        AND m.at_ms < $1)
                 GROUP BY a.organisation_id, s.environment
                 ON CONFLICT (organisation_id, milestone) DO UPDATE SET at_ms = excluded.at_ms"
            ),
            params![changed_ms],
        )
        .await?;
    Ok(())
}

/// Keeps what went wrong up to the day of the first success. Where that success is found earlier than these
/// days, whoever reads leaves the days behind it out.
async fn note_early_errors(
    connection: &Connection,
    days: std::ops::Range<i64>,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "DELETE FROM early_errors WHERE day >= $1 AND day < $2",
            params![days.start, days.end],
        )
        .await?;
    connection
        .execute(
            &format!(
                "INSERT INTO early_errors (organisation_id, environment, day, errors)
                 SELECT d.organisation_id, d.environment, d.day,
                    CAST(SUM(d.client_errors + d.refused) AS BIGINT)
                 FROM partner_days d
                 LEFT JOIN partner_milestones m ON m.organisation_id = d.organisation_id
                    AND m.milestone = {}
                 WHERE d.day >= $1 AND d.day < $2 AND d.client_errors + d.refused > 0
                    AND (m.at_ms IS NULL OR d.day * 86400000 <= m.at_ms)
                 GROUP BY d.organisation_id, d.environment, d.day",
                first_call_in("d.environment")
            ),
            params![days.start, days.end],
        )
        .await?;
    Ok(())
}

/// The milestone of the first success in an environment, as SQL.
pub(super) fn first_call_in(environment: &str) -> String {
    format!("CASE {environment} WHEN 'live' THEN 'first_live_call' ELSE 'first_sandbox_call' END") // not shown
}

/// Notes who still called 60 to 90 days after the day of the first live call.
async fn find_retained(connection: &Connection, changed_ms: i64) -> Result<(), DatabaseError> {
    connection
        .execute(
            "DELETE FROM partner_milestones WHERE milestone = 'retained' AND at_ms >= $1",
            params![changed_ms],
        )
        .await?;
    connection
        .execute(
            "INSERT INTO partner_milestones (organisation_id, milestone, at_ms)
             SELECT m.organisation_id, 'retained', MIN(d.day) * 86400000
             FROM partner_milestones m JOIN partner_days d ON d.organisation_id = m.organisation_id
                AND d.environment = 'live' AND d.successes > 0
                AND d.day >= m.at_ms / 86400000 + 60 AND d.day <= m.at_ms / 86400000 + 90
             WHERE m.milestone = 'first_live_call'
             GROUP BY m.organisation_id
             ON CONFLICT (organisation_id, milestone) DO NOTHING",
            vec![],
        )
        .await?;
    Ok(())
}

/// Counts a view of the sign-up page.
pub async fn count_visit(context: &Context, source: &str) -> Result<(), DatabaseError> {
    /// More sources a day than these are counted as one: anyone can make them up.
    const SOURCES_A_DAY: i64 = 200;
    let connection = &context.connection;
    let day = super::calendar::day_of(context.now_ms);
    let source: String = source.trim().chars().take(60).collect();
    let known = connection
        .query_one(
            "SELECT COUNT(*), COALESCE(MAX(CASE WHEN source = $1 THEN 1 ELSE 0 END), 0)
             FROM visits WHERE day = $2",
            params![&source, day],
        )
        .await?;
    let is_full = known.get::<i64>(0)? >= SOURCES_A_DAY && known.get::<i64>(1)? == 0;
    let source = if is_full { "(others)" } else { &source };
    connection
        .execute(
            "INSERT INTO visits (day, source, views) VALUES ($1, $2, 1)
             ON CONFLICT (day, source) DO UPDATE SET views = visits.views + 1",
            params![day, source],
        )
        .await?;
    Ok(())
}
