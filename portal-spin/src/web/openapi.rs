//! `/api/openapi.json`: OpenAPI 3.1, generated from the route table and the types it names.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::response;
use super::schemas::ProblemSchema;
use crate::access::Access;
use crate::context::Context;
use crate::routes::{Outcome, ROUTES, Route};

/// Answers the document.
pub async fn get_openapi(context: &Context) -> Outcome {
    response::json_with_etag(context.header("if-none-match"), &document())
}

/// The document.
pub fn document() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let problem = generator.subschema_for::<ProblemSchema>();
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES
        .iter()
        .filter(|route| route.template.starts_with("/api/v1/"))
    {
        let item = paths.entry(route.template).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            let operation = operation(route, &mut generator);
            item.insert(route.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portico",
            "version": "1",
            "description": "The partner programme's own API. Whatever a page can do, this can do."
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "parameters": common_parameters(),
            "responses": {
                "Problem": {
                    "description": "What went wrong.",
                    "content": { "application/problem+json": { "schema": problem } }
                }
            },
            "securitySchemes": {
                "session": { "type": "http", "scheme": "bearer", "description": "A session token." },
                "edge": { "type": "apiKey", "in": "header", "name": shared::signing::SIGNATURE_HEADER }
            }
        }
    });
    drop_null_defaults(&mut document);
    document
}

/// A member that may be left out needs no `default: null` to say so, and generators of clients take what
/// has a default for something that is always there.
fn drop_null_defaults(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            members.values_mut().for_each(drop_null_defaults);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_null_defaults),
        _ => {}
    }
}

fn operation(route: &Route, generator: &mut schemars::SchemaGenerator) -> Value {
    let parameters = parameters_of(route);
    let (status, body) = match &route.gives {
        Some((status, describe)) => (*status, describe.map(|describe| describe(generator))),
        None => (200, None),
    };
    let mut success = json!({ "description": "Done." });
    if let (Some(body), Some(success)) = (body, success.as_object_mut()) {
        success.insert(
            "content".to_owned(),
            json!({ "application/json": { "schema": body } }),
        );
    }
    let mut operation = json!({
        "operationId": route.operation_id,
        "summary": summary(route.operation_id),
        "tags": [tag(route.template)],
        "parameters": parameters,
        "responses": {
            status.to_string(): success,
            "default": { "$ref": "#/components/responses/Problem" }
        },
        "security": match route.access {
            Access::Public | Access::Development => json!([]),
            Access::Edge => json!([{ "edge": [] }]),
            Access::Tick | Access::Session | Access::Member(_) | Access::Operator(_) => {
                json!([{ "session": [] }])
            }
        }
    });
    if let (Some(describe), Some(operation)) = (route.takes, operation.as_object_mut()) {
        let schema = describe(generator);
        operation.insert(
            "requestBody".to_owned(),
            json!({ "required": true, "content": { "application/json": { "schema": schema } } }),
        );
    }
    operation
}

/// What a request says besides its body.
fn parameters_of(route: &Route) -> Vec<Value> {
    let text = json!({ "type": "string" });
    let mut parameters: Vec<Value> = route
        .parameters()
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text }))
        .collect();
    let named = |name: &str, description: &str| json!({ "name": name, "in": "query", "schema": text, "description": description });
    let common = |name: &str| json!({ "$ref": format!("#/components/parameters/{name}") });
    if let Some(filters) = route.filters {
        parameters.push(common("q"));
        parameters.extend(
            filters
                .iter()
                .map(|name| named(name, "Only rows that have this.")),
        );
        parameters.extend(["limit", "cursor", "format"].map(common));
    }
    parameters.extend(route.asks.iter().map(|name| named(name, "")));
    if route.method == http::Method::POST {
        parameters.push(common("Idempotency-Key"));
    }
    if matches!(
        route.method,
        http::Method::PUT | http::Method::PATCH | http::Method::DELETE
    ) {
        parameters.push(common("If-Match"));
    }
    parameters
}

/// What every list takes, and every request that makes something.
fn common_parameters() -> Value {
    let text = json!({ "type": "string" });
    let query = |name: &str, schema: Value, description: &str| json!({ "name": name, "in": "query", "schema": schema, "description": description });
    json!({
        "q": query("q", text.clone(), "Only rows in which this text stands."),
        "limit": query(
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 }),
            "How many rows; of a file, up to 10 000.",
        ),
        "cursor": query("cursor", text.clone(), "The `next_cursor` of the page before."),
        "format": query(
            "format",
            json!({ "type": "string", "enum": ["json", "csv"], "default": "json" }),
            "`csv` answers the rows as a file.",
        ),
        "Idempotency-Key": {
            "name": "Idempotency-Key", "in": "header", "schema": text,
            "description": "The same key and body get the first answer again.",
        },
        "If-Match": {
            "name": "If-Match", "in": "header", "schema": text,
            "description": "The `ETag` of the object as it was read; 412 if it is another now.",
        },
    })
}

/// `revoke_session` → `Revoke session`.
fn summary(operation_id: &str) -> String {
    let text = operation_id.replace('_', " ");
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}

/// The last literal segment before the object: what the operation is about.
fn tag(template: &str) -> &str {
    template
        .trim_start_matches("/api/v1/")
        .trim_start_matches("organisations/{organisation_id}/")
        .trim_start_matches("operator/")
        .split('/')
        .next()
        .unwrap_or_default()
}
