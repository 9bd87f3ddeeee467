//! Bodies that do not fit, sent to every operation that takes one: an answer in words that names the
//! member, and never a failure of ours.

use serde_json::{Value, json};

use crate::access::tests::Programme;
use crate::routes::ROUTES;
use crate::web::openapi;

/// The schema of what an operation takes.
fn taken(document: &Value, template: &str, method: &str) -> Value {
    let body = &document["paths"][template][method]["requestBody"];
    let schema = &body["content"]["application/json"]["schema"];
    match schema["$ref"].as_str() {
        Some(name) => document["components"]["schemas"][name.rsplit('/').next().unwrap()].clone(),
        None => schema.clone(),
    }
}

/// Whether a member is a plain text, number or yes-or-no.
fn is_scalar(schema: &Value) -> bool {
    let kind = &schema["type"];
    let words = kind
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![kind.clone()]);
    words.iter().any(|word| {
        word.as_str()
            .is_some_and(|word| ["string", "integer", "boolean"].contains(&word))
    })
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_refused_by_its_member() {
    let programme = Programme::new().await;
    let portal = &programme.portal;
    let staff = portal.sign_up("root@example.com", "Programme").await;
    for role in ["administrator", "manager", "reviewer", "finance", "lawyer"] {
        portal.make_operator(&staff, role).await;
    }
    let document = openapi::document();
    let (mut sent, mut named) = (0, 0);
    for route in ROUTES {
        let is_taken = route.takes.is_some() && route.template.starts_with("/api/v1/");
        if !is_taken {
            continue;
        }
        let method = route.method.as_str();
        let schema = taken(&document, route.template, &method.to_lowercase());
        let path = programme.any_path(route);
        let token = if route.template.contains("/operator/") {
            &staff.token
        } else {
            &programme.ada.token
        };
        let mut bodies = vec![
            (json!([]), String::new()),
            (json!(null), String::new()),
            (json!({ "zq7_unknown": 1 }), "zq7_unknown".to_owned()),
        ];
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            for value in [
                json!({ "a": 1 }),
                json!(-1),
                json!(1e300),
                json!("\u{0}\u{202e}"),
            ] {
                let field = if value.is_object() && is_scalar(member) {
                    name.clone()
                } else {
                    String::new()
                };
                bodies.push((json!({ name.as_str(): value }), field));
            }
        }
        for (body, field) in bodies {
            let what = format!("{} {body}", route.operation_id);
            let answer = portal.call(method, &path, token, Some(body)).await;
            sent += 1;
            assert!(answer.status < 500, "{what}: {}", answer.text());
            if answer.status < 400 {
                continue;
            }
            let problem = answer.json();
            assert!(
                problem["code"].is_string() && problem["detail"].is_string(),
                "{what}"
            );
            if answer.status != 422 || field.is_empty() {
                continue;
            }
            let fields: Vec<&str> = problem["errors"]
                .as_array()
                .unwrap_or_else(|| panic!("{what}: {problem}"))
                .iter()
                .filter_map(|error| error["field"].as_str())
                .collect();
            // What comes before it in the body may be missing too, and is then named first.
            assert!(!fields.is_empty(), "{what}: {problem}");
            if fields.contains(&field.as_str()) {
                named += 1;
            }
        }
    }
    assert!(sent > 1_000 && named > 150, "{sent} sent, {named} named");
}
