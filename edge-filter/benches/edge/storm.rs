//! Under load in a real Envoy: what garbage keys do to good traffic and to the
//! portal, and how soon a revocation holds, with many credentials known.
//!
//! `PORTICO_BENCH_CREDENTIALS` and `PORTICO_BENCH_REVOCATIONS` set how many.

use crate::portal::{key_from, now_ms};
use crate::programme::Programme;
use crate::scale::{pages, percentile};
use crate::stack::{Envoy, Options};
use shared::credential::Environment;
use shared::feed::{Change, Credential};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(4);
/// Revoked at once, while each is called over and over.
const BATCH: usize = 25;
const LOAD_BEFORE: Duration = Duration::from_millis(400);
const LOAD_AFTER: Duration = Duration::from_millis(1_200);

fn number_from(variable: &str, usual: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Four callers with a good key, and as many with garbage, for a while: latencies of
/// the good calls, and how many of the others were made.
fn traffic(envoy: &Envoy, good: &str, garbage: &[String], callers: usize) -> (Vec<Duration>, u64) {
    let (stop, made) = (AtomicBool::new(false), AtomicU64::new(0));
    let latencies = std::thread::scope(|scope| {
        for caller in 0..callers {
            let (stop, made) = (&stop, &made);
            scope.spawn(move || {
                let mut client = envoy.client();
                for key in garbage.iter().cycle().skip(caller * 97) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let answer = client.send("GET", "/hello", &[("x-api-key", key)], b"");
                    assert_eq!(answer.expect("an answer").status(), 401);
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let good = (0..4).map(|_| {
            scope.spawn(|| {
                let (mut client, mut latencies) = (envoy.client(), Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    let answer = client.send("GET", "/hello", &[("x-api-key", good)], b"");
                    assert_eq!(answer.expect("an answer").status(), 200);
                    latencies.push(start.elapsed());
                    std::thread::sleep(Duration::from_millis(1));
                }
                latencies
            })
        });
        let good: Vec<_> = good.collect();
        std::thread::sleep(WINDOW);
        stop.store(true, Ordering::Relaxed);
        good.into_iter()
            .flat_map(|caller| caller.join().unwrap_or_default())
            .collect()
    });
    (latencies, made.into_inner())
}

fn calls_to(programme: &Programme) -> u64 {
    let state = programme.portal.state();
    state.feed_reads + state.reports.len() as u64
}

fn garbage(programme: &Programme, envoy: &Envoy) -> serde_json::Value {
    let keys: Vec<String> = (0..20_000)
        .map(|number| {
            let mut key = key_from(7_000_000 + number, Environment::Live).0;
            if number % 2 == 0 {
                key.pop();
            }
            key
        })
        .collect();
    let mut told = Vec::new();
    for callers in [0, 8] {
        let before = calls_to(programme);
        let (mut latencies, made) = traffic(envoy, &programme.live_key, &keys, callers);
        let to_portal = calls_to(programme) - before;
        told.push((percentile(&mut latencies, 990), made, to_portal));
    }
    let ((quiet, _, usual), (busy, made, beside)) = (told[0], told[1]);
    let (per_sec, ratio) = (
        made as f64 / WINDOW.as_secs_f64(),
        busy.as_secs_f64() / quiet.as_secs_f64(),
    );
    println!(
        "{per_sec:.0} garbage keys a second: good traffic's p99 {busy:.1?} after {quiet:.1?} ({ratio:.2}); calls to the portal {beside} after {usual}"
    );
    serde_json::json!({
        "garbage_per_sec": per_sec, "p99_ratio": ratio,
        "portal_calls": beside, "portal_calls_before": usual,
    })
}

fn revocations(
    programme: &Programme,
    envoy: &Envoy,
    keys: &[(String, Credential)],
) -> serde_json::Value {
    let mut times = Vec::new();
    for batch in keys.chunks(BATCH) {
        let (start, published) = (Instant::now(), AtomicU64::new(0));
        let now_us = || start.elapsed().as_micros() as u64;
        let last: Vec<AtomicU64> = batch.iter().map(|_| AtomicU64::new(0)).collect();
        std::thread::scope(|scope| {
            for caller in 0..8 {
                let last = &last;
                scope.spawn(move || {
                    let mut client = envoy.client();
                    let all = batch.iter().zip(last).cycle().skip(caller * 3);
                    for ((key, _), last) in all {
                        if start.elapsed() > LOAD_BEFORE + LOAD_AFTER {
                            return;
                        }
                        let answer = client.send("GET", "/hello", &[("x-api-key", key)], b"");
                        if answer.expect("an answer").status() == 200 {
                            last.fetch_max(now_us(), Ordering::Relaxed);
                        }
                    }
                });
            }
            std::thread::sleep(LOAD_BEFORE);
            published.store(now_us(), Ordering::Relaxed);
            for (_, credential) in batch {
                let revoked_at_ms = Some(now_ms());
                programme.portal.publish(Change::Credential(Credential {
                    revoked_at_ms,
                    ..credential.clone()
                }));
            }
        });
        let published = published.into_inner();
        let after = |last: AtomicU64| last.into_inner().saturating_sub(published);
        times.extend(last.into_iter().map(after).map(Duration::from_micros));
    }
    let [half, most, all] = [500, 990, 1_000].map(|part| percentile(&mut times, part));
    println!(
        "{} revocations under load: last accepted call after {half:.0?} (p50), {most:.0?} (p99), {all:.0?} (max)",
        times.len()
    );
    serde_json::json!({
        "revocations": times.len(), "p50_ms": half.as_secs_f64() * 1e3,
        "p99_ms": most.as_secs_f64() * 1e3, "max_ms": all.as_secs_f64() * 1e3,
    })
}

/// Starts an Envoy with a large programme, measures and prints.
pub fn measure() -> serde_json::Value {
    let credentials = number_from("PORTICO_BENCH_CREDENTIALS", 1_000_000);
    let wanted = number_from("PORTICO_BENCH_REVOCATIONS", 1_000);
    let mut programme = Programme::start();
    programme.portal.state().extra_snapshot = pages(credentials);
    let keys: Vec<_> = (0..wanted)
        .map(|_| programme.new_credential(Environment::Live))
        .collect();
    for (_, credential) in &keys {
        programme
            .portal
            .publish(Change::Credential(credential.clone()));
    }
    let start = Instant::now();
    let envoy = Envoy::start(&programme.portal, &Options::default());
    let key = programme.live_key.clone();
    while envoy.call(&key, "/hello").status() != 200 {
        assert!(start.elapsed() < Duration::from_secs(120), "not loaded");
        std::thread::sleep(Duration::from_millis(20));
    }
    programme.portal.wait_until_applied();
    println!(
        "{credentials} credentials in a real Envoy, serving after {:.1?}",
        start.elapsed()
    );
    let garbage = garbage(&programme, &envoy);
    let revocations = revocations(&programme, &envoy, &keys);
    serde_json::json!({ "credentials": credentials, "garbage": garbage, "revocations": revocations })
}
