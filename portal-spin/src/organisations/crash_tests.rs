//! The process is killed between any two statements of a sign-up, an acceptance or a join: whoever was
//! half-way goes on, and nothing exists twice.

use serde_json::{Value, json};

use crate::testing::{PASSWORD, TestPortal, on_every_database};

/// Kills `work` after 0, 1, 2, … statements, going on with `then` each time, until it runs to its end.
/// Answers how often it was killed.
async fn kill_everywhere(
    portal: &TestPortal,
    work: impl AsyncFn(TestPortal, i64) -> u16,
    then: impl AsyncFn(i64),
) -> i64 {
    for statements in 0..200 {
        let (killed, remaining) = portal.killed_after(statements).await;
        let status = work(killed, statements).await;
        let is_whole = remaining.get() >= 0;
        assert!(
            is_whole || status >= 500,
            "killed after {statements}, yet {status}"
        );
        then(statements).await;
        if is_whole {
            assert!(status < 400, "{status}");
            return statements;
        }
    }
    panic!("it never ends");
}

async fn count(portal: &TestPortal, sql: &str, value: &str) -> i64 {
    portal
        .context()
        .await
        .connection
        .query_one(sql, crate::params![value])
        .await
        .unwrap()
        .get(0)
        .unwrap()
}

/// One person, one organisation of theirs, one membership.
async fn is_one_account(portal: &TestPortal, email: &str) {
    for sql in [
        "SELECT COUNT(*) FROM people WHERE email = $1",
        "SELECT COUNT(*) FROM members m JOIN people p ON p.person_id = m.person_id WHERE p.email = $1",
        "SELECT COUNT(*) FROM organisations WHERE name = $1",
    ] {
        assert_eq!(count(portal, sql, email).await, 1, "{email}: {sql}");
    }
}

fn registration(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "organisation_name": email })
}

async fn verify(portal: &TestPortal, email: &str) -> Value {
    let code = portal.newest_email(email).await["code"].clone();
    let body = json!({ "email": email, "code": code });
    portal
        .post("/api/v1/verifications", "", body)
        .await
        .expect(201)
        .json()
}

on_every_database! {
    async fn a_registration_killed_anywhere_is_made_again(portal: TestPortal) {
        let email = |n: i64| format!("ada{n}@example.com");
        let kills = kill_everywhere(
            &portal,
            async |killed, n| killed.post("/api/v1/registrations", "", registration(&email(n))).await.status,
            async |n| {
                portal.post("/api/v1/registrations", "", registration(&email(n))).await.expect(202);
                verify(&portal, &email(n)).await;
                is_one_account(&portal, &email(n)).await;
                portal.log_in(&email(n), PASSWORD).await;
            },
        ).await;
        assert!(kills > 5, "{kills}");
    }

    async fn a_verification_killed_anywhere_is_made_by_the_same_code(portal: TestPortal) {
        let email = |n: i64| format!("ada{n}@example.com");
        let kills = kill_everywhere(
            &portal,
            async |killed, n| {
                portal.post("/api/v1/registrations", "", registration(&email(n))).await.expect(202);
                let code = portal.newest_email(&email(n)).await["code"].clone();
                killed.post("/api/v1/verifications", "", json!({ "email": email(n), "code": code })).await.status
            },
            async |n| {
                verify(&portal, &email(n)).await;
                is_one_account(&portal, &email(n)).await;
                let token = portal.log_in(&email(n), PASSWORD).await;
                let account = portal.get("/api/v1/account", &token).await.expect(200).json();
                assert_eq!(account["organisations"].as_array().unwrap().len(), 1);
            },
        ).await;
        assert!(kills > 10, "{kills}");
    }

    async fn an_acceptance_killed_anywhere_is_made_again_once(portal: TestPortal) {
        let lawyer = portal.sign_up("lawyer@example.com", "Operator").await;
        portal.make_operator(&lawyer, "lawyer").await;
        let made = portal.post("/api/v1/operator/agreements", &lawyer.token, json!({ "title": "Terms", "kind": "terms_of_service" })).await.expect(201).json();
        let path = format!("/api/v1/operator/agreements/{}/versions", made["agreement_id"].as_str().unwrap());
        let version = portal.post(&path, &lawyer.token, json!({ "label": "1", "markdown": "Be nice." })).await.expect(201).json();
        let body = json!({ "agreement_version_id": version["agreement_version_id"], "has_authority": true });
        let sign_up = async |n: i64| {
            let email = format!("ada{n}@example.com");
            portal.post("/api/v1/registrations", "", registration(&email)).await.expect(202);
            let session = verify(&portal, &email).await;
            let text = |name: &str| session[name].as_str().unwrap().to_owned();
            (text("organisation_id"), text("session_token"))
        };
        let people = std::cell::RefCell::new(Vec::new());
        let kills = kill_everywhere(
            &portal,
            async |killed, n| {
                let (organisation, token) = sign_up(n).await;
                let path = format!("/api/v1/organisations/{organisation}/acceptances");
                let status = killed.post(&path, &token, body.clone()).await.status;
                people.borrow_mut().push((organisation, token));
                status
            },
            async |_| {
                let (organisation, token) = people.borrow().last().unwrap().clone();
                let path = format!("/api/v1/organisations/{organisation}/acceptances");
                portal.post(&path, &token, body.clone()).await.expect(201);
                let all = portal.get(&path, &token).await.expect(200).json();
                assert_eq!(all["items"].as_array().unwrap().len(), 1);
                let standing = portal.get(&format!("/api/v1/organisations/{organisation}/agreements"), &token).await.expect(200).json();
                assert_eq!(standing["items"][0]["state"], "accepted");
            },
        ).await;
        assert!(kills > 5, "{kills}");
        // Every record holds the hash of the one before, and none is missing.
        let export = portal.get("/api/v1/operator/acceptances/export", &lawyer.token).await.expect(200).text();
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "administrator").await;
        let audit = portal.get("/api/v1/operator/audit-log/export", &boss.token).await.expect(200).text();
        crate::audit::verify_audit(audit.as_bytes()).unwrap();
        assert!(!export.is_empty());
    }

    async fn an_invitation_to_the_programme_killed_anywhere_is_taken_up_once(portal: TestPortal) {
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "manager").await;
        let email = |n: i64| format!("new{n}@example.com");
        let invite = async |n: i64| {
            let body = json!({ "rows": email(n), "tags": ["pilot"] });
            portal.post("/api/v1/operator/invitations", &boss.token, body).await.expect(200);
            let link = portal.newest_email(&email(n)).await["links"][0].as_str().unwrap().to_owned();
            let token = link.split("token=").nth(1).unwrap();
            json!({ "token": token, "organisation_name": email(n), "password": PASSWORD })
        };
        let bodies = std::cell::RefCell::new(Vec::new());
        let path = "/api/v1/programme-invitations/accept";
        let kills = kill_everywhere(
            &portal,
            async |killed, n| {
                let body = invite(n).await;
                bodies.borrow_mut().push(body.clone());
                killed.post(path, "", body).await.status
            },
            async |n| {
                let body = bodies.borrow().last().unwrap().clone();
                let again = portal.post(path, "", body).await;
                // Whoever was answered nothing may have joined all the same, and is told to log in.
                assert!(again.status == 201 || again.code() == "already_joined", "{}", again.text());
                is_one_account(&portal, &email(n)).await;
                portal.log_in(&email(n), PASSWORD).await;
            },
        ).await;
        assert!(kills > 10, "{kills}");
    }

    async fn a_hundred_registrations_at_once_lose_none(portal: TestPortal) {
        let tasks = tokio::task::LocalSet::new();
        let lost = std::rc::Rc::new(std::cell::Cell::new(0));
        for number in 0..100 {
            let (app, lost) = (std::rc::Rc::clone(&portal.app), std::rc::Rc::clone(&lost));
            tasks.spawn_local(async move {
                let body = registration(&format!("person{number}@example.com")).to_string();
                // A busy database answers 503 with Retry-After, and the client comes again.
                for _ in 0..200 {
                    let request = http::Request::post("/api/v1/registrations")
                        .header("content-type", "application/json")
                        .header("spin-client-addr", format!("192.0.2.{number}:1"))
                        .body(bytes::Bytes::from(body.clone()))
                        .unwrap();
                    let status = app.handle(request).await.status().as_u16();
                    if status == 202 {
                        return;
                    }
                    assert_eq!(status, 503);
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                lost.set(lost.get() + 1);
            });
        }
        tasks.await;
        assert_eq!(lost.get(), 0);
        for number in [0, 50, 99] {
            let email = format!("person{number}@example.com");
            verify(&portal, &email).await;
            is_one_account(&portal, &email).await;
        }
        let mails: i64 = portal.context().await.connection
            .query_one("SELECT COUNT(DISTINCT recipient) FROM emails WHERE recipient LIKE 'person%'", vec![]).await.unwrap().get(0).unwrap();
        assert_eq!(mails, 100);
    }
}
