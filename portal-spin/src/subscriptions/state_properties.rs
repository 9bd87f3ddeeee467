//! Whatever is asked of a subscription, in whatever order: the states stay what they promise.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::credentials::test_partner::{accept_all, first_call, start, subscription};
use crate::testing::{PASSWORD, TestDatabase, TestPortal};

const DAY_MS: i64 = 24 * 3_600_000;

/// One subscription and a manager who decides about it.
struct Story {
    portal: TestPortal,
    app: String,
    subscription: String,
    partner: String,
    manager: String,
    plans: Vec<String>,
    seen_live: bool,
    seen_cancelled: bool,
    decided: BTreeMap<String, String>,
}

impl Story {
    async fn begin() -> Self {
        let portal = TestPortal::with(TestDatabase::sqlite(), &[]).await;
        let (actor, app) = start(&portal).await;
        accept_all(&portal, &actor).await;
        first_call(&portal, &actor, &app).await;
        let subscription = subscription(&portal, &actor, &app).await;
        let manager = portal.sign_up("manager@operator.example", "Operator").await;
        portal.make_operator(&manager, "manager").await;
        let catalogue = portal.get("/api/v1/products", "").await.expect(200).json();
        let plans = catalogue["items"][0]["plans"].as_array().unwrap().iter();
        Self {
            plans: plans
                .map(|plan| plan["id"].as_str().unwrap().to_owned())
                .collect(),
            portal,
            app,
            subscription,
            partner: actor.email,
            manager: manager.email,
            seen_live: false,
            seen_cancelled: false,
            decided: BTreeMap::new(),
        }
    }

    /// One step. A refusal is an answer like any other; only a 5xx is not.
    async fn step(&mut self, number: u8) {
        let portal = &self.portal;
        // Time passes, and sessions with it.
        let partner = portal.log_in(&self.partner, PASSWORD).await;
        let manager = portal.log_in(&self.manager, PASSWORD).await;
        let at = &self.subscription;
        let change = async |plan: usize, when: &str| {
            let body = json!({ "plan_id": self.plans[plan % self.plans.len()], "when": when });
            portal
                .post(&format!("{at}/plan-changes"), &partner, body)
                .await
        };
        let decide = async |outcome: &str| {
            let queue = portal
                .get("/api/v1/operator/requests", &manager)
                .await
                .expect(200)
                .json();
            let id = queue["items"][0]["id"]
                .as_str()
                .unwrap_or("none")
                .to_owned();
            let body = json!({ "outcome": outcome, "reason": "because" });
            portal
                .post(
                    &format!("/api/v1/operator/requests/{id}/decisions"),
                    &manager,
                    body,
                )
                .await
        };
        let answer = match number % 11 {
            0 => {
                portal
                    .post(&format!("{at}/go-live"), &partner, json!({}))
                    .await
            }
            1 | 2 => change(usize::from(number / 11), "now").await,
            3 | 4 => change(usize::from(number / 11), "period_end").await,
            5 => decide("approved").await,
            6 => decide("refused").await,
            7 => {
                portal
                    .post(&format!("{at}/request-withdrawals"), &partner, json!({}))
                    .await
            }
            8 => {
                let when = if number > 200 { "now" } else { "period_end" };
                portal
                    .call("DELETE", &format!("{at}?when={when}"), &partner, None)
                    .await
            }
            _ => {
                portal.advance_ms(20 * DAY_MS);
                let secret = portal.app.configuration.secret("tick_secret").unwrap();
                portal.post("/internal/tick", &secret, json!({})).await
            }
        };
        assert!(answer.status < 500, "step {number}: {}", answer.text());
        let partner = self.portal.log_in(&self.partner, PASSWORD).await;
        let seen = self
            .portal
            .get(&self.subscription, &partner)
            .await
            .expect(200)
            .json();
        self.check(&seen).await;
    }

    async fn check(&mut self, seen: &Value) {
        let is_live = !seen["live_from"].is_null();
        assert!(
            is_live || !self.seen_live,
            "what went live stays live: {seen}"
        );
        self.seen_live = is_live;
        let is_cancelled = seen["state"] == "cancelled";
        assert!(
            is_cancelled || !self.seen_cancelled,
            "what ended stays ended: {seen}"
        );
        self.seen_cancelled = is_cancelled;
        let phases = seen["phases"].as_array().unwrap();
        let last = phases.last().unwrap();
        assert_eq!(
            last["plan_id"], seen["plan_id"],
            "the last phase is the plan in force"
        );
        for pair in phases.windows(2) {
            let from = |phase: &Value| phase["from"].as_str().unwrap().to_owned();
            assert!(
                from(&pair[0]) < from(&pair[1]),
                "phases follow one another: {seen}"
            );
        }
        let context = self.portal.context().await;
        let rows = context
            .connection
            .query(
                "SELECT request_id, outcome FROM subscription_requests",
                vec![],
            )
            .await
            .unwrap();
        let mut waiting = 0;
        for row in rows {
            let (id, outcome): (String, Option<String>) =
                (row.get(0).unwrap(), row.get(1).unwrap());
            match outcome {
                None => waiting += 1,
                Some(outcome) => {
                    let before = self.decided.insert(id, outcome.clone());
                    assert!(
                        before.is_none_or(|before| before == outcome),
                        "a decision stands"
                    );
                }
            }
        }
        assert!(waiting <= 1, "one request waits at a time");
        let standing: i64 = context
            .connection
            .query_one(
                "SELECT COUNT(*) FROM subscriptions WHERE cancelled_at_ms IS NULL AND app_id = $1",
                crate::params![self.app.rsplit('/').next().unwrap_or_default()],
            )
            .await
            .unwrap()
            .get(0)
            .unwrap();
        assert!(standing <= 1, "one subscription to a product stands");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn any_order_of_wishes_decisions_and_time_keeps_the_promises(steps in prop::collection::vec(any::<u8>(), 1..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut story = Story::begin().await;
            for step in steps {
                story.step(step).await;
            }
        });
    }
}
