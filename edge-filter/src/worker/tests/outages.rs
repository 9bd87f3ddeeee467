//! Workers that crash or are replaced, portals that are gone or restored, clocks that step back.

use super::*;

#[test]
fn a_crashed_worker_is_replaced_and_no_call_is_lost_or_counted_twice() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(3, portal);
    edge.run(500);
    let mut calls = 0;
    for round in 0..30 {
        for worker in 0..3 {
            assert_eq!(edge.call(worker, &live, 200), "ok", "round {round}");
            calls += 1;
        }
        // The memory of one virtual machine is gone, its slot and cells are not.
        edge.workers[round % 3] = new_worker(&edge.host);
        edge.run(700);
    }
    edge.run(3_000);
    assert_eq!(edge.portal.counted(), calls);
}

#[test]
fn calls_while_the_portal_is_gone_are_counted_when_it_is_back() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(2, portal);
    edge.run(500);
    edge.portal.is_down = true;
    for _ in 0..300 {
        assert_eq!(edge.call(0, &live, 200), "ok");
        edge.run(1_000);
    }
    edge.portal.is_down = false;
    edge.run(5_000);
    assert_eq!(edge.portal.counted(), 300);
}

#[test]
fn finished_minutes_leave_memory_once_the_portal_has_them() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(1, portal);
    edge.run(500);
    for _ in 0..10 {
        edge.call(0, &live, 200);
        edge.run(60_000);
    }
    let rows: usize = (0..BUCKETS)
        .map(|bucket| usage::cells_of(0, edge.workers[0].usage.bucket(bucket)).len())
        .sum();
    assert!(rows <= 2, "{rows}");
    assert_eq!(edge.portal.counted(), 10);
}

#[test]
fn a_portal_restored_from_a_backup_is_followed_without_a_restart() {
    let mut portal = Portal::new();
    let kept = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(2, portal);
    edge.run(1_000);
    let backup = edge.portal.log.clone();
    let lost = edge.portal.issue(2, Environment::Live);
    edge.portal.publish(Change::Credential(Credential {
        revoked_at_ms: Some(NOW_MS),
        ..credential(1, Environment::Live, key(1, Environment::Live).1)
    }));
    edge.run(1_000);
    assert_eq!(edge.call(0, &lost, 200), "ok");
    assert_eq!(edge.call(1, &kept, 200), "revoked_credential");
    edge.portal.log = backup;
    edge.run(3_000);
    for worker in 0..2 {
        assert_eq!(edge.call(worker, &lost, 200), "unknown_credential");
        assert_eq!(edge.call(worker, &kept, 200), "ok");
    }
    // What comes next takes positions that once meant something else.
    let next = edge.portal.issue(3, Environment::Live);
    edge.run(1_000);
    assert_eq!(edge.call(0, &next, 200), "ok");
}

#[test]
fn a_plan_that_fails_closed_does_so_behind_the_staleness_budget() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut closed = plan();
    closed.when_stale = WhenStale::Closed;
    portal.publish(Change::Plan(closed));
    let mut edge = Edge::new(1, portal);
    edge.run(500);
    edge.portal.is_down = true;
    edge.run(55_000);
    assert_eq!(edge.call(0, &live, 200), "ok");
    edge.run(10_000);
    assert_eq!(edge.call(0, &live, 200), "portal_stale");
    edge.portal.is_down = false;
    edge.run(3_000);
    assert_eq!(edge.call(0, &live, 200), "ok");
}

#[test]
fn workers_that_disturb_each_other_still_admit_exactly_the_limit() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut limited = plan();
    let limit = |name: &str, limit, window_secs| RateLimit {
        name: name.into(),
        limit,
        window_secs,
        per: Default::default(),
        shadow: false,
        across_edges: false,
    };
    limited.rate_limits = vec![limit("burst", 40, 3_600), limit("long", 100, 86_400)];
    portal.publish(Change::Plan(limited));
    let mut edge = Edge::new(4, portal);
    edge.run(500);
    edge.host.disturb_every.set(3);
    let admitted = (0..200)
        .filter(|call| edge.call(call % 4, &live, 200) == "ok")
        .count();
    assert_eq!(admitted, 40);
}

#[test]
fn a_filter_that_is_loaded_anew_goes_on_with_the_same_boot_and_only_the_last_one_ends_it() {
    let mut portal = Portal::new();
    portal.ceiling = 100_000;
    portal.publish(Change::Plan(Plan {
        quota: Some(hard_quota(100_000)),
        ..plan()
    }));
    portal.publish(Change::Subscription(subscription(vec![Environment::Live])));
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(2, portal);
    edge.run(1_500);
    for _ in 0..20 {
        assert_eq!(edge.call(0, &live, 200), "ok");
    }
    edge.workers.push(new_worker(&edge.host));
    edge.run(100);
    let given_back = edge.portal.given_back();
    for mut old in edge.workers.drain(..2).collect::<Vec<_>>() {
        old.end(&edge.host);
    }
    for _ in 0..20 {
        assert_eq!(edge.call(0, &live, 200), "ok");
    }
    edge.run(3_000);
    assert_eq!(edge.portal.counted(), 40);
    assert_eq!(edge.portal.given_back(), given_back, "the leases go on");
    assert!(edge.portal.reports.iter().all(|report| !report.ended));
    edge.workers.remove(0).end(&edge.host);
    edge.run(50);
    assert!(edge.portal.reports.last().unwrap().ended);
}

#[test]
fn a_slot_that_was_taken_over_is_given_up() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(2, portal);
    edge.run(500);
    let slot = edge.workers[1].slot;
    // One worker stalls for a long time; a new one takes its slot.
    let stalled = edge.workers.pop().unwrap();
    edge.run(12_000);
    edge.workers.push(new_worker(&edge.host));
    edge.run(100);
    assert_eq!(edge.workers[1].slot, slot);
    edge.workers.push(stalled);
    edge.run(500);
    assert_ne!(edge.workers[2].slot, slot);
    for worker in 0..3 {
        edge.call(worker, &live, 200);
    }
    edge.run(2_000);
    assert_eq!(edge.portal.counted(), 3);
}

#[test]
fn calls_that_pass_are_reported_soon_where_that_is_cheap_and_refused_ones_in_time() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(2, portal);
    edge.run(5_000);
    let quiet = edge.portal.reports.len();
    for _ in 0..100 {
        edge.run(50);
        assert_eq!(edge.call(0, "garbage", 200), "malformed_credential");
    }
    // Five in turn, and one of the worker that is handed the lead.
    let reports = edge.portal.reports.len() - quiet;
    assert!(reports <= 6, "garbage presses: {reports}");
    edge.run(2_000);
    for calls in 1..=8 {
        edge.run(600);
        assert_eq!(edge.call(0, &live, 200), "ok");
        edge.run(400);
        assert_eq!(edge.portal.counted(), 100 + calls);
    }
}

#[test]
fn a_clock_that_steps_back_stops_neither_the_feed_nor_reports() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(2, portal);
    edge.run(2_000);
    assert_eq!(edge.call(0, &live, 200), "ok");
    edge.run(2_000);
    let now_ns = edge.host.now_ns.get();
    edge.host.now_ns.set(now_ns - 3_600_000_000_000);
    assert_eq!(edge.call(1, &live, 200), "ok");
    let (_, hash) = key(1, Environment::Live);
    let mut revoked = credential(1, Environment::Live, hash);
    revoked.revoked_at_ms = Some(NOW_MS);
    edge.portal.publish(Change::Credential(revoked));
    edge.run(1_000);
    assert_eq!(edge.call(0, &live, 200), "revoked_credential");
    edge.run(2_000);
    assert_eq!(edge.portal.counted(), 3);
}

#[test]
fn answers_that_come_while_nobody_leads_are_asked_for_again() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(1, portal);
    edge.run(2_000);
    assert_eq!(edge.call(0, &live, 200), "ok");
    // Stalled for longer than a term, with calls to the portal in flight.
    while edge.host.calls.borrow().len() < 2 {
        edge.tick();
    }
    edge.host.advance_ms(4_000);
    edge.answer();
    let _ = edge.portal.issue(2, Environment::Live);
    edge.run(12_000);
    let position = edge.portal.log.len() as u64;
    let told = edge
        .portal
        .reports
        .last()
        .map(|report| report.applied_position);
    assert_eq!((told, edge.portal.counted()), (Some(position), 1));
}
