//! `cargo xtask bench portal`: how long a partner waits, on the real components.
//!
//! Measures the journey from registration to the first 2xx, many registrations at once, keys from issue to
//! accepted and from revocation to refused, what a page costs against a static answer, how long an
//! instance takes to its first byte, and the main pages and API calls before and after ten thousand
//! organisations have joined. One stack on this machine runs it all, so the numbers hold for one machine
//! with everything on it. Screens, clicks and mails of the journey are counted by the browser's test,
//! `tests/e2e/journeys.rs`.
//! `PORTICO_BENCH_RUNS` scales the runs in percent; `PORTICO_BENCH_PARTS=keys,pages` runs these alone
//! (`journeys`, `together`, `keys`, `log-in`, `cost`, `cold`, `pages`).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tests::actors::{ApiClient, Partner, Visitor};
use tests::ports::free_port;
use tests::process::Process;
use tests::stack::{Stack, portico, repository};
use tests::{database, wait};
use tokio::task::{JoinSet, LocalSet};

/// One measured number, beside the bar that it must stay under.
struct Line {
    name: String,
    unit: &'static str,
    median: f64,
    p95: f64,
    p99: f64,
    runs: usize,
    bar: String,
    is_met: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let stack = Stack::start().await?;
    let load_before = load();
    let mut lines = Vec::new();
    if is_wanted("journeys") {
        lines.push(journeys(&stack, runs(200)).await?);
    }
    if is_wanted("together") {
        lines.push(registrations_at_once(&stack, runs(100)).await?);
    }
    if is_wanted("keys") {
        lines.extend(key_cycles(&stack, runs(1_000)).await?);
    }
    if is_wanted("log-in") {
        lines.extend(log_ins(&stack, runs(100)).await?);
    }
    if is_wanted("cost") {
        lines.push(page_cost(&stack, runs(1_000)).await?);
    }
    if is_wanted("cold") {
        lines.extend(cold_starts(&stack, runs(100)).await?);
    }
    if is_wanted("pages") {
        lines.extend(pages(&stack, runs(200), "few partners", f64::INFINITY).await?);
        let grown = grow(&stack)?;
        println!("{grown} rows of organisations, people, members, apps and credentials added");
        lines.extend(pages(&stack, runs(200), "10 000 partners", 150.0).await?);
    }
    print(&lines);
    println!(
        "load of the machine: {load_before} before, {} after",
        load()
    );
    write(&lines)
}

/// Whether this part is to run.
fn is_wanted(part: &str) -> bool {
    std::env::var("PORTICO_BENCH_PARTS").map_or(true, |wanted| {
        wanted.split(',').any(|wanted| wanted.trim() == part)
    })
}

/// The load averages, where the system tells them: a measurement on a busy machine measures its neighbours.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = text.split_whitespace().take(3).collect();
    averages.join(" ")
}

/// The number of runs, scaled.
fn runs(full: usize) -> usize {
    let percent = std::env::var("PORTICO_BENCH_RUNS")
        .ok()
        .and_then(|text| text.parse::<usize>().ok())
        .unwrap_or(100);
    (full * percent / 100).max(1)
}

/// Register, verify, create an app, issue a key, first 2xx: the machine's part of it.
async fn journeys(stack: &Stack, runs: usize) -> Result<Line> {
    let mut took = Vec::with_capacity(runs);
    for _ in 0..runs {
        let began = Instant::now();
        let partner = Visitor::new(stack.endpoints()).become_partner().await?;
        let app = partner.create_app("Bench").await?;
        let (_, key) = issue(&partner, &app).await?;
        let client = ApiClient::new(stack.endpoints(), Some(&key));
        let status = client.status_of("/v1/orders").await?;
        ensure!(status == 200, "the first call answered {status}");
        took.push(began.elapsed().as_secs_f64());
    }
    Ok(line(
        "register to first 2xx",
        "s",
        took,
        "p95 at most 10 s",
        |line| line.p95 <= 10.0,
    ))
}

/// Everybody registers in the same moment; every one of them must become a partner.
async fn registrations_at_once(stack: &Stack, runs: usize) -> Result<Line> {
    let everybody = LocalSet::new();
    let took = everybody
        .run_until(async {
            let mut tasks = JoinSet::new();
            for _ in 0..runs {
                let visitor = Visitor::new(stack.endpoints());
                tasks.spawn_local(async move {
                    let began = Instant::now();
                    visitor.become_partner().await?;
                    Ok::<f64, anyhow::Error>(began.elapsed().as_secs_f64())
                });
            }
            let mut took = Vec::with_capacity(runs);
            while let Some(one) = tasks.join_next().await {
                took.push(one?.context("a registration was lost")?);
            }
            Ok::<_, anyhow::Error>(took)
        })
        .await?;
    ensure!(took.len() == runs);
    Ok(line(
        "registrations at once, none lost",
        "s",
        took,
        "none lost",
        |_| true,
    ))
}

async fn issue(partner: &Partner, app: &str) -> Result<(String, String)> {
    let path = format!("/api/v1/apps/{app}/credentials?wait=active");
    let body = json!({ "environment": "test" });
    let issued = partner.call(Method::POST, &path, Some(&body)).await?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
    ensure!(
        issued["credential"]["state"] == "active",
        "a key did not become active: {}",
        issued["credential"]
    );
    Ok((text(&issued["credential"]["id"])?, text(&issued["key"])?))
}

/// Issue until the gateway accepts, revoke until it refuses; a key that is shown as active and refused
/// ends the benchmark.
async fn key_cycles(stack: &Stack, runs: usize) -> Result<Vec<Line>> {
    let partner = Visitor::new(stack.endpoints()).become_partner().await?;
    let app = partner.create_app("Cycles").await?;
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let began = Instant::now();
        let (id, key) = issue(&partner, &app).await?;
        let client = ApiClient::new(stack.endpoints(), Some(&key));
        // A rate limit is an answer to an accepted key.
        let status = client.status_of("/v1/orders").await?;
        ensure!(
            matches!(status, 200 | 429),
            "a key shown as active was answered {status}"
        );
        accepted.push(began.elapsed().as_secs_f64());
        let path = format!("/api/v1/apps/{app}/credentials/{id}");
        let began = Instant::now();
        partner.call(Method::DELETE, &path, None).await?;
        wait::eventually(
            "the gateway to refuse",
            Duration::from_secs(10),
            async || {
                let status = client.status_of("/v1/orders").await.ok()?;
                (status == 401).then_some(())
            },
        )
        .await?;
        refused.push(began.elapsed().as_secs_f64());
    }
    Ok(vec![
        line(
            "issue to accepted",
            "s",
            accepted,
            "p99 at most 1 s",
            |line| line.p99 <= 1.0,
        ),
        line(
            "revoke to refused",
            "s",
            refused,
            "p99 at most 1 s",
            |line| line.p99 <= 1.0,
        ),
    ])
}

/// What argon2id costs in Wasm, and whether the time of an answer tells who has an account: log-ins that
/// fail, in turns with an address that has one and an address that has none. Each pair is one run.
async fn log_ins(stack: &Stack, runs: usize) -> Result<Vec<Line>> {
    let client = Client::new();
    let address = format!("{}/api/v1/sessions", stack.endpoints().portal);
    let timed = async |email: &str| {
        let body = json!({ "email": email, "password": "not the password of anyone" });
        let began = Instant::now();
        let answer = client.post(&address).json(&body).send().await?;
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        ensure!(answer.status() == 401, "a log-in: {}", answer.status());
        Ok::<f64, anyhow::Error>(took)
    };
    let (mut known, mut unknown, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        // One account is asked for a few times only: more is throttled, as it should be.
        let partner = Visitor::new(stack.endpoints()).become_partner().await?;
        let (with, without) = (
            timed(&partner.email).await?,
            timed(&format!("nobody{run}@example.net")).await?,
        );
        known.push(with);
        unknown.push(without);
        ratios.push(with / without);
    }
    Ok(vec![
        line(
            "failed log-in, the address has an account",
            "ms",
            known,
            "none",
            |_| true,
        ),
        line("failed log-in, it has none", "ms", unknown, "none", |_| {
            true
        }),
        line(
            "the first to the second, in pairs",
            "×",
            ratios,
            "median within 5 % of 1",
            |line| (line.median - 1.0).abs() <= 0.05,
        ),
    ])
}

/// Adds 10 000 organisations with an owner, an app and ten test keys each: rows as registration and the
/// API write them, without the feed to the edges, which no page reads.
fn grow(stack: &Stack) -> Result<i64> {
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)";
    // An id of the demo programme with another end is an id.
    let id = |column: &str, table: &str| {
        format!(
            "(SELECT substr({column}, 1, length({column}) - 6) FROM {table} ORDER BY {column} LIMIT 1)
                || printf('%06d', i)"
        )
    };
    let (organisation, person) = (
        id("organisation_id", "organisations"),
        id("person_id", "people"),
    );
    let (member, app) = (id("member_id", "members"), id("app_id", "apps"));
    let key = id("credential_id", "credentials");
    let statements = [
        format!(
            "INSERT INTO organisations (organisation_id, name, partner_type, tier, source, created_at)
             {numbers} SELECT {organisation}, 'Partner ' || i, o.partner_type, o.tier, '', o.created_at + i
             FROM n, (SELECT * FROM organisations LIMIT 1) o"
        ),
        format!(
            "INSERT INTO people (person_id, email, name, password_hash, created_at)
             {numbers} SELECT {person}, 'owner' || i || '@example.net', 'Owner ' || i, '', i FROM n"
        ),
        format!(
            "INSERT INTO members (member_id, organisation_id, person_id, role, created_at)
             {numbers} SELECT {member}, {organisation}, {person}, 'owner', i FROM n"
        ),
        format!(
            "INSERT INTO apps (app_id, organisation_id, name, description, created_at_ms)
             {numbers} SELECT {app}, {organisation}, 'App ' || i, '', i FROM n"
        ),
        format!(
            "INSERT INTO credentials (credential_id, app_id, environment, name, prefix, last_four, hash,
                addresses, created_at_ms, created_by, issued_position)
             {} SELECT {key}, (SELECT substr(app_id, 1, length(app_id) - 6) FROM apps ORDER BY app_id LIMIT 1)
                || printf('%06d', 1 + (i - 1) / 10), 'test', 'key', 'pk_test_', 'abcd', randomblob(32),
                '[]', i, 'bench', 1 FROM n",
            numbers.replace("10000", "100000")
        ),
    ];
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    database::change(stack, &statements)
}

/// How long the main pages and API calls take, one after the other on a kept connection.
async fn pages(stack: &Stack, runs: usize, scale: &str, most_ms: f64) -> Result<Vec<Line>> {
    let demo = stack.demo()?;
    let id = |name: &str| demo[name].as_str().unwrap_or_default().to_owned();
    let (organisation, app) = (id("organisation_id"), id("app_id"));
    let places = [
        ("", "/products".to_owned()),
        ("", "/log-in".to_owned()),
        ("partner", format!("/organisations/{organisation}")),
        ("partner", format!("/organisations/{organisation}/apps")),
        ("partner", format!("/apps/{app}")),
        ("partner", format!("/apps/{app}/credentials")),
        ("partner", format!("/apps/{app}/usage")),
        (
            "partner",
            format!("/api/v1/organisations/{organisation}/apps"),
        ),
        ("partner", format!("/api/v1/apps/{app}/credentials")),
        ("operator", "/operator".to_owned()),
        ("operator", "/operator/requests".to_owned()),
        ("operator", "/operator/submissions".to_owned()),
        ("operator", "/operator/threads".to_owned()),
        ("operator", "/operator/partners".to_owned()),
        ("operator", "/api/v1/operator/organisations".to_owned()),
    ];
    let mut lines = Vec::new();
    for (who, path) in places {
        let token = if who.is_empty() {
            String::new()
        } else {
            Partner::log_in(stack.endpoints(), &demo[who]).await?.token
        };
        let client = Client::new();
        let address = format!("{}{path}", stack.endpoints().portal);
        let mut took = Vec::with_capacity(runs);
        for _ in 0..runs {
            let began = Instant::now();
            let mut request = client.get(&address);
            if !token.is_empty() {
                request = request.bearer_auth(&token);
            }
            let answer = request.send().await?;
            ensure!(answer.status() == 200, "{path}: {}", answer.status());
            answer.bytes().await?;
            took.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        let name = path.replace(&organisation, "{id}").replace(&app, "{id}");
        let bar = if most_ms.is_finite() {
            format!("p95 at most {most_ms} ms")
        } else {
            "none".to_owned()
        };
        lines.push(line(
            &format!("{name}, {scale}"),
            "ms",
            took,
            &bar,
            |line| line.p95 <= most_ms,
        ));
    }
    Ok(lines)
}

/// The first answer of a new instance, and the next of the same one. An instance that is idle for a second
/// is dropped, but the gateway's reports and the ticks keep the stack's awake; so this is a runner of its
/// own, with a new database. The time is the client's, on a kept connection, so what HTTP takes is in it.
/// One answer has nothing of the database in it, one is behind the check of its schema.
async fn cold_starts(stack: &Stack, runs: usize) -> Result<Vec<Line>> {
    let folder = stack.data().path().join("cold");
    std::fs::create_dir_all(&folder)?;
    std::os::unix::fs::symlink(stack.data().path().join("cache"), folder.join("cache"))?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let mut command = portico()?;
    command.args(["run", "--listen", &listen, "--data-dir"]);
    command.arg(&folder);
    for secret in ["edge_secret", "key_pepper", "tick_secret", "signing_seed"] {
        let value = format!("SPIN_VARIABLE_{}", secret.to_uppercase());
        command.env(value, "5eed".repeat(16));
    }
    let mut runner = Process::start("portico run", &mut command)?;
    let serving = format!("Serving http://{listen}");
    runner
        .wait_for_line(&serving, Duration::from_secs(120))
        .await?;
    let client = Client::new();
    let mut lines = Vec::new();
    for (path, status) in [("/api/v1/nothing", 404), ("/api/v1/review-rules", 200)] {
        let address = format!("http://{listen}{path}");
        let timed = async || {
            let began = Instant::now();
            let answer = client.get(&address).send().await?;
            let took = began.elapsed().as_secs_f64() * 1_000.0;
            ensure!(answer.status() == status, "{address}: {}", answer.status());
            answer.bytes().await?;
            Ok::<f64, anyhow::Error>(took)
        };
        // The very first makes the database's schema.
        timed().await?;
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            tokio::time::sleep(Duration::from_millis(1_300)).await;
            cold.push(timed().await?);
            warm.push(timed().await?);
        }
        lines.push(line(
            &format!("new instance to first byte, {path}"),
            "ms",
            cold,
            "median below 5 ms",
            |line| line.median < 5.0,
        ));
        lines.push(line(
            &format!("the same instance again, {path}"),
            "ms",
            warm,
            "none",
            |_| true,
        ));
    }
    runner.stop(Duration::from_secs(20))?;
    Ok(lines)
}

/// CPU time of the portal's process for a page of the database, against an asset of the same component.
async fn page_cost(stack: &Stack, runs: usize) -> Result<Line> {
    let portal = &stack.endpoints().portal;
    let client = Client::new();
    let home = client
        .get(format!("{portal}/log-in"))
        .send()
        .await?
        .text()
        .await?;
    let at = home.find("/assets/").context("the page names no asset")?;
    let asset = home
        .get(at..)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_default();
    let pid = portal_process(portal)?;
    let mut ratios = Vec::new();
    // In turns, so that whatever else the machine does hits both alike.
    for _ in 0..5 {
        let mut spent = [0.0; 2];
        for (path, spent) in ["/products", asset].iter().zip(&mut spent) {
            let before = cpu_secs(pid)?;
            for _ in 0..(runs / 5).max(1) {
                let answer = client.get(format!("{portal}{path}")).send().await?;
                ensure!(answer.status() == 200, "{path}: {}", answer.status());
                answer.bytes().await?;
            }
            *spent = cpu_secs(pid)? - before;
        }
        ratios.push(spent[0] / spent[1].max(0.01));
    }
    Ok(line(
        "CPU of a page / of a static answer",
        "×",
        ratios,
        "median at most 3",
        |line| line.median <= 3.0,
    ))
}

/// The process that serves the portal: the one told to listen there, a child of the supervisor.
fn portal_process(portal: &str) -> Result<u32> {
    let listen = portal.trim_start_matches("http://");
    for process in std::fs::read_dir("/proc")?.flatten() {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let is_it = line
            .split(|byte| *byte == 0)
            .any(|argument| argument == listen.as_bytes());
        if is_it && let Ok(id) = process.file_name().to_string_lossy().parse() {
            return Ok(id);
        }
    }
    anyhow::bail!("no process listens at {listen}")
}

/// User and system time of a process in seconds, from /proc; 100 ticks a second on every Linux.
fn cpu_secs(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .context("CPU time is read from /proc, which only Linux has")?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = |index: usize| -> f64 {
        let text = after_name.split_whitespace().nth(index);
        text.and_then(|text| text.parse().ok()).unwrap_or(0.0)
    };
    Ok((field(11) + field(12)) / 100.0)
}

fn line(
    name: &str,
    unit: &'static str,
    mut values: Vec<f64>,
    bar: &str,
    is_met: impl Fn(&Line) -> bool,
) -> Line {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len());
        values.get(index - 1).copied().unwrap_or(0.0)
    };
    let mut line = Line {
        name: name.to_owned(),
        unit,
        median: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        runs: values.len(),
        bar: bar.to_owned(),
        is_met: false,
    };
    line.is_met = is_met(&line);
    line
}

fn print(lines: &[Line]) {
    println!(
        "{:<64} {:>10} {:>10} {:>10} {:>6}  bar",
        "", "median", "p95", "p99", "runs"
    );
    for line in lines {
        let verdict = if line.is_met { "met" } else { "NOT MET" };
        println!(
            "{:<64} {:>7.3} {:<2} {:>7.3} {:<2} {:>7.3} {:<2} {:>6}  {}: {verdict}",
            line.name,
            line.median,
            line.unit,
            line.p95,
            line.unit,
            line.p99,
            line.unit,
            line.runs,
            line.bar
        );
    }
}

fn write(lines: &[Line]) -> Result<()> {
    let rows: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "name": line.name, "unit": line.unit, "median": line.median, "p95": line.p95,
                "p99": line.p99, "runs": line.runs, "bar": line.bar, "met": line.is_met,
            })
        })
        .collect();
    let folder = repository().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(
        folder.join("portal.json"),
        serde_json::to_string_pretty(&rows)?,
    )?;
    Ok(())
}
