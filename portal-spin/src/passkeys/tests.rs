//! Passkeys through the API and the pages, on both databases.

use serde_json::{Value, json};

use super::authenticator::{Authenticator, bytes};
use crate::testing::{Actor, PASSWORD, TestPortal, on_every_database};

async fn add(portal: &TestPortal, actor: &Actor, authenticator: &mut Authenticator) -> Value {
    let options = portal
        .post("/api/v1/account/passkeys/options", &actor.token, json!({}))
        .await
        .expect(200)
        .json();
    let credential = authenticator.create(&options["public_key"]);
    portal
        .post(
            "/api/v1/account/passkeys",
            &actor.token,
            json!({ "name": "Laptop", "credential": credential }),
        )
        .await
        .expect(201)
        .json()
}

async fn log_in(portal: &TestPortal, authenticator: &mut Authenticator) -> crate::testing::Answer {
    let options = portal
        .post("/api/v1/sessions/passkey-options", "", json!({}))
        .await
        .expect(200)
        .json();
    let credential = authenticator.get(&options["public_key"]);
    portal
        .post(
            "/api/v1/sessions/passkey",
            "",
            json!({ "credential": credential }),
        )
        .await
}

on_every_database! {
    async fn a_passkey_is_added_used_and_removed(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let mut authenticator = Authenticator::es256();
        let added = add(&portal, &ada, &mut authenticator).await;
        assert_eq!(added["name"], "Laptop");
        assert!(portal.newest_email("ada@example.com").await["subject"].as_str().unwrap().contains("added"));
        let session = log_in(&portal, &mut authenticator).await.expect(201).json();
        assert_eq!(session["person_id"], ada.person_id.as_str());
        portal.get("/api/v1/account", session["session_token"].as_str().unwrap()).await.expect(200);
        let path = format!("/api/v1/account/passkeys/{}", added["passkey_id"].as_str().unwrap());
        let eve = portal.sign_up("eve@example.com", "Eves").await;
        portal.call("DELETE", &path, &eve.token, Some(json!({}))).await.expect(404);
        portal.call("DELETE", &path, &ada.token, Some(json!({}))).await.expect(204);
        assert_eq!(log_in(&portal, &mut authenticator).await.expect(401).code(), "passkey_refused");
    }

    async fn a_challenge_works_once_and_only_for_its_ceremony_and_person(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let eve = portal.sign_up("eve@example.com", "Eves").await;
        let mut authenticator = Authenticator::es256();
        let options = portal.post("/api/v1/account/passkeys/options", &ada.token, json!({})).await.expect(200).json();
        let body = json!({ "credential": authenticator.create(&options["public_key"]) });
        portal.post("/api/v1/account/passkeys", &eve.token, body.clone()).await.expect(422);
        portal.post("/api/v1/account/passkeys", &ada.token, body.clone()).await.expect(201);
        portal.post("/api/v1/account/passkeys", &ada.token, body).await.expect(422);

        let options = portal.post("/api/v1/sessions/passkey-options", "", json!({})).await.expect(200).json();
        let body = json!({ "credential": authenticator.get(&options["public_key"]) });
        portal.post("/api/v1/sessions/passkey", "", body.clone()).await.expect(201);
        portal.post("/api/v1/sessions/passkey", "", body).await.expect(401);
        let options = portal.post("/api/v1/account/passkeys/options", &ada.token, json!({})).await.expect(200).json();
        let body = json!({ "credential": authenticator.get(&options["public_key"]) });
        portal.post("/api/v1/sessions/passkey", "", body).await.expect(401);
        let options = portal.post("/api/v1/sessions/passkey-options", "", json!({})).await.expect(200).json();
        portal.advance_ms(6 * 60_000);
        let body = json!({ "credential": authenticator.get(&options["public_key"]) });
        portal.post("/api/v1/sessions/passkey", "", body).await.expect(401);
    }

    async fn a_copied_passkey_is_found_by_its_counter(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let mut authenticator = Authenticator::ed25519();
        add(&portal, &ada, &mut authenticator).await;
        log_in(&portal, &mut authenticator).await.expect(201);
        log_in(&portal, &mut authenticator).await.expect(201);
        authenticator.counter = 1;
        log_in(&portal, &mut authenticator).await.expect(401);
        let reason: String = portal.context().await.connection
            .query_one("SELECT detail FROM audit_records WHERE action = 'passkey.refused'", vec![]).await.unwrap().get(0).unwrap();
        assert!(reason.contains("copy"), "{reason}");
    }

    async fn another_persons_handle_or_a_known_credential_is_refused(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let eve = portal.sign_up("eve@example.com", "Eves").await;
        let mut authenticator = Authenticator::es256();
        add(&portal, &ada, &mut authenticator).await;
        let own = authenticator.user_handle.clone();
        assert_eq!(bytes(&own), ada.person_id.as_bytes());
        let options = portal.post("/api/v1/account/passkeys/options", &eve.token, json!({})).await.expect(200).json();
        let body = json!({ "credential": authenticator.create(&options["public_key"]) });
        assert_eq!(portal.post("/api/v1/account/passkeys", &eve.token, body).await.expect(409).code(), "passkey_known");
        log_in(&portal, &mut authenticator).await.expect(401);
        authenticator.user_handle = own;
        log_in(&portal, &mut authenticator).await.expect(201);
    }

    async fn a_change_of_passkeys_asks_for_the_password_unless_just_logged_in(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        portal.advance_ms(11 * 60_000);
        let path = "/api/v1/account/passkeys/options";
        assert_eq!(portal.post(path, &ada.token, json!({})).await.expect(422).json()["errors"][0]["field"], "current_password");
        portal.post(path, &ada.token, json!({ "current_password": PASSWORD })).await.expect(200);
    }

    async fn the_pages_take_what_their_script_fills_in(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let mut authenticator = Authenticator::es256();
        assert!(portal.page("/log-in", "").await.expect(200).text().contains("data-passkey=\"get\""));
        let options = portal.post("/api/v1/account/passkeys/options", &ada.token, json!({})).await.expect(200).json();
        let credential = authenticator.create(&options["public_key"]).to_string();
        portal.submit("/account/passkeys", &ada.token, &[("name", "Phone"), ("credential", &credential)]).await.expect(303);
        portal.submit("/account/passkeys", &ada.token, &[("name", "Phone"), ("credential", "")]).await.expect(422);
        let page = portal.page("/account/passkeys", &ada.token).await.expect(200).text();
        assert!(page.contains("Phone"));
        let options = portal.post("/api/v1/sessions/passkey-options", "", json!({})).await.expect(200).json();
        let credential = authenticator.get(&options["public_key"]).to_string();
        let answer = portal.submit("/log-in/passkey", "", &[("credential", &credential), ("next", "//evil.example")]).await.expect(303);
        assert_eq!(answer.header("location"), "/organisations");
        assert!(answer.header("set-cookie").starts_with("portico_session="));
    }
}
