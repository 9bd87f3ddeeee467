//! The one row of the brand.

use super::model::BrandSettings;
use crate::database::{Connection, DatabaseError};
use crate::params;

/// The settings; empty ones if nobody has set any.
pub async fn load_brand(connection: &Connection) -> Result<BrandSettings, DatabaseError> {
    let row = connection
        .query_optional("SELECT body FROM brands WHERE brand_id = 1", vec![])
        .await?;
    let body: Option<String> = row.map(|row| row.get(0)).transpose()?;
    // A row that an older or newer version wrote shows what of it is understood: nothing at worst.
    Ok(body
        .and_then(|body| serde_json::from_str(&body).ok())
        .unwrap_or_default())
}

/// Replaces the settings. Call it inside the transaction of the change.
pub async fn save_brand(
    connection: &Connection,
    body: &str,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "INSERT INTO brands (brand_id, body, updated_at_ms) VALUES (1, $1, $2)
             ON CONFLICT (brand_id) DO UPDATE SET body = excluded.body,
                updated_at_ms = excluded.updated_at_ms",
            params![body, now_ms],
        )
        .await?;
    Ok(())
}
