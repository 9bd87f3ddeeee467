//! Rate limits and quotas, exact over workers and over edges.

use crate::access::wait_until;
use crate::http::Client;
use crate::programme::{PERIOD, Programme, SUBSCRIPTION, plan, rate_limit};
use crate::stack::{Envoy, Options};
use shared::credential::Environment;
use shared::feed::Change;
use shared::lease::LeaseKey;
use shared::plan::{Plan, Quota, QuotaEnforcement, RateLimit, RateLimitScope, WithoutLease};
use std::sync::atomic::{AtomicU64, Ordering};

fn quota(limit: u64, without_lease: WithoutLease) -> Quota {
    Quota {
        name: "month".into(),
        limit,
        enforcement: QuotaEnforcement::Hard,
        without_lease,
        shadow: false,
    }
}

/// A programme with this plan, whose quota can be lent to its last unit.
fn programme_of(limited: Plan) -> Programme {
    let programme = Programme::start();
    let ceiling = limited.quota.as_ref().map_or(0, |quota| quota.limit);
    programme.portal.publish(Change::Plan(limited));
    programme
        .portal
        .state()
        .ceilings
        .insert(live_lease(), ceiling);
    programme
}

/// The plan with a hard quota.
fn limited(limit: u64, without_lease: WithoutLease) -> Plan {
    Plan {
        quota: Some(quota(limit, without_lease)),
        ..plan()
    }
}

fn live_lease() -> LeaseKey {
    LeaseKey {
        subscription: SUBSCRIPTION,
        environment: Environment::Live,
        period_start_ms: PERIOD[0],
    }
}

/// Calls from many connections until `calls` are made; how many had status 200.
fn storm(envoys: &[&Envoy], key: &str, connections: usize, calls: u64) -> u64 {
    let (made, admitted) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for number in 0..connections {
            let (made, admitted) = (&made, &admitted);
            let address = envoys[number % envoys.len()].gateway;
            scope.spawn(move || {
                let mut client = Client::connect(address).unwrap();
                while made.fetch_add(1, Ordering::Relaxed) < calls {
                    let answer = client
                        .send("GET", "/hello", &[("x-api-key", key)], b"")
                        .unwrap();
                    admitted.fetch_add(u64::from(answer.status() == 200), Ordering::Relaxed);
                    assert!(matches!(answer.status(), 200 | 429), "{}", answer.status());
                }
            });
        }
    });
    admitted.into_inner()
}

#[test]
fn limits_refuse_with_the_headers_that_clients_need() {
    let programme = Programme::start();
    let mut limited = plan();
    limited.rate_limits = vec![rate_limit("burst", 3, 3_600)];
    programme.portal.publish(Change::Plan(limited));
    let envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    for left in [2, 1, 0] {
        let answer = envoy.call(&programme.test_key, "/hello");
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"burst\";q=3;w=3600")
        );
        assert!(
            answer
                .header("ratelimit")
                .unwrap()
                .starts_with(&format!("\"burst\";r={left};t="))
        );
    }
    let refused = envoy.call(&programme.test_key, "/hello");
    assert_eq!(refused.status(), 429);
    assert_eq!(
        refused.header("content-type"),
        Some("application/problem+json")
    );
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1_190..=1_200).contains(&wait), "{wait}");
    assert_eq!(
        refused.header("ratelimit-policy"),
        Some("\"burst\";q=3;w=3600")
    );
    assert_eq!(refused.json()["code"], "rate_limited");
    assert_eq!(refused.json()["violated-policies"][0], "burst");
    assert_eq!(
        envoy.call(&programme.live_key, "/hello").status(),
        200,
        "live has its own"
    );
    let mut raised = plan();
    raised.rate_limits = vec![rate_limit("burst", 5, 3_600)];
    programme.portal.publish(Change::Plan(raised));
    programme.portal.wait_until_applied();
    let statuses: Vec<u16> = (0..3)
        .map(|_| envoy.call(&programme.test_key, "/hello").status())
        .collect();
    assert_eq!(
        statuses,
        [200, 200, 429],
        "a raised limit keeps what was taken"
    );
}

#[test]
fn eight_workers_admit_the_limit_and_not_one_more_or_fewer() {
    let mut programme = Programme::start();
    let mut limited = plan();
    let mut each = rate_limit("each", 150, 36_000);
    each.per = RateLimitScope::Credential;
    let mut trial = rate_limit("trial", 10, 36_000);
    trial.shadow = true;
    limited.rate_limits = vec![rate_limit("all", 200, 36_000), each, trial];
    programme.portal.publish(Change::Plan(limited));
    let second = programme.issue(Environment::Live, |_| ());
    let envoy = Envoy::start(
        &programme.portal,
        &Options {
            concurrency: 8,
            ..Options::default()
        },
    );
    programme.portal.wait_until_applied();
    assert_eq!(
        storm(&[&envoy], &programme.live_key, 24, 1_500),
        150,
        "the credential's own limit"
    );
    assert_eq!(
        storm(&[&envoy], &second, 24, 1_500),
        50,
        "what is left of the shared one"
    );
    programme.portal.wait_until_counted("2xx", 200);
    programme.portal.wait_until_counted("rate_limited", 2_800);
}

#[test]
fn three_edges_spend_a_hard_quota_to_the_last_unit_whatever_becomes_of_the_portal() {
    let programme = programme_of(limited(2_000, WithoutLease::Refuse));
    let start = |name: &str| {
        Envoy::start(
            &programme.portal,
            &Options {
                node_id: name.into(),
                ..Options::default()
            },
        )
    };
    let edges = [start("edge-a"), start("edge-b"), start("edge-c")];
    let edges: Vec<&Envoy> = edges.iter().collect();
    // One after the other, so that no edge admits a call that is not counted here.
    for edge in &edges {
        assert!(
            wait_until(|| edge.call(&programme.live_key, "/hello").status() == 200),
            "leases are there before they are needed"
        );
    }
    let mut admitted = edges.len() as u64;
    for round in 0..40 {
        // Cut off for a while, then back with a clock that is wrong, and wrong again.
        {
            let mut state = programme.portal.state();
            state.is_down = (2..5).contains(&round);
            state.clock_off_ms = match round {
                5..8 => 5_000,
                8..11 => -5_000,
                _ => 0,
            };
        }
        admitted += storm(&edges, &programme.live_key, 6, 200);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // On a busy machine the last leases need more rounds to go round.
    for _ in 0..100 {
        if admitted >= 1_980 {
            break;
        }
        admitted += storm(&edges, &programme.live_key, 6, 200);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(admitted <= 2_000, "overspent: {admitted}");
    assert!(admitted >= 1_980, "stranded: {admitted}");
    let refused = edges[0].call(&programme.live_key, "/hello");
    if refused.status() == 429 {
        assert_eq!(refused.json()["code"], "quota_exceeded");
        assert_eq!(refused.json()["violated-policies"][0], "month");
    }
}

#[test]
fn two_edges_enforce_one_rate_limit_together() {
    let mut common = plan();
    common.rate_limits = vec![RateLimit {
        across_edges: true,
        ..rate_limit("common", 200, 10)
    }];
    let programme = programme_of(common);
    let edges = ["edge-a", "edge-b"].map(|name| {
        let options = Options {
            node_id: name.into(),
            ..Options::default()
        };
        Envoy::start(&programme.portal, &options)
    });
    programme.portal.wait_until_applied();
    let [first, second] = &edges;
    let call = |edge: &Envoy| edge.call(&programme.live_key, "/hello").status() == 200;
    assert!(wait_until(|| call(first)) && wait_until(|| call(second)));
    // Callers come to both until both have a share and the first bucket is empty.
    assert!(wait_until(|| {
        storm(&[first, second], &programme.live_key, 4, 40);
        let holdings = &programme.portal.state().holdings;
        let shares: Vec<u32> = holdings.values().map(|holding| holding.held).collect();
        shares.len() == 2
            && shares
                .iter()
                .all(|share| (350_000..650_000).contains(share))
    }));
    let began = std::time::Instant::now();
    let mut admitted = [0; 2];
    while began.elapsed().as_secs() < 10 {
        for (edge, admitted) in edges.iter().zip(&mut admitted) {
            *admitted += storm(&[edge], &programme.live_key, 2, 10);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let seconds = began.elapsed().as_secs_f64();
    let total: u64 = admitted.iter().sum();
    let most = (20.0 * seconds) as u64 + 3;
    assert!(total <= most, "{admitted:?} in {seconds} s");
    // A share that moves takes no tokens along, so a little less is fair.
    assert!(total >= most * 8 / 10, "{admitted:?} in {seconds} s");
    assert!(admitted.iter().all(|own| *own >= most / 4), "{admitted:?}");
}

#[test]
fn without_the_portal_a_hard_quota_stops_at_its_lease_or_its_overdraft() {
    for (without, most) in [
        (WithoutLease::Refuse, 0),
        (WithoutLease::Overdraft { units: 25 }, 25),
    ] {
        let programme = programme_of(limited(1_000, without));
        let envoy = Envoy::start(&programme.portal, &Options::default());
        programme.portal.wait_for("a lease", |state| {
            state
                .granted
                .iter()
                .any(|((key, _), units)| *key == live_lease() && *units > 0)
        });
        assert!(wait_until(|| envoy
            .call(&programme.live_key, "/hello")
            .status()
            == 200));
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        programme.portal.state().is_down = true;
        std::thread::sleep(std::time::Duration::from_millis(4_000));
        let (granted, given_back) = {
            let state = programme.portal.state();
            let total = |map: &std::collections::HashMap<(LeaseKey, String), u64>| -> u64 {
                map.iter()
                    .filter(|((key, _), _)| *key == live_lease())
                    .map(|(_, units)| units)
                    .sum()
            };
            (total(&state.granted), total(&state.given_back))
        };
        // One call has passed before the portal was gone.
        let admitted = 1 + storm(&[&envoy], &programme.live_key, 4, 600);
        assert_eq!(admitted, granted - given_back + most);
    }
}

#[test]
fn a_plan_that_does_not_say_otherwise_refuses_no_call_while_units_are_left() {
    for limit in [100, 1_000] {
        let programme = programme_of(limited(limit, WithoutLease::default()));
        let envoy = Envoy::start(&programme.portal, &Options::default());
        programme.portal.wait_until_applied();
        // Far more at once than the first lease has.
        let burst = limit * 7 / 10;
        let key = &programme.live_key;
        assert_eq!(storm(&[&envoy], key, 8, burst), burst);
        assert_eq!(storm(&[&envoy], key, 8, burst), limit - burst);
        programme.portal.wait_until_counted("2xx", limit);
        programme
            .portal
            .wait_until_counted("quota_exceeded", 2 * burst - limit);
    }
}

#[test]
fn a_call_that_does_not_count_gives_its_quota_back() {
    let mut weighted = limited(1_000, WithoutLease::Refuse);
    weighted.counting.weight_header = Some("x-units".into());
    let programme = programme_of(weighted);
    let envoy = Envoy::start(&programme.portal, &Options::default());
    assert!(wait_until(|| envoy
        .call(&programme.live_key, "/hello")
        .status()
        == 200));
    let key = ("x-api-key", programme.live_key.as_str());
    assert_eq!(
        envoy
            .get("/hello", &[key, ("x-want-status", "500")])
            .status(),
        500
    );
    assert_eq!(
        envoy
            .get("/hello", &[key, ("x-echo-x-units", "3")])
            .status(),
        200
    );
    programme.portal.wait_for(
        "1 for the first call, 0 for the failed, 3 for the heavy",
        |state| {
            let mut wishes = state.reports.iter().flat_map(|report| &report.leases);
            wishes
                .rfind(|wish| wish.key == live_lease())
                .is_some_and(|wish| wish.spent == 4)
        },
    );
}
