//! The golden wire samples. Edge filter and portal assert the same files, so a
//! change of the contract shows up as a change of a sample. To write them anew
//! after a deliberate change: `UPDATE_FIXTURES=1 cargo test -p shared --test golden`.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use shared::credential::{Environment, Pepper};
use shared::feed::{FeedPage, SnapshotPage};
use shared::problem::{Code, Problem};
use shared::signing::EdgeSecret;
use shared::usage::{Report, ReportAnswer};
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

fn read(name: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(path(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Reads the sample as `T`, writes it again and compares.
fn assert_round_trip<T: Serialize + DeserializeOwned>(name: &str) {
    let sample = read(name);
    let value: T = serde_json::from_value(sample.clone()).unwrap();
    assert_eq!(serde_json::to_value(&value).unwrap(), sample, "{name}");
}

#[test]
fn a_feed_page_with_every_kind_of_change_round_trips() {
    assert_round_trip::<FeedPage>("feed-page.json");
    let kinds: std::collections::BTreeSet<String> = read("feed-page.json")["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds.len(), 11, "one sample of each kind: {kinds:?}");
}

#[test]
fn a_snapshot_page_round_trips() {
    assert_round_trip::<SnapshotPage>("snapshot-page.json");
}

#[test]
fn a_report_and_its_answer_round_trip() {
    assert_round_trip::<Report>("report.json");
    assert_round_trip::<ReportAnswer>("report-answer.json");
}

#[test]
fn digests_signatures_and_problem_bodies_are_those_of_the_sample() {
    let secret = EdgeSecret::new(b"fixture-edge-secret-of-32-bytes!");
    let pepper = Pepper::new(b"fixture-pepper-of-32-bytes-long!");
    let body = br#"{"sequence":1}"#;
    let limited: Problem = {
        let mut problem = Code::RateLimited.problem("req-1", "https://portal.example/help/");
        problem.violated_policies = vec!["burst".into()];
        problem
    };
    let made = json!({
        "edge_secret": "fixture-edge-secret-of-32-bytes!",
        "pepper": "fixture-pepper-of-32-bytes-long!",
        "key": "pk_test_000000000000000000000000000000",
        "key_hash": pepper.digest("pk_test_000000000000000000000000000000"),
        "request": {
            "method": "POST", "path": "/edge/v1/report", "timestamp_ms": 1_767_225_600_000_u64,
            "body": r#"{"sequence":1}"#,
            "signature": secret.sign_request("POST", "/edge/v1/report", 1_767_225_600_000, body),
        },
        "response": {
            "path": "/edge/v1/feed?after=0", "body": r#"{"sequence":1}"#,
            "signature": secret.sign_response("/edge/v1/feed?after=0", body),
        },
        "problem": limited,
        "environments": [Environment::Test, Environment::Live],
    });
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(path("signing-and-problems.json"), text + "\n").unwrap();
    }
    assert_eq!(made, read("signing-and-problems.json"));
}
