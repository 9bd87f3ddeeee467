//! Submissions that are handed in: rules over what the portal has really gathered, versions that wait or
//! go live by themselves, and places in the queue.

use bytes::Bytes;
use serde_json::{Value, json};

use super::machine::State;
use super::rule_tests::{BAD, GOOD, good};
use super::rules::find_rule;
use super::store;
use super::tests::{Desk, negative};
use crate::context::Context;
use crate::listings::Content;
use crate::params;
use crate::testing::{TestPortal, on_every_database};

/// A listing that every rule lets pass, with an app that has called the sandbox.
struct Ready {
    desk: Desk,
    listing: String,
    content: Content,
}

impl Ready {
    async fn start(portal: &TestPortal) -> Self {
        let desk = Desk::start(portal).await;
        *portal.http.addresses.borrow_mut() = vec!["93.184.215.14".parse().unwrap()];
        let listing = format!("{}/listing", desk.app.path);
        let id = portal
            .get(&listing, &desk.app.owner)
            .await
            .expect(200)
            .json()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let context = portal.context().await;
        for (image, width, height) in [("img_logo", 512, 512), ("img_one", 1_280, 720)] {
            context
                .connection
                .execute(
                    "INSERT INTO listing_images (image_id, listing_id, media_type, width, height, contrast, bytes, created_at_ms)
                     VALUES ($1, $2, 'image/png', $3, $4, 700, $5, $6)",
                    params![image, id.as_str(), width as i64, height as i64, vec![0_u8], context.now_ms],
                )
                .await
                .unwrap();
        }
        let mut content = good().content;
        content.install_url.clear();
        let hook = json!({ "url": content.webhook_url });
        let hooks = format!(
            "/api/v1/organisations/{}/webhook-endpoints",
            desk.organisation_id
        );
        portal.post(&hooks, &desk.app.owner, hook).await.expect(201);
        let ready = Self {
            desk,
            listing,
            content,
        };
        ready.count(&context, "listOrders", "2xx", 20).await;
        ready.save(portal, &ready.content).await;
        ready
    }

    /// As if the gateway had reported calls of this minute.
    async fn count(&self, context: &Context, operation: &str, outcome: &str, calls: i64) {
        let app_id = self.desk.app.path.rsplit('/').next().unwrap();
        let series = format!("{operation} {outcome}").into_bytes();
        context
            .connection
            .execute(
                "INSERT INTO usage_series (series, edge_boot_id, slot, credential_id, subscription_id, installation_id,
                    meter_id, operation, outcome, app_id, environment, is_call_count)
                 VALUES ($1, '', 0, '', '', '', '', $2, $3, $4, 'test', 1)",
                params![series.clone(), operation, outcome, app_id],
            )
            .await
            .unwrap();
        context
            .connection
            .execute(
                "INSERT INTO usage_cells (series, minute, count, units, bytes_in, bytes_out, latency)
                 VALUES ($1, $2, $3, $3, 0, 0, '')",
                params![series, context.now_ms / 60_000, calls],
            )
            .await
            .unwrap();
    }

    async fn save(&self, portal: &TestPortal, content: &Content) {
        let body = json!({ "visibility": "public", "draft": content });
        portal
            .call("PATCH", &self.listing, &self.desk.app.owner, Some(body))
            .await
            .expect(200);
    }

    /// What the rules say of a draft that is not saved; no address is asked.
    async fn check(&self, portal: &TestPortal, content: &Content) -> Value {
        let body = json!({ "draft": content, "skip_addresses": true });
        portal
            .post(
                &format!("{}/checks", self.listing),
                &self.desk.app.owner,
                body,
            )
            .await
            .expect(200)
            .json()
    }

    /// Hands the draft in; its pages answer, the webhook endpoint takes the good ping only.
    async fn submit(&self, portal: &TestPortal) -> crate::testing::Answer {
        prepare(portal, [401, 204, 200, 200, 200]);
        let path = format!("{}/submissions", self.desk.app.path);
        portal.post(&path, &self.desk.app.owner, json!({})).await
    }

    async fn submitted(&self, portal: &TestPortal, content: &Content, state: &str) -> String {
        self.save(portal, content).await;
        let made = self.submit(portal).await.expect(201).json();
        assert_eq!(made["state"], state, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    async fn view(&self, portal: &TestPortal, id: &str) -> Value {
        let path = format!("/api/v1/submissions/{id}");
        portal
            .get(&path, &self.desk.app.owner)
            .await
            .expect(200)
            .json()
    }

    async fn approve(&self, portal: &TestPortal, id: &str) {
        let desk = &self.desk;
        desk.pass_tracks(portal, id, &desk.reviewer.token).await;
        desk.decide(portal, id, json!({ "event": "approve" }))
            .await
            .expect(200);
    }

    async fn listed(&self, portal: &TestPortal) -> Value {
        let list = portal.get("/api/v1/directory", "").await.expect(200).json();
        list["items"][0].clone()
    }
}

/// Given from the end: three pages, the signed ping, the forged one.
fn prepare(portal: &TestPortal, statuses: [u16; 5]) {
    let answers = statuses.map(|status| {
        let mut answer = http::Response::new(Bytes::new());
        *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
        answer
    });
    *portal.http.answers.borrow_mut() = answers.into();
}

fn broken(checks: &Value) -> Vec<&str> {
    let findings = checks["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["passes"] == false)
        .map(|finding| finding["rule"].as_str().unwrap())
        .collect()
}

on_every_database! {
    async fn a_second_version_waits_behind_the_first_and_takes_its_place(portal: TestPortal) {
        let ready = Ready::start(&portal).await;
        let first = ready.submitted(&portal, &ready.content, "in_review").await;
        let mut content = ready.content.clone();
        content.pricing = "EUR 5 a month.".to_owned();
        let second = ready.submitted(&portal, &content, "queued").await;
        assert_eq!(ready.submit(&portal).await.expect(409).code(), "version_queued");
        assert_eq!(ready.view(&portal, &second).await["place"], Value::Null);
        ready.approve(&portal, &first).await;
        // The way is free: it is reviewed, and the first can be published meanwhile.
        assert_eq!(ready.view(&portal, &second).await["state"], "in_review");
        assert_eq!(ready.view(&portal, &second).await["place"], 1);
        ready.desk.act(&portal, &first, "publish").await.expect(200);
        assert_eq!(ready.listed(&portal).await["pricing"], ready.content.pricing.as_str());
        ready.approve(&portal, &second).await;
        ready.desk.act(&portal, &second, "publish").await.expect(200);
        assert_eq!(ready.listed(&portal).await["pricing"], "EUR 5 a month.");
        assert_eq!(ready.view(&portal, &first).await["state"], "superseded");
    }

    async fn the_gateways_evidence_stands_beside_the_tracks(portal: TestPortal) {
        let ready = Ready::start(&portal).await;
        let context = portal.context().await;
        ready.count(&context, "listOrders", "4xx", 2).await;
        ready.count(&context, "listOrders", "rate_limited", 2).await;
        let id = ready.submitted(&portal, &ready.content, "in_review").await;
        let path = format!("/operator/submissions/{id}");
        let token = &ready.desk.reviewer.token;
        let seen = portal.get(&format!("/api/v1{path}"), token).await.expect(200).json();
        let traffic = &seen["traffic"];
        assert_eq!((&traffic["calls"], &traffic["successes"], &traffic["client_errors"]), (&json!(22), &json!(20), &json!(2)));
        assert_eq!((&traffic["rate_limited"], &traffic["scopes"]), (&json!(2), &json!(["orders:read"])));
        let page = portal.page(&path, token).await.expect(200).text();
        assert!(page.contains("22, of which 20 succeeded and 2 were answered 4xx"), "{page}");
        assert!(page.contains(&ready.content.webhook_url) && page.contains(&ready.content.support_email));
        let partner = ready.view(&portal, &id).await;
        assert_eq!(partner.get("traffic"), None);
    }

    async fn a_withdrawn_version_lets_the_next_one_in(portal: TestPortal) {
        let ready = Ready::start(&portal).await;
        let first = ready.submitted(&portal, &ready.content, "in_review").await;
        let second = ready.submitted(&portal, &ready.content, "queued").await;
        ready.desk.act(&portal, &first, "withdraw").await.expect(200);
        assert_eq!(ready.view(&portal, &first).await["state"], "draft");
        assert_eq!(ready.view(&portal, &second).await["state"], "in_review");
    }

    async fn a_version_goes_live_by_itself_unless_something_that_matters_changed(portal: TestPortal) {
        let ready = Ready::start(&portal).await;
        let first = ready.submitted(&portal, &ready.content, "in_review").await;
        ready.approve(&portal, &first).await;
        ready.desk.act(&portal, &first, "publish").await.expect(200);
        let mut content = ready.content.clone();
        content.summary = "Keeps your shop and your warehouse in step, day and night.".to_owned();
        let second = ready.submitted(&portal, &content, "published").await;
        assert_eq!(ready.listed(&portal).await["summary"], content.summary.as_str());
        assert_eq!(ready.view(&portal, &first).await["state"], "superseded");
        assert_eq!(ready.view(&portal, &second).await["version"], 2);
        let changes: [fn(&mut Content); 6] = [
            |c| c.pricing = "EUR 5 a month.".to_owned(),
            |c| c.data_use.push_str(" They are sold to nobody."),
            |c| c.redirect_uris.push("https://app.example/second".to_owned()),
            |c| c.privacy_url = "https://app.example/privacy-2".to_owned(),
            |c| c.scopes.clear(),
            |c| c.description.push_str("\n\nSee https://elsewhere.example for more."),
        ];
        for change in changes {
            let mut changed = content.clone();
            change(&mut changed);
            let id = ready.submitted(&portal, &changed, "in_review").await;
            assert_eq!(ready.listed(&portal).await["pricing"], content.pricing.as_str());
            ready.desk.act(&portal, &id, "withdraw").await.expect(200);
        }
    }

    async fn a_provisional_approval_is_not_shaken_off_by_handing_in_the_same_again(portal: TestPortal) {
        let ready = Ready::start(&portal).await;
        let first = ready.submitted(&portal, &ready.content, "in_review").await;
        ready.desk.decide(&portal, &first, negative("approve_provisionally")).await.expect(200);
        ready.desk.act(&portal, &first, "publish").await.expect(200);
        let second = ready.submitted(&portal, &ready.content, "in_review").await;
        ready.desk.act(&portal, &second, "withdraw").await.expect(200);
        ready.desk.decide(&portal, &first, json!({ "event": "confirm" })).await.expect(200);
        ready.submitted(&portal, &ready.content, "published").await;
    }

    async fn what_is_handed_in_again_keeps_its_place_and_the_verdicts_that_passed(portal: TestPortal) {
        let ready = Ready::start(&portal).await;
        let desk = &ready.desk;
        let first = ready.submitted(&portal, &ready.content, "in_review").await;
        portal.advance_ms(60_000);
        let other = portal.sign_up("other@example.com", "Other").await;
        let app = portal
            .post(&format!("/api/v1/organisations/{}/apps", other.organisation_id), &other.token, json!({ "name": "Later" }))
            .await.expect(201).json();
        let later = desk.in_review_of(&portal, app["id"].as_str().unwrap()).await;
        let place = async |id: &str| {
            let path = format!("/api/v1/operator/submissions/{id}");
            portal.get(&path, &desk.reviewer.token).await.expect(200).json()["submission"]["place"].clone()
        };
        assert_eq!((place(&first).await, place(&later).await), (json!(1), json!(2)));
        desk.pass_tracks(&portal, &first, &desk.reviewer.token).await;
        let mut fail = negative("x");
        for name in ["event", "deadline"] {
            fail.as_object_mut().unwrap().remove(name);
        }
        fail["verdict"] = json!("fail");
        let track = format!("/api/v1/operator/submissions/{first}/reviews/compliance");
        portal.call("PUT", &track, &desk.reviewer.token, Some(fail)).await.expect(200);
        let mut body = negative("request_changes");
        body["deadline"] = Value::Null;
        desk.decide(&portal, &first, body).await.expect(200);
        assert_eq!((place(&first).await, place(&later).await), (Value::Null, json!(1)));
        let seen = ready.view(&portal, &first).await;
        assert_eq!(seen["reviews"].as_array().unwrap().len(), 4);
        let again = ready.submit(&portal).await.expect(201).json();
        assert_eq!((&again["id"], &again["state"], &again["version"]), (&json!(first), &json!("in_review"), &json!(1)));
        assert_eq!((place(&first).await, place(&later).await), (json!(1), json!(2)));
        let path = format!("/api/v1/operator/submissions/{first}");
        let desk_view = portal.get(&path, &desk.reviewer.token).await.expect(200).json();
        assert_eq!(desk_view["reviews"].as_array().unwrap().len(), 3);
    }

    async fn who_acts_on_a_state_that_has_passed_is_told(portal: TestPortal) {
        let ready = Ready::start(&portal).await;
        let id = ready.submitted(&portal, &ready.content, "in_review").await;
        let context = portal.context().await;
        let mut read = store::find_submission(&context.connection, id.parse().unwrap()).await.unwrap().unwrap();
        ready.desk.act(&portal, &id, "withdraw").await.expect(200);
        read.state = State::Approved;
        let refused = store::put(&context.connection, &read, Some(State::InReview)).await.unwrap_err();
        assert_eq!(refused.code, "changed_meanwhile");
        assert_eq!(ready.view(&portal, &id).await["state"], "draft");
    }
}

#[tokio::test]
async fn defects_of_a_listing_are_found_through_the_api_and_good_ones_pass() {
    let portal = TestPortal::on_sqlite().await;
    let ready = Ready::start(&portal).await;
    let base = good();
    assert_eq!(
        broken(&ready.check(&portal, &base.content).await),
        Vec::<&str>::new()
    );
    let mut tried = 0;
    for (rule, change) in BAD {
        let mut facts = base.clone();
        change(&mut facts);
        if facts.content == base.content {
            continue;
        }
        let checks = ready.check(&portal, &facts.content).await;
        let found = broken(&checks);
        assert!(found.contains(rule), "{rule}: {found:?}");
        let blocks = find_rule(rule).unwrap().is_blocking;
        assert_eq!(checks["may_submit"], !blocks, "{rule}: {found:?}");
        // A scope that no product has is used by nobody either.
        if *rule != "oauth.scopes_known" && *rule != "branding.screenshots" {
            assert_eq!(found, [*rule]);
        }
        tried += 1;
    }
    assert!(tried >= 30, "{tried}");
    for (place, change) in GOOD.iter().enumerate() {
        let mut facts = base.clone();
        change(&mut facts);
        let checks = ready.check(&portal, &facts.content).await;
        assert_eq!(checks["may_submit"], true, "{place}: {:?}", broken(&checks));
    }
}

#[tokio::test]
async fn what_the_gateway_and_the_programme_know_is_found_too() {
    let portal = TestPortal::on_sqlite().await;
    let ready = Ready::start(&portal).await;
    let context = portal.context().await;
    let connection = &context.connection;
    let found = async || {
        let checks = ready.check(&portal, &ready.content).await;
        broken(&checks)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let forget = async |series: &str| {
        let parameters = params![series.as_bytes().to_vec()];
        connection
            .execute("DELETE FROM usage_cells WHERE series = $1", parameters)
            .await
            .unwrap();
    };
    assert_eq!(found().await, Vec::<String>::new());
    for (operation, outcome, calls, rule) in [
        ("listParcels", "2xx", 1, "traffic.deprecated"),
        ("createOrder", "2xx", 1, "oauth.scopes_asked"),
        ("listOrders", "5xx", 10, "traffic.success_rate"),
        ("listOrders", "4xx", 30, "traffic.client_errors"),
        ("", "unknown_credential", 30, "traffic.refused_credentials"),
    ] {
        ready.count(&context, operation, outcome, calls).await;
        assert_eq!(found().await, [rule]);
        forget(&format!("{operation} {outcome}")).await;
    }
    let app_id = ready.desk.app.path.rsplit('/').next().unwrap();
    for (set, unset, rule) in [
        (
            "UPDATE apps SET suspended_at_ms = 1 WHERE app_id = $1",
            "UPDATE apps SET suspended_at_ms = NULL WHERE app_id = $1",
            "compliance.not_suspended",
        ),
        (
            "UPDATE listing_images SET contrast = 120 WHERE image_id = 'img_logo' AND $1 <> ''",
            "UPDATE listing_images SET contrast = 700 WHERE image_id = 'img_logo' AND $1 <> ''",
            "branding.logo_contrast",
        ),
        (
            "UPDATE listing_images SET width = 300 WHERE image_id = 'img_one' AND $1 <> ''",
            "UPDATE listing_images SET width = 1280 WHERE image_id = 'img_one' AND $1 <> ''",
            "branding.screenshot_size",
        ),
    ] {
        connection.execute(set, params![app_id]).await.unwrap();
        assert_eq!(found().await, [rule]);
        connection.execute(unset, params![app_id]).await.unwrap();
    }
    let clients = format!(
        "{}/oauth-clients/{}",
        ready.desk.app.path, ready.desk.app.client_id
    );
    portal
        .call("DELETE", &clients, &ready.desk.app.owner, None)
        .await
        .expect(200);
    assert_eq!(found().await, ["oauth.client"]);
    forget("listOrders 2xx").await;
    assert_eq!(
        found().await,
        ["oauth.client", "oauth.scopes_used", "traffic.sandbox_calls"]
    );
}

#[tokio::test]
async fn a_webhook_endpoint_that_takes_forgeries_or_a_page_that_does_not_answer_blocks() {
    let portal = TestPortal::on_sqlite().await;
    let ready = Ready::start(&portal).await;
    let path = format!("{}/submissions", ready.desk.app.path);
    for (answers, rule) in [
        ([204, 204, 200, 200, 200], "webhook.refuses_forgery"),
        ([401, 500, 200, 200, 200], "webhook.ping"),
        ([401, 204, 404, 200, 200], "links.terms_url"),
    ] {
        prepare(&portal, answers);
        let refused = portal
            .post(&path, &ready.desk.app.owner, json!({}))
            .await
            .expect(409);
        assert_eq!(refused.code(), "rules_broken");
        assert!(refused.text().contains(rule), "{rule}: {}", refused.text());
    }
    ready.submit(&portal).await.expect(201);
}

#[tokio::test]
async fn the_operator_says_how_soon_an_answer_is_due_and_the_queue_keeps_the_clock() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let database = crate::testing::TestDatabase::sqlite();
    let portal = TestPortal::with(database, &[("review_answer_days", "2")]).await;
    let ready = Ready::start(&portal).await;
    let id = ready.submitted(&portal, &ready.content, "in_review").await;
    let row = async || {
        let path = "/api/v1/operator/submissions";
        let queue = portal.get(path, &ready.desk.reviewer.token).await;
        queue.expect(200).json()["items"][0].clone()
    };
    let first = row().await;
    // To the second: the clock of the tests goes on with every request.
    let due = crate::encoding::rfc3339(portal.now_ms() + 2 * DAY_MS)[..19].to_owned();
    for view in [&first, &ready.view(&portal, &id).await] {
        assert!(view["due_at"].as_str().unwrap().starts_with(&due), "{view}");
    }
    assert_eq!(
        (&first["age_hours"], &first["is_overdue"]),
        (&json!(0), &json!(false))
    );
    let waiting = async |label: &str| {
        let home = portal
            .get("/api/v1/operator/home", &ready.desk.reviewer.token)
            .await;
        let home = home.expect(200).json();
        let mut lines = home["waiting"].as_array().unwrap().iter();
        lines.find(|line| line["label"] == label).unwrap()["count"].clone()
    };
    assert_eq!(waiting("Apps in review").await, 1);
    assert_eq!(waiting("Overdue reviews").await, 0);
    portal.advance_ms(2 * DAY_MS + 1);
    assert_eq!(waiting("Overdue reviews").await, 1);
    let late = row().await;
    assert_eq!(
        (&late["age_hours"], &late["is_overdue"]),
        (&json!(48), &json!(true))
    );
}
