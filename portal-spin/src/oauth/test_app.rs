//! An app of the demonstration programme with a client, and a browser that consents: for tests.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::encoding::base64url;
use crate::testing::{Answer, TestPortal};

pub const REDIRECT: &str = "https://app.example/callback";
pub const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-0123456789";

pub struct TestApp {
    /// `/api/v1/apps/app_…`
    pub path: String,
    /// The owner's session.
    pub owner: String,
    pub client_id: String,
    pub secret: String,
}

pub fn challenge(verifier: &str) -> String {
    base64url(&Sha256::digest(verifier.as_bytes()))
}

/// A listing that works.
pub fn draft() -> Value {
    json!({
        "name": "Order sync", "summary": "Keeps orders in step.",
        "redirect_uris": [REDIRECT, "https://app.example/other"],
        "scopes": [
            { "scope": "orders:read", "reason": "To copy new orders." },
            { "scope": "orders:write", "reason": "To mark them as shipped." }
        ],
        "data_use": "Orders are copied to the warehouse.",
        "form": [
            { "name": "region", "label": "Region", "kind": "choice", "choices": ["eu", "us"], "required": true },
            { "name": "token", "label": "Warehouse token", "kind": "secret" }
        ],
    })
}

impl TestApp {
    /// The demo partner's app, private, with a client of this environment.
    pub async fn start(portal: &TestPortal, environment: &str) -> Self {
        let seeded = portal
            .post("/dev/seed", "", json!({}))
            .await
            .expect(200)
            .json();
        let owner = portal
            .log_in("partner@acme.example", "demo partner, not for production")
            .await;
        let path = format!("/api/v1/apps/{}", seeded["app_id"].as_str().unwrap());
        portal
            .call(
                "PATCH",
                &format!("{path}/listing"),
                &owner,
                Some(json!({ "draft": draft() })),
            )
            .await
            .expect(200);
        let body = json!({ "environment": environment, "name": "Backend" });
        let issued = portal
            .post(&format!("{path}/oauth-clients"), &owner, body)
            .await
            .expect(201)
            .json();
        Self {
            path,
            owner,
            client_id: issued["client"]["client_id"].as_str().unwrap().to_owned(),
            secret: issued["client_secret"].as_str().unwrap().to_owned(),
        }
    }

    /// The parameters of a good authorization request.
    pub fn request(&self) -> Vec<(&'static str, String)> {
        vec![
            ("response_type", "code".to_owned()),
            ("client_id", self.client_id.clone()),
            ("redirect_uri", REDIRECT.to_owned()),
            ("scope", "orders:read".to_owned()),
            ("state", "state-1".to_owned()),
            ("code_challenge", challenge(VERIFIER)),
            ("code_challenge_method", "S256".to_owned()),
        ]
    }

    /// Posts the consent form of this customer.
    pub async fn consent(
        &self,
        portal: &TestPortal,
        customer: &str,
        request: &[(&'static str, String)],
        decision: &str,
    ) -> Answer {
        let mut fields: Vec<(&str, &str)> = request
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        fields.extend([
            ("decision", decision),
            ("config.region", "eu"),
            ("config.token", "warehouse-secret"),
        ]);
        portal.submit("/oauth/authorize", customer, &fields).await
    }

    /// A code that this customer's consent gave.
    pub async fn code(&self, portal: &TestPortal, customer: &str) -> String {
        let answer = self
            .consent(portal, customer, &self.request(), "install")
            .await
            .expect(303);
        let place = answer.header("location").to_owned();
        assert!(place.starts_with(REDIRECT), "{place}");
        parameter(&place, "code").expect("a code")
    }

    /// A request to the token endpoint or a neighbour, with Basic authentication.
    pub async fn post(&self, portal: &TestPortal, path: &str, fields: &[(&str, &str)]) -> Answer {
        let basic = format!("{}:{}", self.client_id, self.secret);
        let basic = format!("Basic {}", base64(&basic));
        self.post_with(portal, path, fields, &[("authorization", &basic)])
            .await
    }

    pub async fn post_with(
        &self,
        portal: &TestPortal,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        portal.request("POST", path, &all, &body.finish()).await
    }

    pub async fn redeem(&self, portal: &TestPortal, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        self.post(portal, "/oauth/token", &fields).await
    }

    pub async fn refresh(&self, portal: &TestPortal, token: &str) -> Answer {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post(portal, "/oauth/token", &fields).await
    }

    /// Whether introspection calls a token active.
    pub async fn is_active(&self, portal: &TestPortal, token: &str) -> bool {
        let answer = self
            .post(portal, "/oauth/introspect", &[("token", token)])
            .await
            .expect(200);
        answer.json()["active"] == true
    }
}

pub fn base64(text: &str) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(text)
}

/// A parameter of an address.
pub fn parameter(place: &str, name: &str) -> Option<String> {
    let query = place.split_once('?')?.1;
    form_urlencoded::parse(query.as_bytes())
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}

/// `error` of an OAuth answer.
pub fn error(answer: &Answer) -> String {
    answer.json()["error"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The partner whose app it is.
pub async fn organisation(portal: &TestPortal, app: &TestApp) -> String {
    let app = portal.get(&app.path, &app.owner).await.expect(200).json();
    app["organisation_id"].as_str().unwrap().to_owned()
}
