//! Several alternatives of a `oneOf` at once: requests that fit them are refused where the document tells them apart,
//! else read as the API itself must read them; answers never fit more than one.

mod calls;

use sandbox_mock::json::{Value, read};
use sandbox_mock::state::NoStore;
use sandbox_mock::{Mock, Response};

const DOCUMENT: &[u8] = br"
openapi: 3.0.3
info: {title: alternatives, version: '1'}
paths:
  /named:
    post:
      requestBody: {required: true, content: {application/json: {schema: {oneOf: [{$ref: '#/components/schemas/Card'}, {$ref: '#/components/schemas/Bank'}], discriminator: {propertyName: kind, mapping: {card: '#/components/schemas/Card', bank: '#/components/schemas/Bank'}}}}}}
      responses: {'204': {description: ok}}
  /inherited:
    post:
      requestBody: {required: true, content: {application/json: {schema: {oneOf: [{$ref: '#/components/schemas/Cat'}, {$ref: '#/components/schemas/Dog'}]}}}}
      responses: {'204': {description: ok}}
  /undemanding:
    post:
      requestBody: {required: true, content: {application/json: {schema: {oneOf: [{type: object, properties: {a: {type: string}}}, {type: object, properties: {b: {type: string}}}]}}}}
      responses: {'204': {description: ok}}
    get:
      responses:
        '200': {description: ok, content: {application/json: {schema: {oneOf: [{type: object, properties: {a: {type: string}}}, {type: object, properties: {b: {type: string}}}]}}}}
  /means:
    get:
      responses:
        '200': {description: ok, content: {application/json: {schema: {type: object, required: [means], properties: {means: {oneOf: [{$ref: '#/components/schemas/Card'}, {$ref: '#/components/schemas/Bank'}], discriminator: {propertyName: kind, mapping: {card: '#/components/schemas/Card', bank: '#/components/schemas/Bank'}}}}}}}}
  /either:
    post:
      requestBody: {required: true, content: {application/json: {schema: {oneOf: [{type: object, required: [email], properties: {email: {type: string}}}, {type: object, required: [phone], properties: {phone: {type: string}}}]}}}}
      responses: {'204': {description: ok}}
components:
  schemas:
    Card: {type: object, required: [kind], properties: {kind: {type: string}, last4: {type: string}}}
    Bank: {type: object, required: [kind], properties: {kind: {type: string}, account: {type: string}}}
    Pet: {type: object, required: [species], discriminator: {propertyName: species}, properties: {species: {type: string}}}
    Cat: {allOf: [{$ref: '#/components/schemas/Pet'}, {type: object, properties: {hunts: {type: boolean}}}]}
    Dog: {allOf: [{$ref: '#/components/schemas/Pet'}, {type: object, properties: {barks: {type: boolean}}}]}
";

fn send(method: &str, path: &str, body: &str) -> Response {
    let (mock, _) = Mock::from_source(DOCUMENT).unwrap();
    calls::send(&mock, &mut NoStore, method, path, body)
}

fn status(path: &str, body: &str) -> u16 {
    send("POST", path, body).status
}

fn shown(path: &str) -> Value {
    let response = send("GET", path, "");
    assert_eq!(response.status, 200, "{path}");
    read(&response.body).unwrap()
}

#[test]
fn a_discriminator_says_which_alternative_is_meant() {
    assert_eq!(status("/named", r#"{"kind":"card","last4":"4242"}"#), 204);
    assert_eq!(status("/named", r#"{"kind":"card","last4":4242}"#), 400);
    assert_eq!(status("/named", r#"{"kind":"cash"}"#), 400);
}

#[test]
fn so_does_the_discriminator_of_what_the_alternatives_extend() {
    assert_eq!(
        status("/inherited", r#"{"species":"Cat","hunts":true}"#),
        204
    );
    assert_eq!(
        status("/inherited", r#"{"species":"Dog","barks":true}"#),
        204
    );
    assert_eq!(status("/inherited", r#"{"species":"Cow"}"#), 400);
}

#[test]
fn alternatives_that_ask_for_nothing_exclude_nothing() {
    assert_eq!(status("/undemanding", r#"{"a":"x"}"#), 204);
    assert_eq!(status("/undemanding", r#"{"b":"x"}"#), 204);
    assert_eq!(status("/undemanding", r#"{"a":1,"b":1}"#), 400);
}

#[test]
fn alternatives_that_ask_for_something_exclude_each_other() {
    assert_eq!(status("/either", r#"{"email":"a@example.com"}"#), 204);
    let both = r#"{"email":"a@example.com","phone":"1"}"#;
    assert_eq!(status("/either", both), 400);
}

#[test]
fn an_answer_fits_one_alternative_only() {
    let fits = |value: &Value, name: &str| value.get(name).is_none_or(|own| own.as_str().is_some());
    let value = shown("/undemanding");
    assert!(fits(&value, "a") != fits(&value, "b"), "{value}");
    let value = shown("/means");
    let means = value.get("means").unwrap();
    assert!(fits(means, "last4") != fits(means, "account"), "{value}");
    let chosen = if fits(means, "last4") { "card" } else { "bank" };
    assert_eq!(means.get("kind").and_then(Value::as_str), Some(chosen));
}
