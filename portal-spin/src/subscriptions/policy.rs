//! Approval: facts, rules and the go-live checklist. Pure: the same facts give the same answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::{ApprovalPolicy, ChecklistRules, Condition, Fact, Rule, Verdict};

/// What is known of who asks, when they ask.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// The domain of the asking person's e-mail address, lower case.
    pub email_domain: String,
    /// The organisation's partner type.
    pub partner_type: String,
    /// The organisation's tier.
    pub tier: String,
    /// The organisation's tags.
    pub tags: Vec<String>,
    /// What of the billing details is still to be given.
    pub missing_billing_details: Vec<String>,
    /// Names of agreements that are still to be accepted.
    pub outstanding_agreements: Vec<String>,
    /// Whether the app is suspended.
    pub app_suspended: bool,
    /// When the app was created.
    pub app_created_at_ms: i64,
    /// What the sandbox has seen.
    pub sandbox: SandboxFacts,
}

/// What an app did with a product in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SandboxFacts {
    /// Calls that were not refused.
    pub calls: u64,
    /// Calls that ended in 2xx or 3xx.
    pub successes: u64,
    /// Operations of the product.
    pub operations: u64,
    /// Operations with a successful call.
    pub operations_tried: u64,
    /// The last minute with a 4xx answer.
    pub last_client_error_minute: Option<i64>,
    /// The last minute with a call refused for its rate.
    pub last_rate_limit_minute: Option<i64>,
    /// The last minute with a successful call.
    pub last_success_minute: Option<i64>,
}

/// One line of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChecklistItem {
    /// Stable code.
    pub code: String,
    /// What is asked.
    pub label: String,
    /// Whether it is met.
    pub is_met: bool,
    /// Where it stands, or what to do.
    pub detail: String,
}

/// What the policy saw and said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Findings {
    /// Each line with its reason, in the order it was looked at.
    pub reasons: Vec<String>,
    /// The checklist as it stood.
    pub checklist: Vec<ChecklistItem>,
    /// When a change of plan takes effect that was asked for the period's end.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::encoding::optional_time"
    )]
    #[schemars(with = "Option<String>")]
    pub takes_effect: Option<i64>,
}

/// What follows from a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Yes, no, or a person.
    pub verdict: Verdict,
    /// Printed reasons; the last is the one that decided.
    pub reasons: Vec<String>,
}

/// The checklist for going live; a plan with a price asks for billing details as well.
pub fn checklist(rules: &ChecklistRules, is_priced: bool, facts: &Facts) -> Vec<ChecklistItem> {
    let sandbox = &facts.sandbox;
    let mut items = Vec::new();
    let mut add = |code: &str, label: &str, is_met: bool, detail: String| {
        items.push(ChecklistItem {
            code: code.to_owned(),
            label: label.to_owned(),
            is_met,
            detail,
        });
    };
    let missing = &facts.outstanding_agreements;
    add(
        "agreements",
        "Agreements accepted",
        missing.is_empty(),
        if missing.is_empty() {
            "All are accepted.".to_owned()
        } else {
            format!("Still to accept: {}.", missing.join(", "))
        },
    );
    if is_priced {
        let missing = &facts.missing_billing_details;
        add(
            "billing_details",
            "Billing details given",
            missing.is_empty(),
            if missing.is_empty() {
                "They stand on the invoices.".to_owned()
            } else {
                format!("Still to give under Billing: {}.", missing.join(", "))
            },
        );
    }
    if rules.successful_calls > 0 {
        let wanted = u64::from(rules.successful_calls);
        add(
            "successful_calls",
            "Successful sandbox calls",
            sandbox.successes >= wanted,
            format!("{} of {wanted}.", sandbox.successes.min(wanted)),
        );
    }
    if rules.client_error_handled {
        add_handled(
            &mut add,
            "client_error_handled",
            "A client error met and handled",
            sandbox.last_client_error_minute,
            sandbox,
        );
    }
    if rules.rate_limit_handled {
        add_handled(
            &mut add,
            "rate_limit_handled",
            "A rate limit met and handled",
            sandbox.last_rate_limit_minute,
            sandbox,
        );
    }
    items
}

fn add_handled(
    add: &mut impl FnMut(&str, &str, bool, String),
    code: &str,
    label: &str,
    met: Option<i64>,
    sandbox: &SandboxFacts,
) {
    let handled = met.is_some_and(|met| {
        sandbox
            .last_success_minute
            .is_some_and(|success| success >= met)
    });
    let detail = match (met, handled) {
        (None, _) => "Not met yet: provoke one in the sandbox.",
        (Some(_), false) => "Met; make a successful call after it.",
        (Some(_), true) => "Met, and calls succeeded after it.",
    };
    add(code, label, handled, detail.to_owned());
}

/// What several policies say together: a refusal counts most, then a person's word.
pub fn all_of(decisions: Vec<Decision>) -> Decision {
    let weight = |verdict: Verdict| match verdict {
        Verdict::Approve => 0,
        Verdict::Ask => 1,
        Verdict::Refuse => 2,
    };
    let mut all = Decision {
        verdict: Verdict::Approve,
        reasons: Vec::new(),
    };
    let mut deciding = String::new();
    for decision in decisions {
        let last = decision.reasons.last().cloned().unwrap_or_default();
        if deciding.is_empty() || weight(decision.verdict) > weight(all.verdict) {
            all.verdict = decision.verdict;
            deciding = last;
        }
        all.reasons.extend(decision.reasons);
    }
    // The last reason is the one that decided.
    if all.reasons.last() != Some(&deciding) {
        all.reasons.push(deciding);
    }
    all
}

/// Two checklists as one: of a line that both have, the one that is not met.
pub fn merge_checklists(
    mut first: Vec<ChecklistItem>,
    second: Vec<ChecklistItem>,
) -> Vec<ChecklistItem> {
    for item in second {
        match first.iter_mut().find(|known| known.code == item.code) {
            Some(known) if known.is_met => *known = item,
            Some(_) => {}
            None => first.push(item),
        }
    }
    first
}

/// What a policy says to these facts.
pub fn decide(policy: &ApprovalPolicy, facts: &Facts, now_ms: i64) -> Decision {
    match policy {
        ApprovalPolicy::Automatic => Decision {
            verdict: Verdict::Approve,
            reasons: vec!["The plan needs no approval.".to_owned()],
        },
        ApprovalPolicy::Manual { .. } => Decision {
            verdict: Verdict::Ask,
            reasons: vec!["The plan says that a person decides.".to_owned()],
        },
        ApprovalPolicy::Rules {
            rules, otherwise, ..
        } => decide_by_rules(rules, *otherwise, facts, now_ms),
    }
}

fn decide_by_rules(rules: &[Rule], otherwise: Verdict, facts: &Facts, now_ms: i64) -> Decision {
    let mut reasons = Vec::new();
    for (number, rule) in (1..).zip(rules) {
        let values = values_of(rule.fact, facts, now_ms);
        let value = if values.is_empty() {
            "none".to_owned()
        } else {
            values.join(", ")
        };
        if values.iter().any(|value| applies(&rule.is, value)) {
            reasons.push(format!(
                "Rule {number} applies ({}: {value}): {}",
                name(rule.fact),
                rule.reason
            ));
            return Decision {
                verdict: rule.then,
                reasons,
            };
        }
        reasons.push(format!(
            "Rule {number} does not apply ({}: {value}).",
            name(rule.fact)
        ));
    }
    let last = match otherwise {
        Verdict::Approve => "No rule applies; the plan approves then.",
        Verdict::Refuse => "No rule applies; the plan refuses then.",
        Verdict::Ask => "No rule applies; a person decides.",
    };
    reasons.push(last.to_owned());
    Decision {
        verdict: otherwise,
        reasons,
    }
}

fn name(fact: Fact) -> String {
    serde_json::to_value(fact)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// A fact as texts, mostly one; numbers without a unit.
fn values_of(fact: Fact, facts: &Facts, now_ms: i64) -> Vec<String> {
    let sandbox = &facts.sandbox;
    let percent = |part: u64, whole: u64| (part * 100).checked_div(whole).unwrap_or(0).to_string();
    let value = match fact {
        Fact::Tags => return facts.tags.clone(),
        Fact::Tier => facts.tier.clone(),
        Fact::EmailDomain => facts.email_domain.clone(),
        Fact::PartnerType => facts.partner_type.clone(),
        Fact::AgreementsAccepted => facts.outstanding_agreements.is_empty().to_string(),
        Fact::SandboxCalls => sandbox.calls.to_string(),
        Fact::SandboxSuccessRate => percent(sandbox.successes, sandbox.calls),
        Fact::OperationsTried => percent(sandbox.operations_tried, sandbox.operations),
        Fact::AppAgeDays => {
            (now_ms.saturating_sub(facts.app_created_at_ms) / 86_400_000).to_string()
        }
        Fact::AppSuspended => facts.app_suspended.to_string(),
    };
    vec![value]
}

fn applies(condition: &Condition, value: &str) -> bool {
    let number = value.parse::<f64>();
    match condition {
        Condition::Equals(text) => text.eq_ignore_ascii_case(value),
        Condition::OneOf(texts) => texts.iter().any(|text| text.eq_ignore_ascii_case(value)),
        Condition::AtLeast(bound) => number.is_ok_and(|number| number >= *bound),
        Condition::Below(bound) => number.is_ok_and(|number| number < *bound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(fact: Fact, is: Condition, then: Verdict) -> Rule {
        Rule {
            fact,
            is,
            then,
            reason: "because".to_owned(),
        }
    }

    fn rules(rules: Vec<Rule>) -> ApprovalPolicy {
        ApprovalPolicy::Rules {
            rules,
            otherwise: Verdict::Ask,
            sla_hours: 24,
        }
    }

    #[test]
    fn the_first_rule_that_applies_decides_and_every_line_has_its_reason() {
        let policy = rules(vec![
            rule(
                Fact::EmailDomain,
                Condition::OneOf(vec!["bad.example".to_owned()]),
                Verdict::Refuse,
            ),
            rule(
                Fact::SandboxSuccessRate,
                Condition::AtLeast(90.0),
                Verdict::Approve,
            ),
        ]);
        let mut facts = Facts {
            email_domain: "good.example".to_owned(),
            ..Facts::default()
        };
        facts.sandbox = SandboxFacts {
            calls: 10,
            successes: 9,
            ..SandboxFacts::default()
        };
        let decision = decide(&policy, &facts, 0);
        assert_eq!(decision.verdict, Verdict::Approve);
        assert_eq!(
            decision.reasons,
            [
                "Rule 1 does not apply (email_domain: good.example).",
                "Rule 2 applies (sandbox_success_rate: 90): because",
            ]
        );
        facts.email_domain = "BAD.example".to_owned();
        assert_eq!(decide(&policy, &facts, 0).verdict, Verdict::Refuse);
        facts = Facts::default();
        assert_eq!(decide(&policy, &facts, 0).verdict, Verdict::Ask);
    }

    #[test]
    fn an_error_counts_as_handled_once_a_call_succeeds_after_it() {
        let all = ChecklistRules {
            successful_calls: 2,
            client_error_handled: true,
            rate_limit_handled: true,
        };
        let mut facts = Facts {
            sandbox: SandboxFacts {
                successes: 5,
                last_client_error_minute: Some(10),
                last_success_minute: Some(9),
                ..SandboxFacts::default()
            },
            ..Facts::default()
        };
        let met = |facts: &Facts| -> Vec<bool> {
            checklist(&all, false, facts)
                .iter()
                .map(|item| item.is_met)
                .collect()
        };
        assert_eq!(met(&facts), [true, true, false, false]);
        facts.sandbox.last_success_minute = Some(10);
        facts.sandbox.last_rate_limit_minute = Some(3);
        facts.outstanding_agreements = vec!["Terms".to_owned()];
        assert_eq!(met(&facts), [false, true, true, true]);
    }

    #[test]
    fn tier_and_tags_are_facts_and_one_of_several_tags_is_enough() {
        let policy = rules(vec![
            rule(
                Fact::Tags,
                Condition::Equals("Pilot".to_owned()),
                Verdict::Approve,
            ),
            rule(
                Fact::Tier,
                Condition::OneOf(vec!["gold".to_owned(), "silver".to_owned()]),
                Verdict::Refuse,
            ),
        ]);
        let mut facts = Facts {
            tier: "silver".to_owned(),
            ..Facts::default()
        };
        let decision = decide(&policy, &facts, 0);
        assert_eq!(decision.verdict, Verdict::Refuse);
        assert_eq!(decision.reasons[0], "Rule 1 does not apply (tags: none).");
        facts.tags = vec!["emea".to_owned(), "pilot".to_owned()];
        let decision = decide(&policy, &facts, 0);
        assert_eq!(
            decision.reasons,
            ["Rule 1 applies (tags: emea, pilot): because"]
        );
        facts.tags.clear();
        facts.tier = "bronze".to_owned();
        assert_eq!(decide(&policy, &facts, 0).verdict, Verdict::Ask);
    }

    #[test]
    fn a_plan_with_a_price_asks_for_billing_details() {
        let mut facts = Facts {
            missing_billing_details: vec!["address".to_owned(), "country".to_owned()],
            ..Facts::default()
        };
        let item = |facts: &Facts, is_priced: bool| {
            checklist(&ChecklistRules::default(), is_priced, facts)
                .into_iter()
                .find(|item| item.code == "billing_details")
        };
        assert_eq!(item(&facts, false), None);
        let open = item(&facts, true).unwrap();
        assert!(!open.is_met && open.detail.ends_with("address, country."));
        facts.missing_billing_details.clear();
        assert!(item(&facts, true).unwrap().is_met);
    }

    proptest! {
        #[test]
        fn a_policy_always_gives_a_reason(calls: u32, successes: u32, bound in 0.0f64..200.0) {
            let policy = rules(vec![rule(Fact::SandboxSuccessRate, Condition::Below(bound), Verdict::Refuse)]);
            let mut facts = Facts::default();
            facts.sandbox.calls = u64::from(calls);
            facts.sandbox.successes = u64::from(successes.min(calls));
            let decision = decide(&policy, &facts, 0);
            prop_assert!(!decision.reasons.is_empty());
            prop_assert_eq!(&decision, &decide(&policy, &facts, 0));
        }
    }
}
