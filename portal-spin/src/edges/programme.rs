//! The programme's settings as edges need them, published when they differ from what edges know.

use shared::feed::{Change, Programme};

use super::feed;
use crate::configuration::Configuration;
use crate::database::{Connection, DatabaseError};

/// How long an edge decides on the last feed after losing the portal, in seconds.
const STALENESS_BUDGET_SECS: u32 = 24 * 60 * 60;

/// The settings of this configuration.
pub fn from_configuration(configuration: &Configuration) -> Programme {
    let origin = &configuration.public_url;
    Programme {
        brand: configuration.get("key_brand").to_owned(),
        help_base: format!("{origin}/help/"),
        issuer: origin.clone(),
        audience: configuration.get("gateway_url").to_owned(),
        staleness_budget_secs: STALENESS_BUDGET_SECS,
        query_parameter: None,
    }
}

/// Publishes the settings if edges do not have them yet. Opens a transaction only then.
pub async fn ensure_published(
    connection: &Connection,
    configuration: &Configuration,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    let change = Change::Programme(from_configuration(configuration));
    if feed::find_head(connection, &change.key()).await?.as_ref() == Some(&change) {
        return Ok(());
    }
    connection
        .transaction(async || feed::publish(connection, now_ms, &change).await.map(|_| ()))
        .await
}
