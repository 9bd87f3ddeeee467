//! The operator's settings, read once per instance from Spin variables.
//!
//! Every variable the portal reads is in [`VARIABLES`]; `spin.toml` declares the same list.

use std::collections::BTreeMap;

use crate::ports::Settings;

/// Name, default and meaning of every variable.
pub const VARIABLES: &[(&str, &str, &str)] = &[
    (
        "environment",
        "production",
        "`development` opens /dev/… and allows cookies without https",
    ),
    ("database", "sqlite", "`sqlite`, or a PostgreSQL URL"),
    (
        "public_url",
        "",
        "where browsers reach the portal, e.g. https://partners.example.com",
    ),
    (
        "gateway_url",
        "",
        "where partners send API calls, shown in curl lines",
    ),
    (
        "programme_name",
        "Partner programme",
        "the name on pages and in e-mails",
    ),
    ("key_brand", "pk", "the first part of API keys, [a-z]{2,10}"),
    (
        "key_pepper",
        "",
        "secret that keys the digests of API keys, at least 32 characters",
    ),
    (
        "edge_secret",
        "",
        "secret shared with the edges, at least 32 characters",
    ),
    (
        "tick_secret",
        "",
        "bearer secret of the scheduler that calls /internal/tick",
    ),
    (
        "signing_seed",
        "",
        "64 hexadecimal digits: seed of the Ed25519 key that signs evidence",
    ),
    (
        "first_administrator_email",
        "",
        "this address becomes administrator when it registers",
    ),
    (
        "visitor_calls",
        "on",
        "`off`: nobody gets a test key without an account",
    ),
    (
        "staff_issuer",
        "",
        "OpenID Connect issuer through which the operator's staff log in",
    ),
    ("staff_client_id", "", "the portal's client there"),
    ("staff_client_secret", "", "its secret"),
    (
        "staff_sign_on",
        "optional",
        "`required`: staff log in only there; the first administrator keeps the password",
    ),
    (
        "staff_second_factor",
        "",
        "`required` or `optional`: whether staff must show two factors; required outside development",
    ),
    (
        "customer_issuer",
        "",
        "OpenID Connect issuer through which the operator's customers log in to install apps",
    ),
    ("customer_client_id", "", "the portal's client there"),
    ("customer_client_secret", "", "its secret"),
    (
        "customer_sign_on",
        "optional",
        "`required`: who is neither a partner's member nor staff logs in only there",
    ),
    (
        "trusted_proxy",
        "",
        "`yes` if a proxy in front sets x-forwarded-for",
    ),
    (
        "invoice_seller",
        "",
        "name and address of the operator as invoices print them",
    ),
    (
        "invoice_grace_hours",
        "24",
        "how long after a period's end usage may still arrive before its invoice is issued",
    ),
    (
        "payment_terms_days",
        "14",
        "days from an invoice's issue to its due date",
    ),
    (
        "suspend_after_days",
        "14",
        "days after the due date at which live calls stop; `never` to keep them",
    ),
    (
        "uncollectible_restores",
        "no",
        "whether live calls that an overdue invoice stopped pass again once it is marked uncollectible (`yes`), or only once it is paid or void (`no`)",
    ),
    (
        "usage_events_url",
        "",
        "a CloudEvents sink that hours of usage are sent to; empty sends none",
    ),
    ("usage_events_key", "", "bearer key of that sink"),
    (
        "stripe_secret_key",
        "",
        "Stripe's secret key; empty keeps payments manual",
    ),
    (
        "stripe_webhook_secret",
        "",
        "the signing secret of Stripe's webhook endpoint (`whsec_…`)",
    ),
    (
        "stripe_api_url",
        "https://api.stripe.com",
        "where Stripe's API answers",
    ),
    (
        "review_two_persons",
        "",
        "`yes` if an app is approved only when two of the staff have judged it",
    ),
    (
        "review_answer_days",
        "5",
        "an app handed in is to be answered within so many days",
    ),
    ("email_from", "partners@localhost", "sender of e-mails"),
    (
        "email_api_url",
        "",
        "the e-mail provider's endpoint; empty keeps e-mails in the outbox",
    ),
    ("email_api_key", "", "the provider's key"),
    (
        "email_api_style",
        "generic",
        "`generic`, `resend` or `postmark`",
    ),
];

/// The settings as the code uses them.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Development: /dev/ routes exist, cookies work on http.
    pub development: bool,
    /// Origin of the portal without a trailing slash; empty if not set.
    pub public_url: String,
    /// Whether `x-forwarded-for` is to be believed.
    pub trusts_forwarded_for: bool,
    variables: BTreeMap<&'static str, String>,
}

impl Configuration {
    /// Reads every variable.
    pub async fn load(settings: &dyn Settings) -> Self {
        let mut variables = BTreeMap::new();
        for (name, default, _) in VARIABLES {
            let value = settings.get(name).await.unwrap_or_default();
            let value = if value.trim().is_empty() {
                (*default).to_owned()
            } else {
                value.trim().to_owned()
            };
            variables.insert(*name, value);
        }
        let text = |name: &str| variables.get(name).cloned().unwrap_or_default();
        Self {
            development: text("environment") == "development",
            public_url: text("public_url").trim_end_matches('/').to_owned(),
            trusts_forwarded_for: text("trusted_proxy") == "yes",
            variables,
        }
    }

    /// The value of a variable of [`VARIABLES`]; its default if it is not set.
    pub fn get(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    /// A variable that must be set for a feature to work. In development a fixed value stands in for
    /// a missing secret, so that the portal and the edges of one machine agree without set-up.
    pub fn secret(&self, name: &str) -> Option<String> {
        match self.get(name) {
            "" if self.development => Some(format!("development-only-{name}-0123456789abcdef")),
            "" => None,
            value => Some(value.to_owned()),
        }
    }

    /// Whether the operator's side opens only to who has shown two factors (ASVS 5.0, 6.3.3).
    pub fn staff_need_second_factor(&self) -> bool {
        match self.get("staff_second_factor") {
            "required" => true,
            "optional" => false,
            _ => !self.development,
        }
    }

    /// Whether browsers reach the portal over https.
    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}
