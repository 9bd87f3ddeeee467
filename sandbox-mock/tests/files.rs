//! Documents in several files: every part may be in its own, also a whole operation.

mod calls;

use sandbox_mock::Mock;
use sandbox_mock::json::{Value, read};
use sandbox_mock::state::NoStore;

const DOCUMENT: &[u8] = br"
openapi: 3.0.3
info: {title: files, version: '1'}
paths:
  /droplets:
    get: {$ref: resources/droplets/list.yml}
    post: {$ref: resources/droplets/missing.yml}
";

fn file(name: &str) -> Option<Vec<u8>> {
    let text = match name {
        "resources/droplets/list.yml" => {
            "operationId: droplets_list
parameters: [{$ref: '../../shared/parameters.yml#/page'}]
responses: {'200': {$ref: responses/all.yml}}"
        }
        "resources/droplets/responses/all.yml" => {
            "description: ok
content: {application/json: {schema: {type: array, minItems: 1, items: {$ref: ../models/droplet.yml}}}}"
        }
        "resources/droplets/models/droplet.yml" => {
            "{type: object, required: [id], properties: {id: {type: integer}}}"
        }
        "shared/parameters.yml" => {
            "page: {name: page, in: query, schema: {type: integer, minimum: 1}}"
        }
        _ => return None,
    };
    Some(text.as_bytes().to_vec())
}

#[test]
fn an_operation_in_a_file_of_its_own_is_served_and_one_that_is_missing_is_named() {
    let (mock, summary) = Mock::from_files(DOCUMENT, &mut file).unwrap();
    assert_eq!(summary.operations, 1);
    let findings: Vec<String> = summary.findings.iter().map(ToString::to_string).collect();
    let missing = "line 7: POST /droplets: $ref resources/droplets/missing.yml leads nowhere: it is not served";
    assert_eq!(findings, [missing]);
    let send = |target: &str| calls::send(&mock, &mut NoStore, "GET", target, "");
    let listed = read(&send("/droplets").body).unwrap();
    let first = listed.as_array().and_then(<[Value]>::first).unwrap();
    assert!(matches!(first.get("id"), Some(Value::Int(_))), "{listed}");
    assert_eq!(send("/droplets?page=0").status, 400);
}
