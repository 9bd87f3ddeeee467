//! Leases: how a hard quota is shared out, so that the sum lent never passes the ceiling.
//!
//! The pool's row is locked first, so requests for one pool are answered one after another. All
//! numbers are cumulative; a request that comes again grants nothing again.

use shared::ids::EdgeBootId;
use shared::lease::{LeaseGrant, LeaseKey, LeaseRequest};

use super::model::{LEASE_FOR_MS, saturating, share};
use crate::database::{Connection, DatabaseError};
use crate::params;
use crate::subscriptions::{self, Allowance};

/// Answers the requests of one report, inside its transaction.
pub async fn answer_requests(
    connection: &Connection,
    boot: EdgeBootId,
    requests: &[LeaseRequest],
    live_edges: u64,
    now_ms: i64,
) -> Result<Vec<LeaseGrant>, DatabaseError> {
    // Two reports at once lock the same pools in the same order.
    let mut ordered: Vec<&LeaseRequest> = requests.iter().collect();
    ordered.sort_by_key(|request| {
        let key = request.key;
        (
            *key.subscription.as_bytes(),
            key.environment,
            key.period_start_ms,
        )
    });
    let mut grants = Vec::with_capacity(ordered.len());
    for request in ordered {
        grants.push(answer(connection, boot, request, live_edges, now_ms).await?);
    }
    Ok(grants)
}

/// A lease as it is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Lease {
    granted: u64,
    spent: u64,
    given_back: u64,
}

async fn answer(
    connection: &Connection,
    boot: EdgeBootId,
    request: &LeaseRequest,
    live_edges: u64,
    now_ms: i64,
) -> Result<LeaseGrant, DatabaseError> {
    let key = request.key;
    let allowance = subscriptions::find_allowance(
        connection,
        key.subscription,
        saturating(key.period_start_ms),
        now_ms,
    )
    .await?;
    let Some(allowance) = allowance else {
        // No such subscription, period or quota: nothing is lent.
        let ends_at_ms = (now_ms + LEASE_FOR_MS).unsigned_abs();
        return Ok(LeaseGrant {
            key,
            granted: request.granted,
            pool: 0,
            ends_at_ms,
        });
    };
    let lent = lock_pool(connection, &key).await?;
    let lease = find_lease(connection, &key, boot).await?;
    let (lease, lent, pool) = decide(lease, lent, request, &allowance, live_edges);
    store(connection, &key, boot, lease, lent, request.wanted, now_ms).await?;
    let ends_at_ms = allowance
        .period_end_ms
        .min(now_ms + LEASE_FOR_MS)
        .unsigned_abs();
    Ok(LeaseGrant {
        key,
        granted: lease.granted,
        pool,
        ends_at_ms,
    })
}

/// The lease and the pool after a request: the lease, what is lent in all, what is left.
fn decide(
    lease: Lease,
    lent: u64,
    request: &LeaseRequest,
    allowance: &Allowance,
    live_edges: u64,
) -> (Lease, u64, u64) {
    // What came back can no longer be spent, and only what was not spent can come back.
    let spent = lease
        .spent
        .max(request.spent)
        .min(lease.granted - lease.given_back);
    let given_back = lease
        .given_back
        .max(request.given_back)
        .min(lease.granted - spent);
    let lent = lent.saturating_sub(given_back - lease.given_back);
    // What was granted in an answer that the edge has not seen is part of what it wants.
    let unseen = lease.granted.saturating_sub(request.granted);
    let wanted = request.wanted.saturating_sub(unseen);
    let grant = match allowance.ceiling {
        Some(ceiling) => share(wanted, ceiling.saturating_sub(lent), live_edges),
        None => wanted,
    };
    let lent = lent.saturating_add(grant);
    let granted = lease.granted.saturating_add(grant);
    let pool = allowance
        .ceiling
        .unwrap_or(allowance.limit)
        .saturating_sub(lent);
    (
        Lease {
            granted,
            spent,
            given_back,
        },
        lent,
        pool,
    )
}

/// Locks the pool until the transaction ends. Answers what is lent of it.
async fn lock_pool(connection: &Connection, key: &LeaseKey) -> Result<u64, DatabaseError> {
    connection
        .query_one(
            "INSERT INTO lease_pools (subscription_id, environment, period_start_ms, lent)
             VALUES ($1, $2, $3, 0)
             ON CONFLICT (subscription_id, environment, period_start_ms)
                DO UPDATE SET lent = lease_pools.lent
             RETURNING lent",
            params![
                key.subscription.to_string(),
                key.environment.as_str(),
                saturating(key.period_start_ms),
            ],
        )
        .await?
        .get(0)
}

async fn find_lease(
    connection: &Connection,
    key: &LeaseKey,
    boot: EdgeBootId,
) -> Result<Lease, DatabaseError> {
    let row = connection
        .query_optional(
            "SELECT granted, spent, given_back FROM leases WHERE subscription_id = $1
                AND environment = $2 AND period_start_ms = $3 AND edge_boot_id = $4",
            params![
                key.subscription.to_string(),
                key.environment.as_str(),
                saturating(key.period_start_ms),
                boot.to_string(),
            ],
        )
        .await?;
    row.map_or(Ok(Lease::default()), |row| {
        Ok(Lease {
            granted: row.get(0)?,
            spent: row.get(1)?,
            given_back: row.get(2)?,
        })
    })
}

async fn store(
    connection: &Connection,
    key: &LeaseKey,
    boot: EdgeBootId,
    lease: Lease,
    lent: u64,
    wanted: u64,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    let subscription = key.subscription.to_string();
    let period_start_ms = saturating(key.period_start_ms);
    connection
        .execute(
            "UPDATE lease_pools SET lent = $4 WHERE subscription_id = $1 AND environment = $2
                AND period_start_ms = $3",
            params![
                &subscription,
                key.environment.as_str(),
                period_start_ms,
                saturating(lent)
            ],
        )
        .await?;
    connection
        .execute(
            "INSERT INTO leases (subscription_id, environment, period_start_ms, edge_boot_id,
                granted, spent, given_back, wanted, updated_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (subscription_id, environment, period_start_ms, edge_boot_id) DO UPDATE SET
                granted = excluded.granted, spent = excluded.spent,
                given_back = excluded.given_back, wanted = excluded.wanted,
                updated_at_ms = excluded.updated_at_ms",
            params![
                &subscription,
                key.environment.as_str(),
                period_start_ms,
                boot.to_string(),
                saturating(lease.granted),
                saturating(lease.spent),
                saturating(lease.given_back),
                saturating(wanted),
                now_ms,
            ],
        )
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shared::credential::Environment;
    use shared::ids::SubscriptionId;

    fn request(granted: u64, spent: u64, given_back: u64, wanted: u64) -> LeaseRequest {
        let key = LeaseKey {
            subscription: SubscriptionId::new(1, &[1; 10]),
            environment: Environment::Live,
            period_start_ms: 0,
        };
        LeaseRequest {
            key,
            granted,
            spent,
            given_back,
            wanted,
        }
    }

    fn hard(limit: u64) -> Allowance {
        Allowance {
            limit,
            ceiling: Some(limit),
            period_end_ms: 1,
        }
    }

    #[test]
    fn the_same_request_again_grants_nothing_again() {
        let ask = request(0, 0, 0, 60);
        let (lease, lent, pool) = decide(Lease::default(), 0, &ask, &hard(100), 1);
        assert_eq!((lease.granted, lent, pool), (60, 60, 40));
        let (again, lent, pool) = decide(lease, lent, &ask, &hard(100), 1);
        assert_eq!((again, lent, pool), (lease, 60, 40));
    }

    #[test]
    fn what_is_given_back_can_be_lent_again() {
        let (lease, lent, _) = decide(Lease::default(), 0, &request(0, 0, 0, 100), &hard(100), 1);
        let (lease, lent, pool) = decide(lease, lent, &request(100, 30, 70, 0), &hard(100), 1);
        assert_eq!(
            (lease.granted, lease.given_back, lent, pool),
            (100, 70, 30, 70)
        );
    }

    proptest! {
        /// Two boots that ask for anything, in any order, truthfully or not, never hold more than the ceiling.
        #[test]
        fn lent_never_passes_the_ceiling(
            ceiling in 0u64..1_000,
            asks in prop::collection::vec((any::<bool>(), 0u64..500, 0u64..500, 0u64..500), 1..60),
        ) {
            let mut leases = [Lease::default(); 2];
            let mut lent = 0;
            for (second, spent, given_back, wanted) in asks {
                let lease = &mut leases[usize::from(second)];
                let ask = request(lease.granted, spent, given_back, wanted);
                let before = lease.granted;
                (*lease, lent, _) = decide(*lease, lent, &ask, &hard(ceiling), 2);
                prop_assert!(lease.granted >= before);
                prop_assert!(lease.spent + lease.given_back <= lease.granted);
                let held: u64 = leases.iter().map(|lease| lease.granted - lease.given_back).sum();
                prop_assert_eq!(held, lent);
                prop_assert!(lent <= ceiling);
            }
        }
    }
}
