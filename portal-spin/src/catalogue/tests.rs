//! Behaviour of products and plans, on both databases.

use serde_json::json;

use crate::testing::on_every_database;

on_every_database! {
    async fn the_operator_builds_a_product_and_is_told_what_is_missing(portal: TestPortal) {
        let manager = portal.sign_up("manager@operator.example", "Operator").await;
        portal.make_operator(&manager, "manager").await;
        let base = "/api/v1/operator/products";
        let product = portal.post(base, &manager.token, json!({ "name": "Rates API" })).await.expect(201).json();
        let path = format!("{base}/{}", product["id"].as_str().unwrap());
        let refused = portal.post(&format!("{path}/publications"), &manager.token, json!({})).await.expect(422).json();
        let fields: Vec<&str> = refused["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["operations", "sandbox_url", "plans", "agreements"]);
        assert_eq!(portal.post(base, &manager.token, json!({ "name": "Rates api" })).await.expect(422).json()["errors"][0]["code"], "taken");
        let document = "openapi: 3.1.0\npaths:\n  /v1/rates:\n    get: { operationId: listRates }\n";
        portal.post(&format!("{path}/versions"), &manager.token, json!({ "document": document, "weights": { "listRates": 2 } })).await.expect(201);
        let broken = portal.post(&format!("{path}/versions"), &manager.token, json!({ "document": "nothing" })).await.expect(422).json();
        assert_eq!(broken["errors"][0]["field"], "document");
        let plan = portal.post(&format!("{path}/plans"), &manager.token, json!({ "name": "Basic" })).await.expect(201).json();
        let plan_path = format!("/api/v1/operator/plans/{}", plan["id"].as_str().unwrap());
        let no_price = portal.post(&format!("{plan_path}/publications"), &manager.token, json!({})).await.expect(422).json();
        assert_eq!(no_price["errors"][0]["field"], "terms.price");
        let terms = json!({ "terms": { "price": { "model": "flat", "currency": "EUR", "flat_amount": "0" } } });
        portal.call("PATCH", &plan_path, &manager.token, Some(terms.clone())).await.expect(200);
        portal.post(&format!("{plan_path}/publications"), &manager.token, json!({})).await.expect(200);
        let changed = portal.call("PATCH", &plan_path, &manager.token, Some(terms)).await.expect(409);
        assert_eq!(changed.code(), "plan_published");
        let next = portal.post(&format!("{plan_path}/versions"), &manager.token, json!({ "summary": "Better" })).await.expect(201).json();
        assert_eq!((next["version"].as_i64(), next["state"].as_str()), (Some(2), Some("draft")));
        let seen = portal.get(&path, &manager.token).await.expect(200).json();
        let missing: Vec<String> = seen["missing"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
        assert_eq!(missing.len(), 3, "sandbox, weight meter, agreement: {missing:?}");
        assert!(missing.iter().any(|text| text.starts_with("meters: operations have weights")));
    }
}
