//! Periods of a place: edges, quota, usage page and invoice follow the clocks of the plan's time zone.

use serde_json::{Value, json};
use shared::feed::Change;

use super::test_scene::{DAY_MS, HOUR_MS, Scene, documents, run_at};
use crate::testing::{PASSWORD, TestPortal, on_every_database};

const MINUTE_MS: i64 = 60_000;
/// 2026-01-01T00:00:00Z, when every test begins.
const JANUARY_MS: i64 = 1_767_225_600_000;

fn terms(cycle: &str, zone: &str, fee: &str) -> Value {
    json!({
        "cycle": cycle, "time_zone": zone, "week_starts_on": "sunday",
        "quota": { "name": cycle, "limit": 1_000, "enforcement": { "kind": "soft" } },
        "price": { "model": "per_unit", "currency": "USD", "unit_amount": "0.50" },
        "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": fee }]
    })
}

fn line<'a>(document: &'a Value, charge: &str) -> &'a Value {
    let lines = document["lines"].as_array().unwrap();
    lines.iter().find(|line| line["charge"] == charge).unwrap()
}

async fn live_quota(portal: &TestPortal, scene: &Scene) -> Value {
    let token = portal.log_in(&scene.actor.email, PASSWORD).await;
    let path = format!("{}/usage?environment=live", scene.app);
    let usage = portal.get(&path, &token).await.expect(200).json();
    let quotas = usage["quotas"].as_array().unwrap();
    quotas
        .iter()
        .find(|quota| quota["environment"] == "live")
        .unwrap()
        .clone()
}

on_every_database! {
    async fn a_day_ends_at_midnight_in_kathmandu_for_edge_quota_and_invoice(portal: TestPortal) {
        let mut scene = Scene::on_plan(&portal, terms("day", "Asia/Kathmandu", "2")).await;
        // 18:15 UTC is midnight there.
        let midnight_ms = JANUARY_MS + 18 * HOUR_MS + 15 * MINUTE_MS;
        scene.edge.catch_up(&portal).await;
        let periods = scene.edge.newest(|change| match change {
            Change::Subscription(known) => Some(known.periods.clone()),
            _ => None,
        }).unwrap();
        assert_eq!(periods[0], (midnight_ms - DAY_MS).unsigned_abs());
        assert!(periods.windows(2).all(|pair| pair[1] - pair[0] == DAY_MS.unsigned_abs()));
        assert!(periods.len() > 40, "an edge may be away for 35 days");
        run_at(&portal, midnight_ms - MINUTE_MS).await;
        scene.merge(&portal, &[scene.cell_at(midnight_ms - MINUTE_MS, 3)]).await;
        let quota = live_quota(&portal, &scene).await;
        assert_eq!((&quota["used"], &quota["period"]), (&json!(3), &json!("2026-01-01 (Asia/Kathmandu)")));
        run_at(&portal, midnight_ms + MINUTE_MS).await;
        scene.merge(&portal, &[scene.cell_at(midnight_ms, 5)]).await;
        let quota = live_quota(&portal, &scene).await;
        assert_eq!((&quota["used"], &quota["period"]), (&json!(5), &json!("2026-01-02 (Asia/Kathmandu)")));
        crate::metering::roll_up(&portal.context().await.connection, midnight_ms + 30 * HOUR_MS).await.unwrap();
        run_at(&portal, midnight_ms + 2 * DAY_MS + MINUTE_MS).await;
        let issued = documents(&portal).await;
        assert_eq!(issued.len(), 3, "what is paid in advance, and two days");
        let (first, second) = (&issued[1].1, &issued[2].1);
        assert_eq!((&line(first, "Usage")["quantity"], &line(second, "Usage")["quantity"]), (&json!("3"), &json!("5")));
        assert_eq!(line(second, "Usage")["period"], "2026-01-02 (Asia/Kathmandu)");
        assert_eq!((&second["time_zone"], &second["total"]), (&json!("Asia/Kathmandu"), &json!("4.50")));
        // Each day's fee is charged in advance, whole.
        assert!(issued.iter().all(|(_, document)| line(document, "Base fee")["amount"] == "2.00"));
        let token = portal.log_in(&scene.actor.email, PASSWORD).await;
        let path = format!("/api/v1/organisations/{}/invoices", scene.actor.organisation_id);
        let list = portal.get(&path, &token).await.expect(200).json();
        let numbers: Vec<&str> = list["items"].as_array().unwrap().iter().map(|one| one["number"].as_str().unwrap()).collect();
        assert_eq!(numbers, ["INV-000003", "INV-000002", "INV-000001"], "issued in one run, listed by number");
        let id = list["items"][0]["id"].as_str().unwrap();
        let page = portal.page(&format!("/invoices/{id}"), &token).await.expect(200).text();
        assert!(page.contains("<dd>2026-01-02 (Asia/Kathmandu)</dd>"), "{page}");
        let page = portal.page(&format!("/apps/{}/subscriptions", scene.app.rsplit('/').next().unwrap()), &token).await.expect(200).text();
        assert!(page.contains("Billing period 2026-01-04 (Asia/Kathmandu)"), "{page}");
    }

    async fn weeks_in_new_york_hold_every_call_once_across_the_change_of_clocks(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, terms("week", "America/New_York", "7")).await;
        // One call an hour, day and night, until the Sunday after the clocks went forward.
        let end_ms = 1_773_547_200_000; // 2026-03-15T04:00:00Z, midnight there
        let hours = (end_ms - JANUARY_MS) / HOUR_MS;
        let cells: Vec<_> = (1..hours + 5).map(|hour| scene.cell_at(JANUARY_MS + hour * HOUR_MS, 1)).collect();
        scene.merge(&portal, &cells).await;
        crate::metering::roll_up(&portal.context().await.connection, end_ms + DAY_MS).await.unwrap();
        run_at(&portal, end_ms + 25 * HOUR_MS).await;
        let issued = documents(&portal).await;
        let weeks: Vec<(i64, &str)> = issued.iter().skip(1).map(|(_, document)| {
            let usage = line(document, "Usage");
            (usage["quantity"].as_str().unwrap().parse().unwrap(), usage["period"].as_str().unwrap())
        }).collect();
        assert_eq!(weeks.iter().map(|(calls, _)| calls).sum::<i64>(), hours - 1);
        let [before @ .., last] = weeks.as_slice() else { panic!("no weeks") };
        assert!(before[1..].iter().all(|(calls, _)| *calls == 168), "{weeks:?}");
        assert_eq!(last, &(167, "2026-03-08 to 2026-03-14 (America/New_York)"));
        // It was Wednesday evening there when it began: four of seven days.
        assert_eq!(line(&issued[0].1, "Base fee")["proration"], "4 of 7 days");
        assert_eq!(line(&issued[0].1, "Base fee")["amount"], "4.00");
        assert!(issued.iter().skip(1).all(|(_, document)| line(document, "Base fee")["amount"] == "7.00"));
    }
}
