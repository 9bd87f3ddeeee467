//! What a price may look like, and what its errors say.

use super::price::Price;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn problem(price: Value) -> String {
    Price::from_json(&price).unwrap_err().to_string()
}

fn tiered(model: &str, tiers: Value) -> Value {
    json!({ "model": model, "currency": "USD", "tiers": tiers })
}

#[test]
fn errors_name_the_field_and_what_to_write() {
    for (price, field, advice) in [
        (json!([]), "price", "JSON object"),
        (json!({}), "price.model", "write one of flat, per_unit"),
        (
            json!({"model":"bulk"}),
            "price.model",
            "\"bulk\" is no model",
        ),
        (
            json!({"model":"flat","flat_amount":"1"}),
            "price.currency",
            "like \"USD\"",
        ),
        (
            json!({"model":"flat","flat_amount":"1","currency":"XYZ"}),
            "price.currency",
            "not an ISO 4217",
        ),
        (
            json!({"model":"flat","currency":"USD"}),
            "price.flat_amount",
            "is missing",
        ),
        (
            json!({"model":"flat","currency":"USD","flat_amount":null}),
            "price.flat_amount",
            "is missing",
        ),
        (
            json!({"model":"flat","currency":"USD","flat_amount":"-1"}),
            "price.flat_amount",
            "must not be negative",
        ),
        (
            json!({"model":"flat","currency":"USD","flat_amount":"1,5"}),
            "price.flat_amount",
            "like \"12.50\"",
        ),
        (
            json!({"model":"flat","currency":"USD","flat_amount":"1e1000000000"}),
            "price.flat_amount",
            "is written with an exponent",
        ),
        (
            json!({"model":"flat","currency":"USD","flat_amount":10}),
            "price.flat_amount",
            "as a string, like \"10\"",
        ),
        (
            json!({"model":"flat","currency":"USD","flat_amount":10.5}),
            "price.flat_amount",
            "as a string, like \"12.50\"",
        ),
        (
            json!({"model":"flat","currency":"USD","flat_amount":true}),
            "price.flat_amount",
            "must be a decimal number in a string",
        ),
        (
            json!({"model":"flat","currency":"USD","flat_amount":"1","unit_amount":"1"}),
            "price.unit_amount",
            "is not a field of a flat price",
        ),
        (
            json!({"model":"flat","currency":"USD","flat_amount":"1","minimun":"1"}),
            "price.minimun",
            "remove it, or use one of",
        ),
        (
            json!({"model":"flat","currency":"USD","flat_amount":"1","zero_usage":"never"}),
            "price.zero_usage",
            "\"charge_flat\" or \"skip\"",
        ),
        (
            json!({"model":"flat","currency":"USD","flat_amount":"1","minimum":"5","maximum":"4"}),
            "price.minimum",
            "more than maximum (4)",
        ),
        (
            json!({"model":"flat","currency":"USD","flat_amount":"1","included_units":1.5}),
            "price.included_units",
            "as a string",
        ),
        (
            json!({"model":"per_unit","currency":"USD"}),
            "price.unit_amount",
            "is missing",
        ),
        (
            json!({"model":"package","currency":"USD","package_amount":"1","package_size":"0"}),
            "price.package_size",
            "more than 0",
        ),
        (
            json!({"model":"package","currency":"USD","package_amount":"1"}),
            "price.package_size",
            "is missing",
        ),
        (
            json!({"model":"percentage","currency":"USD","rate":"1.3%"}),
            "price.rate",
            "not a decimal number",
        ),
        (
            json!({"model":"percentage","currency":"USD","rate":"0.1","free_events":"1.5"}),
            "price.free_events",
            "write a whole number",
        ),
        (
            tiered("volume", json!([])),
            "price.tiers",
            "at least one tier",
        ),
        (tiered("volume", json!({})), "price.tiers", "list of tiers"),
        (
            json!({"model":"volume","currency":"USD"}),
            "price.tiers",
            "is missing",
        ),
        (
            tiered("volume", json!([{"unit_amount":"1"}])),
            "price.tiers[0].up_to",
            "or null for the last tier",
        ),
        (
            tiered("volume", json!([{"up_to":null}])),
            "price.tiers[0]",
            "neither flat_amount nor unit_amount",
        ),
        (
            tiered(
                "volume",
                json!([{"up_to":null,"unit_amount":"1"},{"up_to":"5","unit_amount":"1"}]),
            ),
            "price.tiers[0].up_to",
            "only the last tier",
        ),
        (
            tiered(
                "graduated",
                json!([{"up_to":"5","unit_amount":"1"},{"up_to":"5","unit_amount":"1"}]),
            ),
            "price.tiers[1].up_to",
            "ascending order",
        ),
        (
            tiered(
                "graduated",
                json!([{"up_to":"5","unit_amount":"1","price":"1"}]),
            ),
            "price.tiers[0].price",
            "is not a field of a tier",
        ),
        (
            tiered("stairstep", json!([{"up_to":null,"unit_amount":"1"}])),
            "price.tiers[0].unit_amount",
            "is not a field of a stairstep tier",
        ),
        (
            tiered("stairstep", json!([{"up_to":null}])),
            "price.tiers[0].flat_amount",
            "one flat_amount",
        ),
    ] {
        let text = problem(price.clone());
        assert!(text.starts_with(&format!("{field}: ")), "{price}: {text}");
        assert!(text.contains(advice), "{price}: {text}");
    }
}

#[test]
fn counts_may_be_json_integers() {
    let text = json!({"model":"package","currency":"USD","package_amount":"15","package_size":"10","free_units":"3"});
    let integers = json!({"model":"package","currency":"USD","package_amount":"15","package_size":10,"free_units":3});
    assert_eq!(
        Price::from_json(&integers).unwrap(),
        Price::from_json(&text).unwrap()
    );
}

#[test]
fn a_plan_must_price_every_quantity() {
    let bounded = Price::from_json(&tiered(
        "stairstep",
        json!([{"up_to":"10","flat_amount":"1"},{"up_to":"20","flat_amount":"2"}]),
    ))
    .unwrap();
    let problem = bounded.check_open_ended().unwrap_err();
    assert_eq!(problem.field, "price.tiers[1].up_to");
    let open = Price::from_json(&tiered(
        "stairstep",
        json!([{"up_to":"10","flat_amount":"1"},{"up_to":null,"flat_amount":"2"}]),
    ))
    .unwrap();
    assert_eq!(open.check_open_ended(), Ok(()));
}

#[test]
fn amounts_keep_their_digits_in_json() {
    let written =
        json!({"model":"per_unit","currency":"USD","unit_amount":"1.50","minimum":"10.0"});
    assert_eq!(Price::from_json(&written).unwrap().to_json(), written);
}

#[test]
fn hostile_numbers_cost_nothing() {
    let started = Instant::now();
    let long = "9".repeat(1_000_000);
    for amount in [
        "1e1000000000",
        "1E+999999999",
        "0.1e-1000000000",
        long.as_str(),
    ] {
        let text = problem(json!({"model":"per_unit","currency":"USD","unit_amount":amount}));
        assert!(text.len() < 300, "the error does not repeat the number");
    }
    let many: Vec<Value> = (1..=1_001)
        .map(|bound| json!({"up_to":bound.to_string(),"unit_amount":"1"}))
        .collect();
    assert!(problem(tiered("volume", json!(many))).contains("at most 1000"));
    assert!(started.elapsed() < Duration::from_secs(2));
}
