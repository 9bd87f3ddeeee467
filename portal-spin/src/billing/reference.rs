//! A second rating, written to disagree with the first if either is wrong.
//!
//! It shares no code with `rating`: it reads the price's JSON itself, counts in
//! whole grains of quantity and nano-units of money, and walks usage grain by
//! grain, so there is no multiplication by a quantity and no tier arithmetic to
//! get wrong. Slow, and only for tests.

use serde_json::Value;

const NANO: i128 = 1_000_000_000;

/// A quantity in grains: `grains` steps of `1 / per_unit`.
#[derive(Clone, Copy, Debug)]
pub struct Grains {
    pub count: i128,
    pub per_unit: i128,
}

struct WalkedTier {
    last_grain: Option<i128>,
    flat: i128,
    grain: i128,
}

/// The amount before rounding, in nano-units of the currency's major unit.
pub fn rate_by_walking(price: &Value, quantity: Grains, events: u64) -> i128 {
    let grains = |name: &str| {
        price[name]
            .as_str()
            .map_or(0, |text| nano(text) * quantity.per_unit / NANO)
    };
    let money = |name: &str| price[name].as_str().map_or(0, nano);
    let mut remaining_included = grains("included_units");
    let mut billable = 0;
    for _ in 0..quantity.count {
        if remaining_included > 0 {
            remaining_included -= 1
        } else {
            billable += 1
        }
    }
    let nothing_and_skipped = billable == 0 && price["zero_usage"] == "skip";

    let mut total: i128 = 0;
    let per_grain = |amount: i128| {
        assert_eq!(
            amount % quantity.per_unit,
            0,
            "the generator keeps amounts divisible"
        );
        amount / quantity.per_unit
    };
    let tiers: Vec<WalkedTier> = price["tiers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|tier| {
            let amount = |name: &str| tier[name].as_str().map_or(0, nano);
            WalkedTier {
                last_grain: tier["up_to"]
                    .as_str()
                    .map(|bound| nano(bound) * quantity.per_unit / NANO),
                flat: amount("flat_amount"),
                grain: per_grain(amount("unit_amount")),
            }
        })
        .collect();
    let tier_of = |position: i128| {
        let holds = |tier: &WalkedTier| tier.last_grain.is_none_or(|last| last >= position);
        tiers.iter().position(holds).unwrap()
    };
    match price["model"].as_str().unwrap() {
        "flat" => {
            if !nothing_and_skipped {
                total += money("flat_amount");
            }
        }
        "per_unit" => {
            let grain = per_grain(money("unit_amount"));
            for _ in 0..billable {
                total += grain;
            }
        }
        "graduated" => {
            let mut inside = None;
            if !nothing_and_skipped {
                inside = Some(tier_of(0));
                total += tiers[tier_of(0)].flat;
            }
            for position in 1..=billable {
                let tier = tier_of(position);
                if inside != Some(tier) {
                    total += tiers[tier].flat;
                    inside = Some(tier);
                }
                total += tiers[tier].grain;
            }
        }
        "volume" | "stairstep" => {
            let tier = &tiers[tier_of(billable)];
            if !nothing_and_skipped {
                total += tier.flat;
            }
            for _ in 0..billable {
                total += tier.grain;
            }
        }
        "package" => {
            let (amount, size) = (money("package_amount"), grains("package_size"));
            let mut free = grains("free_units");
            let mut room = 0;
            for _ in 0..billable {
                if free > 0 {
                    free -= 1;
                    continue;
                }
                if room == 0 {
                    total += amount;
                    room = size;
                }
                room -= 1;
            }
        }
        "percentage" => {
            let grain = per_grain(money("rate"));
            let mut free = grains("free_units");
            for _ in 0..billable {
                if free > 0 { free -= 1 } else { total += grain }
            }
            let mut free_events = price["free_events"].as_u64().unwrap_or(0);
            for _ in 0..events {
                if billable == 0 {
                    break;
                }
                if free_events > 0 {
                    free_events -= 1
                } else {
                    total += money("fixed_per_event")
                }
            }
        }
        other => panic!("no model {other}"),
    }
    if price["maximum"].is_string() && total > money("maximum") {
        total = money("maximum");
    }
    if price["minimum"].is_string() && total < money("minimum") {
        total = money("minimum");
    }
    total
}

/// Rounds nano-units to `decimals` digits by looking at the digits themselves.
pub fn round_by_digits(nano: i128, decimals: usize) -> String {
    let digits = format!("{nano:010}");
    let (whole, fraction) = digits.split_at(digits.len() - 9);
    let (kept, dropped) = fraction.split_at(decimals);
    let mut number: Vec<u8> = whole.bytes().chain(kept.bytes()).collect();
    if dropped
        .as_bytes()
        .first()
        .is_some_and(|digit| *digit >= b'5')
    {
        let mut place = number.len();
        loop {
            if place == 0 {
                number.insert(0, b'1');
                break;
            }
            place -= 1;
            if number[place] == b'9' {
                number[place] = b'0';
            } else {
                number[place] += 1;
                break;
            }
        }
    }
    let text = String::from_utf8(number).unwrap();
    let (whole, fraction) = text.split_at(text.len() - decimals);
    if decimals == 0 {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

/// Reads a decimal of at most nine places as nano-units.
pub fn nano(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= 9, "{text}");
    whole.parse::<i128>().unwrap() * NANO + format!("{fraction:0<9}").parse::<i128>().unwrap()
}
