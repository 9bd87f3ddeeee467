//! Who does things: a visitor who becomes a partner, and a client with a key.

use crate::stack::Endpoints;
use crate::wait::eventually;
use anyhow::{Context as _, Result, ensure};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static VISITORS: AtomicU32 = AtomicU32::new(0);

/// Someone who has not signed up.
pub struct Visitor {
    endpoints: Endpoints,
    client: Client,
    pub email: String,
}

impl Visitor {
    /// A new visitor with an address of their own.
    #[must_use]
    pub fn new(endpoints: &Endpoints) -> Self {
        let number = VISITORS.fetch_add(1, Ordering::Relaxed);
        Self {
            endpoints: endpoints.clone(),
            client: Client::new(),
            email: format!("visitor-{}-{number}@example.com", std::process::id()),
        }
    }

    /// Signs up and follows the code in the e-mail.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn become_partner(self) -> Result<Partner> {
        self.claim("").await
    }

    /// Calls without an account: a test key, and the token that claims it.
    ///
    /// # Errors
    /// When the portal refuses.
    pub async fn try_without_account(&self) -> Result<(String, String)> {
        let answer = self
            .client
            .post(format!("{}/api/v1/visitors", self.endpoints.portal))
            .json(&json!({}))
            .send()
            .await?;
        ensure!(
            answer.status() == StatusCode::CREATED,
            "{}",
            answer.status()
        );
        let opened: Value = answer.json().await?;
        Ok((text(&opened, "test_key")?, text(&opened, "visitor_token")?))
    }

    /// As [`Self::become_partner`], and what was done without an account becomes theirs.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn claim(self, visitor_token: &str) -> Result<Partner> {
        let portal = &self.endpoints.portal;
        let answer = self
            .client
            .post(format!("{portal}/api/v1/registrations"))
            .json(&json!({
                "email": self.email,
                "password": "a long password for the tests",
                "organisation_name": format!("Organisation of {}", self.email),
                "name": "Ada Example",
                "visitor_token": visitor_token,
            }))
            .send()
            .await?;
        expect(answer, StatusCode::ACCEPTED).await?;
        let code = self.code_from_outbox().await?;
        let answer = self
            .client
            .post(format!("{portal}/api/v1/verifications"))
            .json(&json!({ "email": self.email, "code": code }))
            .send()
            .await?;
        ensure!(
            answer.status().is_success(),
            "verification: {}",
            answer.status()
        );
        let verified: Value = answer.json().await?;
        Ok(Partner {
            organisation: text(&verified, "organisation_id")?,
            token: text(&verified, "session_token")?,
            endpoints: self.endpoints,
            client: self.client,
            email: self.email,
        })
    }

    async fn code_from_outbox(&self) -> Result<String> {
        let address = format!("{}/dev/outbox", self.endpoints.portal);
        eventually(
            "a code in the outbox",
            Duration::from_secs(10),
            async || {
                let answer = self
                    .client
                    .get(&address)
                    .query(&[("to", &self.email)])
                    .send()
                    .await
                    .ok()?;
                let outbox: Value = answer.json().await.ok()?;
                let emails = outbox["emails"].as_array()?;
                emails
                    .iter()
                    .find_map(|email| email["code"].as_str())
                    .map(str::to_owned)
            },
        )
        .await
    }
}

/// A signed-in member of an organisation.
pub struct Partner {
    endpoints: Endpoints,
    client: Client,
    pub email: String,
    pub organisation: String,
    pub token: String,
}

/// A key as it was issued.
pub struct IssuedKey {
    pub id: String,
    pub app: String,
    pub key: String,
}

impl Partner {
    /// Someone who has an account: `email` and `password` of `log_in`.
    ///
    /// # Errors
    /// When the log-in is refused.
    pub async fn log_in(endpoints: &Endpoints, log_in: &Value) -> Result<Self> {
        let client = Client::new();
        let address = format!("{}/api/v1/sessions", endpoints.portal);
        let answer = client.post(address).json(log_in).send().await?;
        ensure!(answer.status().is_success(), "log-in: {}", answer.status());
        let session: Value = answer.json().await?;
        Ok(Self {
            organisation: session["organisation_id"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            token: text(&session, "session_token")?,
            email: text(log_in, "email")?,
            endpoints: endpoints.clone(),
            client,
        })
    }

    /// Calls the portal's API as this partner.
    ///
    /// # Errors
    /// When the portal does not answer.
    pub async fn api(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.endpoints.portal))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(request.send().await?)
    }

    /// Calls and reads JSON.
    ///
    /// # Errors
    /// When the answer is not 2xx.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let answer = self.api(method.clone(), path, body).await?;
        let status = answer.status();
        let body = answer.text().await?;
        ensure!(status.is_success(), "{method} {path}: {status}: {body}");
        if body.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_str(&body)?)
    }

    /// Accepts every outstanding agreement and says how many.
    ///
    /// # Errors
    /// When an acceptance is refused.
    pub async fn accept_agreements(&self) -> Result<usize> {
        let base = format!("/api/v1/organisations/{}", self.organisation);
        let list = self
            .call(Method::GET, &format!("{base}/agreements"), None)
            .await?;
        let outstanding: Vec<&Value> = list["items"]
            .as_array()
            .context("`items` is not a list")?
            .iter()
            .filter(|agreement| agreement["state"] != "accepted")
            .collect();
        for agreement in &outstanding {
            let body = json!({
                "agreement_version_id": agreement["version"]["agreement_version_id"],
                "stated_role": "Chief executive",
                "has_authority": true,
            });
            self.call(Method::POST, &format!("{base}/acceptances"), Some(&body))
                .await?;
        }
        Ok(outstanding.len())
    }

    /// Creates an app.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn create_app(&self, name: &str) -> Result<String> {
        let path = format!("/api/v1/organisations/{}/apps", self.organisation);
        let app = self
            .call(Method::POST, &path, Some(&json!({ "name": name })))
            .await?;
        text(&app, "id")
    }

    /// Issues a test key and waits until the portal calls it active.
    ///
    /// # Errors
    /// When it is refused or does not become active.
    pub async fn issue_test_key(&self, app: &str) -> Result<IssuedKey> {
        self.issue_key(app, &json!({ "environment": "test", "name": "tests" }))
            .await
    }

    /// Issues a key as `body` asks and waits until the portal calls it active.
    ///
    /// # Errors
    /// When it is refused or does not become active.
    pub async fn issue_key(&self, app: &str, body: &Value) -> Result<IssuedKey> {
        let path = format!("/api/v1/apps/{app}/credentials");
        let issued = self.call(Method::POST, &path, Some(body)).await?;
        let id = text(&issued["credential"], "id")?;
        let key = text(&issued, "key")?;
        eventually(
            "the key to become active",
            Duration::from_secs(10),
            async || {
                let state = self
                    .call(Method::GET, &format!("{path}/{id}"), None)
                    .await
                    .ok()?;
                (state["state"] == "active").then_some(())
            },
        )
        .await?;
        Ok(IssuedKey {
            id,
            app: app.to_owned(),
            key,
        })
    }

    /// Revokes a key.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn revoke(&self, key: &IssuedKey) -> Result<()> {
        let path = format!("/api/v1/apps/{}/credentials/{}", key.app, key.id);
        self.call(Method::DELETE, &path, None).await.map(drop)
    }

    /// The app's usage.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn usage(&self, app: &str) -> Result<Value> {
        self.call(Method::GET, &format!("/api/v1/apps/{app}/usage"), None)
            .await
    }

    /// Waits until the app's usage counts `calls` calls.
    ///
    /// # Errors
    /// When it does not within `deadline`.
    pub async fn wait_for_calls(&self, app: &str, calls: u64, deadline: Duration) -> Result<()> {
        let mut last = None;
        let reached = eventually("the calls to be counted", deadline, async || {
            let usage = self.usage(app).await.ok()?;
            last = usage["totals"]["calls"].as_u64();
            (last == Some(calls)).then_some(())
        })
        .await;
        reached.with_context(|| format!("the portal counts {last:?} calls instead of {calls}"))
    }
}

/// A program that calls the API through the gateway.
pub struct ApiClient {
    client: Client,
    gateway: String,
    key: Option<String>,
    /// The `RateLimit` header of the last answer that had one.
    limits: Mutex<String>,
}

impl ApiClient {
    /// A client with a key, or with none.
    #[must_use]
    pub fn new(endpoints: &Endpoints, key: Option<&str>) -> Self {
        Self {
            client: Client::new(),
            gateway: endpoints.gateway.clone(),
            key: key.map(str::to_owned),
            limits: Mutex::default(),
        }
    }

    /// How much the gateway's counter left of this limit at the last call.
    #[must_use]
    pub fn left_of(&self, limit: &str) -> Option<u64> {
        let limits = self.limits.lock().ok()?;
        let (_, behind) = limits.split_once(&format!("\"{limit}\";r="))?;
        behind.split(&[';', ','][..]).next()?.parse().ok()
    }

    /// `GET path`.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn get(&self, path: &str) -> Result<Response> {
        let mut request = self.client.get(format!("{}{path}", self.gateway));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await?;
        let said = answer.headers().get("ratelimit");
        if let (Some(said), Ok(mut limits)) = (said, self.limits.lock()) {
            said.to_str()?.clone_into(&mut limits);
        }
        Ok(answer)
    }

    /// The status of `GET path`.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn status_of(&self, path: &str) -> Result<u16> {
        Ok(self.get(path).await?.status().as_u16())
    }
}

/// Checks a refusal's status, media type and code, and returns its body.
///
/// # Errors
/// When one of them differs.
pub async fn expect_refusal(answer: Response, status: u16, code: &str) -> Result<Value> {
    let media_type = answer
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let got = answer.status().as_u16();
    let body = answer.text().await?;
    ensure!(got == status, "expected {status} {code}, got {got}: {body}");
    ensure!(
        media_type.starts_with(shared::problem::CONTENT_TYPE),
        "a problem body has the type {media_type}"
    );
    let problem: Value = serde_json::from_str(&body)?;
    ensure!(problem["code"] == code, "expected {code}: {body}");
    Ok(problem)
}

async fn expect(answer: Response, status: StatusCode) -> Result<()> {
    let got = answer.status();
    let body = answer.text().await?;
    ensure!(got == status, "expected {status}, got {got}: {body}");
    Ok(())
}

fn text(value: &Value, name: &str) -> Result<String> {
    value[name]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no text `{name}` in {value}"))
}
