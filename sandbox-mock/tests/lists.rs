//! Lists of what was created: filtered, sorted, in pages.

mod calls;

use sandbox_mock::json::{Value, read};
use sandbox_mock::state::MemoryStore;
use sandbox_mock::{Mock, Response};

const DOCUMENT: &[u8] = br"
openapi: 3.0.3
info: {title: lists, version: '1'}
paths:
  /users:
    post:
      requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/User'}}}}
      responses: {'201': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/User'}}}}}
    get:
      parameters:
        - {name: page, in: query, schema: {type: integer, minimum: 1}}
        - {name: per_page, in: query, schema: {type: integer, minimum: 1}}
        - {name: status, in: query, schema: {type: array, items: {type: string}}}
        - {name: sort, in: query, schema: {type: string}}
        - {name: order, in: query, schema: {type: string, enum: [asc, desc]}}
      responses:
        '200':
          description: ok
          headers: {Link: {schema: {type: string}}, X-Total-Count: {schema: {type: integer}}}
          content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/User'}}}}
  /users/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/User'}}}}}
components:
  schemas:
    User: {type: object, required: [id, name], properties: {id: {type: string, readOnly: true}, name: {type: string}, age: {type: integer}, status: {type: string, enum: [active, invited, closed]}}}
";

fn send(
    mock: &Mock,
    store: &mut MemoryStore,
    method: &str,
    query: &str,
    body: &str,
) -> (Response, Value) {
    let response = calls::send(mock, store, method, &format!("/users?{query}"), body);
    let value = read(&response.body).unwrap();
    (response, value)
}

fn created() -> (Mock, MemoryStore) {
    let (mock, _) = Mock::from_source(DOCUMENT).unwrap();
    let mut store = MemoryStore::default();
    for (name, age, status) in [
        ("Ben", 40, "active"),
        ("ana", 9, "invited"),
        ("Cy", 100, "closed"),
    ] {
        let body = format!(r#"{{"name":"{name}","age":{age},"status":"{status}"}}"#);
        let (response, _) = send(&mock, &mut store, "POST", "", &body);
        assert_eq!(response.status, 201);
    }
    (mock, store)
}

fn names(list: &Value) -> Vec<&str> {
    let entries = list.as_array().unwrap().iter();
    entries
        .map(|entry| entry.get("name").and_then(Value::as_str).unwrap())
        .collect()
}

#[test]
fn a_list_comes_in_the_order_that_is_asked_for() {
    let (mock, mut store) = created();
    for (query, expected) in [
        ("", ["Cy", "ana", "Ben"]),
        ("sort=name", ["ana", "Ben", "Cy"]),
        ("sort=-name", ["Cy", "Ben", "ana"]),
        ("sort=age", ["ana", "Ben", "Cy"]),
        ("sort=age&order=desc", ["Cy", "Ben", "ana"]),
    ] {
        let (_, list) = send(&mock, &mut store, "GET", query, "");
        assert_eq!(names(&list), expected, "{query}");
    }
}

#[test]
fn a_filter_takes_any_of_its_values() {
    let (mock, mut store) = created();
    for query in ["status=active&status=closed", "status=active,closed"] {
        let (_, list) = send(&mock, &mut store, "GET", query, "");
        assert_eq!(names(&list), ["Cy", "Ben"], "{query}");
    }
}

#[test]
fn the_headers_of_a_page_speak_of_the_list_itself() {
    let (mock, mut store) = created();
    let (first, _) = send(&mock, &mut store, "GET", "per_page=2", "");
    assert_eq!(first.header("x-total-count"), Some("3"));
    assert!(first.header("link").unwrap().ends_with("rel=\"next\""));
    let (last, list) = send(&mock, &mut store, "GET", "per_page=2&page=2", "");
    assert_eq!(names(&list), ["Ben"]);
    assert_eq!(last.header("x-total-count"), Some("3"));
    assert_eq!(
        last.header("link"),
        Some("</users?per_page=2&page=2>; rel=\"self\"")
    );
}
