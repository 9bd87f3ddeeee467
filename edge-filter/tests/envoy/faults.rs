//! What survives a crash, a portal that is gone, and the end of Envoy.

use crate::access::wait_until;
use crate::http::Client;
use crate::programme::Programme;
use crate::stack::{Envoy, Options, faulty_filter};
use std::time::{Duration, Instant};

#[test]
fn a_crash_costs_the_request_in_hand_and_no_counted_call() {
    let programme = Programme::start();
    let options = Options {
        wasm: Some(faulty_filter()),
        ..Options::default()
    };
    let envoy = Envoy::start(&programme.portal, &options);
    programme.portal.wait_until_applied();
    let key = ("x-api-key", programme.live_key.as_str());
    let mut client = envoy.client();
    let mut counted = 0;
    for round in 0..6 {
        for _ in 0..20 {
            let answer = client.send("GET", "/hello", &[key], b"").unwrap();
            assert_eq!(answer.status(), 200, "round {round}");
            counted += 1;
        }
        let crashed = client.send("GET", "/hello", &[key, ("x-portico-fault", "request")], b"");
        assert!(crashed.is_err() || crashed.unwrap().status() == 503);
        client = envoy.client();
        let start = Instant::now();
        while client
            .send("GET", "/hello", &[key], b"")
            .map_or(0, |answer| answer.status())
            != 200
        {
            assert!(
                start.elapsed() < Duration::from_millis(250),
                "state is not back"
            );
            client = envoy.client();
        }
        counted += 1;
    }
    programme.portal.wait_until_counted("2xx", counted);
    assert!(envoy.stat("vm_reload_success") >= 1);
}

#[test]
fn calls_go_on_while_the_portal_is_gone_and_are_counted_when_it_is_back() {
    let programme = Programme::start();
    let envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    programme.portal.state().is_down = true;
    let mut client = envoy.client();
    let key = ("x-api-key", programme.live_key.as_str());
    for _ in 0..300 {
        assert_eq!(
            client.send("GET", "/hello", &[key], b"").unwrap().status(),
            200
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    programme.portal.state().is_down = false;
    programme.portal.wait_until_counted("2xx", 300);
}

#[test]
fn calls_reported_before_an_end_are_neither_lost_nor_repeated_by_it() {
    let programme = Programme::start();
    let mut envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    let mut client = envoy.client();
    let key = ("x-api-key", programme.live_key.as_str());
    for _ in 0..50 {
        assert_eq!(
            client.send("GET", "/hello", &[key], b"").unwrap().status(),
            200
        );
    }
    // What is still unsent when the process is told to end may not leave it any more: Envoy's
    // dispatcher stops with the process. Operators drain first, which outlasts a report.
    programme.portal.wait_until_counted("2xx", 50);
    envoy.stop();
    programme.portal.wait_until_counted("2xx", 50);
}

#[test]
fn the_lead_moves_away_from_workers_that_serve() {
    let programme = Programme::start();
    let envoy = Envoy::start(
        &programme.portal,
        &Options {
            concurrency: 3,
            ..Options::default()
        },
    );
    programme.portal.wait_until_applied();
    let until = Instant::now() + Duration::from_secs(8);
    let mut calls = 0;
    let mut clients: Vec<Client> = (0..12).map(|_| envoy.client()).collect();
    while Instant::now() < until {
        for client in &mut clients {
            let answer = client.send("GET", "/hello", &[("x-api-key", &programme.live_key)], b"");
            assert_eq!(answer.unwrap().status(), 200);
            calls += 1;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    programme.portal.wait_until_counted("2xx", calls);
    let boots: std::collections::BTreeSet<String> = {
        let state = programme.portal.state();
        state
            .reports
            .iter()
            .map(|report| report.edge.boot.to_string())
            .collect()
    };
    assert_eq!(boots.len(), 1, "one boot per Envoy, whoever leads");
    let sequences: Vec<u64> = programme
        .portal
        .state()
        .reports
        .iter()
        .map(|r| r.sequence)
        .collect();
    assert!(
        sequences.windows(2).all(|pair| pair[0] < pair[1]),
        "{sequences:?}"
    );
}

#[test]
fn a_bad_configuration_is_refused_by_the_name_of_the_field() {
    let programme = Programme::start();
    let options = Options {
        configuration: r#""public_pahts": []"#.into(),
        ..Options::default()
    };
    let started = std::panic::catch_unwind(|| Envoy::start(&programme.portal, &options));
    let Err(message) = started else {
        panic!("Envoy starts with a bad configuration")
    };
    let message = message.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("`public_pahts` is not a field of this filter"),
        "{message}"
    );
    let _ = wait_until(|| true);
}
