//! What every page shows around its content.
//!
//! A page's template `extends "web/templates/layout.html"` and has a field `page: Page`.

use std::rc::Rc;
use std::sync::LazyLock;

use super::assets::{NAMES, Names};
use crate::brand::Brand;
use crate::context::Context;
use crate::organisations::{MemberRole, OperatorRole};
use crate::web::csrf;
use crate::web::languages::{self, Language};

/// One entry of the navigation.
pub struct NavigationItem {
    /// The label.
    pub label: &'static str,
    /// Where it leads.
    pub href: String,
    /// Whether the page shown belongs to it.
    pub is_current: bool,
}

/// What the layout needs.
pub struct Page {
    /// The title, as in the tab and the heading.
    pub title: String,
    /// Whether the title is a name that someone gave, not to be translated.
    pub is_named: bool,
    /// The programme's name, look and legal lines.
    pub brand: Rc<Brand>,
    /// What everyone can read: the entries on top.
    pub places: Vec<NavigationItem>,
    /// The navigation of the organisation or of the operator.
    pub navigation: Vec<NavigationItem>,
    /// The pages of the app shown; empty on other pages.
    pub app_navigation: Vec<NavigationItem>,
    /// The person's name; empty when signed out.
    pub person: String,
    /// The name of the organisation shown; empty if none.
    pub organisation: String,
    /// Proves that a form was shown to this session.
    pub csrf_token: String,
    /// Whether to offer the operator's side.
    pub is_operator: bool,
    /// The language before the page is translated: English.
    pub locale: &'static str,
    /// The languages there are.
    pub languages: Vec<Language>,
    /// Where a change of the language leads back to.
    pub path: String,
    /// A sentence about what was just done (`?done=…`).
    pub notice: &'static str,
    /// Asset names.
    pub assets: &'static LazyLock<Names>,
}

/// What everyone can read.
const PLACES: &[(&str, &str)] = &[
    ("Products", "/products"),
    ("App directory", "/directory"),
    ("Guides", "/guides"),
];

/// Pages of an app: label, path below the app. Each domain with pages of an app adds its line.
const APP_NAVIGATION: &[(&str, &str)] = &[
    ("Overview", ""),
    ("Keys", "/credentials"),
    ("Usage", "/usage"),
    ("Plans and going live", "/subscriptions"),
    ("Listing", "/listing"),
    ("Review", "/submissions"),
    ("OAuth", "/oauth-clients"),
    ("Installs", "/installs"),
];

/// Entries of an organisation's navigation: label, path below the organisation, who sees it. Each
/// domain with pages adds its line.
const ORGANISATION_NAVIGATION: &[(&str, &str, &[MemberRole])] = &[
    ("Home", "", crate::routes::ANY_MEMBER),
    ("Apps", "/apps", crate::routes::ANY_MEMBER),
    ("Usage", "/usage", crate::routes::ANY_MEMBER),
    ("Members", "/members", crate::routes::ANY_MEMBER),
    ("Billing", "/billing", crate::routes::ANY_MEMBER),
    ("Agreements", "/agreements", crate::routes::ANY_MEMBER),
    ("Single sign-on", "/sign-on", crate::routes::OWNERS),
    ("Webhooks", "/webhooks", crate::routes::ANY_MEMBER),
    ("Support", "/support", crate::routes::ANY_MEMBER),
    ("Settings", "/settings", crate::routes::ANY_MEMBER),
];

/// Entries of the operator's navigation.
const OPERATOR_NAVIGATION: &[(&str, &str, &[OperatorRole])] = &[
    ("Today", "/operator", OperatorRole::ANY),
    ("Analytics", "/operator/analytics", OperatorRole::ANY),
    ("Agreements", "/operator/agreements", OperatorRole::ANY),
    ("Requests", "/operator/requests", OperatorRole::ANY),
    ("Products", "/operator/products", OperatorRole::ANY),
    ("Edges", "/operator/edges", OperatorRole::ANY),
    ("Billing", "/operator/billing", OperatorRole::ANY),
    ("Reviews", "/operator/submissions", OperatorRole::ANY),
    ("Installs", "/operator/installs", OperatorRole::ANY),
    ("Webhooks", "/operator/webhooks", OperatorRole::ANY),
    ("Guides", "/operator/guides", OperatorRole::ANY),
    ("E-mails", "/operator/emails", OperatorRole::ANY),
    ("Brand", "/operator/brand", OperatorRole::ANY),
    ("Partners", "/operator/partners", OperatorRole::ANY),
    ("Support", "/operator/threads", OperatorRole::ANY),
    ("Tiers", "/operator/tiers", OperatorRole::ANY),
    ("Invitations", "/operator/invitations", OperatorRole::ANY),
    ("Access", "/operator/access", OperatorRole::ANY),
    ("Audit", "/operator/audit", crate::routes::ADMINISTRATORS),
];

/// Sentences that a redirect may ask the next page to show. Only these: the query never puts its own
/// text on a page.
const NOTICES: &[(&str, &str)] = &[
    ("saved", "Saved."),
    ("sent", "Sent."),
    ("removed", "Removed."),
    ("accepted", "Accepted. Thank you."),
    ("published", "Published."),
    ("verified", "Your address is verified. Welcome."),
    (
        "password",
        "Your password is changed. Other sessions were ended.",
    ),
    (
        "second-factor",
        "The operator's side asks for two factors: set up an authenticator or a passkey here, or log in with it.",
    ),
    ("closed", "Closed. Nothing of it works any more."),
    ("logged-out", "You are logged out."),
];

impl Page {
    /// A page for a request.
    pub fn new(context: &Context, title: &str) -> Self {
        let mut page = Self::bare(context.app.brand(), title);
        let path = context.request.uri().path();
        for place in &mut page.places {
            place.is_current = path == place.href || path.starts_with(&format!("{}/", place.href));
        }
        if context.route.template.starts_with("/apps/{app_id}") {
            let base = format!("/apps/{}", context.path_text("app_id"));
            page.app_navigation = APP_NAVIGATION
                .iter()
                .map(|(label, below)| item(label, format!("{base}{below}"), below.is_empty(), path))
                .collect();
        }
        if let Some(person) = context.person_optional() {
            page.person.clone_from(&person.name);
            page.csrf_token.clone_from(&person.csrf_token);
            page.is_operator = !person.operator_roles.is_empty();
            if let Some((organisation_id, role)) = &person.membership {
                let base = format!("/organisations/{organisation_id}");
                page.navigation = ORGANISATION_NAVIGATION
                    .iter()
                    .filter(|(_, _, roles)| roles.contains(role))
                    .map(|(label, below, _)| {
                        item(label, format!("{base}{below}"), below.is_empty(), path)
                    })
                    .collect();
            } else if path.starts_with("/operator") {
                page.navigation = OPERATOR_NAVIGATION
                    .iter()
                    .filter(|(_, _, roles)| OperatorRole::any_of(&person.operator_roles, roles))
                    .map(|(label, href, _)| {
                        item(label, (*href).to_owned(), *href == "/operator", path)
                    })
                    .collect();
            }
        }
        if context.request.method() == http::Method::GET {
            page.path = context
                .request
                .uri()
                .path_and_query()
                .map_or("/", http::uri::PathAndQuery::as_str)
                .to_owned();
        }
        if let Some(done) = context.query("done") {
            page.notice = NOTICES
                .iter()
                .find(|(name, _)| *name == done)
                .map_or("", |(_, sentence)| sentence);
        }
        page
    }

    /// The same with a title that is a name: of an app, of an organisation.
    pub fn named(mut self) -> Self {
        self.is_named = true;
        self
    }

    /// A page of an organisation: as [`Page::new`], with its name on top.
    pub fn of_organisation(context: &Context, title: &str, organisation: &str) -> Self {
        let mut page = Self::new(context, title);
        organisation.clone_into(&mut page.organisation);
        page
    }

    /// A page that knows nothing of its visitor.
    pub fn bare(brand: Rc<Brand>, title: &str) -> Self {
        Self {
            title: title.to_owned(),
            is_named: false,
            brand,
            places: PLACES
                .iter()
                .map(|(label, href)| item(label, (*href).to_owned(), false, ""))
                .collect(),
            navigation: Vec::new(),
            app_navigation: Vec::new(),
            person: String::new(),
            organisation: String::new(),
            csrf_token: String::new(),
            is_operator: false,
            locale: "en",
            languages: languages::all().collect(),
            path: String::from("/"),
            notice: "",
            assets: &NAMES,
        }
    }

    /// The name of the hidden field that carries [`Page::csrf_token`].
    pub fn csrf_field(&self) -> &'static str {
        csrf::FIELD
    }
}

fn item(label: &'static str, href: String, is_exact: bool, path: &str) -> NavigationItem {
    let is_current = path == href || !is_exact && path.starts_with(&format!("{href}/"));
    NavigationItem {
        label,
        href,
        is_current,
    }
}
