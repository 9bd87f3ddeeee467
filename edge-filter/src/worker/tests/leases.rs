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
            across_edges: false,
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
fn a_subscription_whose_periods_are_long_over_holds_nobody_up() {
    let mut portal = Portal::new();
    portal.ceiling = 1_000;
    portal.publish(Change::Plan(Plan {
        quota: Some(hard_quota(1_000)),
        ..plan()
    }));
    let live = portal.issue(1, Environment::Live);
    portal.publish(Change::Subscription(subscription(vec![Environment::Live])));
    portal.publish(Change::Subscription(Subscription {
        subscription: id(SubscriptionId::from_bytes, 6),
        app: id(AppId::from_bytes, 7),
        periods: vec![NOW_MS - 200 * 86_400_000, NOW_MS - 100 * 86_400_000],
        ..subscription(vec![Environment::Live])
    }));
    let newest = portal.log.len() as u64;
    let mut edge = Edge::new(1, portal);
    edge.run(3_000);
    assert_eq!(edge.call(0, &live, 200), "ok");
    let told = edge.portal.reports.last().unwrap().applied_position;
    assert_eq!(told, newest, "what was applied is told");
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

/// A programme whose plan waits so long for a lease, with one live key.
fn waiting_edge(most_ms: u32, ceiling: u64) -> (Edge, String) {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    portal.ceiling = ceiling;
    portal.publish(Change::Plan(Plan {
        quota: Some(Quota {
            without_lease: WithoutLease::Wait { most_ms },
            ..hard_quota(1_000)
        }),
        ..plan()
    }));
    portal.publish(Change::Subscription(subscription(vec![Environment::Live])));
    let mut edge = Edge::new(1, portal);
    edge.run(2_000);
    (edge, live)
}

/// Begins a call; whether it is held, and else its code.
fn begin(edge: &mut Edge, key: &str) -> (u32, Option<&'static str>) {
    edge.streams += 1;
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let request = [(":method", "GET"), (":path", "/hello"), ("x-api-key", key)];
    *edge.host.request.borrow_mut() = request.map(|(name, value)| header(name, value)).to_vec();
    let pairs = edge.host.request_headers();
    let verdict = edge.workers[0].decide(&edge.host, edge.streams, &pairs);
    (edge.streams, told(&verdict))
}

fn told(verdict: &crate::verdict::Verdict<'_>) -> Option<&'static str> {
    match &verdict.action {
        _ if verdict.is_held => None,
        Action::Pass(_) => Some("ok"),
        Action::Refuse(refusal) => Some(refusal.code.as_str()),
    }
}

fn decide_again(edge: &mut Edge) -> Vec<Option<&'static str>> {
    let waiting = edge.workers[0].take_waiting();
    let again = |call| told(&edge.workers[0].decide_again(&edge.host, call));
    waiting.iter().map(again).collect()
}

/// Spends the lease in hand; the stream that is then held.
fn spend_lease(edge: &mut Edge, live: &str) -> (u64, u32) {
    let mut passed = 0;
    loop {
        let (stream, code) = begin(edge, live);
        let Some(code) = code else {
            return (passed, stream);
        };
        assert_eq!(code, "ok");
        *edge.host.response.borrow_mut() = vec![(":status".into(), "200".into())];
        edge.workers[0].take_response(&edge.host, stream);
        edge.workers[0].finish(&edge.host, stream);
        passed += 1;
    }
}

#[test]
fn a_plan_that_prefers_a_wait_holds_a_call_until_its_lease_is_there() {
    let (mut edge, live) = waiting_edge(500, 1_000);
    let (passed, _) = spend_lease(&mut edge, &live);
    assert!(passed > 0);
    assert_eq!(decide_again(&mut edge), [None], "nothing has come yet");
    edge.run(150);
    assert_eq!(decide_again(&mut edge), [Some("ok")]);
    assert!(decide_again(&mut edge).is_empty());
}

#[test]
fn a_wait_ends_in_a_refusal_when_its_time_is_up_or_nothing_is_left() {
    let (mut edge, live) = waiting_edge(100_000, 1_000);
    spend_lease(&mut edge, &live);
    edge.portal.is_down = true;
    edge.run(1_900);
    assert_eq!(decide_again(&mut edge), [None]);
    edge.run(150);
    assert_eq!(
        decide_again(&mut edge),
        [Some("quota_exceeded")],
        "two seconds at most"
    );

    let (mut edge, live) = waiting_edge(500, 10);
    let mut passed = 0;
    let last = loop {
        let (stream, code) = begin(&mut edge, &live);
        let code = code.or_else(|| {
            edge.run(150);
            decide_again(&mut edge)[0]
        });
        *edge.host.response.borrow_mut() = vec![(":status".into(), "200".into())];
        edge.workers[0].take_response(&edge.host, stream);
        edge.workers[0].finish(&edge.host, stream);
        match code {
            Some("ok") => passed += 1,
            refused => break refused,
        }
    };
    assert_eq!((passed, last), (10, Some("quota_exceeded")));
    let (_, code) = begin(&mut edge, &live);
    assert_eq!(code, Some("quota_exceeded"), "not even held");
}

#[test]
fn a_call_that_no_lease_covers_is_not_told_that_the_allowance_is_used_up() {
    let (mut edge, live) = waiting_edge(100, 1_000);
    spend_lease(&mut edge, &live);
    edge.portal.is_down = true;
    edge.run(150);
    let again = edge.workers[0].take_waiting();
    let verdict = edge.workers[0].decide_again(&edge.host, &again[0]);
    let Action::Refuse(refusal) = &verdict.action else {
        panic!("its time is up");
    };
    let body = String::from_utf8(refusal.body.clone()).unwrap();
    assert!(body.contains("is fetching more"), "{body}");
    let after = refusal
        .headers
        .iter()
        .find(|(name, _)| *name == "retry-after");
    assert_eq!(after.unwrap().1, "1");
}

#[test]
fn a_caller_that_gives_up_waiting_spends_nothing_and_is_counted_as_refused() {
    let (mut edge, live) = waiting_edge(500, 1_000);
    let (passed, stream) = spend_lease(&mut edge, &live);
    edge.workers[0].finish(&edge.host, stream);
    assert!(decide_again(&mut edge).is_empty());
    edge.run(2_000);
    assert_eq!(edge.portal.counted(), passed + 1);
    let refused = |identity: &&String| identity.contains("quota_exceeded");
    assert_eq!(edge.portal.cells.keys().filter(refused).count(), 1);
}
