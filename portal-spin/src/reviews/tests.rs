use serde_json::{Value, json};
use shared::feed::Change;

use crate::edges::feed;
use crate::oauth::test_app::TestApp;
use crate::testing::{Actor, TestPortal, on_every_database};

pub(super) struct Desk {
    pub app: TestApp,
    pub organisation_id: String,
    pub reviewer: Actor,
}

impl Desk {
    pub async fn start(portal: &TestPortal) -> Self {
        let app = TestApp::start(portal, "live").await;
        let shown = portal.get(&app.path, &app.owner).await.expect(200).json();
        let organisation_id = shown["organisation_id"].as_str().unwrap().to_owned();
        let reviewer = portal.sign_up("reviewer@example.com", "Desk").await;
        portal.make_operator(&reviewer, "reviewer").await;
        Self {
            app,
            organisation_id,
            reviewer,
        }
    }

    /// A submission in review, as if the rules had been kept.
    pub async fn in_review(&self, portal: &TestPortal) -> String {
        let body = json!({ "visibility": "public" });
        portal
            .call(
                "PATCH",
                &format!("{}/listing", self.app.path),
                &self.app.owner,
                Some(body),
            )
            .await
            .expect(200);
        self.in_review_of(portal, self.app.path.rsplit('/').next().unwrap())
            .await
    }

    /// As [`Desk::in_review`], of any app.
    pub async fn in_review_of(&self, portal: &TestPortal, app_id: &str) -> String {
        let context = portal.context().await;
        let app_id = app_id.parse().unwrap();
        let app = crate::apps::find_app(&context.connection, app_id)
            .await
            .unwrap()
            .unwrap();
        let listing = crate::listings::ensure_listing(&context, &app)
            .await
            .unwrap();
        let known = crate::reviews::store::list_of_listing(&context.connection, listing.id)
            .await
            .unwrap();
        let submission = crate::reviews::store::Submission {
            id: context.new_id(shared::ids::SubmissionId::new),
            listing_id: listing.id,
            version: known.len() as i64 + 1,
            content: listing.draft,
            state: crate::reviews::machine::State::InReview,
            submitted_at_ms: context.now_ms,
            submitted_by: String::new(),
            queued_at_ms: context.now_ms,
            due_at_ms: context.now_ms + 1_000,
            decided_at_ms: None,
            decided_by: None,
            grounds: crate::reviews::store::Grounds::default(),
            deadline_ms: None,
            appealed_from: None,
            assigned_to: None,
            findings: Vec::new(),
            app_id,
            organisation_id: listing.organisation_id,
            slug: listing.slug,
        };
        crate::reviews::store::put(&context.connection, &submission, None)
            .await
            .unwrap();
        submission.id.to_string()
    }

    pub async fn pass_tracks(&self, portal: &TestPortal, id: &str, token: &str) {
        for track in crate::reviews::tracks::Track::ANY {
            let path = format!("/api/v1/operator/submissions/{id}/reviews/{track}");
            let body = json!({ "verdict": "pass", "ticked": track.checklist() });
            portal
                .call("PUT", &path, token, Some(body))
                .await
                .expect(200);
        }
    }

    pub async fn decide(
        &self,
        portal: &TestPortal,
        id: &str,
        body: Value,
    ) -> crate::testing::Answer {
        let path = format!("/api/v1/operator/submissions/{id}/decisions");
        portal.post(&path, &self.reviewer.token, body).await
    }

    pub async fn act(&self, portal: &TestPortal, id: &str, event: &str) -> crate::testing::Answer {
        let path = format!("/api/v1/submissions/{id}/events");
        portal
            .post(&path, &self.app.owner, json!({ "event": event }))
            .await
    }

    async fn publish(&self, portal: &TestPortal) -> String {
        let id = self.in_review(portal).await;
        self.pass_tracks(portal, &id, &self.reviewer.token).await;
        self.decide(portal, &id, json!({ "event": "approve" }))
            .await
            .expect(200);
        self.act(portal, &id, "publish").await.expect(200);
        id
    }
}

pub(super) fn negative(event: &str) -> Value {
    json!({
        "event": event, "rules": ["links.privacy_url"], "evidence": "The page was empty on Monday.",
        "comment": "Write the statement.", "deadline": "2030-01-01T00:00:00Z",
    })
}

on_every_database! {
    async fn an_app_is_reviewed_published_installed_and_suspended(portal: TestPortal) {
        let desk = Desk::start(&portal).await;
        let id = desk.publish(&portal).await;
        let list = portal.get("/api/v1/directory", "").await.expect(200).json();
        let entry = &list["items"][0];
        assert_eq!(entry["name"], "Order sync");
        let slug = entry["slug"].as_str().unwrap();
        let page = portal.page(&format!("/directory/{slug}"), "").await.expect(200);
        assert!(page.text().contains("See orders"));
        assert!(portal.page("/directory?q=ORDER+keeps", "").await.expect(200).text().contains(slug));
        assert!(!portal.page("/directory?q=absent", "").await.expect(200).text().contains(slug));
        assert!(portal.page("/directory-partners", "").await.expect(200).text().contains("Acme Integrations"));
        // Anyone may install now, from the directory too.
        let customer = portal.sign_up("customer@example.com", "Shop").await;
        portal.page(&format!("/directory/{slug}/install"), &customer.token).await.expect(200);
        let fields = [("decision", "install"), ("config.region", "eu")];
        let installed = portal.submit(&format!("/directory/{slug}/install"), &customer.token, &fields).await.expect(303);
        let installation = installed.header("location").split(['/', '?']).nth(2).unwrap().to_owned();
        let tokens = desk.app.post(&portal, "/oauth/token", &[
            ("grant_type", "client_credentials"), ("installation", installation.as_str()),
        ]).await.expect(200).json();
        assert_eq!(tokens["installation_id"], installation.as_str());
        let funnel = portal.get(&format!("{}/listing/funnel", desk.app.path), &desk.app.owner).await.expect(200).json();
        assert_eq!((&funnel["views"], &funnel["begun"], &funnel["installed"]), (&json!(1), &json!(1), &json!(1)));
        let overview = portal.get("/api/v1/operator/installs?days=7", &desk.reviewer.token).await.expect(200).json();
        assert_eq!((&overview["items"][0]["app"], &overview["items"][0]["is_listed"]), (&json!("Order sync"), &json!(true)));
        for part in [&overview["total"], &overview["items"][0]["funnel"]] {
            assert_eq!((&part["views"], &part["begun"], &part["installed"], &part["active"]), (&json!(1), &json!(1), &json!(1), &json!(1)));
        }
        assert!(portal.page("/operator/installs", &desk.reviewer.token).await.expect(200).text().contains("100.0 %"));
        portal.get("/api/v1/operator/installs?days=0", &desk.reviewer.token).await.expect(422);
        // What the customer says is shown once the operator has chosen it, and as they said it.
        let opinion = format!("/api/v1/installations/{installation}/opinion");
        let words = json!({ "rating": 5, "body": "Saves me an hour every day.", "signed_by": "Cleo" });
        portal.call("PUT", &opinion, &desk.app.owner, Some(words.clone())).await.expect(404);
        portal.call("PUT", &opinion, &customer.token, Some(json!({ "rating": 9, "body": "", "signed_by": "" }))).await.expect(422);
        let written = portal.call("PUT", &opinion, &customer.token, Some(words.clone())).await.expect(200).json();
        assert_eq!(written["is_shown"], false);
        let shown = async || {
            let page = portal.page(&format!("/directory/{slug}"), "").await.expect(200);
            page.text().contains("Saves me an hour")
        };
        assert!(!shown().await);
        let choice = format!("/operator/opinions/{installation}");
        let told = portal.submit(&choice, &desk.reviewer.token, &[("choice", "show")]).await.expect(200).text();
        assert!(told.contains("1 of 1 done.") && told.contains("name=\"undo\""), "{told}");
        assert!(shown().await);
        assert_eq!(portal.get(&format!("/api/v1/directory/{slug}"), "").await.expect(200).json()["opinions"][0]["signed_by"], "Cleo");
        let form = [("rating", "4"), ("body", "Saves me an hour every week."), ("signed_by", "Cleo")];
        portal.submit(&format!("/installations/{installation}/opinion"), &customer.token, &form).await.expect(303);
        assert!(!shown().await, "changed words wait again");
        portal.call("PUT", &format!("/api/v1{choice}"), &customer.token, Some(json!({ "is_shown": true }))).await.expect(404);
        portal.page("/operator/opinions", &desk.reviewer.token).await.expect(200);
        portal.page(&format!("/installations/{installation}"), &customer.token).await.expect(200);
        desk.decide(&portal, &id, negative("suspend")).await.expect(200);
        assert!(!desk.app.is_active(&portal, tokens["access_token"].as_str().unwrap()).await);
        let context = portal.context().await;
        let Some(Change::Credential(client)) = feed::find_head(&context.connection, &desk.app.client_id).await.unwrap()
            else { panic!("no client in the feed") };
        assert!(client.revoked_at_ms.is_some());
        assert_eq!(portal.get("/api/v1/directory", "").await.expect(200).json()["items"], json!([]));
        portal.page(&format!("/directory/{slug}"), "").await.expect(404);
        desk.decide(&portal, &id, json!({ "event": "release" })).await.expect(200);
        portal.page(&format!("/directory/{slug}"), "").await.expect(200);
        desk.decide(&portal, &id, negative("suspend")).await.expect(200);
        assert_eq!(desk.decide(&portal, &id, json!({ "event": "revoke" })).await.expect(409).code(), "rule_missing");
        desk.decide(&portal, &id, negative("revoke")).await.expect(200);
        desk.decide(&portal, &id, json!({ "event": "release" })).await.expect(409);
        // A new client would be a way around it.
        let body = json!({ "environment": "live" });
        let clients = format!("{}/oauth-clients", desk.app.path);
        assert_eq!(portal.post(&clients, &desk.app.owner, body).await.expect(409).code(), "listing_suspended");
        assert_eq!(desk.decide(&portal, &id, json!({ "event": "assign" })).await.expect(422).json()["errors"][0]["field"], "event");
    }

    async fn a_negative_decision_cites_a_rule_and_the_partner_reads_it(portal: TestPortal) {
        let desk = Desk::start(&portal).await;
        let id = desk.in_review(&portal).await;
        let bare = json!({ "event": "reject", "comment": "No." });
        assert_eq!(desk.decide(&portal, &id, bare).await.expect(409).code(), "rule_missing");
        let unknown = json!({ "event": "reject", "rules": ["nothing"], "evidence": "x" });
        desk.decide(&portal, &id, unknown).await.expect(422);
        assert_eq!(desk.decide(&portal, &id, json!({ "event": "approve" })).await.expect(409).code(), "tracks_open");
        let queued = portal.get(&format!("/api/v1/submissions/{id}"), &desk.app.owner).await.expect(200).json();
        assert_eq!(queued["place"], 1);
        desk.decide(&portal, &id, negative("reject")).await.expect(200);
        let seen = portal.get(&format!("/api/v1/submissions/{id}"), &desk.app.owner).await.expect(200).json();
        assert_eq!(seen["grounds"]["rules"], json!(["links.privacy_url"]));
        assert_eq!(seen["grounds"]["evidence"], "The page was empty on Monday.");
        desk.act(&portal, &id, "appeal").await.expect(200);
        let answer = desk.decide(&portal, &id, negative("reject")).await.expect(409);
        assert_eq!(answer.code(), "appeal_needs_another_reviewer");
        let second = portal.sign_up("second@example.com", "Desk two").await;
        portal.make_operator(&second, "reviewer").await;
        let path = format!("/api/v1/operator/submissions/{id}/decisions");
        portal.post(&path, &second.token, negative("reject")).await.expect(200);
        assert_eq!(desk.act(&portal, &id, "appeal").await.expect(409).code(), "appealed");
        assert!(portal.newest_email("partner@acme.example").await["text"].as_str().unwrap().contains("links.privacy_url"));
    }

    async fn nobody_reviews_their_own_organisation(portal: TestPortal) {
        let desk = Desk::start(&portal).await;
        let id = desk.in_review(&portal).await;
        let context = portal.context().await;
        crate::organisations::store::insert_member(
            &context,
            desk.organisation_id.parse().unwrap(),
            desk.reviewer.person_id.parse().unwrap(),
            crate::organisations::MemberRole::Reader,
        ).await.unwrap();
        assert_eq!(desk.decide(&portal, &id, negative("reject")).await.expect(409).code(), "conflict_of_interest");
        let path = format!("/api/v1/operator/submissions/{id}/assignments");
        assert_eq!(portal.post(&path, &desk.reviewer.token, json!({})).await.expect(409).code(), "conflict_of_interest");
    }

    async fn a_provisional_approval_ends_at_its_deadline(portal: TestPortal) {
        let desk = Desk::start(&portal).await;
        let id = desk.in_review(&portal).await;
        let mut body = negative("approve_provisionally");
        body["deadline"] = json!("2026-01-02T00:00:00Z");
        desk.decide(&portal, &id, body).await.expect(200);
        desk.act(&portal, &id, "publish").await.expect(200);
        portal.advance_ms(3 * 24 * 60 * 60 * 1000);
        let context = portal.context().await;
        assert_eq!(crate::reviews::apply_deadlines(&context).await.unwrap(), 1);
        assert_eq!(crate::reviews::apply_deadlines(&context).await.unwrap(), 0);
        let submission = crate::reviews::store::find_submission(&context.connection, id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(submission.state, crate::reviews::machine::State::Suspended);
    }
}

#[tokio::test]
async fn a_bad_draft_is_refused_with_the_rules_it_breaks_and_pages_show_them() {
    let portal = TestPortal::on_sqlite().await;
    let desk = Desk::start(&portal).await;
    let path = format!("{}/submissions", desk.app.path);
    let refused = portal
        .post(&path, &desk.app.owner, json!({}))
        .await
        .expect(409);
    assert_eq!(refused.code(), "private_app");
    let body = json!({ "visibility": "public" });
    portal
        .call(
            "PATCH",
            &format!("{}/listing", desk.app.path),
            &desk.app.owner,
            Some(body),
        )
        .await
        .expect(200);
    let refused = portal
        .post(&path, &desk.app.owner, json!({}))
        .await
        .expect(409);
    assert_eq!(refused.code(), "rules_broken");
    assert!(refused.text().contains("branding.logo"));
    let checks = portal
        .get(
            &format!("{}/listing/checks", desk.app.path),
            &desk.app.owner,
        )
        .await
        .expect(200)
        .json();
    assert_eq!(checks["may_submit"], false);
    let page = desk.app.path.replace("/api/v1", "");
    let shown = portal
        .page(&format!("{page}/submissions"), &desk.app.owner)
        .await
        .expect(200);
    assert!(shown.text().contains("branding.logo"));
    portal.page("/review-rules", "").await.expect(200);
    portal
        .page(&format!("{page}/listing"), &desk.app.owner)
        .await
        .expect(200);
    let form = [
        ("name", "New name"),
        ("visibility", "public"),
        ("scopes", "orders:read | To copy orders"),
        ("field_name", "a"),
        ("field_label", "A"),
        ("field_kind", "number"),
        ("field_need", "optional"),
        ("field_max", "30"),
    ];
    portal
        .submit(&format!("{page}/listing"), &desk.app.owner, &form)
        .await
        .expect(303);
    let listing = portal
        .get(&format!("{}/listing", desk.app.path), &desk.app.owner)
        .await
        .expect(200)
        .json();
    assert_eq!(listing["draft"]["name"], "New name");
    assert_eq!(listing["draft"]["scopes"][0]["reason"], "To copy orders");
    assert_eq!(listing["draft"]["form"][0]["max"], 30);
}

#[tokio::test]
async fn reviewers_work_on_pages_and_talk_with_the_partner() {
    let portal = TestPortal::on_sqlite().await;
    let desk = Desk::start(&portal).await;
    let id = desk.in_review(&portal).await;
    let token = &desk.reviewer.token;
    assert!(
        portal
            .page("/operator/submissions", token)
            .await
            .expect(200)
            .text()
            .contains("Order sync")
    );
    let page = format!("/operator/submissions/{id}");
    portal
        .submit(&format!("{page}/assign"), token, &[])
        .await
        .expect(303);
    for track in crate::reviews::tracks::Track::ANY {
        let mut fields = vec![("verdict", "pass")];
        fields.extend(track.checklist().iter().map(|item| ("ticked", *item)));
        portal
            .submit(&format!("{page}/reviews/{track}"), token, &fields)
            .await
            .expect(303);
    }
    portal
        .submit(
            &format!("{page}/messages"),
            token,
            &[("body", "How is data deleted?")],
        )
        .await
        .expect(303);
    let seen = portal
        .page(&format!("/submissions/{id}"), &desk.app.owner)
        .await
        .expect(200);
    assert!(seen.text().contains("How is data deleted?"));
    portal
        .submit(
            &format!("/submissions/{id}/messages"),
            &desk.app.owner,
            &[("body", "After 30 days.")],
        )
        .await
        .expect(303);
    assert!(
        portal
            .page(&page, token)
            .await
            .expect(200)
            .text()
            .contains("After 30 days.")
    );
    portal
        .submit(&format!("{page}/decide"), token, &[("event", "approve")])
        .await
        .expect(303);
    portal
        .submit(
            &format!("/submissions/{id}/events"),
            &desk.app.owner,
            &[("event", "publish")],
        )
        .await
        .expect(303);
    let template = json!({ "name": "No privacy", "rules": ["links.privacy_url"], "body": "The statement is missing." });
    portal
        .call(
            "PUT",
            "/api/v1/operator/review-templates",
            token,
            Some(template),
        )
        .await
        .expect(200);
    let reasons = "/operator/review-templates";
    let form = [
        ("name", "No terms"),
        ("rules", "links.terms_url"),
        ("body", "The terms are missing."),
    ];
    portal.submit(reasons, token, &form).await.expect(303);
    let unknown = [("name", "Odd"), ("rules", "nothing"), ("body", "x")];
    portal.submit(reasons, token, &unknown).await.expect(422);
    let filled = portal
        .page(&format!("{page}?reason=No+terms"), token)
        .await
        .expect(200);
    assert!(filled.text().contains("value=\"links.terms_url\""));
    portal
        .submit(&format!("{reasons}/remove"), token, &[("name", "No terms")])
        .await
        .expect(303);
    let gone = "/api/v1/operator/review-templates/No%20privacy";
    portal.call("DELETE", gone, token, None).await.expect(204);
    portal.call("DELETE", gone, token, None).await.expect(404);
    assert!(
        portal
            .page(reasons, token)
            .await
            .expect(200)
            .text()
            .contains("No reasons yet.")
    );
    // A decision that is refused keeps what was typed.
    let typed = [
        ("event", "suspend"),
        ("evidence", "Seen on Monday"),
        ("days", "many"),
    ];
    let again = portal
        .submit(&format!("{page}/decide"), token, &typed)
        .await
        .expect(422);
    assert!(again.text().contains("Seen on Monday") && again.text().contains("1 to 365 days"));
    let stranger = portal.sign_up("stranger@example.com", "Other").await;
    portal
        .page(&format!("/submissions/{id}"), &stranger.token)
        .await
        .expect(404);
}

#[tokio::test]
async fn two_people_stand_behind_an_approval_where_the_operator_wants_it() {
    let portal = TestPortal::with(
        crate::testing::TestDatabase::sqlite(),
        &[("review_two_persons", "yes")],
    )
    .await;
    let desk = Desk::start(&portal).await;
    let id = desk.in_review(&portal).await;
    desk.pass_tracks(&portal, &id, &desk.reviewer.token).await;
    let alone = desk
        .decide(&portal, &id, json!({ "event": "approve" }))
        .await
        .expect(409);
    assert_eq!(alone.code(), "second_person_missing");
    let second = portal.sign_up("second@example.com", "Desk two").await;
    portal.make_operator(&second, "reviewer").await;
    let path = format!("/api/v1/operator/submissions/{id}/decisions");
    portal
        .post(&path, &second.token, json!({ "event": "approve" }))
        .await
        .expect(200);
}
