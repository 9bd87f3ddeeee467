//! A plan as an HTML form: what its fields show, what they say, and which field an error belongs to.

use serde_json::{Map, Value, json};
use shared::plan::{QuotaEnforcement, RateLimitScope, WithoutLease};

use super::form_fields::{Faults, text_of};
use super::model::Plan;
use super::terms::ApprovalPolicy;
use super::{PlanBody, charge_form, price_form, rule_form};
use crate::web::Failure;
use crate::web::forms::{Form, Shown};

/// What shares one rate limit.
pub const LIMIT_PER: &[(&str, &str)] = &[
    ("subscription", "all keys together"),
    ("credential", "each key"),
    ("operation", "each operation"),
];

/// Where a rate limit is enforced.
pub const LIMIT_EDGES: &[(&str, &str)] = &[
    ("each", "each gateway has it whole"),
    ("all", "all gateways share it"),
];

/// What a gateway does with a call when its lease is spent and the next one is on its way.
pub const WITHOUT_LEASE: &[(&str, &str)] = &[
    ("wait", "hold the call for a moment"),
    ("refuse", "refuse the call"),
    ("overdraft", "let so many units more through"),
];

/// How many rate limits the form offers.
pub const LIMITS: usize = 3;

/// The form of a plan as it stands.
pub fn shown(plan: &Plan) -> Shown {
    let terms = &plan.terms;
    let mut values: Vec<(String, String)> = vec![
        ("name".to_owned(), plan.name.clone()),
        ("summary".to_owned(), plan.summary.clone()),
        ("position".to_owned(), plan.position.to_string()),
        ("is_default".to_owned(), ticked(plan.is_default)),
        ("trial_days".to_owned(), terms.trial_days.to_string()),
        ("cycle".to_owned(), terms.cycle.as_str().to_owned()),
        (
            "week_starts_on".to_owned(),
            terms.week_starts_on.as_str().to_owned(),
        ),
        ("time_zone".to_owned(), terms.time_zone.clone()),
        (
            "proration".to_owned(),
            text_of(Some(&json!(terms.proration))),
        ),
        ("keeps_unserved".to_owned(), ticked(terms.keeps_unserved)),
        (
            "successful_calls".to_owned(),
            terms.checklist.successful_calls.to_string(),
        ),
        (
            "client_error_handled".to_owned(),
            ticked(terms.checklist.client_error_handled),
        ),
        (
            "rate_limit_handled".to_owned(),
            ticked(terms.checklist.rate_limit_handled),
        ),
        (
            "sla_hours".to_owned(),
            terms.approval.sla_hours().to_string(),
        ),
    ];
    let mode = match &terms.approval {
        ApprovalPolicy::Automatic => "automatic",
        ApprovalPolicy::Manual { .. } => "manual",
        ApprovalPolicy::Rules { .. } => "rules",
    };
    values.push(("approval".to_owned(), mode.to_owned()));
    values.extend(rule_form::values(&terms.approval));
    values.extend(price_form::values(terms.price.as_ref()));
    values.extend(charge_form::values(&terms.charges));
    if let Some(quota) = &terms.quota {
        values.push(("quota_limit".to_owned(), quota.limit.to_string()));
        let (kind, ceiling) = match quota.enforcement {
            QuotaEnforcement::Hard => ("hard", String::new()),
            QuotaEnforcement::Soft => ("soft", String::new()),
            QuotaEnforcement::Corridor { ceiling_percent } => {
                ("corridor", ceiling_percent.to_string())
            }
        };
        let (lease, overdraft) = match quota.without_lease {
            WithoutLease::Wait { .. } => ("wait", String::new()),
            WithoutLease::Refuse => ("refuse", String::new()),
            WithoutLease::Overdraft { units } => ("overdraft", units.to_string()),
        };
        values.push(("quota_lease".to_owned(), lease.to_owned()));
        values.push(("quota_overdraft".to_owned(), overdraft));
        values.push(("quota_kind".to_owned(), kind.to_owned()));
        values.push(("quota_ceiling".to_owned(), ceiling));
    }
    for (index, limit) in terms.rate_limits.iter().enumerate() {
        values.push((format!("limit_{index}_name"), limit.name.clone()));
        values.push((format!("limit_{index}_limit"), limit.limit.to_string()));
        values.push((
            format!("limit_{index}_window"),
            limit.window_secs.to_string(),
        ));
        let per = match limit.per {
            RateLimitScope::Subscription => "subscription",
            RateLimitScope::Credential => "credential",
            RateLimitScope::Operation => "operation",
        };
        values.push((format!("limit_{index}_per"), per.to_owned()));
        let across = if limit.across_edges { "all" } else { "each" };
        values.push((format!("limit_{index}_edges"), across.to_owned()));
    }
    let borrowed: Vec<(&str, &str)> = values
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    Shown::with_values(&borrowed)
}

fn ticked(is_ticked: bool) -> String {
    if is_ticked { "yes" } else { "" }.to_owned()
}

/// What a sent form says of a plan. What the form does not show stays as it is.
pub fn read(form: &Form, plan: &Plan) -> Result<PlanBody, Failure> {
    let mut faults = Faults::default();
    let mut terms = match serde_json::to_value(&plan.terms) {
        Ok(Value::Object(terms)) => terms,
        _ => Map::new(),
    };
    terms.insert("price".to_owned(), price_form::read(form, &mut faults));
    let charges = charge_form::read(form, &plan.terms.charges);
    terms.insert("charges".to_owned(), charges);
    terms.insert("quota".to_owned(), quota(form, &terms, &mut faults));
    let limits = rate_limits(form, plan, &mut faults);
    terms.insert("rate_limits".to_owned(), limits);
    let trial_days = faults.number("trial_days", &form.text("trial_days"));
    terms.insert("trial_days".to_owned(), json!(trial_days));
    for name in ["cycle", "week_starts_on", "time_zone", "proration"] {
        let chosen = form.text(name);
        if !chosen.is_empty() {
            terms.insert(name.to_owned(), json!(chosen));
        }
    }
    let keeps_unserved = form.is_ticked("keeps_unserved");
    terms.insert("keeps_unserved".to_owned(), json!(keeps_unserved));
    terms.insert("approval".to_owned(), approval(form, &mut faults));
    terms.insert(
        "checklist".to_owned(),
        json!({
            "successful_calls": faults.number("successful_calls", &form.text("successful_calls")),
            "client_error_handled": form.is_ticked("client_error_handled"),
            "rate_limit_handled": form.is_ticked("rate_limit_handled"),
        }),
    );
    let position = faults.number("position", &form.text("position"));
    faults.check()?;
    let terms = serde_json::from_value(Value::Object(terms)).map_err(|error| {
        // Everything is chosen, a number or a text: only a form made by hand comes here.
        Failure::field(
            "approval",
            "malformed",
            format!("These terms do not read: {error}."),
        )
    })?;
    Ok(PlanBody {
        name: Some(form.text("name")),
        summary: Some(form.text("summary")),
        position: u32::try_from(position).ok(),
        is_default: Some(form.is_ticked("is_default")),
        private_organisation_id: None,
        terms: Some(terms),
    })
}

fn quota(form: &Form, terms: &Map<String, Value>, faults: &mut Faults) -> Value {
    let limit = form.text("quota_limit");
    if limit.is_empty() {
        return Value::Null;
    }
    let mut quota = match terms.get("quota") {
        Some(Value::Object(known)) => known.clone(),
        _ => Map::new(),
    };
    // A name given by the API stays; one that says the length of the period follows it.
    let name = text_of(quota.get("name"));
    if matches!(name.as_str(), "" | "day" | "week" | "month") {
        let noun = match form.text("cycle").as_str() {
            "day" => "day",
            "week" => "week",
            _ => "month",
        };
        quota.insert("name".to_owned(), json!(noun));
    }
    quota.insert(
        "limit".to_owned(),
        json!(faults.number("quota_limit", &limit)),
    );
    let enforcement = match form.text("quota_kind").as_str() {
        "corridor" => {
            let ceiling = faults.number("quota_ceiling", &form.text("quota_ceiling"));
            json!({ "kind": "corridor", "ceiling_percent": ceiling })
        }
        "soft" => json!({ "kind": "soft" }),
        _ => json!({ "kind": "hard" }),
    };
    quota.insert("enforcement".to_owned(), enforcement);
    match form.text("quota_lease").as_str() {
        "overdraft" => {
            let units = faults.number("quota_overdraft", &form.text("quota_overdraft"));
            let overdraft = json!({ "kind": "overdraft", "units": units });
            quota.insert("without_lease".to_owned(), overdraft);
        }
        "refuse" => {
            let refuse = json!({ "kind": "refuse" });
            quota.insert("without_lease".to_owned(), refuse);
        }
        // How long is the API's to say; here it stays, or becomes the usual.
        "wait"
            if quota
                .get("without_lease")
                .and_then(|own| own.get("most_ms"))
                .is_none() =>
        {
            quota.remove("without_lease");
        }
        _ => {}
    }
    Value::Object(quota)
}

fn rate_limits(form: &Form, plan: &Plan, faults: &mut Faults) -> Value {
    let mut limits = Vec::new();
    for index in 0..LIMITS {
        let name = form.text(&format!("limit_{index}_name"));
        if name.is_empty() {
            continue;
        }
        let known = plan
            .terms
            .rate_limits
            .iter()
            .find(|limit| limit.name == name);
        let mut limit = match known.and_then(|limit| serde_json::to_value(limit).ok()) {
            Some(Value::Object(known)) => known,
            _ => Map::new(),
        };
        limit.insert("name".to_owned(), json!(name));
        for (member, field) in [("limit", "limit"), ("window_secs", "window")] {
            let field = format!("limit_{index}_{field}");
            limit.insert(
                member.to_owned(),
                json!(faults.number(&field, &form.text(&field))),
            );
        }
        let per = form.text(&format!("limit_{index}_per"));
        if !per.is_empty() {
            limit.insert("per".to_owned(), json!(per));
        }
        let across = form.text(&format!("limit_{index}_edges"));
        if !across.is_empty() {
            limit.insert("across_edges".to_owned(), json!(across == "all"));
        }
        limits.push(Value::Object(limit));
    }
    Value::Array(limits)
}

fn approval(form: &Form, faults: &mut Faults) -> Value {
    let sla_hours = || form.text("sla_hours");
    match form.text("approval").as_str() {
        "manual" => {
            json!({ "mode": "manual", "sla_hours": faults.number("sla_hours", &sla_hours()) })
        }
        "rules" => {
            let (rules, otherwise) = rule_form::read(form, faults);
            let hours = faults.number("sla_hours", &sla_hours());
            json!({ "mode": "rules", "rules": rules, "otherwise": otherwise, "sla_hours": hours })
        }
        _ => json!({ "mode": "automatic" }),
    }
}

/// The same failure with the form's names of the fields.
pub fn named_as_in_form(mut failure: Failure, form: &Form) -> Failure {
    for error in &mut failure.errors {
        let Some(below) = error.field.strip_prefix("terms.") else {
            continue;
        };
        error.field = if below.starts_with("price") {
            price_form::field_of(below, form)
        } else if below.starts_with("charges") {
            charge_form::field_of(below, form)
        } else if below == "time_zone" {
            "time_zone".to_owned()
        } else if below.starts_with("approval") {
            rule_form::field_of(below, form)
        } else if below == "quota.enforcement.ceiling_percent" {
            "quota_ceiling".to_owned()
        } else if below.starts_with("quota") {
            "quota_limit".to_owned()
        } else if let Some((index, member)) = below
            .strip_prefix("rate_limits[")
            .and_then(|rest| rest.split_once("]."))
        {
            format!("limit_{index}_{}", member.trim_end_matches("_secs"))
        } else {
            continue;
        };
    }
    failure
}
