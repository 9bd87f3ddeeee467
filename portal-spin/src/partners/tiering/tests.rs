//! Rules, preview, run, history and grants, on both databases.

use serde_json::{Value as Json, json};

use crate::testing::{PASSWORD, TestPortal, on_every_database};

const DAY_MS: i64 = 86_400_000;

async fn manager(portal: &TestPortal) -> String {
    let staff = portal.sign_up("staff@operator.example", "Operator").await;
    portal.make_operator(&staff, "manager").await;
    let token = portal.log_in("staff@operator.example", PASSWORD).await;
    for (tier, position) in [("silver", 1), ("gold", 2)] {
        let body = json!({ "name": tier, "position": position });
        portal
            .call(
                "PUT",
                &format!("/api/v1/operator/tiers/{tier}"),
                &token,
                Some(body),
            )
            .await
            .expect(200);
    }
    token
}

async fn rule(portal: &TestPortal, token: &str, tier: &str, body: Json) {
    let path = format!("/api/v1/operator/tiers/{tier}/rules");
    portal
        .call("PUT", &path, token, Some(body))
        .await
        .expect(200);
}

async fn tier_of(portal: &TestPortal, token: &str, id: &str) -> String {
    let answer = portal
        .get(&format!("/api/v1/operator/organisations/{id}"), token)
        .await
        .expect(200)
        .json();
    answer["tier"].as_str().unwrap().to_owned()
}

on_every_database! {
    async fn rules_are_previewed_then_move_partners_and_leave_a_history(portal: TestPortal) {
        let ada = portal.sign_up("ada@partner.example", "Ada").await;
        let token = manager(&portal).await;
        let tried = json!({ "rules": { "silver": { "min_tenure_days": 30 } } });
        let preview = async |portal: &TestPortal, token: &str| {
            let found = portal.post("/api/v1/operator/tiering/preview", token, tried.clone()).await.expect(200).json();
            found["items"].as_array().unwrap().iter().any(|one| one["name"] == "Ada")
        };
        assert!(!preview(&portal, &token).await, "too young");
        portal.advance_ms(31 * DAY_MS);
        let token = portal.log_in("staff@operator.example", PASSWORD).await;
        assert!(preview(&portal, &token).await);
        assert_eq!(tier_of(&portal, &token, &ada.organisation_id).await, "standard", "a preview changes nothing");

        rule(&portal, &token, "silver", json!({ "rules": { "min_tenure_days": 30 } })).await;
        let page = portal.page("/operator/tiers", &token).await.expect(200).text();
        assert!(page.contains("31 days in the programme, at least 30"), "{page}");
        let moved = portal.post("/api/v1/operator/tiering/runs", &token, json!({})).await.expect(200).json();
        assert!(moved["items"].as_array().unwrap().iter().any(|one| one["name"] == "Ada" && one["to"] == "silver"));
        assert_eq!(tier_of(&portal, &token, &ada.organisation_id).await, "silver");
        let again = portal.post("/api/v1/operator/tiering/runs", &token, json!({})).await.expect(200).json();
        assert_eq!(again["items"], json!([]));
        let history = format!("/api/v1/operator/organisations/{}/tier-changes", ada.organisation_id);
        let changes = portal.get(&history, &token).await.expect(200).json();
        assert_eq!((&changes["items"][0]["from"], &changes["items"][0]["is_by_rules"]), (&json!("standard"), &json!(true)));
    }

    async fn a_tier_set_by_hand_stays_until_it_is_released(portal: TestPortal) {
        let ada = portal.sign_up("ada@partner.example", "Ada").await;
        let token = manager(&portal).await;
        rule(&portal, &token, "silver", json!({ "rules": { "min_tenure_days": 0 } })).await;
        let path = format!("/api/v1/operator/organisations/{}", ada.organisation_id);
        portal.call("PATCH", &path, &token, Some(json!({ "tier": "gold" }))).await.expect(200);
        portal.post("/api/v1/operator/tiering/runs", &token, json!({})).await.expect(200);
        assert_eq!(tier_of(&portal, &token, &ada.organisation_id).await, "gold");
        let tiering = portal.get("/api/v1/operator/tiering", &token).await.expect(200).json();
        assert_eq!(tiering["held"][0]["name"], "Ada");
        portal.call("DELETE", &format!("{path}/tier-hold"), &token, None).await.expect(204);
        portal.call("DELETE", &format!("{path}/tier-hold"), &token, None).await.expect(404);
        portal.post("/api/v1/operator/tiering/runs", &token, json!({})).await.expect(200);
        assert_eq!(tier_of(&portal, &token, &ada.organisation_id).await, "silver");
    }

    async fn the_clock_moves_partners_once_a_day_where_it_is_switched_on(portal: TestPortal) {
        let ada = portal.sign_up("ada@partner.example", "Ada").await;
        let token = manager(&portal).await;
        rule(&portal, &token, "silver", json!({ "rules": { "min_tenure_days": 0 } })).await;
        let run = async |portal: &TestPortal| super::super::run_due(&portal.context().await).await.unwrap();
        assert_eq!(run(&portal).await, 0, "switched off");
        portal.call("PUT", "/api/v1/operator/tiering", &token, Some(json!({ "is_automatic": true }))).await.expect(200);
        assert!(run(&portal).await > 0);
        assert_eq!(tier_of(&portal, &token, &ada.organisation_id).await, "silver");
        portal.sign_up("eve@partner.example", "Eve").await;
        assert_eq!(run(&portal).await, 0, "not before tomorrow");
        portal.advance_ms(DAY_MS);
        assert_eq!(run(&portal).await, 1);
    }

    async fn a_tier_grants_a_plan_and_somebody_who_looks_after_its_partners(portal: TestPortal) {
        portal.post("/dev/seed", "", json!({})).await.expect(200);
        let ada = portal.sign_up("ada@partner.example", "Ada").await;
        let token = manager(&portal).await;
        let staff = portal.log_in("staff@operator.example", PASSWORD).await;
        let me = portal.get("/api/v1/account", &staff).await.expect(200).json();
        let context = portal.context().await;
        let row = context.connection.query_one(
            "SELECT MAX(plan_id) FROM plans WHERE published_at_ms IS NOT NULL AND private_organisation_id IS NULL", vec![],
        ).await.unwrap();
        let plan: String = row.get(0).unwrap();
        let owner = me["person_id"].as_str().unwrap();
        let grants = json!({ "grants": { "plan_id": plan, "review_priority": 3, "owner": owner } });
        rule(&portal, &token, "standard", grants).await;
        let plans = crate::partners::list_preset_plans(&context.connection, ada.organisation_id.parse().unwrap()).await.unwrap();
        assert_eq!(plans.iter().map(ToString::to_string).collect::<Vec<_>>(), [plan]);
        let question = json!({ "subject": "Hello", "body": "Who is there?" });
        portal.post(&format!("/api/v1/organisations/{}/threads", ada.organisation_id), &ada.token, question).await.expect(201);
        assert!(portal.newest_email("staff@operator.example").await.to_string().contains("Who is there?"));
        let bad = json!({ "grants": { "owner": ada.person_id } });
        portal.call("PUT", "/api/v1/operator/tiers/standard/rules", &token, Some(bad)).await.expect(422);
        let fields = [("min_revenue", "many"), ("min_calls", "")];
        assert!(portal.submit("/operator/tiers/gold/rules", &token, &fields).await.expect(422).text().contains("Give an amount like 500.00"));
        let fields = [("min_tenure_days", "0"), ("min_calls", "")];
        assert!(portal.submit("/operator/tiers/gold/preview", &token, &fields).await.expect(200).text().contains("they are not saved"));
    }
}
