//! Usage out: hours that have settled, as CloudEvents 1.0 in batches, for OpenMeter or any other sink.
//!
//! An event says by how much an hour of a series grew since the sink was last told, and its id names what
//! it grew to: an event sent twice has the same id and source, so a sink that knows ids counts it once,
//! and cells that arrive late become an event of their own.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::context::Context;
use crate::database::{DatabaseError, Value as Parameter, placeholders};
use crate::encoding::{hex, rfc3339};
use crate::params;

const PER_BATCH: i64 = 500;
/// How long after an hour cells of it may still arrive.
const REACH_HOURS: i64 = 36 * 24;

struct Told {
    series: Vec<u8>,
    hour: i64,
    units: i64,
    count: i64,
}

/// Sends the next batch where a sink is set up. Answers how many events. Waits for the sink: call it
/// outside transactions, behind everything else.
pub async fn export_usage(context: &Context) -> Result<u64, DatabaseError> {
    let url = context.configuration().get("usage_events_url");
    if url.is_empty() {
        return Ok(0);
    }
    let rows = context
        .connection
        .query(
            "SELECT h.series, h.hour, h.units, h.count, COALESCE(e.units, 0), COALESCE(e.count, 0),
                a.organisation_id, s.app_id, s.subscription_id, s.meter_id, s.operation, s.outcome,
                s.environment, s.installation_id
             FROM usage_hours h JOIN usage_series s ON s.series = h.series
             JOIN apps a ON a.app_id = s.app_id
             LEFT JOIN usage_exported e ON e.series = h.series AND e.hour = h.hour
             WHERE h.hour >= $1 AND s.subscription_id <> ''
                AND (e.series IS NULL OR e.units < h.units OR e.count < h.count)
             ORDER BY h.hour, h.series LIMIT $2",
            params![context.now_ms / 3_600_000 - REACH_HOURS, PER_BATCH],
        )
        .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let source = format!("urn:portico:{}", context.configuration().public_url);
    let mut events: Vec<Value> = Vec::with_capacity(rows.len());
    let mut told = Vec::with_capacity(rows.len());
    for row in &rows {
        let one = Told {
            series: row.get(0)?,
            hour: row.get(1)?,
            units: row.get(2)?,
            count: row.get(3)?,
        };
        let (units, count): (i64, i64) = (row.get(4)?, row.get(5)?);
        let installation: String = row.get(13)?;
        events.push(json!({
            "specversion": "1.0",
            "id": format!("{}-{}-{}-{}", hex(&one.series), one.hour, one.count, one.units),
            "source": source,
            "type": "portico.usage",
            "subject": row.get::<String>(6)?,
            "time": rfc3339(one.hour * 3_600_000),
            "datacontenttype": "application/json",
            "data": {
                "app_id": row.get::<String>(7)?,
                "subscription_id": row.get::<String>(8)?,
                "meter_id": row.get::<String>(9)?,
                "operation": row.get::<String>(10)?,
                "outcome": row.get::<String>(11)?,
                "environment": row.get::<String>(12)?,
                "installation_id": Some(installation).filter(|id| !id.is_empty()),
                "units": one.units - units,
                "calls": one.count - count,
            },
        }));
        told.push(one);
    }
    if let Err(problem) = send(context, url, &events).await {
        // The sink may be away for a while: the next tick sends the same events.
        eprintln!("usage export: {problem}");
        return Ok(0);
    }
    let mut parameters: Vec<Parameter> = Vec::with_capacity(told.len() * 4);
    for one in &told {
        parameters.extend(params![
            one.series.as_slice(),
            one.hour,
            one.units,
            one.count
        ]);
    }
    let sql = format!(
        "INSERT INTO usage_exported (series, hour, units, count) VALUES {}
         ON CONFLICT (series, hour) DO UPDATE SET units = excluded.units, count = excluded.count",
        placeholders(told.len(), 4)
    );
    context.connection.execute(&sql, parameters).await?;
    Ok(told.len() as u64)
}

async fn send(context: &Context, url: &str, events: &[Value]) -> Result<(), String> {
    let body = serde_json::to_vec(events).map_err(|error| error.to_string())?;
    let mut request = http::Request::builder()
        .method(http::Method::POST)
        .uri(url)
        .header("content-type", "application/cloudevents-batch+json");
    let key = context.configuration().get("usage_events_key");
    if !key.is_empty() {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let request = request
        .body(Bytes::from(body))
        .map_err(|error| error.to_string())?;
    let answer = context.app.http.send(request).await?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(format!("the sink answered {}", answer.status()))
    }
}
