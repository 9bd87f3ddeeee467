//! Worked examples that other billing systems publish, as facts to agree with.
//!
//! Each row: source, quantity, events, amount. `Lago spec` and `OpenMeter test`
//! are the projects' own test suites; the rest are documentation pages.

use super::price::Price;
use super::rating::{Usage, rate};
use crate::billing::decimal::parse_decimal;
use serde_json::{Value, json};

type Row = (&'static str, &'static str, u64, &'static str);

fn assert_all(price: Value, rows: &[Row]) {
    let read = Price::from_json(&price).unwrap();
    for (source, quantity, events, amount) in rows {
        let usage = Usage::new(parse_decimal(quantity).unwrap(), Some(*events)).unwrap();
        assert_eq!(
            rate(&read, &usage).unwrap().amount_text(),
            *amount,
            "{source}: {quantity} of {price}"
        );
    }
}

#[test]
fn per_unit_examples_hold() {
    assert_all(
        json!({"model":"per_unit","currency":"USD","unit_amount":"0.05"}),
        &[("Lago standard", "1000", 0, "50.00")],
    );
    assert_all(
        json!({"model":"per_unit","currency":"USD","unit_amount":"0.001"}),
        &[("Zuplo per unit", "100000", 0, "100.00")],
    );
    assert_all(
        json!({"model":"per_unit","currency":"USD","unit_amount":"100"}),
        &[("OpenMeter test", "10", 0, "1000.00")],
    );
    assert_all(
        json!({"model":"per_unit","currency":"USD","unit_amount":"10","minimum":"100"}),
        &[
            ("OpenMeter test, minimum spend", "0", 0, "100.00"),
            ("OpenMeter test, minimum spend", "11", 0, "110.00"),
        ],
    );
    assert_all(
        json!({"model":"per_unit","currency":"USD","unit_amount":"10","maximum":"100"}),
        &[
            ("OpenMeter test, maximum not hit", "10", 0, "100.00"),
            ("OpenMeter test, maximum hit", "12", 0, "100.00"),
        ],
    );
}

#[test]
fn graduated_examples_hold() {
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":[
            {"up_to":"10","unit_amount":"10","flat_amount":"2"},
            {"up_to":"20","unit_amount":"5","flat_amount":"3"},
            {"up_to":null,"unit_amount":"5","flat_amount":"3"}]}),
        &[
            ("Lago spec", "0", 0, "2.00"),
            ("Lago spec", "1", 0, "12.00"),
            ("Lago spec", "10", 0, "102.00"),
            ("Lago spec", "11", 0, "110.00"),
            ("Lago spec", "12", 0, "115.00"),
            ("Lago spec", "21", 0, "163.00"),
        ],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":[
            {"up_to":"0.1","unit_amount":"10","flat_amount":"0"},
            {"up_to":"1","unit_amount":"5","flat_amount":"0"},
            {"up_to":null,"unit_amount":"2","flat_amount":"0"}]}),
        &[
            ("Lago spec", "0.05", 0, "0.50"),
            ("Lago spec", "0.5", 0, "3.00"),
        ],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":[
            {"up_to":"0.01","unit_amount":"0","flat_amount":"0"},
            {"up_to":"10","unit_amount":"10","flat_amount":"2"},
            {"up_to":null,"unit_amount":"5","flat_amount":"3"}]}),
        &[("Lago spec", "0", 0, "0.00")],
    );
    let tiers = json!([
        {"up_to":"5","flat_amount":"100","unit_amount":"0"},
        {"up_to":"10","flat_amount":"50"},
        {"up_to":"15","unit_amount":"5"},
        {"up_to":null,"unit_amount":"1"}]);
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":tiers}),
        &[
            ("OpenMeter test", "7", 0, "150.00"),
            ("OpenMeter test", "12", 0, "160.00"),
            ("OpenMeter test", "22", 0, "182.00"),
        ],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":tiers,"minimum":"1000"}),
        &[
            ("OpenMeter test, minimum spend", "0", 0, "1000.00"),
            ("OpenMeter test, minimum spend", "2", 0, "1000.00"),
        ],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":tiers,"maximum":"170"}),
        &[
            ("OpenMeter test, maximum spend", "12", 0, "160.00"),
            ("OpenMeter test, maximum spend", "22", 0, "170.00"),
        ],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":[
            {"up_to":"10","unit_amount":"1.5"},{"up_to":"110","unit_amount":"1.0"},{"up_to":"1110","unit_amount":"0.5"}]}),
        &[("Kill Bill test, all tiers", "111", 0, "115.50")],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":[{"up_to":"5","unit_amount":"2"},{"up_to":null,"unit_amount":"1"}]}),
        &[
            ("Kill Bill tutorial, videos", "5", 0, "10.00"),
            ("Kill Bill tutorial, videos", "8", 0, "13.00"),
        ],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":[
            {"up_to":"1000","unit_amount":"0.10"},{"up_to":"10000","unit_amount":"0.05"},{"up_to":null,"unit_amount":"0.01"}]}),
        &[("Zuplo graduated", "15000", 0, "600.00")],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":[
            {"up_to":"1000","unit_amount":"0.01"},{"up_to":"10000","unit_amount":"0.008"},{"up_to":null,"unit_amount":"0.005"}]}),
        &[("Autumn graduated", "15000", 0, "107.00")],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":[{"up_to":"100","unit_amount":"1"},{"up_to":null,"unit_amount":"0.50"}]}),
        &[("Recurly tiered", "150", 0, "125.00")],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":[{"up_to":"1000","unit_amount":"0.10"},{"up_to":"5000","unit_amount":"0.08"}]}),
        &[("Metrifox graduated", "2500", 0, "220.00")],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":[{"up_to":"250","flat_amount":"10"},{"up_to":"500","flat_amount":"20"},{"up_to":null,"flat_amount":"30"}]}),
        &[("Oracle, slab amount without unit", "1000", 0, "60.00")],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":[{"up_to":"250","unit_amount":"1"},{"up_to":"500","unit_amount":"2"},{"up_to":null,"unit_amount":"3"}]}),
        &[(
            "Oracle, slab amount with unit: 250 + 500 + 1500",
            "1000",
            0,
            "2250.00",
        )],
    );
    assert_all(
        json!({"model":"graduated","currency":"USD","tiers":[
            {"up_to":"5","unit_amount":"7"},{"up_to":"10","unit_amount":"6.5"},{"up_to":null,"unit_amount":"6"}]}),
        &[
            ("Stripe graduated", "1", 0, "7.00"),
            ("Stripe graduated", "25", 0, "157.50"),
        ],
    );
}

#[test]
fn volume_examples_hold() {
    assert_all(
        json!({"model":"volume","currency":"USD","tiers":[
            {"up_to":"100","flat_amount":"10","unit_amount":"2"},
            {"up_to":"200","flat_amount":"0","unit_amount":"1"},
            {"up_to":null,"flat_amount":"50","unit_amount":"0.5"}]}),
        &[
            ("Lago spec", "101", 0, "101.00"),
            ("Lago spec", "200", 0, "200.00"),
            ("Lago spec", "210", 0, "155.00"),
            ("Lago spec", "300", 0, "200.00"),
        ],
    );
    assert_all(
        json!({"model":"volume","currency":"USD","tiers":[
            {"up_to":"10000","unit_amount":"0.0010","flat_amount":"10"},
            {"up_to":"50000","unit_amount":"0.0008","flat_amount":"10"},
            {"up_to":"100000","unit_amount":"0.0006","flat_amount":"10"},
            {"up_to":null,"unit_amount":"0.0004","flat_amount":"10"}]}),
        &[("Lago volume", "65000", 0, "49.00")],
    );
    assert_all(
        json!({"model":"volume","currency":"USD","tiers":[
            {"up_to":"1","unit_amount":"0","flat_amount":"0"},
            {"up_to":"100","unit_amount":"2","flat_amount":"10"},
            {"up_to":null,"unit_amount":"0.5","flat_amount":"50"}]}),
        &[("Lago spec", "0", 0, "0.00")],
    );
    let tiers = json!([
        {"up_to":"5","flat_amount":"100"},{"up_to":"10","flat_amount":"150"},
        {"up_to":"15","unit_amount":"10"},{"up_to":null,"unit_amount":"5"}]);
    assert_all(
        json!({"model":"volume","currency":"USD","tiers":tiers,"minimum":"100"}),
        &[
            ("OpenMeter test, minimum reached", "5", 0, "100.00"),
            ("OpenMeter test, minimum passed", "100", 0, "500.00"),
        ],
    );
    assert_all(
        json!({"model":"volume","currency":"USD","tiers":tiers,"maximum":"100"}),
        &[("OpenMeter test, maximum reached", "5", 0, "100.00")],
    );
    assert_all(
        json!({"model":"volume","currency":"USD","tiers":[
            {"up_to":"10","unit_amount":"1.5"},{"up_to":"100","unit_amount":"1.0"},{"up_to":"1000","unit_amount":"0.5"}]}),
        &[("Kill Bill test, top tier", "111", 0, "55.50")],
    );
    assert_all(
        json!({"model":"volume","currency":"USD","tiers":[
            {"up_to":"5","unit_amount":"7"},{"up_to":"10","unit_amount":"6.5"},{"up_to":null,"unit_amount":"6"}]}),
        &[("Stripe volume", "25", 0, "150.00")],
    );
    assert_all(
        json!({"model":"volume","currency":"USD","tiers":[
            {"up_to":"1000","unit_amount":"0.10"},{"up_to":"10000","unit_amount":"0.05"},{"up_to":null,"unit_amount":"0.01"}]}),
        &[("Zuplo volume", "15000", 0, "150.00")],
    );
    assert_all(
        json!({"model":"volume","currency":"USD","tiers":[{"up_to":"1000","unit_amount":"0.10"},{"up_to":"5000","unit_amount":"0.08"}]}),
        &[("Metrifox volume", "2500", 0, "200.00")],
    );
    assert_all(
        json!({"model":"volume","currency":"USD","tiers":[{"up_to":"250","unit_amount":"1"},{"up_to":"500","unit_amount":"2"},{"up_to":null,"unit_amount":"3"}]}),
        &[("Oracle, variable amount with unit", "1000", 0, "3000.00")],
    );
}

#[test]
fn stairstep_examples_hold() {
    assert_all(
        json!({"model":"stairstep","currency":"USD","tiers":[{"up_to":"100","flat_amount":"10"},{"up_to":"200","flat_amount":"20.0"},{"up_to":null,"flat_amount":"30.0"}]}),
        &[
            ("Kill Bill test, capacity", "100", 0, "10.00"),
            ("Kill Bill test, capacity", "101", 0, "20.00"),
            ("Kill Bill test, capacity", "2001", 0, "30.00"),
        ],
    );
    assert_all(
        json!({"model":"stairstep","currency":"USD","tiers":[{"up_to":"250","flat_amount":"10"},{"up_to":"500","flat_amount":"20"},{"up_to":null,"flat_amount":"30"}]}),
        &[("Oracle, variable amount without unit", "1000", 0, "30.00")],
    );
}

#[test]
fn package_examples_hold() {
    assert_all(
        json!({"model":"package","currency":"USD","package_amount":"5","package_size":"100","free_units":"100"}),
        &[
            ("Lago package", "201", 0, "10.00"),
            ("Lago package, free units alone", "100", 0, "0.00"),
        ],
    );
    assert_all(
        json!({"model":"package","currency":"USD","package_amount":"100","package_size":"10","free_units":"10"}),
        &[("Lago spec, free units", "121", 0, "1200.00")],
    );
    assert_all(
        json!({"model":"package","currency":"USD","package_amount":"100","package_size":"10","free_units":"200"}),
        &[("Lago spec, more free units than used", "121", 0, "0.00")],
    );
    assert_all(
        json!({"model":"package","currency":"USD","package_amount":"15","package_size":"10","maximum":"100"}),
        &[
            ("OpenMeter test, maximum not hit", "10", 0, "15.00"),
            ("OpenMeter test, maximum hit", "110", 0, "100.00"),
        ],
    );
    assert_all(
        json!({"model":"package","currency":"USD","package_amount":"1","package_size":"100"}),
        &[
            ("Kill Bill test, blocks of 100", "401", 0, "5.00"),
            ("Kill Bill test, blocks of 100", "199", 0, "2.00"),
        ],
    );
    assert_all(
        json!({"model":"package","currency":"USD","package_amount":"1.00","package_size":"1000"}),
        &[("Flexprice, a started package counts", "4500", 0, "5.00")],
    );
    assert_all(
        json!({"model":"package","currency":"USD","package_amount":"10","package_size":"1000000"}),
        &[("OpenMeter test, divide and round up", "1500001", 0, "20.00")],
    );
}

#[test]
fn percentage_examples_hold() {
    let price = |free_units: &str, free_events: u64| json!({"model":"percentage","currency":"USD","rate":"0.013","fixed_per_event":"2","free_units":free_units,"free_events":free_events});
    assert_all(
        price("250", 2),
        &[("Lago spec, 250 and two events free", "800", 4, "11.15")],
    );
    assert_all(
        price("250", 2),
        &[("Lago spec, no amount has no fee", "0", 4, "0.00")],
    );
    assert_all(
        price("400", 3),
        &[
            ("Lago spec, three events free", "800", 4, "7.20"),
            ("Lago spec, all free", "400", 3, "0.00"),
        ],
    );
    assert_all(
        json!({"model":"percentage","currency":"USD","rate":"0.029"}),
        &[("Lago spec, small amount (0.116)", "4", 4, "0.12")],
    );
    assert_all(
        json!({"model":"percentage","currency":"USD","rate":"0","fixed_per_event":"2"}),
        &[("Lago spec, fee alone", "800", 4, "8.00")],
    );
    assert_all(
        json!({"model":"percentage","currency":"USD","rate":"0.0299"}),
        &[("Lago spec (301.691)", "10090", 3, "301.69")],
    );
}
