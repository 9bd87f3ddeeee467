use serde_json::{Value, json};

use super::tests::{Desk, negative};
use crate::testing::{Actor, Answer, TestPortal, on_every_database};

struct Pair {
    desk: Desk,
    id: String,
    /// A second reviewer.
    second: Actor,
}

impl Pair {
    async fn start(portal: &TestPortal) -> Self {
        let desk = Desk::start(portal).await;
        let id = desk.in_review(portal).await;
        let second = portal.sign_up("second@example.com", "Desk two").await;
        portal.make_operator(&second, "reviewer").await;
        Self { desk, id, second }
    }

    async fn assign(&self, portal: &TestPortal, token: &str, body: Value) -> Answer {
        let path = format!("/api/v1/operator/submissions/{}/assignments", self.id);
        portal.post(&path, token, body).await
    }

    async fn view(&self, portal: &TestPortal) -> Value {
        let path = format!("/api/v1/operator/submissions/{}", self.id);
        let answer = portal.get(&path, &self.desk.reviewer.token).await;
        answer.expect(200).json()
    }

    /// What the log says of assignments, newest first.
    async fn records(&self, portal: &TestPortal) -> Vec<Value> {
        let context = portal.context().await;
        let rows = context
            .connection
            .query(
                "SELECT detail FROM audit_records WHERE action = 'submission.assigned' AND object = $1
                 ORDER BY position DESC",
                crate::params![self.id.as_str()],
            )
            .await
            .unwrap();
        rows.iter()
            .map(|row| serde_json::from_str(&row.get::<String>(0).unwrap()).unwrap())
            .collect()
    }
}

on_every_database! {
    async fn a_submission_and_a_track_of_it_are_handed_to_another_reviewer(portal: TestPortal) {
        let pair = Pair::start(&portal).await;
        let (first, second) = (&pair.desk.reviewer, &pair.second);
        let taken = pair.assign(&portal, &first.token, json!({})).await.expect(200).json();
        assert_eq!(taken["assigned_to"], first.person_id.as_str());
        let offered: Vec<&str> = taken["candidates"].as_array().unwrap().iter()
            .map(|one| one["id"].as_str().unwrap())
            .collect();
        assert!(offered.contains(&second.person_id.as_str()) && offered.contains(&first.person_id.as_str()));
        let handed = pair.assign(&portal, &first.token, json!({ "reviewer": second.person_id })).await.expect(200).json();
        assert_eq!(handed["assigned_to"], second.person_id.as_str());
        let mail = portal.newest_email("second@example.com").await;
        assert!(mail["text"].as_str().unwrap().contains(&format!("/operator/submissions/{}", pair.id)), "{mail}");
        let body = json!({ "reviewer": first.person_id, "track": "security" });
        let handed = pair.assign(&portal, &second.token, body.clone()).await.expect(200).json();
        assert_eq!(handed["assigned_to"], second.person_id.as_str());
        assert_eq!(handed["tracks"][0]["track"], "security");
        assert_eq!(handed["tracks"][0]["reviewer"], first.person_id.as_str());
        assert!(portal.newest_email("reviewer@example.com").await["text"].as_str().unwrap().contains("security track"));
        // Once more is no news.
        pair.assign(&portal, &second.token, body).await.expect(200);
        let me = json!({ "reviewer": Value::Null, "track": "security" });
        pair.assign(&portal, &second.token, me).await.expect(200);
        assert_eq!(pair.view(&portal).await["tracks"][0]["reviewer"], second.person_id.as_str());
        let queue = portal.get("/api/v1/operator/submissions", &first.token).await.expect(200).json();
        assert_eq!(queue["items"][0]["tracks"][0]["track"], "security");
        let records = pair.records(&portal).await;
        assert_eq!(records.len(), 4, "{records:?}");
        assert!(records.contains(&json!({ "reviewer": second.person_id, "from": first.person_id, "track": null })));
        assert!(records.contains(&json!({ "reviewer": second.person_id, "from": first.person_id, "track": "security" })));
        // The partner's words reach who has it.
        let words = json!({ "body": "Backups live for 30 days." });
        portal.post(&format!("/api/v1/submissions/{}/messages", pair.id), &pair.desk.app.owner, words).await.expect(200);
        assert!(portal.newest_email("second@example.com").await["text"].as_str().unwrap().contains("Backups live"));
        let words = json!({ "body": "Where are they?" });
        portal.post(&format!("/api/v1/operator/submissions/{}/messages", pair.id), &second.token, words).await.expect(200);
        assert!(portal.newest_email("partner@acme.example").await["text"].as_str().unwrap().contains("Where are they?"));
    }

    async fn who_is_in_a_tier_that_goes_first_is_reviewed_first(portal: TestPortal) {
        let desk = Desk::start(&portal).await;
        let first = desk.in_review(&portal).await;
        let eve = portal.sign_up("eve@partner.example", "Eve").await;
        let staff = portal.sign_up("manager@operator.example", "Operator").await;
        portal.make_operator(&staff, "manager").await;
        let token = portal.log_in("manager@operator.example", crate::testing::PASSWORD).await;
        let apps = format!("/api/v1/organisations/{}/apps", eve.organisation_id);
        let app = portal.post(&apps, &eve.token, json!({ "name": "Later" })).await.expect(201).json();
        portal.advance_ms(60_000);
        let second = desk.in_review_of(&portal, app["id"].as_str().unwrap()).await;
        let order = async |token: &str| -> Vec<String> {
            let queue = portal.get("/api/v1/operator/submissions", token).await.expect(200).json();
            queue["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(order(&token).await, [first.clone(), second.clone()], "who came first");
        let gold = json!({ "name": "Gold", "position": 9 });
        portal.call("PUT", "/api/v1/operator/tiers/gold", &token, Some(gold)).await.expect(200);
        let grants = json!({ "grants": { "review_priority": 2 } });
        portal.call("PUT", "/api/v1/operator/tiers/gold/rules", &token, Some(grants)).await.expect(200);
        let path = format!("/api/v1/operator/organisations/{}", eve.organisation_id);
        portal.call("PATCH", &path, &token, Some(json!({ "tier": "gold" }))).await.expect(200);
        assert_eq!(order(&token).await, [second, first], "whose tier goes first");
    }

    async fn nobody_hands_a_review_to_or_by_someone_who_must_not_review_it(portal: TestPortal) {
        let pair = Pair::start(&portal).await;
        let (first, second) = (&pair.desk.reviewer, &pair.second);
        let lawyer = portal.sign_up("lawyer@example.com", "Law").await;
        portal.make_operator(&lawyer, "lawyer").await;
        let to = |person: &Actor| json!({ "reviewer": person.person_id });
        let refused = pair.assign(&portal, &first.token, to(&lawyer)).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["code"], "not_a_reviewer");
        pair.assign(&portal, &first.token, json!({ "reviewer": "psn_nobody" })).await.expect(422);
        pair.assign(&portal, &lawyer.token, to(first)).await.expect(403);
        // A colleague of the partner neither gets it nor gives it away.
        let context = portal.context().await;
        crate::organisations::store::insert_member(
            &context,
            pair.desk.organisation_id.parse().unwrap(),
            second.person_id.parse().unwrap(),
            crate::organisations::MemberRole::Reader,
        ).await.unwrap();
        for (token, to) in [(&first.token, to(second)), (&second.token, to(first))] {
            assert_eq!(pair.assign(&portal, token, to).await.expect(409).code(), "conflict_of_interest");
        }
        let candidates = pair.view(&portal).await["candidates"].to_string();
        assert!(!candidates.contains(&second.person_id) && candidates.contains(&first.person_id));
        // The one whose rejection is appealed against is out of it, with whatever was theirs.
        let third = portal.sign_up("third@example.com", "Desk three").await;
        portal.make_operator(&third, "reviewer").await;
        pair.assign(&portal, &third.token, json!({ "reviewer": first.person_id, "track": "quality" })).await.expect(200);
        pair.desk.decide(&portal, &pair.id, negative("reject")).await.expect(200);
        assert_eq!(pair.assign(&portal, &first.token, json!({})).await.expect(409).code(), "wrong_state");
        pair.desk.act(&portal, &pair.id, "appeal").await.expect(200);
        let view = pair.view(&portal).await;
        assert_eq!((&view["assigned_to"], &view["tracks"]), (&Value::Null, &json!([])));
        assert!(!view["candidates"].to_string().contains(&first.person_id));
        for (token, to) in [(&third.token, to(first)), (&first.token, to(&third))] {
            assert_eq!(pair.assign(&portal, token, to).await.expect(409).code(), "appeal_needs_another_reviewer");
        }
        pair.assign(&portal, &third.token, json!({})).await.expect(200);
        assert_eq!(pair.view(&portal).await["assigned_to"], third.person_id.as_str());
    }
}

#[tokio::test]
async fn a_review_is_handed_over_on_its_page() {
    let portal = TestPortal::on_sqlite().await;
    let pair = Pair::start(&portal).await;
    let token = &pair.desk.reviewer.token;
    let page = format!("/operator/submissions/{}", pair.id);
    let assign = format!("{page}/assign");
    let shown = portal.page(&page, token).await.expect(200);
    assert!(shown.text().contains(&pair.second.person_id));
    let whole = [("reviewer", pair.second.person_id.as_str()), ("track", "")];
    portal.submit(&assign, token, &whole).await.expect(303);
    let track = [
        ("reviewer", pair.desk.reviewer.person_id.as_str()),
        ("track", "branding"),
    ];
    portal.submit(&assign, token, &track).await.expect(303);
    let shown = portal.page(&page, token).await.expect(200).text();
    assert!(shown.contains("Handed to") && shown.contains("Taken by"));
    let queue = portal.page("/operator/submissions", token).await;
    assert!(queue.expect(200).text().contains("branding:"));
    for (name, value) in [("reviewer", "nobody"), ("track", "nothing")] {
        let fields = [(name, value)];
        let again = portal.submit(&assign, token, &fields).await.expect(422);
        assert!(again.text().contains("Choose one of the list."), "{name}");
    }
    // Who only looks is shown no forms.
    let lawyer = portal.sign_up("lawyer@example.com", "Law").await;
    portal.make_operator(&lawyer, "lawyer").await;
    let shown = portal.page(&page, &lawyer.token).await.expect(200).text();
    assert!(!shown.contains("/assign") && !shown.contains("/decide"));
    portal
        .submit(&assign, &lawyer.token, &whole)
        .await
        .expect(403);
}

#[tokio::test]
async fn several_submissions_are_handed_over_and_decided_together() {
    let portal = TestPortal::on_sqlite().await;
    let pair = Pair::start(&portal).await;
    let (first, second) = (&pair.desk.reviewer, &pair.second);
    let assignments = "/api/v1/operator/submission-assignments";
    let body = json!({ "submission_ids": [pair.id, "smn_none"] });
    let told = portal.post(assignments, &first.token, body).await;
    let told = told.expect(200).json();
    let outcome = (told["done"].as_i64(), told["results"][1]["code"].as_str());
    assert_eq!(outcome, (Some(1), Some("not_found")), "{told}");
    let desk = "/operator/submissions";
    let fields = [
        ("id", pair.id.as_str()),
        ("reviewer", second.person_id.as_str()),
    ];
    let page = portal.submit(desk, &first.token, &fields).await;
    let page = page.expect(200).text();
    assert!(page.contains("1 of 1 done.") && page.contains("name=\"undo\""));
    let assigned = pair.view(&portal).await["assigned_to"].clone();
    assert_eq!(assigned, second.person_id.as_str());
    let back = format!("id={}&reviewer={}", pair.id, first.person_id);
    let undone = portal.submit(desk, &first.token, &[("undo", &back)]).await;
    undone.expect(200);
    let assigned = pair.view(&portal).await["assigned_to"].clone();
    assert_eq!(assigned, first.person_id.as_str());
    assert_eq!(pair.records(&portal).await.len(), 3);
    // A decision without its grounds is refused for each, as it is for one.
    let decisions = "/api/v1/operator/submission-decisions";
    let body = json!({ "submission_ids": [pair.id], "decision": { "event": "reject" } });
    let told = portal.post(decisions, &first.token, body).await;
    let told = told.expect(200).json();
    let outcome = (
        told["done"].as_i64(),
        told["results"][0]["outcome"].as_str(),
    );
    assert_eq!(outcome, (Some(0), Some("refused")), "{told}");
    let fields = [("id", pair.id.as_str()), ("event", "reject"), ("days", "x")];
    let refused = portal.submit(desk, &first.token, &fields).await;
    assert!(refused.expect(422).text().contains("1 to 365 days"));
}
