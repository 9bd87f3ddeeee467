//! Threads, from both sides, on both databases.

use serde_json::{Value as Json, json};

use crate::testing::{PASSWORD, TestPortal, on_every_database};

async fn staff(portal: &TestPortal) -> String {
    let person = portal.sign_up("staff@operator.example", "Operator").await;
    portal.make_operator(&person, "manager").await;
    portal.log_in("staff@operator.example", PASSWORD).await
}

fn subjects(list: &Json) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|one| one["subject"].as_str().unwrap())
        .collect()
}

on_every_database! {
    async fn a_question_waits_until_it_is_answered_and_is_counted_as_support(portal: TestPortal) {
        let ada = portal.sign_up("ada@partner.example", "Ada").await;
        let token = staff(&portal).await;
        let base = format!("/api/v1/organisations/{}/threads", ada.organisation_id);
        let opened = portal.post(&base, &ada.token, json!({ "subject": "Limits", "body": "How many calls?" })).await.expect(201).json();
        let id = opened["id"].as_str().unwrap();
        assert_eq!((opened["state"].as_str(), opened["message_count"].as_i64()), (Some("waiting"), Some(1)));
        let waiting = portal.get("/api/v1/operator/threads?state=waiting", &token).await.expect(200).json();
        assert_eq!(subjects(&waiting), ["Limits"]);

        let answer = json!({ "body": "A thousand a month." });
        let answered = portal.post(&format!("/api/v1/operator/threads/{id}/messages"), &token, answer).await.expect(200).json();
        assert_eq!(answered["state"], "answered");
        assert!(portal.newest_email("ada@partner.example").await.to_string().contains("A thousand a month."));
        let tags = json!({ "tags": ["Limits", "docs"], "is_closed": true });
        let sorted = portal.call("PATCH", &format!("/api/v1/operator/threads/{id}"), &token, Some(tags)).await.expect(200).json();
        assert_eq!((sorted["state"].as_str(), &sorted["tags"]), (Some("closed"), &json!(["docs", "limits"])));
        assert_eq!(subjects(&portal.get("/api/v1/operator/threads?tag=limits", &token).await.expect(200).json()), ["Limits"]);
        assert!(subjects(&portal.get("/api/v1/operator/threads?tag=billing", &token).await.expect(200).json()).is_empty());

        let again = portal.post(&format!("/api/v1/threads/{id}/messages"), &ada.token, json!({ "body": "And a day?" })).await.expect(200).json();
        assert_eq!((again["state"].as_str(), again["message_count"].as_i64()), (Some("waiting"), Some(3)));
        assert!(portal.newest_email("staff@operator.example").await.to_string().contains("And a day?"));

        let report = portal.get("/api/v1/operator/analytics/partners", &token).await.expect(200).json();
        let rows = report["tables"][0]["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row[0] == "Ada").unwrap();
        // Two messages of the partner; the answer and the sorting are actions of staff.
        assert_eq!((row[9].as_i64(), row[8].as_i64()), (Some(2), Some(2)), "{row}");
    }

    async fn a_thread_of_another_partner_does_not_exist(portal: TestPortal) {
        let ada = portal.sign_up("ada@partner.example", "Ada").await;
        let eve = portal.sign_up("eve@partner.example", "Eve").await;
        let base = format!("/api/v1/organisations/{}/threads", ada.organisation_id);
        let opened = portal.post(&base, &ada.token, json!({ "subject": "Price", "body": "Too dear" })).await.expect(201).json();
        let path = format!("/api/v1/threads/{}", opened["id"].as_str().unwrap());
        portal.get(&path, &ada.token).await.expect(200);
        portal.get(&path, &eve.token).await.expect(404);
        portal.post(&format!("{path}/messages"), &eve.token, json!({ "body": "Me too" })).await.expect(404);
    }

    async fn what_is_missing_is_named_and_kept_on_the_page(portal: TestPortal) {
        let ada = portal.sign_up("ada@partner.example", "Ada").await;
        let base = format!("/api/v1/organisations/{}/threads", ada.organisation_id);
        let wrong = portal.post(&base, &ada.token, json!({ "subject": "", "body": " " })).await.expect(422).json();
        let fields: Vec<&str> = wrong["errors"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["subject", "body"]);
        portal.post(&base, &ada.token, json!({ "subject": "An app", "body": "Hm", "app_id": "app_none" })).await.expect(422);
        let page = format!("/organisations/{}/support", ada.organisation_id);
        let shown = portal.submit(&page, &ada.token, &[("subject", ""), ("app_id", ""), ("body", "I wrote a lot")]).await.expect(422).text();
        assert!(shown.contains("I wrote a lot") && shown.contains("Say what it is about"));
        let sent = portal.submit(&page, &ada.token, &[("subject", "Keys"), ("app_id", ""), ("body", "Where are they?")]).await.expect(303);
        assert!(portal.page(sent.header("location"), &ada.token).await.expect(200).text().contains("Where are they?"));
    }
}
