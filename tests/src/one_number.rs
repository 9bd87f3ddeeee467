//! One number in every place: what the gateway's counter spent, the usage page shows, the quota counts
//! and the invoice so far bills.

use crate::actors::{ApiClient, Partner};
use crate::wait::eventually;
use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;

/// A last report of the edge, and the portal's reads of it, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the places say of one subscription in one environment.
#[derive(Debug, Default, PartialEq, Eq)]
struct Numbers {
    usage: Option<u64>,
    quota: Option<u64>,
    gateway: Option<u64>,
    invoice: Option<u64>,
}

impl Numbers {
    /// The one number, if all places that say one say the same.
    fn one(&self) -> Option<u64> {
        let said = [self.quota, self.gateway, self.invoice];
        let others = said.into_iter().flatten();
        self.usage
            .filter(|usage| others.into_iter().all(|other| other == *usage))
    }
}

impl Partner {
    /// Waits until every place says the same of this app's calls in the current period, and answers the
    /// number. `client` is who called last, when nobody else calls with the app's keys meanwhile: its last
    /// answer says what the gateway's own counter left.
    ///
    /// # Errors
    /// When they still differ after a while, naming each.
    pub async fn expect_one_number(
        &self,
        app: &str,
        environment: &str,
        client: Option<&ApiClient>,
    ) -> Result<u64> {
        let mut last = String::new();
        let found = eventually("one number in every place", PATIENCE, async || {
            match self.numbers(app, environment, client).await {
                Ok(numbers) => {
                    last = format!("{numbers:?}");
                    numbers.one()
                }
                Err(error) => {
                    last = format!("{error:#}");
                    None
                }
            }
        })
        .await;
        found.with_context(|| format!("{app}, {environment}: {last}"))
    }

    async fn numbers(
        &self,
        app: &str,
        environment: &str,
        client: Option<&ApiClient>,
    ) -> Result<Numbers> {
        let usage = format!("/api/v1/apps/{app}/usage?environment={environment}");
        let now = self.call(Method::GET, &usage, None).await?;
        let quotas = now["quotas"].as_array().context("no quotas")?;
        let ours: Vec<&Value> = quotas
            .iter()
            .filter(|quota| quota["environment"] == environment)
            .collect();
        ensure!(ours.len() == 1, "one subscription with a quota: {quotas:?}");
        let quota = ours.first().context("no quota")?;
        let time = |name: &str| quota[name].as_str().context("a period has two ends");
        let (start, end) = (time("period_start")?, time("period_end")?);
        let period = format!("{usage}&granularity=day&from={start}&to={end}");
        let period = self.call(Method::GET, &period, None).await?;
        let limit = quota["limit"].as_u64().context("no limit")?;
        let name = quota["name"].as_str().unwrap_or_default();
        let left = client.and_then(|client| client.left_of(name));
        let invoice = match environment {
            "live" => Some(self.billed_so_far(&quota["subscription_id"]).await?),
            _ => None,
        };
        Ok(Numbers {
            usage: period["totals"]["units"].as_u64(),
            quota: quota["used"].as_u64(),
            gateway: left.map(|left| limit.saturating_sub(left)),
            invoice,
        })
    }

    /// The quantity on the lines of usage of the invoices so far.
    async fn billed_so_far(&self, subscription: &Value) -> Result<u64> {
        let path = format!("/api/v1/organisations/{}/billing", self.organisation);
        let billing = self.call(Method::GET, &path, None).await?;
        let drafts = billing["drafts"].as_array().context("no drafts")?;
        let lines = drafts
            .iter()
            .filter_map(|draft| draft["so_far"]["lines"].as_array())
            .flatten()
            .filter(|line| line["charge"] == "Usage" && line["subscription_id"] == *subscription);
        let mut billed = 0;
        for line in lines {
            let quantity = line["quantity"].as_str().context("no quantity")?;
            billed += quantity.parse::<u64>()?;
        }
        Ok(billed)
    }
}
