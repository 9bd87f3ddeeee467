//! A short past, played on both databases.

use serde_json::{Value as Json, json};

use crate::testing::{TestPortal, on_every_database};

const MONTHS: i64 = 4;

async fn play_to_the_end(portal: &TestPortal) -> Json {
    loop {
        let view = portal
            .post("/dev/seed/history", "", json!({}))
            .await
            .expect(200)
            .json();
        if view["done"] == true {
            return view;
        }
    }
}

async fn count(portal: &TestPortal, sql: &str) -> i64 {
    let context = portal.context().await;
    context
        .connection
        .query_one(sql, vec![])
        .await
        .unwrap()
        .get(0)
        .unwrap()
}

async fn seed(portal: &TestPortal) -> Json {
    portal
        .post(&format!("/dev/seed?months={MONTHS}"), "", json!({}))
        .await
        .expect(200)
        .json()
}

on_every_database! {
    async fn a_past_is_played_once_and_every_number_of_it_is_somebodys(portal: TestPortal) {
        portal.advance_ms(3 * 3_600_000);
        // The addresses of listings answer.
        portal.http.answers.borrow_mut().extend((0..100).map(|_| http::Response::new(bytes::Bytes::new())));
        let seeded = seed(&portal).await;
        let view = play_to_the_end(&portal).await;
        let refused: Vec<&str> = view["refused"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        // Addresses of listings do not answer here; who has not agreed cannot go live.
        assert!(refused.iter().all(|one| one.contains("rules_broken") || one.contains("agreement_required") || one.contains("not_found")), "{refused:#?}");
        let tables = [
            ("registrations", 17), ("organisations", 15), ("apps", 13),
        ];
        for (table, least) in tables {
            let rows = count(&portal, &format!("SELECT COUNT(*) FROM {table}")).await;
            assert!(rows >= least, "{table}: {rows}");
        }
        assert!(count(&portal, "SELECT COUNT(*) FROM invoices WHERE paid_at_ms IS NOT NULL").await > 5);
        assert_eq!(count(&portal, "SELECT COUNT(*) FROM billing_failures").await, 0);
        assert!(count(&portal, "SELECT COUNT(*) FROM request_samples WHERE code <> ''").await > 0);
        // Who asks is answered, and the clock sorts partners into tiers.
        assert!(count(&portal, "SELECT COUNT(*) FROM threads WHERE closed_at_ms IS NOT NULL").await > 3);
        assert!(count(&portal, "SELECT COUNT(*) FROM thread_messages WHERE is_from_operator = 1").await > 3);
        assert!(count(&portal, "SELECT COUNT(*) FROM tier_changes").await > 0);
        // The cells, the days of analytics and the hours of billing say the same.
        let cells = count(&portal, "SELECT CAST(SUM(count) AS BIGINT) FROM usage_cells").await;
        let days = count(&portal, "SELECT CAST(SUM(calls + refused) AS BIGINT) FROM partner_days").await;
        assert_eq!(cells, days);
        assert!(cells > 100_000, "{cells}");
        // Nothing happens behind the end, and nothing twice.
        let end = portal.now_ms();
        assert_eq!(count(&portal, &format!("SELECT COUNT(*) FROM invoices WHERE issued_at_ms > {end}")).await, 0);
        assert_eq!(seed(&portal).await["already_seeded"], true);
        play_to_the_end(&portal).await;
        assert_eq!(count(&portal, "SELECT CAST(SUM(count) AS BIGINT) FROM usage_cells").await, cells);
        // The demo's own partner has no part in it.
        let acme = seeded["organisation_id"].as_str().unwrap();
        assert_eq!(count(&portal, &format!("SELECT COUNT(*) FROM partner_days WHERE organisation_id = '{acme}'")).await, 0);
        let login = &seeded["partner_with_history"];
        portal.log_in(login["email"].as_str().unwrap(), login["password"].as_str().unwrap()).await;
    }
}

#[tokio::test]
async fn a_programme_that_exists_gets_no_past() {
    let portal = TestPortal::on_sqlite().await;
    portal.sign_up("first@real.example", "A real partner").await;
    seed(&portal).await;
    assert_eq!(play_to_the_end(&portal).await["days_left"], 0);
    assert_eq!(
        count(&portal, "SELECT COUNT(*) FROM organisations").await,
        2
    );
}

#[tokio::test]
async fn a_past_that_is_cut_short_goes_on_to_the_same_end() {
    let mut ends = Vec::new();
    for kills in [0, 5] {
        let mut portal = TestPortal::on_sqlite().await;
        portal
            .post("/dev/seed?months=2", "", json!({}))
            .await
            .expect(200);
        for kill in 0..kills {
            let (killed, _left) = portal.killed_after(700 + kill * 911).await;
            killed.post("/dev/seed/history", "", json!({})).await;
            portal = killed
                .another_instance(&[
                    ("environment", "development"),
                    ("public_url", "http://portal.test"),
                ])
                .await;
            // Who was killed has the stage for a while yet.
            portal.advance_ms(super::TERM_MS + 1);
        }
        play_to_the_end(&portal).await;
        ends.push((
            count(&portal, "SELECT COUNT(*) FROM organisations").await,
            count(&portal, "SELECT COUNT(*) FROM credentials").await,
            count(&portal, "SELECT COUNT(*) FROM invoices").await,
            count(
                &portal,
                "SELECT CAST(SUM(count) AS BIGINT) FROM usage_cells",
            )
            .await,
        ));
    }
    assert_eq!(ends.first(), ends.last());
}

#[tokio::test]
async fn who_asks_while_another_plays_is_told_the_place_and_plays_nothing() {
    let portal = TestPortal::on_sqlite().await;
    portal
        .post("/dev/seed?months=2", "", json!({}))
        .await
        .expect(200);
    let context = portal.context().await;
    assert!(super::take_stage(&context).await.unwrap());
    assert!(!super::take_stage(&context).await.unwrap());
    drop(context);
    let organisations = "SELECT COUNT(*) FROM organisations";
    let before = count(&portal, organisations).await;
    let view = portal
        .post("/dev/seed/history", "", json!({}))
        .await
        .expect(200)
        .json();
    assert_eq!(view["done"], false);
    assert_eq!(count(&portal, organisations).await, before);
    super::leave_stage(&portal.context().await).await.unwrap();
    play_to_the_end(&portal).await;
    assert!(count(&portal, organisations).await > before);
}
