//! What a change of plan is said to cost is what is posted; the parts of a period sum to the whole.

use proptest::prelude::*;
use serde_json::json;
use shared::ids::PlanId;

use super::drafts::preview_change;
use super::items::{Billed, Item, ItemKey, Owed};
use super::period::{Calendar, Cycle, Period};
use super::proration::Proration;
use super::test_scene::{DAY_MS, HOUR_MS, Scene, documents, publish_plan, run_at};
use super::timeline::{Phase, Timeline};
use crate::testing::on_every_database;

/// 2026-02-01.
const FEBRUARY_MS: i64 = 1_769_904_000_000;

fn plan(fee: &str, unit: &str, proration: &str) -> serde_json::Value {
    json!({
        "price": { "model": "graduated", "currency": "USD", "minimum": "3.10",
            "tiers": [{ "up_to": "50", "flat_amount": "6.20", "unit_amount": unit }, { "up_to": null, "unit_amount": "0.01" }] },
        "charges": [{ "kind": "recurring", "name": "Base fee", "currency": "USD", "amount": fee }],
        "proration": proration
    })
}

on_every_database! {
    async fn a_preview_is_what_the_next_invoice_says(portal: TestPortal) {
        let scene = Scene::on_plan(&portal, plan("31", "0.10", "by_second")).await;
        run_at(&portal, portal.now_ms() + 25 * HOUR_MS).await;
        let plans = [
            publish_plan(&portal, "A", plan("62.50", "0.07", "by_day")).await,
            publish_plan(&portal, "B", plan("9.99", "0.31", "by_second")).await,
            publish_plan(&portal, "C", plan("0", "0", "off")).await,
        ];
        let mut boundary_ms = FEBRUARY_MS;
        let mut state = 11_u64;
        for (month, plan) in plans.iter().cycle().take(5).enumerate() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            let at_ms = boundary_ms - DAY_MS - i64::try_from(state % 20).unwrap() * DAY_MS - i64::try_from(state % 86_400_000).unwrap();
            portal.advance_ms(at_ms.max(portal.now_ms()) - portal.now_ms());
            scene.merge(&portal, &[scene.cell_at(portal.now_ms() - 3 * 60_000, 40 + state % 60)]).await;
            // The log-in and the change take their own milliseconds.
            let context = portal.context().await;
            let organisation = scene.actor.organisation_id.parse().unwrap();
            let subscription = scene.subscription.rsplit('/').next().unwrap().parse().unwrap();
            let preview = preview_change(&context, organisation, subscription, plan.parse().unwrap(), portal.now_ms() + 2).await.unwrap();
            drop(context);
            scene.change_plan(&portal, plan).await;
            run_at(&portal, boundary_ms + 25 * HOUR_MS).await;
            let (_, posted) = documents(&portal).await.pop().unwrap();
            assert_eq!(serde_json::to_value(&preview[0].lines).unwrap(), posted["lines"], "month {month}");
            let calendar = Calendar::new(Cycle::Month, "UTC").unwrap();
            boundary_ms = calendar.period_containing(boundary_ms).unwrap().end_ms;
        }
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
