//! What the filter costs: CPU time of the Envoy process per request, beside no
//! filter, Envoy's own filters, and an external authorisation service.
//!
//! All variants are alive at once and are visited in short slices, in an order
//! that turns every round, so that whatever else the machine does hits all of
//! them; what counts are ratios within a round. Needs Envoy and the built filter
//! (as the tests do). Prints a table and writes `target/bench/edge.json`.
//!
//! `PORTICO_BENCH_ROUNDS`: rounds (default 40). `PORTICO_BENCH_ONLY`: names of the
//! variants wanted, with commas between. `PORTICO_BENCH_BUILDS`: other builds of
//! the filter to compare with, `name=path,…`. `PORTICO_BENCH_PARTS`: which of
//! `table`, `storm` and `cpu` are wanted; all where none is named.

#[path = "../../tests/envoy/http.rs"]
#[allow(dead_code)]
mod http;
#[path = "../../tests/envoy/portal.rs"]
#[allow(dead_code)]
mod portal;
#[path = "../../tests/envoy/programme.rs"]
#[allow(dead_code)]
mod programme;
#[path = "../../tests/envoy/scale.rs"]
#[allow(dead_code, unused_imports)]
mod scale;
#[path = "../../tests/envoy/stack.rs"]
#[allow(dead_code)]
mod stack;
mod storm;
mod table;
mod variants;

use http::Client;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use variants::{Variant, start_variants};

const CONNECTIONS: usize = 16;
const SLICE: Duration = Duration::from_millis(120);

/// Nanoseconds of CPU that all threads of a process have had.
fn cpu_ns(pid: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

/// CPU that this thread has had.
fn own_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text
        .split_whitespace()
        .next()
        .and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

/// One variant's connections, kept over all slices.
struct Load<'a> {
    variant: &'a Variant,
    clients: Vec<Client>,
}

impl<'a> Load<'a> {
    fn new(variant: &'a Variant) -> Self {
        let connect = |_| Client::connect(variant.address).expect("the gateway listens");
        Self {
            variant,
            clients: (0..CONNECTIONS).map(connect).collect(),
        }
    }

    /// Calls in closed loops for a slice: CPU per request in µs, and the median latency in µs.
    fn slice(&mut self) -> (f64, f64) {
        let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
        let variant = self.variant;
        let before = cpu_ns(variant.pid);
        let mut latencies: Vec<u64> = std::thread::scope(|scope| {
            let loops: Vec<_> = self
                .clients
                .iter_mut()
                .map(|client| scope.spawn(|| closed_loop(client, variant, &stop, &calls)))
                .collect();
            std::thread::sleep(SLICE);
            stop.store(true, Ordering::Relaxed);
            loops
                .into_iter()
                .flat_map(|handle| handle.join().unwrap_or_default())
                .collect()
        });
        let used = cpu_ns(variant.pid) - before;
        latencies.sort_unstable();
        let median = latencies.get(latencies.len() / 2).copied().unwrap_or(0);
        (
            used as f64 / 1_000.0 / calls.into_inner().max(1) as f64,
            median as f64,
        )
    }
}

fn closed_loop(
    client: &mut Client,
    variant: &Variant,
    stop: &AtomicBool,
    calls: &AtomicU64,
) -> Vec<u64> {
    let headers = variant
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    let headers: Vec<_> = headers.collect();
    let mut latencies = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        let answer = client
            .send("GET", variant.target, &headers, b"")
            .expect("an answer");
        assert_eq!(answer.status(), variant.status, "{}", variant.name);
        latencies.push(start.elapsed().as_micros() as u64);
        calls.fetch_add(1, Ordering::Relaxed);
    }
    latencies
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Whether a part is among those named in `PORTICO_BENCH_PARTS`; all are where none is.
fn is_wanted(part: &str) -> bool {
    let parts = std::env::var("PORTICO_BENCH_PARTS").unwrap_or_default();
    parts.is_empty() || parts.split(',').any(|wanted| wanted == part)
}

fn main() {
    let mut results = serde_json::Map::new();
    if is_wanted("table") {
        results.insert("table".into(), table::measure());
    }
    if is_wanted("storm") {
        results.insert("storm".into(), storm::measure());
    }
    if is_wanted("cpu") {
        results.extend(compare_cpu());
    }
    let directory = stack::target_directory().join("bench");
    let json = serde_json::Value::from(results);
    let written = std::fs::create_dir_all(&directory)
        .and_then(|()| std::fs::write(directory.join("edge.json"), format!("{json:#}\n")));
    if let Err(error) = written {
        eprintln!("{}: {error}", directory.display());
    }
}

fn compare_cpu() -> serde_json::Map<String, serde_json::Value> {
    let rounds: usize = std::env::var("PORTICO_BENCH_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(40);
    let bench = start_variants();
    let mut loads: Vec<Load<'_>> = bench.variants.iter().map(Load::new).collect();
    for load in &mut loads {
        load.slice();
    }
    let mut cpu = vec![Vec::new(); loads.len()];
    let mut latency = vec![Vec::new(); loads.len()];
    for round in 0..rounds {
        for step in 0..loads.len() {
            let place = if round % 2 == 0 {
                step
            } else {
                loads.len() - 1 - step
            };
            let (used, median) = loads[place].slice();
            cpu[place].push(used);
            latency[place].push(median);
        }
    }
    report(&bench.variants, &cpu, &mut latency, rounds)
}

fn report(
    variants: &[Variant],
    cpu: &[Vec<f64>],
    latency: &mut [Vec<f64>],
    rounds: usize,
) -> serde_json::Map<String, serde_json::Value> {
    let place = |name: &str| variants.iter().position(|variant| variant.name == name);
    let bases = ["no filter", "native trio", "ext_authz"].map(place);
    println!(
        "CPU of the Envoy process per request; medians of {rounds} rounds, ratios within rounds"
    );
    println!("| variant | µs | p50 µs | / no filter | / native trio | / ext_authz |");
    println!("|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for (number, variant) in variants.iter().enumerate() {
        let ratios = bases.map(|base| {
            let base = &cpu[base.unwrap_or(0)];
            median(
                &mut cpu[number]
                    .iter()
                    .zip(base)
                    .map(|(own, base)| own / base)
                    .collect::<Vec<_>>(),
            )
        });
        let used = median(&mut cpu[number].clone());
        let p50 = median(&mut latency[number]);
        let [a, b, c] = ratios;
        println!(
            "| {} | {used:.1} | {p50:.0} | {a:.2} | {b:.2} | {c:.2} |",
            variant.name
        );
        rows.push(serde_json::json!({
            "variant": variant.name, "cpu_us": used, "p50_us": p50,
            "to_no_filter": a, "to_native_trio": b, "to_ext_authz": c,
        }));
    }
    let filter = stack::find_filter();
    let bytes = std::fs::metadata(&filter).map_or(0, |file| file.len());
    println!("edge_filter.wasm: {bytes} bytes");
    let results = [
        ("rounds", rounds.into()),
        ("filter_bytes", bytes.into()),
        ("rows", rows.into()),
    ];
    let named = results.map(|(name, value): (&str, serde_json::Value)| (name.to_owned(), value));
    named.into_iter().collect()
}
