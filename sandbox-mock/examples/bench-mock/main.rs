//! What the mock is worth, in numbers: correctness, refusals, state, start, memory, throughput, hostile requests.
//!
//! `cargo xtask bench mock`. Documents: the demo API always, those in `../shared/specs` (or `PORTICO_SPECS`) where present. Prints tables
//! and writes `target/bench/mock.json`. Ratios of throughput are against a constant server of Node's in the same
//! rounds, where `node` is on PATH, and against Prism where npm is. `PORTICO_BENCH_HOSTILE` says how many hostile
//! requests (default 100 000).

#[path = "../../tests/family/mod.rs"]
mod family;
mod load;
#[path = "../../tests/mutation/mod.rs"]
mod mutation;
mod peers;

use sandbox_mock::json::{Value, object};
use sandbox_mock::random::Random;
use sandbox_mock::sample::{Sample, sample, sample_broken, sample_without_credentials};
use sandbox_mock::state::{MemoryStore, NoStore, Store};
use sandbox_mock::{Context, Mock, Request, Response};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

fn context() -> Context {
    Context {
        seed: 1,
        tenant: "bench".to_owned(),
        now_ms: 1_767_225_600_000,
        stateful: true,
    }
}

fn respond<S: Store>(mock: &Mock, sample: &Sample, store: &mut S, seed: u64) -> Response {
    let request = Request {
        method: &sample.method,
        path: &sample.path,
        query: &sample.query,
        headers: &sample.headers,
        body: &sample.body,
    };
    let context = Context { seed, ..context() };
    mock.respond_now(request, store, &context)
}

fn documents(root: &Path) -> Vec<PathBuf> {
    let mut paths = vec![root.join("examples/demo-api/openapi.yaml")];
    let folder = std::env::var_os("PORTICO_SPECS")
        .map_or_else(|| root.join("../shared/specs"), PathBuf::from);
    let shared = std::fs::read_dir(folder);
    let mut found: Vec<PathBuf> = shared
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            matches!(ending, Some("json" | "yaml"))
        })
        .collect();
    found.sort();
    paths.extend(found);
    paths
}

/// Counts of one document.
#[derive(Default)]
struct Counts {
    operations: usize,
    answers: usize,
    good: usize,
    broken: usize,
    broken_refused: usize,
    bare: usize,
    bare_refused: usize,
    families: usize,
    families_kept: usize,
    problems: Vec<String>,
}

fn measure(bytes: &[u8]) -> Result<Counts, Failure> {
    let (mock, _) = Mock::from_source(bytes)?;
    let mut counts = Counts {
        operations: mock.operations().len(),
        ..Counts::default()
    };
    for index in 0..mock.operations().len() {
        for seed in 1..=5 {
            for dynamic in [false, true] {
                let mut request = sample(&mock, index, seed)?;
                if dynamic {
                    let prefer = ("prefer".to_owned(), "dynamic=true".to_owned());
                    request.headers.push(prefer);
                }
                // The mock answers 501 with the proof where it finds no valid body, and checks every body it makes.
                let status = respond(&mock, &request, &mut NoStore, seed).status;
                counts.answers += 1;
                if status < 400 {
                    counts.good += 1;
                } else if counts.problems.len() < 10 {
                    counts
                        .problems
                        .push(format!("{} {}: {status}", request.method, request.path));
                }
            }
        }
        let valid = sample(&mock, index, 1)?;
        if let Some(broken) = sample_broken(&mock, index, 1) {
            counts.broken += 1;
            let status = respond(&mock, &broken, &mut NoStore, 1).status;
            counts.broken_refused += usize::from((400..500).contains(&status));
        }
        let bare = sample_without_credentials(&mock, index, 1)?;
        if bare != valid {
            counts.bare += 1;
            let status = respond(&mock, &bare, &mut NoStore, 1).status;
            counts.bare_refused += usize::from(matches!(status, 401 | 403));
        }
    }
    for family in mock.families() {
        if family.create.is_none() || family.read.is_none() {
            continue;
        }
        counts.families += 1;
        match family::walk(&mock, &family) {
            Ok(()) => counts.families_kept += 1,
            Err(problem) => counts
                .problems
                .push(format!("{}: {problem}", family.collection)),
        }
    }
    Ok(counts)
}

/// In a process of its own: how long loading and a first answer take, and how much memory there is then.
fn load_once(spec: &Path) -> Result<(), Failure> {
    let started = Instant::now();
    let bytes = std::fs::read(spec)?;
    let (mock, _) = Mock::from_source(&bytes)?;
    drop(bytes);
    let request = sample(&mock, 0, 1)?;
    respond(&mock, &request, &mut NoStore, 1);
    let ms = started.elapsed().as_secs_f64() * 1_000.0;
    let after_load = resident_kb();
    let mut store = MemoryStore::default();
    for tenant in 0..1_000 {
        let context = Context {
            tenant: format!("app_{tenant}"),
            ..context()
        };
        for _ in 0..20 {
            let request = Request {
                method: &request.method,
                path: &request.path,
                query: &request.query,
                headers: &request.headers,
                body: &request.body,
            };
            mock.respond_now(request, &mut store, &context);
        }
    }
    println!(
        "{ms} {after_load} {}",
        resident_kb().saturating_sub(after_load)
    );
    Ok(())
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The median of five starts: milliseconds, MB after load, MB more for a thousand tenants.
fn start(spec: &Path) -> Result<(f64, f64, f64), Failure> {
    let mut runs = Vec::new();
    for _ in 0..5 {
        let out = Command::new(std::env::current_exe()?)
            .arg("--load")
            .arg(spec)
            .output()?;
        let text = String::from_utf8(out.stdout)?;
        let numbers: Vec<f64> = text
            .split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        match numbers.as_slice() {
            [ms, kb, more] => runs.push((*ms, kb / 1_024.0, more / 1_024.0)),
            _ => {
                return Err(format!(
                    "{}: {}",
                    spec.display(),
                    String::from_utf8_lossy(&out.stderr)
                )
                .into());
            }
        }
    }
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(runs[runs.len() / 2])
}

fn hostile(documents: &[(String, Vec<u8>)], total: u64) -> Result<Value, Failure> {
    let mut mocks = Vec::new();
    for (_, bytes) in documents {
        let (mock, _) = Mock::from_source(bytes)?;
        let valid: Vec<Sample> = (0..mock.operations().len())
            .filter_map(|index| sample(&mock, index, 7).ok())
            .collect();
        if !valid.is_empty() {
            mocks.push((mock, valid, MemoryStore::default()));
        }
    }
    let mut random = Random::new(20_251_101);
    let (mut harmful, mut at_half) = (0_u64, 0);
    let count = mocks.len() as u64;
    for round in 0..total {
        let Some((mock, valid, store)) = mocks.get_mut((round % count) as usize) else {
            continue;
        };
        let chosen = random.below(valid.len() as u64) as usize;
        let hostile = mutation::mutate(&valid[chosen], &mut random);
        let answer = respond(mock, &hostile, store, 1);
        if !mutation::is_harmless(&hostile, answer.status, &answer.body) {
            harmful += 1;
            eprintln!("{} {hostile:?}", answer.status);
        }
        if round == total / 2 {
            at_half = resident_kb();
        }
    }
    let growth = resident_kb() as f64 / at_half.max(1) as f64;
    println!(
        "\n{total} hostile requests: {harmful} errors of ours, 0 panics; memory at the end / at half {growth:.2}"
    );
    Ok(object([
        ("requests", Value::Int(i64::try_from(total)?)),
        ("errors", Value::Int(i64::try_from(harmful)?)),
        ("memory_end_to_half", Value::Float(growth)),
    ]))
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [mode, spec] if mode == "--load" => return load_once(Path::new(spec)),
        [mode, spec] if mode == "--serve" => return load::serve(spec),
        _ => {}
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut documents_read = Vec::new();
    let mut rows = Vec::new();
    println!(
        "| document | operations | valid | broken refused | no credentials refused | families | start ms | MB | + 1 000 tenants MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for path in documents(&root) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let bytes = std::fs::read(&path)?;
        let counts = measure(&bytes)?;
        if counts.operations == 0 {
            continue;
        }
        let (ms, mb, more) = start(&path)?;
        println!(
            "| {name} | {} | {}/{} | {}/{} | {}/{} | {}/{} | {ms:.1} | {mb:.1} | {more:.1} |",
            counts.operations,
            counts.good,
            counts.answers,
            counts.broken_refused,
            counts.broken,
            counts.bare_refused,
            counts.bare,
            counts.families_kept,
            counts.families
        );
        for problem in &counts.problems {
            eprintln!("  {name} {}", problem.chars().take(200).collect::<String>());
        }
        let number = |number: usize| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        rows.push(object([
            ("document", Value::from(name.as_str())),
            ("operations", number(counts.operations)),
            ("answers", number(counts.answers)),
            ("valid", number(counts.good)),
            ("broken", number(counts.broken)),
            ("broken_refused", number(counts.broken_refused)),
            ("without_credentials", number(counts.bare)),
            ("without_credentials_refused", number(counts.bare_refused)),
            ("families", number(counts.families)),
            ("families_kept", number(counts.families_kept)),
            ("start_ms", Value::Float(ms)),
            ("memory_mb", Value::Float(mb)),
            ("tenants_mb", Value::Float(more)),
        ]));
        documents_read.push((name, bytes));
    }
    let throughput = load::throughput(&root, &documents(&root))?;
    let total = std::env::var("PORTICO_BENCH_HOSTILE").ok();
    let total = total.and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let report = object([
        ("documents", Value::Array(rows)),
        ("throughput", throughput),
        ("hostile", hostile(&documents_read, total)?),
    ]);
    let folder = root.join("target/bench");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("mock.json"), format!("{report}\n"))?;
    Ok(())
}
