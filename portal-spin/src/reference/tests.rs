//! The reference and the try-it form.

use serde_json::json;

use super::read_reference;
use crate::testing::on_every_database;
use shared::plan::Operation;

#[test]
fn a_document_that_refers_to_itself_ends() {
    let document = r##"{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{"/n":{"post":{
        "operationId":"n","requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Node"}}}},
        "responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Node"}}}}}}}},
        "components":{"schemas":{"Loop":{"$ref":"#/components/schemas/Loop"},"Node":{"type":"object","properties":{
            "name":{"type":"string","description":"<b>bold</b>"},
            "loop":{"$ref":"#/components/schemas/Loop"},
            "children":{"type":"array","items":{"$ref":"#/components/schemas/Node"}}}}}}}"##;
    let operation = Operation {
        name: "n".to_owned(),
        method: "POST".to_owned(),
        path: "/n".to_owned(),
        scopes: vec![],
        weight: 1,
        deprecated: false,
    };
    let reference = read_reference(document, &[operation]).unwrap();
    let link = &reference.groups[0].operations[0];
    let page = reference
        .operation(link, "https://api.example.com")
        .unwrap();
    assert!(
        page.body_members.contains("The same again."),
        "{}",
        page.body_members
    );
    assert!(
        page.body_members.contains("&lt;b&gt;bold"),
        "descriptions are text"
    );
    assert!(page.body_sample.contains("children"));
}

fn operation(name: &str, method: &str, path: &str) -> Operation {
    Operation {
        name: name.to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        scopes: vec![],
        weight: 1,
        deprecated: false,
    }
}

#[test]
fn a_document_of_2_0_is_read_with_its_bodies_forms_and_answers() {
    let document = r##"{"swagger":"2.0","info":{"title":"Pets","version":"1"},"basePath":"/v2","paths":{
        "/pets/{id}":{"parameters":[{"name":"id","in":"path","required":true,"type":"integer","minimum":1}],
          "put":{"operationId":"changePet","parameters":[{"name":"pet","in":"body","schema":{"$ref":"#/definitions/Pet"}}],
            "responses":{"200":{"description":"ok","schema":{"$ref":"#/definitions/Pet"}}}},
          "post":{"operationId":"renamePet","consumes":["application/x-www-form-urlencoded"],
            "parameters":[{"name":"new name","in":"formData","required":true,"type":"string","default":"Rex & Co"}],
            "responses":{"204":{"description":"done"}}}}},
        "definitions":{"Pet":{"type":"object","properties":{"nickname":{"type":"string"}}}}}"##;
    let operations = [
        operation("changePet", "PUT", "/v2/pets/{id}"),
        operation("renamePet", "POST", "/v2/pets/{id}"),
    ];
    let reference = read_reference(document, &operations).unwrap();
    let links = &reference.groups[0].operations;
    let change = reference
        .operation(&links[0], "https://api.example")
        .unwrap();
    let parameters: Vec<(&str, &str)> = change
        .parameters
        .iter()
        .map(|one| (one.place.as_str(), one.kind.as_str()))
        .collect();
    assert_eq!(parameters, [("path", "integer, at least 1")]);
    assert!(change.body_members.contains("nickname") && change.body_sample.contains("nickname"));
    assert!(change.answers[0].members.contains("nickname"));
    let rename = reference
        .operation(&links[1], "https://api.example")
        .unwrap();
    assert_eq!(rename.parameters[0].place, "form");
    assert!(rename.body_sample.is_empty());
    for (language, text) in &rename.examples {
        assert!(text.contains("new+name=Rex+%26+Co"), "{language}: {text}");
        assert!(
            text.contains("application/x-www-form-urlencoded"),
            "{language}: {text}"
        );
    }
}

on_every_database! {
    async fn every_operation_of_the_demo_has_a_place_and_six_examples(portal: TestPortal) {
        portal.post("/dev/seed", "", json!({})).await.expect(200);
        let overview = portal.page("/products/meridian-commerce/reference", "").await.expect(200).text();
        assert!(overview.contains("Orders") && overview.contains("/v1/orders"), "{overview}");
        let orders = portal.page("/products/meridian-commerce/reference/orders", "").await.expect(200).text();
        for part in ["id=\"listOrders\"", "curl -X GET", "urllib.request", "reqwest", "HttpRequest.newBuilder", "http.NewRequest", "await fetch"] {
            assert!(orders.contains(part), "{part}");
        }
        portal.page("/products/meridian-commerce/reference/none", "").await.expect(404);
    }

    async fn trying_a_call_takes_test_keys_and_known_operations_only(portal: TestPortal) {
        let seed = portal.post("/dev/seed", "", json!({})).await.expect(200).json();
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let path = "/products/meridian-commerce/try";
        let live = seed["live_key"].as_str().unwrap();
        let fields = [("operation", "getOrder"), ("key", live), ("path_order_id", "ord_1")];
        let refused = portal.submit(path, &ada.token, &fields).await.expect(422).text();
        assert!(refused.contains("Only test keys"), "{refused}");
        portal.submit(path, &ada.token, &[("operation", "none")]).await.expect(404);
        assert!(portal.http.requests.borrow().is_empty(), "nothing was sent");

        let answer = http::Response::builder().status(200).header("ratelimit", "\"burst\";r=9;t=1").body("{\"id\":\"ord_1\"}".into()).unwrap();
        portal.http.answers.borrow_mut().push(answer);
        let test = seed["test_key"].as_str().unwrap();
        let fields = [("operation", "getOrder"), ("key", test), ("path_order_id", "../../admin?x#y")];
        let shown = portal.submit(path, &ada.token, &fields).await.expect(200).text();
        assert!(shown.contains("ratelimit") && shown.contains("ord_1"), "{shown}");
        let requests = portal.http.requests.borrow();
        assert!(requests[0].uri().to_string().ends_with("/v1/orders/..%2F..%2Fadmin%3Fx%23y"), "{}", requests[0].uri());
        assert_eq!(requests[0].headers()["authorization"], format!("Bearer {test}"));
    }
}
