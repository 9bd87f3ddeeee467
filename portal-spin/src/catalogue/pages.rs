//! The public catalogue: products, and their plans side by side.

use askama::Template;
use serde_json::Value;

use super::model::{PlanView, ProductView};
use super::products;
use super::routes::{is_visible, visible_products};
use super::terms::{ApprovalPolicy, PlanTerms};
use super::views::{Viewer, view};
use crate::billing::charges::Charge;
use crate::context::Context;
use crate::encoding::grouped;
use crate::partners::Reach;
use crate::routes::Outcome;
use crate::web::{Failure, Page, response};
use shared::plan::QuotaEnforcement;

#[derive(Template)]
#[template(path = "catalogue/templates/catalogue.html")]
struct CataloguePage {
    page: Page,
    products: Vec<ProductView>,
}

struct Tier {
    name: String,
    summary: String,
    facts: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "catalogue/templates/product.html")]
struct ProductPage {
    page: Page,
    product: ProductView,
    tiers: Vec<Tier>,
}

/// `GET /products`
pub async fn show_catalogue(context: &Context) -> Outcome {
    let shown = visible_products(context).await?;
    response::html(&CataloguePage {
        page: Page::new(context, "Products"),
        products: shown,
    })
}

/// `GET /products/{product_slug}`
pub async fn show_product(context: &Context) -> Outcome {
    let reach = Reach::of_caller(context).await?;
    let product = products::find_by_slug(&context.connection, context.path_text("product_slug"))
        .await?
        .filter(|product| is_visible(context, &reach, product))
        .ok_or_else(Failure::not_found)?;
    let product = view(context, &product, &Viewer::Partner(&reach)).await?;
    let tiers = product.plans.iter().map(tier).collect();
    response::html(&ProductPage {
        page: Page::new(context, &product.name).named(),
        tiers,
        product,
    })
}

fn tier(plan: &PlanView) -> Tier {
    let terms = &plan.terms;
    let mut facts = vec![
        ("Price", cost_in_words(terms)),
        ("Billing periods", terms.period_rule().describe()),
    ];
    facts.push(("Allowance", allowance_in_words(terms)));
    let limits: Vec<String> = terms
        .rate_limits
        .iter()
        .map(|limit| match limit.window_secs {
            1 => format!("{} a second", grouped(limit.limit.into())),
            60 => format!("{} a minute", grouped(limit.limit.into())),
            secs => format!("{} in {secs} s", grouped(limit.limit.into())),
        })
        .collect();
    facts.push((
        "Rate limits",
        if limits.is_empty() {
            "none".to_owned()
        } else {
            limits.join(", ")
        },
    ));
    if terms.trial_days > 0 {
        facts.push(("Trial", format!("{} days", terms.trial_days)));
    }
    facts.push((
        "Going live",
        match &terms.approval {
            ApprovalPolicy::Automatic => "at once, when the checklist is green".to_owned(),
            other => format!("by approval, within {} h", other.sla_hours()),
        },
    ));
    Tier {
        name: plan.name.clone(),
        summary: plan.summary.clone(),
        facts,
    }
}

fn allowance_in_words(terms: &PlanTerms) -> String {
    let Some(quota) = &terms.quota else {
        return "without limit".to_owned();
    };
    let beyond = match quota.enforcement {
        QuotaEnforcement::Hard => "then calls are refused".to_owned(),
        QuotaEnforcement::Soft => "more is charged".to_owned(),
        QuotaEnforcement::Corridor { ceiling_percent } => {
            format!("more is charged up to {ceiling_percent} %")
        }
    };
    format!(
        "{} units a {}, {beyond}",
        grouped(quota.limit),
        terms.cycle.noun()
    )
}

/// All that a plan charges as one line; the full form stands in the API.
pub fn cost_in_words(terms: &PlanTerms) -> String {
    let noun = terms.cycle.noun();
    let mut parts: Vec<String> = terms
        .charges
        .iter()
        .filter_map(|charge| match charge {
            Charge::Recurring {
                currency, amount, ..
            } => Some(format!("{amount} {currency} a {noun} in advance")),
            Charge::OneOff {
                name,
                currency,
                amount,
            } => Some(format!("{amount} {currency} once ({name})")),
            Charge::Usage { .. } => None,
        })
        .collect();
    let usage = price_in_words(terms.price.as_ref(), noun);
    if parts.is_empty() || usage != FREE {
        parts.push(usage);
    }
    for charge in &terms.charges {
        if let Charge::Usage { name, price, .. } = charge {
            parts.push(format!("{name}: {}", price_in_words(Some(price), noun)));
        }
    }
    parts.join("; ")
}

const FREE: &str = "free"; // shown

/// A price as one line.
fn price_in_words(price: Option<&Value>, noun: &str) -> String {
    let Some(price) = price else {
        return "not stated".to_owned();
    };
    let words = model_in_words(price, noun);
    match price.get("included_units").and_then(Value::as_str) {
        Some(units) if units != "0" => {
            format!("{} units included, then {words}", grouped_text(units))
        }
        _ => words,
    }
}

fn model_in_words(price: &Value, noun: &str) -> String {
    let text = |value: &Value, name: &str| {
        value
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let currency = text(price, "currency");
    match text(price, "model").as_str() {
        "flat" => {
            let amount = text(price, "flat_amount");
            if amount.chars().all(|digit| matches!(digit, '0' | '.')) {
                FREE.to_owned()
            } else {
                format!("{amount} {currency} a {noun}")
            }
        }
        "per_unit" => format!("{} {currency} a unit", text(price, "unit_amount")),
        "package" => format!(
            "{} {currency} for {} units",
            text(price, "package_amount"),
            grouped_text(&text(price, "package_size"))
        ),
        "percentage" => format!("a share of {}", text(price, "rate")),
        _ => tiers_in_words(price, &currency),
    }
}

/// A whole number in groups of three digits; any other text as it is.
fn grouped_text(number: &str) -> String {
    number.parse().map_or_else(|_| number.to_owned(), grouped)
}

fn tiers_in_words(price: &Value, currency: &str) -> String {
    let tiers = price
        .get("tiers")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let parts: Vec<String> = tiers
        .iter()
        .map(|tier| {
            let amount = |name: &str| tier.get(name).and_then(Value::as_str);
            let mut costs = Vec::new();
            if let Some(flat) = amount("flat_amount") {
                costs.push(format!("{flat} {currency}"));
            }
            if let Some(unit) = amount("unit_amount") {
                costs.push(format!("{unit} {currency} a unit"));
            }
            let bound = amount("up_to").map_or("beyond".to_owned(), |bound| {
                format!("up to {} units", grouped_text(bound))
            });
            format!("{bound}: {}", costs.join(" and "))
        })
        .collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prices_read_as_a_sentence() {
        for (price, words) in [
            (
                json!({ "model": "flat", "currency": "EUR", "flat_amount": "0.00" }),
                "free",
            ),
            (
                json!({ "model": "flat", "currency": "EUR", "flat_amount": "49" }),
                "49 EUR a month",
            ),
            (
                json!({ "model": "graduated", "currency": "USD", "tiers": [
                    { "up_to": "1000", "flat_amount": "49" }, { "up_to": null, "unit_amount": "0.01" }
                ] }),
                "up to 1\u{202f}000 units: 49 USD; beyond: 0.01 USD a unit",
            ),
        ] {
            assert_eq!(price_in_words(Some(&price), "month"), words);
        }
    }

    #[test]
    fn a_plan_says_everything_that_it_charges() {
        let terms: PlanTerms = serde_json::from_value(json!({
            "cycle": "week",
            "price": { "model": "per_unit", "currency": "USD", "unit_amount": "0.01", "included_units": "5000" },
            "charges": [
                { "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "49" },
                { "kind": "one_off", "name": "Set-up", "currency": "USD", "amount": "10" },
                { "kind": "usage", "name": "Rows", "price": { "model": "flat", "currency": "USD", "flat_amount": "1" } }
            ]
        }))
        .unwrap();
        assert_eq!(
            cost_in_words(&terms),
            "49 USD a week in advance; 10 USD once (Set-up); 5\u{202f}000 units included, then 0.01 USD a unit; Rows: 1 USD a week"
        );
    }
}
