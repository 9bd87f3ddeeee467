use serde_json::json;

use super::second_factor::totp;
use crate::testing::{TestDatabase, TestPortal, on_every_database};

const PASSWORD: &str = "correct horse battery";

on_every_database! {
    async fn a_stranger_becomes_owner_by_the_code(portal: TestPortal) {
        let answer = portal.post("/api/v1/registrations", "", json!({
            "email": "Ada@Example.com", "password": PASSWORD, "organisation_name": "Acme",
        })).await.expect(202);
        assert_eq!(answer.json()["email"], "ada@example.com");
        let code = portal.newest_email("ada@example.com").await["code"].as_str().unwrap().to_owned();
        let session = portal.post("/api/v1/verifications", "", json!({ "email": "ada@example.com", "code": code }))
            .await.expect(201).json();
        let token = session["session_token"].as_str().unwrap();
        let organisation_id = session["organisation_id"].as_str().unwrap();
        let path = format!("/api/v1/organisations/{organisation_id}");
        assert_eq!(portal.get(&path, token).await.expect(200).json()["name"], "Acme");
        let members = portal.get(&format!("{path}/members"), token).await.expect(200).json();
        assert_eq!(members["items"][0]["role"], "owner");
        assert_eq!(members["items"][0]["email"], "ada@example.com");
    }

    async fn registering_again_before_verification_leads_on_with_the_password(portal: TestPortal) {
        for _ in 0..2 {
            portal.post("/api/v1/registrations", "", json!({
                "email": "ada@example.com", "password": PASSWORD, "organisation_name": "Acme",
            })).await.expect(202);
            portal.advance_ms(1);
        }
        let code = portal.newest_email("ada@example.com").await["code"].clone();
        portal.post("/api/v1/verifications", "", json!({ "email": "ada@example.com", "code": code })).await.expect(201);
        portal.log_in("ada@example.com", PASSWORD).await;
    }

    async fn of_two_passwords_that_wait_for_an_address_the_reader_of_its_mail_chooses(portal: TestPortal) {
        let log_in = async |password: &str| portal.post("/api/v1/sessions", "", json!({ "email": "ada@example.com", "password": password })).await.status;
        for (password, organisation_name) in [("the password of ada", "Acme"), ("the password of mallory", "Mallory")] {
            portal.post("/api/v1/registrations", "", json!({
                "email": "ada@example.com", "password": password, "organisation_name": organisation_name,
            })).await.expect(202);
            portal.advance_ms(1);
        }
        // Ada asks for her code again, and gets one of the newest registration: Mallory's.
        portal.post("/api/v1/registrations/resend", "", json!({ "email": "ada@example.com" })).await.expect(202);
        let code = portal.newest_email("ada@example.com").await["code"].as_str().unwrap().to_owned();
        let led_on = portal.submit("/verify", "", &[("email", "ada@example.com"), ("code", &code)]).await.expect(303);
        let place = led_on.header("location");
        assert!(place.starts_with("/reset-password/new?token="), "{place}");
        assert!(portal.page(place, "").await.expect(200).text().contains("more than once"));
        for known in ["the password of ada", "the password of mallory"] {
            assert_eq!(log_in(known).await, 401, "{known}");
        }
        // The way on is in the mail as well, for who closed the page.
        let link = portal.newest_email("ada@example.com").await["links"][0].as_str().unwrap().to_owned();
        assert!(link.ends_with(place.split('&').next().unwrap()), "{link}");
        let token = link.split("token=").nth(1).unwrap();
        portal.submit("/reset-password/new", "", &[("token", token), ("password", "chosen by who reads the mail")]).await.expect(303);
        assert_eq!(log_in("chosen by who reads the mail").await, 201);
    }

    async fn the_answer_is_the_same_for_an_address_that_has_an_account(portal: TestPortal) {
        portal.sign_up("ada@example.com", "Acme").await;
        let body = |email: &str| json!({ "email": email, "password": PASSWORD, "organisation_name": "Acme" });
        let known = portal.post("/api/v1/registrations", "", body("ada@example.com")).await.expect(202);
        let unknown = portal.post("/api/v1/registrations", "", body("bob@example.com")).await.expect(202);
        assert_eq!(known.text().replace("ada@", "bob@"), unknown.text());
        let email = portal.newest_email("ada@example.com").await;
        assert!(email["subject"].as_str().unwrap().contains("You have an account"), "{email}");
    }

    async fn a_second_click_on_the_link_signs_in_too_and_a_late_one_says_to_log_in(portal: TestPortal) {
        portal.post("/api/v1/registrations", "", json!({
            "email": "ada@example.com", "password": PASSWORD, "organisation_name": "Acme",
        })).await.expect(202);
        let link = portal.newest_email("ada@example.com").await["links"][0].as_str().unwrap().to_owned();
        let token = link.split("token=").nth(1).unwrap();
        let first = portal.post("/api/v1/verifications", "", json!({ "token": token })).await.expect(201).json();
        let second = portal.post("/api/v1/verifications", "", json!({ "token": token })).await.expect(201).json();
        assert_eq!(first["organisation_id"], second["organisation_id"]);
        portal.advance_ms(3_600_000);
        let late = portal.post("/api/v1/verifications", "", json!({ "token": token })).await.expect(409);
        assert_eq!(late.code(), "already_registered");
    }

    async fn an_expired_code_brings_a_new_one(portal: TestPortal) {
        portal.post("/api/v1/registrations", "", json!({
            "email": "ada@example.com", "password": PASSWORD, "organisation_name": "Acme",
        })).await.expect(202);
        let old = portal.newest_email("ada@example.com").await["code"].clone();
        portal.advance_ms(11 * 60 * 1000);
        let refused = portal.post("/api/v1/verifications", "", json!({ "email": "ada@example.com", "code": old })).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["code"], "code_expired");
        let new = portal.newest_email("ada@example.com").await["code"].clone();
        assert_ne!(old, new);
        portal.post("/api/v1/verifications", "", json!({ "email": "ada@example.com", "code": new })).await.expect(201);
    }

    async fn five_wrong_codes_need_a_new_one(portal: TestPortal) {
        portal.post("/api/v1/registrations", "", json!({
            "email": "ada@example.com", "password": PASSWORD, "organisation_name": "Acme",
        })).await.expect(202);
        let email = portal.newest_email("ada@example.com").await;
        let right = email["code"].as_str().unwrap();
        let wrong = if right == "000000" { "000001" } else { "000000" };
        for _ in 0..5 {
            portal.post("/api/v1/verifications", "", json!({ "email": "ada@example.com", "code": wrong })).await.expect(422);
        }
        let refused = portal.post("/api/v1/verifications", "", json!({ "email": "ada@example.com", "code": right })).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["code"], "too_many_codes");
        let token = email["links"][0].as_str().unwrap().split("token=").nth(1).unwrap().to_owned();
        portal.post("/api/v1/registrations/resend", "", json!({ "email": "ada@example.com" })).await.expect(202);
        let code = portal.newest_email("ada@example.com").await["code"].clone();
        portal.post("/api/v1/verifications", "", json!({ "email": "ada@example.com", "code": code })).await.expect(201);
        let late = portal.post("/api/v1/verifications", "", json!({ "token": token })).await.expect(409);
        assert_eq!(late.code(), "already_registered");
    }

    async fn the_first_link_works_after_a_second_was_asked_for(portal: TestPortal) {
        portal.post("/api/v1/registrations", "", json!({
            "email": "ada@example.com", "password": PASSWORD, "organisation_name": "Acme",
        })).await.expect(202);
        let link = portal.newest_email("ada@example.com").await["links"][0].as_str().unwrap().to_owned();
        portal.post("/api/v1/registrations/resend", "", json!({ "email": "ada@example.com" })).await.expect(202);
        let token = link.split("token=").nth(1).unwrap();
        portal.post("/api/v1/verifications", "", json!({ "token": token })).await.expect(201);
    }

    async fn wrong_fields_are_named_all_at_once(portal: TestPortal) {
        let refused = portal.post("/api/v1/registrations", "", json!({
            "email": "nowhere", "password": "short", "organisation_name": " ",
        })).await.expect(422).json();
        let fields: Vec<&str> = refused["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["email", "organisation_name", "password"]);
        for password in ["password123", "Password123", "example1"] {
            let refused = portal.post("/api/v1/registrations", "", json!({
                "email": "ada@example.com", "password": password, "organisation_name": "Acme",
            })).await.expect(422).json();
            assert_eq!(refused["errors"][0]["code"], "too_common", "{password}");
        }
        let long = format!("{}@example.com", "a".repeat(250));
        for (email, words) in [("a@b@example.com", "an address like"), (long.as_str(), "longer than 254"), ("a b@example.com", "an address like")] {
            let refused = portal.post("/api/v1/registrations", "", json!({
                "email": email, "password": PASSWORD, "organisation_name": "Acme",
            })).await.expect(422).json();
            assert!(refused["errors"][0]["detail"].as_str().unwrap().contains(words), "{refused}");
        }
        portal.post("/api/v1/registrations", "", json!({
            "email": "Ada+Test@Example.com", "password": PASSWORD, "organisation_name": "Ünïcödé 株式会社",
        })).await.expect(202);
    }

    async fn a_session_ends_when_idle_when_old_and_when_revoked(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let day = 24 * 60 * 60 * 1000;
        portal.advance_ms(6 * day);
        portal.get("/api/v1/account", &ada.token).await.expect(200);
        portal.advance_ms(6 * day);
        portal.get("/api/v1/account", &ada.token).await.expect(200);
        portal.advance_ms(8 * day);
        portal.get("/api/v1/account", &ada.token).await.expect(401);
        let token = portal.log_in("ada@example.com", PASSWORD).await;
        for _ in 0..5 {
            portal.advance_ms(6 * day);
            portal.get("/api/v1/account", &token).await;
        }
        portal.get("/api/v1/account", &token).await.expect(401);
        let (kept, other) = (portal.log_in("ada@example.com", PASSWORD).await, portal.log_in("ada@example.com", PASSWORD).await);
        let sessions = portal.get("/api/v1/sessions", &kept).await.expect(200).json();
        assert_eq!(sessions["items"].as_array().unwrap().len(), 2);
        portal.call("DELETE", "/api/v1/sessions/current", &other, None).await.expect(204);
        portal.get("/api/v1/account", &other).await.expect(401);
        portal.get("/api/v1/account", &kept).await.expect(200);
    }

    async fn a_reset_changes_the_password_once_and_ends_every_session(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        portal.post("/api/v1/password-resets", "", json!({ "email": "nobody@example.com" })).await.expect(202);
        portal.post("/api/v1/password-resets", "", json!({ "email": "ada@example.com" })).await.expect(202);
        let link = portal.newest_email("ada@example.com").await["links"][0].as_str().unwrap().to_owned();
        let token = link.split("token=").nth(1).unwrap();
        let body = json!({ "token": token, "password": "a whole new secret" });
        portal.post("/api/v1/password-resets/complete", "", body.clone()).await.expect(204);
        portal.post("/api/v1/password-resets/complete", "", body).await.expect(410);
        portal.get("/api/v1/account", &ada.token).await.expect(401);
        portal.log_in("ada@example.com", "a whole new secret").await;
    }

    async fn an_address_changes_after_its_link_and_the_old_one_is_told(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        portal.post("/api/v1/account/email", &ada.token, json!({ "email": "ada@new.example", "current_password": "wrong" })).await.expect(422);
        portal.post("/api/v1/account/email", &ada.token, json!({ "email": "ada@new.example", "current_password": PASSWORD })).await.expect(202);
        let link = portal.newest_email("ada@new.example").await["links"][0].as_str().unwrap().to_owned();
        let token = link.split("token=").nth(1).unwrap();
        portal.post("/api/v1/account/email/confirm", "", json!({ "token": token })).await.expect(204);
        portal.log_in("ada@new.example", PASSWORD).await;
        assert!(portal.newest_email("ada@example.com").await["subject"].as_str().unwrap().contains("changed"));
    }

    async fn a_new_password_voids_a_change_of_address_that_someone_else_began(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let link_to = async |email: &str| {
            let link = portal.newest_email(email).await["links"][0].as_str().unwrap().to_owned();
            link.split("token=").nth(1).unwrap().to_owned()
        };
        let begin = async |token: &str, password: &str| {
            let body = json!({ "email": "eve@evil.example", "current_password": password });
            portal.post("/api/v1/account/email", token, body).await.expect(202);
            link_to("eve@evil.example").await
        };
        let confirm = async |token: &str| {
            portal.post("/api/v1/account/email/confirm", "", json!({ "token": token })).await
        };
        let stolen = begin(&ada.token, PASSWORD).await;
        portal.post("/api/v1/password-resets", "", json!({ "email": "ada@example.com" })).await.expect(202);
        let reset = link_to("ada@example.com").await;
        let body = json!({ "token": reset, "password": "a whole new secret" });
        portal.post("/api/v1/password-resets/complete", "", body).await.expect(204);
        confirm(&stolen).await.expect(410);
        let token = portal.log_in("ada@example.com", "a whole new secret").await;
        let stolen = begin(&token, "a whole new secret").await;
        let body = json!({ "current_password": "a whole new secret", "password": "one more new secret" });
        portal.post("/api/v1/account/password", &token, body).await.expect(204);
        confirm(&stolen).await.expect(410);
        portal.log_in("ada@example.com", "one more new secret").await;
    }

    async fn a_reset_link_in_the_old_mailbox_dies_with_the_change_of_address(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let link_to = async |email: &str| {
            let link = portal.newest_email(email).await["links"][0].as_str().unwrap().to_owned();
            link.split("token=").nth(1).unwrap().to_owned()
        };
        portal.post("/api/v1/password-resets", "", json!({ "email": "ada@example.com" })).await.expect(202);
        let old = link_to("ada@example.com").await;
        let body = json!({ "email": "ada@new.example", "current_password": PASSWORD });
        portal.post("/api/v1/account/email", &ada.token, body).await.expect(202);
        let token = link_to("ada@new.example").await;
        portal.post("/api/v1/account/email/confirm", "", json!({ "token": token })).await.expect(204);
        let body = json!({ "token": old, "password": "a whole new secret" });
        portal.post("/api/v1/password-resets/complete", "", body).await.expect(410);
        portal.log_in("ada@new.example", PASSWORD).await;
    }

    async fn codes_that_switch_an_authenticator_on_or_off_are_counted(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        portal.post("/api/v1/account/totp", &ada.token, json!({})).await.expect(201);
        let secret: Vec<u8> = portal.context().await.connection
            .query_one("SELECT totp_secret FROM people", vec![]).await.unwrap().get(0).unwrap();
        let code = || totp(&secret, portal.now_ms() / 30_000);
        let send = async |what: &str, code: &str| {
            portal.post(&format!("/api/v1/account/totp/{what}"), &ada.token, json!({ "code": code })).await
        };
        for _ in 0..10 {
            send("enable", "not a code").await.expect(401);
        }
        send("enable", &code()).await.expect(429);
        portal.advance_ms(15 * 60 * 1000);
        send("enable", &code()).await.expect(200);
        for _ in 0..10 {
            send("disable", "not a code").await.expect(401);
        }
        send("disable", &code()).await.expect(429);
        portal.advance_ms(15 * 60 * 1000);
        send("disable", &code()).await.expect(204);
    }

    async fn an_invited_strangers_name_is_one_line_of_plain_text(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let path = format!("/api/v1/organisations/{}/invitations", ada.organisation_id);
        portal.post(&path, &ada.token, json!({ "email": "bob@example.com", "role": "reader" })).await.expect(201);
        let link = portal.newest_email("bob@example.com").await["links"][0].as_str().unwrap().to_owned();
        let token = link.split("token=").nth(1).unwrap();
        for name in [&*"x".repeat(100_000), "Bob\0", "Bob\r\nBcc: eve@example.com"] {
            let body = json!({ "token": token, "password": PASSWORD, "name": name });
            let refused = portal.post("/api/v1/invitations/accept", "", body).await.expect(422).json();
            assert_eq!(refused["errors"][0]["field"], "name");
        }
        let body = json!({ "token": token, "password": PASSWORD, "name": " Bob " });
        portal.post("/api/v1/invitations/accept", "", body).await.expect(201);
        let apps = format!("/api/v1/organisations/{}/apps", ada.organisation_id);
        for name in ["", "a\0b", "a\r\nb"] {
            let refused = portal.post(&apps, &ada.token, json!({ "name": name })).await.expect(422).json();
            assert_eq!(refused["errors"][0]["field"], "name");
        }
    }

    async fn an_authenticator_is_asked_for_and_each_code_works_once(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        portal.post("/api/v1/account/totp", &ada.token, json!({})).await.expect(201);
        let secret: Vec<u8> = portal.context().await.connection
            .query_one("SELECT totp_secret FROM people", vec![]).await.unwrap().get(0).unwrap();
        let code = || totp(&secret, portal.now_ms() / 30_000);
        let recovery = portal.post("/api/v1/account/totp/enable", &ada.token, json!({ "code": code() })).await.expect(200).json();
        portal.advance_ms(30_000);
        let step = portal.post("/api/v1/sessions", "", json!({ "email": "ada@example.com", "password": PASSWORD })).await.expect(202).json();
        assert_eq!(step["code"], "second_factor_required");
        let body = json!({ "ticket": step["ticket"], "code": code() });
        portal.post("/api/v1/sessions", "", body.clone()).await.expect(201);
        portal.post("/api/v1/sessions", "", body).await.expect(401);
        let step = portal.post("/api/v1/sessions", "", json!({ "email": "ada@example.com", "password": PASSWORD })).await.json();
        portal.post("/api/v1/sessions", "", json!({ "ticket": step["ticket"], "code": code() })).await.expect(401);
        let spare = &recovery["recovery_codes"][0];
        portal.post("/api/v1/sessions", "", json!({ "ticket": step["ticket"], "code": spare })).await.expect(201);
        portal.post("/api/v1/sessions", "", json!({ "email": "ada@example.com", "password": PASSWORD, "code": spare })).await.expect(401);
    }

    async fn an_invited_stranger_chooses_a_password_and_joins(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let path = format!("/api/v1/organisations/{}", ada.organisation_id);
        portal.post(&format!("{path}/invitations"), &ada.token, json!({ "email": "bob@example.com", "role": "developer" })).await.expect(201);
        let link = portal.newest_email("bob@example.com").await["links"][0].as_str().unwrap().to_owned();
        let token = link.split("token=").nth(1).unwrap();
        let joined = portal.post("/api/v1/invitations/accept", "", json!({ "token": token, "password": PASSWORD, "name": "Bob" })).await.expect(201).json();
        let bob = joined["session_token"].as_str().unwrap();
        assert_eq!(joined["organisations"][0]["role"], "developer");
        portal.get(&path, bob).await.expect(200);
        let refused = portal.post(&format!("{path}/invitations"), bob, json!({ "email": "c@example.com", "role": "reader" })).await.expect(403);
        assert_eq!(refused.code(), "wrong_role");
        portal.post("/api/v1/invitations/accept", "", json!({ "token": token, "password": PASSWORD })).await.expect(410);
    }

    async fn an_invited_person_with_an_account_joins_signed_in_only(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let bob = portal.sign_up("bob@example.com", "Bobs").await;
        let path = format!("/api/v1/organisations/{}", ada.organisation_id);
        portal.post(&format!("{path}/invitations"), &ada.token, json!({ "email": "bob@example.com", "role": "billing" })).await.expect(201);
        let link = portal.newest_email("bob@example.com").await["links"][0].as_str().unwrap().to_owned();
        let body = json!({ "token": link.split("token=").nth(1).unwrap() });
        assert_eq!(portal.post("/api/v1/invitations/accept", "", body.clone()).await.expect(409).code(), "log_in_first");
        portal.post("/api/v1/invitations/accept", &ada.token, body.clone()).await.expect(409);
        portal.post("/api/v1/invitations/accept", &bob.token, body.clone()).await.expect(200);
        // A second click leads where the first led; to anybody else the link is spent.
        assert_eq!(portal.post("/api/v1/invitations/accept", &bob.token, body.clone()).await.expect(409).code(), "already_joined");
        portal.post("/api/v1/invitations/accept", &ada.token, body.clone()).await.expect(410);
        portal.post("/api/v1/invitations/accept", "", body.clone()).await.expect(410);
        let (page, token) = ("/invitations", body["token"].as_str().unwrap());
        let joined = format!("/organisations/{}", ada.organisation_id);
        assert_eq!(portal.page(&format!("{page}?token={token}"), &bob.token).await.expect(303).header("location"), joined);
        portal.page(&format!("{page}?token={token}"), &ada.token).await.expect(410);
        portal.submit(page, &bob.token, &[("token", token)]).await.expect(303);
        let account = portal.get("/api/v1/account", &bob.token).await.expect(200).json();
        assert_eq!(account["organisations"].as_array().unwrap().len(), 2);
    }

    async fn an_organisation_never_loses_its_last_owner(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let path = format!("/api/v1/organisations/{}", ada.organisation_id);
        let bob = portal.sign_up("bob@example.com", "Bobs").await;
        portal.join(&ada, &bob, "reader").await;
        let members = portal.get(&format!("{path}/members"), &ada.token).await.json();
        let id_of = |email: &str| members["items"].as_array().unwrap().iter()
            .find(|m| m["email"] == email).unwrap()["member_id"].as_str().unwrap().to_owned();
        assert_eq!(portal.post(&format!("{path}/leave"), &ada.token, json!({})).await.expect(409).code(), "last_owner");
        let own = format!("{path}/members/{}", id_of("ada@example.com"));
        portal.call("PATCH", &own, &ada.token, Some(json!({ "role": "reader" }))).await.expect(409);
        portal.post(&format!("{path}/ownership-transfer"), &ada.token, json!({ "member_id": id_of("bob@example.com") })).await.expect(204);
        portal.post(&format!("{path}/leave"), &ada.token, json!({})).await.expect(204);
        portal.get(&path, &ada.token).await.expect(404);
        portal.get(&path, &bob.token).await.expect(200);
    }

    async fn a_suspension_is_told_with_its_reason_and_lifted(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let staff = portal.sign_up("staff@example.com", "Operator").await;
        portal.make_operator(&staff, "manager").await;
        let path = format!("/api/v1/operator/organisations/{}/suspension", ada.organisation_id);
        portal.post(&path, &staff.token, json!({ "reason": " " })).await.expect(422);
        portal.post(&path, &staff.token, json!({ "reason": "Unpaid" })).await.expect(200);
        let own = format!("/api/v1/organisations/{}", ada.organisation_id);
        assert_eq!(portal.get(&own, &ada.token).await.json()["suspension_reason"], "Unpaid");
        assert!(portal.newest_email("ada@example.com").await["text"].as_str().unwrap().contains("Unpaid"));
        let list = portal.get("/api/v1/operator/organisations?q=acm", &staff.token).await.expect(200).json();
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        portal.call("DELETE", &path, &staff.token, None).await.expect(200);
        assert!(portal.get(&own, &ada.token).await.json()["suspended_at"].is_null());
    }

    async fn staff_is_run_by_an_administrator_and_never_without_one(portal: TestPortal) {
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "administrator").await;
        let eve = portal.sign_up("eve@example.com", "Operator").await;
        let add = json!({ "email": "eve@example.com", "role": "reviewer" });
        portal.post("/api/v1/operator/staff", &eve.token, add.clone()).await.expect(404);
        let staff = portal.post("/api/v1/operator/staff", &boss.token, add.clone()).await.expect(200).json();
        assert_eq!(staff["items"].as_array().unwrap().len(), 2);
        portal.post("/api/v1/operator/staff", &eve.token, add).await.expect(403);
        let of = |id: &str, role: &str| format!("/api/v1/operator/staff/{id}/{role}");
        let last = portal.call("DELETE", &of(&boss.person_id, "administrator"), &boss.token, None).await.expect(409);
        assert_eq!(last.code(), "last_administrator");
        portal.call("DELETE", &of(&eve.person_id, "reviewer"), &boss.token, None).await.expect(204);
        portal.get("/api/v1/operator/staff", &eve.token).await.expect(404);
    }

    async fn an_idempotency_key_gives_the_same_answer_without_a_second_effect(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let authorization = format!("Bearer {}", ada.token);
        let headers = [("authorization", authorization.as_str()), ("idempotency-key", "one"), ("content-type", "application/json")];
        let first = portal.request("POST", "/api/v1/organisations", &headers, r#"{"name":"Second"}"#).await.expect(201);
        let again = portal.request("POST", "/api/v1/organisations", &headers, r#"{"name":"Second"}"#).await.expect(201);
        assert_eq!(first.text(), again.text());
        assert_eq!(again.header("idempotency-replayed"), "true");
        let other = portal.request("POST", "/api/v1/organisations", &headers, r#"{"name":"Third"}"#).await.expect(422);
        assert_eq!(other.json()["errors"][0]["code"], "idempotency_key_reused");
        let account = portal.get("/api/v1/account", &ada.token).await.json();
        assert_eq!(account["organisations"].as_array().unwrap().len(), 2);
    }

    async fn a_stored_idempotent_answer_is_unreadable_in_the_database(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let authorization = format!("Bearer {}", ada.token);
        let headers = [("authorization", authorization.as_str()), ("idempotency-key", "one"), ("content-type", "application/json")];
        portal.request("POST", "/api/v1/organisations", &headers, r#"{"name":"Findable"}"#).await.expect(201);
        let stored: Vec<u8> = portal.context().await.connection
            .query_one("SELECT response FROM idempotency_keys", vec![]).await.unwrap().get(0).unwrap();
        assert!(!String::from_utf8_lossy(&stored).contains("Findable"));
    }
}

#[tokio::test]
async fn failures_from_one_address_do_not_lock_the_owner_out_at_another() {
    let settings = [("environment", "production")];
    let setup = TestPortal::with(TestDatabase::sqlite(), &[]).await;
    setup.sign_up("ada@example.com", "Acme").await;
    let portal = setup.another_instance(&settings).await;
    let try_from = async |address: &str, password: &str| {
        let body = json!({ "email": "ada@example.com", "password": password }).to_string();
        let peer = format!("{address}:1");
        portal
            .request_from(
                &peer,
                "POST",
                "/api/v1/sessions",
                &[("content-type", "application/json")],
                &body,
            )
            .await
            .status
    };
    for _ in 0..10 {
        assert_eq!(try_from("198.51.100.1", "wrong password").await, 401);
    }
    assert_eq!(try_from("198.51.100.1", PASSWORD).await, 429);
    assert_eq!(try_from("203.0.113.9", PASSWORD).await, 201);
}
