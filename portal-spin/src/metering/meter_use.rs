//! What an app used of each of its products' meters in the billing period that runs.

use schemars::JsonSchema;
use serde::Serialize;

use super::quantities::{UsageSum, counts, distinct_installations, list_usage};
use crate::catalogue::{self, Meter, MeterSource};
use crate::database::{Connection, DatabaseError};
use crate::subscriptions::Terms;

/// What was used of a meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MeterUse {
    /// The subscription.
    pub subscription_id: String,
    /// `test` or `live`.
    pub environment: String,
    /// The meter's name.
    pub meter: String,
    /// What it counts, in words.
    pub counts: String,
    /// How much of it counts, by the rules of the plan.
    pub quantity: i64,
    /// The billing period's start.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub period_start: i64,
    /// Its end.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub period_end: i64,
}

/// What these subscriptions used of every meter, in both environments.
pub async fn list_meter_use(
    connection: &Connection,
    terms: &[Terms],
    now_ms: i64,
) -> Result<Vec<MeterUse>, DatabaseError> {
    let mut all = Vec::new();
    for terms in terms
        .iter()
        .filter(|terms| terms.subscription.cancelled_at_ms.is_none())
    {
        let id = terms.subscription.id;
        let meters = catalogue::list_meters(connection, terms.subscription.product_id).await?;
        let period = terms.period(now_ms)?;
        for environment in terms.subscription.environments() {
            let usage = list_usage(connection, &[id], environment, period).await?;
            let counted: Vec<&UsageSum> = usage
                .get(&id)
                .into_iter()
                .flatten()
                .filter(|sum| counts(terms.counting(), &sum.outcome))
                .collect();
            for meter in &meters {
                all.push(MeterUse {
                    subscription_id: id.to_string(),
                    environment: environment.as_str().to_owned(),
                    meter: meter.name.clone(),
                    counts: meter.source.describe(),
                    quantity: quantity(meter, &meters, &counted),
                    period_start: period.start_ms,
                    period_end: period.end_ms,
                });
            }
        }
    }
    Ok(all)
}

fn of<'a>(counted: &'a [&'a UsageSum], meter_id: &str) -> Vec<&'a UsageSum> {
    let is_its = |sum: &&UsageSum| sum.meter_id == meter_id;
    counted.iter().copied().filter(is_its).collect()
}

fn quantity(meter: &Meter, meters: &[Meter], counted: &[&UsageSum]) -> i64 {
    if meter.source == MeterSource::DistinctInstallations {
        // Derived from the calls, which the first meter counts.
        let calls = meters.first().map(|meter| meter.id.to_string());
        let calls = of(counted, &calls.unwrap_or_default());
        return i64::try_from(distinct_installations(calls).len()).unwrap_or(i64::MAX);
    }
    of(counted, &meter.id.to_string())
        .iter()
        .fold(0, |sum, one| sum.saturating_add(one.units))
}
