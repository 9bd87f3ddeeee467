//! A million credentials: how long they take to load, what they weigh, and that
//! requests do not notice.

use crate::portal::{key_from, now_ms};
use crate::programme::{APP, Programme};
use crate::stack::{Envoy, Options};
use shared::credential::{Environment, KeyHash};
use shared::feed::{Change, Credential, PackedCredential, PackedCredentials, SnapshotPage};
use shared::ids::CredentialId;
use std::time::{Duration, Instant};

const PER_PAGE: u64 = 50_000;

pub fn pages(credentials: u64) -> Vec<SnapshotPage> {
    let mut hashes: Vec<[u8; 16]> = (0..u128::from(credentials))
        .map(|number| {
            let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            (mixed ^ mixed >> 61).to_be_bytes()
        })
        .collect();
    hashes.sort_unstable();
    let page = |hashes: &[[u8; 16]]| {
        let mut packed = PackedCredentials::default();
        for hash in hashes {
            packed.push(&PackedCredential {
                hash: KeyHash(*hash),
                credential: CredentialId::from_bytes(*hash),
                app: 0,
                environment: Environment::Live,
            });
        }
        SnapshotPage {
            position: 0,
            next: None,
            changes: Vec::new(),
            packed_apps: vec![APP],
            packed_credentials: packed,
        }
    };
    hashes.chunks(PER_PAGE as usize).map(page).collect()
}

fn resident_kib(envoy: &Envoy) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", envoy.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

pub fn percentile(latencies: &mut [Duration], per_mille: usize) -> Duration {
    latencies.sort_unstable();
    latencies[(latencies.len() - 1) * per_mille / 1_000]
}

#[test]
fn a_large_programme_loads_in_slices_and_answers_meanwhile() {
    // The million is for the benchmark machine; CI's slower cores get a part of it.
    let credentials = std::env::var("PORTICO_SCALE").map_or(200_000, |text| text.parse().unwrap());
    let mut programme = Programme::start();
    let few = {
        let envoy = Envoy::start(&programme.portal, &Options::default());
        programme.portal.wait_until_applied();
        resident_kib(&envoy)
    };
    programme.portal.state().extra_snapshot = pages(credentials);
    let start = Instant::now();
    let envoy = Envoy::start(&programme.portal, &Options::default());
    while envoy.call(&programme.live_key, "/hello").status() != 200 {
        assert!(start.elapsed() < Duration::from_secs(60), "not loaded");
        std::thread::sleep(Duration::from_millis(10));
    }
    programme.portal.wait_until_applied();
    println!(
        "{credentials} credentials known after {:?}",
        start.elapsed()
    );
    let each = (resident_kib(&envoy).saturating_sub(few)) * 1_024 / credentials;
    // Two workers, two more virtual machines, and the log they replay: 40 bytes
    // in each, and room for the pages in flight.
    println!("{each} bytes of the process per credential");
    assert!(each < 5 * 40 + 150, "{each}");

    // 10 000 changes while calls go on.
    let mut client = envoy.client();
    let key = ("x-api-key", programme.live_key.clone());
    let mut measure = |calls: usize| -> Vec<Duration> {
        (0..calls)
            .map(|_| {
                let start = Instant::now();
                let answer = client
                    .send("GET", "/hello", &[(key.0, &key.1)], b"")
                    .unwrap();
                assert_eq!(answer.status(), 200);
                start.elapsed()
            })
            .collect()
    };
    let mut quiet = measure(2_000);
    for number in 0..10_000 {
        let (_, hash) = key_from(1_000_000 + number, Environment::Live);
        programme.portal.publish(Change::Credential(Credential {
            credential: CredentialId::new(
                now_ms(),
                &(number as u128).to_be_bytes()[6..].try_into().unwrap(),
            ),
            app: APP,
            environment: Environment::Live,
            hash,
            scopes: None,
            addresses: vec!["127.0.0.0/8".into()],
            expires_at_ms: None,
            revoked_at_ms: None,
            ends_at_ms: None,
        }));
    }
    let last = programme.issue(Environment::Live, |_| ());
    let start = Instant::now();
    let mut busy = Vec::new();
    while envoy.call(&last, "/hello").status() != 200 {
        busy.extend(measure(50));
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "the changes do not arrive"
        );
    }
    println!(
        "10 000 changes after {:?}; p99.9 {:?} before, {:?} meanwhile",
        start.elapsed(),
        percentile(&mut quiet, 999),
        percentile(&mut busy, 999),
    );
}
