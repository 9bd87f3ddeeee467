//! Every page in every language: nothing of the marks is left, nothing of the words is missed.

use std::collections::{BTreeSet, VecDeque};

use serde_json::json;

use super::{TRANSLATIONS, all, missed};
use crate::testing::{PASSWORD, TestPortal, on_every_database};

const GERMAN: (&str, &str) = ("accept-language", "de-AT, de;q=0.9, en;q=0.5");

fn has_marks(text: &str) -> bool {
    text.chars().any(|c| ('\u{E000}'..='\u{F8FF}').contains(&c))
}

/// The pages that a page leads to.
fn links(page: &str) -> Vec<String> {
    let hrefs = page
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    hrefs
        .filter(|href| {
            href.starts_with('/') && !href.starts_with("/assets/") && !href.starts_with("/api/")
        })
        .map(|href| {
            href.split('#')
                .next()
                .unwrap()
                .replace("&#38;", "&")
                .replace("&amp;", "&")
        })
        .collect()
}

/// Every page that can be reached by links, at most some of each kind.
async fn walk(portal: &TestPortal, token: &str, language: &str) -> Vec<(String, String)> {
    let cookie = format!("portico_session={token}");
    let headers = [("cookie", cookie.as_str()), ("accept-language", language)];
    let mut waiting = VecDeque::from(
        [
            "/",
            "/register",
            "/log-in",
            "/reset-password",
            "/account",
            "/operator",
            "/organisations",
            "/help/not_found",
            "/nothing",
        ]
        .map(String::from),
    );
    let (mut seen, mut kinds, mut pages) = (
        BTreeSet::new(),
        std::collections::BTreeMap::new(),
        Vec::new(),
    );
    while let Some(path) = waiting.pop_front() {
        // Two of a kind are enough: the same path but for ids and the query.
        let plain = path.split('?').next().unwrap();
        let kind: String = plain
            .split('/')
            .map(|part| if part.contains('_') { "/…" } else { part })
            .collect();
        let count = kinds.entry(kind).or_insert(0);
        *count += 1;
        if *count > 3 || !seen.insert(path.clone()) {
            continue;
        }
        let answer = portal.request("GET", &path, &headers, "").await;
        assert!(answer.status < 500, "{path}: {}", answer.text());
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!has_marks(&text), "{path}: {text}");
        if answer.header("content-type").starts_with("text/html") {
            waiting.extend(links(&text));
            pages.push((path, text));
        }
    }
    pages
}

async fn log_ins(portal: &TestPortal) -> Vec<String> {
    let seed = portal
        .post("/dev/seed", "", json!({}))
        .await
        .expect(200)
        .json();
    let mut tokens = vec![String::new()];
    for who in ["partner", "operator"] {
        let text = |member: &str| seed[who][member].as_str().unwrap().to_owned();
        tokens.push(portal.log_in(&text("email"), &text("password")).await);
    }
    tokens
}

#[tokio::test]
async fn no_page_in_any_language_keeps_a_mark() {
    let portal = TestPortal::on_sqlite().await;
    let tokens = log_ins(&portal).await;
    for language in all() {
        let mut pages = 0;
        for token in &tokens {
            let walked = walk(&portal, token, language.tag).await;
            let start = format!("<html lang=\"{}\"", language.tag);
            for (path, text) in &walked {
                assert!(
                    text.contains(&start) || !text.contains("<html"),
                    "{path}: {text}"
                );
            }
            pages += walked.len();
        }
        assert!(pages > 60, "{pages} pages in {}", language.tag);
    }
}

/// What reads the same in every language: names that somebody gave, words of JSON and of JSON Schema,
/// variables of mails. Pages ask for some of them where words of the program may stand as well.
fn is_for_everyone(text: &str) -> bool {
    const NAMES: &[&str] = &["Acme Integrations", "Free", "Starter", "Scale", "standard"];
    const BEGINNINGS: &[&str] = &[
        "Meridian Commerce",
        "string",
        "integer",
        "number",
        "boolean",
        "array",
        "{",
    ];
    const CAPTIONS: &str = "The same numbers stand in the table below.";
    NAMES.contains(&text)
        || BEGINNINGS
            .iter()
            .any(|beginning| text.starts_with(beginning))
        || text.ends_with(CAPTIONS)
        || text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

/// A catalogue that says that it is complete has every text that pages ask for.
#[tokio::test]
async fn no_page_asks_for_a_text_that_no_catalogue_has() {
    let portal = TestPortal::on_sqlite().await;
    let tokens = log_ins(&portal).await;
    for language in TRANSLATIONS {
        missed::take();
        for token in &tokens {
            walk(&portal, token, language.tag).await;
        }
        // Times and amounts are the same in every language.
        let missed: Vec<String> = missed::take()
            .into_iter()
            .filter(|text| !text.starts_with(|c: char| c.is_ascii_digit()) && !text.is_empty())
            .filter(|text| !is_for_everyone(text))
            .collect();
        if language.is_complete {
            assert!(missed.is_empty(), "{} lacks {missed:#?}", language.tag);
        } else {
            println!("{} lacks {missed:#?}", language.tag);
        }
    }
}

on_every_database! {
    async fn a_visitor_reads_what_the_browser_asks_for_until_they_choose(portal: TestPortal) {
        let page = portal.request("GET", "/log-in", &[GERMAN], "").await.expect(200);
        assert!(page.text().contains("<html lang=\"de\"") && page.text().contains("Anmelden"), "{}", page.text());
        assert_eq!((page.header("content-language"), page.header("vary")), ("de", "accept-language, cookie"));
        let page = portal.request("GET", "/log-in", &[("accept-language", "it")], "").await.expect(200);
        assert!(page.text().contains("<html lang=\"en\"") && page.text().contains("Log in"));
        let answer = portal.submit("/language", "", &[("language", "fr"), ("back", "/log-in?next=%2F")]).await.expect(303);
        assert_eq!(answer.header("location"), "/log-in?next=%2F");
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let page = portal.request("GET", "/log-in", &[GERMAN, ("cookie", &cookie)], "").await.expect(200);
        assert!(page.text().contains("<html lang=\"fr\""));
        for elsewhere in ["//evil.example", "https://evil.example", "/\\evil.example"] {
            let answer = portal.submit("/language", "", &[("language", "fr"), ("back", elsewhere)]).await.expect(303);
            assert_eq!(answer.header("location"), "/");
        }
        portal.submit("/language", "", &[("language", "xx")]).await.expect(422);
    }

    async fn a_person_keeps_their_language_on_every_device(portal: TestPortal) {
        let ada = portal.sign_up("ada@acme.example", "Active").await;
        assert_eq!(portal.get("/api/v1/account", &ada.token).await.expect(200).json()["language"], "");
        portal.call("PUT", "/api/v1/account/language", &ada.token, Some(json!({ "language": "de" }))).await.expect(204);
        assert_eq!(portal.get("/api/v1/account", &ada.token).await.expect(200).json()["language"], "de");
        let token = portal.log_in(&ada.email, PASSWORD).await;
        let page = portal.page(&format!("/organisations/{}/apps", ada.organisation_id), &token).await.expect(200);
        // What a partner named stays as it is.
        assert!(page.text().contains("<html lang=\"de\"") && page.text().contains(">Active<"), "{}", page.text());
        portal.call("PUT", "/api/v1/account/language", &ada.token, Some(json!({ "language": "tlh" }))).await.expect(422);
        let there_are = portal.get("/api/v1/languages", "").await.expect(200).json();
        assert_eq!(there_are["items"][0], json!({ "language": "en", "name": "English" }));
        assert_eq!(there_are["items"].as_array().unwrap().len(), all().count());
    }

    async fn errors_and_mails_are_in_the_language_of_who_reads_them(portal: TestPortal) {
        let body = json!({ "email": "no address", "name": "x", "password": "short", "organisation_name": "" }).to_string();
        let json = [("content-type", "application/json"), GERMAN];
        let failure = portal.request("POST", "/api/v1/sessions", &json, "{").await.expect(422);
        assert_eq!((failure.json()["code"].as_str(), failure.header("content-language")), (Some("malformed_json"), "de"));
        let failure = portal.request("GET", "/api/v1/nothing", &[GERMAN], "").await.expect(404).json();
        assert_eq!(failure["detail"], "Unter dieser Adresse ist nichts, oder es gehört einer anderen Organisation.");
        assert_eq!((failure["code"].as_str(), failure["title"].as_str()), (Some("not_found"), Some("Nicht gefunden")));
        portal.request("POST", "/api/v1/registrations", &json, &body).await.expect(422);
        let body = json!({ "email": "eva@acme.example", "name": "Eva", "password": PASSWORD, "organisation_name": "Acme" }).to_string();
        portal.request("POST", "/api/v1/registrations", &json, &body).await.expect(202);
        let mail = portal.newest_email("eva@acme.example").await;
        assert!(mail["subject"].as_str().unwrap().contains("ist Ihr Code"), "{mail}");
        assert!(mail["html"].as_str().unwrap().contains("<html lang=\"de\""));
        assert!(!has_marks(&mail.to_string()));
    }
}

#[test]
fn a_page_is_put_into_another_language_in_little_time() {
    let row = "<tr><td>\u{E000}A name\u{E002}</td><td><span class=\"badge\">\u{E001}active\u{E002}</span></td><td>Nothing <a href=\"/x/\u{E000}id\u{E002}\">is known</a> of it.</td></tr>\n";
    let page = format!(
        "<html lang=\"en\"><table>{}</table></html>",
        row.repeat(40_000 / row.len())
    );
    let language = TRANSLATIONS.first().unwrap();
    let start = std::time::Instant::now();
    for _ in 0..20 {
        assert!(super::translate(&page, language).contains("A name"));
    }
    let each = start.elapsed() / 20;
    println!("a page of {} bytes: {each:?}", page.len());
    // Without optimisation; built for use it is a tenth of it.
    assert!(each.as_millis() < 100, "{each:?}");
}
