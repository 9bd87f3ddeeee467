//! An app's way in browsers: the partner's, the reviewer's, the customer's.

use crate::person::{PATIENCE, Person};
use crate::pictures::{keep, take_pictures};
use anyhow::{Context as _, Result, ensure};
use fantoccini::Locator;
use reqwest::{Method, Url};
use serde_json::json;
use std::time::Duration;
use tests::actors::{ApiClient, Partner, Visitor};
use tests::partner_app::PartnerApp;
use tests::stack::{Stack, repository};
use tests::wait::eventually;

/// Of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn edit_listing(partner: &Person, app: &str, server: &PartnerApp) -> Result<()> {
    partner.open(&format!("/apps/{app}/listing")).await?;
    partner.choose("#visibility", "public").await?;
    // Judged while it is typed: nothing is sent by hand.
    partner.fill("name", "Ok").await?;
    let list = async || {
        partner
            .find("#checks-list")
            .await?
            .text()
            .await
            .map_err(anyhow::Error::from)
    };
    eventually("the name to be judged", PATIENCE, async || {
        list()
            .await
            .ok()?
            .contains("It has 2 characters")
            .then_some(())
    })
    .await?;
    partner.fill("name", "Order sync").await?;
    eventually("the better name to be judged", PATIENCE, async || {
        (!list().await.ok()?.contains("It has 2 characters")).then_some(())
    })
    .await?;
    let origin = &server.origin;
    for (name, text) in [
        ("summary", "Keeps your warehouse and your shop in step.".to_owned()),
        (
            "description",
            "Order sync copies every new order to your warehouse and brings the tracking number back.\n\n- Works within seconds\n- Tells you when an address is not complete\n- Can be removed at any time".to_owned(),
        ),
        ("languages", "en, de".to_owned()),
        ("pricing", "Free up to 100 orders a month.".to_owned()),
        ("data_use", "Orders are copied to your warehouse.".to_owned()),
        ("support_url", format!("{origin}/support")),
        ("support_email", "help@acme.example".to_owned()),
        ("privacy_url", format!("{origin}/privacy")),
        ("terms_url", format!("{origin}/terms")),
        ("install_url", format!("{origin}/install")),
        ("redirect_uris", format!("{origin}/callback")),
        ("webhook_url", format!("{origin}/hooks")),
        ("scopes", "orders:read | To copy new orders to the warehouse.".to_owned()),
        ("field_name", "region".to_owned()),
        ("field_label", "Region".to_owned()),
        ("field_choices", "eu, us".to_owned()),
    ] {
        partner.fill(name, &text).await?;
    }
    partner.choose("[name='field_kind']", "choice").await?;
    partner
        .press("input[name='categories'][value='logistics']")
        .await?;
    // Without scripts the same is a button.
    partner.follow("button[formaction$='/checks']").await?;
    partner
        .reads("The statement of data use has 40 to 4 000 characters")
        .await?;
    ensure!(partner.path().await?.ends_with("/listing/checks"));
    partner
        .fill(
            "data_use",
            "Orders are copied to your warehouse and deleted after 30 days.",
        )
        .await?;
    partner
        .follow("form[data-check] button:not([formaction])")
        .await?;
    partner.reads("Saved.").await?;
    for (kind, file) in [("logo", "logo.png"), ("screenshot", "screenshot.png")] {
        partner.choose("#kind", kind).await?;
        let file = repository().join("tests/e2e/pictures").join(file);
        partner
            .find("#image")
            .await?
            .send_keys(&file.display().to_string())
            .await?;
        partner.fill("caption", "The list of orders").await?;
        partner
            .follow("form[action$='/listing/images'] button")
            .await?;
        partner.reads("Saved.").await?;
    }
    Ok(())
}

/// Makes a live client and answers its id and secret.
async fn make_client(partner: &Person, app: &str) -> Result<(String, String)> {
    partner.open(&format!("/apps/{app}/oauth-clients")).await?;
    partner.choose("#environment", "live").await?;
    partner
        .follow("form[action$='/oauth-clients'] button")
        .await?;
    let id = partner.find("#client-id").await?.text().await?;
    let secret = partner.find("#client-secret").await?.text().await?;
    Ok((id, secret))
}

async fn tick_all(reviewer: &Person, track: &str) -> Result<()> {
    let form = format!("form[action$='/reviews/{track}']");
    reviewer.find(&form).await?;
    for tick in reviewer
        .window()
        .find_all(Locator::Css(&format!("{form} input[type=checkbox]")))
        .await?
    {
        if !tick.is_selected().await? {
            tick.click().await?;
        }
    }
    reviewer
        .choose(&format!("#verdict-{track}"), "pass")
        .await?;
    reviewer.follow(&format!("{form} button")).await?;
    reviewer.reads("Saved.").await
}

/// A second reviewer on the staff; answers their id.
async fn hire_reviewer(stack: &Stack) -> Result<String> {
    let endpoints = stack.endpoints();
    let operator = Partner::log_in(endpoints, &stack.demo()?["operator"]).await?;
    let colleague = Visitor::new(endpoints).become_partner().await?;
    let body = json!({ "email": colleague.email, "role": "reviewer" });
    let staff = operator
        .call(Method::POST, "/api/v1/operator/staff", Some(&body))
        .await?;
    let staff = staff["items"].as_array().context("no staff")?;
    let hired = staff.iter().find(|one| one["email"] == colleague.email);
    let id = hired.and_then(|one| one["person_id"].as_str());
    Ok(id.context("nobody was hired")?.to_owned())
}

#[tokio::test]
async fn an_app_is_built_reviewed_published_installed_and_removed_in_browsers() -> Result<()> {
    let stack = Stack::start().await?;
    let endpoints = stack.endpoints();
    let demo = stack.demo()?;
    let app = demo["app_id"].as_str().context("no demo app")?;
    let server = PartnerApp::start().await?;
    let api = Partner::log_in(endpoints, &demo["partner"]).await?;
    let hooks = format!(
        "/api/v1/organisations/{}/webhook-endpoints",
        api.organisation
    );
    let hook = json!({ "url": format!("{}/hooks", server.origin) });
    let hook = api.call(Method::POST, &hooks, Some(&hook)).await?;
    server.trust(hook["secret"].as_str().context("no secret")?)?;
    let test = ApiClient::new(endpoints, demo["test_key"].as_str());
    for _ in 0..12 {
        ensure!(test.status_of("/v1/orders").await? == 200);
        // The free plan lets ten calls a second through.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    api.wait_for_calls(app, 12, PATIENCE).await?;

    // The partner: draft, checks, submission.
    let partner = Person::new(&stack).await?;
    partner.browser.log_in(&stack, "partner").await?;
    edit_listing(&partner, app, &server).await?;
    let (client_id, secret) = make_client(&partner, app).await?;
    partner.open(&format!("/apps/{app}/submissions")).await?;
    partner
        .follow("form[action$='/submissions'] button")
        .await?;
    partner.reads("Place 1 in the queue").await?;
    let submission = partner.path().await?;

    // The reviewer: queue, assignment, a verdict that first lacks its rule, a message, a decision.
    let colleague = hire_reviewer(&stack).await?;
    let reviewer = Person::new(&stack).await?;
    reviewer.browser.log_in(&stack, "operator").await?;
    reviewer.open("/operator/submissions").await?;
    reviewer.follow("main tbody a").await?;
    reviewer.reads("Nobody has taken it.").await?;
    reviewer.follow("form[action$='/assign'] button").await?;
    reviewer.reads("Taken by").await?;
    // A track goes to a colleague, who finds it in the queue.
    reviewer.press("#assignment summary").await?;
    reviewer.choose("#reviewer", &colleague).await?;
    reviewer.choose("#track", "branding").await?;
    reviewer.follow("#assignment button").await?;
    reviewer.reads("Handed to Ada Example").await?;
    tick_all(&reviewer, "quality").await?;
    let desk = reviewer.path().await?;
    reviewer.choose("#verdict-compliance", "fail").await?;
    reviewer
        .press("form[action$='/reviews/compliance'] summary")
        .await?;
    reviewer
        .find("#evidence-compliance")
        .await?
        .send_keys("The statement says nothing of backups.")
        .await?;
    reviewer
        .follow("form[action$='/reviews/compliance'] button")
        .await?;
    reviewer
        .reads("A negative verdict cites a published rule.")
        .await?;
    let kept = reviewer.find("#evidence-compliance").await?;
    ensure!(
        kept.prop("value").await?.as_deref() == Some("The statement says nothing of backups."),
        "what was typed is kept"
    );
    reviewer
        .find("#rules-compliance")
        .await?
        .send_keys("compliance.data_use")
        .await?;
    reviewer
        .follow("form[action$='/reviews/compliance'] button")
        .await?;
    reviewer.reads("Saved.").await?;
    reviewer.fill("body", "How long do backups live?").await?;
    reviewer.follow("form[action$='/messages'] button").await?;
    reviewer.reads("Sent.").await?;
    reviewer.open("/operator/review-templates").await?;
    reviewer.fill("name", "Data use").await?;
    reviewer.fill("rules", "compliance.data_use").await?;
    reviewer
        .fill("body", "Say how long data is kept, backups included.")
        .await?;
    reviewer
        .follow("form[action='/operator/review-templates'] button")
        .await?;
    reviewer.reads("Saved.").await?;
    take_pictures(
        &stack,
        "operator",
        &[
            ("review", &desk),
            ("queue", "/operator/submissions"),
            ("reasons", "/operator/review-templates"),
        ],
    )
    .await?;
    reviewer.open(&desk).await?;
    reviewer.follow("main form[method='get'] button").await?;
    reviewer.choose("#event", "request_changes").await?;
    reviewer
        .find("#evidence")
        .await?
        .send_keys("Seen on Monday: no word about backups.")
        .await?;
    reviewer.follow("form[action$='/decide'] button").await?;
    reviewer.reads("changes_requested").await?;

    // The partner reads why, answers, mends and hands in again.
    partner.open(&submission).await?;
    partner
        .reads("Say how long data is kept, backups included.")
        .await?;
    partner
        .reads("Seen on Monday: no word about backups.")
        .await?;
    partner.reads("How long do backups live?").await?;
    partner.fill("body", "Thirty days, too.").await?;
    partner.follow("form[action$='/messages'] button").await?;
    partner.reads("Thirty days, too.").await?;
    take_pictures(
        &stack,
        "partner",
        &[
            ("listing", &format!("/apps/{app}/listing")),
            ("submission", &submission),
            ("checks", &format!("/apps/{app}/submissions")),
        ],
    )
    .await?;
    partner.open(&format!("/apps/{app}/listing")).await?;
    partner
        .fill(
            "data_use",
            "Orders are copied to your warehouse and deleted after 30 days, backups included.",
        )
        .await?;
    partner
        .follow("form[data-check] button:not([formaction])")
        .await?;
    partner.reads("Saved.").await?;
    partner.open(&format!("/apps/{app}/submissions")).await?;
    partner
        .follow("form[action$='/submissions'] button")
        .await?;
    partner.reads("Place 1 in the queue").await?;
    ensure!(
        partner.path().await? == submission,
        "it is the same submission"
    );

    // The reviewer looks at what is left, and approves.
    reviewer.open(&desk).await?;
    reviewer.reads("Thirty days, too.").await?;
    for track in ["security", "branding", "compliance"] {
        tick_all(&reviewer, track).await?;
    }
    reviewer.choose("#event", "approve").await?;
    reviewer.follow("form[action$='/decide'] button").await?;
    reviewer.reads("approved").await?;
    partner.open(&submission).await?;
    partner.follow("button[value='publish']").await?;
    partner.reads("published").await?;

    // The customer finds the app, installs it in three clicks, and comes back to it.
    let mut request = Url::parse(&format!("{}/oauth/authorize", endpoints.portal))?;
    request.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", &client_id),
        ("redirect_uri", &format!("{}/callback", server.origin)),
        ("scope", "orders:read"),
        ("state", "from-the-app"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    server.install_at(request.as_str());
    let customer = Person::new(&stack).await?;
    customer.open("/directory").await?;
    customer.fill("q", "warehouse").await?;
    customer.follow("main form[role='search'] button").await?;
    customer.reads("1 app").await?;
    customer.follow("article a").await?;
    customer.reads("See orders").await?;
    customer.follow("a.button[href$='/install']").await?;
    customer.give_password(&stack, "customer").await?;
    customer
        .reads("asks for access for customer@shop.example")
        .await?;
    let consent = customer.window().screenshot().await?;
    keep("consent.png", consent)?;
    customer
        .choose("select[name='config.region']", "us")
        .await?;
    customer.follow("button[value='install']").await?;
    eventually("the customer to come back", PATIENCE, async || {
        server.returned()
    })
    .await?;
    let back = Url::parse(&format!(
        "http://app/?{}",
        server.returned().unwrap_or_default()
    ))?;
    let parameter = |name: &str| {
        back.query_pairs()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    };
    ensure!(parameter("state").as_deref() == Some("from-the-app"));
    ensure!(parameter("iss").as_deref() == Some(endpoints.portal.as_str()));
    let code = parameter("code").context("no code")?;
    let form = Url::parse_with_params(
        "http://form/",
        [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &format!("{}/callback", server.origin)),
            ("code_verifier", VERIFIER),
            ("client_id", &client_id),
            ("client_secret", &secret),
        ],
    )?;
    let tokens: serde_json::Value = reqwest::Client::new()
        .post(format!("{}/oauth/token", endpoints.portal))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.query().unwrap_or_default().to_owned())
        .send()
        .await?
        .json()
        .await?;
    let access = tokens["access_token"]
        .as_str()
        .with_context(|| tokens.to_string())?;
    let installed = ApiClient::new(endpoints, Some(access));
    ensure!(
        installed.status_of("/v1/orders").await? == 200,
        "the token works"
    );
    for (environment, client) in [("test", &test), ("live", &installed)] {
        api.expect_one_number(app, environment, Some(client))
            .await?;
    }

    // They say what they think, and the operator shows it.
    customer.open("/installations").await?;
    customer.reads("Order sync").await?;
    customer.follow("main .card a").await?;
    customer.press("main details summary").await?;
    customer.fill("body", "Saves me an hour every day.").await?;
    customer.fill("signed_by", "Cleo, shop owner").await?;
    customer.follow("form[action$='/opinion'] button").await?;
    customer.reads("Sent.").await?;
    let installation = customer.path().await?;
    customer
        .choose("select[name='config.region']", "eu")
        .await?;
    customer
        .follow("form[action$='/configure'] button[type=submit]")
        .await?;
    customer.reads("Saved.").await?;
    reviewer.open("/operator/opinions").await?;
    reviewer.follow("button[value='show']").await?;
    reviewer.reads("shown").await?;
    customer.open("/directory").await?;
    customer.follow("article a").await?;
    customer.reads("Saves me an hour every day.").await?;
    let entry = customer.path().await?;
    reviewer.open("/operator/installs").await?;
    reviewer.reads("Order sync").await?;
    partner.open(&format!("/apps/{app}/installs")).await?;
    partner.reads("Active now").await?;
    take_pictures(
        &stack,
        "",
        &[("directory", "/directory"), ("entry", &entry)],
    )
    .await?;
    take_pictures(
        &stack,
        "operator",
        &[
            ("installs", "/operator/installs"),
            ("opinions", "/operator/opinions"),
        ],
    )
    .await?;
    take_pictures(
        &stack,
        "customer",
        &[
            ("installation", &installation),
            ("installations", "/installations"),
        ],
    )
    .await?;
    take_pictures(
        &stack,
        "partner",
        &[("app-installs", &format!("/apps/{app}/installs"))],
    )
    .await?;

    // They remove it: the token ends, and the app is told.
    customer.open(&installation).await?;
    customer.follow("form[action$='/remove'] button").await?;
    customer.reads("Removed.").await?;
    eventually(
        "the token to be refused",
        Duration::from_secs(5),
        async || (installed.status_of("/v1/orders").await.ok()? == 401).then_some(()),
    )
    .await?;
    for event in ["app.installed", "app.configured", "app.uninstalled"] {
        eventually(event, PATIENCE, async || {
            (server.events(event).len() == 1).then_some(())
        })
        .await?;
    }
    for person in [partner, reviewer, customer] {
        person.browser.close().await?;
    }
    Ok(())
}
