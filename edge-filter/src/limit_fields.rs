//! The `RateLimit` and `RateLimit-Policy` fields.
//!
//! Owns: their syntax, after draft-ietf-httpapi-ratelimit-headers-10 (structured
//! fields, RFC 9651). Does not own: the numbers.

use crate::account::Decision;
use shared::plan::Plan;
use std::fmt::Write as _;

/// The two fields of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitFields {
    /// `RateLimit-Policy`.
    pub policy: String,
    /// `RateLimit`.
    pub state: String,
}

/// A name as a structured-field string. Names are ASCII by the portal's rule;
/// what is not would make the whole field unreadable and is left out.
fn push_name(field: &mut String, name: &str) {
    if !field.is_empty() {
        field.push_str(", ");
    }
    field.push('"');
    for char in name.chars().filter(|char| (' '..='~').contains(char)) {
        if matches!(char, '"' | '\\') {
            field.push('\\');
        }
        field.push(char);
    }
    field.push('"');
}

/// Structured-field integers have at most 15 digits.
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// Nanoseconds as whole seconds, rounded up.
#[must_use]
pub const fn whole_secs(ns: u64) -> u64 {
    ns.div_ceil(1_000_000_000)
}

impl LimitFields {
    /// The fields for a decision; `None` where the plan limits nothing. Shadow
    /// limits refuse nothing, so clients are not told of them.
    #[must_use]
    pub fn of(
        plan: &Plan,
        decision: &Decision,
        period: Option<(u64, u64)>,
        now_ms: u64,
    ) -> Option<Self> {
        let mut fields = Self {
            policy: String::new(),
            state: String::new(),
        };
        let limits = plan.rate_limits.iter().zip(&decision.standings);
        for (limit, standing) in limits.filter(|(limit, _)| !limit.shadow) {
            push_name(&mut fields.policy, &limit.name);
            push_name(&mut fields.state, &limit.name);
            let (q, w) = (limit.limit, limit.window_secs);
            let (r, t) = (standing.remaining, whole_secs(standing.next_token_ns));
            // Writing into a string does not fail.
            let _ = write!(fields.policy, ";q={q};w={w}");
            let _ = write!(fields.state, ";r={r};t={t}");
        }
        if let (Some(quota), Some((start_ms, end_ms))) = (&plan.quota, period)
            && !quota.shadow
        {
            push_name(&mut fields.policy, &quota.name);
            let q = quota.limit.min(MAX_INTEGER);
            let w = (end_ms.saturating_sub(start_ms) / 1_000).max(1);
            let _ = write!(fields.policy, ";q={q};w={w}");
            if let Some(left) = decision.quota_left {
                push_name(&mut fields.state, &quota.name);
                let r = left.min(MAX_INTEGER);
                let t = end_ms.saturating_sub(now_ms).div_ceil(1_000);
                let _ = write!(fields.state, ";r={r};t={t}");
            }
        }
        (!fields.policy.is_empty()).then_some(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Outcome;
    use crate::rate_limit::Standing;
    use shared::ids::PlanId;
    use shared::plan::{
        Counting, Quota, QuotaEnforcement, RateLimit, RateLimitScope, WhenStale, WithoutLease,
    };

    fn limit(name: &str, shadow: bool) -> RateLimit {
        RateLimit {
            name: name.into(),
            limit: 50,
            window_secs: 1,
            per: RateLimitScope::Subscription,
            shadow,
        }
    }

    #[test]
    fn fields_have_the_syntax_of_the_draft_and_leave_shadow_limits_out() {
        let plan = Plan {
            plan: PlanId::from_bytes([1; 16]),
            rate_limits: vec![
                limit("burst", false),
                limit("trial", true),
                limit("a\"b", false),
            ],
            quota: Some(Quota {
                name: "month".into(),
                limit: 100_000,
                enforcement: QuotaEnforcement::Soft,
                without_lease: WithoutLease::Refuse,
                shadow: false,
            }),
            counting: Counting::default(),
            when_stale: WhenStale::Open,
        };
        let standing = Standing {
            remaining: 49,
            next_token_ns: 20_000_000,
        };
        let decision = Decision {
            outcome: Outcome::Pass,
            standings: vec![standing; 3],
            quota_left: Some(99_999),
            shadow_refused: false,
            lease_is_low: false,
            opened_lease: false,
        };
        let fields = LimitFields::of(&plan, &decision, Some((0, 2_592_000_000)), 500).unwrap();
        assert_eq!(
            fields.policy,
            r#""burst";q=50;w=1, "a\"b";q=50;w=1, "month";q=100000;w=2592000"#
        );
        assert_eq!(
            fields.state,
            r#""burst";r=49;t=1, "a\"b";r=49;t=1, "month";r=99999;t=2592000"#
        );
    }
}
