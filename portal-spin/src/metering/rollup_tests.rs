//! Hours and days say what their minutes say, whatever arrives when.

use shared::credential::Environment;
use shared::ids::EdgeBootId;
use shared::plan::Counting;
use shared::usage::Cell;

use super::rollups::{check_boot, forget_rollups, roll_up};
use super::{merge_cells, used_units};
use crate::billing::period::Period;
use crate::context::Context;
use crate::credentials::test_partner::{key_at_edge, start};
use crate::testing::{Actor, TestPortal, on_every_database};

const HOUR_MS: i64 = 3_600_000;

struct Scene {
    cell: Cell,
    boot: EdgeBootId,
    start_minute: u64,
    actor: Actor,
    app: String,
}

async fn scene(portal: &TestPortal) -> Scene {
    let (actor, app) = start(portal).await;
    let (edge, cell) = key_at_edge(portal, &actor, &app, "test").await;
    Scene {
        start_minute: cell.minute,
        cell,
        boot: edge.description.boot,
        actor,
        app,
    }
}

async fn merge(context: &Context, scene: &Scene, minutes: impl Iterator<Item = u64>, count: u64) {
    let cells: Vec<Cell> = minutes
        .map(|minute| Cell {
            minute: scene.start_minute + minute,
            count,
            units: count,
            ..scene.cell.clone()
        })
        .collect();
    let connection = &context.connection;
    connection
        .transaction(async || merge_cells(connection, scene.boot, &cells).await)
        .await
        .unwrap();
}

/// Units from the coarsest source, and from the minutes alone.
async fn units(context: &Context, scene: &Scene, from: i64, to: i64) -> (i64, i64) {
    let start = i64::try_from(scene.start_minute).unwrap();
    let period = Period {
        start_ms: (start + from) * 60_000,
        end_ms: (start + to) * 60_000,
    };
    let (subscription, meter) = (scene.cell.subscription.unwrap(), scene.cell.meter.unwrap());
    let coarse = used_units(
        &context.connection,
        subscription,
        Environment::Test,
        meter,
        &Counting::default(),
        period,
    )
    .await
    .unwrap();
    let row = context
        .connection
        .query_one(
            "SELECT COALESCE(CAST(SUM(units) AS BIGINT), 0) FROM usage_cells WHERE minute >= $1 AND minute < $2",
            crate::params![start + from, start + to],
        )
        .await
        .unwrap();
    (coarse, row.get(0).unwrap())
}

on_every_database! {
    async fn rolled_up_reads_equal_the_minutes_for_every_span(portal: TestPortal) {
        let scene = scene(&portal).await;
        let mut context = portal.context().await;
        merge(&context, &scene, (0..5 * 24 * 60).step_by(7), 3).await;
        let steps = [0, 2 * HOUR_MS + 60_000, 26 * HOUR_MS, 90 * HOUR_MS, 200 * HOUR_MS];
        let mut before = 0;
        for at in steps {
            portal.advance_ms(at - before);
            before = at;
            context = portal.context().await;
            roll_up(&context.connection, portal.now_ms()).await.unwrap();
            // Late cells, in hours that are rolled up and in some that are not.
            merge(&context, &scene, [5, 61, 1500, 3000, 7100].into_iter(), u64::try_from(at / HOUR_MS + 4).unwrap()).await;
            for (from, to) in [(0, 10_000), (1, 59), (30, 90), (59, 61), (60, 120), (17, 4_321), (1_440, 2_880), (1_439, 2_881), (100, 6_000)] {
                let (coarse, minutes) = units(&context, &scene, from, to).await;
                assert_eq!(coarse, minutes, "{from}..{to} at {at}");
            }
            roll_up(&context.connection, portal.now_ms()).await.unwrap();
            let (coarse, minutes) = units(&context, &scene, 3, 6_543).await;
            assert_eq!(coarse, minutes);
            assert_eq!(check_boot(&context.connection, &scene.boot.to_string(), 0).await.unwrap(), []);
        }
        let path = format!("{}/usage?granularity=day&environment=test&from=2026-01-01T00:00:00Z&to=2026-01-08T00:00:00Z", scene.app);
        let token = portal.log_in(&scene.actor.email, crate::testing::PASSWORD).await;
        let page = portal.get(&path, &token).await.expect(200).json();
        assert_eq!(page["totals"]["calls"], units(&context, &scene, 0, 100_000).await.1);
    }

    async fn a_wrong_hour_is_found_read_from_minutes_and_made_again(portal: TestPortal) {
        let scene = scene(&portal).await;
        merge(&portal.context().await, &scene, 0..3_000, 2).await;
        portal.advance_ms(60 * HOUR_MS);
        let context = portal.context().await;
        let connection = &context.connection;
        roll_up(connection, portal.now_ms()).await.unwrap();
        connection.execute("UPDATE usage_hours SET units = units + 1, count = count + 1 WHERE hour % 7 = 0", vec![]).await.unwrap();
        connection.execute("UPDATE usage_days SET units = units + 5", vec![]).await.unwrap();
        let (coarse, minutes) = units(&context, &scene, 0, 3_000).await;
        assert_ne!(coarse, minutes, "the days are wrong");
        let boot = scene.boot.to_string();
        assert!(!check_boot(connection, &boot, 0).await.unwrap().is_empty());
        let (coarse, minutes) = units(&context, &scene, 0, 3_000).await;
        assert_eq!(coarse, minutes, "what is known to be wrong is not read");
        roll_up(connection, portal.now_ms()).await.unwrap();
        assert_eq!(check_boot(connection, &boot, 0).await.unwrap(), []);
        forget_rollups(connection).await.unwrap();
        assert_eq!(units(&context, &scene, 0, 3_000).await.0, 6_000);
        roll_up(connection, portal.now_ms()).await.unwrap();
        assert_eq!(units(&context, &scene, 0, 3_000).await.0, 6_000);
        let rows: i64 = connection.query_one("SELECT COUNT(*) FROM usage_days", vec![]).await.unwrap().get(0).unwrap();
        assert_eq!(rows, 2);
    }
}
