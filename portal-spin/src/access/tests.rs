//! Every route of the table, tried by those who may not.

use serde_json::json;

use super::{Access, OWNED_OBJECTS};
use crate::organisations::{MemberRole, OperatorRole};
use crate::routes::{ROUTES, Route};
use crate::testing::{Actor, Answer, TestDatabase, TestPortal};

pub(crate) struct Programme {
    pub portal: TestPortal,
    pub ada: Actor,
    /// Real objects of Ada's organisation, by path parameter.
    objects: Vec<(&'static str, String)>,
}

impl Programme {
    pub async fn new() -> Self {
        let portal = TestPortal::on_sqlite().await;
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let lawyer = portal.sign_up("lawyer@example.com", "Operator").await;
        portal.make_operator(&lawyer, "lawyer").await;
        let text = |answer: &Answer, name: &str| answer.json()[name].as_str().unwrap().to_owned();
        let base = format!("/api/v1/organisations/{}", ada.organisation_id);

        let body = json!({ "title": "Terms", "kind": "other" });
        let made = portal
            .post("/api/v1/operator/agreements", &lawyer.token, body)
            .await
            .expect(201);
        let agreement_id = text(&made, "agreement_id");
        let path = format!("/api/v1/operator/agreements/{agreement_id}/versions");
        let body = json!({ "label": "1", "markdown": "Text" });
        let version = portal.post(&path, &lawyer.token, body).await.expect(201);
        let body = json!({
            "agreement_version_id": text(&version, "agreement_version_id"), "has_authority": true,
        });
        let accepted = portal
            .post(&format!("{base}/acceptances"), &ada.token, body)
            .await
            .expect(201);
        let body = json!({ "email": "guest@example.com", "role": "reader" });
        let invited = portal
            .post(&format!("{base}/invitations"), &ada.token, body)
            .await
            .expect(201);
        let members = portal
            .get(&format!("{base}/members"), &ada.token)
            .await
            .json();
        let app = portal
            .post(
                &format!("{base}/apps"),
                &ada.token,
                json!({ "name": "App" }),
            )
            .await
            .expect(201);
        let endpoint = portal
            .post(
                &format!("{base}/webhook-endpoints"),
                &ada.token,
                json!({ "url": "https://hooks.example.com/" }),
            )
            .await
            .expect(201);
        let endpoint_id = endpoint.json()["endpoint"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let objects = vec![
            ("webhook_endpoint_id", endpoint_id),
            ("organisation_id", ada.organisation_id.clone()),
            ("agreement_id", agreement_id),
            ("acceptance_id", text(&accepted, "acceptance_id")),
            ("invitation_id", text(&invited, "invitation_id")),
            (
                "member_id",
                members["items"][0]["member_id"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            ),
            ("app_id", text(&app, "id")),
        ];
        let mut objects = objects;
        objects.push(("invoice_id", insert_invoice(&portal, &ada).await));
        let question = json!({ "subject": "Limits", "body": "How many calls?" });
        let thread = portal
            .post(&format!("{base}/threads"), &ada.token, question)
            .await
            .expect(201);
        objects.push(("thread_id", text(&thread, "id")));
        Self {
            portal,
            ada,
            objects,
        }
    }

    /// The route's path with Ada's objects in it; `None` if one of them does not exist here.
    pub fn path(&self, route: &Route) -> Option<String> {
        let mut path = route.template.to_owned();
        for name in route.parameters() {
            let (_, value) = self.objects.iter().find(|(known, _)| *known == name)?;
            path = path.replace(&format!("{{{name}}}"), value);
        }
        Some(path)
    }

    /// As [`Self::path`], with text that names nothing for objects that do not exist here.
    pub fn any_path(&self, route: &Route) -> String {
        self.path(route).unwrap_or_else(|| {
            route
                .template
                .split('/')
                .map(|segment| {
                    let name = segment.trim_start_matches('{').trim_end_matches('}');
                    let known = self.objects.iter().find(|(known, _)| *known == name);
                    match known {
                        Some((_, value)) if segment.starts_with('{') => value.as_str(),
                        _ if segment.starts_with('{') => "none",
                        _ => segment,
                    }
                })
                .collect::<Vec<_>>()
                .join("/")
        })
    }

    async fn call(&self, route: &Route, path: &str, token: &str) -> Answer {
        let method = route.method.as_str();
        if route.is_api() {
            let body = (method != "GET").then(|| json!({}));
            return self.portal.call(method, path, token, body).await;
        }
        match method {
            "GET" => self.portal.page(path, token).await,
            _ => self.portal.submit(path, token, &[]).await,
        }
    }
}

/// An invoice of Ada's organisation, as a billing run leaves it.
async fn insert_invoice(portal: &TestPortal, ada: &Actor) -> String {
    let context = portal.context().await;
    let invoice_id = shared::ids::InvoiceId::new(1, &[7; 10]).to_string();
    context
        .connection
        .execute(
            "INSERT INTO invoices (invoice_id, organisation_id, kind, number, currency, period_start_ms,
                period_end_ms, issued_at_ms, due_at_ms, total_minor, wallet_minor, credited_minor,
                amount_due_minor, inputs, document)
             VALUES ($1, $2, 'invoice', 'INV-1', 'USD', 0, 1, 2, 3, 100, 0, 0, 100, '', '{}')",
            crate::params![&invoice_id, &ada.organisation_id],
        )
        .await
        .unwrap();
    invoice_id
}

fn name(route: &Route) -> String {
    format!("{} {}", route.method, route.template)
}

#[test]
fn operation_ids_are_unique_and_routes_too() {
    let mut ids: Vec<&str> = ROUTES.iter().map(|route| route.operation_id).collect();
    let mut names: Vec<String> = ROUTES.iter().map(name).collect();
    ids.sort_unstable();
    names.sort_unstable();
    for list in [
        ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>(),
        names,
    ] {
        for pair in list.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
    }
}

#[test]
fn every_member_route_names_an_organisation_or_an_object_with_an_owner() {
    for route in ROUTES
        .iter()
        .filter(|route| matches!(route.access, Access::Member(_)))
    {
        let has_owner = route.parameters().any(|parameter| {
            parameter == "organisation_id"
                || OWNED_OBJECTS.iter().any(|(known, _)| *known == parameter)
        });
        assert!(has_owner, "{} names no organisation", name(route));
    }
}

#[tokio::test]
async fn signed_out_nobody_gets_past_a_route_that_is_not_public() {
    let programme = Programme::new().await;
    for route in ROUTES {
        if matches!(route.access, Access::Public | Access::Development) {
            continue;
        }
        let answer = programme.call(route, &programme.any_path(route), "").await;
        if route.is_api() {
            assert_eq!(answer.status, 401, "{}", name(route));
        } else {
            assert_eq!(answer.status, 303, "{}", name(route));
            assert!(
                answer.header("location").starts_with("/log-in"),
                "{}",
                name(route)
            );
        }
    }
}

#[tokio::test]
async fn another_organisations_object_does_not_exist() {
    let programme = Programme::new().await;
    let bob = programme.portal.sign_up("bob@example.com", "Bobs").await;
    for route in ROUTES
        .iter()
        .filter(|route| matches!(route.access, Access::Member(_)))
    {
        let path = programme.any_path(route);
        let answer = programme.call(route, &path, &bob.token).await;
        assert_eq!(answer.status, 404, "{}", name(route));
        // The 404 above is about ownership: to its owner the same object is there.
        if let (Some(path), true) = (programme.path(route), route.method == http::Method::GET) {
            let answer = programme.call(route, &path, &programme.ada.token).await;
            assert!(
                matches!(answer.status, 200 | 303),
                "{}: {}",
                name(route),
                answer.status
            );
        }
    }
}

#[tokio::test]
async fn an_object_under_another_organisations_path_does_not_exist() {
    let programme = Programme::new().await;
    let bob = programme.portal.sign_up("bob@example.com", "Bobs").await;
    for route in ROUTES
        .iter()
        .filter(|route| matches!(route.access, Access::Member(_)))
    {
        let owned = route
            .parameters()
            .any(|parameter| OWNED_OBJECTS.iter().any(|(known, _)| *known == parameter));
        let (Some(path), true) = (programme.path(route), owned) else {
            continue;
        };
        if !route.template.contains("{organisation_id}") {
            continue;
        }
        // Bob's own organisation in the path, Ada's object behind it.
        let path = path.replace(&programme.ada.organisation_id, &bob.organisation_id);
        let answer = programme.call(route, &path, &bob.token).await;
        assert_eq!(answer.status, 404, "{}", name(route));
    }
}

#[tokio::test]
async fn a_member_without_the_role_is_refused() {
    let programme = Programme::new().await;
    for role in MemberRole::ANY {
        let email = format!("{role}@example.com");
        let member = programme.portal.sign_up(&email, "Own").await;
        programme
            .portal
            .join(&programme.ada, &member, role.as_str())
            .await;
        for route in ROUTES {
            let Access::Member(roles) = route.access else {
                continue;
            };
            let (Some(path), false) = (programme.path(route), roles.contains(role)) else {
                continue;
            };
            let answer = programme.call(route, &path, &member.token).await;
            assert_eq!(answer.status, 403, "{} as {role}", name(route));
        }
    }
}

#[tokio::test]
async fn the_operators_side_does_not_exist_for_partners_and_needs_the_role() {
    let programme = Programme::new().await;
    for route in ROUTES
        .iter()
        .filter(|route| matches!(route.access, Access::Operator(_)))
    {
        let answer = programme
            .call(route, &programme.any_path(route), &programme.ada.token)
            .await;
        assert_eq!(answer.status, 404, "{}", name(route));
    }
    for role in OperatorRole::ANY {
        let staff = programme
            .portal
            .sign_up(&format!("staff-{role}@example.com"), "Staff")
            .await;
        programme.portal.make_operator(&staff, role.as_str()).await;
        for route in ROUTES {
            let Access::Operator(roles) = route.access else {
                continue;
            };
            if OperatorRole::any_of(&[*role], roles) {
                continue;
            }
            let answer = programme
                .call(route, &programme.any_path(route), &staff.token)
                .await;
            assert_eq!(answer.status, 403, "{} as {role}", name(route));
        }
    }
}

#[tokio::test]
async fn development_routes_do_not_exist_in_production() {
    let portal = TestPortal::with(TestDatabase::sqlite(), &[("environment", "production")]).await;
    for route in ROUTES
        .iter()
        .filter(|route| route.access == Access::Development)
    {
        let answer = portal
            .call(route.method.as_str(), route.template, "", None)
            .await;
        assert_eq!(answer.status, 404, "{}", name(route));
    }
}

#[tokio::test]
async fn a_form_from_another_site_or_without_its_token_changes_nothing() {
    let programme = Programme::new().await;
    let cookie = format!("portico_session={}", programme.ada.token);
    let form = ("content-type", "application/x-www-form-urlencoded");
    for route in ROUTES {
        let is_form = route.method == http::Method::POST && !route.is_api();
        let (Some(path), true) = (programme.path(route), is_form) else {
            continue;
        };
        let foreign = [
            form,
            ("cookie", cookie.as_str()),
            ("origin", "https://evil.example"),
        ];
        let answer = programme.portal.request("POST", &path, &foreign, "").await;
        assert_eq!(answer.status, 403, "{} from elsewhere", name(route));
        if route.access == Access::Public {
            continue;
        }
        let own = [
            form,
            ("cookie", cookie.as_str()),
            ("origin", "http://portal.test"),
        ];
        let answer = programme
            .portal
            .request("POST", &path, &own, "csrf_token=guess")
            .await;
        assert_eq!(answer.status, 403, "{} without its token", name(route));
    }
}

#[tokio::test]
async fn a_visitors_form_from_another_site_is_refused_without_any_cookie() {
    let programme = Programme::new().await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let send = async |path: &str, header: Option<(&str, &str)>| {
        let headers: Vec<_> = std::iter::once(form).chain(header).collect();
        programme
            .portal
            .request("POST", path, &headers, "")
            .await
            .status
    };
    for route in ROUTES {
        let is_form = route.method == http::Method::POST
            && route.access == Access::Public
            && !route.is_api()
            && !route.template.starts_with("/oauth/");
        let (Some(path), true) = (programme.path(route), is_form) else {
            continue;
        };
        for header in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("referer", "https://evil.example/http://portal.test/"),
            ("referer", "http://portal.test@evil.example/"),
        ] {
            let status = send(&path, Some(header)).await;
            assert_eq!(status, 403, "{} {header:?}", name(route));
        }
        for header in [
            None,
            Some(("sec-fetch-site", "same-origin")),
            Some(("sec-fetch-site", "none")),
            Some(("origin", "http://portal.test")),
            Some(("referer", "http://portal.test/log-in?next=%2F")),
        ] {
            let status = send(&path, header).await;
            assert_ne!(status, 403, "{} {header:?}", name(route));
        }
    }
}

#[tokio::test]
async fn the_api_with_a_cookie_takes_only_what_another_site_cannot_send() {
    let programme = Programme::new().await;
    let cookie = format!("portico_session={}", programme.ada.token);
    let send = async |headers: &[(&str, &str)]| {
        let mut all = vec![("cookie", cookie.as_str())];
        all.extend_from_slice(headers);
        programme
            .portal
            .request("POST", "/api/v1/organisations", &all, r#"{"name":"New"}"#)
            .await
            .status
    };
    assert_eq!(send(&[("content-type", "text/plain")]).await, 403);
    assert_eq!(
        send(&[
            ("content-type", "application/json"),
            ("origin", "https://evil.example")
        ])
        .await,
        403
    );
    assert_eq!(
        send(&[
            ("content-type", "application/json"),
            ("sec-fetch-site", "cross-site")
        ])
        .await,
        403
    );
    assert_eq!(
        send(&[
            ("content-type", "application/json"),
            ("origin", "http://portal.test")
        ])
        .await,
        201
    );
}
