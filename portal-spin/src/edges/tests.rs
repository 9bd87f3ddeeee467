//! Behaviour of feed, snapshot, reports, leases and boots, on both databases.

use serde_json::json;
use shared::credential::Environment;
use shared::feed::{Change, PAGE_ALIGNMENT};
use shared::ids::SubscriptionId;
use shared::lease::{LeaseKey, LeaseRequest};
use shared::share::{ShareKey, ShareRequest, WHOLE};
use shared::usage::Report;

use super::test_edge::TestEdge;
use crate::edges::feed;
use crate::testing::{Actor, TestPortal, on_every_database};

/// The demonstration programme and a partner of their own.
async fn start(portal: &TestPortal) -> (Actor, String) {
    portal.post("/dev/seed", "", json!({})).await.expect(200);
    let actor = portal.sign_up("ada@partner.example", "Partner").await;
    let path = format!("/api/v1/organisations/{}/apps", actor.organisation_id);
    let app = portal
        .post(&path, &actor.token, json!({ "name": "App" }))
        .await
        .expect(201)
        .json();
    let app_id = app["id"].as_str().unwrap().to_owned();
    (actor, app_id)
}

async fn issue(portal: &TestPortal, actor: &Actor, app_id: &str) -> (String, String) {
    let path = format!("/api/v1/apps/{app_id}/credentials");
    let issued = portal
        .post(&path, &actor.token, json!({ "environment": "test" }))
        .await
        .expect(201)
        .json();
    let id = issued["credential"]["id"].as_str().unwrap().to_owned();
    assert_eq!(issued["credential"]["state"], "pending");
    (id, issued["key"].as_str().unwrap().to_owned())
}

on_every_database! {
    async fn a_key_is_active_once_every_live_edge_has_applied_it(portal: TestPortal) {
        let (actor, app_id) = start(&portal).await;
        let mut first = TestEdge::new(&portal, "edge-1", 1);
        let mut second = TestEdge::new(&portal, "edge-2", 2);
        for edge in [&mut first, &mut second] {
            edge.start(&portal).await;
            edge.beat(&portal).await;
        }
        portal.advance_ms(1_000);
        let (id, key) = issue(&portal, &actor, &app_id).await;
        let path = format!("/api/v1/apps/{app_id}/credentials/{id}");
        let state = async || portal.get(&path, &actor.token).await.expect(200).json()["state"].as_str().unwrap().to_owned();
        first.beat(&portal).await;
        assert_eq!(first.find_key(&portal, &key).unwrap().to_string(), id);
        assert_eq!(state().await, "pending");
        portal.advance_ms(300);
        second.beat(&portal).await;
        assert_eq!(state().await, "active");
        // The test clock moves on a little with every request.
        let activation_ms = portal.get(&path, &actor.token).await.json()["activation_ms"].as_i64().unwrap();
        assert!((300..350).contains(&activation_ms), "{activation_ms}");

        portal.call("DELETE", &path, &actor.token, None).await.expect(200);
        portal.advance_ms(200);
        first.beat(&portal).await;
        second.beat(&portal).await;
        let revoked = portal.get(&path, &actor.token).await.json();
        assert_eq!(revoked["state"], "revoked");
        assert!((200..250).contains(&revoked["refusal_ms"].as_i64().unwrap()), "{revoked}");
    }

    async fn a_key_waits_while_no_edge_lives_and_dead_edges_do_not_hold_it_up(portal: TestPortal) {
        let (actor, app_id) = start(&portal).await;
        let mut dead = TestEdge::new(&portal, "edge-1", 1);
        dead.beat(&portal).await;
        portal.advance_ms(6_000);
        let (id, _) = issue(&portal, &actor, &app_id).await;
        let path = format!("/api/v1/apps/{app_id}/credentials/{id}");
        assert_eq!(portal.get(&path, &actor.token).await.json()["state"], "pending");
        let mut live = TestEdge::new(&portal, "edge-2", 2);
        live.beat(&portal).await;
        assert_eq!(portal.get(&path, &actor.token).await.json()["state"], "active");
    }

    async fn a_snapshot_and_the_feed_behind_it_say_the_same_as_the_whole_feed(portal: TestPortal) {
        let (actor, app_id) = start(&portal).await;
        let (_, early) = issue(&portal, &actor, &app_id).await;
        let mut cold = TestEdge::new(&portal, "cold", 1);
        cold.start(&portal).await;
        let (_, late) = issue(&portal, &actor, &app_id).await;
        cold.catch_up(&portal).await;
        let mut whole = TestEdge::new(&portal, "whole", 2);
        whole.catch_up(&portal).await;
        assert_eq!(cold.applied_position, whole.applied_position);
        for key in [&early, &late] {
            assert_eq!(cold.find_key(&portal, key), whole.find_key(&portal, key));
            assert!(cold.find_key(&portal, key).is_some());
        }
        for change in &whole.changes {
            let newest = whole.newest(|other| (other.key() == change.key()).then(|| other.clone()));
            if matches!(change, Change::Credential(_)) {
                continue;
            }
            assert_eq!(cold.newest(|other| (other.key() == change.key()).then(|| other.clone())), newest);
        }
    }

    async fn a_full_page_may_be_cached_for_ever_and_a_tail_may_not(portal: TestPortal) {
        let context = portal.context().await;
        let connection = &context.connection;
        connection.transaction(async || {
            for _ in 0..=PAGE_ALIGNMENT {
                let change = Change::Jwks(json!({ "keys": [] }));
                feed::publish(connection, 1, &change).await?;
            }
            Ok::<(), crate::database::DatabaseError>(())
        }).await.unwrap();
        let edge = TestEdge::new(&portal, "edge-1", 1);
        let full = edge.send(&portal, "GET", "/edge/v1/feed?after=0", "").await.expect(200);
        assert_eq!(full.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(full.json()["entries"].as_array().unwrap().len() as u64, PAGE_ALIGNMENT);
        let tail = edge.send(&portal, "GET", &format!("/edge/v1/feed?after={PAGE_ALIGNMENT}"), "").await.expect(200);
        assert_eq!(tail.header("cache-control"), "no-store");
        assert_eq!(tail.json()["next"], PAGE_ALIGNMENT + 1);
        let beyond = edge.send(&portal, "GET", "/edge/v1/feed?after=5000", "").await.expect(200).json();
        assert_eq!((beyond["next"].as_u64(), beyond["complete"].as_bool()), (Some(5000), Some(false)));
    }

    async fn publishing_outside_a_transaction_is_refused(portal: TestPortal) {
        let context = portal.context().await;
        assert!(feed::publish(&context.connection, 1, &Change::Jwks(json!({}))).await.is_err());
    }

    async fn an_unsigned_edge_request_is_refused(portal: TestPortal) {
        for (method, path) in [("GET", "/edge/v1/feed"), ("GET", "/edge/v1/snapshot"), ("POST", "/edge/v1/report")] {
            let answer = portal.request(method, path, &[], "{}").await.expect(401);
            assert_eq!(answer.code(), "bad_signature");
        }
    }

    async fn leases_of_all_edges_never_pass_the_limit_and_come_back(portal: TestPortal) {
        let (_, app_id) = start(&portal).await;
        let mut edges: Vec<TestEdge> = (1..=3).map(|number| TestEdge::new(&portal, &format!("edge-{number}"), number)).collect();
        for edge in &mut edges {
            edge.start(&portal).await;
            edge.beat(&portal).await;
        }
        let (subscription, _) = edges[0].subscription_of(&app_id);
        let wire = edges[0].newest(|change| match change {
            Change::Subscription(known) if known.subscription == subscription => Some(known.clone()),
            _ => None,
        }).unwrap();
        assert!(wire.periods.len() >= 4, "the current period and at least three coming boundaries");
        let key = LeaseKey { subscription, environment: Environment::Test, period_start_ms: wire.periods[0] };
        let ask = |granted, spent, given_back, wanted| LeaseRequest { key, granted, spent, given_back, wanted };
        let mut granted = [0; 3];
        for round in 0..40_u64 {
            for (edge, held) in edges.iter_mut().zip(&mut granted) {
                let grant = edge.ask_lease(&portal, ask(*held, 0, 0, 1_000 + round)).await;
                assert!(grant.granted >= *held);
                *held = grant.granted;
            }
            assert!(granted.iter().sum::<u64>() <= 10_000);
        }
        assert_eq!(granted.iter().sum::<u64>(), 10_000, "the whole quota can be lent");
        let grant = edges[0].ask_lease(&portal, ask(granted[0], granted[0] - 100, 100, 0)).await;
        assert_eq!(grant.pool, 100);
        let grant = edges[1].ask_lease(&portal, ask(granted[1], 0, 0, 500)).await;
        assert!(grant.granted > granted[1] && grant.granted <= granted[1] + 100);
        // Neither a period that does not begin then nor one far ahead is lent from.
        for period_start_ms in [key.period_start_ms + 1, wire.periods[1]] {
            let other = LeaseRequest { key: LeaseKey { period_start_ms, ..key }, ..ask(0, 0, 0, 10) };
            let grant = edges[0].ask_lease(&portal, other).await;
            assert_eq!((grant.granted, grant.pool), (0, 0));
        }
    }

    async fn shares_of_a_limit_are_lent_once_and_come_back_from_edges_that_are_gone(portal: TestPortal) {
        start(&portal).await;
        let key = ShareKey { subscription: SubscriptionId::from_bytes([7; 16]), environment: Environment::Live };
        let ask = |held, demand| ShareRequest { key, held, demand };
        let mut edges = [1, 2, 3].map(|number| TestEdge::new(&portal, &format!("edge-{number}"), number));
        let [first, second, third] = &mut edges;
        let whole = first.ask_share(&portal, ask(0, 10_000)).await.unwrap();
        assert_eq!((whole.millionths, whole.is_sole), (WHOLE, true));
        let none = second.ask_share(&portal, ask(0, 10_000)).await.unwrap();
        assert_eq!((none.millionths, none.is_sole, none.is_partial), (0, false, true));
        let half = first.ask_share(&portal, ask(WHOLE, 10_000)).await.unwrap();
        assert_eq!(half.millionths, WHOLE / 2);
        first.ask_share(&portal, ask(WHOLE / 2, 10_000)).await;
        assert_eq!(second.ask_share(&portal, ask(0, 10_000)).await.unwrap().millionths, WHOLE / 2);
        // A report that comes late changes nothing.
        let late = Report { sequence: 1, shares: vec![ask(0, 1)], ..first.report() };
        assert!(first.post(&portal, &late).await.shares.is_empty());
        first.sequence += 1;
        // One gives its share up, one ends, one falls silent: whoever asks has all of it.
        second.ask_share(&portal, ask(0, 0)).await;
        assert_eq!(first.ask_share(&portal, ask(WHOLE / 2, 9_000)).await.unwrap().millionths, WHOLE);
        let last = Report { ended: true, ..first.report() };
        first.post(&portal, &last).await;
        assert!(second.ask_share(&portal, ask(0, 9_000)).await.unwrap().is_sole);
        assert_eq!(third.ask_share(&portal, ask(0, 9_000)).await.unwrap().millionths, 0);
        portal.advance_ms(31_000);
        let alone = third.ask_share(&portal, ask(0, 9_000)).await.unwrap();
        assert_eq!((alone.millionths, alone.is_sole), (WHOLE, true));
    }

    async fn an_unclean_end_leaves_a_bounded_gap_and_a_clean_one_none(portal: TestPortal) {
        let (actor, app_id) = start(&portal).await;
        portal.make_operator(&actor, "manager").await;
        let (id, key) = issue(&portal, &actor, &app_id).await;
        let mut clean = TestEdge::new(&portal, "clean", 1);
        let mut unclean = TestEdge::new(&portal, "unclean", 2);
        clean.beat(&portal).await;
        unclean.beat(&portal).await;
        portal.advance_ms(1_000);
        let last = Report { ended: true, ..clean.report() };
        clean.post(&portal, &last).await;
        let credential = unclean.find_key(&portal, &key).unwrap();
        assert_eq!(credential.to_string(), id);
        unclean.decided = 50;
        let cells = vec![unclean.cell(&portal, &app_id, credential, "2xx", 40)];
        unclean.report_cells(&portal, cells).await;
        portal.advance_ms(2_000);
        for (name, number) in [("clean", 3), ("unclean", 4)] {
            TestEdge::new(&portal, name, number).beat(&portal).await;
        }
        let list = portal.get("/api/v1/operator/edges", &actor.token).await.expect(200).json();
        let of = |boot: &TestEdge| list["items"].as_array().unwrap().iter()
            .find(|edge| edge["id"] == boot.description.boot.to_string()).unwrap().clone();
        assert_eq!((of(&clean)["state"].as_str(), of(&clean)["gap"].is_null()), (Some("ended"), true));
        assert_eq!(of(&unclean)["state"], "lost");
        // 10 decided and not counted, and 2 s at 50 calls a second.
        let bound = of(&unclean)["gap"]["at_most_calls"].as_i64().unwrap();
        assert!((105..=120).contains(&bound), "{bound}");
        // It was only cut off: what it reports heals the gap.
        unclean.beat(&portal).await;
        let list = portal.get("/api/v1/operator/edges", &actor.token).await.json();
        assert!(list["items"].as_array().unwrap().iter().all(|edge| edge["gap"].is_null()));
    }

    async fn the_gap_of_an_edge_that_never_comes_back_does_not_go_on_for_ever(portal: TestPortal) {
        start(&portal).await;
        TestEdge::new(&portal, "scaled-away", 7).beat(&portal).await;
        let (from_ms, day_ms) = (portal.now_ms(), 24 * 3_600_000);
        portal.advance_ms(day_ms);
        let context = portal.context().await;
        assert_eq!(crate::edges::boots::find_silent_boots(&context.connection, portal.now_ms()).await.unwrap(), 1);
        let gaps = async |first: i64, last: i64| {
            let (first, last) = (from_ms + first * day_ms, from_ms + last * day_ms);
            crate::edges::boots::list_gaps(&context.connection, first, last).await.unwrap().len()
        };
        assert_eq!((gaps(-2, -1).await, gaps(-1, 1).await, gaps(34, 64).await, gaps(36, 66).await), (0, 1, 1, 0));
    }

    async fn a_tick_needs_its_secret_and_may_come_twice(portal: TestPortal) {
        start(&portal).await;
        portal.post("/internal/tick", "", json!({})).await.expect(401);
        let secret = portal.app.configuration.secret("tick_secret").unwrap();
        portal.advance_ms(60 * 24 * 3_600_000);
        let first = portal.post("/internal/tick", &secret, json!({})).await.expect(200).json();
        assert!(first["periods_extended"].as_u64().unwrap() > 0, "{first}");
        let second = portal.post("/internal/tick", &secret, json!({})).await.expect(200).json();
        assert_eq!(second["periods_extended"], 0);
    }
}
