//! From a call to money and back: what is counted is what is billed, and who does not pay waits at the
//! gateway until they do.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};
use tests::actors::{ApiClient, Partner, expect_refusal};
use tests::stack::{DataFolder, Stack};
use tests::wait::eventually;

/// Calls that reach the company's API, and are therefore billed.
const CALLS: u64 = 24;
/// More than a month, and a boundary of every month lies within: whatever today is, the month in which
/// the calls then were is over, and so is its grace.
const DAYS: i64 = 62;

/// What was stored `DAYS` ago, if this had been then: the clock cannot be turned, so the past is.
const MOVE_BACK: &[&str] = &[
    "UPDATE subscriptions SET live_from_ms = live_from_ms - {ms}, anchor_ms = anchor_ms - {ms},
        created_at_ms = created_at_ms - {ms}",
    "UPDATE subscription_phases SET from_ms = from_ms - {ms}",
    "DELETE FROM billing_cursors",
    "UPDATE usage_cells SET minute = minute - {minutes}",
    "DELETE FROM usage_hours",
    "DELETE FROM usage_days",
    "DELETE FROM usage_stale_hours",
    "UPDATE usage_rollups SET hours_until = 0, last_minute = last_minute - {minutes}",
];

/// Runs statements on the stack's database, in one transaction.
fn change_database(data: &DataFolder, statements: &[String]) -> Result<()> {
    const SCRIPT: &str = "
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
database.execute('BEGIN IMMEDIATE')
for statement in sys.argv[2:]:
    database.execute(statement)
database.execute('COMMIT')
";
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(data.path().join("sqlite_db.db"))
        .args(statements)
        .output()
        .context("python3 does not start")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Publishes a plan with a price, a rate limit that refuses some calls, and a quota.
async fn publish_plan(operator: &Partner) -> Result<Value> {
    let products = operator
        .call(Method::GET, "/api/v1/operator/products", None)
        .await?;
    let product = products["items"][0]["id"].as_str().context("no product")?;
    let body = json!({
        "name": "By the call", "summary": "For this test.", "position": 7,
        "terms": {
            "rate_limits": [{ "name": "burst", "limit": 8, "window_secs": 1 }],
            "quota": { "name": "month", "limit": 1_000, "enforcement": { "kind": "hard" } },
            "price": { "model": "graduated", "currency": "USD",
                "tiers": [{ "up_to": "10", "unit_amount": "0.50" }, { "up_to": null, "unit_amount": "0.25" }] },
            "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "31" }]
        }
    });
    let path = format!("/api/v1/operator/products/{product}/plans");
    let plan = operator.call(Method::POST, &path, Some(&body)).await?;
    let path = format!(
        "/api/v1/operator/plans/{}/publications",
        plan["id"].as_str().context("no plan")?
    );
    operator.call(Method::POST, &path, Some(&json!({}))).await
}

/// The operator, and a partner whose calls are billed.
pub struct Scene {
    pub operator: Partner,
    partner: Partner,
    app: String,
    organisation: String,
}

impl Scene {
    async fn log_in(stack: &Stack) -> Result<Self> {
        let demo = stack.demo()?;
        let text = |name: &str| demo[name].as_str().map(str::to_owned).context("no demo");
        Ok(Self {
            operator: Partner::log_in(stack.endpoints(), &demo["operator"]).await?,
            partner: Partner::log_in(stack.endpoints(), &demo["partner"]).await?,
            app: text("app_id")?,
            organisation: text("organisation_id")?,
        })
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.partner.call(Method::GET, path, None).await
    }

    async fn live_usage(&self) -> Result<Value> {
        self.get(&format!(
            "/api/v1/apps/{}/usage?environment=live&granularity=hour",
            self.app
        ))
        .await
    }

    /// What was issued to the partner.
    pub async fn invoices(&self) -> Result<Vec<Value>> {
        let path = format!("/api/v1/organisations/{}/invoices", self.organisation);
        let list = self.get(&path).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }
}

/// Calls until so many were let through, faster than the plan allows. Answers how many were refused.
async fn call(client: &ApiClient, wanted: u64) -> Result<u64> {
    let (mut passed, mut refused) = (0, 0);
    while passed < wanted {
        match client.status_of("/v1/orders").await? {
            200 => passed += 1,
            429 => {
                refused += 1;
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
            other => anyhow::bail!("{other} after {passed} calls"),
        }
    }
    Ok(refused)
}

fn usage_line(document: &Value) -> Option<&Value> {
    let lines = document["lines"].as_array()?;
    lines
        .iter()
        .find(|line| line["charge"] == "Usage" && line["quantity"] != "0")
}

/// A programme whose month with calls ended long ago, so that its invoices are issued; the data it is stored in.
pub async fn month_that_ended() -> Result<(DataFolder, Stack, Scene)> {
    let data = DataFolder::new()?;
    let stack = Stack::start_in(data.clone()).await?;
    let demo = stack.demo()?;
    let scene = Scene::log_in(&stack).await?;
    let plan = publish_plan(&scene.operator).await?;
    let path = format!("/api/v1/apps/{}/subscriptions", scene.app);
    let subscriptions = scene.get(&path).await?;
    let subscription = subscriptions["items"][0]["id"]
        .as_str()
        .context("no subscription")?;
    let account = json!({ "legal_name": "Acme Ltd", "address": "1 Main Street", "country": "US" });
    let billing = format!(
        "/api/v1/organisations/{}/billing/account",
        scene.organisation
    );
    scene
        .partner
        .call(Method::PUT, &billing, Some(&account))
        .await?;
    let change = json!({ "plan_id": plan["id"] });
    let path = format!("{path}/{subscription}/plan-changes");
    scene
        .partner
        .call(Method::POST, &path, Some(&change))
        .await?;
    let live_key = demo["live_key"].as_str().context("no live key")?.to_owned();
    // The plan is in force at the gateway once it refuses the ninth call of a second.
    let live = ApiClient::new(stack.endpoints(), Some(&live_key));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let refused = call(&live, CALLS).await?;
    ensure!(refused > 0, "no call met the rate limit");
    let one = scene
        .partner
        .expect_one_number(&scene.app, "live", Some(&live))
        .await?;
    ensure!(one == CALLS, "{one}");
    let usage = scene.live_usage().await?;
    ensure!(usage["totals"]["refused"].as_u64() > Some(0), "{usage}");

    // The month ends.
    stack.stop()?;
    drop(stack);
    let moved: Vec<String> = MOVE_BACK
        .iter()
        .map(|statement| {
            statement
                .replace("{ms}", &(DAYS * 86_400_000).to_string())
                // A day later than the plan: the minute of a change belongs to the plan before it.
                .replace("{minutes}", &((DAYS - 1) * 1_440).to_string())
        })
        .collect();
    change_database(&data, &moved)?;
    let stack = Stack::start_in(data.clone()).await?;
    let scene = Scene::log_in(&stack).await?;
    Ok((data, stack, scene))
}

#[tokio::test]
async fn calls_become_an_invoice_whose_payment_opens_the_gateway_within_one_second() -> Result<()> {
    let (data, stack, scene) = month_that_ended().await?;
    let demo = stack.demo()?;
    let live_key = demo["live_key"].as_str();
    let test_key = demo["test_key"].as_str();
    let mut billed = Value::Null;
    eventually(
        "the invoice of the month",
        Duration::from_secs(60),
        async || {
            for invoice in scene.invoices().await.ok()? {
                let id = invoice["id"].as_str()?;
                let detail = scene.get(&format!("/api/v1/invoices/{id}")).await.ok()?;
                if usage_line(&detail["document"]).is_some() {
                    billed = detail;
                    return Some(());
                }
            }
            None
        },
    )
    .await?;
    let line = usage_line(&billed["document"]).context("no line")?;
    ensure!(
        line["quantity"].as_str() == Some(CALLS.to_string().as_str()),
        "{line}"
    );
    // Ten at 0.50, fourteen at 0.25.
    ensure!(line["amount"] == "8.50", "{line}");
    let mut numbers: Vec<String> = scene
        .invoices()
        .await?
        .iter()
        .filter_map(|invoice| invoice["number"].as_str().map(str::to_owned))
        .collect();
    numbers.sort();
    let expected: Vec<String> = (1..=numbers.len())
        .map(|number| format!("INV-{number:06}"))
        .collect();
    ensure!(numbers == expected, "{numbers:?}");

    // Nobody pays.
    let live = ApiClient::new(stack.endpoints(), live_key);
    let test = ApiClient::new(stack.endpoints(), test_key);
    eventually("live calls to pass", Duration::from_secs(20), async || {
        (live.status_of("/v1/orders").await.ok()? == 200).then_some(())
    })
    .await?;
    let overdue = format!(
        "UPDATE invoices SET due_at_ms = due_at_ms - {}",
        29 * 86_400_000_i64
    );
    change_database(&data, &[overdue])?;
    eventually("live calls to stop", Duration::from_secs(30), async || {
        (live.status_of("/v1/orders").await.ok()? == 403).then_some(())
    })
    .await?;
    expect_refusal(live.get("/v1/orders").await?, 403, "organisation_suspended").await?;
    ensure!(
        test.status_of("/v1/orders").await? == 200,
        "the sandbox goes on"
    );

    // The payments come; the last of them opens the gateway.
    let open: Vec<Value> = scene
        .invoices()
        .await?
        .into_iter()
        .filter(|invoice| invoice["state"] == "overdue")
        .collect();
    ensure!(!open.is_empty(), "nothing is overdue");
    for invoice in &open {
        ensure!(
            live.status_of("/v1/orders").await? == 403,
            "an invoice is still open"
        );
        let path = format!(
            "/api/v1/operator/invoices/{}/payments",
            invoice["id"].as_str().context("no id")?
        );
        let reference = json!({ "reference": format!("transfer for {}", invoice["number"]) });
        scene
            .operator
            .call(Method::POST, &path, Some(&reference))
            .await?;
    }
    let paid = Instant::now();
    eventually(
        "live calls to pass again",
        Duration::from_secs(10),
        async || (live.status_of("/v1/orders").await.ok()? == 200).then_some(()),
    )
    .await?;
    ensure!(
        paid.elapsed() < Duration::from_secs(1),
        "{:?} after the payment",
        paid.elapsed()
    );
    println!("live calls pass {:?} after the payment", paid.elapsed());
    let states = scene.invoices().await?;
    ensure!(
        states.iter().all(|invoice| invoice["state"] == "paid"),
        "{states:?}"
    );
    Ok(())
}
