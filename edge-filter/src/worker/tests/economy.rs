//! What a call costs, what is spared the next one, and what is counted of it.

use super::*;

#[test]
fn a_call_crosses_into_the_proxy_no_more_often_than_it_must() {
    let mut portal = Portal::new();
    portal.ceiling = 1 << 40;
    let mut full = plan();
    let limit = |name: &str, per| RateLimit {
        name: name.into(),
        limit: 1_000_000,
        window_secs: 60,
        per,
        shadow: false,
        across_edges: false,
    };
    full.rate_limits = vec![
        limit("burst", RateLimitScope::Subscription),
        limit("each", RateLimitScope::Credential),
        limit("hour", RateLimitScope::Operation),
    ];
    full.quota = Some(hard_quota(1 << 40));
    portal.publish(Change::Plan(full));
    let (live, hash) = key(1, Environment::Live);
    portal.publish(Change::Credential(Credential {
        addresses: vec!["127.0.0.0/8".into()],
        ..credential(1, Environment::Live, hash)
    }));
    let mut edge = Edge::new(1, portal);
    *edge.host.client.borrow_mut() = Some("127.0.0.1:5000".into());
    edge.run(2_000);
    assert_eq!(edge.call(0, &live, 200), "ok");
    edge.run(100);
    edge.host.take_crossings();
    assert_eq!(edge.call(0, &live, 200), "ok");
    let request = [
        "request headers",
        "time",
        "property source.address",
        "read portico.2.account",
        "write portico.2.account",
        "describe",
        "remove x-api-key",
        "add x-portico-environment",
        "add x-portico-organisation",
        "add x-portico-app",
        "add x-portico-plan",
        "add x-portico-credential",
        "add x-portico-scopes",
        "clear route",
    ];
    let response = ["response headers", "add ratelimit-policy", "add ratelimit"];
    let end = [
        "time",
        "property ResponseFlags",
        "property ResponseBytes",
        "write portico.2.usage",
    ];
    let accepted = [&request[..], &response, &end].concat();
    assert_eq!(edge.crossings(), accepted);

    let mut mistyped = live.clone();
    mistyped.pop();
    assert_eq!(edge.call(0, &mistyped, 200), "malformed_credential");
    edge.host.take_crossings();
    assert_eq!(edge.call(0, &mistyped, 200), "malformed_credential");
    let refused = [
        "request headers",
        "time",
        "describe",
        "respond malformed_credential",
        "time",
        "write portico.2.usage",
    ];
    assert_eq!(edge.crossings(), refused);
}

#[test]
fn what_was_prepared_for_a_caller_ends_with_its_time_and_with_the_next_change() {
    let mut portal = Portal::new();
    let (live, hash) = key(1, Environment::Live);
    portal.publish(Change::Credential(Credential {
        expires_at_ms: Some(NOW_MS + 5_000),
        addresses: vec!["127.0.0.0/8".into()],
        ..credential(1, Environment::Live, hash)
    }));
    let mut edge = Edge::new(1, portal);
    let from = |address: &str| Some(format!("{address}:5000"));
    *edge.host.client.borrow_mut() = from("127.0.0.1");
    edge.run(500);
    assert_eq!(edge.call(0, &live, 200), "ok");
    *edge.host.client.borrow_mut() = from("192.0.2.1");
    assert_eq!(edge.call(0, &live, 200), "address_not_allowed");
    *edge.host.client.borrow_mut() = from("127.0.0.1");
    assert_eq!(edge.call(0, &live, 200), "ok");
    edge.portal.publish(Change::App(App {
        app: id(AppId::from_bytes, 2),
        organisation: id(OrganisationId::from_bytes, 1),
        suspended: true,
    }));
    edge.run(500);
    assert_eq!(edge.call(0, &live, 200), "organisation_suspended");
    edge.portal.publish(Change::App(App {
        app: id(AppId::from_bytes, 2),
        organisation: id(OrganisationId::from_bytes, 1),
        suspended: false,
    }));
    edge.run(500);
    assert_eq!(edge.call(0, &live, 200), "ok");
    edge.run(4_000);
    assert_eq!(edge.call(0, &live, 200), "expired_credential");
}

#[test]
fn metrics_are_few_and_count_every_call() {
    let mut portal = Portal::new();
    let keys: Vec<String> = (1..40)
        .map(|seed| portal.issue(seed, Environment::Live))
        .collect();
    let mut edge = Edge::new(1, portal);
    edge.run(500);
    for key in keys.iter().cycle().take(200) {
        assert_eq!(edge.call(0, key, 200), "ok");
        assert_eq!(edge.call(0, "nonsense", 200), "malformed_credential");
    }
    edge.run(50);
    let counters = edge.host.counters.take();
    let count = |name: &str| counters.iter().find(|(own, _)| own == name).unwrap().1;
    assert_eq!(counters.len(), 7);
    assert_eq!(count("portico.calls_accepted"), 200);
    assert_eq!(count("portico.calls_refused"), 200);
    assert_eq!(count("portico.calls_timed"), 400 / 64);
}

#[test]
fn what_nobody_needs_is_not_told_and_costs_no_crossing() {
    let mut portal = Portal::new();
    let live = portal.issue(1, Environment::Live);
    let mut edge = Edge::new(0, portal);
    let told = br#"{"portal_cluster":"p","portal_authority":"portal","routes_by_identity":false,
        "describe_accepted":false,"identity_headers":["app","credential"]}"#;
    edge.workers.push(configured_worker(&edge.host, told));
    edge.run(1_000);
    assert_eq!(edge.call(0, &live, 200), "ok");
    edge.host.take_crossings();
    assert_eq!(edge.call(0, &live, 200), "ok");
    let crossings = edge.crossings();
    let told: Vec<_> = crossings
        .iter()
        .filter(|line| line.starts_with("add ") || line.starts_with("remove "))
        .collect();
    assert_eq!(
        told,
        [
            "remove x-api-key",
            "add x-portico-app",
            "add x-portico-credential"
        ]
    );
    for spared in ["describe", "clear route"] {
        assert!(!crossings.iter().any(|line| line == spared), "{spared}");
    }
    assert_eq!(edge.call(0, "nonsense", 200), "malformed_credential");
    assert!(edge.crossings().iter().any(|line| line == "describe"));
}
