//! Rate limits that several edges enforce together.

use super::*;
use crate::account::accounts;
use crate::ports::SharedData as _;
use crate::shared_state::{ACCOUNT_SLOTS, account_key};

const PER_MINUTE: u32 = 600;

fn edges(count: usize) -> (Vec<Edge>, String) {
    let mut edges = Vec::new();
    let mut live = String::new();
    let holdings = Rc::default();
    for place in 0..count {
        let mut portal = Portal::new();
        portal.publish(Change::Plan(Plan {
            rate_limits: vec![RateLimit {
                name: "minute".into(),
                limit: PER_MINUTE,
                window_secs: 60,
                per: RateLimitScope::Subscription,
                shadow: false,
                across_edges: true,
            }],
            ..plan()
        }));
        live = portal.issue(1, Environment::Live);
        portal.place = place;
        portal.holdings = Rc::clone(&holdings);
        edges.push(Edge::new(2, portal));
    }
    edges.iter_mut().for_each(|edge| edge.run(1_000));
    (edges, live)
}

/// Calls at each edge in every 100 ms, for so long; how many of them passed, edge by edge.
fn storm(edges: &mut [Edge], live: &str, calls: &[u32], ms: u64) -> Vec<u32> {
    let mut passed = vec![0; edges.len()];
    for _ in 0..ms / 100 {
        for (place, edge) in edges.iter_mut().enumerate() {
            for call in 0..calls[place] {
                passed[place] += u32::from(edge.call(call as usize % 2, live, 200) == "ok");
            }
            edge.run(100);
            edge.host.take_crossings();
        }
    }
    passed
}

/// Millionths that an edge enforces by a grant.
fn enforced_at(edge: &Edge) -> u32 {
    let slots = (0..ACCOUNT_SLOTS).filter_map(|slot| edge.host.read(&account_key(slot)));
    let shares = slots.map(|(bytes, _)| {
        let shares = accounts(&bytes).filter_map(|account| account.share);
        shares.map(|share| share.granted).sum::<u32>()
    });
    shares.sum()
}

#[test]
fn a_lone_edge_admits_the_whole_limit_at_once() {
    let (mut edges, live) = edges(1);
    assert_eq!(edges[0].call(0, &live, 200), "ok");
    edges[0].run(100);
    let more = (0..PER_MINUTE).filter(|_| edges[0].call(1, &live, 200) == "ok");
    assert_eq!(more.count() as u32, PER_MINUTE - 1);
}

#[test]
fn three_edges_together_admit_the_limit_and_a_share_follows_demand() {
    let (mut edges, live) = edges(3);
    // Demand of 90, 30 and 30 a second against 10.
    let begun = storm(&mut edges, &live, &[9, 3, 3], 60_000);
    let total: u32 = begun.iter().sum();
    // A bucket and a minute's refill; each further edge began with a sixteenth of its own.
    let sixteenths = 2 * (PER_MINUTE / 16 + 1);
    assert!(total <= 2 * PER_MINUTE + sixteenths, "{begun:?}");
    let steady = storm(&mut edges, &live, &[9, 3, 3], 60_000);
    let total: u32 = steady.iter().sum();
    assert!(
        (PER_MINUTE - 12..=PER_MINUTE).contains(&total),
        "{steady:?}"
    );
    assert!(steady[0] > 2 * steady[1] && steady[1] > 80, "{steady:?}");
    // Callers move to the last edge.
    let moved = storm(&mut edges, &live, &[0, 0, 9], 60_000);
    let total: u32 = moved.iter().sum();
    assert!(
        (PER_MINUTE * 3 / 4..=PER_MINUTE).contains(&total),
        "{moved:?}"
    );
    // The others were idle for long and have given up what they had.
    storm(&mut edges, &live, &[0, 0, 9], 20_000);
    assert_eq!(edges[2].portal.holdings.borrow().len(), 1);
    let alone = storm(&mut edges, &live, &[0, 0, 9], 60_000);
    assert!(
        (PER_MINUTE - 6..=PER_MINUTE).contains(&alone[2]),
        "{alone:?}"
    );
}

#[test]
fn shares_never_sum_to_more_than_the_whole_while_reports_are_lost() {
    let (mut edges, live) = edges(3);
    for round in 0..200_usize {
        for (place, edge) in edges.iter_mut().enumerate() {
            edge.portal.is_down = (round / 7 + place).is_multiple_of(3);
            for _ in 0..(round * (place + 3)) % 20 {
                edge.call(0, &live, 200);
            }
            edge.run(100);
        }
        let enforced = edges.iter().map(enforced_at);
        assert!(enforced.sum::<u32>() <= shared::share::WHOLE);
    }
}

#[test]
fn an_edge_without_the_portal_goes_on_with_its_share() {
    let (mut edges, live) = edges(2);
    storm(&mut edges, &live, &[6, 6], 60_000);
    edges[0].portal.is_down = true;
    let cut_off = storm(&mut edges, &live, &[6, 6], 60_000);
    let half = PER_MINUTE / 2;
    for admitted in cut_off {
        assert!((half - 15..=half + 15).contains(&admitted), "{admitted}");
    }
}

#[test]
fn a_plan_that_no_longer_shares_its_limit_has_it_whole_at_each_edge() {
    let (mut edges, live) = edges(2);
    storm(&mut edges, &live, &[6, 6], 60_000);
    for edge in &mut edges {
        edge.portal.publish(Change::Plan(Plan {
            rate_limits: vec![RateLimit {
                name: "minute".into(),
                limit: PER_MINUTE,
                window_secs: 60,
                per: RateLimitScope::Subscription,
                shadow: false,
                across_edges: false,
            }],
            ..plan()
        }));
    }
    let each = storm(&mut edges, &live, &[6, 6], 60_000);
    for admitted in each {
        assert!(admitted >= PER_MINUTE, "{admitted}");
    }
}
