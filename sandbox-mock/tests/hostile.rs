//! Many thousand byte-mutated requests, the same ones each time.

use sandbox_mock::random::Random;
use sandbox_mock::sample::sample;
use sandbox_mock::state::MemoryStore;
use sandbox_mock::{Context, Mock, Request};

mod mutation;

const DEMO: &[u8] = include_bytes!("../../examples/demo-api/openapi.yaml");
/// Bodies of every kind, which the demo API has not.
const KINDS: &[u8] = br#"
openapi: 3.1.0
info: {title: kinds, version: '1'}
paths:
  /any/{id}:
    post:
      parameters:
        - {name: id, in: path, required: true, schema: {type: [integer, string]}}
        - {name: filter, in: query, style: deepObject, schema: {type: object, additionalProperties: {type: string}}}
        - {name: sort, in: query, explode: false, schema: {type: array, items: {enum: [a, b]}}}
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: '#/components/schemas/Thing'}}
          multipart/form-data: {schema: {$ref: '#/components/schemas/Thing'}}
          application/x-www-form-urlencoded: {schema: {$ref: '#/components/schemas/Thing'}}
          application/xml: {schema: {$ref: '#/components/schemas/Thing'}}
          text/plain: {schema: {type: string, pattern: '^(a+)+$'}}
      responses:
        '200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}, application/xml: {schema: {$ref: '#/components/schemas/Thing'}}}}
components:
  schemas:
    Thing:
      type: object
      required: [name]
      properties:
        name: {type: string, minLength: 1}
        size: {type: integer, multipleOf: 5}
        tags: {type: array, uniqueItems: true, items: {type: string}}
        file: {type: string, format: binary}
        inner: {$ref: '#/components/schemas/Thing'}
        either: {oneOf: [{type: integer}, {type: string, format: date}]}
"#;

#[test]
fn no_mutated_request_meets_an_error_of_ours_and_nothing_panics() {
    for (document, rounds) in [(DEMO, 3_000), (KINDS, 3_000)] {
        let (mock, _) = Mock::from_source(document).unwrap();
        let valid: Vec<_> = (0..mock.operations().len())
            .map(|index| sample(&mock, index, 7).unwrap())
            .collect();
        let mut store = MemoryStore::default();
        let mut random = Random::new(42);
        let context = Context {
            seed: 1,
            tenant: "hostile".to_owned(),
            now_ms: 0,
            stateful: true,
        };
        for round in 0..rounds {
            let Some(valid) = random.clone().pick(&valid) else {
                panic!("there are no operations");
            };
            random.next();
            let hostile = mutation::mutate(valid, &mut random);
            let request = Request {
                method: &hostile.method,
                path: &hostile.path,
                query: &hostile.query,
                headers: &hostile.headers,
                body: &hostile.body,
            };
            let answer = mock.respond_now(request, &mut store, &context);
            assert!(
                mutation::is_harmless(&hostile, answer.status, &answer.body),
                "round {round}: {} {hostile:?}",
                answer.status
            );
        }
    }
}

#[test]
fn no_mutated_request_to_the_sandboxs_own_paths_harms_it() {
    let (mock, _) = Mock::from_source(DEMO).unwrap();
    let mut store = MemoryStore::default();
    let context = Context {
        seed: 1,
        tenant: "hostile".to_owned(),
        now_ms: 0,
        stateful: true,
    };
    let bodies = [
        (
            "PUT",
            "/.portico/faults",
            r#"[{"operation":"*","latency_ms":5,"rate":0.5}]"#,
        ),
        (
            "PUT",
            "/.portico/scenarios",
            r#"[{"scenario":"empty","header":"a","value":"b"}]"#,
        ),
        (
            "PUT",
            "/.portico/webhooks",
            r#"[{"url":"https://a.example/x","events":["a"]}]"#,
        ),
        (
            "PUT",
            "/.portico/snapshot",
            r#"{"version":1,"collections":{"/v1/orders":{"sequence":1,"gone":[],"items":[{"id":"a","item":{}}]}}}"#,
        ),
        (
            "POST",
            "/.portico/seed",
            r#"{"/v1/customers":[{"name":"a"}],"/v1/orders":2}"#,
        ),
        ("POST", "/.portico/clock/advance", r#"{"seconds":5}"#),
        ("POST", "/.portico/events/orderCreated", "{}"),
        ("GET", "/v1/orders", ""),
        ("POST", "/.portico/reset", ""),
    ];
    let mut random = Random::new(7);
    for round in 0..2_000 {
        let Some((method, path, body)) = random.clone().pick(&bodies).copied() else {
            panic!("there are no bodies");
        };
        random.next();
        let valid = sandbox_mock::sample::Sample {
            method: method.to_owned(),
            path: path.to_owned(),
            query: String::new(),
            headers: vec![("authorization".to_owned(), "Bearer x".to_owned())],
            body: body.as_bytes().to_vec(),
        };
        let hostile = mutation::mutate(&valid, &mut random);
        let request = Request {
            method: &hostile.method,
            path: &hostile.path,
            query: &hostile.query,
            headers: &hostile.headers,
            body: &hostile.body,
        };
        let answer = mock.respond_now(request, &mut store, &context);
        assert!(
            mutation::is_harmless(&hostile, answer.status, &answer.body),
            "round {round}: {} {hostile:?}",
            answer.status
        );
    }
}
