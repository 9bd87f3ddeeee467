//! `/api/v1/operator/usage/…`: hours and days compared with their minutes, and made anew.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::rollups::{self, RollupMismatch};
use crate::audit;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::routes::Outcome;
use crate::web::{Response, response};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How far back a check reaches: as far as an edge may be away, and the period before.
const REACH_DAYS: i64 = 70;

/// What a check found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RollupCheckView {
    /// Edge boots that were looked at.
    pub boots: u64,
    /// Where hours or days differ from what they were summed from. Reads use the minutes there, and the
    /// next tick sums them anew.
    pub mismatches: Vec<RollupMismatch>,
}

/// `GET …/rollup-checks`
pub async fn check_rollups(context: &Context) -> Outcome {
    let from_hour = (context.now_ms - REACH_DAYS * DAY_MS).div_euclid(3_600_000);
    let mut view = RollupCheckView {
        boots: 0,
        mismatches: Vec::new(),
    };
    for boot in rollups::list_rolled_boots(&context.connection).await? {
        view.boots += 1;
        view.mismatches
            .extend(rollups::check_boot(&context.connection, &boot, from_hour).await?);
    }
    response::ok(&view)
}

/// `POST …/rollup-rebuilds`: the tick makes every hour and day anew.
pub async fn rebuild_rollups(context: &Context) -> Outcome {
    rollups::forget_rollups(&context.connection).await?;
    context
        .connection
        .transaction(async || {
            audit::record(context, None, "usage.rollups_rebuilt", "usage", json!({})).await?;
            Ok::<_, DatabaseError>(())
        })
        .await?;
    let mut accepted = Response::default();
    *accepted.status_mut() = http::StatusCode::ACCEPTED;
    Ok(accepted)
}
