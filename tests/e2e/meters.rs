//! Every meter of a product, from a call through the gateway to a line of an invoice.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tests::actors::{ApiClient, Partner};
use tests::stack::Stack;
use tests::wait::eventually;

const CALLS: u64 = 40;
const WEIGHT: u64 = 3;

/// Nothing of the demo's has this path, so the company answers 404: that counts, and has a length.
const DOCUMENT: &str = "openapi: 3.1.0
info: { title: Rows, version: '1' }
paths:
  /v1/rows:
    get: { operationId: listRows, responses: { '200': { description: Rows. } } }
";

fn per_unit(amount: &str) -> Value {
    json!({ "model": "per_unit", "currency": "USD", "unit_amount": amount })
}

fn id(value: &Value) -> Result<String> {
    Ok(value["id"].as_str().context("no id")?.to_owned())
}

/// A published product with a meter of each source, and a plan that charges for each.
async fn publish_product(operator: &Partner, sandbox: &str) -> Result<String> {
    let post = async |path: &str, body: &Value| operator.call(Method::POST, path, Some(body)).await;
    let base = "/api/v1/operator/products";
    let body = json!({
        "name": "Rows API", "sandbox_url": sandbox,
        "meters": [
            { "name": "Rows", "source": { "from": "response_header", "name": "Content-Length" } },
            { "name": "Traffic", "source": { "from": "bytes" } },
            { "name": "Work", "source": { "from": "weight" } },
        ],
    });
    let product = id(&post(base, &body).await?)?;
    let path = format!("{base}/{product}");
    let version = json!({ "document": DOCUMENT, "weights": { "listRows": WEIGHT } });
    post(&format!("{path}/versions"), &version).await?;
    let charge = |name: &str, amount: &str| json!({ "kind": "usage", "name": name, "meter": name, "price": per_unit(amount) });
    let plan = json!({
        "name": "Metered",
        "terms": {
            // A small allowance, of which a gateway has little on lease when the first calls come at once.
            "quota": { "name": "month", "limit": 1_000, "enforcement": { "kind": "hard" } },
            "checklist": { "successful_calls": 0, "client_error_handled": false, "rate_limit_handled": false },
            "price": per_unit("0.01"),
            "charges": [charge("Calls", "0.10"), charge("Rows", "0.001"), charge("Traffic", "0.0001")],
        },
    });
    let plan = id(&post(&format!("{path}/plans"), &plan).await?)?;
    let publications = format!("/api/v1/operator/plans/{plan}/publications");
    post(&publications, &json!({})).await?;
    operator
        .call(Method::POST, &format!("{path}/publications"), None)
        .await?;
    Ok(plan)
}

#[tokio::test]
async fn every_meter_counts_in_the_gateway_what_the_usage_page_shows_and_the_invoice_bills()
-> Result<()> {
    let stack = Stack::start().await?;
    let demo = stack.demo()?;
    let operator = Partner::log_in(stack.endpoints(), &demo["operator"]).await?;
    let partner = Partner::log_in(stack.endpoints(), &demo["partner"]).await?;
    let plan = publish_product(&operator, &stack.endpoints().sandbox).await?;
    let app = partner.create_app("Row reader").await?;
    let subscriptions = format!("/api/v1/apps/{app}/subscriptions");
    let wish = json!({ "plan_id": plan });
    let subscription = partner
        .call(Method::POST, &subscriptions, Some(&wish))
        .await?;
    let subscription = id(&subscription)?;
    let organisation = format!("/api/v1/organisations/{}", partner.organisation);
    let account = json!({ "legal_name": "Acme Ltd", "address": "1 Main Street", "country": "US" });
    let path = format!("{organisation}/billing/account");
    partner.call(Method::PUT, &path, Some(&account)).await?;
    let path = format!("{subscriptions}/{subscription}/go-live");
    let gone = partner.call(Method::POST, &path, Some(&json!({}))).await?;
    ensure!(gone["state"] == "approved", "{gone}");
    let key = partner
        .issue_key(&app, &json!({ "environment": "live", "name": "rows" }))
        .await?;

    // As fast as they go: none is refused while nearly the whole allowance is left.
    let client = ApiClient::new(stack.endpoints(), Some(&key.key));
    let mut bytes = 0;
    for _ in 0..CALLS {
        let answer = client.get("/v1/rows").await?;
        let status = answer.status();
        let body = answer.text().await?;
        ensure!(status == 404 && !body.contains("quota"), "{status}: {body}");
        bytes += body.len() as u64;
    }
    ensure!(bytes > 0, "the company's answers have a body");
    let wanted = [
        ("Calls", CALLS),
        ("Rows", bytes),
        ("Traffic", bytes),
        ("Work", CALLS * WEIGHT),
    ];
    let mut meters = Value::Null;
    eventually("every meter", Duration::from_secs(20), async || {
        let path = format!("/api/v1/apps/{app}/usage?environment=live");
        let usage = partner.call(Method::GET, &path, None).await.ok()?;
        meters = usage["meters"].clone();
        let are_there = wanted.iter().all(|(name, quantity)| {
            let mut live = meters.as_array().into_iter().flatten();
            live.any(|meter| {
                meter["environment"] == "live"
                    && meter["meter"] == *name
                    && meter["quantity"] == *quantity
            })
        });
        are_there.then_some(())
    })
    .await
    .with_context(|| format!("{wanted:?} is not {meters}"))?;
    let one = partner
        .expect_one_number(&app, "live", Some(&client))
        .await?;
    ensure!(one == CALLS * WEIGHT, "the quota counts weights: {one}");

    let path = format!("{organisation}/billing");
    let billing = partner.call(Method::GET, &path, None).await?;
    let drafts = billing["drafts"].as_array().context("no drafts")?;
    let lines = drafts
        .iter()
        .filter_map(|draft| draft["so_far"]["lines"].as_array())
        .flatten()
        .filter(|line| line["subscription_id"] == *subscription)
        .collect::<Vec<_>>();
    for (name, quantity) in &wanted[..3] {
        let line = lines.iter().find(|line| line["charge"] == *name);
        let billed = line.with_context(|| format!("no line {name}: {lines:?}"))?;
        ensure!(
            billed["quantity"].as_str() == Some(quantity.to_string().as_str()),
            "{billed}"
        );
    }
    Ok(())
}
