//! What a change of plan is said to cost is what is posted; the parts of a period sum to the whole.

use proptest::prelude::*;
use serde_json::json;
use shared::ids::PlanId;

use super::drafts::preview_change;
use super::items::{Billed, Item, ItemKey, Owed};
use super::period::{Calendar, Cycle, Period};
use super::proration::Proration;
use super::test_scene::{DAY_MS, HOUR_MS, Scene, publish_plan, run_at};
use super::timeline::{Phase, Timeline};
use crate::params;
use crate::testing::{TestPortal, on_every_database};

/// 2026-02-01.
const FEBRUARY_MS: i64 = 1_769_904_000_000;

/// How many changes are tried on each database; `PORTICO_PLAN_CHANGES` sets another number.
fn changes() -> usize {
    std::env::var("PORTICO_PLAN_CHANGES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(24)
}

fn plan(fee: &str, unit: &str, proration: &str) -> serde_json::Value {
    json!({
        "price": { "model": "graduated", "currency": "USD", "minimum": "3.10",
            "tiers": [{ "up_to": "50", "flat_amount": "6.20", "unit_amount": unit }, { "up_to": null, "unit_amount": "0.01" }] },
        "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": fee }],
        "proration": proration
    })
}

/// Plans that differ in model, proration, charges and in what they give back.
fn terms() -> [serde_json::Value; 7] {
    let mut kept = plan("17.77", "0.03", "by_day");
    kept["keeps_unserved"] = json!(true);
    let mut entered = plan("5", "0.11", "by_second");
    entered["charges"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "kind": "one_off", "name": "Set-up", "currency": "USD", "amount": "40" }));
    [
        plan("62.50", "0.07", "by_day"),
        plan("9.99", "0.31", "by_second"),
        plan("0", "0", "off"),
        kept,
        entered,
        json!({
            "price": { "model": "package", "currency": "USD", "package_amount": "1.25", "package_size": "7",
                "free_units": "10", "maximum": "9.99" },
            "charges": [{ "kind": "usage", "name": "Calls", "counts": "calls",
                "price": { "model": "per_unit", "currency": "USD", "unit_amount": "0.001", "included_units": "20" } }],
            "proration": "by_second"
        }),
        json!({
            "price": { "model": "volume", "currency": "USD", "zero_usage": "skip",
                "tiers": [{ "up_to": "30", "flat_amount": "3" }, { "up_to": null, "unit_amount": "0.2" }] },
            "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": "100" }],
            "proration": "off"
        }),
    ]
}

/// The invoice or credit note of a boundary.
async fn posted_at(portal: &TestPortal, boundary_ms: i64) -> Option<serde_json::Value> {
    let context = portal.context().await;
    let row = context
        .connection
        .query_optional(
            "SELECT document FROM invoices WHERE bill_at_ms = $1",
            params![boundary_ms],
        )
        .await
        .unwrap()?;
    Some(serde_json::from_str(&row.get::<String>(0).unwrap()).unwrap())
}

on_every_database! {
    async fn a_preview_is_what_the_next_invoice_says(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, plan("31", "0.10", "by_second")).await;
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        scene.give_billing_details(&portal, &scene.actor.token).await;
        let mut plans = Vec::new();
        for (number, terms) in terms().into_iter().enumerate() {
            plans.push(publish_plan(&portal, &format!("Plan {number}"), terms).await);
        }
        let calendar = Calendar::new(Cycle::Month, "UTC").unwrap();
        let mut boundary_ms = FEBRUARY_MS;
        let mut state = 11_u64;
        let mut random = |below: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            i64::try_from(state >> 33).unwrap() % below
        };
        let (mut current, mut with_amounts) = (usize::MAX, 0);
        for number in 0..changes() {
            // Behind the invoice before, and before the boundary.
            let earliest_ms = portal.now_ms() + HOUR_MS;
            let at_ms = earliest_ms + random(boundary_ms - HOUR_MS - earliest_ms);
            portal.advance_ms(at_ms - portal.now_ms());
            let used = random(120);
            if used > 20 {
                scene.merge(&portal, &[scene.cell_at(at_ms - 3 * 60_000, used.unsigned_abs())]).await;
            }
            let mut next = usize::try_from(random(7)).unwrap();
            if next == current {
                next = (next + 1) % plans.len();
            }
            current = next;
            // The log-in and the change take their own milliseconds.
            let context = portal.context().await;
            let organisation = scene.actor.organisation_id.parse().unwrap();
            let subscription = scene.subscription.rsplit('/').next().unwrap().parse().unwrap();
            let preview = preview_change(&context, organisation, subscription, plans[next].parse().unwrap(), portal.now_ms() + 2).await.unwrap();
            drop(context);
            scene.change_plan(&portal, &plans[next]).await;
            run_at(&portal, boundary_ms + 25 * HOUR_MS).await;
            let preview = serde_json::to_value(&preview[0]).unwrap();
            match posted_at(&portal, boundary_ms).await {
                Some(posted) => {
                    assert_eq!(preview, posted, "change {number}");
                    with_amounts += 1;
                }
                None => {
                    let lines = preview["lines"].as_array().unwrap();
                    assert!(lines.iter().all(|line| line["amount"] == "0.00"), "change {number}: {preview}");
                }
            }
            boundary_ms = calendar.period_containing(boundary_ms).unwrap().end_ms;
        }
        assert!(with_amounts * 10 > changes() * 9, "{with_amounts} of {} changes cost something", changes());
    }
}

fn item(
    calendar: &Calendar,
    part: &super::timeline::Part,
    proration: Proration,
    amount: &str,
) -> Item {
    Item {
        key: ItemKey {
            subscription_id: "sub".to_owned(),
            plan_id: part.plan_id.to_string(),
            charge: "Base fee".to_owned(),
            start_ms: part.served.start_ms,
        },
        app: String::new(),
        product: String::new(),
        plan: String::new(),
        currency: "USD".parse().unwrap(),
        owed: Owed::Recurring {
            amount: amount.to_owned(),
        },
        period: (part.period.start_ms, part.period.end_ms),
        served: (part.served.start_ms, part.served.end_ms),
        time_zone: "UTC".to_owned(),
        period_words: String::new(),
        fraction: proration
            .fraction(calendar, &part.period, &part.served)
            .unwrap(),
        is_trial: false,
        refunds: true,
        billed: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// A thousand random changes: billed in advance, changed, corrected. What is posted sums to what the
    /// timeline as it came to be owes, to the cent, whatever was believed before.
    #[test]
    fn what_is_posted_sums_to_what_is_owed(
        change in 0i64..31 * DAY_MS,
        end in prop::option::of(0i64..31 * DAY_MS),
        first in 0u32..20_000,
        by_second in any::<bool>(),
    ) {
        let start_ms = FEBRUARY_MS - 31 * DAY_MS;
        let calendar = Calendar::new(Cycle::Month, "UTC").unwrap();
        let proration = if by_second { Proration::BySecond } else { Proration::ByDay };
        let amount = format!("{}.{:02}", first / 100, first % 100);
        let phase = |from_ms, number| Phase { from_ms, plan_id: PlanId::from_bytes([number; 16]), calendar: calendar.clone(), trial_days: 0 };
        let believed = Timeline { phases: vec![phase(start_ms, 1)], live_from_ms: start_ms, ends_at_ms: None };
        let mut true_one = believed.clone();
        true_one.phases.push(phase(start_ms + change, 2));
        true_one.ends_at_ms = end.map(|end| start_ms + end.max(change) + 1);
        // In advance, at the period's start.
        let paid = believed.parts(start_ms, start_ms).unwrap();
        let mut billed = item(&calendar, &paid[0], proration, &amount).rate().unwrap().owed_minor;
        let in_advance = billed;
        // At its end.
        let mut owed = 0;
        for part in true_one.parts(start_ms, FEBRUARY_MS - 1).unwrap() {
            let mut item = item(&calendar, &part, proration, &amount);
            owed += item.rate().unwrap().owed_minor;
            if part.plan_id == paid[0].plan_id {
                item.billed = Some(Billed { amount_minor: in_advance, quantity: String::new(), invoice: "INV-1".to_owned() });
            }
            if let Some((_, posted)) = item.line(|_| String::new()).unwrap() {
                billed += posted;
            }
        }
        let is_first_served = change > 0;
        if is_first_served {
            prop_assert_eq!(billed, owed);
        }
        // Both plans cost the same here: two parts of a whole period sum to it, within the rounding of each.
        let whole = Period { start_ms, end_ms: FEBRUARY_MS };
        if true_one.ends_at_ms.is_none_or(|end| end >= whole.end_ms) && is_first_served {
            prop_assert!((owed - in_advance).abs() <= 1, "{} {}", owed, in_advance);
        }
    }
}
