//! The edges of each model, decided once and kept.

use super::decimal::parse_decimal;
use super::explanation::{explain, formula};
use super::price::Price;
use super::price_json::read_quantity;
use super::rating::{Commitment, Usage, rate, rate_increment};
use serde_json::{Value, json};

fn price(mut document: Value) -> Price {
    if document["currency"].is_null() {
        document["currency"] = json!("USD");
    }
    Price::from_json(&document).unwrap()
}

fn usage(quantity: &str, events: Option<u64>) -> Usage {
    Usage::new(parse_decimal(quantity).unwrap(), events).unwrap()
}

fn amounts(document: Value, quantities: &[(&str, &str)]) {
    let price = price(document.clone());
    for (quantity, amount) in quantities {
        let line = rate(&price, &usage(quantity, None)).unwrap();
        assert_eq!(line.amount_text(), *amount, "{quantity} of {document}");
    }
}

#[test]
fn every_vector_is_exact() {
    let mut rated = 0;
    for line in include_str!("fixtures/pricing.jsonl").lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let price = Price::from_json(&vector["price"]).unwrap();
        let quantity = read_quantity("quantity", &vector["quantity"]).unwrap();
        let rated_line = rate(
            &price,
            &Usage::new(quantity, vector["events"].as_u64()).unwrap(),
        )
        .unwrap();
        assert_eq!(
            rated_line.amount_text(),
            vector["amount"].as_str().unwrap(),
            "{}",
            vector["id"]
        );
        rated += 1;
    }
    assert_eq!(rated, 41);
}

#[test]
fn a_bound_belongs_to_the_tier_it_ends_and_a_fraction_past_it_to_the_next() {
    let tiers = json!([{"up_to":"5","flat_amount":"1","unit_amount":"1"},{"up_to":null,"flat_amount":"10","unit_amount":"2"}]);
    amounts(
        json!({"model":"graduated","tiers":tiers}),
        &[
            ("0", "1.00"),
            ("4.999", "6.00"),
            ("5", "6.00"),
            ("5.001", "16.00"),
            ("5.5", "17.00"),
        ],
    );
    amounts(
        json!({"model":"volume","tiers":tiers}),
        &[
            ("0", "1.00"),
            ("5", "6.00"),
            ("5.001", "20.00"),
            ("6", "22.00"),
        ],
    );
    let steps = json!([{"up_to":"5","flat_amount":"1"},{"up_to":null,"flat_amount":"10"}]);
    amounts(
        json!({"model":"stairstep","tiers":steps}),
        &[
            ("0", "1.00"),
            ("5", "1.00"),
            ("5.0000001", "10.00"),
            ("1000000", "10.00"),
        ],
    );
}

#[test]
fn skip_leaves_out_the_flat_amount_of_a_period_without_usage() {
    let tiers = json!([{"up_to":"5","flat_amount":"100","unit_amount":"1"},{"up_to":null,"unit_amount":"2"}]);
    let steps = json!([{"up_to":"5","flat_amount":"100"},{"up_to":null,"flat_amount":"200"}]);
    for (document, used) in [
        (json!({"model":"flat","flat_amount":"100"}), "100.00"),
        (json!({"model":"graduated","tiers":tiers}), "100.01"),
        (json!({"model":"volume","tiers":tiers}), "100.01"),
        (json!({"model":"stairstep","tiers":steps}), "100.00"),
    ] {
        amounts(document.clone(), &[("0", "100.00"), ("0.01", used)]);
        let mut skipping = document;
        skipping["zero_usage"] = json!("skip");
        amounts(skipping.clone(), &[("0", "0.00"), ("0.01", used)]);
        skipping["minimum"] = json!("30");
        amounts(skipping, &[("0", "30.00")]);
    }
}

#[test]
fn included_units_come_off_before_the_tiers() {
    let tiers = json!([{"up_to":"10","unit_amount":"2"},{"up_to":null,"unit_amount":"1"}]);
    amounts(
        json!({"model":"graduated","tiers":tiers,"included_units":"100"}),
        &[
            ("99", "0.00"),
            ("100", "0.00"),
            ("101", "2.00"),
            ("110", "20.00"),
            ("111", "21.00"),
        ],
    );
    amounts(
        json!({"model":"per_unit","unit_amount":"2","included_units":"0.5"}),
        &[("0.25", "0.00"), ("1", "1.00")],
    );
    amounts(
        json!({"model":"package","package_amount":"5","package_size":"10","free_units":"5","included_units":"5"}),
        &[
            ("10", "0.00"),
            ("10.1", "5.00"),
            ("20", "5.00"),
            ("20.1", "10.00"),
        ],
    );
    amounts(
        json!({"model":"stairstep","tiers":[{"up_to":"10","flat_amount":"7"},{"up_to":null,"flat_amount":"9"}],"included_units":"5","zero_usage":"skip"}),
        &[("5", "0.00"), ("6", "7.00"), ("15", "7.00"), ("16", "9.00")],
    );
}

#[test]
fn a_fee_for_each_event_needs_their_number() {
    let percentage =
        price(json!({"model":"percentage","rate":"0.1","fixed_per_event":"2","free_events":3}));
    let problem = rate(&percentage, &usage("10", None)).unwrap_err();
    assert_eq!(problem.field, "events");
    for (events, amount) in [(0, "1.00"), (3, "1.00"), (4, "3.00")] {
        assert_eq!(
            rate(&percentage, &usage("10", Some(events)))
                .unwrap()
                .amount_text(),
            amount
        );
    }
    // Without a fee, and without an amount, their number does not matter.
    assert_eq!(
        rate(&percentage, &usage("0", None)).unwrap().amount_text(),
        "0.00"
    );
    amounts(
        json!({"model":"percentage","rate":"0.1"}),
        &[("10", "1.00")],
    );
}

#[test]
fn a_quantity_without_a_price_is_an_error_and_not_a_guess() {
    let bounded = price(
        json!({"model":"stairstep","tiers":[{"up_to":"1000","flat_amount":"750"},{"up_to":"10000","flat_amount":"500"}]}),
    );
    assert_eq!(
        rate(&bounded, &usage("10000", None)).unwrap().amount_text(),
        "500.00"
    );
    let problem = rate(&bounded, &usage("10001", None)).unwrap_err();
    assert_eq!(
        problem.to_string(),
        "quantity: 10001 is past the last tier, which ends at 10000: give the last tier \"up_to\": null"
    );
    assert_eq!(
        Usage::new(parse_decimal("-1").unwrap(), None)
            .unwrap_err()
            .field,
        "quantity"
    );
}

#[test]
fn a_line_is_rounded_once_to_the_digits_of_its_currency() {
    for (currency, amount) in [
        ("USD", "1.01"),
        ("JPY", "1"),
        ("KWD", "1.005"),
        ("CLF", "1.0050"),
    ] {
        amounts(
            json!({"model":"per_unit","currency":currency,"unit_amount":"0.335"}),
            &[("3", amount)],
        );
    }
    amounts(
        json!({"model":"per_unit","currency":"JPY","unit_amount":"0.5"}),
        &[("1", "1"), ("0.9", "0"), ("3", "2")],
    );
    // Two tiers of 0.004 are 0.008, not twice 0.00.
    let tiers = json!([{"up_to":"1","unit_amount":"0.004"},{"up_to":null,"unit_amount":"0.004"}]);
    amounts(json!({"model":"graduated","tiers":tiers}), &[("2", "0.01")]);
}

#[test]
fn numbers_of_sixty_digits_are_exact() {
    let nines = "9".repeat(60);
    let line = rate(
        &price(json!({"model":"per_unit","unit_amount":nines})),
        &usage(&nines, None),
    )
    .unwrap();
    assert_eq!(
        line.amount_text(),
        format!("{}8{}1.00", "9".repeat(59), "0".repeat(59))
    );
    assert_eq!(line.money(), None, "no invoice holds it");
}

#[test]
fn maximum_then_minimum_and_the_line_says_which_applied() {
    let between =
        price(json!({"model":"per_unit","unit_amount":"1","minimum":"10","maximum":"20"}));
    for (quantity, amount, commitment) in [
        ("0", "10.00", Some(Commitment::Minimum)),
        ("10", "10.00", None),
        ("20", "20.00", None),
        ("20.01", "20.00", Some(Commitment::Maximum)),
    ] {
        let line = rate(&between, &usage(quantity, None)).unwrap();
        assert_eq!(
            (line.amount_text().as_str(), line.commitment),
            (amount, commitment)
        );
    }
}

#[test]
fn the_first_part_of_a_period_carries_its_flat_amount_and_the_rest_only_adds() {
    let tiers = json!([{"up_to":"5","flat_amount":"100"},{"up_to":"10","flat_amount":"50"},{"up_to":null,"unit_amount":"10"}]);
    let graduated = price(json!({"model":"graduated","tiers":tiers}));
    let part = |before: Option<&str>, after: &str| {
        let before = before.map(|quantity| usage(quantity, None));
        rate_increment(&graduated, before.as_ref(), &usage(after, None))
            .unwrap()
            .amount
            .to_plain_string()
    };
    assert_eq!(part(None, "0"), "100.00");
    assert_eq!(part(Some("0"), "3"), "0.00");
    assert_eq!(part(Some("3"), "7"), "50.00");
    assert_eq!(part(Some("7"), "12"), "20.00");
}

#[test]
fn a_line_explains_itself() {
    let tiers = json!([{"up_to":"5","flat_amount":"100"},{"up_to":"10","flat_amount":"50"},{"up_to":"15","unit_amount":"10"},{"up_to":null,"unit_amount":"5"}]);
    for (document, quantity, text) in [
        (
            json!({"model":"graduated","tiers":tiers}),
            "22",
            "tier 1: 100 + tier 2: 50 + tier 3: 5 × 10 + tier 4: 7 × 5 = 235 = 235.00 USD",
        ),
        (
            json!({"model":"flat","flat_amount":"9.99"}),
            "3",
            "9.99 = 9.99 = 9.99 USD",
        ),
        (
            json!({"model":"per_unit","unit_amount":"0.335","included_units":"2"}),
            "5",
            "5 less 2 included = 3 billable; 3 × 0.335 = 1.005 rounded to 1.01 USD",
        ),
        (
            json!({"model":"package","package_amount":"15","package_size":"10","maximum":"40"}),
            "22",
            "3 packages × 15 = 45, at most 40 = 40.00 USD",
        ),
        (
            json!({"model":"flat","flat_amount":"9","zero_usage":"skip","minimum":"1"}),
            "0",
            "0, at least 1 = 1.00 USD",
        ),
    ] {
        let price = price(document);
        let line = rate(&price, &usage(quantity, None)).unwrap();
        assert_eq!(formula(&price, &line), text);
    }
    let graduated = price(json!({"model":"graduated","tiers":tiers}));
    let line = rate(&graduated, &usage("7", None)).unwrap();
    let breakdown = serde_json::to_value(explain(&graduated, &line)).unwrap();
    assert_eq!(
        breakdown["parts"],
        json!([
            {"counts":"flat","tier":1,"range":"up to 5","quantity":"1","unit_amount":"100","amount":"100"},
            {"counts":"flat","tier":2,"range":"above 5 up to 10","quantity":"1","unit_amount":"50","amount":"50"},
        ])
    );
}
