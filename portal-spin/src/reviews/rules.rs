//! The published rules: what is looked at before an app is submitted. Ids never change their meaning.
//!
//! Every rule is a pure function of `Facts`: `None` if it is kept, else what is wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::{Facts, Probe, WebhookProbe};
use super::rule_checks as checks;
use super::tracks::Track;
use crate::listings::{CATEGORIES, FieldKind, address};

/// A rule.
pub struct Rule {
    /// Stable.
    pub id: &'static str,
    /// The track whose reviewers cite it.
    pub track: Track,
    /// Whether it blocks submission.
    pub is_blocking: bool,
    /// What it asks for.
    pub title: &'static str,
    /// What is wrong, if it is broken.
    pub check: fn(&Facts) -> Option<String>,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The rule.
    pub rule: String,
    /// What it asks for.
    pub title: String,
    /// Whether it blocks submission.
    pub is_blocking: bool,
    /// Whether it is kept.
    pub passes: bool,
    /// What is wrong.
    pub detail: String,
}

/// Runs every rule.
pub fn run_rules(facts: &Facts) -> Vec<Finding> {
    RULES
        .iter()
        .map(|rule| {
            let broken = (rule.check)(facts);
            Finding {
                rule: rule.id.to_owned(),
                title: rule.title.to_owned(),
                is_blocking: rule.is_blocking,
                passes: broken.is_none(),
                detail: broken.unwrap_or_default(),
            }
        })
        .collect()
}

fn wrong(is_wrong: bool, detail: impl Into<String>) -> Option<String> {
    is_wrong.then(|| detail.into())
}

macro_rules! rules {
    ($($id:literal $track:ident $blocking:ident $title:literal => $check:expr;)*) => {
        /// Every rule.
        pub const RULES: &[Rule] = &[$(Rule {
            id: $id,
            track: Track::$track,
            is_blocking: rules!(@ $blocking),
            title: $title,
            check: $check,
        }),*];
    };
    (@ blocks) => { true };
    (@ advises) => { false };
}

rules! {
    // The listing is complete
    "listing.name" Quality blocks "The name has 3 to 40 characters" =>
        |facts| checks::length(&facts.content.name, 3, 40);
    "listing.name_plain" Branding blocks "The name is plain words: no address, no all-capitals, no decoration" =>
        |facts| checks::plain_name(&facts.content.name);
    "listing.name_unique" Branding blocks "No other published app has the name" =>
        |facts| wrong(facts.is_name_taken, "Another published app is called so. Choose a name of your own.");
    "listing.summary" Quality blocks "The summary has 20 to 140 characters" =>
        |facts| checks::length(&facts.content.summary, 20, 140);
    "listing.summary_differs" Quality advises "The summary says more than the name" =>
        |facts| wrong(checks::says_the_same(&facts.content.summary, &facts.content.name), "The summary repeats the name. Say what the app does for the customer.");
    "listing.description" Quality blocks "The description has 160 to 10 000 characters" =>
        |facts| checks::length(&facts.content.description, 160, 10_000);
    "listing.description_structure" Quality advises "The description has more than one paragraph" =>
        |facts| wrong(!facts.content.description.trim().contains("\n\n"), "One block of text is hard to read: use paragraphs or a list.");
    "listing.no_raw_html" Security blocks "The description has no HTML" =>
        |facts| wrong(checks::has_html(&facts.content.description), "HTML is shown as text. Use Markdown instead.");
    "listing.no_placeholder" Quality blocks "No placeholder text is left" =>
        |facts| checks::placeholder(&facts.content);
    "listing.categories" Quality blocks "One to three known categories are chosen" =>
        |facts| {
            let chosen = &facts.content.categories;
            let unknown = chosen.iter().find(|name| !CATEGORIES.contains(&name.as_str()));
            unknown.map(|name| format!("There is no category `{name}`.")).or_else(||
                wrong(chosen.is_empty() || chosen.len() > 3, format!("Choose one to three of: {}.", CATEGORIES.join(", "))))
        };
    "listing.languages" Quality blocks "At least one language is named, as a tag such as en or pt-BR" =>
        |facts| checks::languages(&facts.content.languages);
    "listing.pricing" Compliance blocks "The pricing statement says what it costs" =>
        |facts| checks::length(&facts.content.pricing, 4, 2_000);
    "listing.form_labels" Quality blocks "Every field of the configuration form has a label" =>
        |facts| facts.content.form.iter().find(|field| field.label.trim().len() < 2)
            .map(|field| format!("The field `{}` has no label.", field.name));
    "listing.form_choices" Quality blocks "Every choice offers at least two values, each once" =>
        |facts| checks::choices(&facts.content.form);
    "listing.form_bounds" Quality blocks "Bounds of numbers are in order" =>
        |facts| facts.content.form.iter().find(|field| matches!((field.min, field.max), (Some(min), Some(max)) if min > max))
            .map(|field| format!("The smallest number of `{}` is above its largest.", field.name));
    "listing.form_secret" Security blocks "What is a password or a key is asked for as a secret" =>
        |facts| facts.content.form.iter().find(|field| field.kind != FieldKind::Secret && checks::sounds_secret(field))
            .map(|field| format!("`{}` asks for something secret: make its kind `secret`, so that it is stored sealed.", field.name));

    // Pictures
    "branding.logo" Branding blocks "There is a logo" =>
        |facts| wrong(facts.logo.is_none(), "Upload a logo: PNG, JPEG or WebP.");
    "branding.logo_size" Branding blocks "The logo is a square of 128 to 1 024 pixels" =>
        |facts| facts.logo.and_then(|logo| wrong(
            logo.width != logo.height || !(128..=1_024).contains(&logo.width),
            format!("The logo has {} by {} pixels.", logo.width, logo.height)));
    "branding.logo_contrast" Branding blocks "The logo has a contrast of at least 3 to 1 within itself" =>
        |facts| facts.logo.and_then(|logo| wrong(logo.contrast < 300,
            format!("The logo's contrast is {}.{:02} to 1: it would not be seen.", logo.contrast / 100, logo.contrast % 100)));
    "branding.screenshots" Branding blocks "There are one to eight screenshots" =>
        |facts| wrong(!(1..=8).contains(&facts.content.screenshots.len()) || facts.screenshots.len() != facts.content.screenshots.len(),
            "Upload one to eight screenshots that show the app at work.");
    "branding.screenshot_size" Branding blocks "Screenshots are at least 640 by 360 pixels" =>
        |facts| facts.screenshots.iter().find(|shot| shot.width < 640 || shot.height < 360)
            .map(|shot| format!("A screenshot has only {} by {} pixels.", shot.width, shot.height));
    "branding.screenshot_captions" Branding advises "Every screenshot has a caption for those who cannot see it" =>
        |facts| wrong(facts.content.screenshots.iter().any(|shot| shot.caption.trim().len() < 5), "Say in a sentence what each screenshot shows.");

    // Addresses
    "links.support_url" Compliance blocks "The support page is https and answers" =>
        |facts| checks::page(facts, &facts.content.support_url);
    "links.privacy_url" Compliance blocks "The privacy statement is https and answers" =>
        |facts| checks::page(facts, &facts.content.privacy_url);
    "links.terms_url" Compliance blocks "The terms are https and answer" =>
        |facts| checks::page(facts, &facts.content.terms_url);
    "links.privacy_not_support" Compliance advises "The privacy statement is a page of its own" =>
        |facts| wrong(!facts.content.privacy_url.is_empty()
            && [&facts.content.support_url, &facts.content.terms_url].contains(&&facts.content.privacy_url),
            "The privacy statement has the same address as another page.");
    "links.support_email" Compliance blocks "There is an address that customers can write to" =>
        |facts| wrong(crate::organisations::normalise_email(&facts.content.support_email).is_none(), "Give an e-mail address for customers.");
    "links.install_url" Security blocks "The page that begins an installation, if there is one, is https and answers" =>
        |facts| if facts.content.install_url.is_empty() { None } else { checks::begins_install(facts) };
    "links.description_https" Security advises "Links in the description are https" =>
        |facts| wrong(facts.content.description.contains("http://"), "A link in the description is http.");

    // OAuth
    "oauth.redirect_present" Security blocks "An app that begins installations by itself has a redirect address" =>
        |facts| wrong(!facts.content.install_url.is_empty() && facts.content.redirect_uris.is_empty(), "Give the address that customers return to.");
    "oauth.redirect_safe" Security blocks "Redirect addresses are exact and safe" =>
        |facts| facts.content.redirect_uris.iter().find(|uri| !address::is_safe_redirect(uri))
            .map(|uri| format!("`{uri}` is not safe: use https, no wildcard, no fragment, no user name."));
    "oauth.redirect_public" Security blocks "Redirect addresses lead to the public internet" =>
        |facts| facts.content.redirect_uris.iter()
            .find(|uri| address::parse(uri).is_some_and(|there| address::is_safe_redirect(uri) && !checks::is_reachable(facts, &there)))
            .map(|uri| format!("`{uri}` leads to a private host. Take it out before customers install the app."));
    "oauth.redirect_unique" Security blocks "No redirect address is given twice" =>
        |facts| checks::doubled(&facts.content.redirect_uris);
    "oauth.client" Security blocks "The app has a live OAuth client" =>
        |facts| wrong(!facts.has_live_client, "Create an OAuth client for the live environment.");
    "oauth.scopes_known" Security blocks "Scopes asked for exist" =>
        |facts| facts.content.scopes.iter().find(|asked| !facts.known_scopes.contains(&asked.scope))
            .map(|asked| format!("No product of the app has the scope `{}`.", asked.scope));
    "oauth.scopes_unique" Security blocks "No scope is asked for twice" =>
        |facts| checks::doubled(&facts.content.scopes.iter().map(|asked| asked.scope.clone()).collect::<Vec<_>>());
    "oauth.scope_reasons" Compliance blocks "Every scope has a reason of at least 15 characters" =>
        |facts| facts.content.scopes.iter().find(|asked| asked.reason.trim().chars().count() < 15)
            .map(|asked| format!("Say to the customer why `{}` is needed.", asked.scope));
    "oauth.scopes_used" Security blocks "Scopes asked for are used in real gateway traffic" =>
        |facts| facts.content.scopes.iter().find(|asked| !facts.traffic.scopes.contains(&asked.scope))
            .map(|asked| format!("No successful call of the last 30 days needed `{}`. Use it in the sandbox, or do not ask for it.", asked.scope));
    "oauth.scopes_asked" Quality advises "Scopes used in traffic are asked for" =>
        |facts| facts.traffic.scopes.iter().find(|used| !facts.content.scopes.iter().any(|asked| asked.scope == **used))
            .map(|used| format!("The app's calls needed `{used}`, which customers will not have granted."));

    // Webhooks
    "webhook.https" Security blocks "The webhook address, if there is one, is https and public" =>
        |facts| checks::webhook_address(facts);
    "webhook.registered" Security blocks "The webhook address is a registered endpoint" =>
        |facts| wrong(checks::has_webhook(facts) && facts.webhook.is_none(), "Register this address under Webhooks, so that deliveries are signed with its secret.");
    "webhook.ping" Quality blocks "The webhook endpoint answers a signed ping with 2xx" =>
        |facts| wrong(matches!(facts.webhook, Some(WebhookProbe { takes_ping: false, .. })), "The endpoint did not answer a signed ping with 2xx.");
    "webhook.refuses_forgery" Security blocks "The webhook endpoint refuses a wrong signature" =>
        |facts| wrong(matches!(facts.webhook, Some(WebhookProbe { takes_ping: true, refuses_forgery: false })), "The endpoint took a ping with a wrong signature. Verify signatures.");

    // Traffic
    "traffic.sandbox_calls" Quality blocks "The sandbox was called successfully at least 10 times in 30 days" =>
        |facts| wrong(facts.traffic.successes < 10, format!("The gateway counts {} successful sandbox calls.", facts.traffic.successes));
    "traffic.success_rate" Quality blocks "At least 90 % of sandbox calls succeed" =>
        |facts| wrong(facts.traffic.calls > 0 && facts.traffic.successes * 100 < facts.traffic.calls * 90 && facts.traffic.client_errors * 2 < facts.traffic.calls,
            format!("{} of {} calls succeeded.", facts.traffic.successes, facts.traffic.calls));
    "traffic.client_errors" Quality blocks "Fewer than half of the sandbox calls are the app's own mistakes (4xx)" =>
        |facts| wrong(facts.traffic.calls > 0 && facts.traffic.client_errors * 2 >= facts.traffic.calls,
            format!("{} of {} calls were answered 4xx: handle these answers instead of repeating the call.", facts.traffic.client_errors, facts.traffic.calls));
    "traffic.rate_limits" Quality blocks "After 429 the app waits and goes on" =>
        |facts| wrong(facts.traffic.rate_limited > 0 && !facts.traffic.has_recovered,
            format!("{} calls met 429 and none succeeded after. Wait as Retry-After says, then go on.", facts.traffic.rate_limited));
    "traffic.refused_credentials" Security advises "Hardly any call is refused for its credential" =>
        |facts| wrong(facts.traffic.refused_credentials * 10 > facts.traffic.calls.max(10), "More than a tenth of the calls were refused for their credential.");
    "traffic.deprecated" Quality blocks "No deprecated operation is called" =>
        |facts| facts.traffic.gone.first()
            .map(|name| format!("On its last day of traffic the app called `{name}`, which the product no longer offers."))
            .or_else(|| facts.traffic.deprecated.first()
                .map(|name| format!("On its last day of traffic the app called `{name}`, which is deprecated.")));

    // Law
    "compliance.agreements" Compliance blocks "Every agreement is accepted" =>
        |facts| facts.outstanding_agreements.first().map(|title| format!("Not accepted: {title}."));
    "compliance.live_subscription" Compliance blocks "The app has gone live with a plan" =>
        |facts| wrong(!facts.has_live_subscription, "Put the app on a plan and go live, so that installations can be counted.");
    "compliance.not_suspended" Compliance blocks "Neither the organisation nor the app is suspended" =>
        |facts| wrong(facts.is_suspended, "The organisation or the app is suspended. Write to the programme.");
    "compliance.data_use" Compliance blocks "The statement of data use has 40 to 4 000 characters" =>
        |facts| checks::length(&facts.content.data_use, 40, 4_000);
}

/// A rule by id.
pub fn find_rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

/// Whether an address answered well.
pub(super) fn answered_well(probe: Option<&Probe>) -> Result<(), String> {
    match probe {
        Some(Probe::Answered(200..=299)) => Ok(()),
        Some(Probe::Answered(status)) => Err(format!(
            "It answered {status}; 2xx is needed, without a redirect."
        )),
        Some(Probe::Failed(why)) => Err(format!("It did not answer: {why}.")),
        None => Err("It was not asked: the checks ran out of time.".to_owned()),
    }
}
