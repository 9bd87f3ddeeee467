//! `cargo xtask bench analytics`: a generated programme of 10 000 partners over 24 months, with the code that
//! the component runs, built natively; how long each page takes, and whether each number is the one that a
//! slow computation over the log of events and calls finds. Ignored otherwise; a small one always runs.
//!
//! `BENCH_PARTNERS` asks for another size.

mod compare;
mod generate;
mod load;
mod log;
mod pages;

use serde_json::json;

use crate::testing::{PASSWORD, TestPortal};

fn partners(default: usize) -> usize {
    std::env::var("BENCH_PARTNERS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Generates, loads and compares; answers the log and the operator's token.
async fn scene(portal: &TestPortal, partners: usize) -> (log::Log, String) {
    portal.post("/dev/seed", "", json!({})).await.expect(200);
    let staff = portal.sign_up("staff@operator.example", "Operator").await;
    portal.make_operator(&staff, "manager").await;
    let log = generate::generate(portal.now_ms(), partners);
    portal.advance_ms((generate::DAYS + 1) * generate::DAY_MS);
    let context = portal.context().await;
    load::load(&context, &log, &staff.person_id).await;
    let token = portal.log_in("staff@operator.example", PASSWORD).await;
    (log, token)
}

async fn bench(portal: TestPortal, engine: &str) {
    let started = std::time::Instant::now();
    let size = partners(10_000);
    let (log, token) = scene(&portal, size).await;
    let loaded = started.elapsed().as_secs();
    println!("LOADED in {loaded} s");
    let compared = compare::compare(&portal, &token, &log).await;
    println!(
        "COMPARED {} numbers, {} differ",
        compared.numbers, compared.difference
    );
    let mut line = json!({
        "name": format!("analytics-{engine}"), "partners": size, "months": 24, "calls_logged": log.calls.len(),
        "invoices": log.invoices.len(), "how": "the component's code, native, one request at a time",
        "load_seconds": loaded, "numbers_compared": compared.numbers, "difference": compared.difference,
    });
    let timed = pages::time(&portal, &token, &log).await;
    for (name, value) in timed {
        line[name] = value;
    }
    println!("BENCH {line}");
    assert_eq!(compared.difference, 0, "{:?}", compared.first);
}

#[tokio::test]
#[ignore = "a benchmark: cargo xtask bench analytics"]
async fn bench_sqlite() {
    bench(TestPortal::on_sqlite().await, "sqlite").await;
}

#[tokio::test]
#[ignore = "a benchmark: cargo xtask bench analytics"]
async fn bench_postgres() {
    bench(TestPortal::on_postgres().await, "postgres").await;
}

crate::testing::on_every_database! {
    async fn every_number_of_two_years_equals_the_one_counted_from_the_log(portal: TestPortal) {
        let (log, token) = scene(&portal, 60).await;
        let compared = compare::compare(&portal, &token, &log).await;
        assert!(compared.numbers > 1_000, "{}", compared.numbers);
        assert_eq!(compared.difference, 0, "{:?}", compared.first);
    }
}
