//! What must hold of every price and every usage, tried on random ones.
//!
//! `PORTICO_RATING_CASES` sets how many cases are compared with the reference,
//! whole and in a random partition; the default is 100 000.

use super::decimal::{Decimal, parse_decimal};
use super::price::Price;
use super::rating::{Increment, Usage, rate, rate_increment};
use super::reference::{Grains, nano, rate_by_walking, round_by_digits};
use bigdecimal::Zero;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A price, and the usage to try it with.
#[derive(Clone, Debug)]
struct Case {
    price: Value,
    quantity: Grains,
    events: u64,
}

/// How many grains a case's usage may have: the reference walks each.
const MOST_GRAINS: i128 = 120;

fn cases() -> ProptestConfig {
    let cases = std::env::var("PORTICO_RATING_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(100_000);
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// An amount with up to four decimals, as text.
fn amount() -> impl Strategy<Value = String> {
    (0u32..2_000, 0u32..10_000, 0usize..=4).prop_map(|(whole, fraction, places)| {
        let fraction = format!("{fraction:04}");
        if places == 0 {
            whole.to_string()
        } else {
            format!("{whole}.{}", &fraction[..places])
        }
    })
}

/// So many grains as the text of a quantity.
fn quantity_text(grains: i128, per_unit: i128) -> String {
    let thousandths = grains * 1_000 / per_unit;
    if thousandths % 1_000 == 0 {
        (thousandths / 1_000).to_string()
    } else {
        format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)
    }
}

fn tiers(per_unit: i128, flat_only: bool) -> impl Strategy<Value = Value> {
    let tier = (1i128..30, amount(), amount(), 0u8..3);
    (prop::collection::vec(tier, 1..6)).prop_map(move |tiers| {
        let last = tiers.len() - 1;
        let mut bound = 0;
        let write = |(index, (width, flat, unit, shape)): (usize, (i128, String, String, u8))| {
            bound += width;
            let mut tier =
                json!({ "up_to": (index < last).then(|| quantity_text(bound, per_unit)) });
            if flat_only || shape != 0 {
                tier["flat_amount"] = json!(flat);
            }
            if !flat_only && shape != 1 {
                tier["unit_amount"] = json!(unit);
            }
            tier
        };
        tiers.into_iter().enumerate().map(write).collect()
    })
}

fn model(per_unit: i128) -> impl Strategy<Value = Value> {
    let grains =
        move |most: i128| (0..most).prop_map(move |grains| quantity_text(grains, per_unit));
    let tiered = |name: &'static str, flat_only| {
        tiers(per_unit, flat_only).prop_map(move |tiers| json!({ "model": name, "tiers": tiers }))
    };
    prop_oneof![
        1 => amount().prop_map(|flat| json!({ "model": "flat", "flat_amount": flat })),
        1 => amount().prop_map(|unit| json!({ "model": "per_unit", "unit_amount": unit })),
        3 => tiered("graduated", false),
        3 => tiered("volume", false),
        2 => tiered("stairstep", true),
        2 => (amount(), 1i128..40, grains(60)).prop_map(move |(amount, size, free)| json!({
            "model": "package", "package_amount": amount, "package_size": quantity_text(size, per_unit), "free_units": free,
        })),
        2 => (0u32..10_000, amount(), grains(60), 0u64..5).prop_map(|(rate, fixed, free, free_events)| json!({
            "model": "percentage", "rate": format!("0.{rate:04}"), "fixed_per_event": fixed, "free_units": free, "free_events": free_events,
        })),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    prop::sample::select(vec![1i128, 2, 10, 1_000]).prop_flat_map(|per_unit| {
        let currency = prop::sample::select(vec!["USD", "EUR", "JPY", "KWD", "CLF"]);
        let bounds = (
            prop::option::weighted(0.3, amount()),
            prop::option::weighted(0.3, amount()),
        );
        let included = prop::option::weighted(0.3, 0i128..60);
        let quantity = prop_oneof![1 => Just(0i128), 9 => 0..MOST_GRAINS];
        (
            model(per_unit),
            currency,
            bounds,
            included,
            any::<bool>(),
            quantity,
            0u64..10,
        )
            .prop_map(
                move |(mut price, currency, (one, other), included, skip, count, events)| {
                    price["currency"] = json!(currency);
                    let (minimum, maximum) = match (one, other) {
                        (Some(one), Some(other)) if nano(&one) > nano(&other) => {
                            (Some(other), Some(one))
                        }
                        bounds => bounds,
                    };
                    for (name, bound) in [("minimum", minimum), ("maximum", maximum)] {
                        if let Some(bound) = bound {
                            price[name] = json!(bound);
                        }
                    }
                    if let Some(included) = included {
                        price["included_units"] = json!(quantity_text(included, per_unit));
                    }
                    price["zero_usage"] = json!(if skip { "skip" } else { "charge_flat" });
                    Case {
                        price,
                        quantity: Grains { count, per_unit },
                        events,
                    }
                },
            )
    })
}

fn usage(grains: Grains, events: u64) -> Usage {
    let quantity = parse_decimal(&quantity_text(grains.count, grains.per_unit)).unwrap();
    Usage::new(quantity, Some(events)).unwrap()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn rating_agrees_with_walking_whole_and_in_any_partition(case in case(), cuts in prop::collection::vec((0..MOST_GRAINS, 0u64..10), 0..5)) {
        let price = Price::from_json(&case.price).unwrap();
        let walked = rate_by_walking(&case.price, case.quantity, case.events);
        let unrounded = Decimal::new(walked.into(), 9);
        let rounded = round_by_digits(walked, usize::from(price.currency().decimals()));

        let whole = rate(&price, &usage(case.quantity, case.events)).unwrap();
        prop_assert_eq!(&whole.unrounded, &unrounded);
        prop_assert_eq!(whole.amount_text(), rounded.clone());

        let parts = rate_in_parts(&price, &case, &cuts);
        prop_assert_eq!(parts.unrounded, unrounded);
        prop_assert_eq!(parts.amount, parse_decimal(&rounded).unwrap());
    }
}

/// Cuts the case's usage at `cuts`, rates each part as an increment and adds them up.
fn rate_in_parts(price: &Price, case: &Case, cuts: &[(i128, u64)]) -> Increment {
    let mut counts: Vec<i128> = cuts
        .iter()
        .map(|(count, _)| (*count).min(case.quantity.count))
        .collect();
    let mut events: Vec<u64> = cuts
        .iter()
        .map(|(_, events)| (*events).min(case.events))
        .collect();
    counts.sort_unstable();
    events.sort_unstable();
    counts.push(case.quantity.count);
    events.push(case.events);
    let mut sum = Increment {
        unrounded: Decimal::zero(),
        amount: Decimal::zero(),
    };
    let mut before = None;
    for (count, events) in counts.into_iter().zip(events) {
        let after = usage(
            Grains {
                count,
                ..case.quantity
            },
            events,
        );
        let part = rate_increment(price, before.as_ref(), &after).unwrap();
        sum.unrounded += part.unrounded;
        sum.amount += part.amount;
        before = Some(after);
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_of_a_line_are_its_subtotal_and_the_commitments_hold(case in case()) {
        let price = Price::from_json(&case.price).unwrap();
        let line = rate(&price, &usage(case.quantity, case.events)).unwrap();
        for part in &line.parts {
            prop_assert_eq!(&part.quantity * &part.unit_amount, part.amount.clone());
        }
        prop_assert_eq!(line.parts.iter().map(|part| &part.amount).sum::<Decimal>(), line.subtotal);
        prop_assert!(price.minimum().is_none_or(|minimum| line.unrounded >= *minimum));
        prop_assert!(price.maximum().is_none_or(|maximum| line.unrounded <= *maximum));
    }

    #[test]
    fn a_price_written_and_read_again_is_the_same_price(case in case()) {
        let price = Price::from_json(&case.price).unwrap();
        let text = serde_json::to_string(&price).unwrap();
        let again: Price = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&again, &price);
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), text);
    }

    #[test]
    fn no_line_of_text_stops_the_reader(text in "\\PC{0,80}") {
        let _ = parse_decimal(&text);
        let _ = Price::from_json(&json!({ "model": text, "currency": text, "unit_amount": text, "tiers": [{ "up_to": text }] }));
    }
}
