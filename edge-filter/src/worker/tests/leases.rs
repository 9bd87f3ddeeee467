//! Leases of hard quotas, and limits across changes of the plan.

use super::*;
use crate::quota::LeaseAccount;

#[test]
fn a_call_heavier_than_a_usual_lease_gets_one_that_is_large_enough() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    portal.ceiling = 10_000;
    portal.publish(Change::Product(product("hello", 600)));
    portal.publish(Change::Plan(Plan {
        quota: Some(hard_quota(10_000)),
        ..plan()
    }));
    portal.publish(Change::Subscription(subscription(vec![Environment::Live])));
    let mut edge = Edge::new(2, portal);
    edge.run(1_000);
    let mut admitted = 0;
    for call in 0..60 {
        admitted += u64::from(edge.call(call % 2, &live, 200) == "ok");
        edge.run(500);
    }
    assert_eq!(admitted, 10_000 / 600);
}

#[test]
fn room_for_heavy_calls_is_given_back_when_they_stay_away() {
    let mut lease = LeaseAccount::new((0, u64::MAX), 10_000, true);
    let key = lease.key(id(SubscriptionId::from_bytes, 5), Environment::Live);
    assert!(lease.hear_of(600) && !lease.hear_of(1));
    assert_eq!(lease.request(key, 0, false).wanted, 600);
    (lease.granted, lease.pool) = (600, 9_400);
    let reports = (0..60).position(|_| lease.request(key, 0, false).given_back > 0);
    assert!(
        reports.is_some_and(|reports| (3..30).contains(&reports)),
        "{reports:?}"
    );
}

#[test]
fn a_plan_that_turns_hard_counts_what_was_spent_while_it_was_soft() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    portal.ceiling = 1_000;
    let with = |enforcement| {
        Change::Plan(Plan {
            quota: Some(Quota {
                enforcement,
                ..hard_quota(1_000)
            }),
            ..plan()
        })
    };
    portal.publish(with(QuotaEnforcement::Soft));
    portal.publish(Change::Subscription(subscription(vec![Environment::Live])));
    let mut edge = Edge::new(1, portal);
    edge.run(4_000);
    for _ in 0..900 {
        assert_eq!(edge.call(0, &live, 200), "ok");
    }
    edge.portal.publish(with(QuotaEnforcement::Hard));
    edge.run(2_000);
    assert_eq!(edge.call(0, &live, 200), "ok", "100 units are left");
    let mut admitted = 901;
    for _ in 0..400 {
        admitted += u64::from(edge.call(0, &live, 200) == "ok");
        edge.run(50);
    }
    assert_eq!(admitted, 1_000);
}

#[test]
fn the_first_call_of_a_billing_period_finds_its_lease() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    portal.ceiling = 1_000;
    portal.publish(Change::Plan(Plan {
        quota: Some(hard_quota(1_000)),
        ..plan()
    }));
    portal.publish(Change::Subscription(Subscription {
        periods: vec![NOW_MS - 1_000, NOW_MS + 90_000, NOW_MS + 1_000_000_000],
        ..subscription(vec![Environment::Live])
    }));
    let mut edge = Edge::new(1, portal);
    edge.run(89_950);
    assert_eq!(edge.call(0, &live, 200), "ok");
    edge.host.advance_ms(60);
    assert_eq!(edge.call(0, &live, 200), "ok");
    edge.run(1_000);
    let spent = |report: &Report| {
        report
            .leases
            .iter()
            .map(|lease| lease.spent)
            .collect::<Vec<_>>()
    };
    assert_eq!(edge.portal.reports.last().map(spent), Some(vec![1, 1]));
}

#[test]
fn a_slower_limit_holds_from_the_first_call_under_it_even_if_that_is_refused() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let with = |limit, window_secs| {
        let burst = RateLimit {
            name: "burst".into(),
            limit,
            window_secs,
            per: RateLimitScope::Subscription,
            shadow: false,
        };
        Change::Plan(Plan {
            rate_limits: vec![burst],
            ..plan()
        })
    };
    portal.publish(with(600, 60));
    let mut edge = Edge::new(1, portal);
    edge.run(500);
    for _ in 0..600 {
        assert_eq!(edge.call(0, &live, 200), "ok");
    }
    edge.portal.publish(with(10, 3_600));
    edge.run(500);
    assert_eq!(edge.call(0, &live, 200), "rate_limited");
    // Under the former limit everything would be there again.
    edge.run(60_000);
    assert_eq!(edge.call(0, &live, 200), "rate_limited");
    edge.run(301_000);
    assert_eq!(edge.call(0, &live, 200), "ok");
    assert_eq!(edge.call(0, &live, 200), "rate_limited");
}

#[test]
fn no_call_under_a_hard_quota_is_refused_for_want_of_its_first_lease() {
    let mut portal = Portal::new();
    portal.ceiling = 1_000;
    portal.publish(Change::Plan(Plan {
        quota: Some(hard_quota(1_000)),
        ..plan()
    }));
    portal.publish(Change::Subscription(subscription(vec![Environment::Live])));
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(2, portal);
    let mut codes = Vec::new();
    for _ in 0..20 {
        edge.run(50);
        for worker in 0..2 {
            codes.push(edge.call(worker, &live, 200));
        }
    }
    let opened = codes.iter().position(|code| *code == "ok").unwrap();
    assert!(codes[..opened].iter().all(|code| *code == "portal_stale"));
    assert!(codes[opened + 1..].iter().all(|code| *code == "ok"));
    let first_word = edge
        .portal
        .reports
        .iter()
        .find(|report| report.applied_position > 0)
        .unwrap();
    assert!(
        first_word.leases.iter().any(|lease| lease.granted > 0),
        "a position is told once the leases it needs are there"
    );
}

#[test]
fn a_hard_quota_is_spent_to_its_last_unit_and_failed_calls_give_theirs_back() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    portal.ceiling = 500;
    let mut limited = plan();
    limited.quota = Some(hard_quota(500));
    portal.publish(Change::Plan(limited));
    portal.publish(Change::Subscription(subscription(vec![Environment::Live])));
    let mut edge = Edge::new(2, portal);
    edge.run(1_000);
    let (mut admitted, mut failed) = (0, 0);
    for call in 0..3_000 {
        let status = if call % 7 == 0 { 500 } else { 200 };
        if edge.call(call % 2, &live, status) == "ok" {
            if status == 200 {
                admitted += 1
            } else {
                failed += 1
            }
        }
        edge.run(50);
    }
    assert!(admitted <= 500, "overspent: {admitted}");
    assert!(
        admitted >= 490 && failed > 50,
        "stranded: {admitted}, {failed}"
    );
}
