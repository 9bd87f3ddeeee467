//! Every list of the table, of the API and of pages: searched, filtered, cut into pages and taken as a
//! file in the same way. A new list that lacks one of it fails here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::access::tests::Programme;
use crate::routes::{ROUTES, Route};
use crate::testing::Answer;
use crate::web::openapi;

/// Pages that show a list of the API in full, and why they have no field to search it with.
const SHORT_PAGES: &[(&str, &str)] = &[
    ("list_sessions", "a person's devices, on the account's page"),
    ("list_passkeys", "a person's devices"),
    ("list_invitations", "what is open, below the members"),
    ("list_agreements", "read with the product that needs them"),
    ("list_organisation_agreements", "what is still to accept"),
    ("list_acceptances", "one for each agreement, beside it"),
    ("list_all_agreements", "the programme's own few documents"),
    ("list_staff", "the API's alone: the operator's own people"),
    (
        "list_partner_types",
        "a handful, in the form that changes them",
    ),
    ("list_tier_changes", "the API's alone"),
    ("list_tiers", "a handful, in the form that changes them"),
    ("list_audit_records", "the API's alone"),
    ("list_products", "the catalogue: tiers side by side"),
    ("list_organisation_products", "the catalogue"),
    (
        "list_subscriptions",
        "one for each product, with its checklist",
    ),
    ("list_languages", "the switch at the foot of every page"),
    ("list_email_texts", "fixed by the programme's code"),
    ("list_webhook_events", "fixed by the programme's code"),
    ("list_webhook_endpoints", "a handful"),
    ("list_operator_webhook_endpoints", "a handful"),
    ("search", "it is the search"),
    ("list_guides", "read in their order"),
    ("list_oauth_clients", "a handful for each app"),
    ("list_review_rules", "fixed by the programme's code"),
    ("list_submissions", "the history of one listing"),
    (
        "list_review_templates",
        "a handful, in the form that changes them",
    ),
    ("list_directory", "it has a search of its own"),
    (
        "list_programme_costs",
        "a handful, in the form that changes them",
    ),
];

/// Lists of the API, and the pages that show them with search, file and next page.
const PAGES: &[(&str, &str)] = &[
    ("list_organisations", "show_partners"),
    ("list_programme_invitations", "show_programme_invitations"),
    ("list_all_audit_records", "show_audit_log"),
    ("list_members", "show_members"),
    ("list_apps", "show_apps"),
    ("list_credentials", "show_credentials"),
    ("list_requests", "show_usage_page"),
    ("list_all_products", "show_all_products"),
    ("list_subscription_requests", "show_requests"),
    ("list_emails", "show_emails"),
    ("list_webhook_deliveries", "show_webhook_page"),
    (
        "list_operator_webhook_deliveries",
        "show_operator_webhook_page",
    ),
    ("list_installs", "show_installs_overview"),
    ("list_review_queue", "show_review_queue_page"),
    ("list_opinions", "show_opinions_page"),
    ("list_installations", "show_installations_page"),
    ("list_app_installations", "show_installs_page"),
    ("list_invoices", "show_billing"),
    ("list_all_invoices", "show_operator_billing"),
    ("list_edges", "show_edges"),
    ("list_threads", "show_support"),
    ("list_all_threads", "show_thread_queue"),
];

fn is_list(route: &Route) -> bool {
    route.method == http::Method::GET
        && route.template.starts_with("/api/v1/")
        && route.filters.is_some()
}

/// The members of what an operation of the document answers with.
fn answered_members(document: &Value, route: &Route) -> BTreeSet<String> {
    let method = route.method.as_str().to_lowercase();
    let answer = &document["paths"][route.template][&method]["responses"]["200"];
    let mut schema = &answer["content"]["application/json"]["schema"];
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        schema = &document["components"]["schemas"][name];
    }
    let properties = schema["properties"].as_object();
    properties
        .map(|all| all.keys().cloned().collect())
        .unwrap_or_default()
}

#[test]
fn whatever_answers_rows_is_declared_as_a_list_and_has_a_cursor() {
    let document = openapi::document();
    for route in ROUTES
        .iter()
        .filter(|route| route.method == http::Method::GET)
    {
        let members = answered_members(&document, route);
        if members.contains("items") {
            assert!(
                route.filters.is_some(),
                "{}: say `by […]`",
                route.operation_id
            );
            assert!(
                members.contains("next_cursor"),
                "{}: no cursor",
                route.operation_id
            );
        } else if route.template.starts_with("/api/v1/") {
            assert!(route.filters.is_none(), "{}: no rows", route.operation_id);
        }
    }
}

#[test]
fn every_list_of_the_api_has_its_page_or_a_reason() {
    for route in ROUTES.iter().filter(|route| is_list(route)) {
        let page = PAGES.iter().find(|(list, _)| *list == route.operation_id);
        let reason = SHORT_PAGES
            .iter()
            .find(|(list, _)| *list == route.operation_id);
        assert!(page.is_some() != reason.is_some(), "{}", route.operation_id);
        if let Some((_, page)) = page {
            let page = ROUTES.iter().find(|route| route.operation_id == *page);
            assert!(
                page.is_some_and(|page| page.filters.is_some()),
                "{}",
                route.operation_id
            );
        }
    }
}

/// The texts that stand in a row, longest first: what could be looked for.
fn texts(row: &Value) -> Vec<String> {
    let mut all: Vec<String> = match row {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        _ => Vec::new(),
    };
    all.sort_by_key(|text| std::cmp::Reverse(text.len()));
    all
}

fn with(path: &str, query: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(query)
        .finish();
    format!("{path}?{query}")
}

struct Lists {
    programme: Programme,
    staff: String,
    endpoint: String,
}

impl Lists {
    async fn new() -> Self {
        let programme = Programme::new().await;
        let staff = programme
            .portal
            .sign_up("root@example.com", "Programme")
            .await;
        for role in ["administrator", "manager", "reviewer", "finance"] {
            programme.portal.make_operator(&staff, role).await;
        }
        let portal = &programme.portal;
        let body = json!({ "email": "other@example.com", "role": "developer" });
        let base = format!("/api/v1/organisations/{}", programme.ada.organisation_id);
        portal
            .post(&format!("{base}/invitations"), &programme.ada.token, body)
            .await
            .expect(201);
        let app = json!({ "name": "Second app" });
        portal
            .post(&format!("{base}/apps"), &programme.ada.token, app)
            .await
            .expect(201);
        let body = json!({ "rows": "one@example.net\ntwo@example.net" });
        portal
            .post("/api/v1/operator/invitations", &staff.token, body)
            .await
            .expect(200);
        let body = json!({ "url": "https://hooks.example.com/operator" });
        let made = portal
            .post("/api/v1/operator/webhook-endpoints", &staff.token, body)
            .await
            .expect(201);
        Self {
            endpoint: made.json()["endpoint"]["id"].as_str().unwrap().to_owned(),
            staff: staff.token,
            programme,
        }
    }

    /// Where a route is for who may read it, and who that is.
    fn place(&self, route: &Route) -> (String, &str) {
        if route.template.contains("/operator/") {
            let path = route
                .template
                .replace("{webhook_endpoint_id}", &self.endpoint)
                .replace("{organisation_id}", &self.programme.ada.organisation_id);
            return (path, &self.staff);
        }
        let path = self.programme.path(route);
        let path = path.unwrap_or_else(|| panic!("{}: no object", route.operation_id));
        (path, &self.programme.ada.token)
    }

    async fn get(&self, route: &Route, query: &[(&str, &str)]) -> Answer {
        let (path, token) = self.place(route);
        self.programme.portal.get(&with(&path, query), token).await
    }

    async fn rows(&self, route: &Route, query: &[(&str, &str)]) -> (Vec<Value>, Option<String>) {
        let answer = self.get(route, query).await;
        assert_eq!(answer.status, 200, "{} {query:?}", route.operation_id);
        let page = answer.json();
        let rows = page["items"].as_array().unwrap().clone();
        (rows, page["next_cursor"].as_str().map(str::to_owned))
    }
}

#[tokio::test]
async fn every_list_of_the_api_is_searched_cut_and_taken_as_a_file() {
    let lists = Lists::new().await;
    let mut with_rows = 0;
    let mut cut = 0;
    for route in ROUTES.iter().filter(|route| is_list(route)) {
        let name = route.operation_id;
        let (none, _) = lists
            .rows(route, &[("q", "nothing is called zq7%_!")])
            .await;
        assert!(none.is_empty(), "{name} finds what is not there");
        let file = lists.get(route, &[("format", "csv")]).await;
        assert!(
            file.header("content-type").starts_with("text/csv"),
            "{name}"
        );
        assert_eq!(
            lists.get(route, &[("limit", "0")]).await.status,
            422,
            "{name}"
        );
        for wrong in ["format", "cursor"] {
            let answer = lists.get(route, &[(wrong, "zq7")]).await;
            assert_eq!(answer.status, 422, "{name}: {wrong}");
            assert_eq!(answer.json()["errors"][0]["field"], wrong, "{name}");
        }
        for filter in route.filters.unwrap() {
            let answer = lists.get(route, &[(filter, "zq7")]).await;
            let is_refused = answer.status == 422;
            let is_empty = || answer.json()["items"].as_array().unwrap().is_empty();
            assert!(
                is_refused || is_empty(),
                "{name} does not filter by {filter}"
            );
        }
        let question = if name == "search" { "app" } else { "" };
        let (all, _) = lists.rows(route, &[("q", question)]).await;
        let Some(first) = all.first() else {
            continue;
        };
        with_rows += 1;
        let mut is_found = name == "search";
        for text in texts(first).iter().filter(|text| text.len() < 150) {
            let (found, _) = lists.rows(route, &[("q", &text.to_uppercase())]).await;
            is_found = is_found || found.contains(first);
        }
        assert!(is_found, "{name}: {first}");
        let (page, next) = lists.rows(route, &[("limit", "1"), ("q", question)]).await;
        assert_eq!(page, all[..1], "{name}");
        let Some(next) = next else { continue };
        cut += 1;
        let query = [("limit", "1"), ("q", question), ("cursor", next.as_str())];
        let (second, _) = lists.rows(route, &query).await;
        assert_eq!(second, all[1..2], "{name}");
    }
    assert!(
        with_rows >= 25 && cut >= 12,
        "{with_rows} with rows, {cut} cut"
    );
}

#[tokio::test]
async fn every_page_of_a_growing_list_has_search_and_file_in_its_url() {
    let lists = Lists::new().await;
    for (_, page) in PAGES {
        let route = ROUTES
            .iter()
            .find(|route| route.operation_id == *page)
            .unwrap();
        let (path, token) = lists.place(route);
        let question = "zq7 & nothing";
        let answer = lists
            .programme
            .portal
            .page(&with(&path, &[("q", question)]), token)
            .await;
        assert_eq!(answer.status, 200, "{page}");
        let html = answer.text();
        assert!(html.contains("type=\"search\" "), "{page} has no field");
        assert!(
            html.contains("value=\"zq7 &#38; nothing\""),
            "{page} forgets the question"
        );
        assert!(
            html.contains("q=zq7+%26+nothing&#38;format=csv"),
            "{page} has no file"
        );
    }
}
