//! A new version of a plan and the subscribers of the versions before it: who is moved when, the preview,
//! the notice, and the moving itself, in portions of a tick.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{OrganisationId, SubscriptionId};

use super::model::Subscription;
use super::plan_changes::differences;
use super::{changes, periods, store};
use crate::catalogue::{self, Plan};
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails;
use crate::encoding::readable_time;
use crate::organisations::{MemberRole, store::list_member_emails};
use crate::params;
use crate::text_enum::text_enum;
use crate::web::Failure;

/// How many subscriptions one tick moves.
const BATCH: i64 = 200;

text_enum! {
    /// What becomes of subscribers of earlier versions.
    MigrationRule {
        /// They keep the version they have.
        Stay = "stay",
        /// They are moved as soon as the version is published.
        AtOnce = "at_once",
        /// They are moved when their billing period ends.
        PeriodEnd = "period_end",
        /// They are moved at a given time.
        From = "from",
    }
}

/// What publishing a version does to subscribers of earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublicationBody {
    /// `stay` (without), `at_once`, `period_end` or `from`.
    #[serde(default = "stay")]
    pub subscribers: MigrationRule,
    /// The time for `from`.
    #[serde(default, with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub from: Option<i64>,
}

fn stay() -> MigrationRule {
    MigrationRule::Stay
}

impl Default for PublicationBody {
    fn default() -> Self {
        Self {
            subscribers: MigrationRule::Stay,
            from: None,
        }
    }
}

impl PublicationBody {
    /// Reads what a form or a query says.
    pub fn read(subscribers: &str, from: &str) -> Result<Self, Failure> {
        let subscribers = match subscribers {
            "" => MigrationRule::Stay,
            text => text.parse().map_err(|()| {
                Failure::field(
                    "subscribers",
                    "unknown_value",
                    "Give `stay`, `at_once`, `period_end` or `from`.",
                )
            })?,
        };
        let from = match from {
            "" => None,
            // A date field of a form, or a full time.
            text => Some(
                text.parse::<Timestamp>()
                    .or_else(|_| format!("{text}T00:00:00Z").parse::<Timestamp>())
                    .map_err(|_| {
                        Failure::field(
                            "from",
                            "malformed",
                            "Give a date such as 2026-11-22 or a time such as 2026-11-22T14:05:00Z.",
                        )
                    })?
                    .as_millisecond(),
            ),
        };
        Ok(Self { subscribers, from })
    }

    /// What is wrong with it at this time.
    pub fn check(&self, now_ms: i64) -> Result<(), Failure> {
        match (self.subscribers, self.from) {
            (MigrationRule::From, None) => Err(Failure::field(
                "from",
                "missing",
                "Say from when subscribers are moved.",
            )),
            (MigrationRule::From, Some(from)) if from <= now_ms => Err(Failure::field(
                "from",
                "in_the_past",
                "Give a time in the future, or `at_once`.",
            )),
            _ => Ok(()),
        }
    }
}

/// What publishing a version would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PublicationPreview {
    /// Subscriptions on earlier versions.
    pub subscriptions: i64,
    /// Of how many organisations.
    pub organisations: i64,
    /// What changes for them against the version before, in sentences.
    pub changes: Vec<String>,
    /// When, in a sentence.
    pub when: String,
}

/// The subscriptions of the condition stand on an earlier version of plan `$1`, or will, and do not end.
const EARLIER: &str = "FROM subscriptions s JOIN plans n ON n.plan_id = $1
    JOIN plans e ON e.product_id = n.product_id AND e.slug = n.slug AND e.version < n.version
        AND e.plan_id = COALESCE(s.next_plan_id, s.plan_id)
    JOIN apps a ON a.app_id = s.app_id
    WHERE s.cancelled_at_ms IS NULL AND s.ends_at_ms IS NULL";

/// What publishing this draft with this rule would do.
pub async fn preview_publication(
    context: &Context,
    plan: &Plan,
    body: &PublicationBody,
) -> Result<PublicationPreview, Failure> {
    body.check(context.now_ms)?;
    let row = context
        .connection
        .query_one(
            &format!(
                "SELECT COUNT(DISTINCT s.subscription_id), COUNT(DISTINCT a.organisation_id) {EARLIER}"
            ),
            params![plan.id.to_string()],
        )
        .await?;
    let before = catalogue::find_published_version(&context.connection, plan).await?;
    Ok(PublicationPreview {
        subscriptions: row.get(0)?,
        organisations: row.get(1)?,
        changes: before.map_or(Vec::new(), |before| differences(&before, plan)),
        when: match (body.subscribers, body.from) {
            (MigrationRule::Stay, _) => {
                "Subscribers keep the version they have until they choose another.".to_owned()
            }
            (MigrationRule::AtOnce, _) => "Subscribers are moved within a minute.".to_owned(),
            (MigrationRule::PeriodEnd, _) => {
                "Each subscriber is moved when their billing period ends.".to_owned()
            }
            (MigrationRule::From, from) => {
                format!(
                    "Subscribers are moved on {}.",
                    readable_time(from.unwrap_or(0))
                )
            }
        },
    })
}

/// Notes what becomes of subscribers. Call it inside the transaction that publishes the plan.
pub async fn begin_migration(
    context: &Context,
    plan: &Plan,
    body: &PublicationBody,
) -> Result<(), DatabaseError> {
    if body.subscribers == MigrationRule::Stay {
        return Ok(());
    }
    context
        .connection
        .execute(
            "INSERT INTO plan_migrations (plan_id, rule, from_ms, created_at_ms, moved)
             VALUES ($1, $2, $3, $4, 0)",
            params![
                plan.id.to_string(),
                body.subscribers,
                body.from,
                context.now_ms
            ],
        )
        .await?;
    Ok(())
}

/// Moves the next subscriptions of every migration under way. Answers how many.
pub async fn migrate_subscribers(context: &Context) -> Result<u64, DatabaseError> {
    let connection = &context.connection;
    let under_way = connection
        .query(
            "SELECT plan_id, rule, from_ms FROM plan_migrations WHERE finished_at_ms IS NULL
             ORDER BY created_at_ms",
            vec![],
        )
        .await?;
    let mut moved = 0;
    for row in &under_way {
        let plan_id: String = row.get(0)?;
        let rule: MigrationRule = row.parse(1)?;
        let from_ms: Option<i64> = row.get(2)?;
        let next = connection
            .query(
                &format!(
                    "SELECT DISTINCT s.subscription_id, a.organisation_id {EARLIER}
                     ORDER BY s.subscription_id LIMIT $2"
                ),
                params![plan_id.as_str(), BATCH],
            )
            .await?;
        let plan = catalogue::find_plan(connection, row.parse(0)?)
            .await?
            .ok_or_else(|| DatabaseError::Shape("a migration's plan is gone".to_owned()))?;
        for row in &next {
            let (subscription_id, organisation_id) = (row.parse(0)?, row.parse(1)?);
            connection
                .transaction(async || {
                    move_one(
                        context,
                        subscription_id,
                        organisation_id,
                        &plan,
                        rule,
                        from_ms,
                    )
                    .await
                })
                .await?;
            moved += 1;
        }
        let is_finished = i64::try_from(next.len()).is_ok_and(|found| found < BATCH);
        connection
            .execute(
                "UPDATE plan_migrations SET moved = moved + $2, finished_at_ms = $3 WHERE plan_id = $1",
                params![
                    plan_id,
                    i64::try_from(next.len()).unwrap_or(i64::MAX),
                    is_finished.then_some(context.now_ms)
                ],
            )
            .await?;
    }
    Ok(moved)
}

async fn move_one(
    context: &Context,
    subscription_id: SubscriptionId,
    organisation_id: OrganisationId,
    plan: &Plan,
    rule: MigrationRule,
    from_ms: Option<i64>,
) -> Result<(), DatabaseError> {
    let connection = &context.connection;
    let Some(mut subscription) = store::find_subscription(connection, subscription_id).await?
    else {
        return Ok(());
    };
    let from = catalogue::find_plan(connection, subscription.plan_id)
        .await?
        .ok_or_else(|| DatabaseError::Shape("a subscription's plan is gone".to_owned()))?;
    let at_ms = moment(&subscription, &from, rule, from_ms, context.now_ms)?;
    if at_ms <= context.now_ms {
        changes::change_plan_now(context, organisation_id, &mut subscription, plan).await?;
    } else {
        changes::change_plan_later(context, organisation_id, &mut subscription, plan, at_ms)
            .await?;
    }
    notify(context, organisation_id, &subscription, &from, plan, at_ms).await
}

/// When this subscription is moved. One that is to change to an earlier version anyway changes to the new
/// one then.
fn moment(
    subscription: &Subscription,
    plan: &Plan,
    rule: MigrationRule,
    from_ms: Option<i64>,
    now_ms: i64,
) -> Result<i64, DatabaseError> {
    if let Some((_, planned_ms)) = subscription.next_plan {
        return Ok(planned_ms);
    }
    Ok(match rule {
        MigrationRule::Stay | MigrationRule::AtOnce => now_ms,
        MigrationRule::PeriodEnd => {
            periods::period_at(&plan.terms.period_rule(), subscription.anchor_ms, now_ms)?.end_ms
        }
        MigrationRule::From => from_ms.unwrap_or(now_ms),
    })
}

async fn notify(
    context: &Context,
    organisation_id: OrganisationId,
    subscription: &Subscription,
    from: &Plan,
    to: &Plan,
    at_ms: i64,
) -> Result<(), DatabaseError> {
    let readers = [MemberRole::Owner, MemberRole::Billing];
    let (from_time, changes) = (readable_time(at_ms), differences(from, to).join("\n"));
    let link = format!(
        "{}/apps/{}/subscriptions",
        context.configuration().public_url,
        subscription.app_id
    );
    let values = [
        ("plan", to.name.as_str()),
        ("from", &from_time),
        ("changes", &changes),
        ("link", &link),
    ];
    for address in list_member_emails(&context.connection, organisation_id, &readers).await? {
        emails::send(context, "plan-version", &address, &values).await?;
    }
    Ok(())
}

/// A migration as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MigrationView {
    /// The rule.
    pub rule: MigrationRule,
    /// How many subscriptions were moved, or are set to move.
    pub moved: i64,
    /// When nobody was left.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub finished_at: Option<i64>,
}

/// What becomes or became of subscribers of the versions before this one.
pub async fn find_migration(
    context: &Context,
    plan: &Plan,
) -> Result<Option<MigrationView>, DatabaseError> {
    let row = context
        .connection
        .query_optional(
            "SELECT rule, moved, finished_at_ms FROM plan_migrations WHERE plan_id = $1",
            params![plan.id.to_string()],
        )
        .await?;
    row.map(|row| {
        Ok(MigrationView {
            rule: row.parse(0)?,
            moved: row.get(1)?,
            finished_at: row.get(2)?,
        })
    })
    .transpose()
}

/// How many subscriptions stand on this version.
pub async fn count_subscribers(context: &Context, plan: &Plan) -> Result<i64, DatabaseError> {
    context
        .connection
        .query_one(
            "SELECT COUNT(*) FROM subscriptions WHERE plan_id = $1 AND cancelled_at_ms IS NULL",
            params![plan.id.to_string()],
        )
        .await?
        .get(0)
}
