//! What `docs/security/asvs.md` promises of the portal as a whole.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use crate::organisations::second_factor::totp;
use crate::routes::ROUTES;
use crate::testing::{Actor, PASSWORD, TestDatabase, TestPortal, on_every_database};

/// A path of the route with something in each parameter.
fn path_of(template: &str, organisation_id: &str) -> String {
    let filled = template.split('/').map(|segment| match segment {
        "{organisation_id}" => organisation_id,
        _ if segment.starts_with('{') => "none",
        _ => segment,
    });
    filled.collect::<Vec<_>>().join("/")
}

async fn audit_text(portal: &TestPortal) -> Vec<(String, String, String, String, String)> {
    portal
        .context()
        .await
        .connection
        .query(
            "SELECT action, actor, object, detail, request_id FROM audit_records ORDER BY position",
            vec![],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| {
            let text = |column| row.get::<String>(column).unwrap();
            (text(0), text(1), text(2), text(3), text(4))
        })
        .collect()
}

/// Sets up an authenticator. Answers its secret and the recovery codes.
async fn with_authenticator(portal: &TestPortal, actor: &Actor) -> (Vec<u8>, Vec<String>) {
    portal
        .post("/api/v1/account/totp", &actor.token, json!({}))
        .await
        .expect(201);
    let secret: Vec<u8> = portal
        .context()
        .await
        .connection
        .query_one(
            "SELECT totp_secret FROM people WHERE person_id = $1",
            crate::params![actor.person_id.as_str()],
        )
        .await
        .unwrap()
        .get(0)
        .unwrap();
    let body = json!({ "code": totp(&secret, portal.now_ms() / 30_000) });
    let enabled = portal
        .post("/api/v1/account/totp/enable", &actor.token, body)
        .await
        .expect(200)
        .json();
    let codes = enabled["recovery_codes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap().to_owned());
    (secret, codes.collect())
}

#[tokio::test]
async fn every_answer_of_every_route_carries_the_security_headers() {
    let settings = [
        ("public_url", "https://partners.example.com"),
        ("environment", "production"),
    ];
    let portal = TestPortal::with(TestDatabase::sqlite(), &settings).await;
    for route in ROUTES {
        let path = path_of(route.template, "org_none");
        let headers = [("origin", "https://evil.example")];
        for given in [&headers[..], &[]] {
            let answer = portal
                .request(route.method.as_str(), &path, given, "")
                .await;
            let name = format!("{} {path}: {}", route.method, answer.status);
            let header = |header: &str| answer.header(header).to_owned();
            let policy = header("content-security-policy");
            for part in [
                "default-src 'none'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            ] {
                assert!(policy.contains(part), "{name}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{name}");
            assert_eq!(header("x-content-type-options"), "nosniff", "{name}");
            assert_eq!(header("referrer-policy"), "same-origin", "{name}");
            assert_eq!(
                header("cross-origin-opener-policy"),
                "same-origin",
                "{name}"
            );
            assert!(
                header("strict-transport-security").contains("includeSubDomains"),
                "{name}"
            );
            assert_eq!(header("access-control-allow-origin"), "", "{name}");
            for cookie in answer.headers.get_all("set-cookie") {
                let cookie = cookie.to_str().unwrap();
                for part in ["__Host-", "Secure", "HttpOnly", "SameSite="] {
                    assert!(cookie.contains(part), "{name}: {cookie}");
                }
            }
        }
    }
}

#[tokio::test]
async fn no_get_changes_anything_but_ends_of_sign_on() {
    let portal = TestPortal::with(TestDatabase::sqlite(), &[]).await;
    let ada = portal.sign_up("ada@example.com", "Acme").await;
    portal.make_operator(&ada, "administrator").await;
    let connection = portal.context().await.connection;
    let count = async || {
        let tables = connection
            .query(
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
                vec![],
            )
            .await
            .unwrap();
        let mut counts = Vec::new();
        for table in tables {
            let table: String = table.get(0).unwrap();
            // Throttles count, and what a page reads for the first time may be kept.
            if table == "attempts" {
                continue;
            }
            let sql = format!("SELECT COUNT(*) FROM {table}");
            let rows: i64 = connection
                .query_one(&sql, vec![])
                .await
                .unwrap()
                .get(0)
                .unwrap();
            counts.push((table, rows));
        }
        counts
    };
    for route in ROUTES
        .iter()
        .filter(|route| route.method == http::Method::GET)
    {
        if route.template == "/log-in/callback" {
            continue;
        }
        let path = path_of(route.template, &ada.organisation_id);
        let before = count().await;
        portal.page(&path, &ada.token).await;
        assert_eq!(count().await, before, "{path}");
    }
}

on_every_database! {
    async fn a_password_change_needs_the_present_one_and_ends_other_sessions(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let other = portal.log_in("ada@example.com", PASSWORD).await;
        let change = async |present: &str| {
            let body = json!({ "current_password": present, "password": "another long secret" });
            portal.post("/api/v1/account/password", &ada.token, body).await
        };
        change("wrong").await.expect(422);
        portal.get("/api/v1/account", &other).await.expect(200);
        change(PASSWORD).await.expect(204);
        portal.get("/api/v1/account", &other).await.expect(401);
        portal.get("/api/v1/account", &ada.token).await.expect(200);
    }

    async fn any_characters_make_a_password_and_none_is_changed(portal: TestPortal) {
        let long = "ж".repeat(64);
        for (number, password) in ["        x", "пароль из слов", "  leading and trailing  ", long.as_str(), "12345678a\u{1F600}"].into_iter().enumerate() {
            let email = format!("p{number}@example.com");
            let body = json!({ "email": email, "password": password, "organisation_name": "Acme" });
            portal.post("/api/v1/registrations", "", body).await.expect(202);
            let code = portal.newest_email(&email).await["code"].clone();
            portal.post("/api/v1/verifications", "", json!({ "email": email, "code": code })).await.expect(201);
            portal.log_in(&email, password).await;
            let cut: String = password.chars().take(password.chars().count() - 1).collect();
            for other in [password.trim(), &password.to_uppercase(), &cut] {
                if other != password {
                    let body = json!({ "email": email, "password": other });
                    portal.post("/api/v1/sessions", "", body).await.expect(401);
                }
            }
        }
    }

    async fn a_reset_leaves_the_second_factor_on(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        with_authenticator(&portal, &ada).await;
        portal.post("/api/v1/password-resets", "", json!({ "email": "ada@example.com" })).await.expect(202);
        let link = portal.newest_email("ada@example.com").await["links"][0].as_str().unwrap().to_owned();
        let body = json!({ "token": link.split("token=").nth(1).unwrap(), "password": "a whole new secret" });
        portal.post("/api/v1/password-resets/complete", "", body).await.expect(204);
        let body = json!({ "email": "ada@example.com", "password": "a whole new secret" });
        assert_eq!(portal.post("/api/v1/sessions", "", body).await.expect(202).code(), "second_factor_required");
    }

    async fn recovery_codes_have_a_hundred_and_twenty_bits(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let (_, codes) = with_authenticator(&portal, &ada).await;
        let different: BTreeSet<&String> = codes.iter().collect();
        assert_eq!(different.len(), 10);
        for code in &codes {
            // Five bits each.
            let characters = code.chars().filter(char::is_ascii_alphanumeric).count();
            assert_eq!(characters * 5, 120, "{code}");
        }
    }

    async fn a_session_token_is_random_and_new_at_every_log_in(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let mut tokens = BTreeSet::from([ada.token.clone()]);
        for _ in 0..5 {
            tokens.insert(portal.log_in("ada@example.com", PASSWORD).await);
        }
        assert_eq!(tokens.len(), 6);
        for token in &tokens {
            assert_eq!(crate::encoding::from_base64url(token).unwrap().len() * 8, 256);
            let stored: i64 = portal.context().await.connection
                .query_one("SELECT COUNT(*) FROM sessions WHERE token_hash = $1", crate::params![token.as_bytes()]).await.unwrap().get(0).unwrap();
            assert_eq!(stored, 0, "the database has its digest only");
        }
    }

    async fn an_administrator_ends_the_sessions_of_a_person(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        let path = format!("/api/v1/operator/people/{}/sessions", ada.person_id);
        portal.call("DELETE", &path, &boss.token, None).await.expect(404);
        portal.make_operator(&boss, "manager").await;
        portal.call("DELETE", &path, &boss.token, None).await.expect(403);
        portal.make_operator(&boss, "administrator").await;
        portal.call("DELETE", &path, &boss.token, None).await.expect(204);
        portal.get("/api/v1/account", &ada.token).await.expect(401);
        portal.get("/api/v1/account", &boss.token).await.expect(200);
        let none = format!("/api/v1/operator/people/{}/sessions", ada.organisation_id.replace("org", "per"));
        portal.call("DELETE", &none, &boss.token, None).await.expect(404);
    }

    async fn a_partner_cannot_write_what_the_operator_sorts_by(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let own = format!("/api/v1/organisations/{}", ada.organisation_id);
        for field in ["partner_type", "tier", "tags", "suspended_at"] {
            let mut body = json!({ "name": "Acme" });
            body[field] = json!("gold");
            let answer = portal.call("PATCH", &own, &ada.token, Some(body)).await;
            assert!((400..=422).contains(&answer.status), "{field}: {}", answer.text());
        }
        let operators = format!("/api/v1/operator/organisations/{}", ada.organisation_id);
        portal.call("PATCH", &operators, &ada.token, Some(json!({ "tier": "standard" }))).await.expect(404);
        let seen = portal.get(&own, &ada.token).await.expect(200).json();
        assert_eq!((&seen["partner_type"], &seen["tier"]), (&json!("standard"), &json!("standard")));
        assert!(seen["tags"].is_null(), "tags are the staff's");
    }

    async fn every_log_in_and_every_refusal_is_in_the_audit_log(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let (secret, _) = with_authenticator(&portal, &ada).await;
        portal.advance_ms(30_000);
        portal.post("/api/v1/sessions", "", json!({ "email": "ada@example.com", "password": "wrong password" })).await.expect(401);
        portal.post("/api/v1/sessions", "", json!({ "email": "eve\n@example.com", "password": "wrong password" })).await.expect(401);
        let step = portal.post("/api/v1/sessions", "", json!({ "email": "ada@example.com", "password": PASSWORD })).await.expect(202).json();
        let wrong = json!({ "ticket": step["ticket"], "code": "000000" });
        portal.post("/api/v1/sessions", "", wrong).await.expect(401);
        let right = json!({ "ticket": step["ticket"], "code": totp(&secret, portal.now_ms() / 30_000) });
        portal.post("/api/v1/sessions", "", right).await.expect(201);
        let records = audit_text(&portal).await;
        let of = |action: &str| records.iter().filter(|record| record.0 == action).collect::<Vec<_>>();
        assert_eq!(of("session.refused").len(), 3, "{records:?}");
        let started = of("session.started");
        assert!(started.last().unwrap().3.contains("\"second_factor\":true"), "{started:?}");
        for (action, actor, object, detail, request_id) in &records {
            let whole = format!("{action}{actor}{object}{detail}{request_id}");
            assert!(!whole.contains('\n') && !actor.is_empty() && !request_id.is_empty(), "{action}");
            serde_json::from_str::<serde_json::Value>(detail).unwrap();
        }
    }

    async fn no_secret_is_in_the_audit_log(portal: TestPortal) {
        let (ada, app) = crate::credentials::test_partner::start(&portal).await;
        let (secret, codes) = with_authenticator(&portal, &ada).await;
        let issued = portal.post(&format!("{app}/credentials"), &ada.token, json!({ "environment": "test" })).await.expect(201).json();
        portal.post("/api/v1/sessions", "", json!({ "email": ada.email, "password": "a mistyped secret" })).await;
        let all = format!("{:?}", audit_text(&portal).await);
        let key = issued["key"].as_str().unwrap();
        let hexadecimal = crate::encoding::hex(&secret);
        for hidden in [PASSWORD, "a mistyped secret", &ada.token, &codes[0], key, &hexadecimal] {
            assert!(!all.contains(hidden), "{hidden}");
        }
    }

    async fn a_failing_database_is_a_plain_error_without_its_text(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        for statements in 0..3 {
            for (path, token) in [("/api/v1/account", ada.token.as_str()), ("/account", ada.token.as_str()), ("/products", "")] {
                let (killed, _) = portal.killed_after(statements).await;
                let answer = if path.starts_with("/api") { killed.get(path, token).await } else { killed.page(path, token).await };
                let text = answer.text();
                assert!(!text.contains("killed") && !text.contains("SELECT"), "{path}: {text}");
                assert!(answer.status == 500 || answer.status < 400, "{path}: {}", answer.status);
            }
        }
    }
}

#[tokio::test]
async fn password_fields_are_masked_and_may_be_filled_by_a_manager() {
    let portal = TestPortal::on_sqlite().await;
    let ada = portal.sign_up("ada@example.com", "Acme").await;
    for (path, token) in [
        ("/register", ""),
        ("/log-in", ""),
        ("/account", ada.token.as_str()),
    ] {
        let page = portal.page(path, token).await.expect(200).text();
        let mut fields = 0;
        for input in page.split("<input").skip(1) {
            let input = input.split('>').next().unwrap();
            if input.contains("password\"") && input.contains("name=") && !input.contains("hidden")
            {
                assert!(input.contains("type=\"password\""), "{path}: {input}");
                assert!(
                    input.contains("-password\"") && !input.contains("onpaste"),
                    "{path}: {input}"
                );
                fields += 1;
            }
        }
        assert!(fields > 0, "{path}");
    }
}

/// Every name of a test function in the workspace.
fn test_names(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", ".git", "node_modules"].contains(&name.as_str()) {
            test_names(&path, names);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for part in text.split("fn ").skip(1) {
                let end = part.find(|c: char| !c.is_alphanumeric() && c != '_');
                names.insert(part[..end.unwrap_or(part.len())].to_owned());
            }
        }
    }
}

#[test]
fn the_table_has_every_requirement_and_names_only_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let table = std::fs::read_to_string(root.join("docs/security/asvs.md")).unwrap();
    let mut names = BTreeSet::new();
    test_names(root, &mut names);
    let mut chapters = std::collections::BTreeMap::new();
    let mut seen = BTreeSet::new();
    for line in table
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
    {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, level, shown] = cells[..] else {
            panic!("{line}")
        };
        assert!(seen.insert(id.to_owned()), "{id} stands twice");
        assert!(matches!(level, "1" | "2"), "{line}");
        assert!(shown.len() > 10, "{id} is shown by nothing");
        *chapters
            .entry(id.split('.').next().unwrap().to_owned())
            .or_insert(0) += 1;
        for name in shown
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| name.matches('_').count() > 2)
        {
            assert!(names.contains(name), "{id}: no test {name}");
        }
    }
    // As OWASP ASVS 5.0 counts its requirements of level 1 and 2.
    let counted: Vec<(String, i32)> = chapters.into_iter().collect();
    let expected = [("16", 16), ("3", 19), ("6", 35), ("7", 18), ("8", 7)]
        .map(|(chapter, count)| (chapter.to_owned(), count));
    assert_eq!(counted, expected);
}
