//! A partner's own analytics by minute and over long spans, what is left, what it costs, and installs.

use serde_json::{Value as Json, json};
use shared::usage::{Cell, LATENCY_BOUNDS_US};

use crate::credentials::test_partner;
use crate::metering;
use crate::testing::{Actor, TestPortal, on_every_database};

const DAY_MS: i64 = 86_400_000;

fn rows(report: &Json, name: &str) -> Vec<Json> {
    let tables = report["tables"].as_array().unwrap();
    let found = tables.iter().find(|table| table["name"] == name);
    found.unwrap()["rows"].as_array().unwrap().clone()
}

fn figure(report: &Json, name: &str) -> Json {
    let figures = report["figures"].as_array().unwrap();
    figures.iter().find(|one| one["name"] == name).unwrap()["value"].clone()
}

fn ms(bucket: usize) -> Json {
    json!(format!("{} ms", LATENCY_BOUNDS_US[bucket] as f64 / 1_000.0))
}

async fn usage(portal: &TestPortal, actor: &Actor, query: &str) -> Json {
    let path = format!(
        "/api/v1/organisations/{}/usage?{query}",
        actor.organisation_id
    );
    portal.get(&path, &actor.token).await.expect(200).json()
}

async fn roll_up(portal: &TestPortal) {
    let context = portal.context().await;
    while metering::roll_up(&context.connection, portal.now_ms())
        .await
        .unwrap()
        > 0
    {}
}

/// The smallest bucket that so many of 100 calls are at or below, counted call by call.
fn slow_percentile(calls: &[(u8, u64)], percent: usize) -> Json {
    let mut each: Vec<u8> = Vec::new();
    for (bucket, count) in calls {
        each.extend(std::iter::repeat_n(
            *bucket,
            usize::try_from(*count).unwrap(),
        ));
    }
    each.sort_unstable();
    ms(usize::from(each[(each.len() * percent).div_ceil(100) - 1]))
}

on_every_database! {
    async fn percentiles_of_a_long_span_are_those_of_its_minutes(portal: TestPortal) {
        let (mut actor, app) = test_partner::start(&portal).await;
        let (_, cell) = test_partner::key_at_edge(&portal, &actor, &app, "test").await;
        let first = portal.now_ms() / 60_000;
        // Two minutes of most days, on days with other answers too.
        let mut cells: Vec<Cell> = Vec::new();
        for day in 0..70_u64 {
            for (minute, outcome, bucket) in [(3, "2xx", 2), (700, "2xx", 7), (700, "4xx", 12), (900, "rate_limited", 0)] {
                let count = 1 + (day * 7 + minute) % 9;
                let minute = first.unsigned_abs() + day * 1_440 + minute;
                let latency = vec![(bucket + u8::try_from(day % 3).unwrap(), count)];
                cells.push(Cell { minute, outcome: outcome.to_owned(), count, units: count, latency, ..cell.clone() });
            }
        }
        portal.advance_ms(71 * DAY_MS);
        let boot = shared::ids::EdgeBootId::from_bytes([9; 16]);
        let merge = async |cells: &[Cell]| {
            let context = portal.context().await;
            context.connection.transaction(async || metering::merge_cells(&context.connection, boot, cells).await).await.unwrap();
        };
        merge(&cells).await;
        actor.token = portal.log_in("ada@partner.example", crate::testing::PASSWORD).await;
        let from = crate::encoding::rfc3339(first * 60_000)[..10].to_owned();
        let to = crate::encoding::rfc3339(portal.now_ms())[..10].to_owned();
        let check = async |cells: &[Cell], what: &str| {
            let report = usage(&portal, &actor, &format!("from={from}&to={to}")).await;
            let let_through = || cells.iter().filter(|cell| cell.outcome != "rate_limited");
            let all: Vec<(u8, u64)> = let_through().flat_map(|cell| cell.latency.clone()).collect();
            for (name, percent) in [("latency_p50", 50), ("latency_p95", 95), ("latency_p99", 99)] {
                assert_eq!(figure(&report, name), slow_percentile(&all, percent), "{what} {name}");
            }
            for name in ["apps", "operations", "credentials", "environments"] {
                assert_eq!(rows(&report, name)[0][7], slow_percentile(&all, 95), "{what} {name}");
            }
            for (place, row) in rows(&report, "time").iter().enumerate().take(70) {
                let day = first / 1_440 + i64::try_from(place).unwrap();
                let of_day: Vec<(u8, u64)> = let_through().filter(|cell| cell.minute.cast_signed() / 1_440 == day).flat_map(|cell| cell.latency.clone()).collect();
                assert_eq!(row[6], slow_percentile(&of_day, 50), "{what} {row}");
            }
        };
        check(&cells, "from minutes").await;
        roll_up(&portal).await;
        let days: i64 = portal.context().await.connection.query_one("SELECT COUNT(*) FROM usage_day_latencies", vec![]).await.unwrap().get(0).unwrap();
        assert!(days >= 130, "{days}");
        check(&cells, "from days").await;
        // A report that comes late is seen at once, and after its day was made again.
        let late = Cell { minute: cells[40].minute + 1, outcome: "2xx".to_owned(), count: 400, latency: vec![(20, 400)], ..cell.clone() };
        merge(std::slice::from_ref(&late)).await;
        cells.push(late);
        check(&cells, "with a late report").await;
        roll_up(&portal).await;
        check(&cells, "with the day made again").await;
    }

    async fn a_day_is_shown_minute_by_minute_and_a_month_is_not(portal: TestPortal) {
        // Some minutes of today are over.
        portal.advance_ms(3_600_000);
        let (actor, app) = test_partner::start(&portal).await;
        let mut edge = test_partner::first_call(&portal, &actor, &app).await;
        let app_id = app.rsplit('/').next().unwrap();
        let credential = edge.newest(|change| match change {
            shared::feed::Change::Credential(known) => Some(known.credential),
            _ => None,
        }).unwrap();
        let mut cell = edge.cell(&portal, app_id, credential, "2xx", 5);
        cell.minute -= 2;
        cell.latency = vec![(3, 5)];
        let minute = crate::encoding::readable_time(cell.minute.cast_signed() * 60_000);
        edge.report_cells(&portal, vec![cell]).await;
        let today = &crate::encoding::rfc3339(portal.now_ms())[..10];
        let report = usage(&portal, &actor, &format!("from={today}&to={today}&by=minute")).await;
        let found = rows(&report, "time");
        let row = found.iter().find(|row| row[0] == json!(minute)).unwrap();
        assert_eq!((&row[1], &row[6]), (&json!(5), &ms(3)), "{row}");
        assert!(found.iter().map(|row| row[1].as_i64().unwrap()).sum::<i64>() == 6);
        let hours = usage(&portal, &actor, &format!("from={today}&to={today}&by=hour")).await;
        assert_eq!(rows(&hours, "time").iter().map(|row| row[1].as_i64().unwrap()).sum::<i64>(), 6);
        let path = format!("/api/v1/organisations/{}/usage", actor.organisation_id);
        portal.get(&format!("{path}?by=minute"), &actor.token).await.expect(422);
        portal.get(&format!("{path}?by=second"), &actor.token).await.expect(422);
        // The page asks for the same by a form, and every table is a file.
        let page = portal.page(&format!("/organisations/{}/usage?from={today}&to={today}&by=minute&status=refused", actor.organisation_id), &actor.token).await.expect(200).text();
        assert!(page.contains("<option value=\"minute\" selected>") && page.contains("<option value=\"refused\" selected>"), "{page}");
        for table in report["tables"].as_array().unwrap() {
            let name = table["name"].as_str().unwrap();
            let file = portal.get(&format!("{path}?format=csv&table={name}"), &actor.token).await.expect(200);
            assert!(file.header("content-type").starts_with("text/csv"), "{name}");
        }
        let whole = portal.page(&format!("/organisations/{}/usage?format=json", actor.organisation_id), &actor.token).await.expect(200).json();
        assert_eq!(whole["tables"].as_array().unwrap().len(), report["tables"].as_array().unwrap().len());
    }

    async fn limits_left_cost_so_far_and_installs_stand_beside_the_calls(portal: TestPortal) {
        let (actor, app) = test_partner::start(&portal).await;
        test_partner::first_call(&portal, &actor, &app).await;
        let context = portal.context().await;
        let app_id = app.rsplit('/').next().unwrap().parse().unwrap();
        let known = crate::apps::find_app(&context.connection, app_id).await.unwrap().unwrap();
        let listing = crate::listings::ensure_listing(&context, &known).await.unwrap();
        let steps = [(crate::listings::Step::View, 8), (crate::listings::Step::Begin, 4), (crate::listings::Step::Install, 1)];
        for (step, times) in steps {
            for _ in 0..times {
                crate::listings::count_step(&context.connection, listing.id, step, portal.now_ms()).await.unwrap();
            }
        }
        let report = usage(&portal, &actor, "").await;
        let installs = &rows(&report, "installs")[0];
        assert_eq!(installs.as_array().unwrap()[1..6], [json!(8), json!(4), json!(1), json!(0.5), json!(0.25)]);
        // The demo's free plan: ten a second, three hundred a minute; the one call was in some minute.
        let limits = rows(&report, "limits");
        let test: Vec<&Json> = limits.iter().filter(|row| row[1] == "test").collect();
        assert_eq!(test.iter().map(|row| (row[5].as_i64().unwrap(), row[6].as_i64().unwrap(), row[7].as_i64().unwrap())).collect::<Vec<_>>(), [(600, 1, 599), (300, 1, 299)]);
        assert_eq!(rows(&report, "quotas")[0][4], json!(9_999));
        let drafts = portal.get(&format!("/api/v1/organisations/{}/billing", actor.organisation_id), &actor.token).await.expect(200).json();
        let costs = rows(&report, "costs");
        assert_eq!(costs.len(), drafts["drafts"].as_array().unwrap().len());
        for (row, draft) in costs.iter().zip(drafts["drafts"].as_array().unwrap()) {
            assert_eq!((&row[2]["amount"], &row[3]["amount"]), (&draft["so_far"]["total"], &draft["forecast_total"]));
        }
    }
}
