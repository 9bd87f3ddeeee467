//! Who gets through, where to, and what everybody else is told.

use crate::programme::{Programme, plan, rate_limit};
use crate::stack::{Envoy, Options};
use shared::feed::Change;

#[test]
fn test_keys_reach_the_sandbox_and_live_keys_the_upstream() {
    let programme = Programme::start();
    let envoy = Envoy::start(&programme.portal, &Options::default());
    programme.portal.wait_until_applied();
    let test = envoy.call(&programme.test_key, "/hello");
    assert_eq!((test.status(), &test.json()["upstream"]), (200, &"sandbox".into()));
    let live = envoy.call(&programme.live_key, "/v1/orders/7?expand=1");
    assert_eq!((live.status(), &live.json()["upstream"]), (200, &"upstream".into()));
    let headers = &live.json()["headers"];
    assert_eq!(headers["x-portico-environment"], "live");
    assert_eq!(headers["x-portico-scopes"], "orders:read orders:write");
    assert!(headers["authorization"].is_null(), "the credential goes no further");
    programme.portal.wait_for("two calls counted", |state| {
        state.cells.values().filter(|cell| cell.outcome == "2xx").map(|cell| cell.count).sum::<u64>() == 2
    });
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
        assert_eq!(answer.header("ratelimit-policy"), Some("\"burst\";q=3;w=3600"));
        assert!(answer.header("ratelimit").unwrap().starts_with(&format!("\"burst\";r={left};t=")));
    }
    let refused = envoy.call(&programme.test_key, "/hello");
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.header("retry-after"), Some("1200"));
    assert_eq!(refused.json()["code"], "rate_limited");
    assert_eq!(refused.json()["violated-policies"][0], "burst");
    assert_eq!(envoy.call(&programme.live_key, "/hello").status(), 200, "live has its own");
}
