//! Approval rules as rows of a form: if this fact is so, then that, because.

use serde_json::{Value, json};

use super::form_fields::{Faults, Values, filled_rows, name_in_row, text_of};
use super::terms::ApprovalPolicy;
use crate::web::forms::Form;

/// Rows that the form offers beyond those that are filled.
const MORE: usize = 2;
/// Rows that are read at most.
const MOST: usize = 40;
const PARTS: [&str; 3] = ["fact", "value", "reason"];

/// Facts with what they are called on the page.
pub const FACTS: &[(&str, &str)] = &[
    ("", "no rule"),
    ("email_domain", "e-mail domain"),
    ("partner_type", "partner type"),
    ("tier", "tier"),
    ("tags", "tags"),
    ("agreements_accepted", "agreements accepted (true, false)"),
    ("sandbox_calls", "sandbox calls"),
    ("sandbox_success_rate", "sandbox success in percent"),
    ("operations_tried", "operations tried in percent"),
    ("app_age_days", "age of the app in days"),
    ("app_suspended", "app suspended (true, false)"),
];
/// Conditions with what they are called on the page.
pub const CONDITIONS: &[(&str, &str)] = &[
    ("equals", "is"),
    ("one_of", "is one of (commas between)"),
    ("at_least", "is at least"),
    ("below", "is below"),
];
/// Verdicts with what they are called on the page.
pub const VERDICTS: &[(&str, &str)] = &[
    ("approve", "approve"),
    ("refuse", "refuse"),
    ("ask", "ask a person"),
];

/// What the rows show of a policy.
pub fn values(policy: &ApprovalPolicy) -> Values {
    let ApprovalPolicy::Rules {
        rules, otherwise, ..
    } = policy
    else {
        return Values::new();
    };
    let name = |value: Value| text_of(Some(&value));
    let mut values = vec![("otherwise".to_owned(), name(json!(otherwise)))];
    for (row, rule) in rules.iter().enumerate() {
        let (condition, value) = match json!(rule.is).as_object().and_then(|is| is.iter().next()) {
            Some((condition, Value::Array(texts))) => {
                let texts: Vec<String> = texts.iter().map(|text| text_of(Some(text))).collect();
                (condition.clone(), texts.join(", "))
            }
            Some((condition, value)) => (condition.clone(), text_of(Some(value))),
            None => continue,
        };
        for (part, value) in [
            ("fact", name(json!(rule.fact))),
            ("condition", condition),
            ("value", value),
            ("then", name(json!(rule.then))),
            ("reason", rule.reason.clone()),
        ] {
            values.push((format!("rule_{row}_{part}"), value));
        }
    }
    values
}

/// The rows that the form shows.
pub fn rows(policy: &ApprovalPolicy) -> Vec<usize> {
    let filled = match policy {
        ApprovalPolicy::Rules { rules, .. } => rules.len(),
        _ => 0,
    };
    (0..filled + MORE).collect()
}

fn filled(form: &Form) -> Vec<usize> {
    filled_rows(form, "rule", &PARTS, MOST)
}

/// `rules` and `otherwise` as a form's rows say.
pub fn read(form: &Form, faults: &mut Faults) -> (Value, Value) {
    let rules = filled(form)
        .into_iter()
        .map(|row| rule(form, row, faults))
        .collect();
    let otherwise = match form.text("otherwise").as_str() {
        "" => "ask".to_owned(),
        given => given.to_owned(),
    };
    (Value::Array(rules), json!(otherwise))
}

fn rule(form: &Form, row: usize, faults: &mut Faults) -> Value {
    let cell = |part: &str| form.text(&format!("rule_{row}_{part}"));
    let (fact, value) = (cell("fact"), cell("value"));
    if fact.is_empty() {
        let detail = "Choose what the rule looks at, or empty the row.";
        faults.add(&format!("rule_{row}_fact"), "required", detail.to_owned());
    }
    let is = match cell("condition").as_str() {
        "one_of" => {
            let texts: Vec<&str> = value
                .split(',')
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .collect();
            json!({ "one_of": texts })
        }
        bound @ ("at_least" | "below") => {
            let number: f64 = value.parse().unwrap_or_else(|_| {
                let field = format!("rule_{row}_value");
                faults.add(&field, "not_a_number", "Give a number.".to_owned());
                0.0
            });
            json!({ bound: number })
        }
        _ => json!({ "equals": value }),
    };
    let then = match cell("then").as_str() {
        "" => "ask".to_owned(),
        given => given.to_owned(),
    };
    json!({ "fact": fact, "is": is, "then": then, "reason": cell("reason") })
}

/// The form's name of what `terms.` calls `approval…`.
pub fn field_of(below: &str, form: &Form) -> String {
    let named = below
        .strip_prefix("approval.rules")
        .and_then(|place| name_in_row(place, "rule", &filled(form)));
    match named {
        Some(name) => name
            .strip_suffix("_is")
            .map_or(name.clone(), |row| format!("{row}_value")),
        None => "approval".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_back_from_their_rows_as_they_were() {
        let rules = json!([
            { "fact": "email_domain", "is": { "one_of": ["a.example", "b.example"] }, "then": "refuse", "reason": "no" },
            { "fact": "tags", "is": { "equals": "pilot" }, "then": "approve", "reason": "a pilot" },
            { "fact": "sandbox_success_rate", "is": { "at_least": 80.5 }, "then": "ask", "reason": "look" },
            { "fact": "app_age_days", "is": { "below": 2.0 }, "then": "ask", "reason": "new" },
        ]);
        let policy = json!({ "mode": "rules", "rules": rules, "otherwise": "refuse" });
        let policy: ApprovalPolicy = serde_json::from_value(policy).unwrap();
        let mut faults = Faults::default();
        let (read, otherwise) = read(&Form::of(&values(&policy)), &mut faults);
        assert_eq!((read, otherwise), (rules, json!("refuse")));
        faults.check().unwrap();
        assert_eq!(rows(&policy).len(), 6);
    }

    #[test]
    fn every_fact_of_the_terms_can_be_chosen() {
        use schemars::JsonSchema;
        let schema =
            super::super::terms::Fact::json_schema(&mut schemars::SchemaGenerator::default());
        let text = serde_json::to_string(&schema).unwrap();
        for (fact, _) in FACTS.iter().skip(1) {
            assert!(text.contains(&format!("\"{fact}\"")), "{fact} is no fact");
        }
        assert_eq!(text.matches("\"const\"").count(), FACTS.len() - 1, "{text}");
    }

    #[test]
    fn a_row_that_cannot_be_read_is_named() {
        let typed = Form::of(&[
            ("rule_2_fact".to_owned(), "sandbox_calls".to_owned()),
            ("rule_2_condition".to_owned(), "below".to_owned()),
            ("rule_2_value".to_owned(), "many".to_owned()),
            ("rule_3_reason".to_owned(), "because".to_owned()),
        ]);
        let mut faults = Faults::default();
        read(&typed, &mut faults);
        let fields: Vec<String> = faults
            .check()
            .unwrap_err()
            .errors
            .into_iter()
            .map(|error| error.field)
            .collect();
        assert_eq!(fields, ["rule_2_value", "rule_3_fact"]);
        assert_eq!(field_of("approval.rules[0].is", &typed), "rule_2_value");
        assert_eq!(
            field_of("approval.rules[1].reason", &typed),
            "rule_3_reason"
        );
        assert_eq!(field_of("approval", &typed), "approval");
    }
}
