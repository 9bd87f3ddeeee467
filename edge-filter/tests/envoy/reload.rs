//! Configuration reload, another build of the filter, drain, and callers that
//! hang up: nothing is lost and nothing is counted twice.

use crate::access::wait_until;
use crate::programme::Programme;
use crate::stack::{Envoy, Options, find_filter};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

fn watched() -> Options {
    Options {
        watches_listener: true,
        ..Options::default()
    }
}

/// Calls once per connection, so that every listener there is gets some; how many.
fn call_for(envoy: &Envoy, key: &str, calls: u64) -> u64 {
    for _ in 0..calls {
        assert_eq!(envoy.call(key, "/hello").status(), 200);
        std::thread::sleep(Duration::from_millis(5));
    }
    calls
}

fn assert_one_boot_that_goes_on(programme: &Programme) {
    let state = programme.portal.state();
    let boots: BTreeSet<_> = state
        .reports
        .iter()
        .map(|report| report.edge.boot)
        .collect();
    assert_eq!(boots.len(), 1);
    assert!(state.reports.iter().all(|report| !report.ended));
}

#[test]
fn another_configuration_takes_over_and_every_call_is_counted_once() {
    let programme = Programme::start();
    let envoy = Envoy::start(&programme.portal, &watched());
    programme.portal.wait_until_applied();
    let realm = |name: &str| {
        let answer = envoy.get("/hello", &[]);
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        challenge.contains(&format!("realm=\"{name}\""))
    };
    let mut calls = call_for(&envoy, &programme.live_key, 50);
    let end = format!("\"127.0.0.1:{}\"}}", programme.portal.port());
    let other = end.replace('}', ", \"realm\": \"other\"}");
    envoy.reload(&end, &other);
    while !realm("other") {
        calls += call_for(&envoy, &programme.live_key, 5);
    }
    calls += call_for(&envoy, &programme.live_key, 50);
    programme.portal.wait_until_counted("2xx", calls);
    assert_one_boot_that_goes_on(&programme);
}

#[test]
fn another_build_of_the_filter_goes_on_with_the_same_boot_and_cells() {
    let programme = Programme::start();
    let envoy = Envoy::start(&programme.portal, &watched());
    programme.portal.wait_until_applied();
    let mut calls = call_for(&envoy, &programme.live_key, 50);
    // A custom section more: the same code under another hash, hence other machines.
    let first = find_filter();
    let second = envoy.directory.join("second.wasm");
    let mut bytes = std::fs::read(&first).unwrap();
    bytes.extend_from_slice(&[0, 3, 1, b'x', 0]);
    std::fs::write(&second, bytes).unwrap();
    envoy.reload(&first.display().to_string(), &second.display().to_string());
    assert!(wait_until(|| envoy
        .stat("listener_manager.listener_modified")
        == 1));
    let statuses: BTreeSet<u16> = (0..200)
        .map(|_| {
            let status = envoy.call(&programme.live_key, "/hello").status();
            calls += u64::from(status == 200);
            std::thread::sleep(Duration::from_millis(5));
            status
        })
        .collect();
    assert!(statuses.contains(&200));
    assert!(
        statuses.is_subset(&BTreeSet::from([200, 503])),
        "{statuses:?}: at worst a machine that is not ready says so"
    );
    programme.portal.wait_until_counted("2xx", calls);
    assert_one_boot_that_goes_on(&programme);
}

#[test]
fn after_a_drain_nothing_is_left_to_report() {
    let programme = Programme::start();
    let mut envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    let calls = call_for(&envoy, &programme.live_key, 50);
    envoy.admin("/drain_listeners?graceful&quit");
    programme.portal.wait_until_counted("2xx", calls);
    envoy.stop();
    assert_eq!(programme.portal.counted("2xx"), calls);
}

#[test]
fn a_caller_that_hangs_up_is_counted_as_aborted_and_logged() {
    let programme = Programme::start();
    let envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    let mut stream = TcpStream::connect(envoy.gateway).unwrap();
    let key = &programme.live_key;
    write!(
        stream,
        "GET /hello HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\nx-want-delay-ms: 2000\r\n\r\n"
    )
    .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    stream.shutdown(Shutdown::Both).unwrap();
    drop(stream);
    programme.portal.wait_until_counted("aborted", 1);
    assert!(wait_until(|| envoy
        .access_log()
        .contains("code=ok credential=crd_")));
}

#[test]
fn the_access_log_has_the_decision_of_accepted_and_refused_calls() {
    let programme = Programme::start();
    let envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    assert_eq!(envoy.call(&programme.live_key, "/hello").status(), 200);
    assert_eq!(envoy.get("/hello", &[]).status(), 401);
    assert_eq!(envoy.call(&programme.live_key, "/nowhere").status(), 404);
    assert!(wait_until(|| envoy.access_log().lines().count() == 3));
    let log = envoy.access_log();
    let decisions: Vec<String> = log
        .lines()
        .map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            entry["decision"].as_str().unwrap_or_default().to_owned()
        })
        .collect();
    assert!(decisions[0].starts_with("code=ok credential=crd_"), "{log}");
    assert!(decisions[0].contains(" app=app_") && decisions[0].contains(" plan=pln_"));
    assert!(decisions[0].ends_with(" operation=hello"));
    assert_eq!(decisions[1], "code=missing_credential");
    assert!(
        decisions[2].starts_with("code=unknown_operation credential=crd_"),
        "{log}"
    );
}
