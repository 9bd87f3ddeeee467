//! Meters of distinct installations: each installation once in a period, however the period is cut.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::ids::InstallationId;
use shared::usage::Cell;

use super::test_scene::{DAY_MS, HOUR_MS, Scene, documents, publish_plan, run_at};
use crate::testing::{PASSWORD, TestPortal, on_every_database};

/// 2026-02-01 and 2026-03-01.
const FEBRUARY_MS: i64 = 1_769_904_000_000;
const MARCH_MS: i64 = FEBRUARY_MS + 28 * DAY_MS;

fn terms(unit_amount: &str) -> Value {
    json!({
        "price": { "model": "per_unit", "currency": "USD", "unit_amount": "0" },
        "charges": [{ "kind": "usage", "name": "Shops", "meter": "Installations",
            "price": { "model": "per_unit", "currency": "USD", "unit_amount": unit_amount } }]
    })
}

fn installed(scene: &Scene, number: u8, at_ms: i64, outcome: &str) -> Cell {
    Cell {
        installation: Some(InstallationId::from_bytes([number; 16])),
        outcome: outcome.to_owned(),
        ..scene.cell_at(at_ms, 3)
    }
}

/// The lines of the charge: plan, kind, quantity, amount.
fn lines(document: &Value) -> Vec<[String; 4]> {
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let lines = document["lines"].as_array().unwrap().iter();
    lines
        .filter(|line| line["charge"] == "Shops")
        .map(|line| ["plan", "kind", "quantity", "amount"].map(|name| text(line, name)))
        .collect()
}

async fn used(portal: &TestPortal, scene: &Scene) -> Value {
    let token = portal.log_in(&scene.actor.email, PASSWORD).await;
    let usage = portal
        .get(&format!("{}/usage", scene.app), &token)
        .await
        .expect(200)
        .json();
    let meters = usage["meters"].as_array().unwrap();
    let is_it =
        |meter: &&Value| meter["meter"] == "Installations" && meter["environment"] == "live";
    meters.iter().find(is_it).unwrap()["quantity"].clone()
}

on_every_database! {
    async fn an_installation_counts_once_in_a_period_in_the_part_that_saw_it_first(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms("5")).await;
        let bigger = publish_plan(&portal, "Bigger", terms("4")).await;
        let start = portal.now_ms();
        let day = |day: i64| start + day * DAY_MS;
        scene.merge(&portal, &[
            installed(&scene, 1, day(2), "2xx"),
            installed(&scene, 1, day(5), "2xx"),
            // What does not count by the plan does not count an installation either.
            installed(&scene, 9, day(3), "5xx"),
            installed(&scene, 9, day(3), "rate_limited"),
            scene.cell_at(day(4), 100),
        ]).await;
        run_at(&portal, day(10)).await;
        assert_eq!(used(&portal, &scene).await, 1);
        scene.change_plan(&portal, &bigger).await;
        scene.merge(&portal, &[
            installed(&scene, 1, day(12), "2xx"),
            installed(&scene, 2, day(13), "2xx"),
            installed(&scene, 2, day(14), "4xx"),
            installed(&scene, 3, day(20), "aborted"),
        ]).await;
        run_at(&portal, day(21)).await;
        assert_eq!(used(&portal, &scene).await, 3, "the usage page counts the whole period");
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let page = portal.page(&format!("/apps/{}/usage", scene.app.rsplit('/').next().unwrap()), &token).await.expect(200).text();
        assert!(page.contains("distinct installations"), "{page}");
        run_at(&portal, FEBRUARY_MS + 25 * HOUR_MS).await;
        let first = documents(&portal).await.pop().unwrap().1;
        let line = |plan: &str, kind: &str, quantity: &str, amount: &str| [plan, kind, quantity, amount].map(str::to_owned);
        assert_eq!(lines(&first), [line("Tested", "charge", "1", "5.00"), line("Bigger", "charge", "2", "8.00")], "{first}");
        let said = first["lines"].to_string();
        assert!(said.contains("Shops (distinct installations with a call that counts)"), "{said}");
        assert!(said.contains("without those of the period's earlier part"), "{said}");
        // An edge was away: the second installation was there in the first part already.
        scene.merge(&portal, &[installed(&scene, 2, day(6), "2xx")]).await;
        run_at(&portal, MARCH_MS + 25 * HOUR_MS).await;
        let late = documents(&portal).await.pop().unwrap().1;
        let of_january: Vec<_> = lines(&late).into_iter().filter(|line| line[1] != "charge").collect();
        assert_eq!(of_january, [line("Tested", "adjustment", "2", "5.00"), line("Bigger", "credit", "1", "-4.00")], "{late}");
    }

    async fn whatever_parts_a_period_is_cut_into_their_installations_sum_to_the_whole(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms("1")).await;
        let other = publish_plan(&portal, "Other", terms("1")).await;
        let context = portal.context().await;
        let first: String = context.connection.query_one("SELECT plan_id FROM plans WHERE name = 'Tested'", vec![]).await.unwrap().get(0).unwrap();
        drop(context);
        let start = portal.now_ms();
        let mut state = 42_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut whole = BTreeSet::new();
        let mut cells = Vec::new();
        for _ in 0..60 {
            let (number, outcome) = (u8::try_from(random(25)).unwrap(), ["2xx", "5xx"][usize::from(random(4) == 0)]);
            cells.push(installed(&scene, number, start + i64::try_from(random(30 * 1_440)).unwrap() * 60_000, outcome));
            if outcome == "2xx" {
                whole.insert(number);
            }
        }
        scene.merge(&portal, &cells).await;
        let mut day = 1;
        for number in 0..8 {
            day += i64::try_from(random(3)).unwrap() + 1;
            run_at(&portal, start + day * DAY_MS + i64::try_from(random(24)).unwrap() * HOUR_MS).await;
            scene.change_plan(&portal, if number % 2 == 0 { &other } else { &first }).await;
        }
        run_at(&portal, FEBRUARY_MS + 25 * HOUR_MS).await;
        let document = documents(&portal).await.pop().unwrap().1;
        let parts: Vec<usize> = lines(&document).iter().map(|line| line[2].parse().unwrap()).collect();
        assert!(parts.len() > 5 && parts.iter().filter(|count| **count > 0).count() > 3, "{parts:?}");
        assert_eq!(parts.iter().sum::<usize>(), whole.len(), "{document}");
    }

    async fn a_meter_is_named_once_and_a_charge_names_one_that_is_there(portal: TestPortal) {
        let staff = portal.sign_up("manager@operator.example", "Operator").await;
        portal.make_operator(&staff, "manager").await;
        let create = async |name: &str, meters: Value, status: u16| {
            portal.post("/api/v1/operator/products", &staff.token, json!({ "name": name, "meters": meters })).await.expect(status).json()
        };
        let header = |name: &str| json!({ "from": "response_header", "name": name });
        for (meters, field) in [
            (json!([{ "name": "calls", "source": { "from": "bytes" } }]), "meters[0].name"),
            (json!([{ "name": "", "source": { "from": "bytes" } }]), "meters[0].name"),
            (json!([{ "name": "Rows", "source": header("x rows") }]), "meters[0].source.name"),
        ] {
            assert_eq!(create("Faulty", meters, 422).await["errors"][0]["field"], field);
        }
        let meters = json!([{ "name": "Rows", "source": header("X-Rows") }, { "name": "Shops", "source": { "from": "distinct_installations" } }]);
        let product = create("Metered", meters, 201).await;
        assert_eq!(product["meters"][1]["source"], header("x-rows"), "as edges compare it");
        let plans = format!("/api/v1/operator/products/{}/plans", product["id"].as_str().unwrap());
        let charge = |meter: &str| json!({ "name": format!("By {meter}"), "terms": {
            "price": { "model": "flat", "currency": "USD", "flat_amount": "0" },
            "charges": [{ "kind": "usage", "name": "A", "meter": meter, "price": { "model": "per_unit", "currency": "USD", "unit_amount": "1" } }] } });
        portal.post(&plans, &staff.token, charge("Shops")).await.expect(201);
        let refused = portal.post(&plans, &staff.token, charge("Shop")).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], "terms.charges[0].meter");
        assert!(refused["errors"][0]["detail"].as_str().unwrap().contains("Calls, Rows, Shops"), "{refused}");
    }
}
