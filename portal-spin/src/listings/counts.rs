//! How often a listing was seen, an installation begun, completed or removed.

use schemars::JsonSchema;
use serde::Serialize;
use shared::ids::{AppId, ListingId};

use crate::database::{Connection, DatabaseError};
use crate::params;
use crate::text_enum::text_enum;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

text_enum! {
    /// A step from a listing to an installation.
    Step {
        /// The page in the directory was shown.
        View = "view",
        /// The consent screen was shown.
        Begin = "begin",
        /// The customer consented for the first time.
        Install = "install",
        /// The customer removed it.
        Remove = "remove",
    }
}

/// Counts one step of today.
pub async fn count_step(
    connection: &Connection,
    listing_id: ListingId,
    step: Step,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "INSERT INTO listing_counts (listing_id, day, step, count) VALUES ($1, $2, $3, 1)
             ON CONFLICT (listing_id, day, step) DO UPDATE SET count = listing_counts.count + 1",
            params![listing_id, now_ms.div_euclid(DAY_MS), step],
        )
        .await?;
    Ok(())
}

/// From view to installation, over the last days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Funnel {
    /// How many days are counted.
    pub days: i64,
    /// Views of the page in the directory.
    pub views: i64,
    /// Consent screens shown.
    pub begun: i64,
    /// Installations.
    pub installed: i64,
    /// Removals.
    pub removed: i64,
    /// Installations that stand now, in the live environment.
    pub active: i64,
}

/// The counts of an app's listing over the last `days` days.
pub async fn read_funnel(
    connection: &Connection,
    app_id: AppId,
    days: i64,
    now_ms: i64,
) -> Result<Funnel, DatabaseError> {
    let rows = connection
        .query(
            "SELECT c.step, CAST(SUM(c.count) AS BIGINT) FROM listing_counts c
             JOIN listings l ON l.listing_id = c.listing_id
             WHERE l.app_id = $1 AND c.day > $2 GROUP BY c.step",
            params![app_id, now_ms.div_euclid(DAY_MS) - days],
        )
        .await?;
    let mut funnel = Funnel {
        days,
        ..Funnel::default()
    };
    for row in rows {
        let count: i64 = row.get(1)?;
        match row.parse(0)? {
            Step::View => funnel.views = count,
            Step::Begin => funnel.begun = count,
            Step::Install => funnel.installed = count,
            Step::Remove => funnel.removed = count,
        }
    }
    funnel.active = connection
        .query_one(
            "SELECT COUNT(*) FROM installations
             WHERE app_id = $1 AND environment = 'live' AND removed_at_ms IS NULL",
            params![app_id],
        )
        .await?
        .get(0)?;
    Ok(funnel)
}
