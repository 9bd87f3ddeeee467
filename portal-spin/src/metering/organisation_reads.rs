//! Usage over all apps of an organisation, for its analytics.

use std::collections::BTreeMap;

use super::spans::{Coarsest, Span};
use crate::database::{Connection, DatabaseError, Value};
use crate::params;

/// Which of an organisation's calls; empty text for all.
#[derive(Debug, Clone, Default)]
pub struct CallFilter {
    /// Whose.
    pub organisation_id: String,
    /// `test` or `live`.
    pub environment: String,
    /// The app.
    pub app_id: String,
    /// The operation.
    pub operation: String,
    /// The credential.
    pub credential_id: String,
}

/// Five parameters from `$1`, in the order of [`CallFilter::parameters`].
pub(super) const SCOPE: &str = "s.app_id IN (SELECT app_id FROM apps WHERE organisation_id = $1)
    AND s.is_call_count = 1 AND ($2 = '' OR s.environment = $2) AND ($3 = '' OR s.app_id = $3)
    AND ($4 = '' OR s.operation = $4) AND ($5 = '' OR s.credential_id = $5)";

impl CallFilter {
    pub(super) fn parameters(&self) -> Vec<Value> {
        params![
            &self.organisation_id,
            &self.environment,
            &self.app_id,
            &self.operation,
            &self.credential_id,
        ]
    }
}

/// Calls of one kind at one point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSum {
    /// The point's first minute.
    pub minute: i64,
    /// The app.
    pub app_id: String,
    /// `test` or `live`.
    pub environment: String,
    /// The credential.
    pub credential_id: String,
    /// The operation; empty where none matched.
    pub operation: String,
    /// The outcome.
    pub outcome: String,
    /// How many.
    pub calls: i64,
    /// Bytes of bodies, both ways.
    pub bytes: i64,
}

/// Calls in a span of minutes, by points of so many minutes.
pub async fn list_calls(
    connection: &Connection,
    filter: &CallFilter,
    minutes: std::ops::Range<i64>,
    width: i64,
) -> Result<Vec<CallSum>, DatabaseError> {
    let rows = Span {
        select: &format!(
            "c.minute / {width}, c.app_id, c.environment, c.credential_id, c.operation, c.outcome,
             CAST(SUM(c.count) AS BIGINT), CAST(SUM(c.bytes) AS BIGINT)"
        ),
        scope: SCOPE,
        group: "GROUP BY 1, 2, 3, 4, 5, 6",
        scope_parameters: filter.parameters(),
        from: minutes.start,
        to: minutes.end,
        coarsest: match width {
            width if width % 1_440 == 0 => Coarsest::Day,
            width if width % 60 == 0 => Coarsest::Hour,
            _ => Coarsest::Minute,
        },
    }
    .read(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(CallSum {
                minute: row.get::<i64>(0)? * width,
                app_id: row.get(1)?,
                environment: row.get(2)?,
                credential_id: row.get(3)?,
                operation: row.get(4)?,
                outcome: row.get(5)?,
                calls: row.get(6)?,
                bytes: row.get(7)?,
            })
        })
        .collect()
}

/// The calls let through in the busiest minute of each subscription and environment, since this minute.
pub async fn busiest_minutes(
    connection: &Connection,
    organisation_id: &str,
    since: i64,
) -> Result<BTreeMap<(String, String), i64>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT b.subscription_id, b.environment, CAST(MAX(b.calls) AS BIGINT) FROM (
                SELECT s.subscription_id, s.environment, c.minute, SUM(c.count) AS calls
                FROM usage_series s JOIN usage_cells c ON c.series = s.series
                WHERE s.app_id IN (SELECT app_id FROM apps WHERE organisation_id = $1)
                    AND s.is_call_count = 1 AND c.minute >= $2
                    AND s.outcome IN ('1xx', '2xx', '3xx', '4xx', '5xx', 'aborted')
                GROUP BY s.subscription_id, s.environment, c.minute) b
             GROUP BY b.subscription_id, b.environment",
            params![organisation_id, since],
        )
        .await?;
    rows.iter()
        .map(|row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))
        .collect()
}

/// A line of the request log of any of the organisation's apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledRequest {
    /// When the call ended.
    pub at_ms: i64,
    /// `x-request-id`.
    pub request_id: String,
    /// The app.
    pub app_id: String,
    /// `test` or `live`.
    pub environment: String,
    /// The operation; empty where none matched.
    pub operation: String,
    /// The HTTP method.
    pub method: String,
    /// The status sent; 0 when the client gave up.
    pub status: i64,
    /// The refusal's code; empty where the gateway did not refuse.
    pub code: String,
    /// Microseconds from first byte in to last byte out.
    pub latency_us: i64,
}

/// The newest lines of the request log: of a status class (`4xx`), of refusals (`refused`), of one
/// refusal's code, or all.
pub async fn list_sampled_requests(
    connection: &Connection,
    filter: &CallFilter,
    kind: &str,
    limit: i64,
) -> Result<Vec<SampledRequest>, DatabaseError> {
    let (lowest, highest, code) = match kind {
        "" => (0_i64, 999_i64, ""),
        "refused" => (0, 999, "%"),
        "2xx" => (200, 299, ""),
        "3xx" => (300, 399, ""),
        "4xx" => (400, 499, ""),
        "5xx" => (500, 599, ""),
        code => (0, 999, code),
    };
    let mut parameters = filter.parameters();
    parameters.extend(params![lowest, highest, code, limit]);
    let rows = connection
        .query(
            "SELECT s.at_ms, s.request_id, s.app_id, s.environment, s.operation, s.method, s.status,
                s.code, s.latency_us
             FROM request_samples s
             WHERE s.app_id IN (SELECT app_id FROM apps WHERE organisation_id = $1)
                AND ($2 = '' OR s.environment = $2) AND ($3 = '' OR s.app_id = $3)
                AND ($4 = '' OR s.operation = $4) AND ($5 = '' OR s.credential_id = $5)
                AND s.status >= $6 AND s.status <= $7
                AND ($8 = '' OR ($8 = '%' AND s.code <> '') OR s.code = $8)
             ORDER BY s.at_ms DESC, s.request_id DESC LIMIT $9",
            parameters,
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(SampledRequest {
                at_ms: row.get(0)?,
                request_id: row.get(1)?,
                app_id: row.get(2)?,
                environment: row.get(3)?,
                operation: row.get(4)?,
                method: row.get(5)?,
                status: row.get(6)?,
                code: row.get(7)?,
                latency_us: row.get(8)?,
            })
        })
        .collect()
}
