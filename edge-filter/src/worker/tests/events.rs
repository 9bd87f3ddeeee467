//! A sink beside the portal: every cell once, whatever happens on the way.

use super::*;
use crate::leader::MOST_BATCHES;
use crate::ports::PortalCall;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) const PATH: &str = "/events";
const TELLING: &[u8] = br#"{"portal_cluster":"p","portal_authority":"portal",
    "usage_events_cluster":"sink","usage_events_authority":"sink.example","usage_events_path":"/events"}"#;

/// What a sink that knows ids has counted.
#[derive(Default)]
pub(super) struct Sink {
    is_down: bool,
    events: BTreeMap<(String, String), Value>,
    repeated: usize,
    asked: usize,
    gaps: Vec<Value>,
}

impl Sink {
    pub(super) fn take(&mut self, call: &PortalCall) -> u16 {
        self.asked += 1;
        let header = |name: &str| {
            let mut headers = call.headers.iter();
            headers.find(|(own, _)| *own == name).unwrap().1.clone()
        };
        assert_eq!(header("content-type"), "application/cloudevents-batch+json");
        assert_eq!(header("authorization"), format!("Bearer {SECRET}"));
        if self.is_down {
            return 503;
        }
        let batch: Vec<Value> = serde_json::from_slice(&call.body).unwrap();
        for event in batch {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            assert_eq!(text("specversion"), "1.0");
            assert!(!text("type").is_empty() && !text("subject").is_empty());
            let id = (text("source"), text("id"));
            if text("type") == crate::usage_event::GAP {
                self.gaps.push(event);
            } else if self.events.insert(id, event).is_some() {
                self.repeated += 1;
            }
        }
        202
    }

    fn counted(&self) -> u64 {
        let counts = self.events.values();
        counts
            .map(|event| event["data"]["count"].as_u64().unwrap())
            .sum()
    }
}

fn telling(workers: usize, portal: Portal) -> Edge {
    let mut edge = Edge::new(0, portal);
    edge.workers = (0..workers)
        .map(|_| configured_worker(&edge.host, TELLING))
        .collect();
    edge.run(500);
    edge
}

#[test]
fn every_cell_of_a_finished_minute_is_told_once() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = telling(3, portal);
    for call in 0..30 {
        assert_eq!(edge.call(call % 3, &live, 200), "ok");
    }
    assert_eq!(edge.call(0, "nonsense", 200), "malformed_credential");
    edge.run(50_000);
    assert_eq!(edge.sink.asked, 0, "the minute is not over");
    edge.run(15_000);
    assert_eq!(edge.sink.counted(), 31);
    let subjects: BTreeSet<_> = edge
        .sink
        .events
        .values()
        .map(|event| event["subject"].to_string())
        .collect();
    assert_eq!(subjects.len(), 2);
    edge.run(120_000);
    assert_eq!((edge.sink.counted(), edge.sink.repeated), (31, 0));
    assert_eq!(edge.call(1, &live, 200), "ok");
    edge.run(65_000);
    assert_eq!(edge.sink.counted(), 32);
    let counters = edge.host.counters.take();
    let sent = counters
        .iter()
        .find(|(name, _)| name == "portico.usage_events_sent");
    assert_eq!(sent.unwrap().1, edge.sink.events.len() as u64);
}

#[test]
fn a_sink_or_a_portal_that_is_away_costs_the_other_nothing() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = telling(2, portal);
    edge.sink.is_down = true;
    for _ in 0..10 {
        assert_eq!(edge.call(0, &live, 200), "ok");
    }
    edge.run(180_000);
    assert_eq!(edge.portal.counted(), 10);
    assert!(edge.sink.asked > 20, "{}", edge.sink.asked);
    let told = edge.host.log.borrow();
    assert!(
        told.iter()
            .any(|line| line.contains("the sink: it answers 503"))
    );
    drop(told);
    edge.sink.is_down = false;
    edge.portal.is_down = true;
    assert_eq!(edge.call(0, &live, 200), "ok");
    edge.run(70_000);
    assert_eq!((edge.sink.counted(), edge.sink.repeated), (11, 0));
}

#[test]
fn a_crash_of_the_elected_worker_loses_no_event() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = telling(3, portal);
    edge.sink.is_down = true;
    let mut calls = 0;
    for _ in 0..6 {
        for worker in 0..3 {
            assert_eq!(edge.call(worker, &live, 200), "ok");
            calls += 1;
        }
        edge.run(62_000);
        let now_ms = edge.host.now_ns.get() / 1_000_000;
        let leads = |worker: &Worker| worker.leader.leads(now_ms);
        let leader = edge.workers.iter().position(leads).unwrap();
        edge.workers[leader] = configured_worker(&edge.host, TELLING);
        edge.run(5_000);
    }
    edge.sink.is_down = false;
    edge.run(90_000);
    assert_eq!(edge.sink.counted(), calls);
    assert_eq!(edge.sink.gaps.len(), 0);
}

#[test]
fn what_a_sink_misses_for_too_long_is_bounded_counted_and_told() {
    let mut portal = Portal::new();
    let keys: Vec<String> = (1..200)
        .map(|seed| portal.issue(seed, Environment::Live))
        .collect();
    let mut edge = telling(1, portal);
    edge.sink.is_down = true;
    let mut calls = 0;
    // More than four batches a minute.
    for _ in 0..MOST_BATCHES / 2 {
        for (key, status) in keys.iter().flat_map(|key| [(key, 200), (key, 404)]) {
            assert_eq!(edge.call(0, key, status), "ok");
            calls += 1;
        }
        edge.run(60_000);
        edge.host.take_crossings();
    }
    assert_eq!(edge.portal.counted(), calls);
    edge.sink.is_down = false;
    edge.run(130_000);
    let missed: u64 = edge
        .sink
        .gaps
        .iter()
        .map(|gap| gap["data"]["events"].as_u64().unwrap())
        .sum();
    assert!(missed > 0);
    assert_eq!(edge.sink.counted() + missed, calls);
    let counters = edge.host.counters.take();
    let dropped = counters
        .iter()
        .find(|(name, _)| name == "portico.usage_events_dropped");
    // Gaps that were given up themselves had become part of later ones.
    assert!(dropped.unwrap().1 >= missed);
}

#[test]
fn the_minute_in_hand_is_told_when_the_process_ends() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = telling(2, portal);
    for worker in [0, 1, 1] {
        assert_eq!(edge.call(worker, &live, 200), "ok");
    }
    edge.run(500);
    let now_ms = edge.host.now_ns.get() / 1_000_000;
    edge.workers
        .sort_by_key(|worker| worker.leader.leads(now_ms));
    for worker in &mut edge.workers {
        worker.end(&edge.host);
    }
    edge.answer();
    assert_eq!(edge.sink.counted(), 3);
}
