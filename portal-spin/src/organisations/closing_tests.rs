//! Accounts and organisations come to their end; what opens a door goes, what proves something stays.

use serde_json::json;

use crate::credentials::test_partner::{accept_all, start};
use crate::testing::{PASSWORD, TestDatabase, TestPortal, on_every_database};

on_every_database! {
    async fn a_closed_account_lets_nobody_in_and_frees_its_address(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let bob = portal.sign_up("bob@example.com", "Bobs").await;
        portal.join(&ada, &bob, "reader").await;
        let close = async |token: &str, body: serde_json::Value| portal.post("/api/v1/account/closure", token, body).await;
        let wrong = close(&bob.token, json!({ "email": "ada@example.com" })).await.expect(422).json();
        assert_eq!(wrong["errors"][0]["field"], "email");
        let owner = close(&bob.token, json!({ "email": "Bob@example.com" })).await.expect(409);
        assert!(owner.code() == "last_owner" && owner.text().contains("the only owner of Bobs"), "{}", owner.text());
        portal.post(&format!("/api/v1/organisations/{}/closure", bob.organisation_id), &bob.token, json!({ "name": "Bobs" })).await.expect(204);
        let other = portal.log_in("bob@example.com", PASSWORD).await;
        portal.advance_ms(11 * 60_000);
        let stale = close(&other, json!({ "email": "bob@example.com", "current_password": "no" })).await.expect(422).json();
        assert_eq!(stale["errors"][0]["field"], "current_password");
        close(&other, json!({ "email": "bob@example.com", "current_password": PASSWORD })).await.expect(204);
        for token in [&bob.token, &other] {
            portal.get("/api/v1/account", token).await.expect(401);
        }
        let body = json!({ "email": "bob@example.com", "password": PASSWORD });
        portal.post("/api/v1/sessions", "", body).await.expect(401);
        let members = portal.get(&format!("/api/v1/organisations/{}/members", ada.organisation_id), &ada.token).await.expect(200);
        assert!(!members.text().contains("bob"), "{}", members.text());
        assert!(portal.newest_email("bob@example.com").await["subject"].as_str().unwrap().ends_with("is closed"));
        // The address may begin anew, as someone else.
        let again = portal.sign_up("bob@example.com", "Bobs again").await;
        assert_ne!(again.person_id, bob.person_id);
        let closed = portal.context().await.connection
            .query_one("SELECT COUNT(*) FROM audit_records WHERE action = 'account.closed'", vec![]).await.unwrap();
        assert_eq!(closed.get::<i64>(0).unwrap(), 1);
    }

    async fn a_closed_organisation_is_read_and_never_changed(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        accept_all(&portal, &actor).await;
        let base = format!("/api/v1/organisations/{}", actor.organisation_id);
        let name = portal.get(&base, &actor.token).await.expect(200).json()["name"].as_str().unwrap().to_owned();
        let key = portal.post(&format!("{app}/credentials"), &actor.token, json!({ "environment": "test" })).await.expect(201).json();
        portal.post(&format!("{base}/invitations"), &actor.token, json!({ "email": "late@example.com", "role": "reader" })).await.expect(201);
        let wrong = portal.post(&format!("{base}/closure"), &actor.token, json!({ "name": "Another" })).await.expect(422).json();
        assert_eq!(wrong["errors"][0]["field"], "name");
        portal.post(&format!("{base}/closure"), &actor.token, json!({ "name": name })).await.expect(204);

        portal.get(&app, &actor.token).await.expect(404);
        let connection = portal.context().await.connection;
        let state = connection.query_one(
            "SELECT (SELECT COUNT(*) FROM credentials WHERE credential_id = $1 AND revoked_at_ms IS NOT NULL),
                (SELECT COUNT(*) FROM subscriptions s JOIN apps a ON a.app_id = s.app_id
                    WHERE a.organisation_id = $2 AND s.cancelled_at_ms IS NULL AND s.ends_at_ms IS NULL),
                (SELECT COUNT(*) FROM invitations WHERE organisation_id = $2 AND revoked_at IS NULL)",
            crate::params![key["credential"]["id"].as_str().unwrap(), actor.organisation_id.as_str()]).await.unwrap();
        assert_eq!([0, 1, 2].map(|column| state.get::<i64>(column).unwrap()), [1, 0, 0]);
        let head = crate::edges::feed::find_head(&connection, &actor.organisation_id).await.unwrap();
        assert!(matches!(head, Some(shared::feed::Change::Organisation(known)) if known.suspended));

        let seen = portal.get(&base, &actor.token).await.expect(200).json();
        assert!(seen["closed_at"].is_string());
        assert!(!portal.get(&format!("{base}/acceptances"), &actor.token).await.expect(200).json()["items"].as_array().unwrap().is_empty());
        let refused = portal.post(&format!("{base}/apps"), &actor.token, json!({ "name": "New" })).await.expect(409);
        assert_eq!(refused.code(), "organisation_closed");
        portal.post(&format!("{base}/closure"), &actor.token, json!({ "name": name })).await.expect(409);
        let settings = portal.page(&format!("/organisations/{}/settings", actor.organisation_id), &actor.token).await.expect(200).text();
        assert!(settings.contains("closed") && !settings.contains("Close the organisation"), "{settings}");
    }

    async fn a_person_takes_their_data_with_them_and_no_secrets(portal: TestPortal) {
        let (actor, _) = start(&portal).await;
        accept_all(&portal, &actor).await;
        let file = portal.get("/api/v1/account/export", &actor.token).await.expect(200);
        assert!(file.header("content-disposition").contains("my-account.json"));
        let data = file.json();
        assert_eq!(data["account"][0]["email"], actor.email.as_str());
        assert_eq!(data["memberships"][0]["role"], "owner");
        assert_eq!(data["acceptances"][0]["record"]["person_email"], actor.email.as_str());
        assert!(data["actions"].as_array().unwrap().iter().any(|action| action["action"] == "agreement.accepted"), "{data}");
        assert!(!data["sessions"].as_array().unwrap().is_empty() && !data["emails"].as_array().unwrap().is_empty());
        for secret in ["argon2", "token_hash", actor.token.as_str()] {
            assert!(!file.text().contains(secret), "{secret}");
        }
    }

    async fn both_ends_are_reached_by_their_pages(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let page = format!("/organisations/{}/closure", ada.organisation_id);
        let wrong = portal.submit(&page, &ada.token, &[("closed_name", "acme?")]).await.expect(422).text();
        assert!(wrong.contains("Type Acme to close"), "{wrong}");
        portal.submit(&page, &ada.token, &[("closed_name", "Acme")]).await.expect(303);
        let wrong = portal.submit("/account/closure", &ada.token, &[("closed_email", "x")]).await.expect(422).text();
        assert!(wrong.contains("Type ada@example.com"), "{wrong}");
        let closed = portal.submit("/account/closure", &ada.token, &[("closed_email", "ada@example.com")]).await.expect(303);
        assert_eq!(closed.header("location"), "/log-in?done=closed");
        assert!(portal.page("/log-in?done=closed", "").await.expect(200).text().contains("Closed."));
    }
}

#[tokio::test]
async fn staff_without_two_factors_reach_their_account_and_nothing_of_the_operator() {
    let settings = [("staff_second_factor", "required")];
    let portal = TestPortal::with(TestDatabase::sqlite(), &settings).await;
    let boss = portal.sign_up("boss@example.com", "Operator").await;
    portal.make_operator(&boss, "administrator").await;
    let refused = portal
        .get("/api/v1/operator/staff", &boss.token)
        .await
        .expect(403);
    assert_eq!(refused.code(), "staff_second_factor_required");
    let sent = portal.page("/operator", &boss.token).await.expect(303);
    assert_eq!(sent.header("location"), "/account?done=second-factor");
    let page = portal.page(sent.header("location"), &boss.token).await;
    assert!(page.expect(200).text().contains("asks for two factors"));

    portal
        .post("/api/v1/account/totp", &boss.token, json!({}))
        .await
        .expect(201);
    let secret: Vec<u8> = portal
        .context()
        .await
        .connection
        .query_one("SELECT totp_secret FROM people", vec![])
        .await
        .unwrap()
        .get(0)
        .unwrap();
    let code = super::second_factor::totp(&secret, portal.now_ms() / 30_000);
    portal
        .post(
            "/api/v1/account/totp/enable",
            &boss.token,
            json!({ "code": code }),
        )
        .await
        .expect(200);
    portal
        .get("/api/v1/operator/staff", &boss.token)
        .await
        .expect(200);
    // Outside development nobody has to switch it on.
    let production =
        TestPortal::with(TestDatabase::sqlite(), &[("environment", "production")]).await;
    assert!(production.app.configuration.staff_need_second_factor());
    let lax = [
        ("environment", "production"),
        ("staff_second_factor", "optional"),
    ];
    let lax = TestPortal::with(TestDatabase::sqlite(), &lax).await;
    assert!(!lax.app.configuration.staff_need_second_factor());
}
