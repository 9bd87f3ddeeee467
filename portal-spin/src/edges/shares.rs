//! Shares of the rate limits that all edges enforce together.
//!
//! The account's row is locked first, so requests for one account are answered one after another.
//! How it is divided: [`shared::share::divide`].

use shared::ids::EdgeBootId;
use shared::share::{Holding, ShareGrant, ShareKey, ShareRequest, divide};

use super::model::saturating;
use crate::database::{Connection, DatabaseError};
use crate::params;

/// The share of an edge that is silent for this long is lent to others, in milliseconds. One that
/// was only cut off goes on with it meanwhile.
const RECLAIMED_AFTER_MS: i64 = 30_000;

/// Answers the requests of one report, inside its transaction.
pub async fn answer_requests(
    connection: &Connection,
    boot: EdgeBootId,
    sequence: u64,
    requests: &[ShareRequest],
    now_ms: i64,
) -> Result<Vec<ShareGrant>, DatabaseError> {
    // Two reports at once lock the same accounts in the same order.
    let mut ordered: Vec<&ShareRequest> = requests.iter().collect();
    ordered.sort_by_key(|request| {
        (
            *request.key.subscription.as_bytes(),
            request.key.environment,
        )
    });
    let mut grants = Vec::with_capacity(ordered.len());
    for request in ordered {
        lock(connection, request.key).await?;
        reclaim(connection, request.key, now_ms).await?;
        grants.extend(answer(connection, boot, sequence, request).await?);
    }
    Ok(grants)
}

/// Gives up whatever a boot holds: it has ended.
pub async fn forget_boot(connection: &Connection, boot: EdgeBootId) -> Result<(), DatabaseError> {
    connection
        .execute(
            "DELETE FROM limit_shares WHERE edge_boot_id = $1",
            params![boot.to_string()],
        )
        .await?;
    Ok(())
}

async fn answer(
    connection: &Connection,
    boot: EdgeBootId,
    sequence: u64,
    request: &ShareRequest,
) -> Result<Option<ShareGrant>, DatabaseError> {
    let ShareKey {
        subscription,
        environment,
    } = request.key;
    let rows = connection
        .query(
            "SELECT edge_boot_id, granted, held, demand, sequence FROM limit_shares
             WHERE subscription_id = $1 AND environment = $2",
            params![subscription.to_string(), environment.as_str()],
        )
        .await?;
    let own = boot.to_string();
    let mut others = Vec::new();
    for row in &rows {
        let holding = Holding {
            granted: row.get(1)?,
            held: row.get(2)?,
            demand: row.get(3)?,
        };
        if row.get::<String>(0)? != own {
            others.push(holding);
        } else if row.get::<i64>(4)? > saturating(sequence) {
            // An older report, come late, knows nothing of what holds now.
            return Ok(None);
        }
    }
    if request.demand == 0 {
        connection
            .execute(
                "DELETE FROM limit_shares WHERE subscription_id = $1 AND environment = $2
                    AND edge_boot_id = $3",
                params![subscription.to_string(), environment.as_str(), &own],
            )
            .await?;
        return Ok(None);
    }
    let grant = divide(request.key, request.held, request.demand, &others);
    connection
        .execute(
            "INSERT INTO limit_shares (subscription_id, environment, edge_boot_id, granted, held,
                demand, sequence)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (subscription_id, environment, edge_boot_id) DO UPDATE SET
                granted = excluded.granted, held = excluded.held, demand = excluded.demand,
                sequence = excluded.sequence",
            params![
                subscription.to_string(),
                environment.as_str(),
                &own,
                i64::from(grant.millionths),
                i64::from(request.held),
                saturating(request.demand),
                saturating(sequence),
            ],
        )
        .await?;
    Ok(Some(grant))
}

/// Locks an account until the transaction ends.
async fn lock(connection: &Connection, key: ShareKey) -> Result<(), DatabaseError> {
    connection
        .execute(
            "INSERT INTO limit_accounts (subscription_id, environment) VALUES ($1, $2)
             ON CONFLICT (subscription_id, environment)
                DO UPDATE SET environment = excluded.environment",
            params![key.subscription.to_string(), key.environment.as_str()],
        )
        .await?;
    Ok(())
}

/// Takes back what edges hold that have ended or are silent for long.
async fn reclaim(connection: &Connection, key: ShareKey, now_ms: i64) -> Result<(), DatabaseError> {
    connection
        .execute(
            "DELETE FROM limit_shares WHERE subscription_id = $1 AND environment = $2
                AND edge_boot_id NOT IN (SELECT edge_boot_id FROM edges
                    WHERE ended_at_ms IS NULL AND last_seen_at_ms >= $3)",
            params![
                key.subscription.to_string(),
                key.environment.as_str(),
                now_ms - RECLAIMED_AFTER_MS,
            ],
        )
        .await?;
    Ok(())
}
