//! A subscription as it is kept and shown.

use schemars::JsonSchema;
use serde::Serialize;
use shared::credential::Environment;
use shared::feed as wire;
use shared::ids::{AppId, PlanId, ProductId, SubscriptionId};

/// An app on a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The subscription.
    pub id: SubscriptionId,
    /// The app.
    pub app_id: AppId,
    /// The product.
    pub product_id: ProductId,
    /// The plan version in force.
    pub plan_id: PlanId,
    /// When it began.
    pub created_at_ms: i64,
    /// Since when live calls pass.
    pub live_from_ms: Option<i64>,
    /// Where anniversary periods are counted from.
    pub anchor_ms: i64,
    /// The last period boundary that edges know.
    pub periods_until_ms: i64,
    /// The plan version that follows at a period's end, and when.
    pub next_plan: Option<(PlanId, i64)>,
    /// When it ends.
    pub ends_at_ms: Option<i64>,
    /// When its end took effect.
    pub cancelled_at_ms: Option<i64>,
    /// Since when the partner's type may no longer use the plan.
    pub barred_at_ms: Option<i64>,
}

impl Subscription {
    /// The environments it opens.
    pub fn environments(&self) -> Vec<Environment> {
        match (self.barred_at_ms, self.live_from_ms) {
            (Some(_), _) => vec![],
            (None, Some(_)) => vec![Environment::Test, Environment::Live],
            (None, None) => vec![Environment::Test],
        }
    }

    /// The subscription as edges need it.
    pub fn wire(&self, periods: &[i64]) -> wire::Subscription {
        wire::Subscription {
            subscription: self.id,
            app: self.app_id,
            product: self.product_id,
            plan: self.plan_id,
            environments: self.environments(),
            ends_at_ms: self
                .cancelled_at_ms
                .or(self.ends_at_ms)
                .map(i64::unsigned_abs),
            periods: periods.iter().map(|at| at.unsigned_abs()).collect(),
        }
    }

    /// `active`, `barred`, `ending` or `cancelled`.
    pub fn state(&self, now_ms: i64) -> &'static str {
        match (self.cancelled_at_ms, self.ends_at_ms) {
            (Some(_), _) => "cancelled",
            (None, Some(at)) if at <= now_ms => "cancelled",
            (None, _) if self.barred_at_ms.is_some() => "barred",
            (None, Some(_)) => "ending",
            (None, None) => "active",
        }
    }
}

/// A subscription in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SubscriptionView {
    /// The subscription.
    pub id: String,
    /// The app.
    pub app_id: String,
    /// The product.
    pub product_id: String,
    /// The product's name.
    pub product_name: String,
    /// The plan version in force.
    pub plan_id: String,
    /// The plan's name.
    pub plan_name: String,
    /// `active`, `barred` (the partner's type may no longer use the plan), `ending` or `cancelled`.
    pub state: String,
    /// The environments it opens: `test`, and `live` once it went live.
    pub environments: Vec<String>,
    /// When it began.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub created_at: i64,
    /// Since when live calls pass.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub live_from: Option<i64>,
    /// The billing period that now falls in.
    pub period: PeriodView,
    /// The plan that follows at the period's end.
    pub next_plan: Option<NextPlanView>,
    /// When it ends.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub ends_at: Option<i64>,
    /// The newest wish to go live or to change plan.
    pub request: Option<RequestView>,
}

/// A billing period in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PeriodView {
    /// Its first moment.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub start: i64,
    /// The first moment behind it.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub end: i64,
    /// The IANA time zone whose calendar bounds it.
    pub time_zone: String,
    /// Both ends as they read there: `2026-11-01 to 2026-11-30 (Europe/Berlin)`.
    pub words: String,
}

/// A plan that follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NextPlanView {
    /// The plan version.
    pub plan_id: String,
    /// From when.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub from: i64,
}

/// A wish that a policy or a person decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Names the wish.
    pub id: String,
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// Whose.
    pub organisation_id: String,
    /// `go_live` or `change_plan`.
    pub kind: RequestKind,
    /// The plan it is about.
    pub plan_id: PlanId,
    /// What the partner wrote.
    pub note: String,
    /// When.
    pub requested_at_ms: i64,
    /// By whom.
    pub requested_by: String,
    /// By when a person decides.
    pub due_at_ms: i64,
    /// What the policy saw and said.
    pub findings: super::policy::Findings,
    /// `approved`, `refused`, `withdrawn`; none while it waits.
    pub outcome: Option<String>,
    /// Why.
    pub reason: String,
    /// When it was decided.
    pub decided_at_ms: Option<i64>,
    /// By whom; `policy` where no person did.
    pub decided_by: String,
}

/// What is wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Live calls.
    GoLive,
    /// Another plan.
    ChangePlan,
}

impl RequestKind {
    /// As in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GoLive => "go_live",
            Self::ChangePlan => "change_plan",
        }
    }
}

impl std::str::FromStr for RequestKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "go_live" => Ok(Self::GoLive),
            "change_plan" => Ok(Self::ChangePlan),
            _ => Err(()),
        }
    }
}

/// A wish in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RequestView {
    /// Names the wish.
    pub id: String,
    /// The subscription.
    pub subscription_id: String,
    /// `go_live` or `change_plan`.
    pub kind: String,
    /// The plan it is about.
    pub plan_id: String,
    /// `waiting`, `approved`, `refused` or `withdrawn`.
    pub state: String,
    /// Why.
    pub reason: String,
    /// What the partner wrote.
    pub note: String,
    /// When.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub requested_at: i64,
    /// By when a person decides.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub due_at: i64,
    /// When it was decided.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub decided_at: Option<i64>,
    /// Place in the queue from 1, while it waits.
    pub place: Option<i64>,
    /// What the policy saw and said.
    pub findings: super::policy::Findings,
}

impl Request {
    /// The wish in JSON.
    pub fn view(&self, place: Option<i64>) -> RequestView {
        RequestView {
            id: self.id.clone(),
            subscription_id: self.subscription_id.to_string(),
            kind: self.kind.as_str().to_owned(),
            plan_id: self.plan_id.to_string(),
            state: self.outcome.clone().unwrap_or_else(|| "waiting".to_owned()),
            reason: self.reason.clone(),
            note: self.note.clone(),
            requested_at: self.requested_at_ms,
            due_at: self.due_at_ms,
            decided_at: self.decided_at_ms,
            place,
            findings: self.findings.clone(),
        }
    }
}
