//! The one rule of what counts, and the one sum that quota, usage page and invoice share.

use std::collections::{BTreeSet, HashMap};

use shared::credential::Environment;
use shared::ids::{MeterId, SubscriptionId};
use shared::plan::Counting;
use shared::usage::outcome;

use super::spans::{Coarsest, Span};
use crate::billing::period::Period;
use crate::database::{Connection, DatabaseError, Value, placeholders};
use crate::params;

/// Whether calls with this outcome count as used under these rules. Refused calls never do.
pub fn counts(counting: &Counting, outcome_text: &str) -> bool {
    match outcome::status_class(outcome_text) {
        Some(class) => counting.status_classes.contains(&class),
        None => outcome_text == outcome::ABORTED && counting.aborted,
    }
}

/// Units of a meter used in a period: the sum of the cells that count. A cell belongs to the period
/// that its minute begins in.
pub async fn used_units(
    connection: &Connection,
    subscription_id: SubscriptionId,
    environment: Environment,
    meter_id: MeterId,
    counting: &Counting,
    period: Period,
) -> Result<i64, DatabaseError> {
    let rows = Span {
        select: "c.outcome, CAST(SUM(c.units) AS BIGINT)",
        scope: "s.subscription_id = $1 AND s.environment = $2 AND s.meter_id = $3",
        group: "GROUP BY c.outcome",
        scope_parameters: params![
            subscription_id.to_string(),
            environment.as_str(),
            meter_id.to_string(),
        ],
        from: minute_from(period.start_ms),
        to: minute_from(period.end_ms),
        coarsest: Coarsest::Day,
    }
    .read(connection)
    .await?;
    let mut used: i64 = 0;
    for row in rows {
        if counts(counting, &row.get::<String>(0)?) {
            used = used.saturating_add(row.get(1)?);
        }
    }
    Ok(used)
}

/// A sum of cells of one meter, operation, outcome and installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageSum {
    /// The meter.
    pub meter_id: String,
    /// The operation; empty where none matched.
    pub operation: String,
    /// The outcome.
    pub outcome: String,
    /// The installation; empty without one.
    pub installation_id: String,
    /// The meter's units.
    pub units: i64,
    /// Calls.
    pub calls: i64,
}

/// Subscriptions that one statement reads.
const SUBSCRIPTIONS_PER_STATEMENT: usize = 200;

/// What these subscriptions used in a span, from the same cells as [`used_units`]. One that used nothing
/// is left out.
pub async fn list_usage(
    connection: &Connection,
    subscriptions: &[SubscriptionId],
    environment: Environment,
    span: Period,
) -> Result<HashMap<SubscriptionId, Vec<UsageSum>>, DatabaseError> {
    let mut usage: HashMap<SubscriptionId, Vec<UsageSum>> = HashMap::new();
    for some in subscriptions.chunks(SUBSCRIPTIONS_PER_STATEMENT) {
        let mut scope_parameters: Vec<Value> =
            some.iter().map(|id| id.to_string().into()).collect();
        scope_parameters.push(environment.as_str().into());
        let scope = format!(
            "s.subscription_id IN {} AND s.environment = ${}",
            placeholders(1, some.len()),
            scope_parameters.len()
        );
        let rows = Span {
            select: "c.subscription_id, c.meter_id, c.operation, c.outcome, c.installation_id,
                CAST(SUM(c.units) AS BIGINT), CAST(SUM(c.count) AS BIGINT)",
            scope: &scope,
            group: "GROUP BY c.subscription_id, c.meter_id, c.operation, c.outcome, c.installation_id",
            scope_parameters,
            from: minute_from(span.start_ms),
            to: minute_from(span.end_ms),
            coarsest: Coarsest::Day,
        }
        .read(connection)
        .await?;
        for row in rows {
            let sum = UsageSum {
                meter_id: row.get(1)?,
                operation: row.get(2)?,
                outcome: row.get(3)?,
                installation_id: row.get(4)?,
                units: row.get(5)?,
                calls: row.get(6)?,
            };
            usage.entry(row.parse(0)?).or_default().push(sum);
        }
    }
    Ok(usage)
}

/// The installations with a call among these sums.
pub fn distinct_installations<'a>(
    sums: impl IntoIterator<Item = &'a UsageSum>,
) -> BTreeSet<&'a str> {
    sums.into_iter()
        .filter(|sum| sum.calls > 0 && !sum.installation_id.is_empty())
        .map(|sum| sum.installation_id.as_str())
        .collect()
}

/// The first whole minute at or behind this time.
pub fn minute_from(at_ms: i64) -> i64 {
    at_ms.saturating_add(59_999).div_euclid(60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_calls_and_5xx_do_not_count_by_default_and_aborted_ones_do() {
        let counting = Counting::default();
        for (outcome, expected) in [
            ("2xx", true),
            ("3xx", true),
            ("4xx", true),
            ("5xx", false),
            ("1xx", false),
            ("aborted", true),
            ("rate_limited", false),
            ("quota_exceeded", false),
        ] {
            assert_eq!(counts(&counting, outcome), expected, "{outcome}");
        }
    }

    #[test]
    fn periods_that_meet_share_no_minute() {
        assert_eq!(minute_from(0), 0);
        assert_eq!(minute_from(1), 1);
        assert_eq!(minute_from(60_000), 1);
    }
}
