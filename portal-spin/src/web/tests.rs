use serde_json::json;

use crate::routes::{Found, find};
use crate::testing::{PASSWORD, TestDatabase, TestPortal, on_every_database};

#[test]
fn a_literal_segment_wins_over_a_parameter_and_segments_are_decoded() {
    let found = |path: &str| match find(&http::Method::GET, path) {
        Found::Route(route, path) => Some((route.operation_id, path)),
        _ => None,
    };
    assert_eq!(
        found("/help/a%5Fb"),
        Some(("show_help", vec![("code", "a_b".to_owned())]))
    );
    assert_eq!(found("/help/"), None);
    assert_eq!(found("/help/a/b"), None);
    assert!(
        matches!(find(&http::Method::DELETE, "/healthz"), Found::OtherMethods(allowed) if allowed == [http::Method::GET])
    );
}

#[test]
fn the_openapi_document_is_frozen() {
    insta::assert_json_snapshot!("openapi", super::openapi::document());
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_its_length() {
    let settings = [
        ("public_url", "https://partners.example.com"),
        ("environment", "production"),
    ];
    let portal = TestPortal::with(TestDatabase::sqlite(), &settings).await;
    for path in [
        "/",
        "/nowhere",
        "/api/v1/account",
        "/api/openapi.json",
        "/healthz",
        "/log-in",
    ] {
        let answer = portal.page(path, "").await;
        let csp = answer.header("content-security-policy");
        assert!(
            csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert!(!csp.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(
            answer.header("cross-origin-opener-policy"),
            "same-origin",
            "{path}"
        );
        assert!(
            answer
                .header("strict-transport-security")
                .contains("max-age=63072000"),
            "{path}"
        );
        assert_eq!(
            answer.header("content-length"),
            answer.body.len().to_string(),
            "{path}"
        );
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn no_page_has_inline_script_or_style_or_loads_from_elsewhere() {
    let portal = TestPortal::on_sqlite().await;
    let ada = portal
        .sign_up("ada@example.com", "Acme & <b>Sons</b>")
        .await;
    let base = format!("/organisations/{}", ada.organisation_id);
    let pages = [
        ("/register", ""),
        ("/log-in", ""),
        ("/reset-password", ""),
        ("/check-your-mail?email=%3Cb%3E", ""),
        ("/account", ada.token.as_str()),
        ("/organisations?all=1", &ada.token),
        (&base, &ada.token),
        (&format!("{base}/members"), &ada.token),
        (&format!("{base}/agreements"), &ada.token),
        ("/help/rate_limited", ""),
        ("/help/invalid_fields", ""),
    ];
    for (path, token) in pages {
        let html = portal.page(path, token).await.expect(200).text();
        assert!(html.starts_with("<!doctype html>"), "{path}");
        assert!(!html.contains("<b>"), "{path} shows markup from a value");
        assert!(
            !html.contains(" style=") && !html.contains("<style") && !html.contains("javascript:"),
            "{path}"
        );
        for (index, _) in html.match_indices("<script") {
            assert!(
                html[index..].starts_with("<script src=\"/assets/"),
                "{path}"
            );
        }
        assert_eq!(html.matches("<h1>").count(), 1, "{path}");
        for (index, _) in html.match_indices("<input") {
            let tag = &html[index..index + html[index..].find('>').unwrap()];
            let is_labelled = tag.contains("type=\"hidden\"")
                || tag
                    .split("id=\"")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next())
                    .is_some_and(|id| html.contains(&format!("for=\"{id}\"")));
            assert!(is_labelled, "{path}: {tag}");
        }
    }
}

#[tokio::test]
async fn assets_are_kept_for_a_year_under_the_name_of_their_content() {
    let portal = TestPortal::on_sqlite().await;
    let home = portal.page("/", "").await.expect(200).text();
    for kind in ["css", "js"] {
        let start = home.find("/assets/portal.").map(|_| ()).and_then(|()| {
            home.match_indices("/assets/")
                .map(|(index, _)| &home[index..])
                .find(|rest| {
                    rest.split('"')
                        .next()
                        .is_some_and(|path| path.ends_with(kind))
                })
        });
        let path = start.unwrap().split('"').next().unwrap();
        let asset = portal.page(path, "").await.expect(200);
        assert!(asset.header("cache-control").contains("immutable"));
    }
    portal
        .page("/assets/portal.0000000000000000.css", "")
        .await
        .expect(404);
}

#[tokio::test]
async fn a_browser_signs_up_in_four_screens_and_comes_back() {
    let portal = TestPortal::on_sqlite().await;
    let fields = [
        ("email", "ada@example.com"),
        ("organisation_name", "Acme"),
        ("password", "short"),
    ];
    let again = portal
        .submit("/register", "", &fields)
        .await
        .expect(422)
        .text();
    assert!(again.contains("At least 8 characters") || again.contains("at least 8 characters"));
    assert!(again.contains("value=\"ada@example.com\"") && again.contains("value=\"Acme\""));
    assert!(!again.contains("short"), "a password is never shown again");
    let fields = [
        ("email", "ada@example.com"),
        ("organisation_name", "Acme"),
        ("password", PASSWORD),
    ];
    let sent = portal.submit("/register", "", &fields).await.expect(303);
    let code = portal.newest_email("ada@example.com").await["code"]
        .as_str()
        .unwrap()
        .to_owned();
    let page = portal
        .page(sent.header("location"), "")
        .await
        .expect(200)
        .text();
    assert!(page.contains("ada@example.com"));
    portal
        .submit(
            "/verify",
            "",
            &[("email", "ada@example.com"), ("code", "12")],
        )
        .await
        .expect(422);
    let done = portal
        .submit(
            "/verify",
            "",
            &[("email", "ada@example.com"), ("code", &code)],
        )
        .await
        .expect(303);
    let cookie = done.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let token = cookie.split(['=', ';']).nth(1).unwrap();
    let home = portal
        .page(done.header("location"), token)
        .await
        .expect(200)
        .text();
    assert!(home.contains("<h1>Acme</h1>") && home.contains("Your address is verified"));
    portal.submit("/log-out", token, &[]).await.expect(303);
    let path = done
        .header("location")
        .split('?')
        .next()
        .unwrap()
        .to_owned();
    let away = portal.page(&path, token).await.expect(303);
    assert!(
        away.header("location")
            .starts_with("/log-in?next=%2Forganisations%2F")
    );
    let fields = [
        ("email", "ada@example.com"),
        ("password", PASSWORD),
        ("next", path.as_str()),
    ];
    let back = portal.submit("/log-in", "", &fields).await.expect(303);
    assert_eq!(back.header("location"), path);
}

#[tokio::test]
async fn over_https_the_cookie_is_bound_to_the_host() {
    let portal = TestPortal::on_sqlite().await;
    portal.sign_up("ada@example.com", "Acme").await;
    let portal = portal
        .another_instance(&[("public_url", "https://portal.test")])
        .await;
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "https://portal.test"),
    ];
    let body = format!(
        "email=ada%40example.com&password={}",
        PASSWORD.replace(' ', "+")
    );
    let answer = portal
        .request("POST", "/log-in", &headers, &body)
        .await
        .expect(303);
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-portico_session=") && cookie.contains("; Secure"),
        "{cookie}"
    );
}

#[tokio::test]
async fn an_etag_spares_the_second_answer() {
    let portal = TestPortal::on_sqlite().await;
    let first = portal.page("/api/openapi.json", "").await.expect(200);
    let headers = [("if-none-match", first.header("etag"))];
    let second = portal
        .request("GET", "/api/openapi.json", &headers, "")
        .await
        .expect(304);
    assert!(second.body.is_empty());
}

on_every_database! {
    async fn a_text_that_no_database_holds_is_refused_and_not_a_fault_of_ours(portal: TestPortal) {
        let actor = portal.sign_up("ada@partner.example", "Meridian").await;
        for path in ["/products/%00", "/api/v1/directory/%00", "/api/v1/agreements?q=%00"] {
            let answer = portal.get(path, &actor.token).await;
            assert!((400..500).contains(&answer.status) || answer.status == 200, "{path}: {}", answer.status);
        }
        let path = format!("/api/v1/organisations/{}/apps", actor.organisation_id);
        let answer = portal.post(&path, &actor.token, json!({ "name": "a\u{0}b" })).await;
        assert_eq!(answer.status, 422);
    }
}

#[tokio::test]
async fn nobody_is_logged_in_by_a_form_of_another_site() {
    let portal = TestPortal::on_sqlite().await;
    let actor = portal.sign_up("ada@partner.example", "Meridian").await;
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("email", &actor.email)
        .append_pair("password", PASSWORD)
        .finish();
    let form = ("content-type", "application/x-www-form-urlencoded");
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://elsewhere.example"),
    ] {
        let answer = portal
            .request("POST", "/log-in", &[form, foreign], &body)
            .await;
        assert_eq!(answer.expect(403).header("set-cookie"), "");
    }
    let own = ("origin", "http://portal.test");
    portal
        .request("POST", "/log-in", &[form, own], &body)
        .await
        .expect(303);
    portal
        .request("POST", "/log-in", &[form], &body)
        .await
        .expect(303);
}

#[test]
fn only_paths_of_the_portal_are_its_own() {
    use super::response::is_own_path;
    assert!(is_own_path("/apps/app_1?tab=keys#top"));
    for elsewhere in [
        "",
        "apps",
        "https://a.example",
        "//a.example",
        "/\\a.example",
        "\\\\a.example",
        "/\t/a.example",
        "/\n/a.example",
        "/\r\n/a.example",
        "\t//a.example",
        "/\0/a.example",
        "/caf\u{e9}",
    ] {
        assert!(!is_own_path(elsewhere), "{elsewhere:?}");
    }
}

#[tokio::test]
async fn a_change_can_be_bound_to_what_was_read() {
    let portal = TestPortal::on_sqlite().await;
    let actor = portal.sign_up("ada@partner.example", "Meridian").await;
    let app = portal
        .post(
            &format!("/api/v1/organisations/{}/apps", actor.organisation_id),
            &actor.token,
            json!({ "name": "Shop" }),
        )
        .await
        .expect(201)
        .json();
    let path = format!("/api/v1/apps/{}", app["id"].as_str().unwrap());
    let seen = portal.get(&path, &actor.token).await.expect(200);
    let tag = seen.header("etag").to_owned();
    let bearer = format!("Bearer {}", actor.token);
    let rename = async |tag: &str, name: &str| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("if-match", tag),
        ];
        let body = json!({ "name": name }).to_string();
        portal.request("PATCH", &path, &headers, &body).await
    };
    rename(&tag, "Shop 2").await.expect(200);
    let late = rename(&tag, "Shop 3").await.expect(412);
    assert_eq!(late.code(), "changed_meanwhile");
    let now = portal.get(&path, &actor.token).await.expect(200);
    assert_eq!(now.json()["name"], "Shop 2");
    let either = format!("\"other\", {}", now.header("etag"));
    rename(&either, "Shop 3").await.expect(200);
    rename("*", "Shop 4").await.expect(200);
    // A weak tag never matches here.
    rename(&format!("W/{}", now.header("etag")), "Shop 5")
        .await
        .expect(412);
}

#[tokio::test]
async fn an_error_is_a_problem_for_programs_and_a_page_for_people() {
    let portal = TestPortal::on_sqlite().await;
    let headers = [("x-request-id", "from-the-client-1")];
    let problem = portal
        .request("GET", "/api/v1/nowhere", &headers, "")
        .await
        .expect(404);
    assert_eq!(problem.header("content-type"), "application/problem+json");
    let body = problem.json();
    assert_eq!(body["code"], "not_found");
    assert_eq!(body["request_id"], "from-the-client-1");
    assert_eq!(body["help"], "http://portal.test/help/not_found");
    let page = portal.page("/nowhere", "").await.expect(404);
    assert!(page.header("content-type").starts_with("text/html"));
}
