//! A portal that answers requests in memory.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use serde_json::Value as Json;

use super::crash::{CrashingDatabase, Remaining};
use super::ports::{TestClock, TestDatabase, TestHttp, TestRandomness, TestSettings};
use crate::app::{App, Ports};
use crate::context::{Caller, Context};
use crate::ports::Engine;
use crate::routes::ROUTES;

/// 2026-01-01T00:00:00Z, when every test begins.
pub const START_MS: i64 = 1_767_225_600_000;

/// A portal on a database of its own.
pub struct TestPortal {
    pub app: Rc<App>,
    pub database: TestDatabase,
    pub http: TestHttp,
    clock: Rc<Cell<i64>>,
    randomness: TestRandomness,
}

/// Someone with an organisation and a session.
#[derive(Debug, Clone)]
pub struct Actor {
    pub email: String,
    pub token: String,
    pub organisation_id: String,
    pub person_id: String,
}

/// The password of everyone that [`TestPortal::sign_up`] registers.
pub const PASSWORD: &str = "correct horse battery";

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// JSON, or null where the answer has no body.
    pub fn json_or_null(&self) -> Json {
        if self.body.is_empty() {
            return Json::Null;
        }
        self.json()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The `code` of a problem body.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Fails the test unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl TestPortal {
    pub async fn on_sqlite() -> Self {
        Self::with(TestDatabase::sqlite(), &[]).await
    }

    pub async fn on_postgres() -> Self {
        Self::with(TestDatabase::postgres().await, &[]).await
    }

    /// A portal on this database, in development, with more settings.
    pub async fn with(database: TestDatabase, settings: &[(&'static str, &str)]) -> Self {
        let mut all = TestSettings::default();
        all.0.insert("environment", "development".to_owned());
        all.0.insert("public_url", "http://portal.test".to_owned());
        for (name, value) in settings {
            all.0.insert(name, (*value).to_owned());
        }
        let clock = Rc::new(Cell::new(START_MS));
        let http = TestHttp::default();
        let randomness = TestRandomness::default();
        let ports = Ports {
            database: Box::new(database.clone()),
            clock: Box::new(TestClock(Rc::clone(&clock))),
            randomness: Box::new(randomness.clone()),
            http: Box::new(http.clone()),
        };
        let app = App::new(ports, &all).await;
        Self {
            app,
            database,
            http,
            clock,
            randomness,
        }
    }

    /// A second instance of the portal on the same database, with other settings.
    pub async fn another_instance(&self, settings: &[(&'static str, &str)]) -> Self {
        let mut other = Self::with(self.database.clone(), settings).await;
        other.clock.set(self.clock.get());
        // The same numbers again would be the same ids again.
        let ports = Ports {
            database: Box::new(self.database.clone()),
            clock: Box::new(TestClock(Rc::clone(&other.clock))),
            randomness: Box::new(self.randomness.clone()),
            http: Box::new(other.http.clone()),
        };
        let mut all = TestSettings::default();
        for (name, value) in settings {
            all.0.insert(name, (*value).to_owned());
        }
        other.app = App::new(ports, &all).await;
        other.randomness = self.randomness.clone();
        other
    }

    /// An instance whose connections come from elsewhere: a port that fails on the way.
    pub async fn app_on(&self, database: Box<dyn crate::ports::Database>) -> Rc<App> {
        let mut all = TestSettings::default();
        all.0.insert("environment", "development".to_owned());
        all.0.insert("public_url", "http://portal.test".to_owned());
        let ports = Ports {
            database,
            clock: Box::new(TestClock(Rc::clone(&self.clock))),
            randomness: Box::new(self.randomness.clone()),
            http: Box::new(self.http.clone()),
        };
        App::new(ports, &all).await
    }

    /// A portal on a database that another thread's test owns, at this time.
    pub async fn on_lent(address: super::ports::Address, now_ms: i64, seed: u64) -> Self {
        let mut portal = Self::with(TestDatabase::lent(address), &[]).await;
        portal.clock.set(now_ms);
        portal.randomness = TestRandomness::from_number(seed);
        portal.app = {
            let ports = Ports {
                database: Box::new(portal.database.clone()),
                clock: Box::new(TestClock(Rc::clone(&portal.clock))),
                randomness: Box::new(portal.randomness.clone()),
                http: Box::new(portal.http.clone()),
            };
            let mut all = TestSettings::default();
            all.0.insert("environment", "development".to_owned());
            App::new(ports, &all).await
        };
        portal
    }

    /// An instance on the same database that is killed after so many more statements. What it counts
    /// down is answered beside it.
    pub async fn killed_after(&self, statements: i64) -> (Self, Remaining) {
        let remaining = Remaining::new(Cell::new(i64::MAX));
        let database = CrashingDatabase {
            inner: self.database.clone(),
            remaining: Remaining::clone(&remaining),
        };
        let app = self.app_on(Box::new(database)).await;
        // The schema is looked at once per instance; that is not what is interrupted.
        drop(app.connect().await.unwrap());
        remaining.set(statements);
        let killed = Self {
            app,
            database: self.database.clone(),
            http: self.http.clone(),
            clock: Rc::clone(&self.clock),
            randomness: self.randomness.clone(),
        };
        (killed, remaining)
    }

    pub fn engine(&self) -> Engine {
        self.app.database.engine()
    }

    /// Lets time pass.
    pub fn advance_ms(&self, ms: i64) {
        self.clock.set(self.clock.get() + ms);
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.get()
    }

    /// A context for calling domain functions directly, by nobody.
    pub async fn context(&self) -> Context {
        self.context_of(&self.app).await
    }

    /// As [`TestPortal::context`], of another instance.
    pub async fn context_of(&self, app: &Rc<App>) -> Context {
        Context {
            app: Rc::clone(app),
            connection: app.connect().await.unwrap(),
            now_ms: self.clock.get(),
            request_id: "test-request".to_owned(),
            request: http::Request::default(),
            route: &ROUTES[0],
            path: Vec::new(),
            caller: Caller::Nobody,
            language: crate::web::languages::english(),
        }
    }

    pub async fn send(&self, request: http::Request<Bytes>) -> Answer {
        // No two requests happen in the same millisecond: ids sort by time.
        self.advance_ms(1);
        let response = self.app.handle(request).await;
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    /// A request with these headers.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        self.request_from("192.0.2.1:5000", method, path, headers, body)
            .await
    }

    /// A request from this network address.
    pub async fn request_from(
        &self,
        peer: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "portal.test")
            .header("spin-client-addr", peer);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Bytes::from(body.to_owned())).unwrap())
            .await
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, token, None).await
    }

    pub async fn post(&self, path: &str, token: &str, body: Json) -> Answer {
        self.call("POST", path, token, Some(body)).await
    }

    /// A call of the JSON API with a session token; empty for none.
    pub async fn call(&self, method: &str, path: &str, token: &str, body: Option<Json>) -> Answer {
        let authorization = format!("Bearer {token}");
        let mut headers = vec![("content-type", "application/json")];
        if !token.is_empty() {
            headers.push(("authorization", &authorization));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.request(method, path, &headers, &body).await
    }

    /// A page as a browser with this session cookie asks for it.
    pub async fn page(&self, path: &str, token: &str) -> Answer {
        let cookie = format!("portico_session={token}");
        self.request("GET", path, &[("cookie", &cookie)], "").await
    }

    /// A form as a browser with this session cookie sends it, with the right CSRF token.
    pub async fn submit(&self, path: &str, token: &str, fields: &[(&str, &str)]) -> Answer {
        let cookie = format!("portico_session={token}");
        let csrf = crate::web::csrf::token_of(token);
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair(crate::web::csrf::FIELD, &csrf);
        body.extend_pairs(fields);
        let mut headers = vec![
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "http://portal.test"),
            ("sec-fetch-site", "same-origin"),
        ];
        if !token.is_empty() {
            headers.push(("cookie", &cookie));
        }
        self.request("POST", path, &headers, &body.finish()).await
    }

    /// The newest e-mail to this address, as the development outbox shows it.
    pub async fn newest_email(&self, to: &str) -> Json {
        let answer = self
            .get(&format!("/dev/outbox?to={to}"), "")
            .await
            .expect(200);
        answer.json()["emails"][0].clone()
    }

    /// Registers and verifies someone: the owner of a new organisation.
    pub async fn sign_up(&self, email: &str, organisation_name: &str) -> Actor {
        let body = serde_json::json!({
            "email": email, "password": PASSWORD, "organisation_name": organisation_name,
        });
        self.post("/api/v1/registrations", "", body)
            .await
            .expect(202);
        let code = self.newest_email(email).await["code"].clone();
        let body = serde_json::json!({ "email": email, "code": code });
        let session = self
            .post("/api/v1/verifications", "", body)
            .await
            .expect(201)
            .json();
        let text = |name: &str| session[name].as_str().unwrap().to_owned();
        Actor {
            email: email.to_owned(),
            token: text("session_token"),
            organisation_id: text("organisation_id"),
            person_id: text("person_id"),
        }
    }

    /// A new session of someone who has an account.
    pub async fn log_in(&self, email: &str, password: &str) -> String {
        let body = serde_json::json!({ "email": email, "password": password });
        let session = self
            .post("/api/v1/sessions", "", body)
            .await
            .expect(201)
            .json();
        session["session_token"].as_str().unwrap().to_owned()
    }

    /// Makes `guest` a member of `host`'s organisation.
    pub async fn join(&self, host: &Actor, guest: &Actor, role: &str) {
        let context = self.context().await;
        crate::organisations::store::insert_member(
            &context,
            host.organisation_id.parse().unwrap(),
            guest.person_id.parse().unwrap(),
            role.parse().unwrap(),
        )
        .await
        .unwrap();
    }

    /// Gives someone a role on the operator's side.
    pub async fn make_operator(&self, actor: &Actor, role: &str) {
        let context = self.context().await;
        crate::organisations::store::insert_operator_role(
            &context,
            actor.person_id.parse().unwrap(),
            role.parse().unwrap(),
        )
        .await
        .unwrap();
    }
}
