//! How long pages take: the whole request, from the router to the last byte.

use std::time::Instant;

use serde_json::{Value as Json, json};

use super::load::{app_of, organisation_of};
use super::log::Log;
use crate::testing::{PASSWORD, TestPortal};

const ROUNDS: usize = 12;
/// Spans that are asked for: the usual one, all, whole months and days, days alone.
const SPANS: [&str; 4] = [
    "",
    "from=2026-01-01&to=2027-12-31",
    "from=2026-11-09&to=2027-11-20",
    "from=2027-10-04&to=2027-10-31",
];

/// Milliseconds that this process has spent on a processor. Beside the time on the clock, it says what a
/// busy machine added; of PostgreSQL, whose server is another process, it says nothing.
fn processor_ms() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let nanos = threads.flatten().filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1_000_000.0
}

fn p95_of(mut took: Vec<f64>) -> f64 {
    took.sort_by(f64::total_cmp);
    let place = (took.len() * 95).div_ceil(100) - 1;
    (took[place] * 10.0).round() / 10.0
}

/// Of these pages, each asked for several times.
struct Timed {
    wall_ms: f64,
    processor_ms: f64,
    bytes: usize,
}

impl Timed {
    fn line(&self) -> Json {
        json!({ "p95_ms": self.wall_ms, "p95_processor_ms": self.processor_ms, "bytes": self.bytes })
    }
}

async fn p95(portal: &TestPortal, token: &str, paths: &[String]) -> Timed {
    let (mut took, mut worked, mut bytes) = (Vec::new(), Vec::new(), 0);
    for round in 0..=ROUNDS {
        for path in paths {
            let (started, before) = (Instant::now(), processor_ms());
            let answer = portal.page(path, token).await.expect(200);
            // The first round fills the caches of the database.
            if round > 0 {
                took.push(started.elapsed().as_secs_f64() * 1_000.0);
                worked.push(processor_ms() - before);
            }
            bytes = answer.body.len().max(bytes);
        }
    }
    Timed {
        wall_ms: p95_of(took),
        processor_ms: p95_of(worked),
        bytes,
    }
}

/// The partner with the most calls.
fn busiest(log: &Log) -> usize {
    let mut calls = vec![0; log.partners.len()];
    for call in &log.calls {
        calls[call.partner] += 1;
    }
    (0..calls.len())
        .max_by_key(|number| calls[*number])
        .unwrap()
}

pub async fn time(portal: &TestPortal, token: &str, log: &Log) -> Vec<(&'static str, Json)> {
    let number = busiest(log);
    let organisation = organisation_of(number);
    let mut operator = serde_json::Map::new();
    let mut slowest: f64 = 0.0;
    for entry in crate::analytics::pages::REPORTS {
        let spans = if entry.has_span {
            &SPANS[..]
        } else {
            &SPANS[..1]
        };
        let paths: Vec<String> = spans
            .iter()
            .map(|span| {
                format!(
                    "/operator/analytics/{}?organisation_id={organisation}&{span}",
                    entry.name
                )
            })
            .collect();
        let timed = p95(portal, token, &paths).await;
        slowest = slowest.max(timed.wall_ms);
        // One by one as they come: a run that is cut short has said something.
        println!("PAGE {} {}", entry.name, timed.line());
        operator.insert(entry.name.to_owned(), timed.line());
    }
    let timed = p95(portal, token, &["/operator".to_owned()]).await;
    println!("PAGE today {}", timed.line());
    slowest = slowest.max(timed.wall_ms);
    operator.insert("today".to_owned(), timed.line());
    let ada = portal.sign_up("ada@partner.example", "Ada").await;
    let context = portal.context().await;
    context
        .connection
        .execute(
            "INSERT INTO members (member_id, organisation_id, person_id, role, created_at) VALUES ($1, $2, $3, 'owner', 0)",
            crate::params![shared::ids::MemberId::from_bytes([7; 16]), &organisation, &ada.person_id],
        )
        .await
        .unwrap();
    let ada = portal.log_in("ada@partner.example", PASSWORD).await;
    let mut partner = serde_json::Map::new();
    let usage = |spans: &[&str]| -> Vec<String> {
        spans
            .iter()
            .map(|span| format!("/organisations/{organisation}/usage?{span}"))
            .collect()
    };
    let mut slowest_of_partner: f64 = 0.0;
    for (name, paths) in [
        ("home", vec![format!("/organisations/{organisation}")]),
        (
            "usage",
            usage(&[
                "",
                "from=2027-10-01&to=2027-12-31",
                "from=2027-12-29&to=2027-12-31",
                "environment=live",
                "from=2027-12-31&to=2027-12-31&by=minute",
            ]),
        ),
        (
            "usage of two years",
            usage(&["from=2026-01-01&to=2027-12-31"]),
        ),
        (
            "installs",
            vec![format!("/apps/{}/installs", app_of(number))],
        ),
    ] {
        let timed = p95(portal, &ada, &paths).await;
        slowest_of_partner = slowest_of_partner.max(timed.wall_ms);
        println!("PAGE {name} {}", timed.line());
        partner.insert(name.to_owned(), timed.line());
    }
    vec![
        ("operator_pages", Json::Object(operator)),
        ("operator_slowest_p95_ms", json!(slowest)),
        ("operator_goal_ms", json!(300)),
        ("partner_pages", Json::Object(partner)),
        ("partner_slowest_p95_ms", json!(slowest_of_partner)),
        ("partner_goal_ms", json!(100)),
    ]
}
