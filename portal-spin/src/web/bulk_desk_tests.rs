//! Desks that act on several rows: each object is told of, recorded and, where possible, taken back.

use serde_json::{Value as Json, json};

use crate::credentials::test_partner::{accept_all, first_call, start, subscription};
use crate::testing::{Actor, TestPortal, on_every_database};

async fn manager(portal: &TestPortal) -> Actor {
    let manager = portal.sign_up("manager@operator.example", "Operator").await;
    portal.make_operator(&manager, "manager").await;
    manager
}

/// Fields `undo` of a page that tells what was done.
fn undo_fields(page: &str) -> Vec<String> {
    let fields = page.split("name=\"undo\" value=\"").skip(1);
    fields
        .map(|rest| {
            rest.split('"')
                .next()
                .unwrap_or_default()
                .replace("&#38;", "&")
        })
        .collect()
}

async fn undo(portal: &TestPortal, path: &str, page: &str, token: &str) -> String {
    let fields = undo_fields(page);
    assert!(!fields.is_empty(), "{page}");
    let fields: Vec<(&str, &str)> = fields.iter().map(|one| ("undo", one.as_str())).collect();
    portal.submit(path, token, &fields).await.expect(200).text()
}

fn outcomes(told: &Json) -> Vec<(&str, &str)> {
    let results = told["results"].as_array().unwrap();
    results
        .iter()
        .map(|one| {
            (
                one["outcome"].as_str().unwrap(),
                one["code"].as_str().unwrap(),
            )
        })
        .collect()
}

async fn audited(portal: &TestPortal, token: &str, action: &str) -> usize {
    let path = format!("/api/v1/operator/audit-records?action={action}");
    let found = portal.get(&path, token).await.expect(200).json();
    found["items"].as_array().unwrap().len()
}

on_every_database! {
    async fn partners_are_sorted_and_suspended_together_and_put_back(portal: TestPortal) {
        let (ada, _) = start(&portal).await;
        let bob = portal.sign_up("bob@partner.example", "Bob").await;
        let boss = manager(&portal).await;
        let of = async |actor: &Actor| {
            let path = format!("/api/v1/operator/organisations/{}", actor.organisation_id);
            portal.get(&path, &boss.token).await.expect(200).json()
        };
        let ids = json!([ada.organisation_id, bob.organisation_id, "org_none", ada.organisation_id]);
        let body = json!({ "organisation_ids": ids, "change": { "add_tags": ["Pilot"], "is_suspended": true, "reason": "Unpaid." } });
        let told = portal.post("/api/v1/operator/partner-changes", &boss.token, body.clone()).await.expect(200).json();
        assert_eq!(outcomes(&told), [("done", ""), ("done", ""), ("refused", "not_found")]);
        assert_eq!(told["done"], 2);
        assert_eq!((of(&ada).await["tags"].clone(), of(&bob).await["tags"].clone()), (json!(["pilot"]), json!(["pilot"])));
        let chief = portal.sign_up("chief@operator.example", "Operator").await;
        portal.make_operator(&chief, "administrator").await;
        assert_eq!(audited(&portal, &chief.token, "organisation.suspended").await, 2);
        assert_eq!(audited(&portal, &chief.token, "organisation.sorted").await, 2);
        let again = portal.post("/api/v1/operator/partner-changes", &boss.token, body).await.expect(200).json();
        assert_eq!(outcomes(&again), [("refused", "no_change"), ("refused", "no_change"), ("refused", "not_found")]);

        // The page: chosen rows, a refusal kept beside what was done, and the way back.
        let fields = [("id", ada.organisation_id.as_str()), ("id", bob.organisation_id.as_str()), ("is_suspended", "no"), ("add_tags", "late")];
        let page = portal.submit("/operator/partners", &boss.token, &fields).await.expect(200).text();
        assert!(page.contains("2 of 2 done.") && !page.contains(">suspended<"), "{page}");
        let page = undo(&portal, "/operator/partners", &page, &boss.token).await;
        assert!(page.contains("2 of 2 done.") && page.contains("Unpaid."), "{page}");
        assert_eq!(of(&bob).await["tags"], json!(["pilot"]));
        let page = undo(&portal, "/operator/partners", &page, &boss.token).await;
        assert!(page.contains("2 of 2 done.") && !page.contains(">suspended<"), "{page}");
        // Without a choice, a change or a reason nothing happens, and what was typed stays.
        let nobody = portal.submit("/operator/partners", &boss.token, &[("add_tags", "kept-text")]).await.expect(422).text();
        assert!(nobody.contains("Choose at least one.") && nobody.contains("kept-text"), "{nobody}");
        portal.submit("/operator/partners", &boss.token, &[("id", ada.organisation_id.as_str())]).await.expect(422);
        let mute = [("id", ada.organisation_id.as_str()), ("is_suspended", "yes")];
        let mute = portal.submit("/operator/partners", &boss.token, &mute).await.expect(422).text();
        assert!(mute.contains("Say why") && mute.contains(" checked"), "{mute}");
        // One row's own form can be taken back as well.
        let path = format!("/operator/partners/{}", ada.organisation_id);
        let page = portal.submit(&path, &boss.token, &[("tags", "alone")]).await.expect(200).text();
        undo(&portal, "/operator/partners", &page, &boss.token).await;
        assert_ne!(of(&ada).await["tags"], json!(["alone"]));
        // A reader of the programme is offered none of it.
        let reader = portal.sign_up("support@operator.example", "Operator").await;
        portal.make_operator(&reader, "lawyer").await;
        let page = portal.page("/operator/partners", &reader.token).await.expect(200).text();
        assert!(!page.contains("id=\"chosen\"") && !page.contains("type=\"checkbox\" form"), "{page}");
        portal.submit("/operator/partners", &reader.token, &fields).await.expect(403);
    }

    async fn requests_are_decided_together_each_with_its_own_answer(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        accept_all(&portal, &actor).await;
        first_call(&portal, &actor, &app).await;
        let subscription = subscription(&portal, &actor, &app).await;
        portal.post(&format!("{subscription}/go-live"), &actor.token, json!({})).await.expect(201);
        let details = [("legal_name", "Partner Ltd"), ("address", "1 Main Street"), ("country", "DE")];
        portal.submit(&format!("/organisations/{}/billing/account", actor.organisation_id), &actor.token, &details).await.expect(303);
        let catalogue = portal.get("/api/v1/products", "").await.expect(200).json();
        let plans = catalogue["items"][0]["plans"].as_array().unwrap();
        let scale = plans.iter().find(|plan| plan["name"] == "Scale").unwrap()["id"].clone();
        let waiting = portal.post(&format!("{subscription}/plan-changes"), &actor.token, json!({ "plan_id": scale })).await.expect(200).json();
        let id = waiting["request"]["id"].as_str().unwrap();
        let boss = manager(&portal).await;
        let mute = json!({ "request_ids": [id], "outcome": "refused" });
        let told = portal.post("/api/v1/operator/request-decisions", &boss.token, mute).await.expect(200).json();
        assert_eq!(outcomes(&told), [("refused", "missing")], "{told}");
        let fields = [("everything", "yes"), ("shown", id), ("shown", "req_none"), ("outcome", "refused"), ("reason", "Not yet.")];
        let page = portal.submit("/operator/requests", &boss.token, &fields).await.expect(200).text();
        assert!(page.contains("1 of 2 done.") && page.contains("req_none"), "{page}");
        assert!(undo_fields(&page).is_empty(), "a decision is final");
        assert!(portal.newest_email("ada@partner.example").await.to_string().contains("Not yet."));
        let body = json!({ "request_ids": [id], "outcome": "approved" });
        let told = portal.post("/api/v1/operator/request-decisions", &boss.token, body).await.expect(200).json();
        assert_eq!(told["results"][0]["outcome"], "refused", "{told}");
    }

    async fn threads_are_closed_together_and_wait_again_when_opened(portal: TestPortal) {
        let ada = portal.sign_up("ada@partner.example", "Ada").await;
        let boss = manager(&portal).await;
        let base = format!("/api/v1/organisations/{}/threads", ada.organisation_id);
        let mut ids = Vec::new();
        for subject in ["Limits", "Keys"] {
            let opened = portal.post(&base, &ada.token, json!({ "subject": subject, "body": "How?" })).await.expect(201).json();
            ids.push(opened["id"].as_str().unwrap().to_owned());
        }
        let fields = [("id", ids[0].as_str()), ("id", ids[1].as_str()), ("is_closed", "yes"), ("add_tags", "docs")];
        let page = portal.submit("/operator/threads", &boss.token, &fields).await.expect(200).text();
        assert!(page.contains("2 of 2 done."), "{page}");
        let state = async |id: &str| {
            let thread = portal.get(&format!("/api/v1/operator/threads/{id}"), &boss.token).await.expect(200).json();
            (thread["state"].as_str().unwrap().to_owned(), thread["tags"].clone())
        };
        assert_eq!(state(&ids[1]).await, ("closed".to_owned(), json!(["docs"])));
        undo(&portal, "/operator/threads", &page, &boss.token).await;
        assert_eq!(state(&ids[1]).await, ("waiting".to_owned(), json!([])));
        let body = json!({ "thread_ids": ids, "change": { "is_closed": true } });
        let told = portal.post("/api/v1/operator/thread-changes", &boss.token, body).await.expect(200).json();
        assert_eq!(told["done"], 2);
        portal.post("/api/v1/operator/thread-changes", &boss.token, json!({ "thread_ids": ids, "change": {} })).await.expect(422);
        let many: Vec<String> = (0..101).map(|n| format!("thr_{n}")).collect();
        let many = json!({ "thread_ids": many, "change": { "is_closed": true } });
        portal.post("/api/v1/operator/thread-changes", &boss.token, many).await.expect(422);
        // The thread's own page offers the way back as well.
        let path = format!("/operator/threads/{}/change", ids[0]);
        let page = portal.submit(&path, &boss.token, &[("tags", "one")]).await.expect(200).text();
        undo(&portal, "/operator/threads", &page, &boss.token).await;
        assert_eq!(state(&ids[0]).await, ("closed".to_owned(), json!([])));
    }

    async fn invitations_are_sent_again_or_revoked_together(portal: TestPortal) {
        let boss = manager(&portal).await;
        let rows = json!({ "rows": "a@new.example\nb@new.example" });
        let sent = portal.post("/api/v1/operator/invitations", &boss.token, rows).await.expect(200).json();
        let ids: Vec<&str> = sent["rows"].as_array().unwrap().iter().map(|row| row["programme_invitation_id"].as_str().unwrap()).collect();
        let link = async || portal.newest_email("a@new.example").await["links"][0].clone();
        let old = link().await;
        let fields = [("id", ids[0]), ("id", ids[1]), ("action", "send_again")];
        let page = portal.submit("/operator/invitation-changes", &boss.token, &fields).await.expect(200).text();
        assert!(page.contains("2 of 2 done."), "{page}");
        assert_ne!(old, link().await);
        let place = |link: &Json| link.as_str().unwrap().strip_prefix("http://portal.test").unwrap().to_owned();
        portal.page(&place(&old), "").await.expect(410);
        portal.page(&place(&link().await), "").await.expect(200);
        // The old ones are revoked already, and each address has a newer one open.
        let body = json!({ "programme_invitation_ids": ids, "action": "revoke" });
        let told = portal.post("/api/v1/operator/invitation-changes", &boss.token, body).await.expect(200).json();
        assert_eq!(outcomes(&told), [("refused", "no_change"), ("refused", "no_change")]);
        let again = format!("/api/v1/operator/invitations/{}/resends", ids[0]);
        assert_eq!(portal.post(&again, &boss.token, json!({})).await.expect(409).code(), "already_invited");
    }

    async fn keys_of_an_app_are_revoked_together(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        let base = format!("{app}/credentials");
        let mut ids = Vec::new();
        for _ in 0..2 {
            let issued = portal.post(&base, &actor.token, json!({ "environment": "test" })).await.expect(201).json();
            ids.push(issued["credential"]["id"].as_str().unwrap().to_owned());
        }
        let fields = [("id", ids[0].as_str()), ("id", ids[1].as_str()), ("id", "crd_none")];
        let page = portal.submit(&format!("{}/credential-revocations", app.strip_prefix("/api/v1").unwrap()), &actor.token, &fields).await.expect(200).text();
        assert!(page.contains("2 of 3 done."), "{page}");
        let told = portal.post(&format!("{app}/credential-revocations"), &actor.token, json!({ "credential_ids": ids })).await.expect(200).json();
        assert_eq!(outcomes(&told), [("refused", "no_change"), ("refused", "no_change")]);
        let eve = portal.sign_up("eve@partner.example", "Eve").await;
        portal.post(&format!("{app}/credential-revocations"), &eve.token, json!({ "credential_ids": ids })).await.expect(404);
    }
}
