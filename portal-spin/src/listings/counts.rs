//! How often a listing was seen, an installation begun, completed or removed.

use schemars::JsonSchema;
use serde::Serialize;
use shared::ids::{AppId, ListingId, OrganisationId};

use crate::database::{Connection, DatabaseError, Row};
use crate::params;
use crate::text_enum::text_enum;
use crate::web::paging::{Stretch, finds};

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

impl Funnel {
    /// Which part of the views became an installation.
    pub fn share(&self) -> String {
        if self.views == 0 {
            return "–".to_owned();
        }
        let tenths = (self.installed * 2_000 + self.views) / (self.views * 2);
        format!("{}.{} %", tenths / 10, tenths % 10)
    }
}

/// An app's way from view to installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AppFunnel {
    /// The app.
    pub app_id: String,
    /// Its name.
    pub app: String,
    /// Who built it.
    pub partner: String,
    /// Its name in the directory's URLs.
    pub slug: String,
    /// Whether the directory shows it.
    pub is_listed: bool,
    /// The counts.
    pub funnel: Funnel,
}

/// The four steps of a group of `listing_counts c`, in the order of [`funnel_of`].
const STEPS: &str = "CAST(COALESCE(SUM(CASE WHEN c.step = 'view' THEN c.count END), 0) AS BIGINT),
    CAST(COALESCE(SUM(CASE WHEN c.step = 'begin' THEN c.count END), 0) AS BIGINT),
    CAST(COALESCE(SUM(CASE WHEN c.step = 'install' THEN c.count END), 0) AS BIGINT),
    CAST(COALESCE(SUM(CASE WHEN c.step = 'remove' THEN c.count END), 0) AS BIGINT)";

fn funnel_of(row: &Row, days: i64) -> Result<Funnel, DatabaseError> {
    Ok(Funnel {
        days,
        views: row.get(0)?,
        begun: row.get(1)?,
        installed: row.get(2)?,
        removed: row.get(3)?,
        active: row.get(4)?,
    })
}

/// Counts after this day belong to the last `days` days.
fn day_before(days: i64, now_ms: i64) -> i64 {
    now_ms.div_euclid(DAY_MS) - days
}

/// The counts of an app's listing over the last `days` days.
pub async fn read_funnel(
    connection: &Connection,
    app_id: AppId,
    days: i64,
    now_ms: i64,
) -> Result<Funnel, DatabaseError> {
    let sql = format!(
        "SELECT {STEPS}, (SELECT COUNT(*) FROM installations i
            WHERE i.app_id = $1 AND i.environment = 'live' AND i.removed_at_ms IS NULL)
         FROM listing_counts c JOIN listings l ON l.listing_id = c.listing_id
         WHERE l.app_id = $1 AND c.day > $2"
    );
    let parameters = params![app_id, day_before(days, now_ms)];
    funnel_of(&connection.query_one(&sql, parameters).await?, days)
}

/// The counts of all apps together.
pub async fn read_total(
    connection: &Connection,
    days: i64,
    now_ms: i64,
) -> Result<Funnel, DatabaseError> {
    let sql = format!(
        "SELECT {STEPS}, (SELECT COUNT(*) FROM installations i
            WHERE i.environment = 'live' AND i.removed_at_ms IS NULL)
         FROM listing_counts c WHERE c.day > $1"
    );
    let parameters = params![day_before(days, now_ms)];
    funnel_of(&connection.query_one(&sql, parameters).await?, days)
}

/// The counts of an organisation's apps in these days, most installations first.
pub async fn list_funnels_of(
    connection: &Connection,
    organisation_id: OrganisationId,
    days: std::ops::Range<i64>,
) -> Result<Vec<AppFunnel>, DatabaseError> {
    let sql = format!(
        "SELECT {STEPS}, (SELECT COUNT(*) FROM installations i WHERE i.app_id = l.app_id
                AND i.environment = 'live' AND i.removed_at_ms IS NULL),
            l.app_id, a.name, o.name, l.slug, CASE WHEN s.state = 'published' THEN 1 ELSE 0 END
         FROM listings l JOIN apps a ON a.app_id = l.app_id AND a.organisation_id = $1
         JOIN organisations o ON o.organisation_id = a.organisation_id
         LEFT JOIN submissions s ON s.submission_id = l.live_submission_id
         LEFT JOIN listing_counts c ON c.listing_id = l.listing_id AND c.day >= $2 AND c.day < $3
         GROUP BY l.app_id, a.name, o.name, l.slug, s.state
         ORDER BY 3 DESC, 5 DESC, 1 DESC, l.app_id"
    );
    let parameters = params![organisation_id, days.start, days.end];
    let rows = connection.query(&sql, parameters).await?;
    rows.iter()
        .map(|row| app_funnel_of(row, days.end - days.start))
        .collect()
}

/// The counts of every app that was seen, is listed or is installed: most installations first.
pub async fn list_funnels(
    connection: &Connection,
    days: i64,
    now_ms: i64,
    stretch: &Stretch,
) -> Result<Vec<AppFunnel>, DatabaseError> {
    let found = finds("$2", &["a.name", "o.name", "l.slug"]);
    let sql = format!(
        "SELECT {STEPS}, (SELECT COUNT(*) FROM installations i WHERE i.app_id = l.app_id
                AND i.environment = 'live' AND i.removed_at_ms IS NULL),
            l.app_id, a.name, o.name, l.slug, CASE WHEN s.state = 'published' THEN 1 ELSE 0 END
         FROM listings l JOIN apps a ON a.app_id = l.app_id
         JOIN organisations o ON o.organisation_id = a.organisation_id
         LEFT JOIN submissions s ON s.submission_id = l.live_submission_id
         LEFT JOIN listing_counts c ON c.listing_id = l.listing_id AND c.day > $1
         WHERE (s.state = 'published' OR c.listing_id IS NOT NULL OR EXISTS (SELECT 1
            FROM installations i WHERE i.app_id = l.app_id AND i.environment = 'live'
                AND i.removed_at_ms IS NULL)) AND {found}
         GROUP BY l.app_id, a.name, o.name, l.slug, s.state
         ORDER BY 3 DESC, 5 DESC, 1 DESC, l.app_id LIMIT $3 OFFSET $4"
    );
    let parameters = params![
        day_before(days, now_ms),
        stretch.wanted.as_str(),
        stretch.limit_and_one(),
        stretch.from
    ];
    let rows = connection.query(&sql, parameters).await?;
    rows.iter().map(|row| app_funnel_of(row, days)).collect()
}

fn app_funnel_of(row: &Row, days: i64) -> Result<AppFunnel, DatabaseError> {
    Ok(AppFunnel {
        funnel: funnel_of(row, days)?,
        app_id: row.get(5)?,
        app: row.get(6)?,
        partner: row.get(7)?,
        slug: row.get(8)?,
        is_listed: row.get(9)?,
    })
}
