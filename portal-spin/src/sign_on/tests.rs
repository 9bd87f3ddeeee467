//! Single sign-on through the portal, with a provider in place of the network.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::id_token_tests::{header, jwks, signer, token};
use crate::oauth::test_app::TestApp;
use crate::testing::{Actor, Answer, PASSWORD, TestPortal, on_every_database};

const ISSUER: &str = "https://login.example.com";

/// Puts an answer before those that were prepared already: they are given in the order of the calls.
fn prepare(portal: &TestPortal, answers: &[String]) {
    let mut prepared = portal.http.answers.borrow_mut();
    prepared.clear();
    for answer in answers.iter().rev() {
        prepared.push(http::Response::new(Bytes::from(answer.clone())));
    }
    *portal.http.addresses.borrow_mut() = vec!["93.184.215.14".parse().unwrap()];
}

fn metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://login.example.com/authorize?tenant=1",
        "token_endpoint": "https://login.example.com/token",
        "jwks_uri": "https://login.example.com/keys",
        "authorization_response_iss_parameter_supported": true,
    })
}

/// Ada's organisation with its provider, its domain proved.
async fn with_provider(portal: &TestPortal, is_enforced: bool) -> (Actor, String) {
    let ada = portal.sign_up("ada@acme.example", "Acme").await;
    let path = format!(
        "/api/v1/organisations/{}/identity-provider",
        ada.organisation_id
    );
    let body = json!({ "issuer": ISSUER, "client_id": "client", "client_secret": "secret",
        "domain": "acme.example", "is_enforced": is_enforced, "role": "developer" });
    let made = portal
        .call("PUT", &path, &ada.token, Some(body))
        .await
        .expect(200)
        .json()["identity_provider"]
        .clone();
    assert!(made["domain_verified_at"].is_null());
    prepare(portal, &["something else".to_owned()]);
    portal
        .post(&format!("{path}/domain-checks"), &ada.token, json!({}))
        .await
        .expect(422);
    prepare(
        portal,
        &[format!("{}\n", made["domain_proof"].as_str().unwrap())],
    );
    let proved = portal
        .post(&format!("{path}/domain-checks"), &ada.token, json!({}))
        .await
        .expect(200)
        .json()["identity_provider"]
        .clone();
    assert!(proved["domain_verified_at"].is_string());
    assert_eq!(
        portal.http.requests.borrow().last().unwrap().uri(),
        "https://acme.example/.well-known/portico-domain.txt"
    );
    (ada, path)
}

struct Started {
    binding: String,
    query: BTreeMap<String, String>,
}

async fn start(portal: &TestPortal, email: &str) -> Started {
    start_with(portal, json!({ "email": email })).await
}

async fn start_with(portal: &TestPortal, body: Value) -> Started {
    prepare(portal, &[metadata().to_string()]);
    let started = portal
        .post("/api/v1/sessions/sign-on", "", body)
        .await
        .expect(200)
        .json();
    let url = started["authorization_url"].as_str().unwrap();
    let (endpoint, query) = url.split_once("tenant=1&").unwrap();
    assert_eq!(endpoint, "https://login.example.com/authorize?");
    Started {
        binding: started["binding"].as_str().unwrap().to_owned(),
        query: form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
    }
}

fn claims(portal: &TestPortal, started: &Started, subject: &str, email: &str) -> Value {
    let now = portal.now_ms() / 1000;
    json!({ "iss": ISSUER, "aud": "client", "sub": subject, "nonce": started.query["nonce"],
        "exp": now + 300, "iat": now, "email": email, "email_verified": true, "name": "Some One" })
}

async fn finish(portal: &TestPortal, started: &Started, claims: &Value) -> Answer {
    let id_token = token(&signer(3), &header(), claims);
    prepare(
        portal,
        &[
            json!({ "id_token": id_token }).to_string(),
            jwks(&signer(3)).to_string(),
        ],
    );
    let body = json!({ "state": started.query["state"], "code": "code", "iss": ISSUER, "binding": started.binding });
    portal
        .post("/api/v1/sessions/sign-on/complete", "", body)
        .await
}

/// A browser that was sent to the provider.
struct Left {
    started: Started,
    cookie: String,
    next: String,
}

async fn leave(portal: &TestPortal, fields: &[(&str, &str)]) -> Left {
    prepare(portal, &[metadata().to_string()]);
    let sent = portal
        .submit("/log-in/sign-on", "", fields)
        .await
        .expect(200);
    let page = sent.text();
    let url = page.split("class=\"button\" href=\"").nth(1).unwrap();
    let url = url.split('"').next().unwrap().replace("&#38;", "&");
    assert!(
        url.starts_with("https://login.example.com/authorize"),
        "{url}"
    );
    let query = form_urlencoded::parse(url.split_once('?').unwrap().1.as_bytes());
    Left {
        started: Started {
            binding: String::new(),
            query: query.into_owned().collect(),
        },
        cookie: sent
            .header("set-cookie")
            .split(';')
            .next()
            .unwrap()
            .to_owned(),
        next: fields
            .iter()
            .find(|(name, _)| *name == "next")
            .unwrap()
            .1
            .to_owned(),
    }
}

impl Left {
    /// What the portal answers when the provider sends the browser back, and where to.
    async fn come_back(&self, portal: &TestPortal, subject: &str, email: &str) -> (Answer, String) {
        let claims = claims(portal, &self.started, subject, email);
        let id_token = token(&signer(3), &header(), &claims);
        prepare(
            portal,
            &[
                json!({ "id_token": id_token }).to_string(),
                jwks(&signer(3)).to_string(),
            ],
        );
        let state = &self.started.query["state"];
        let back =
            format!("/log-in/callback?code=c&state={state}&iss=https%3A%2F%2Flogin.example.com");
        let answer = portal
            .request("GET", &back, &[("cookie", &self.cookie)], "")
            .await;
        if answer.status == 303 {
            assert_eq!(answer.header("location"), self.next);
            assert!(session_of(&answer).is_some());
        }
        (answer, back)
    }
}

fn session_of(answer: &Answer) -> Option<String> {
    let cookies = answer.headers.get_all("set-cookie");
    cookies.iter().find_map(|value| {
        let pair = value.to_str().unwrap().split(';').next()?;
        Some(pair.strip_prefix("portico_session=")?.to_owned())
    })
}

on_every_database! {
    async fn a_new_colleague_arrives_through_the_organisations_provider(portal: TestPortal) {
        let (ada, _) = with_provider(&portal, false).await;
        let started = start(&portal, "New@acme.example").await;
        assert_eq!(started.query["code_challenge_method"], "S256");
        let arrived = finish(&portal, &started, &claims(&portal, &started, "s-1", "new@acme.example")).await.expect(201).json();
        assert_eq!(arrived["organisation_id"], ada.organisation_id.as_str());
        assert_eq!(arrived["organisations"][0]["role"], "developer");
        let sent = portal.http.requests.borrow().iter().rev().nth(1).unwrap().clone();
        assert_eq!(sent.uri(), "https://login.example.com/token");
        assert!(sent.headers()["authorization"].to_str().unwrap().starts_with("Basic "));
        let form: BTreeMap<String, String> = form_urlencoded::parse(sent.body()).into_owned().collect();
        use sha2::Digest;
        let challenge = crate::encoding::base64url(&sha2::Sha256::digest(form["code_verifier"].as_bytes()));
        assert_eq!(challenge, started.query["code_challenge"]);
        // The subject stays the same person when its address changes.
        let started = start(&portal, "x@acme.example").await;
        let again = finish(&portal, &started, &claims(&portal, &started, "s-1", "renamed@acme.example")).await.expect(201).json();
        assert_eq!(again["person_id"], arrived["person_id"]);
        let refused = portal.post("/api/v1/sessions", "", json!({ "email": "new@acme.example", "password": "" })).await;
        assert_eq!(refused.expect(401).code(), "wrong_email_or_password");
        let stored: Vec<u8> = portal.context().await.connection
            .query_one("SELECT client_secret FROM identity_providers", vec![]).await.unwrap().get(0).unwrap();
        assert!(!String::from_utf8_lossy(&stored).contains("secret"));
    }

    async fn an_answer_works_once_for_who_began_it_and_from_its_issuer_only(portal: TestPortal) {
        with_provider(&portal, false).await;
        let complete = async |body: Value| portal.post("/api/v1/sessions/sign-on/complete", "", body).await;
        let started = start(&portal, "ada@acme.example").await;
        let with = |state: &str, iss: &str, binding: &str| json!({ "state": state, "code": "code", "iss": iss, "binding": binding });
        let state = started.query["state"].as_str();
        for body in [
            with("unknown", ISSUER, &started.binding),
            with(state, ISSUER, "another browser"),
            with(state, "https://evil.example", &started.binding),
            // Used up by the mix-up above.
            with(state, ISSUER, &started.binding),
        ] {
            assert_eq!(complete(body).await.expect(401).code(), "sign_on_refused");
        }
        let started = start(&portal, "ada@acme.example").await;
        complete(with(&started.query["state"], "", &started.binding)).await.expect(401);
        let started = start(&portal, "ada@acme.example").await;
        let good = claims(&portal, &started, "s-1", "ada@acme.example");
        finish(&portal, &started, &good).await.expect(201);
        finish(&portal, &started, &good).await.expect(401);
        let started = start(&portal, "ada@acme.example").await;
        portal.advance_ms(11 * 60_000);
        finish(&portal, &started, &claims(&portal, &started, "s-1", "ada@acme.example")).await.expect(401);
        let started = start(&portal, "ada@acme.example").await;
        let mut wrong = claims(&portal, &started, "s-1", "ada@acme.example");
        wrong["nonce"] = json!("another");
        finish(&portal, &started, &wrong).await.expect(401);
        let reasons = portal.context().await.connection
            .query("SELECT detail FROM audit_records WHERE action = 'sign_on.refused' ORDER BY position", vec![]).await.unwrap();
        let last: String = reasons.last().unwrap().get(0).unwrap();
        assert!(reasons.len() == 8 && last.contains("another log-in"), "{} {last}", reasons.len());
    }

    async fn a_provider_speaks_for_its_own_domain_and_never_for_the_staff(portal: TestPortal) {
        let (_, path) = with_provider(&portal, false).await;
        let staff = portal.sign_up("boss@acme.example", "Operator").await;
        portal.make_operator(&staff, "administrator").await;
        for (email, subject) in [("eve@other.example", "s-2"), ("boss@acme.example", "s-3")] {
            let started = start(&portal, "x@acme.example").await;
            finish(&portal, &started, &claims(&portal, &started, subject, email)).await.expect(401);
        }
        let started = start(&portal, "x@acme.example").await;
        let mut unverified = claims(&portal, &started, "s-4", "ada@acme.example");
        unverified["email_verified"] = json!(false);
        finish(&portal, &started, &unverified).await.expect(401);
        // Nobody else can claim the domain, and a change of it has to be proved.
        let eve = portal.sign_up("eve@example.com", "Eves").await;
        let own = format!("/api/v1/organisations/{}/identity-provider", eve.organisation_id);
        let body = json!({ "issuer": ISSUER, "client_id": "c", "client_secret": "s", "domain": "acme.example" });
        let made = portal.call("PUT", &own, &eve.token, Some(body)).await.expect(200).json()["identity_provider"].clone();
        prepare(&portal, &[made["domain_proof"].as_str().unwrap().to_owned()]);
        assert_eq!(portal.post(&format!("{own}/domain-checks"), &eve.token, json!({})).await.expect(409).code(), "domain_taken");
        let ada = portal.log_in("ada@acme.example", PASSWORD).await;
        let body = json!({ "issuer": ISSUER, "client_id": "client", "domain": "other.example" });
        let changed = portal.call("PUT", &path, &ada, Some(body)).await.expect(200).json()["identity_provider"].clone();
        assert!(changed["domain_verified_at"].is_null());
        portal.post("/api/v1/sessions/sign-on", "", json!({ "email": "x@other.example" })).await.expect(422);
    }

    async fn an_enforced_provider_leaves_the_password_to_owners(portal: TestPortal) {
        let (ada, path) = with_provider(&portal, true).await;
        let bob = portal.sign_up("bob@acme.example", "Bobs").await;
        let guest = portal.sign_up("guest@elsewhere.example", "Guests").await;
        portal.join(&ada, &bob, "reader").await;
        portal.join(&ada, &guest, "reader").await;
        let log_in = async |email: &str, password: &str| {
            portal.post("/api/v1/sessions", "", json!({ "email": email, "password": password })).await
        };
        assert_eq!(log_in("bob@acme.example", PASSWORD).await.expect(403).code(), "sign_on_required");
        log_in("bob@acme.example", "a wrong password").await.expect(401);
        log_in("ada@acme.example", PASSWORD).await.expect(201);
        log_in("guest@elsewhere.example", PASSWORD).await.expect(201);
        portal.call("DELETE", &path, &bob.token, None).await.expect(403);
        portal.call("DELETE", &path, &ada.token, None).await.expect(204);
        log_in("bob@acme.example", PASSWORD).await.expect(201);
    }

    async fn addresses_inside_the_operators_networks_are_never_asked(portal: TestPortal) {
        let ada = portal.sign_up("ada@acme.example", "Acme").await;
        let path = format!("/api/v1/organisations/{}/identity-provider", ada.organisation_id);
        for (field, issuer, domain) in [
            ("issuer", "https://10.0.0.1", "acme.example"),
            ("issuer", "http://login.example.com", "acme.example"),
            ("issuer", "file:///etc/passwd", "acme.example"),
            ("domain", ISSUER, "127.0.0.1"),
            ("domain", ISSUER, "acme.example/x"),
            ("domain", ISSUER, "localhost"),
        ] {
            let body = json!({ "issuer": issuer, "client_id": "c", "client_secret": "s", "domain": domain });
            let refused = portal.call("PUT", &path, &ada.token, Some(body)).await.expect(422).json();
            assert_eq!(refused["errors"][0]["field"], field, "{issuer} {domain}");
        }
        let body = json!({ "issuer": ISSUER, "client_id": "c", "client_secret": "s", "domain": "acme.example" });
        portal.call("PUT", &path, &ada.token, Some(body)).await.expect(200);
        prepare(&portal, &["anything".to_owned()]);
        *portal.http.addresses.borrow_mut() = vec!["10.0.0.7".parse().unwrap()];
        let asked = portal.http.requests.borrow().len();
        portal.post(&format!("{path}/domain-checks"), &ada.token, json!({})).await.expect(422);
        assert_eq!(portal.http.requests.borrow().len(), asked, "no request went out");
    }

    async fn the_pages_lead_to_the_provider_and_back(portal: TestPortal) {
        let (ada, _) = with_provider(&portal, false).await;
        let own = format!("/organisations/{}/sign-on", ada.organisation_id);
        assert!(portal.page(&own, &ada.token).await.expect(200).text().contains("proved"));
        portal.page("/log-in/sign-on", "").await.expect(200);
        portal.submit("/log-in/sign-on", "", &[("email", "x@nowhere.example")]).await.expect(422);
        let left = leave(&portal, &[("email", "ada@acme.example"), ("next", "/account")]).await;
        let (answer, back) = left.come_back(&portal, "s-1", "ada@acme.example").await;
        answer.expect(303);
        portal.request("GET", &back, &[("cookie", &left.cookie)], "").await.expect(401);
    }
}

#[tokio::test]
async fn the_operators_staff_log_in_through_the_issuer_of_the_settings() {
    let settings = [
        ("staff_issuer", ISSUER),
        ("staff_client_id", "client"),
        ("staff_client_secret", "secret"),
        ("staff_sign_on", "required"),
    ];
    let portal = TestPortal::with(crate::testing::TestDatabase::sqlite(), &settings).await;
    let staff = portal
        .sign_up("reviewer@operator.example", "Operator")
        .await;
    portal.make_operator(&staff, "reviewer").await;
    let body = json!({ "email": "reviewer@operator.example", "password": PASSWORD });
    let refused = portal.post("/api/v1/sessions", "", body).await.expect(403);
    assert_eq!(refused.code(), "sign_on_required");
    let started = start(&portal, "").await;
    let claims = claims(&portal, &started, "s-9", "reviewer@operator.example");
    let arrived = finish(&portal, &started, &claims).await.expect(201).json();
    assert_eq!(arrived["person_id"], staff.person_id.as_str());
    let token = arrived["session_token"].as_str().unwrap();
    portal
        .get("/api/v1/operator/staff", token)
        .await
        .expect(200);
    portal.sign_up("partner@example.com", "Partner").await;
    portal.log_in("partner@example.com", PASSWORD).await;
}

fn with_customers() -> [(&'static str, &'static str); 6] {
    [
        ("customer_issuer", ISSUER),
        ("customer_client_id", "client"),
        ("customer_client_secret", "secret"),
        ("customer_sign_on", "required"),
        ("staff_issuer", ISSUER),
        ("staff_client_id", "client"),
    ]
}

#[tokio::test]
async fn a_customer_installs_an_app_with_the_account_they_have_at_the_operator() {
    let database = crate::testing::TestDatabase::sqlite();
    let portal = TestPortal::with(database, &with_customers()).await;
    let app = TestApp::start(&portal, "live").await;
    let body = json!({ "customers": ["cleo@shop.example"] });
    let listing = format!("{}/listing", app.path);
    portal
        .call("PATCH", &listing, &app.owner, Some(body))
        .await
        .expect(200);
    let query: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(app.request())
        .finish();
    let wanted = format!("/oauth/authorize?{query}");
    // Not logged in: the log-in page offers the operator's provider first.
    let sent = portal.request("GET", &wanted, &[], "").await.expect(303);
    let page = portal
        .request("GET", sent.header("location"), &[], "")
        .await
        .expect(200);
    assert!(page.text().contains("name=\"customer\""));
    let other = portal.request("GET", "/log-in", &[], "").await.expect(200);
    assert!(!other.text().contains("name=\"customer\""));
    let left = leave(&portal, &[("customer", "yes"), ("next", &wanted)]).await;
    let (arrived, _) = left.come_back(&portal, "c-1", "Cleo@shop.example").await;
    let session = session_of(&arrived.expect(303)).unwrap();
    let account = portal
        .get("/api/v1/account", &session)
        .await
        .expect(200)
        .json();
    assert_eq!(account["email"], "cleo@shop.example");
    portal.page(&wanted, &session).await.expect(200);
    let code = app.code(&portal, &session).await;
    app.redeem(&portal, &code).await.expect(200);
    let list = portal
        .get("/api/v1/installations", &session)
        .await
        .expect(200);
    assert_eq!(list.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_customers_provider_lets_nobody_in_who_is_more_than_a_customer() {
    let database = crate::testing::TestDatabase::sqlite();
    let portal = TestPortal::with(database, &with_customers()).await;
    portal.post("/dev/seed", "", json!({})).await.expect(200);
    let staff = portal.sign_up("boss@operator.example", "Operator").await;
    portal.make_operator(&staff, "administrator").await;
    let as_customer = json!({ "is_customer": true });
    for (subject, email) in [
        ("c-1", "boss@operator.example"),
        ("c-2", "partner@acme.example"),
    ] {
        let started = start_with(&portal, as_customer.clone()).await;
        let refused = finish(
            &portal,
            &started,
            &claims(&portal, &started, subject, email),
        )
        .await
        .expect(401);
        assert!(refused.text().contains("partner or to the staff"));
    }
    // The same issuer and subject speaks for staff where it is asked to.
    let started = start(&portal, "").await;
    let boss = claims(&portal, &started, "c-1", "boss@operator.example");
    finish(&portal, &started, &boss).await.expect(201);
    let started = start_with(&portal, as_customer.clone()).await;
    let boss = claims(&portal, &started, "c-1", "boss@operator.example");
    finish(&portal, &started, &boss).await.expect(401);
    // A customer who joins a partner is no mere customer any more.
    let started = start_with(&portal, as_customer.clone()).await;
    let cleo = claims(&portal, &started, "c-3", "cleo@shop.example");
    let arrived = finish(&portal, &started, &cleo).await.expect(201).json();
    let context = portal.context().await;
    crate::organisations::store::insert_member(
        &context,
        staff.organisation_id.parse().unwrap(),
        arrived["person_id"].as_str().unwrap().parse().unwrap(),
        crate::organisations::MemberRole::Reader,
    )
    .await
    .unwrap();
    let started = start_with(&portal, as_customer).await;
    let cleo = claims(&portal, &started, "c-3", "cleo@shop.example");
    finish(&portal, &started, &cleo).await.expect(401);
    // Mere customers have no other way in; partners keep theirs.
    let log_in = async |email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        portal.post("/api/v1/sessions", "", body).await
    };
    let customer = log_in("customer@shop.example", "demo customer, not for production");
    assert_eq!(customer.await.expect(403).code(), "sign_on_required");
    log_in("partner@acme.example", "demo partner, not for production")
        .await
        .expect(201);
}
