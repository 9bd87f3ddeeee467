//! The end of a day of the story: the gateway's report, and what the tick does.

use std::collections::HashMap;

use serde_json::{Value as Json, json};
use shared::credential::Environment;
use shared::ids::{EdgeBootId, MeterId};
use shared::usage::{Cell, EdgeDescription, Report, RequestSample, latency_bucket};

use super::super::programme::PRODUCT;
use super::stage::{Known, Stage};
use super::stories::{DAY_MS, Span, Story};
use super::traffic::{self, Calls, Day};
use crate::catalogue;
use crate::edges;
use crate::params;
use crate::web::Failure;
use crate::{agreements, analytics, billing, metering, partners, reviews, subscriptions};

/// Operations that partners of the story call.
const OPERATIONS: [&str; 6] = [
    "listOrders",
    "getOrder",
    "listProducts",
    "createOrder",
    "listCustomers",
    "getCustomer",
];
/// Samples reach back as far as the request log does.
const SAMPLED_DAYS: i64 = 3;

/// The gateway's report of a day, as it came in at its end.
pub async fn report(
    stage: &mut Stage,
    stories: &[Story],
    span: Span,
    day: i64,
) -> Result<(), Failure> {
    let end_ms = (day + 1) * DAY_MS;
    stage.go_to(end_ms);
    let connection = &stage.context.connection;
    let Some(product) = catalogue::find_product_by_slug(connection, PRODUCT).await? else {
        return Err(Failure::not_found());
    };
    let meter = catalogue::find_quota_meter(connection, product.id).await?;
    let known: HashMap<String, Known> = stage
        .list_known(None)
        .await?
        .into_iter()
        .map(|known| (known.email.clone(), known))
        .collect();
    let mut cells = Vec::new();
    let mut requests = Vec::new();
    for story in stories {
        let Some(known) = known.get(&story.email) else {
            continue;
        };
        let mut count = |environment, calls: Vec<Calls>| {
            for one in &calls {
                if let Some(cell) = cell(story, known, meter, environment, one) {
                    if day > span.last_day - SAMPLED_DAYS {
                        requests.extend(sample(&cell, environment, known));
                    }
                    cells.push(cell);
                }
            }
        };
        let of = |from_ms| Day {
            day,
            span,
            from_ms,
            period_from: period_from(day),
        };
        let live = known
            .live_from_ms
            .filter(|from| *from < end_ms && known.key(Environment::Live).is_some());
        let has_ended = known.ended_at_ms.is_some_and(|at| at < end_ms);
        if let Some(from) = story.demand.test_from_ms.filter(|from| *from < end_ms)
            && !has_ended
        {
            count(
                Environment::Test,
                traffic::test_calls(story, of(from), live.is_some()),
            );
        }
        if let Some(from) = live
            && !has_ended
            && !known.is_stopped
        {
            count(Environment::Live, traffic::live_calls(story, of(from)));
        }
    }
    let boot = EdgeBootId::new((span.first_day * DAY_MS).unsigned_abs(), b"demo-story");
    // What the gateway's page shows in the end; on the way nobody looks.
    let decided = if day == span.last_day {
        let new: u64 = cells.iter().map(|cell| cell.count).sum();
        let known = metering::counted_calls(connection, &boot.to_string()).await?;
        new + known.unsigned_abs()
    } else {
        0
    };
    let started_at_ms = (span.first_day * DAY_MS).unsigned_abs();
    let report = Report {
        edge: EdgeDescription {
            boot,
            name: "demo-story".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at_ms,
        },
        sequence: (day - span.first_day + 1).unsigned_abs(),
        sent_at_ms: end_ms.unsigned_abs(),
        applied_position: 0,
        decided,
        // Every one could be its last: this edge is never thought to be alive, or missed.
        ended: true,
        cells,
        requests,
        leases: Vec::new(),
        shares: Vec::new(),
    };
    Ok(edges::accept_told_report(connection, &report, end_ms).await?)
}

/// The first day of the billing period: a calendar month.
fn period_from(day: i64) -> i64 {
    let date = jiff::Timestamp::from_millisecond(day * DAY_MS)
        .map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).day());
    day + 1 - date.map_or(1, i64::from)
}

fn cell(
    story: &Story,
    known: &Known,
    meter: Option<MeterId>,
    environment: Environment,
    calls: &Calls,
) -> Option<Cell> {
    // The sandbox is called with what listings ask for; live operations differ by partner.
    let shift = if environment == Environment::Live {
        story.number.unsigned_abs()
    } else {
        0
    };
    let place = (calls.operation + usize::try_from(shift).unwrap_or(0) * 2) % OPERATIONS.len();
    let count = calls.count.unsigned_abs();
    let is_answered = !matches!(calls.outcome, "rate_limited" | "quota_exceeded");
    // Five places of the histogram around what the operation usually takes.
    let usual = latency_bucket(11_000 + 9_000 * u64::try_from(place).unwrap_or(0));
    let mut left = count;
    let mut latency = Vec::new();
    for (step, share) in (0_usize..).zip([8, 47, 31, 11, 3]) {
        let calls = if step == 1 { 0 } else { count * share / 100 };
        left -= calls;
        latency.push((usual + step, calls));
    }
    if let Some(most) = latency.get_mut(1) {
        most.1 = left;
    }
    let quick = latency_bucket(400);
    Some(Cell {
        slot: 0,
        credential: Some(known.key(environment)?),
        subscription: known.subscription_id,
        installation: None,
        meter,
        operation: OPERATIONS
            .get(place)
            .copied()
            .unwrap_or_default()
            .to_owned(),
        outcome: calls.outcome.to_owned(),
        minute: calls.minute.unsigned_abs(),
        count,
        units: count,
        bytes_in: count * 180,
        bytes_out: if is_answered {
            count * 2_400
        } else {
            count * 310
        },
        latency: if is_answered {
            latency
                .into_iter()
                .filter(|(_, calls)| *calls > 0)
                .filter_map(|(bucket, calls)| Some((u8::try_from(bucket).ok()?, calls)))
                .collect()
        } else {
            vec![(u8::try_from(quick).unwrap_or(0), count)]
        },
    })
}

/// A line of the request log for some of the calls: every refusal and failure, few of the others.
fn sample(cell: &Cell, environment: Environment, known: &Known) -> Option<RequestSample> {
    let (status, code) = match cell.outcome.as_str() {
        "2xx" if cell.minute.is_multiple_of(5) => (200, None),
        "2xx" => return None,
        "4xx" => (404, None),
        "5xx" => (502, None),
        refusal => (429, Some(refusal.to_owned())),
    };
    let number = cell.minute * 64 + u64::try_from(cell.operation.len()).unwrap_or(0);
    let place = known
        .organisation_id
        .as_bytes()
        .iter()
        .fold(0_u64, |sum, byte| sum * 31 % 9_973 + u64::from(*byte));
    Some(RequestSample {
        at_ms: cell.minute * 60_000 + place * 5 % 60_000,
        request_id: format!("demo-{}-{number:x}-{place:x}", environment.as_str()),
        credential: cell.credential,
        installation: None,
        operation: cell.operation.clone(),
        method: if cell.operation.starts_with("create") {
            "POST"
        } else {
            "GET"
        }
        .to_owned(),
        status,
        code,
        latency_us: if status == 429 {
            380
        } else {
            14_000 + place * 3
        },
    })
}

/// What the programme costs, noted by finance once.
pub async fn note_costs(stage: &mut Stage, first_day: i64) -> Result<(), Failure> {
    stage.go_to(first_day * DAY_MS);
    stage.as_operator().await?;
    let path = "/api/v1/operator/programme-costs";
    let known = stage.send("GET", path, &Json::Null).await?;
    if known.pointer("/items/0").is_some() {
        return Ok(());
    }
    let month = |day: i64| -> String {
        let text = crate::encoding::rfc3339(day * DAY_MS);
        text.get(..7).unwrap_or_default().to_owned()
    };
    let (first, fair) = (month(first_day), month(first_day + 150));
    for body in [
        json!({ "label": "Partner manager, a day a week", "amount": "980", "currency": "USD", "from": first }),
        json!({ "label": "Gateway and servers", "amount": "140", "currency": "USD", "from": first }),
        json!({ "label": "Stand at a conference", "amount": "1600", "currency": "USD", "from": fair, "to": fair }),
    ] {
        stage.send("POST", path, &body).await?;
    }
    Ok(())
}

/// What the tick does at a day's end, and the partners' payments.
pub async fn run_jobs(stage: &mut Stage, stories: &[Story], day: i64) -> Result<(), Failure> {
    stage.go_to((day + 1) * DAY_MS);
    stage.as_nobody();
    let context = &stage.context;
    reviews::apply_deadlines(context).await?;
    subscriptions::extend_periods(context).await?;
    subscriptions::apply_due_changes(context).await?;
    billing::run_billing(context).await?;
    pay(stage, stories).await?;
    billing::run_dunning(&stage.context).await?;
    if day.rem_euclid(7) == 0 {
        agreements::publishing::send_reminders(&stage.context).await?;
        while roll_up(stage).await? {}
        billing::send_alerts(&stage.context).await?;
        partners::run_due(&stage.context).await?;
    }
    Ok(())
}

/// Rolls usage up and sums it; answers whether there was anything to do.
pub async fn roll_up(stage: &Stage) -> Result<bool, Failure> {
    let context = &stage.context;
    let hours = metering::roll_up(&context.connection, context.now_ms).await?;
    let days = analytics::refresh(context).await?;
    Ok(hours + days > 0)
}

/// Partners pay when their story says so. Nobody of the staff has a hand in it: as with a provider.
async fn pay(stage: &mut Stage, stories: &[Story]) -> Result<(), Failure> {
    let now_ms = stage.context.now_ms;
    let rows = stage
        .context
        .connection
        .query(
            "SELECT i.invoice_id, i.number, i.issued_at_ms, p.email FROM invoices i
             JOIN members m ON m.organisation_id = i.organisation_id
             JOIN people p ON p.person_id = m.person_id
             WHERE i.kind = 'invoice' AND i.paid_at_ms IS NULL AND i.voided_at_ms IS NULL
                AND i.uncollectible_at_ms IS NULL AND p.email LIKE 'hello@%.example'
             ORDER BY i.number",
            params![],
        )
        .await?;
    for row in rows {
        let (invoice_id, number): (String, String) = (row.get(0)?, row.get(1)?);
        let (issued_at_ms, email): (i64, String) = (row.get(2)?, row.get(3)?);
        let pays = stories
            .iter()
            .find(|story| story.email == email)
            .and_then(|story| story.pays_after_days)
            .is_some_and(|days| issued_at_ms + days * DAY_MS <= now_ms);
        if pays {
            let path = format!("/api/v1/operator/invoices/{invoice_id}/payments");
            stage
                .send(
                    "POST",
                    &path,
                    &json!({ "reference": format!("Transfer {number}") }),
                )
                .await?;
        }
    }
    Ok(())
}
