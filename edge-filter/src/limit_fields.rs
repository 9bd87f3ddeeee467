//! The `RateLimit` and `RateLimit-Policy` fields.
//!
//! Owns: their syntax, after draft-ietf-httpapi-ratelimit-headers-10 (structured
//! fields, RFC 9651). Does not own: the numbers.

use crate::account::Decision;
use crate::bytes::push_number;
use shared::plan::Plan;
use std::rc::Rc;

/// The two fields of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitFields {
    /// `RateLimit-Policy`: the same for every call under a plan in one period.
    pub policy: Rc<str>,
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

fn push_member(field: &mut String, key: &str, value: u64) {
    field.push_str(key);
    push_number(field, value.min(MAX_INTEGER));
}

/// `RateLimit-Policy`; `None` where the plan limits nothing. Shadow limits refuse
/// nothing, so clients are not told of them.
#[must_use]
pub fn policy_of(plan: &Plan, period: Option<(u64, u64)>) -> Option<Rc<str>> {
    let mut policy = String::new();
    for limit in plan.rate_limits.iter().filter(|limit| !limit.shadow) {
        push_name(&mut policy, &limit.name);
        push_member(&mut policy, ";q=", limit.limit.into());
        push_member(&mut policy, ";w=", limit.window_secs.into());
    }
    if let (Some(quota), Some((start_ms, end_ms))) = (&plan.quota, period)
        && !quota.shadow
    {
        push_name(&mut policy, &quota.name);
        push_member(&mut policy, ";q=", quota.limit);
        let window_secs = (end_ms.saturating_sub(start_ms) / 1_000).max(1);
        push_member(&mut policy, ";w=", window_secs);
    }
    (!policy.is_empty()).then(|| policy.into())
}

/// `RateLimit` for a decision.
#[must_use]
pub fn state_of(
    plan: &Plan,
    decision: &Decision,
    period: Option<(u64, u64)>,
    now_ms: u64,
) -> String {
    let mut state = String::with_capacity(96);
    let limits = plan.rate_limits.iter().zip(&decision.standings);
    for (limit, standing) in limits.filter(|(limit, _)| !limit.shadow) {
        push_name(&mut state, &limit.name);
        push_member(&mut state, ";r=", standing.remaining.into());
        push_member(&mut state, ";t=", whole_secs(standing.next_token_ns));
    }
    if let (Some(quota), Some((_, end_ms)), Some(left)) = (&plan.quota, period, decision.quota_left)
        && !quota.shadow
    {
        push_name(&mut state, &quota.name);
        push_member(&mut state, ";r=", left);
        let left_ms = end_ms.saturating_sub(now_ms);
        push_member(&mut state, ";t=", left_ms.div_ceil(1_000));
    }
    state
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
            across_edges: false,
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
            needs_lease: false,
            is_changed: false,
        };
        let period = Some((0, 2_592_000_000));
        assert_eq!(
            policy_of(&plan, period).as_deref().unwrap(),
            r#""burst";q=50;w=1, "a\"b";q=50;w=1, "month";q=100000;w=2592000"#
        );
        assert_eq!(
            state_of(&plan, &decision, period, 500),
            r#""burst";r=49;t=1, "a\"b";r=49;t=1, "month";r=99999;t=2592000"#
        );
    }
}
