//! A sink of CloudEvents beside the portal.

use crate::http::{Message, Reply, Server};
use crate::programme::Programme;
use crate::stack::{Envoy, Options};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A sink that knows ids, and refuses its first batches.
#[derive(Default)]
struct Sink {
    events: BTreeMap<(String, String), Value>,
    asked: u32,
}

impl Sink {
    fn take(&mut self, request: &Message) -> Reply {
        assert_eq!((request.method(), request.target()), ("POST", "/usage"));
        assert_eq!(
            request.header("content-type"),
            Some("application/cloudevents-batch+json")
        );
        assert_eq!(request.header("authorization"), Some("Bearer sink-key"));
        self.asked += 1;
        if self.asked < 3 {
            return Reply::new(503, "");
        }
        let batch: Vec<Value> = serde_json::from_slice(&request.body).unwrap();
        for event in batch {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            assert_eq!(text("specversion"), "1.0");
            assert_eq!(text("type"), "portico.edge.usage");
            assert!(text("source").starts_with("urn:portico:edge:"));
            assert!(!text("id").is_empty() && !text("subject").is_empty());
            assert!(text("time").ends_with(":00Z"));
            self.events.insert((text("source"), text("id")), event);
        }
        Reply::new(204, "")
    }

    fn counted(&self, outcome: &str) -> u64 {
        let of = self
            .events
            .values()
            .filter(|event| event["data"]["outcome"] == outcome);
        of.map(|event| event["data"]["count"].as_u64().unwrap())
            .sum()
    }
}

#[test]
fn a_sink_beside_the_portal_is_told_every_cell_once_the_minute_is_over() {
    let sink = Arc::new(Mutex::new(Sink::default()));
    let shared = Arc::clone(&sink);
    let server = Server::start(move |request| shared.lock().unwrap().take(&request));
    let programme = Programme::start();
    let options = Options {
        configuration: r#""usage_events_cluster": "sink", "usage_events_authority": "sink.example", "usage_events_path": "/usage", "usage_events_key": "sink-key""#
            .to_owned(),
        cluster: Some(("sink", server.address.port())),
        ..Options::default()
    };
    let envoy = Envoy::start(&programme.portal, &options);
    programme.portal.wait_until_applied();
    for _ in 0..40 {
        assert_eq!(envoy.call(&programme.live_key, "/hello").status(), 200);
    }
    for _ in 0..7 {
        assert_eq!(envoy.call("nonsense", "/hello").status(), 401);
    }
    programme.portal.wait_until_counted("2xx", 40);
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let sink = sink.lock().unwrap();
        let counted = (sink.counted("2xx"), sink.counted("malformed_credential"));
        if counted == (40, 7) {
            break;
        }
        assert!(Instant::now() < deadline, "{counted:?} {}", envoy.log());
        drop(sink);
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(
        envoy
            .log()
            .contains("usage events not taken by the sink: it answers 503")
    );
    let sent = || envoy.stat("wasmcustom.portico.usage_events_sent");
    assert!(crate::access::wait_until(
        || sent() == sink.lock().unwrap().events.len() as u64
    ));
    assert_eq!(envoy.stat("wasmcustom.portico.usage_events_dropped"), 0);
}
