//! Subscriptions and wishes in the database.

use shared::feed::Change;
use shared::ids::{AppId, MeterId, OrganisationId, PlanId, SubscriptionId};
use shared::plan::Counting;

use super::model::{Request, Subscription};
use super::periods::{boundaries, period_at};
use super::routes::PhaseView;
use crate::billing::period::Period;
use crate::catalogue::{self, Plan};
use crate::database::{Connection, DatabaseError, Row};
use crate::edges::feed;
use crate::params;
use crate::partners::Reach;
use crate::web::paging::{PageRequest, finds};

const COLUMNS: &str = "subscription_id, app_id, product_id, plan_id, created_at_ms, live_from_ms,
    anchor_ms, periods_until_ms, next_plan_id, next_plan_from_ms, ends_at_ms, cancelled_at_ms,
    barred_at_ms";

fn read(row: &Row) -> Result<Subscription, DatabaseError> {
    let next_plan: Option<PlanId> = row.parse_optional(8)?;
    let next_plan_from: Option<i64> = row.get(9)?;
    Ok(Subscription {
        id: row.parse(0)?,
        app_id: row.parse(1)?,
        product_id: row.parse(2)?,
        plan_id: row.parse(3)?,
        created_at_ms: row.get(4)?,
        live_from_ms: row.get(5)?,
        anchor_ms: row.get(6)?,
        periods_until_ms: row.get(7)?,
        next_plan: next_plan.zip(next_plan_from),
        ends_at_ms: row.get(10)?,
        cancelled_at_ms: row.get(11)?,
        barred_at_ms: row.get(12)?,
    })
}

/// Stores a new subscription with its first phase and tells the edges. Call it inside a transaction.
pub async fn insert(
    connection: &Connection,
    subscription: &mut Subscription,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "INSERT INTO subscriptions (subscription_id, app_id, product_id, plan_id, created_at_ms,
                anchor_ms, periods_until_ms) VALUES ($1, $2, $3, $4, $5, $6, 0)",
            params![
                subscription.id.to_string(),
                subscription.app_id.to_string(),
                subscription.product_id.to_string(),
                subscription.plan_id.to_string(),
                subscription.created_at_ms,
                subscription.anchor_ms,
            ],
        )
        .await?;
    begin_phase(connection, subscription, now_ms).await?;
    publish(connection, subscription, now_ms).await
}

/// Notes that the subscription's plan is in force from `from_ms`.
pub async fn begin_phase(
    connection: &Connection,
    subscription: &Subscription,
    from_ms: i64,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "INSERT INTO subscription_phases (subscription_id, from_ms, plan_id) VALUES ($1, $2, $3)
             ON CONFLICT (subscription_id, from_ms) DO UPDATE SET plan_id = excluded.plan_id",
            params![subscription.id.to_string(), from_ms, subscription.plan_id.to_string()],
        )
        .await?;
    Ok(())
}

/// Stores a changed subscription and tells the edges, with fresh period boundaries. Call it inside a
/// transaction.
pub async fn publish(
    connection: &Connection,
    subscription: &mut Subscription,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    let plan = catalogue::find_plan(connection, subscription.plan_id)
        .await?
        .ok_or_else(|| DatabaseError::Shape("a subscription's plan is gone".to_owned()))?;
    subscription.barred_at_ms = if is_kept(connection, subscription.app_id, &plan).await? {
        None
    } else {
        subscription.barred_at_ms.or(Some(now_ms))
    };
    let periods = boundaries(&plan.terms.period_rule(), subscription.anchor_ms, now_ms)?;
    subscription.periods_until_ms = periods.at_ms.last().copied().unwrap_or_default();
    connection
        .execute(
            "UPDATE subscriptions SET plan_id = $2, live_from_ms = $3, periods_until_ms = $4,
                next_plan_id = $5, next_plan_from_ms = $6, ends_at_ms = $7, cancelled_at_ms = $8,
                barred_at_ms = $9, extend_periods_at_ms = $10
             WHERE subscription_id = $1",
            params![
                subscription.id.to_string(),
                subscription.plan_id.to_string(),
                subscription.live_from_ms,
                subscription.periods_until_ms,
                subscription
                    .next_plan
                    .map(|(plan_id, _)| plan_id.to_string()),
                subscription.next_plan.map(|(_, from_ms)| from_ms),
                subscription.ends_at_ms,
                subscription.cancelled_at_ms,
                subscription.barred_at_ms,
                periods.extend_at_ms,
            ],
        )
        .await?;
    feed::publish(
        connection,
        now_ms,
        &Change::Subscription(subscription.wire(&periods.at_ms)),
    )
    .await?;
    Ok(())
}

/// Whether the app's organisation is of a partner type that may use the plan.
async fn is_kept(
    connection: &Connection,
    app_id: AppId,
    plan: &Plan,
) -> Result<bool, DatabaseError> {
    let organisation_id = connection
        .query_one(
            "SELECT organisation_id FROM apps WHERE app_id = $1",
            params![app_id],
        )
        .await?
        .parse(0)?;
    let reach = Reach::of_organisation(connection, organisation_id).await?;
    Ok(reach.keeps(plan))
}

/// A subscription by id.
pub async fn find_subscription(
    connection: &Connection,
    subscription_id: SubscriptionId,
) -> Result<Option<Subscription>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM subscriptions WHERE subscription_id = $1");
    let row = connection
        .query_optional(&sql, params![subscription_id.to_string()])
        .await?;
    row.as_ref().map(read).transpose()
}

/// Whose an app is.
pub async fn find_owner(
    connection: &Connection,
    app_id: AppId,
) -> Result<OrganisationId, DatabaseError> {
    connection
        .query_one(
            "SELECT organisation_id FROM apps WHERE app_id = $1",
            params![app_id.to_string()],
        )
        .await?
        .parse(0)
}

/// Subscriptions of an app that stand.
pub async fn list_of_app(
    connection: &Connection,
    app_id: AppId,
) -> Result<Vec<Subscription>, DatabaseError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM subscriptions WHERE app_id = $1 AND cancelled_at_ms IS NULL
         ORDER BY subscription_id LIMIT 200"
    );
    connection
        .query(&sql, params![app_id.to_string()])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// The phases of a subscription, oldest first.
pub async fn list_phases(
    connection: &Connection,
    subscription: &Subscription,
) -> Result<Vec<PhaseView>, DatabaseError> {
    connection
        .query(
            "SELECT from_ms, plan_id FROM subscription_phases WHERE subscription_id = $1 ORDER BY from_ms",
            params![subscription.id.to_string()],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(PhaseView {
                from: row.get(0)?,
                plan_id: row.get(1)?,
            })
        })
        .collect()
}

/// Subscriptions of which edges are to be told more boundaries.
pub async fn list_to_extend(
    connection: &Connection,
    now_ms: i64,
    limit: i64,
) -> Result<Vec<SubscriptionId>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT subscription_id FROM subscriptions
             WHERE cancelled_at_ms IS NULL AND extend_periods_at_ms <= $1
             ORDER BY extend_periods_at_ms LIMIT $2",
            params![now_ms, limit],
        )
        .await?;
    rows.iter().map(|row| row.parse(0)).collect()
}

/// Subscriptions with a change that is due: another plan, or their end.
pub async fn list_due(
    connection: &Connection,
    now_ms: i64,
    limit: i64,
) -> Result<Vec<SubscriptionId>, DatabaseError> {
    let rows = connection
        .query(
            "SELECT subscription_id FROM subscriptions WHERE cancelled_at_ms IS NULL
                AND (next_plan_from_ms <= $1 OR ends_at_ms <= $1) ORDER BY subscription_id LIMIT $2",
            params![now_ms, limit],
        )
        .await?;
    rows.iter().map(|row| row.parse(0)).collect()
}

/// What may be lent of a subscription's quota in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Units per period.
    pub limit: u64,
    /// Units at which calls are refused; none where they never are.
    pub ceiling: Option<u64>,
    /// The period's end.
    pub period_end_ms: i64,
}

/// The allowance of the period that begins at `period_start_ms`; `None` where the subscription is
/// unknown or has no quota, or where no period near now begins then.
pub async fn find_allowance(
    connection: &Connection,
    subscription_id: SubscriptionId,
    period_start_ms: i64,
    now_ms: i64,
) -> Result<Option<Allowance>, DatabaseError> {
    let Some(subscription) = find_subscription(connection, subscription_id).await? else {
        return Ok(None);
    };
    let Some(plan) = catalogue::find_plan(connection, subscription.plan_id).await? else {
        return Ok(None);
    };
    let Some(quota) = &plan.terms.quota else {
        return Ok(None);
    };
    let period = period_at(
        &plan.terms.period_rule(),
        subscription.anchor_ms,
        period_start_ms,
    )?;
    // An edge's clock may be a little ahead: the coming period is lent from five minutes before it.
    let near = now_ms + 5 * 60 * 1000;
    if period.start_ms != period_start_ms || period.start_ms > near {
        return Ok(None);
    }
    Ok(Some(Allowance {
        limit: quota.limit,
        ceiling: quota.ceiling(),
        period_end_ms: period.end_ms,
    }))
}

/// A subscription with what usage needs to know of its plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// The subscription.
    pub subscription: Subscription,
    /// Its plan.
    pub plan: Plan,
    /// The meter whose units the quota counts.
    pub quota_meter: Option<MeterId>,
}

impl Terms {
    /// What counts as used.
    pub fn counting(&self) -> &Counting {
        &self.plan.terms.counting
    }

    /// A billing period in words, in the plan's time zone.
    pub fn describe(&self, period: &Period) -> Result<String, DatabaseError> {
        let rule = self.plan.terms.period_rule();
        Ok(rule
            .calendar(self.subscription.anchor_ms)?
            .describe(period)?)
    }

    /// The billing period that `now_ms` falls in.
    pub fn period(&self, now_ms: i64) -> Result<Period, DatabaseError> {
        Ok(period_at(
            &self.plan.terms.period_rule(),
            self.subscription.anchor_ms,
            now_ms,
        )?)
    }
}

/// Subscriptions of an app, cancelled ones included, with their plans.
pub async fn list_terms_of_app(
    connection: &Connection,
    app_id: AppId,
) -> Result<Vec<Terms>, DatabaseError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM subscriptions WHERE app_id = $1 ORDER BY subscription_id DESC LIMIT 200"
    );
    let rows = connection.query(&sql, params![app_id.to_string()]).await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in &rows {
        let subscription = read(row)?;
        let plan = catalogue::find_plan(connection, subscription.plan_id)
            .await?
            .ok_or_else(|| DatabaseError::Shape("a subscription's plan is gone".to_owned()))?;
        let quota_meter = catalogue::find_quota_meter(connection, subscription.product_id).await?;
        all.push(Terms {
            subscription,
            plan,
            quota_meter,
        });
    }
    Ok(all)
}

const REQUEST_COLUMNS: &str = "request_id, subscription_id, organisation_id, kind, plan_id, note,
    requested_at_ms, requested_by, due_at_ms, findings, outcome, reason, decided_at_ms, decided_by";

fn read_request(row: &Row) -> Result<Request, DatabaseError> {
    Ok(Request {
        id: row.get(0)?,
        subscription_id: row.parse(1)?,
        organisation_id: row.get(2)?,
        kind: row.parse(3)?,
        plan_id: row.parse(4)?,
        note: row.get(5)?,
        requested_at_ms: row.get(6)?,
        requested_by: row.get(7)?,
        due_at_ms: row.get(8)?,
        findings: serde_json::from_str(&row.get::<String>(9)?)
            .map_err(|error| DatabaseError::Shape(error.to_string()))?,
        outcome: row.get(10)?,
        reason: row.get(11)?,
        decided_at_ms: row.get(12)?,
        decided_by: row.get(13)?,
    })
}

/// Stores a wish, new or decided. Answers whether it was: what is decided stays decided.
pub async fn put_request(
    connection: &Connection,
    request: &Request,
) -> Result<bool, DatabaseError> {
    let findings = serde_json::to_string(&request.findings)
        .map_err(|error| DatabaseError::Shape(error.to_string()))?;
    let changed = connection
        .execute(
            "INSERT INTO subscription_requests (request_id, subscription_id, organisation_id, kind,
                plan_id, note, requested_at_ms, requested_by, due_at_ms, findings, outcome, reason,
                decided_at_ms, decided_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
             ON CONFLICT (request_id) DO UPDATE SET outcome = excluded.outcome,
                reason = excluded.reason, decided_at_ms = excluded.decided_at_ms,
                decided_by = excluded.decided_by
                WHERE subscription_requests.outcome IS NULL",
            params![
                &request.id,
                request.subscription_id.to_string(),
                &request.organisation_id,
                request.kind.as_str(),
                request.plan_id.to_string(),
                &request.note,
                request.requested_at_ms,
                &request.requested_by,
                request.due_at_ms,
                findings,
                request.outcome.clone(),
                &request.reason,
                request.decided_at_ms,
                &request.decided_by,
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Keeps what a partner said when it cancelled.
pub async fn put_cancellation_reason(
    connection: &Connection,
    subscription_id: SubscriptionId,
    reason: &str,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "UPDATE subscriptions SET cancellation_reason = $2 WHERE subscription_id = $1",
            params![subscription_id.to_string(), reason],
        )
        .await?;
    Ok(())
}

/// Wishes of one state: those that wait by urgency, others newest first, before this id.
pub async fn list_requests(
    connection: &Connection,
    state: &str,
    page: &PageRequest,
) -> Result<Vec<Request>, DatabaseError> {
    let found = finds(
        "$3",
        &[
            "note",
            "request_id",
            "(SELECT o.name FROM organisations o WHERE o.organisation_id = r.organisation_id)",
            "(SELECT p.name FROM plans p WHERE p.plan_id = r.plan_id)",
            "(SELECT a.name FROM subscriptions s JOIN apps a ON a.app_id = s.app_id
                WHERE s.subscription_id = r.subscription_id)",
        ],
    );
    // A request keeps its due date when it is decided, so a cursor holds while the queue moves.
    let (condition, order) = if state == "waiting" {
        (
            "$1 = 'waiting' AND r.outcome IS NULL AND ($2 = '~' OR EXISTS (SELECT 1
                FROM subscription_requests c WHERE c.request_id = $2 AND (r.due_at_ms > c.due_at_ms
                    OR (r.due_at_ms = c.due_at_ms AND r.request_id > c.request_id))))",
            "r.due_at_ms, r.request_id",
        )
    } else {
        ("r.outcome = $1 AND r.request_id < $2", "r.request_id DESC")
    };
    let sql = format!(
        "SELECT {REQUEST_COLUMNS} FROM subscription_requests r WHERE {condition} AND {found}
         ORDER BY {order} LIMIT $4"
    );
    let parameters = params![
        state,
        page.before.as_str(),
        page.wanted.as_str(),
        page.limit_and_one()
    ];
    connection
        .query(&sql, parameters)
        .await?
        .iter()
        .map(read_request)
        .collect()
}

/// The newest wish of a subscription.
pub async fn find_newest_request(
    connection: &Connection,
    subscription_id: SubscriptionId,
) -> Result<Option<Request>, DatabaseError> {
    let sql = format!(
        "SELECT {REQUEST_COLUMNS} FROM subscription_requests WHERE subscription_id = $1
         ORDER BY requested_at_ms DESC, request_id DESC LIMIT 1"
    );
    let row = connection
        .query_optional(&sql, params![subscription_id.to_string()])
        .await?;
    row.as_ref().map(read_request).transpose()
}

/// A wish by id.
pub async fn find_request(
    connection: &Connection,
    request_id: &str,
) -> Result<Option<Request>, DatabaseError> {
    let sql = format!("SELECT {REQUEST_COLUMNS} FROM subscription_requests WHERE request_id = $1");
    let row = connection.query_optional(&sql, params![request_id]).await?;
    row.as_ref().map(read_request).transpose()
}

/// Place of a waiting wish in the queue, from 1.
pub async fn place_of(
    connection: &Connection,
    request: &Request,
) -> Result<Option<i64>, DatabaseError> {
    if request.outcome.is_some() {
        return Ok(None);
    }
    let before: i64 = connection
        .query_one(
            "SELECT COUNT(*) FROM subscription_requests WHERE outcome IS NULL
                AND (due_at_ms < $1 OR (due_at_ms = $1 AND request_id < $2))",
            params![request.due_at_ms, &request.id],
        )
        .await?
        .get(0)?;
    Ok(Some(before + 1))
}
