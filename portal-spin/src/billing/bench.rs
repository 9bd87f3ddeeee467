//! `cargo xtask bench billing`: rating and invoicing of many subscriptions, and ingest of usage, with the
//! code that the component runs, built natively. Ignored otherwise.

use std::time::Instant;

use serde_json::json;
use shared::ids::{CredentialId, EdgeBootId, MeterId, SubscriptionId};
use shared::usage::Cell;

use super::run::run_billing;
use super::test_scene::{DAY_MS, HOUR_MS, publish_plan};
use crate::context::Context;
use crate::params;
use crate::testing::TestPortal;

fn number(name: &str, default: i64) -> i64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

fn report(row: &serde_json::Value) {
    println!("BENCH {row}");
}

fn id(kind: u8, number: i64) -> [u8; 16] {
    let mut bytes = [kind; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// Cells as reports bring them: `per_report` at a time, each in a transaction.
async fn ingest(context: &Context, cells: i64, per_report: i64, round: u64) -> f64 {
    let connection = &context.connection;
    let started = Instant::now();
    for first in (0..cells).step_by(usize::try_from(per_report).unwrap()) {
        let batch: Vec<Cell> = (first..(first + per_report).min(cells))
            .map(|index| Cell {
                slot: 0,
                credential: Some(CredentialId::from_bytes(id(1, index % 997))),
                subscription: Some(SubscriptionId::from_bytes(id(2, index % 997))),
                installation: None,
                meter: Some(MeterId::from_bytes(id(3, 0))),
                operation: format!("operation{}", index % 20),
                outcome: "2xx".to_owned(),
                minute: 29_500_000 + index.unsigned_abs() / 20_000,
                count: 10 + round,
                units: 10 + round,
                bytes_in: 100,
                bytes_out: 1_000,
                latency: vec![(4, 10 + round)],
            })
            .collect();
        let boot = EdgeBootId::from_bytes(id(4, 0));
        connection
            .transaction(async || crate::metering::merge_cells(connection, boot, &batch).await)
            .await
            .unwrap();
    }
    #[allow(clippy::cast_precision_loss)]
    let rate = cells as f64 / started.elapsed().as_secs_f64();
    rate
}

async fn bench_ingest(portal: TestPortal, engine: &str) {
    let cells = number("BENCH_CELLS", 200_000);
    let context = portal.context().await;
    let before = resident_mib();
    let new = ingest(&context, cells, 5_000, 0).await;
    let middle = resident_mib();
    let again = ingest(&context, cells, 5_000, 1).await;
    let minute = Instant::now();
    let rolled = crate::metering::roll_up(&context.connection, 29_600_000 * 60_000)
        .await
        .unwrap();
    report(&json!({
        "name": format!("ingest-{engine}"), "cells": cells, "cells_per_second_new": new.round(),
        "cells_per_second_growing": again.round(), "goal": 20_000, "hours_rolled_up": rolled,
        "roll_up_seconds": minute.elapsed().as_secs_f64(),
        "resident_mib": [before, middle, resident_mib()],
    }));
}

#[tokio::test]
#[ignore = "a benchmark: cargo xtask bench billing"]
async fn bench_ingest_sqlite() {
    bench_ingest(TestPortal::on_sqlite().await, "sqlite").await;
}

#[tokio::test]
#[ignore = "a benchmark: cargo xtask bench billing"]
async fn bench_ingest_postgres() {
    bench_ingest(TestPortal::on_postgres().await, "postgres").await;
}

/// Subscriptions with a month of usage, a row per day and operation as the roll-up leaves them.
async fn fill(portal: &TestPortal, subscriptions: i64, operations: i64) {
    portal.post("/dev/seed", "", json!({})).await.expect(200);
    let plan = publish_plan(portal, "Benched", json!({
        "price": { "model": "graduated", "currency": "USD", "included_units": "1000",
            "tiers": [{ "up_to": "10000", "unit_amount": "0.001" }, { "up_to": null, "unit_amount": "0.0005" }] },
        "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "49" }]
    }))
    .await;
    let start = portal.now_ms() / DAY_MS * DAY_MS;
    let context = portal.context().await;
    let connection = &context.connection;
    let row = connection
        .query_one("SELECT p.product_id, m.meter_id FROM plans p JOIN meters m ON m.product_id = p.product_id WHERE p.plan_id = $1 ORDER BY m.position", params![&plan])
        .await
        .unwrap();
    let (product, meter): (String, String) = (row.get(0).unwrap(), row.get(1).unwrap());
    let days = (0..30)
        .map(|day| (start / DAY_MS + day).to_string())
        .collect::<Vec<_>>();
    connection
        .transaction(async || {
            connection.execute("INSERT INTO usage_rollups (edge_boot_id, hours_until, last_minute, checked_at_ms) VALUES ('edg_bench', $1, $2, 0)",
                params![(start / DAY_MS + 60) * 24, (start / DAY_MS + 31) * 1_440]).await?;
            for index in 0..subscriptions {
                let organisation = format!("org_{index:026}");
                let (app, subscription) = (format!("app_{index:026}"), SubscriptionId::from_bytes(id(5, index)).to_string());
                let organisation_id = shared::ids::OrganisationId::from_bytes(id(6, index)).to_string();
                let app_id = shared::ids::AppId::from_bytes(id(7, index)).to_string();
                connection.execute("INSERT INTO organisations (organisation_id, name, partner_type, tier, source, created_at) VALUES ($1, $2, '', '', '', $3)", params![&organisation_id, &organisation, start]).await?;
                connection.execute("INSERT INTO apps (app_id, organisation_id, name, description, created_at_ms) VALUES ($1, $2, $3, '', $4)", params![&app_id, &organisation_id, &app, start]).await?;
                connection.execute("INSERT INTO subscriptions (subscription_id, app_id, product_id, plan_id, created_at_ms, live_from_ms, anchor_ms, periods_until_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", params![&subscription, &app_id, &product, &plan, start, start, start, start + 400 * DAY_MS]).await?;
                connection.execute("INSERT INTO subscription_phases (subscription_id, from_ms, plan_id) VALUES ($1, $2, $3)", params![&subscription, start, &plan]).await?;
                connection.execute("INSERT INTO billing_accounts (organisation_id, legal_name, address, country, region, tax_id, email, budget_currency) VALUES ($1, '', '', '', '', '', $2, '')", params![&organisation_id, format!("bills@{index}.example")]).await?;
                connection.execute("INSERT INTO billing_cursors (subscription_id, next_bill_at_ms) VALUES ($1, $2)", params![&subscription, start + 31 * DAY_MS]).await?;
                for operation in 0..operations {
                    let series = id(8, index * 1_000 + operation);
                    connection.execute("INSERT INTO usage_series (series, edge_boot_id, slot, credential_id, subscription_id, installation_id, meter_id, operation, outcome, app_id, environment, is_call_count) VALUES ($1, 'edg_bench', 0, '', $2, '', $3, $4, '2xx', $5, 'live', 1)", params![series, &subscription, &meter, format!("operation{operation}"), &app_id]).await?;
                    let values: Vec<String> = days.iter().map(|day| format!("($1, {day}, 17, 17, 0, 0)")).collect();
                    connection.execute(&format!("INSERT INTO usage_days (series, day, count, units, bytes_in, bytes_out) VALUES {}", values.join(", ")), params![series]).await?;
                }
            }
            Ok::<_, crate::database::DatabaseError>(())
        })
        .await
        .unwrap();
}

async fn bench_invoicing(portal: TestPortal, engine: &str) {
    let (subscriptions, operations) = (number("BENCH_SUBSCRIPTIONS", 10_000), 20);
    fill(&portal, subscriptions, operations).await;
    portal.advance_ms(31 * DAY_MS + 25 * HOUR_MS);
    let before = resident_mib();
    let started = Instant::now();
    let mut issued = 0;
    loop {
        let context = portal.context().await;
        match run_billing(&context).await.unwrap() {
            0 => break,
            invoices => issued += invoices,
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let context = portal.context().await;
    let row = context
        .connection
        .query_one(
            "SELECT COUNT(*), COUNT(DISTINCT number) FROM invoices WHERE total_minor > 4900",
            vec![],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<i64>(0).unwrap(), subscriptions);
    assert_eq!(row.get::<i64>(1).unwrap(), subscriptions);
    report(&json!({
        "name": format!("invoicing-{engine}"), "subscriptions": subscriptions, "days": 30, "operations": operations,
        "invoices": issued, "seconds": seconds, "goal_seconds": 60, "how": "the component's code, native",
        "resident_mib": [before, resident_mib()],
    }));
}

#[tokio::test]
#[ignore = "a benchmark: cargo xtask bench billing"]
async fn bench_invoicing_sqlite() {
    bench_invoicing(TestPortal::on_sqlite().await, "sqlite").await;
}

#[tokio::test]
#[ignore = "a benchmark: cargo xtask bench billing"]
async fn bench_invoicing_postgres() {
    bench_invoicing(TestPortal::on_postgres().await, "postgres").await;
}
