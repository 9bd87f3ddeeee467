//! Behaviour of plans, requests and their decisions, on both databases.

use serde_json::{Value, json};

use crate::credentials::test_partner::{accept_all, first_call, start, subscription};
use crate::testing::on_every_database;

on_every_database! {
    async fn a_change_of_plan_is_decided_by_rules_or_by_a_person(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        accept_all(&portal, &actor).await;
        first_call(&portal, &actor, &app).await;
        let subscription = subscription(&portal, &actor, &app).await;
        portal.post(&format!("{subscription}/go-live"), &actor.token, json!({})).await.expect(201);
        let catalogue = portal.get("/api/v1/products", "").await.expect(200).json();
        let plan = |name: &str| -> Value {
            catalogue["items"][0]["plans"].as_array().unwrap().iter().find(|plan| plan["name"] == name).unwrap()["id"].clone()
        };
        let preview = portal.get(&format!("{subscription}/plan-changes/preview?plan_id={}", plan("Starter").as_str().unwrap()), &actor.token).await.expect(200).json();
        assert_eq!(preview["needs_approval"], true);
        // It has a price: billing details come first, and the way there leads back.
        assert_eq!(preview["missing_billing_details"], json!(["legal name", "address", "country"]));
        let refused = portal.post(&format!("{subscription}/plan-changes"), &actor.token, json!({ "plan_id": plan("Starter") })).await.expect(409);
        assert_eq!(refused.code(), "billing_details_required");
        let billing = format!("/organisations/{}/billing", actor.organisation_id);
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("legal name, address, country") && detail.contains(&billing), "{detail}");
        let page = format!("{}/plan", subscription.strip_prefix("/api/v1").unwrap());
        let starter = plan("Starter").as_str().unwrap().to_owned();
        let sent_back = portal.submit(&page, &actor.token, &[("plan_id", &starter), ("when", "now")]).await.expect(303);
        let preview_page = format!("{page}?plan_id={starter}&when=now");
        assert_eq!(sent_back.header("location"), preview_page);
        let shown = portal.page(&preview_page, &actor.token).await.expect(200).text();
        assert!(shown.contains("still to give: legal name, address, country") && !shown.contains("Ask for it"), "{shown}");
        let form = portal.page(&format!("{billing}?next={preview_page}"), &actor.token).await.expect(200).text();
        assert!(form.contains("name=\"next\""), "{form}");
        let details = [("legal_name", "Partner Ltd"), ("address", "1 Main Street"), ("country", "DE"), ("next", preview_page.as_str())];
        let back = portal.submit(&format!("{billing}/account"), &actor.token, &details).await.expect(303);
        assert_eq!(back.header("location"), preview_page);
        let shown = portal.page(&preview_page, &actor.token).await.expect(200).text();
        assert!(shown.contains("Ask for it"), "{shown}");
        // Starter: the sandbox success rate speaks for it.
        let changed = portal.post(&format!("{subscription}/plan-changes"), &actor.token, json!({ "plan_id": plan("Starter") })).await.expect(200).json();
        assert_eq!((changed["plan_name"].as_str(), changed["request"]["state"].as_str()), (Some("Starter"), Some("approved")));
        assert!(changed["request"]["reason"].as_str().unwrap().contains("works in the sandbox"));
        // Scale: a person.
        let waiting = portal.post(&format!("{subscription}/plan-changes"), &actor.token, json!({ "plan_id": plan("Scale"), "note": "Black Friday" })).await.expect(200).json();
        assert_eq!((waiting["plan_name"].as_str(), waiting["request"]["place"].as_i64()), (Some("Starter"), Some(1)));
        let second = portal.post(&format!("{subscription}/plan-changes"), &actor.token, json!({ "plan_id": plan("Scale") })).await.expect(409);
        assert_eq!(second.code(), "request_waiting");
        let manager = portal.sign_up("manager@operator.example", "Operator").await;
        portal.make_operator(&manager, "manager").await;
        let told = portal.newest_email("operator@portico.example").await;
        assert_eq!(told["subject"], "Partner asks to change its plan");
        let queue = portal.page("/operator/requests", &manager.token).await.expect(200).text();
        assert!(queue.contains("Black Friday") && queue.contains("Partner"));
        let listed = portal.get("/api/v1/operator/requests", &manager.token).await.expect(200).json()["items"][0].clone();
        assert_eq!((&listed["id"], listed["place"].as_i64()), (&waiting["request"]["id"], Some(1)));
        let names = ["organisation_name", "plan_name", "requested_by"].map(|name| listed[name].as_str().unwrap().to_owned());
        assert_eq!(names, ["Partner".to_owned(), "Scale".to_owned(), actor.email.clone()]);
        assert!(listed["app_name"].is_string() && listed["organisation_id"] == actor.organisation_id.as_str(), "{listed}");
        let id = waiting["request"]["id"].as_str().unwrap();
        let place = told["links"][0].as_str().unwrap().strip_prefix("http://portal.test").unwrap();
        assert_eq!(place, format!("/operator/requests/{id}"));
        let item = portal.page(place, &manager.token).await.expect(200).text();
        for words in ["Black Friday", actor.email.as_str(), "is due by", "a person decides", "Successful sandbox calls"] {
            assert!(item.contains(words), "{words} is not in {item}");
        }
        let unreasoned = portal.submit(place, &manager.token, &[("outcome", "refused")]).await.expect(422).text();
        assert!(unreasoned.contains("Say why: the partner reads it."));
        let decide = async |body: Value| portal.post(&format!("/api/v1/operator/requests/{id}/decisions"), &manager.token, body).await;
        assert_eq!(decide(json!({ "outcome": "refused" })).await.expect(422).json()["errors"][0]["field"], "reason");
        decide(json!({ "outcome": "refused", "reason": "Not this month." })).await.expect(200);
        assert_eq!(decide(json!({ "outcome": "approved" })).await.expect(409).code(), "already_decided");
        let told = portal.newest_email(&actor.email).await;
        assert_eq!(told["subject"], "Your request to change its plan was refused");
        assert!(told["links"][0].as_str().unwrap().ends_with("/subscriptions"), "{told}");
        let seen = portal.get(&subscription, &actor.token).await.expect(200).json();
        assert_eq!((seen["plan_name"].as_str(), seen["request"]["reason"].as_str()), (Some("Starter"), Some("Not this month.")));
    }

    async fn a_change_or_an_end_at_the_periods_end_waits_for_it(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        let subscription = subscription(&portal, &actor, &app).await;
        let catalogue = portal.get("/api/v1/products", "").await.expect(200).json();
        let starter = catalogue["items"][0]["plans"][1]["id"].clone();
        let body = json!({ "plan_id": starter, "when": "period_end" });
        let changed = portal.post(&format!("{subscription}/plan-changes"), &actor.token, body).await.expect(200).json();
        assert_eq!((changed["plan_name"].as_str(), &changed["next_plan"]["plan_id"]), (Some("Free"), &starter));
        assert_eq!(changed["next_plan"]["from"], "2026-02-01T00:00:00.000Z");
        let secret = portal.app.configuration.secret("tick_secret").unwrap();
        portal.post("/internal/tick", &secret, json!({})).await.expect(200);
        let token = async || portal.log_in(&actor.email, crate::testing::PASSWORD).await;
        assert_eq!(portal.get(&subscription, &actor.token).await.json()["plan_name"], "Free");
        portal.advance_ms(32 * 24 * 3_600_000);
        portal.post("/internal/tick", &secret, json!({})).await.expect(200);
        let now = token().await;
        assert_eq!(portal.get(&subscription, &now).await.expect(200).json()["plan_name"], "Starter");
        let shown = portal.page(&format!("{}/plan?when=now&plan_id={}", subscription.strip_prefix("/api/v1").unwrap(), catalogue["items"][0]["plans"][0]["id"].as_str().unwrap()), &now).await.expect(200).text();
        assert!(shown.contains("Starter becomes Free") && shown.contains("Change the plan"), "{shown}");
        let ending = portal.call("DELETE", &format!("{subscription}?reason=Too%20dear"), &now, None).await.expect(200).json();
        let row = portal.context().await.connection.query_one("SELECT cancellation_reason FROM subscriptions WHERE cancellation_reason IS NOT NULL", vec![]).await.unwrap();
        assert_eq!(row.get::<String>(0).unwrap(), "Too dear");
        assert_eq!((ending["state"].as_str(), ending["ends_at"].as_str()), (Some("ending"), Some("2026-03-01T00:00:00.000Z")));
        portal.advance_ms(32 * 24 * 3_600_000);
        portal.post("/internal/tick", &secret, json!({})).await.expect(200);
        assert_eq!(portal.get(&subscription, &token().await).await.expect(200).json()["state"], "cancelled");
    }

    async fn what_is_planned_is_judged_when_going_live_and_can_be_withdrawn(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        accept_all(&portal, &actor).await;
        first_call(&portal, &actor, &app).await;
        let subscription = subscription(&portal, &actor, &app).await;
        let catalogue = portal.get("/api/v1/products", "").await.expect(200).json();
        let plans = catalogue["items"][0]["plans"].as_array().unwrap();
        let scale = plans.iter().find(|plan| plan["name"] == "Scale").unwrap()["id"].clone();
        let later = json!({ "plan_id": scale, "when": "period_end" });
        let planned = async || portal.post(&format!("{subscription}/plan-changes"), &actor.token, later.clone()).await.expect(200).json();
        let withdrawn = async || portal.call("DELETE", &format!("{subscription}/planned-change"), &actor.token, None).await;
        // In the sandbox any plan may be planned; what it asks for is asked when going live.
        assert_eq!(planned().await["next_plan"]["plan_id"], scale);
        let refused = portal.post(&format!("{subscription}/go-live"), &actor.token, json!({})).await.expect(409);
        assert_eq!(refused.code(), "checklist_incomplete");
        assert!(refused.text().contains("Billing details given"), "{}", refused.text());
        assert_eq!(withdrawn().await.expect(200).json()["next_plan"], Value::Null);
        assert_eq!(withdrawn().await.expect(409).code(), "nothing_planned");
        let live = portal.post(&format!("{subscription}/go-live"), &actor.token, json!({})).await.expect(201).json();
        assert_eq!(live["state"], "approved");
        // Live, a person decides, and the date asked for holds.
        let details = [("legal_name", "Partner Ltd"), ("address", "1 Main Street"), ("country", "DE")];
        portal.submit(&format!("/organisations/{}/billing/account", actor.organisation_id), &actor.token, &details).await.expect(303);
        let waiting = planned().await;
        assert_eq!((&waiting["next_plan"], waiting["request"]["state"].as_str()), (&Value::Null, Some("waiting")));
        let manager = portal.sign_up("manager@operator.example", "Operator").await;
        portal.make_operator(&manager, "manager").await;
        let decisions = format!("/api/v1/operator/requests/{}/decisions", waiting["request"]["id"].as_str().unwrap());
        portal.post(&decisions, &manager.token, json!({ "outcome": "approved", "reason": "Welcome." })).await.expect(200);
        let approved = portal.get(&subscription, &actor.token).await.expect(200).json();
        assert_eq!((approved["plan_name"].as_str(), &approved["next_plan"]["plan_id"]), (Some("Free"), &scale));
        assert_eq!(approved["next_plan"]["from"], "2026-02-01T00:00:00.000Z");
        let page = format!("{}/keep", subscription.strip_prefix("/api/v1").unwrap());
        portal.submit(&page, &actor.token, &[]).await.expect(303);
        assert_eq!(portal.get(&subscription, &actor.token).await.json()["next_plan"], Value::Null);
    }
}
