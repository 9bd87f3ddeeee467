//! What a plan promises and asks: limits, quota, price, trial, approval. Immutable once published.

use bigdecimal::Zero;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::plan::{Counting, Quota, QuotaEnforcement, RateLimit, WhenStale};

use crate::billing::Price;
use crate::billing::charges::{Basis, Charge, CheckedCharge, check_charges};
use crate::billing::price::FieldProblem;
use crate::billing::proration::Proration;
use crate::web::FieldError;

use super::period_rule::{BillingCycle, FirstDay, PeriodRule, UTC};

/// The terms of a plan version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanTerms {
    /// Rate limits: `name`, `limit`, `window_secs`, `per` (`subscription`, `credential`, `operation`), `shadow`,
    /// `across_edges` (all edges enforce it together, each a share that follows demand).
    #[serde(default)]
    #[schemars(with = "Vec<serde_json::Value>")]
    pub rate_limits: Vec<RateLimit>,
    /// The billing period's allowance: `name`, `limit`, `enforcement`, `without_lease`, `shadow`.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Value>")]
    pub quota: Option<Quota>,
    /// What counts as used: `status_classes`, `aborted`, `weight_header`.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    pub counting: Counting,
    /// `open` or `closed` once an edge has lost the portal for longer than the staleness budget.
    #[serde(default)]
    #[schemars(with = "String")]
    pub when_stale: WhenStale,
    /// The price of usage (see the price models). Free is a price: `flat` with amount 0.
    #[serde(default, deserialize_with = "crate::billing::deserialize_distinct")]
    pub price: Option<serde_json::Value>,
    /// More charges, in the same currency: `recurring`, `one_off`, `usage`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
    /// How a period that was served in part is charged: `by_day`, `by_second` or `off`.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(with = "String")]
    pub proration: Proration,
    /// Whether a recurring amount is kept for the part of a period that was paid and not served.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keeps_unserved: bool,
    /// Days without charge at the start.
    #[serde(default)]
    pub trial_days: u32,
    /// How billing periods follow one another; the quota is counted in them too.
    #[serde(default)]
    pub cycle: BillingCycle,
    /// Where weeks begin.
    #[serde(default, skip_serializing_if = "is_default")]
    pub week_starts_on: FirstDay,
    /// The IANA time zone whose midnights bound the periods, such as `Europe/Berlin`.
    #[serde(default = "utc", skip_serializing_if = "is_utc")]
    pub time_zone: String,
    /// Who says yes to going live or moving to this plan.
    #[serde(default)]
    pub approval: ApprovalPolicy,
    /// What must have been seen in the sandbox before going live.
    #[serde(default)]
    pub checklist: ChecklistRules,
}

/// Who decides on a wish to go live or to change to a plan.
#[derive(Default, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "mode")]
pub enum ApprovalPolicy {
    /// Yes as soon as the checklist is green.
    #[default]
    Automatic,
    /// A person, within so many hours.
    Manual {
        /// The promise printed to the partner.
        #[serde(default = "default_sla_hours")]
        sla_hours: u32,
    },
    /// The first rule that applies; a person where none does and `otherwise` says so.
    Rules {
        /// Tried in order.
        rules: Vec<Rule>,
        /// Where no rule applies.
        #[serde(default)]
        otherwise: Verdict,
        /// The promise printed to the partner, where a person decides.
        #[serde(default = "default_sla_hours")]
        sla_hours: u32,
    },
}

fn default_sla_hours() -> u32 {
    24
}

impl ApprovalPolicy {
    /// Within how many hours a person decides.
    pub fn sla_hours(&self) -> u32 {
        match self {
            Self::Automatic => 0,
            Self::Manual { sla_hours } | Self::Rules { sla_hours, .. } => *sla_hours,
        }
    }
}

/// One rule: if the fact meets the condition, the verdict, with the reason that is printed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is looked at.
    pub fact: Fact,
    /// What it is compared with.
    pub is: Condition,
    /// What follows.
    pub then: Verdict,
    /// Printed to the partner and in the queue.
    pub reason: String,
}

impl Rule {
    /// Why the rule can never apply, if it cannot.
    fn never_applies(&self) -> Option<&'static str> {
        let is_true_or_false = matches!(self.fact, Fact::AgreementsAccepted | Fact::AppSuspended);
        match &self.is {
            Condition::AtLeast(_) | Condition::Below(_) if !self.fact.is_number() => {
                Some("This fact is a text: compare it with `equals` or `one_of`.")
            }
            Condition::Equals(text) if text.trim().is_empty() => Some("Say what it must be."),
            Condition::Equals(text) if is_true_or_false && text != "true" && text != "false" => {
                Some("This fact is `true` or `false`.")
            }
            Condition::OneOf(texts) if texts.is_empty() => Some("Name at least one text."),
            _ => None,
        }
    }
}

/// What a rule can look at.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The domain of the e-mail address of who asks (text).
    EmailDomain,
    /// The organisation's partner type (text).
    PartnerType,
    /// The organisation's tier (text).
    Tier,
    /// The organisation's tags (texts): one that meets the condition is enough.
    Tags,
    /// Whether every agreement that the product needs is accepted (`true` or `false`).
    AgreementsAccepted,
    /// Calls in the sandbox (number).
    SandboxCalls,
    /// Percentage of sandbox calls that succeeded (number).
    SandboxSuccessRate,
    /// Percentage of the product's operations that were called successfully (number).
    OperationsTried,
    /// Days since the app was created (number).
    AppAgeDays,
    /// Whether the app is suspended (`true` or `false`).
    AppSuspended,
}

impl Fact {
    /// Whether it is a number, which bounds can be put to.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            Self::SandboxCalls
                | Self::SandboxSuccessRate
                | Self::OperationsTried
                | Self::AppAgeDays
        )
    }
}

/// What a fact is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// The same text, without regard to case.
    Equals(String),
    /// One of these texts, without regard to case.
    OneOf(Vec<String>),
    /// A number not below this.
    AtLeast(f64),
    /// A number below this.
    Below(f64),
}

/// What a rule ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ApprovalVerdict")]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Refuse,
    /// A person decides.
    #[default]
    Ask,
}

/// What must have been seen in the sandbox before going live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChecklistRules {
    /// Successful sandbox calls.
    pub successful_calls: u32,
    /// A 4xx answer met, and a successful call after it.
    pub client_error_handled: bool,
    /// A rate limit met, and a successful call after it.
    pub rate_limit_handled: bool,
}

impl Default for ChecklistRules {
    fn default() -> Self {
        Self {
            successful_calls: 1,
            client_error_handled: false,
            rate_limit_handled: false,
        }
    }
}

impl PlanTerms {
    /// What keeps these terms from being published, field by field.
    pub fn problems(&self) -> Vec<FieldError> {
        let mut problems = Vec::new();
        let mut add = |field: String, code: &str, detail: String| {
            problems.push(FieldError {
                field,
                code: code.to_owned(),
                detail,
            });
        };
        for (index, limit) in self.rate_limits.iter().enumerate() {
            let field = |name: &str| format!("terms.rate_limits[{index}].{name}");
            if !is_policy_name(&limit.name) {
                let detail =
                    "Give a short name of lower-case letters, digits, - and _, such as `burst`.";
                add(field("name"), "malformed", detail.to_owned());
            }
            if self
                .rate_limits
                .iter()
                .filter(|other| other.name == limit.name)
                .count()
                > 1
            {
                add(
                    field("name"),
                    "taken",
                    "Another limit of this plan has the same name.".to_owned(),
                );
            }
            if limit.limit == 0 {
                add(
                    field("limit"),
                    "out_of_range",
                    "Allow at least 1 request per window.".to_owned(),
                );
            }
            if !(1..=86_400).contains(&limit.window_secs) {
                add(
                    field("window_secs"),
                    "out_of_range",
                    "Give 1 to 86400 seconds.".to_owned(),
                );
            }
        }
        if let Some(quota) = &self.quota {
            if !is_policy_name(&quota.name)
                || self
                    .rate_limits
                    .iter()
                    .any(|limit| limit.name == quota.name)
            {
                let detail = "Give a short name of lower-case letters, digits, - and _ that no rate limit has, such as `month`.";
                add(
                    "terms.quota.name".to_owned(),
                    "malformed",
                    detail.to_owned(),
                );
            }
            if i64::try_from(quota.limit).is_err() {
                add(
                    "terms.quota.limit".to_owned(),
                    "out_of_range",
                    "The number is too large.".to_owned(),
                );
            }
            if let QuotaEnforcement::Corridor { ceiling_percent } = quota.enforcement
                && !(101..=1_000).contains(&ceiling_percent)
            {
                let detail =
                    "A corridor ends between 101 and 1000 percent of the limit.".to_owned();
                add(
                    "terms.quota.enforcement.ceiling_percent".to_owned(),
                    "out_of_range",
                    detail,
                );
            }
        }
        if self
            .counting
            .status_classes
            .iter()
            .any(|class| !(1..=5).contains(class))
        {
            let detail = "Status classes are 1 to 5, such as 2 for 2xx.".to_owned();
            add(
                "terms.counting.status_classes".to_owned(),
                "out_of_range",
                detail,
            );
        }
        if self.trial_days > 365 {
            add(
                "terms.trial_days".to_owned(),
                "out_of_range",
                "Give 0 to 365 days.".to_owned(),
            );
        }
        if self.approval != ApprovalPolicy::Automatic
            && !(1..=8_760).contains(&self.approval.sla_hours())
        {
            add(
                "terms.approval.sla_hours".to_owned(),
                "out_of_range",
                "Give 1 to 8760 hours.".to_owned(),
            );
        }
        if self.checklist.successful_calls > 1_000_000 {
            add(
                "terms.checklist.successful_calls".to_owned(),
                "out_of_range",
                "Ask for at most 1000000 calls.".to_owned(),
            );
        }
        if let ApprovalPolicy::Rules { rules, .. } = &self.approval {
            for (index, rule) in rules.iter().enumerate() {
                if let Some(detail) = rule.never_applies() {
                    let field = format!("terms.approval.rules[{index}].is");
                    add(field, "never_applies", detail.to_owned());
                }
                if rule.reason.trim().is_empty() {
                    let detail = "Say why: the partner reads it.".to_owned();
                    add(
                        format!("terms.approval.rules[{index}].reason"),
                        "missing",
                        detail,
                    );
                }
            }
        }
        if let Some(problem) = self.period_rule().problem() {
            add("terms.time_zone".to_owned(), "unknown_value", problem);
        }
        let mut good_price = self.price.as_ref();
        if let Some(price) = &self.price {
            let checked = Price::from_json(price).and_then(|price| price.check_open_ended());
            if let Err(problem) = checked {
                good_price = None;
                add(
                    format!("terms.{}", problem.field),
                    "malformed",
                    problem.problem,
                );
            }
        }
        if let Err(problem) = check_charges(good_price, &self.charges) {
            add(
                format!("terms.{}", problem.field),
                "malformed",
                problem.problem,
            );
        }
        problems
    }

    /// How billing periods follow one another.
    pub fn period_rule(&self) -> PeriodRule {
        PeriodRule {
            cycle: self.cycle,
            week_starts_on: self.week_starts_on,
            time_zone: self.time_zone.clone(),
        }
    }

    /// Everything the plan charges.
    pub fn checked_charges(&self) -> Result<Vec<CheckedCharge>, FieldProblem> {
        check_charges(self.price.as_ref(), &self.charges)
    }

    /// Whether the plan costs money: false without a price and where every amount in it is 0.
    pub fn is_priced(&self) -> bool {
        let Ok(charges) = self.checked_charges() else {
            return true;
        };
        charges.iter().any(|charge| match &charge.basis {
            Basis::Recurring(_, amount) | Basis::OneOff(_, amount) => !amount.is_zero(),
            Basis::Usage { price, .. } => !price.is_free(),
        })
    }
}

fn utc() -> String {
    UTC.to_owned()
}

fn is_utc(zone: &str) -> bool {
    zone == UTC
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A name that can stand in `RateLimit-Policy`.
fn is_policy_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn terms(value: serde_json::Value) -> PlanTerms {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_wrong_field_is_named() {
        let wrong = terms(json!({
            "rate_limits": [{ "name": "Burst!", "limit": 0, "window_secs": 0 }],
            "quota": { "name": "Burst!", "limit": 5, "enforcement": { "kind": "corridor", "ceiling_percent": 90 } },
            "counting": { "status_classes": [7], "aborted": true },
            "time_zone": "Berlin",
            "trial_days": 366,
            "approval": { "mode": "manual", "sla_hours": 0 },
            "checklist": { "successful_calls": 1_000_001 },
            "price": { "model": "per_unit", "currency": "USD" }
        }));
        let fields: Vec<String> = wrong
            .problems()
            .into_iter()
            .map(|problem| problem.field)
            .collect();
        for field in [
            "terms.rate_limits[0].name",
            "terms.rate_limits[0].limit",
            "terms.rate_limits[0].window_secs",
            "terms.quota.name",
            "terms.quota.enforcement.ceiling_percent",
            "terms.counting.status_classes",
            "terms.time_zone",
            "terms.trial_days",
            "terms.approval.sla_hours",
            "terms.checklist.successful_calls",
            "terms.price.unit_amount",
        ] {
            assert!(
                fields.contains(&field.to_owned()),
                "{field} is not in {fields:?}"
            );
        }
    }

    #[test]
    fn free_is_a_price_that_costs_nothing() {
        let free = terms(
            json!({ "price": { "model": "flat", "currency": "EUR", "flat_amount": "0.00" } }),
        );
        assert!(free.problems().is_empty());
        assert!(!free.is_priced());
        let paid = terms(
            json!({ "price": { "model": "per_unit", "currency": "EUR", "unit_amount": "0.01" } }),
        );
        assert!(paid.is_priced());
        assert!(!terms(json!({})).is_priced());
    }

    #[test]
    fn a_misspelt_member_is_refused() {
        assert!(serde_json::from_value::<PlanTerms>(json!({ "rate_limit": [] })).is_err());
    }
}
