//! Billing runs: each invoice once, whatever arrives when and whoever is killed where.

use serde_json::json;
use std::rc::Rc;

use super::invoice::{Inputs, compose};
use super::run_billing;
use super::test_scene::{DAY_MS, FailingDatabase, HOUR_MS, Scene, documents, publish_plan, run_at};
use crate::params;
use crate::testing::{TestPortal, on_every_database};

/// 2026-02-01 and 2026-03-01, when the months of every test end.
const FEBRUARY_MS: i64 = 1_769_904_000_000;
const MARCH_MS: i64 = FEBRUARY_MS + 28 * DAY_MS;

fn terms() -> serde_json::Value {
    json!({
        "price": { "model": "graduated", "currency": "USD", "included_units": "31",
            "tiers": [{ "up_to": "100", "unit_amount": "0.10" }, { "up_to": null, "unit_amount": "0.05" }] },
        "charges": [
            { "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "31" },
            { "kind": "one_off", "name": "Set-up", "currency": "USD", "amount": "100" }
        ]
    })
}

on_every_database! {
    async fn a_month_is_billed_once_with_late_cells_on_the_next_invoice(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms()).await;
        let start = portal.now_ms();
        assert_eq!(run_at(&portal, start + 25 * HOUR_MS).await, 1, "what is paid in advance");
        scene.merge(&portal, &[scene.cell_at(start + DAY_MS, 200)]).await;
        assert_eq!(run_at(&portal, FEBRUARY_MS + 23 * HOUR_MS).await, 0, "cells may still arrive");
        scene.merge(&portal, &[scene.cell_at(start + 9 * DAY_MS, 31)]).await;
        assert_eq!(run_at(&portal, FEBRUARY_MS + 24 * HOUR_MS).await, 1);
        assert_eq!(run_at(&portal, FEBRUARY_MS + 25 * HOUR_MS).await, 0);
        let issued = documents(&portal).await;
        assert_eq!(issued[0].1["subtotal"], "131.00", "{}", issued[0].1);
        // 231 calls less 31 included: 100 × 0.10 + 100 × 0.05; and February in advance.
        assert_eq!(issued[1].0, "INV-000002");
        assert_eq!(issued[1].1["lines"][0]["quantity"], "231");
        assert_eq!(issued[1].1["lines"][0]["amount"], "15.00", "{}", issued[1].1);
        assert_eq!(issued[1].1["lines"][1]["amount"], "31.00");
        // An edge comes back after three weeks.
        scene.merge(&portal, &[scene.cell_at(start + 2 * DAY_MS, 40)]).await;
        assert_eq!(run_at(&portal, MARCH_MS + 24 * HOUR_MS).await, 1);
        let third = &documents(&portal).await[2].1;
        let late = third["lines"].as_array().unwrap().iter().find(|line| line["kind"] == "adjustment").unwrap();
        assert_eq!(late["amount"], "2.00", "{late}");
        assert_eq!(late["reason"], "usage reported after invoice INV-000002 was issued: 231 was billed, 271 is counted now");
        // Composed again from what is stored, every document is the same to the byte.
        let context = portal.context().await;
        for row in context.connection.query("SELECT inputs, document FROM invoices", params![]).await.unwrap() {
            let inputs: Inputs = serde_json::from_str(&row.get::<String>(0).unwrap()).unwrap();
            let again = serde_json::to_string(&compose(&inputs).unwrap().document).unwrap();
            assert_eq!(again, row.get::<String>(1).unwrap());
        }
        let told = portal.newest_email(&scene.actor.email).await;
        assert!(told["subject"].as_str().unwrap().starts_with("Invoice INV-000003"), "{told}");
    }

    async fn a_plan_changed_in_the_middle_is_given_back_and_charged_by_the_day(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms()).await;
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        let bigger = publish_plan(&portal, "Bigger", json!({
            "price": { "model": "flat", "currency": "USD", "flat_amount": "0" },
            "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "62" }]
        })).await;
        // 11 January, noon: ten days of the first plan, 21 of the second.
        run_at(&portal, FEBRUARY_MS - 21 * DAY_MS + 12 * HOUR_MS).await;
        scene.change_plan(&portal, &bigger).await;
        run_at(&portal, FEBRUARY_MS + 24 * HOUR_MS).await;
        let issued = documents(&portal).await;
        let lines = issued[1].1["lines"].as_array().unwrap();
        let of = |kind: &str, proration: &str| {
            lines.iter().find(|line| line["charge"] == "Base fee" && line["kind"] == kind && line["proration"] == proration).map(|line| line["amount"].clone())
        };
        assert_eq!(of("credit", "10 of 31 days"), Some(json!("-21.00")), "{}", issued[1].1);
        assert_eq!(of("charge", "21 of 31 days"), Some(json!("42.00")), "{}", issued[1].1);
        assert_eq!(of("charge", "28 of 28 days"), Some(json!("62.00")), "{}", issued[1].1);
        // Cancelled in February: half a month comes back as a credit note, into the wallet.
        let token = portal.log_in(&scene.actor.email, crate::testing::PASSWORD).await;
        run_at(&portal, FEBRUARY_MS + 14 * DAY_MS).await;
        portal.call("DELETE", &format!("{}?when=now", scene.subscription), &token, None).await;
        let context = portal.context().await;
        let app = crate::apps::find_app(&context.connection, scene.app.rsplit('/').next().unwrap().parse().unwrap()).await.unwrap().unwrap();
        context.connection.transaction(async || crate::subscriptions::cancel_all(&context, app.id).await).await.unwrap();
        run_at(&portal, MARCH_MS + 24 * HOUR_MS).await;
        let last = documents(&portal).await.pop().unwrap();
        assert_eq!((last.0.as_str(), &last.1["total"]), ("CRN-000001", &json!("-31.00")), "{}", last.1);
        let context = portal.context().await;
        let organisation: shared::ids::OrganisationId = scene.actor.organisation_id.parse().unwrap();
        assert_eq!(super::super::wallet::list_balances(&context.connection, &[organisation]).await.unwrap()[&(organisation, "USD".parse().unwrap())], 3_100);
    }

    async fn what_is_charged_once_is_charged_with_every_plan_that_is_entered_and_not_again(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms()).await;
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        let set_up = |name: &str, amount: &str| json!({
            "price": { "model": "flat", "currency": "USD", "flat_amount": "1" },
            "charges": [{ "kind": "one_off", "name": name, "currency": "USD", "amount": amount }]
        });
        let other = publish_plan(&portal, "Other", set_up("Set-up", "70")).await;
        let third = publish_plan(&portal, "Third", set_up("Move", "5.50")).await;
        let context = portal.context().await;
        let first: String = context.connection.query_one("SELECT plan_id FROM plans WHERE name = 'Tested'", params![]).await.unwrap().get(0).unwrap();
        drop(context);
        // Back and forth within January and February: each plan's set-up once.
        for (at_ms, plan) in [(-9, &other), (-7, &first), (-5, &third), (2, &other), (4, &third)] {
            run_at(&portal, FEBRUARY_MS + at_ms * DAY_MS).await;
            scene.change_plan(&portal, plan).await;
        }
        run_at(&portal, FEBRUARY_MS + 5 * DAY_MS).await;
        run_at(&portal, MARCH_MS + 2 * DAY_MS).await;
        let issued = documents(&portal).await;
        let once = |document: &serde_json::Value| document["lines"].as_array().unwrap().iter()
            .filter(|line| line["proration"] == "charged once")
            .map(|line| (line["plan"].as_str().unwrap().to_owned(), line["amount"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>();
        let of = |plan: &str, amount: &str| (plan.to_owned(), amount.to_owned());
        assert_eq!(once(&issued[0].1), [of("Tested", "100.00")]);
        assert_eq!(once(&issued[1].1), [of("Other", "70.00"), of("Third", "5.50")], "{}", issued[1].1);
        assert_eq!(once(&issued[2].1), []);
    }

    async fn a_trial_is_on_the_invoice_without_charge_and_what_follows_is_charged(portal: TestPortal) {
        let plan = json!({
            "price": { "model": "per_unit", "currency": "USD", "unit_amount": "0.10" }, "trial_days": 10,
            "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "31" }]
        });
        let scene = Scene::on_plan(&portal, plan).await;
        let live_ms = portal.now_ms();
        let cells = [scene.cell_at(live_ms + DAY_MS, 40), scene.cell_at(live_ms + 12 * DAY_MS, 7)];
        run_at(&portal, live_ms + 13 * DAY_MS).await;
        scene.merge(&portal, &cells).await;
        run_at(&portal, FEBRUARY_MS + 25 * HOUR_MS).await;
        let issued = documents(&portal).await;
        let usage: Vec<(String, String)> = issued.iter()
            .flat_map(|(_, document)| document["lines"].as_array().unwrap().clone())
            .filter(|line| line["charge"] == "Usage" && line["quantity"] != "0")
            .map(|line| (line["formula"].as_str().unwrap().to_owned(), line["amount"].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(usage.len(), 2, "{issued:?}");
        assert!(usage[0].0.starts_with("trial: no charge (would be 40 × 0.1"), "{usage:?}");
        assert_eq!((usage[0].1.as_str(), usage[1].1.as_str()), ("0.00", "0.70"), "{usage:?}");
    }

    async fn what_an_edge_may_have_lost_is_on_the_invoice_and_on_the_usage_page(portal: TestPortal) {
        let mut scene = Scene::on_plan(&portal, terms()).await;
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        scene.edge.decided = 30;
        let cell = scene.cell_at(portal.now_ms(), 20);
        scene.edge.report_cells(&portal, vec![cell]).await;
        portal.advance_ms(2_000);
        // The same edge begins anew: the boot before it ended without a last report.
        crate::edges::test_edge::TestEdge::new(&portal, "edge-1", 9).beat(&portal).await;
        let token = portal.log_in(&scene.actor.email, crate::testing::PASSWORD).await;
        let page = portal.page(&format!("/apps/{}/usage", scene.app.rsplit('/').next().unwrap()), &token).await.expect(200).text();
        assert!(page.contains("ended without a last report: at most"), "{page}");
        run_at(&portal, FEBRUARY_MS + 25 * HOUR_MS).await;
        let document = &documents(&portal).await[1].1;
        let gaps = document["gaps"].as_array().unwrap();
        assert_eq!(gaps.len(), 1, "{document}");
        assert!(gaps[0].as_str().unwrap().ends_with("of all callers together, are not counted and not charged."), "{document}");
        let list = portal.log_in(&scene.actor.email, crate::testing::PASSWORD).await;
        let path = format!("/api/v1/organisations/{}/invoices", scene.actor.organisation_id);
        let id = portal.get(&path, &list).await.expect(200).json()["items"][0]["id"].as_str().unwrap().to_owned();
        let page = portal.page(&format!("/invoices/{id}"), &list).await.expect(200).text();
        assert!(page.contains("Gaps in metering"));
        let csv = portal.get(&format!("/api/v1/invoices/{id}/csv"), &list).await.expect(200).text();
        assert!(csv.contains("INV-000002,gap,"), "{csv}");
        // What the lost boot brings after all heals the gap: the next invoice says nothing of it.
        let late = vec![scene.cell_at(portal.now_ms() - 20 * DAY_MS, 30)];
        scene.edge.report_cells(&portal, late).await;
        run_at(&portal, MARCH_MS + 25 * HOUR_MS).await;
        assert_eq!(documents(&portal).await[2].1.get("gaps"), None);
    }

    async fn a_run_killed_at_any_statement_goes_on_without_hole_or_double(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms()).await;
        scene.merge(&portal, &[scene.cell_at(portal.now_ms() + DAY_MS, 200)]).await;
        portal.advance_ms(FEBRUARY_MS + 25 * HOUR_MS - portal.now_ms());
        let left = Rc::new(std::cell::Cell::new(i64::MAX));
        let failing = FailingDatabase { inner: portal.database.clone(), left: Rc::clone(&left) };
        let app = portal.app_on(Box::new(failing)).await;
        let mut killed = 0;
        loop {
            left.set(i64::MAX);
            let context = portal.context_of(&app).await;
            left.set(killed);
            if run_billing(&context).await.is_ok() {
                break;
            }
            killed += 1;
        }
        assert!(killed > 25, "a run has many statements: {killed}");
        let issued = documents(&portal).await;
        assert_eq!(issued.iter().map(|(number, _)| number.as_str()).collect::<Vec<_>>(), ["INV-000001", "INV-000002"]);
        assert_eq!(issued[1].1["lines"][0]["quantity"], "200");
        let context = portal.context().await;
        let mails: i64 = context.connection.query_one("SELECT COUNT(*) FROM emails WHERE subject LIKE 'Invoice %'", params![]).await.unwrap().get(0).unwrap();
        assert_eq!(mails, 2);
    }

    async fn two_runs_at_once_issue_each_invoice_once(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms()).await;
        scene.merge(&portal, &[scene.cell_at(portal.now_ms() + DAY_MS, 200)]).await;
        let now_ms = MARCH_MS + 25 * HOUR_MS;
        portal.advance_ms(now_ms - portal.now_ms());
        let address = portal.database.address();
        let threads: Vec<_> = (1..=3_u64)
            .map(|number| {
                let address = address.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async move {
                        let replica = TestPortal::on_lent(address, now_ms, number << 40).await;
                        run_billing(&replica.context().await).await.unwrap()
                    })
                })
            })
            .collect();
        let issued: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(issued, 3);
        let numbers: Vec<String> = documents(&portal).await.into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, ["INV-000001", "INV-000002", "INV-000003"]);
    }

    async fn a_stream_repeated_shuffled_and_interrupted_gives_the_same_bytes(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms()).await;
        let start = portal.now_ms();
        // Cumulative cells: each minute is told three times, growing.
        let mut cells = Vec::new();
        for minute in 0..120_i64 {
            for growth in 1..=3 {
                let mut cell = scene.cell_at(start + minute * 3 * HOUR_MS / 2, u64::try_from(minute % 7 + 1).unwrap() * growth);
                cell.operation = format!("operation{}", minute % 5);
                cells.push(cell);
            }
        }
        let expected: u64 = (0..120).map(|minute: u64| (minute % 7 + 1) * 3).sum();
        let (late, early): (Vec<_>, Vec<_>) = cells.into_iter().enumerate().partition(|(index, _)| index % 20 == 7);
        let left = Rc::new(std::cell::Cell::new(i64::MAX));
        let failing = FailingDatabase { inner: portal.database.clone(), left: Rc::clone(&left) };
        let app = portal.app_on(Box::new(failing)).await;
        let mut state = 7_u64;
        let mut shuffled = |mut cells: Vec<shared::usage::Cell>| {
            for index in (1..cells.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                cells.swap(index, usize::try_from(state >> 33).unwrap() % (index + 1));
            }
            cells
        };
        let early: Vec<_> = early.into_iter().map(|(_, cell)| cell).collect();
        let late: Vec<_> = late.into_iter().map(|(_, cell)| cell).collect();
        for round in 0..10_i64 {
            for (number, batch) in shuffled(early.clone()).chunks(50).enumerate() {
                left.set(i64::MAX);
                let context = portal.context_of(&app).await;
                left.set(if number % 3 == usize::try_from(round).unwrap() % 3 { 2 + i64::try_from(number).unwrap() % 4 } else { i64::MAX });
                let connection = &context.connection;
                let merged = connection.transaction(async || crate::metering::merge_cells(connection, scene.boot, batch).await).await;
                left.set(i64::MAX);
                drop(context);
                if merged.is_err() {
                    scene.merge(&portal, batch).await;
                }
            }
            crate::metering::roll_up(&portal.context().await.connection, start + round * 4 * DAY_MS).await.unwrap();
        }
        portal.advance_ms(FEBRUARY_MS + HOUR_MS - portal.now_ms());
        crate::metering::roll_up(&portal.context().await.connection, portal.now_ms()).await.unwrap();
        scene.merge(&portal, &shuffled(late)).await;
        run_at(&portal, FEBRUARY_MS + 25 * HOUR_MS).await;
        let issued = documents(&portal).await;
        assert_eq!(issued[1].1["lines"][0]["quantity"], expected.to_string());
        // The same partner, each cell once and in order.
        let other = match portal.engine() {
            crate::ports::Engine::Sqlite => TestPortal::on_sqlite().await,
            crate::ports::Engine::Postgres => TestPortal::on_postgres().await,
        };
        let calm = Scene::on_plan(&other, terms()).await;
        let once: Vec<_> = (0..120_i64).map(|minute| shared::usage::Cell {
            operation: format!("operation{}", minute % 5),
            ..calm.cell_at(other.now_ms() + minute * 3 * HOUR_MS / 2, u64::try_from(minute % 7 + 1).unwrap() * 3)
        }).collect();
        calm.merge(&other, &once).await;
        run_at(&other, FEBRUARY_MS + 25 * HOUR_MS).await;
        let expected = documents(&other).await;
        assert_eq!(serde_json::to_string(&issued).unwrap(), serde_json::to_string(&expected).unwrap());
    }
}
