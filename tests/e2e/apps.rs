//! An app's whole way: submit, review, publish, install, call through Envoy, remove.

use anyhow::{Context as _, Result, ensure};
use reqwest::{Client, Method, Url, redirect};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tests::actors::{ApiClient, Partner, Visitor, expect_refusal};
use tests::stack::Stack;
use tests::wait::eventually;

/// Of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "http://127.0.0.1:9/callback";

/// Waits until the usage of the billing period has calls of so many installations.
async fn expect_installations(partner: &Partner, app: &str, expected: usize) -> Result<()> {
    let mut said = Value::Null;
    let what = format!("{expected} installations to be counted");
    eventually(&what, Duration::from_secs(20), async || {
        let path = format!("/api/v1/apps/{app}/usage");
        said = partner.call(Method::GET, &path, None).await.ok()?["meters"].clone();
        let meters = said.as_array()?.iter();
        let counted = meters
            .filter(|meter| meter["meter"] == "Installations")
            .filter_map(|meter| meter["quantity"].as_u64());
        (counted.sum::<u64>() == expected as u64).then_some(())
    })
    .await
    .with_context(|| format!("the meters say {said}"))
}

struct OAuthApp {
    client: Client,
    portal: String,
    client_id: String,
    secret: String,
}

impl OAuthApp {
    /// Lets a customer consent, and redeems the code.
    async fn install(&self, customer: &Partner) -> Result<Value> {
        let fields = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT),
            ("state", "s-1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("decision", "install"),
            ("config.region", "eu"),
        ];
        let answer = self
            .form("/oauth/authorize", &fields, Some(&customer.token))
            .await?;
        let place = answer
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok())
            .context("the consent leads nowhere")?;
        let place = Url::parse(place)?;
        let code = place
            .query_pairs()
            .find(|(name, _)| name == "code")
            .with_context(|| format!("no code in {place}"))?
            .1
            .into_owned();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("client_id", &self.client_id),
            ("client_secret", &self.secret),
        ];
        let answer = self.form("/oauth/token", &fields, None).await?;
        ensure!(
            answer.status() == 200,
            "no tokens: {}",
            answer.text().await?
        );
        Ok(answer.json().await?)
    }

    async fn form(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        session: Option<&str>,
    ) -> Result<reqwest::Response> {
        let encoded = Url::parse_with_params("http://form.invalid/", fields)?;
        let mut request = self
            .client
            .post(format!("{}{path}", self.portal))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(encoded.query().unwrap_or_default().to_owned());
        if let Some(session) = session {
            request = request.bearer_auth(session);
        }
        Ok(request.send().await?)
    }
}

fn draft(upstream: &str, logo: &Value, screenshot: &Value) -> Value {
    json!({
        "name": "Order sync",
        "summary": "Keeps your warehouse and your shop in step.",
        "description": "Order sync copies every new order to your warehouse and brings the tracking number back.\n\nIt works within seconds, tells you when an address is not complete, and can be removed at any time.",
        "logo": logo, "screenshots": [{ "image": screenshot, "caption": "The list of orders" }],
        "categories": ["logistics"], "languages": ["en"],
        "support_url": format!("{upstream}/v1/whoami?support"), "support_email": "help@acme.example",
        "privacy_url": format!("{upstream}/v1/whoami?privacy"),
        "terms_url": format!("{upstream}/v1/whoami?terms"),
        "redirect_uris": [REDIRECT],
        "scopes": [{ "scope": "orders:read", "reason": "To copy new orders to the warehouse." }],
        "data_use": "Orders are copied to your warehouse and deleted after 30 days.",
        "pricing": "Free up to 100 orders a month.",
        "form": [{ "name": "region", "label": "Region", "kind": "choice", "choices": ["eu", "us"], "required": true }],
    })
}

async fn upload(partner: &Partner, portal: &str, app: &str, bytes: &'static [u8]) -> Result<Value> {
    let answer = Client::new()
        .post(format!("{portal}/api/v1/apps/{app}/listing/images"))
        .bearer_auth(&partner.token)
        .header("content-type", "image/png")
        .body(bytes)
        .send()
        .await?;
    ensure!(answer.status() == 201, "{}", answer.text().await?);
    Ok(answer.json::<Value>().await?["id"].take())
}

async fn refused_within_a_second(client: &ApiClient, since: Instant) -> Result<()> {
    eventually(
        "the token to be refused",
        Duration::from_secs(5),
        async || (client.status_of("/v1/orders").await.ok()? == 401).then_some(()),
    )
    .await?;
    ensure!(
        since.elapsed() < Duration::from_secs(1),
        "still accepted {:?} after the portal's answer",
        since.elapsed()
    );
    expect_refusal(client.get("/v1/orders").await?, 401, "revoked_credential").await?;
    Ok(())
}

#[tokio::test]
async fn an_app_goes_from_submission_to_an_installation_that_calls_and_ends() -> Result<()> {
    let stack = Stack::start().await?;
    let endpoints = stack.endpoints();
    let portal = &endpoints.portal;
    let demo = stack.demo()?;
    let partner = Partner::log_in(endpoints, &demo["partner"]).await?;
    let operator = Partner::log_in(endpoints, &demo["operator"]).await?;
    let app = demo["app_id"].as_str().context("no demo app")?;

    // Real traffic in the sandbox, which the rules look at.
    let test = ApiClient::new(endpoints, demo["test_key"].as_str());
    for _ in 0..12 {
        ensure!(test.status_of("/v1/orders").await? == 200);
        // The free plan lets ten calls a second through.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let one = partner.expect_one_number(app, "test", Some(&test)).await?;
    ensure!(one == 12, "{one}");

    // Listing, client, submission.
    let logo = upload(&partner, portal, app, include_bytes!("pictures/logo.png")).await?;
    let shot = upload(
        &partner,
        portal,
        app,
        include_bytes!("pictures/screenshot.png"),
    )
    .await?;
    let body = json!({ "visibility": "public", "draft": draft(&endpoints.upstream, &logo, &shot) });
    partner
        .call(
            Method::PATCH,
            &format!("/api/v1/apps/{app}/listing"),
            Some(&body),
        )
        .await?;
    let issued = partner
        .call(
            Method::POST,
            &format!("/api/v1/apps/{app}/oauth-clients"),
            Some(&json!({ "environment": "live" })),
        )
        .await?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
    let oauth = OAuthApp {
        client: Client::builder()
            .redirect(redirect::Policy::none())
            .build()?,
        portal: portal.clone(),
        client_id: text(&issued["client"]["client_id"])?,
        secret: text(&issued["client_secret"])?,
    };
    let checks = partner
        .call(
            Method::GET,
            &format!("/api/v1/apps/{app}/listing/checks"),
            None,
        )
        .await?;
    let broken: Vec<&Value> = checks["findings"]
        .as_array()
        .context("no findings")?
        .iter()
        .filter(|finding| finding["passes"] == false)
        .collect();
    ensure!(checks["may_submit"] == true, "{broken:?}");
    ensure!(
        checks["took_ms"].as_u64() < Some(5_000),
        "{}",
        checks["took_ms"]
    );
    let submitted = partner
        .call(
            Method::POST,
            &format!("/api/v1/apps/{app}/submissions"),
            None,
        )
        .await?;
    ensure!(submitted["state"] == "in_review", "{submitted}");
    let id = text(&submitted["id"])?;

    // Review and publication.
    let desk = format!("/api/v1/operator/submissions/{id}");
    for (track, items) in [
        (
            "quality",
            json!([
                "Installed it and used it as the description says",
                "Errors are shown in words that help",
                "Gateway evidence looks like a working integration"
            ]),
        ),
        (
            "security",
            json!([
                "Every scope is needed",
                "Redirect addresses belong to the partner",
                "Removing the app ends its access"
            ]),
        ),
        (
            "branding",
            json!([
                "Name and logo do not imitate others or the operator",
                "Screenshots show the app as it is"
            ]),
        ),
        (
            "compliance",
            json!([
                "The privacy statement covers the data it gets",
                "Pricing is stated fully",
                "Support can be reached"
            ]),
        ),
    ] {
        let body = json!({ "verdict": "pass", "ticked": items });
        operator
            .call(Method::PUT, &format!("{desk}/reviews/{track}"), Some(&body))
            .await?;
    }
    let approve = json!({ "event": "approve" });
    operator
        .call(Method::POST, &format!("{desk}/decisions"), Some(&approve))
        .await?;
    let events = format!("/api/v1/submissions/{id}/events");
    partner
        .call(Method::POST, &events, Some(&json!({ "event": "publish" })))
        .await?;
    let published = Instant::now();
    let directory: Value = Client::new()
        .get(format!("{portal}/api/v1/directory"))
        .send()
        .await?
        .json()
        .await?;
    ensure!(directory["items"][0]["name"] == "Order sync", "{directory}");
    ensure!(
        published.elapsed() < Duration::from_secs(1),
        "{:?}",
        published.elapsed()
    );

    // A customer installs it, and its token works at once.
    let customer = Visitor::new(endpoints).become_partner().await?;
    let tokens = oauth.install(&customer).await?;
    let access = text(&tokens["access_token"])?;
    let installation = text(&tokens["installation_id"])?;
    let client = ApiClient::new(endpoints, Some(&access));
    let answer = client.get("/v1/whoami").await?;
    ensure!(
        answer.status() == 200,
        "{}: {}",
        answer.status(),
        answer.text().await?
    );
    let seen = answer.text().await?;
    ensure!(
        seen.contains(&installation) && !seen.contains(&access),
        "{seen}"
    );
    ensure!(client.status_of("/v1/orders").await? == 200);
    eventually(
        "the call to be logged with its installation",
        Duration::from_secs(10),
        async || {
            let path = format!("/api/v1/apps/{app}/requests");
            let log = partner.call(Method::GET, &path, None).await.ok()?;
            log.to_string().contains(&installation).then_some(())
        },
    )
    .await?;

    // Two calls, one installation: that is what its meter counts.
    expect_installations(&partner, app, 1).await?;

    // Removed by the customer, then suspended by a reviewer: refused within a second, both times.
    customer
        .call(
            Method::DELETE,
            &format!("/api/v1/installations/{installation}"),
            None,
        )
        .await?;
    refused_within_a_second(&client, Instant::now()).await?;
    let again = oauth.install(&customer).await?;
    let client = ApiClient::new(endpoints, again["access_token"].as_str());
    ensure!(
        client.status_of("/v1/orders").await? == 200,
        "a new installation works"
    );
    let installations = BTreeSet::from([installation, text(&again["installation_id"])?]);
    expect_installations(&partner, app, installations.len()).await?;
    partner
        .expect_one_number(app, "live", Some(&client))
        .await?;
    let suspend = json!({
        "event": "suspend", "rules": ["compliance.data_use"], "evidence": "Data was kept for a year.",
        "deadline": "2099-01-01T00:00:00Z",
    });
    operator
        .call(Method::POST, &format!("{desk}/decisions"), Some(&suspend))
        .await?;
    refused_within_a_second(&client, Instant::now()).await?;

    // Released, it goes on; revoked, it ends for good: no token new or old.
    let decide = async |event: &str| {
        let mut body = suspend.clone();
        body["event"] = json!(event);
        let path = format!("{desk}/decisions");
        operator.call(Method::POST, &path, Some(&body)).await
    };
    decide("release").await?;
    eventually(
        "the released app's token to be accepted",
        Duration::from_secs(5),
        async || (client.status_of("/v1/orders").await.ok()? == 200).then_some(()),
    )
    .await?;
    decide("suspend").await?;
    decide("revoke").await?;
    refused_within_a_second(&client, Instant::now()).await?;
    for fields in [
        vec![
            ("grant_type", "refresh_token"),
            (
                "refresh_token",
                again["refresh_token"]
                    .as_str()
                    .context("no refresh token")?,
            ),
        ],
        vec![("grant_type", "client_credentials")],
    ] {
        let mut fields = fields;
        fields.extend([
            ("client_id", oauth.client_id.as_str()),
            ("client_secret", oauth.secret.as_str()),
        ]);
        let answer = oauth.form("/oauth/token", &fields, None).await?;
        ensure!(answer.status() == 400, "{}", answer.text().await?);
    }
    Ok(())
}
