//! A report, merged in one transaction: usage, samples, progress, leases, shares.

use shared::usage::{Report, ReportAnswer};

use super::{boots, feed, leases, shares};
use crate::database::{Connection, DatabaseError};
use crate::{credentials, metering};

/// Stores a report that was told, not sent: it has no leases, and says nothing about who is alive.
pub async fn accept_told_report(
    connection: &Connection,
    report: &Report,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    connection
        .transaction(async || {
            metering::merge_cells(connection, report.edge.boot, &report.cells).await?;
            metering::keep_samples(connection, &report.edge.name, &report.requests).await?;
            boots::record_report(connection, report, now_ms).await
        })
        .await
}

/// Stores a report and answers it. Any report may come again, late or out of order.
pub async fn accept_report(
    connection: &Connection,
    report: &Report,
    now_ms: i64,
) -> Result<ReportAnswer, DatabaseError> {
    connection
        .transaction(async || {
            metering::merge_cells(connection, report.edge.boot, &report.cells).await?;
            metering::keep_samples(connection, &report.edge.name, &report.requests).await?;
            boots::record_report(connection, report, now_ms).await?;
            let liveness = boots::liveness(connection, now_ms).await?;
            if liveness.edges > 0 {
                credentials::mark_applied(connection, liveness.applied_by_all, now_ms).await?;
            }
            let leases = leases::answer_requests(
                connection,
                report.edge.boot,
                &report.leases,
                liveness.edges,
                now_ms,
            )
            .await?;
            if report.ended {
                shares::forget_boot(connection, report.edge.boot).await?;
            }
            let shares = shares::answer_requests(
                connection,
                report.edge.boot,
                report.sequence,
                &report.shares,
                now_ms,
            )
            .await?;
            Ok(ReportAnswer {
                acknowledged: report.sequence,
                head: u64::try_from(feed::head(connection).await?).unwrap_or(0),
                now_ms: now_ms.unsigned_abs(),
                leases,
                shares,
            })
        })
        .await
}
