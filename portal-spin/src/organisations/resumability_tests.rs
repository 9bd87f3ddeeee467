//! Lost mails, second clicks, expired codes, closed tabs: each leads on. And no answer tells who has an
//! account.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::testing::{Answer, PASSWORD, TestDatabase, TestPortal, on_every_database};

const MINUTE_MS: i64 = 60_000;

fn registration(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "organisation_name": "Acme" })
}

/// What a stranger can see of an answer: everything but what differs between any two answers.
fn visible(answer: &Answer, email: &str) -> (u16, String, Vec<String>) {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "content-length"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    let mut text = answer.text().replace(email, "EMAIL");
    if let Some(place) = text.find("\"request_id\":\"") {
        let end = text[place + 14..].find('"').unwrap();
        text.replace_range(place + 14..place + 14 + end, "ID");
    }
    (answer.status, text, headers)
}

fn token_of(mail: &Value) -> String {
    let link = mail["links"][0].as_str().unwrap();
    link.split("token=").nth(1).unwrap().to_owned()
}

/// A path, and the body that names an address.
type Call = (&'static str, fn(&str) -> Value);

on_every_database! {
    async fn no_answer_tells_who_has_an_account(portal: TestPortal) {
        portal.sign_up("known@example.com", "Acme").await;
        let eve = portal.sign_up("eve@example.com", "Eves").await;
        portal.post("/api/v1/registrations", "", registration("halfway@example.com")).await.expect(202);
        let calls: [Call; 4] = [
            ("/api/v1/registrations", registration),
            ("/api/v1/registrations/resend", |email| json!({ "email": email })),
            ("/api/v1/password-resets", |email| json!({ "email": email })),
            ("/api/v1/sessions", |email| json!({ "email": email, "password": "a wrong password" })),
        ];
        for (path, body) in calls {
            let unknown = visible(&portal.post(path, "", body("nobody@example.com")).await, "nobody@example.com");
            for email in ["known@example.com", "halfway@example.com"] {
                let seen = visible(&portal.post(path, "", body(email)).await, email);
                assert_eq!(seen, unknown, "{path} {email}");
            }
        }
        // Signed in, too: moving to an address, and inviting one.
        let move_to = async |email: &str| {
            let body = json!({ "email": email, "current_password": PASSWORD });
            visible(&portal.post("/api/v1/account/email", &eve.token, body).await, email)
        };
        assert_eq!(move_to("known@example.com").await, move_to("nobody@example.com").await);
        for page in ["/register/resend", "/reset-password"] {
            let of = async |email: &str| visible(&portal.submit(page, "", &[("email", email)]).await, email);
            let encoded = |seen: (u16, String, Vec<String>)| {
                let headers = seen.2.iter().map(|h| h.replace("known%40", "X").replace("nobody%40", "X")).collect::<Vec<_>>();
                (seen.0, seen.1, headers)
            };
            assert_eq!(encoded(of("known@example.com").await), encoded(of("nobody@example.com").await), "{page}");
        }
    }

    async fn known_and_unknown_accounts_cost_about_as_many_statements(portal: TestPortal) {
        portal.sign_up("known@example.com", "Acme").await;
        portal.post("/api/v1/registrations", "", registration("halfway@example.com")).await.expect(202);
        let calls: [Call; 4] = [
            ("/api/v1/registrations", registration),
            ("/api/v1/registrations/resend", |email| json!({ "email": email })),
            ("/api/v1/password-resets", |email| json!({ "email": email })),
            ("/api/v1/sessions", |email| json!({ "email": email, "password": "a wrong password" })),
        ];
        for (path, body) in calls {
            let mut costs = Vec::new();
            for email in ["nobody@example.com", "known@example.com", "halfway@example.com"] {
                let (counted, remaining) = portal.killed_after(1000).await;
                counted.post(path, "", body(email)).await;
                costs.push(1000 - remaining.get());
            }
            let (least, most) = (costs.iter().min().unwrap(), costs.iter().max().unwrap());
            assert!(most - least <= 4, "{path}: {costs:?}");
        }
    }

    async fn a_forgotten_password_of_an_unverified_address_brings_the_code_again(portal: TestPortal) {
        portal.post("/api/v1/registrations", "", registration("ada@example.com")).await.expect(202);
        portal.advance_ms(11 * MINUTE_MS);
        portal.post("/api/v1/password-resets", "", json!({ "email": "ada@example.com" })).await.expect(202);
        let code = portal.newest_email("ada@example.com").await["code"].clone();
        portal.post("/api/v1/verifications", "", json!({ "email": "ada@example.com", "code": code })).await.expect(201);
        portal.log_in("ada@example.com", PASSWORD).await;
    }

    async fn an_expired_code_brings_the_next_one_by_itself(portal: TestPortal) {
        portal.post("/api/v1/registrations", "", registration("ada@example.com")).await.expect(202);
        let old = portal.newest_email("ada@example.com").await["code"].clone();
        portal.advance_ms(11 * MINUTE_MS);
        let refused = portal.post("/api/v1/verifications", "", json!({ "email": "ada@example.com", "code": old })).await.expect(422).json();
        assert_eq!(refused["errors"][0]["code"], "code_expired");
        let new = portal.newest_email("ada@example.com").await["code"].clone();
        assert_ne!(new, old);
        portal.post("/api/v1/verifications", "", json!({ "email": "ada@example.com", "code": new })).await.expect(201);
    }

    async fn a_reset_works_by_each_mail_until_one_is_used(portal: TestPortal) {
        portal.sign_up("ada@example.com", "Acme").await;
        let ask = async || {
            portal.post("/api/v1/password-resets", "", json!({ "email": "ada@example.com" })).await.expect(202);
            token_of(&portal.newest_email("ada@example.com").await)
        };
        let first = ask().await;
        let second = ask().await;
        assert_ne!(first, second);
        let complete = async |token: &str, password: &str| {
            portal.post("/api/v1/password-resets/complete", "", json!({ "token": token, "password": password })).await
        };
        // A password that is refused leaves the link working; the tab was closed; the older mail is found.
        complete(&first, "short").await.expect(422);
        complete(&first, "a whole new secret").await.expect(204);
        assert_eq!(complete(&first, "a whole new secret").await.expect(410).code(), "link_expired");
        portal.log_in("ada@example.com", "a whole new secret").await;
        let third = ask().await;
        portal.advance_ms(61 * MINUTE_MS);
        complete(&third, "another secret here").await.expect(410);
        let fourth = ask().await;
        complete(&fourth, "another secret here").await.expect(204);
    }

    async fn a_second_click_on_a_change_of_address_is_no_failure(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let ask = async |email: &str| {
            let body = json!({ "email": email, "current_password": PASSWORD });
            portal.post("/api/v1/account/email", &ada.token, body).await.expect(202);
            token_of(&portal.newest_email(email).await)
        };
        let lost = ask("lost@new.example").await;
        let token = ask("ada@new.example").await;
        for _ in 0..2 {
            portal.post("/api/v1/account/email/confirm", "", json!({ "token": token })).await.expect(204);
        }
        portal.advance_ms(61 * MINUTE_MS);
        portal.post("/api/v1/account/email/confirm", "", json!({ "token": lost })).await.expect(410);
        portal.log_in("ada@new.example", PASSWORD).await;
        // Someone took the address between the mail and the click.
        let race = ask("race@new.example").await;
        portal.sign_up("race@new.example", "Racer").await;
        portal.post("/api/v1/account/email/confirm", "", json!({ "token": race })).await.expect(410);
        portal.log_in("ada@new.example", PASSWORD).await;
    }

    async fn a_forged_client_address_does_not_move_the_throttle(portal: TestPortal) {
        let settings = [("environment", "production"), ("public_url", "https://portal.test"), ("tick_secret", "x"), ("edge_secret", "x"), ("key_pepper", "x")];
        portal.sign_up("ada@example.com", "Acme").await;
        let strict = portal.another_instance(&settings).await;
        let mut last = 0;
        for number in 0..12 {
            let request = http::Request::post("/api/v1/sessions")
                .header("content-type", "application/json")
                // The client's own comes first; the host appends the true one behind it.
                .header("spin-client-addr", format!("203.0.113.{number}:1"))
                .header("spin-client-addr", "198.51.100.1:4711")
                .body(bytes::Bytes::from(json!({ "email": "ada@example.com", "password": "wrong password" }).to_string()))
                .unwrap();
            last = strict.send(request).await.status;
        }
        assert_eq!(last, 429);
        let known: i64 = portal.context().await.connection
            .query_one("SELECT COUNT(*) FROM attempts WHERE subject LIKE '%203.0.113.%'", vec![]).await.unwrap().get(0).unwrap();
        assert_eq!(known, 0);
    }

    async fn a_closed_account_has_no_session_left(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let context = portal.context().await;
        context.connection.execute("UPDATE people SET disabled_at = $1 WHERE person_id = $2", crate::params![portal.now_ms(), ada.person_id.as_str()]).await.unwrap();
        portal.get("/api/v1/account", &ada.token).await.expect(401);
        portal.post("/api/v1/sessions", "", json!({ "email": "ada@example.com", "password": PASSWORD })).await.expect(401);
    }
}

/// What someone between registering and being in may do, in any order.
#[derive(Debug, Clone, Copy)]
enum Step {
    Register,
    Resend,
    WrongCode,
    NewestCode,
    OldestCode,
    NewestLink,
    OldestLink,
    Forget,
    WaitMinutes(i64),
    LogIn,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Register),
        Just(Step::Resend),
        Just(Step::WrongCode),
        Just(Step::NewestCode),
        Just(Step::OldestCode),
        Just(Step::NewestLink),
        Just(Step::OldestLink),
        Just(Step::Forget),
        (0..4000_i64).prop_map(Step::WaitMinutes),
        Just(Step::LogIn),
    ]
}

const EMAIL: &str = "ada@example.com";

async fn take(portal: &TestPortal, step: Step) {
    let mails = portal
        .get(&format!("/dev/outbox?to={EMAIL}"), "")
        .await
        .json()["emails"]
        .clone();
    let with_code: Vec<&Value> = mails
        .as_array()
        .unwrap()
        .iter()
        .filter(|mail| mail["code"].is_string())
        .collect();
    let by_code = async |mail: Option<&&Value>| {
        let code = mail.map_or(json!("000000"), |mail| mail["code"].clone());
        portal
            .post(
                "/api/v1/verifications",
                "",
                json!({ "email": EMAIL, "code": code }),
            )
            .await
    };
    let by_link = async |mail: Option<&&Value>| {
        let token = mail.map_or_else(String::new, |mail| token_of(mail));
        portal
            .post("/api/v1/verifications", "", json!({ "token": token }))
            .await
    };
    let answer = match step {
        Step::Register => {
            portal
                .post("/api/v1/registrations", "", registration(EMAIL))
                .await
        }
        Step::Resend => {
            portal
                .post(
                    "/api/v1/registrations/resend",
                    "",
                    json!({ "email": EMAIL }),
                )
                .await
        }
        Step::WrongCode => by_code(None).await,
        Step::NewestCode => by_code(with_code.first()).await,
        Step::OldestCode => by_code(with_code.last()).await,
        Step::NewestLink => by_link(with_code.first()).await,
        Step::OldestLink => by_link(with_code.last()).await,
        Step::Forget => {
            portal
                .post("/api/v1/password-resets", "", json!({ "email": EMAIL }))
                .await
        }
        Step::WaitMinutes(minutes) => {
            portal.advance_ms(minutes * MINUTE_MS);
            return;
        }
        Step::LogIn => {
            portal
                .post(
                    "/api/v1/sessions",
                    "",
                    json!({ "email": EMAIL, "password": PASSWORD }),
                )
                .await
        }
    };
    assert!(answer.status < 500, "{step:?}: {}", answer.text());
}

async fn nobody_is_stuck_after(steps: Vec<Step>) {
    let portal = TestPortal::with(TestDatabase::sqlite(), &[]).await;
    for step in &steps {
        take(&portal, *step).await;
    }
    // An hour later no throttle stands in the way.
    portal.advance_ms(61 * MINUTE_MS);
    portal
        .post("/api/v1/registrations", "", registration(EMAIL))
        .await
        .expect(202);
    let mail = portal.newest_email(EMAIL).await;
    if mail["code"].is_string() {
        let body = json!({ "email": EMAIL, "code": mail["code"] });
        portal
            .post("/api/v1/verifications", "", body)
            .await
            .expect(201);
    }
    portal.log_in(EMAIL, PASSWORD).await;
    let people: i64 = portal
        .context()
        .await
        .connection
        .query_one("SELECT COUNT(*) FROM people", vec![])
        .await
        .unwrap()
        .get(0)
        .unwrap();
    assert_eq!(people, 1, "{steps:?}");
}

/// What may be done to an organisation of three, by member and target.
#[derive(Debug, Clone, Copy)]
enum Move {
    Role(usize, usize, &'static str),
    Remove(usize, usize),
    Leave(usize),
    Transfer(usize, usize),
}

fn any_move() -> impl Strategy<Value = Move> {
    let role = prop_oneof![
        Just("owner"),
        Just("developer"),
        Just("billing"),
        Just("reader")
    ];
    prop_oneof![
        (0..3_usize, 0..3_usize, role).prop_map(|(by, to, role)| Move::Role(by, to, role)),
        (0..3_usize, 0..3_usize).prop_map(|(by, to)| Move::Remove(by, to)),
        (0..3_usize).prop_map(Move::Leave),
        (0..3_usize, 0..3_usize).prop_map(|(by, to)| Move::Transfer(by, to)),
    ]
}

async fn an_owner_remains_after(moves: Vec<Move>) {
    let portal = TestPortal::with(TestDatabase::sqlite(), &[]).await;
    let mut people = Vec::new();
    for name in ["ada", "bob", "cem"] {
        people.push(portal.sign_up(&format!("{name}@example.com"), name).await);
    }
    let host = people[0].clone();
    portal.join(&host, &people[1], "developer").await;
    portal.join(&host, &people[2], "owner").await;
    let base = format!("/api/v1/organisations/{}", host.organisation_id);
    let connection = portal.context().await.connection;
    let members = connection
        .query(
            "SELECT member_id, person_id FROM members WHERE organisation_id = $1",
            crate::params![host.organisation_id.as_str()],
        )
        .await
        .unwrap();
    let member = |person: usize| -> String {
        let row = members
            .iter()
            .find(|row| row.get::<String>(1).unwrap() == people[person].person_id);
        row.unwrap().get(0).unwrap()
    };
    for step in moves {
        let answer = match step {
            Move::Role(by, to, role) => {
                let path = format!("{base}/members/{}", member(to));
                portal
                    .call(
                        "PATCH",
                        &path,
                        &people[by].token,
                        Some(json!({ "role": role })),
                    )
                    .await
            }
            Move::Remove(by, to) => {
                let path = format!("{base}/members/{}", member(to));
                portal.call("DELETE", &path, &people[by].token, None).await
            }
            Move::Leave(by) => {
                portal
                    .post(&format!("{base}/leave"), &people[by].token, json!({}))
                    .await
            }
            Move::Transfer(by, to) => {
                let body = json!({ "member_id": member(to) });
                portal
                    .post(
                        &format!("{base}/ownership-transfer"),
                        &people[by].token,
                        body,
                    )
                    .await
            }
        };
        assert!(answer.status < 500, "{step:?}: {}", answer.text());
        let owners: i64 = connection
            .query_one(
                "SELECT COUNT(*) FROM members WHERE organisation_id = $1 AND role = 'owner'",
                crate::params![host.organisation_id.as_str()],
            )
            .await
            .unwrap()
            .get(0)
            .unwrap();
        assert!(owners >= 1, "{step:?}");
    }
}

fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_steps_leaves_a_newcomer_stuck_or_twice(steps in proptest::collection::vec(any_step(), 0..10)) {
        block_on(nobody_is_stuck_after(steps));
    }

    #[test]
    fn no_order_of_changes_leaves_an_organisation_without_an_owner(moves in proptest::collection::vec(any_move(), 0..20)) {
        block_on(an_owner_remains_after(moves));
    }
}
