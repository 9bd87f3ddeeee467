//! Behaviour of products and plans, on both databases.

use serde_json::json;

use crate::credentials::test_partner::{start, subscription};
use crate::testing::on_every_database;

on_every_database! {
    async fn a_new_version_moves_subscribers_by_its_rule_and_tells_them(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        let manager = portal.sign_up("manager@operator.example", "Operator").await;
        portal.make_operator(&manager, "manager").await;
        let secret = portal.app.configuration.secret("tick_secret").unwrap();
        let subscription = subscription(&portal, &actor, &app).await;
        let plan_now = async || portal.get(&subscription, &actor.token).await.expect(200).json()["plan_id"].as_str().unwrap().to_owned();
        let first = plan_now().await;
        let next = async |summary: &str, quota: i64| {
            let terms = json!({ "price": { "model": "flat", "currency": "USD", "flat_amount": "0" },
                "quota": { "name": "month", "limit": quota, "enforcement": { "kind": "hard" } } });
            let path = format!("/api/v1/operator/plans/{first}/versions");
            let made = portal.post(&path, &manager.token, json!({ "summary": summary, "terms": terms })).await.expect(201).json();
            made["id"].as_str().unwrap().to_owned()
        };
        let second = next("two", 20_000).await;
        let path = format!("/api/v1/operator/plans/{second}");
        let preview = portal.get(&format!("{path}/publications/preview?subscribers=period_end"), &manager.token).await.expect(200).json();
        assert_eq!((preview["subscriptions"].as_i64(), preview["organisations"].as_i64()), (Some(2), Some(2)), "the demo partner's and this one");
        assert!(preview["changes"].to_string().contains("10000 units a period becomes 20000"), "{preview}");
        for (body, field) in [(json!({ "subscribers": "from" }), "from"), (json!({ "subscribers": "from", "from": "2020-01-01T00:00:00Z" }), "from")] {
            let wrong = portal.post(&format!("{path}/publications"), &manager.token, body).await.expect(422).json();
            assert_eq!(wrong["errors"][0]["field"], field);
        }
        portal.post(&format!("{path}/publications"), &manager.token, json!({ "subscribers": "period_end" })).await.expect(200);
        assert_eq!(plan_now().await, first);
        let tick = async || portal.post("/internal/tick", &secret, json!({})).await.expect(200).json();
        assert_eq!(tick().await["subscribers_moved"], 2);
        assert_eq!(tick().await["subscribers_moved"], 0);
        let told = portal.newest_email(&actor.email).await;
        assert_eq!(told["subject"], "The plan Free has a new version");
        assert!(told["text"].as_str().unwrap().contains("2026-02-01"), "{told}");
        let planned = portal.get(&subscription, &actor.token).await.expect(200).json();
        assert_eq!((planned["plan_id"].as_str(), planned["next_plan"]["plan_id"].as_str()), (Some(first.as_str()), Some(second.as_str())));
        // A third version, at once: also for who is on the way to the second.
        let third = next("three", 30_000).await;
        portal.post(&format!("/api/v1/operator/plans/{third}/publications"), &manager.token, json!({ "subscribers": "at_once" })).await.expect(200);
        tick().await;
        let planned = portal.get(&subscription, &actor.token).await.expect(200).json();
        assert_eq!(planned["next_plan"]["plan_id"], third.as_str());
        assert_eq!(planned["phases"].as_array().unwrap().len(), 1);
        portal.advance_ms(32 * 24 * 3_600_000);
        tick().await;
        let token = portal.log_in(&actor.email, crate::testing::PASSWORD).await;
        let moved = portal.get(&subscription, &token).await.expect(200).json();
        assert_eq!(moved["plan_id"], third.as_str());
        let phases: Vec<&str> = moved["phases"].as_array().unwrap().iter().map(|phase| phase["plan_id"].as_str().unwrap()).collect();
        assert_eq!(phases, [first.as_str(), third.as_str()]);
    }

    async fn a_variant_is_for_one_partner_and_follows_its_plan(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        let other = portal.sign_up("bob@example.com", "Bobs").await;
        let manager = portal.sign_up("manager@operator.example", "Operator").await;
        portal.make_operator(&manager, "manager").await;
        let base = subscription(&portal, &actor, &app).await;
        let base = portal.get(&base, &actor.token).await.json()["plan_id"].as_str().unwrap().to_owned();
        let body = json!({ "organisation_id": actor.organisation_id, "overrides": { "quota": { "limit": 77 } } });
        let made = portal.post(&format!("/api/v1/operator/plans/{base}/variants"), &manager.token, body.clone()).await.expect(201).json();
        assert_eq!((made["variant_of"].as_str(), made["terms"]["quota"]["limit"].as_i64()), (Some(base.as_str()), Some(77)));
        let variant = made["id"].as_str().unwrap();
        portal.post(&format!("/api/v1/operator/plans/{variant}/publications"), &manager.token, json!({})).await.expect(200);
        let offered = async |actor: &crate::testing::Actor| {
            let path = format!("/api/v1/organisations/{}/products", actor.organisation_id);
            portal.get(&path, &actor.token).await.expect(200).text()
        };
        assert!(offered(&actor).await.contains(variant) && offered(&actor).await.contains(&base), "the plan itself stays");
        assert!(!offered(&other).await.contains(variant) && offered(&other).await.contains(&base));
        let again = portal.post(&format!("/api/v1/operator/plans/{variant}/variants"), &manager.token, body).await.expect(409);
        assert_eq!(again.code(), "variant_of_variant");
        // The plan gets a price of 9; the variant's next version has it too, and keeps its own quota.
        let terms = json!({ "terms": { "price": { "model": "flat", "currency": "USD", "flat_amount": "9" } } });
        let next = portal.post(&format!("/api/v1/operator/plans/{base}/versions"), &manager.token, terms).await.expect(201).json();
        portal.post(&format!("/api/v1/operator/plans/{}/publications", next["id"].as_str().unwrap()), &manager.token, json!({})).await.expect(200);
        let followed = portal.post(&format!("/api/v1/operator/plans/{variant}/versions"), &manager.token, json!({})).await;
        assert_eq!(followed.status, 422, "the plan has no quota any more, and 77 alone is none: {}", followed.text());
        let wrong = portal.post(&format!("/api/v1/operator/plans/{base}/variants"), &manager.token, json!({ "organisation_id": "org_x", "overrides": {} })).await.expect(422).json();
        assert_eq!(wrong["errors"][0]["field"], "organisation_id");
    }

    async fn the_operators_pages_lead_from_nothing_to_a_published_product(portal: TestPortal) {
        portal.post("/dev/seed", "", json!({})).await.expect(200);
        let manager = portal.sign_up("manager@operator.example", "Operator").await;
        portal.make_operator(&manager, "manager").await;
        let token = &manager.token;
        let product = [("name", "Rates API"), ("sandbox_url", "https://sandbox.example.com"), ("is_public", "yes"), ("meter_1_name", "Rows"), ("meter_1_source", "response_header")];
        let unnamed = portal.submit("/operator/products", token, &product).await.expect(422).text();
        assert!(unnamed.contains("Give the header&#39;s name, such as `x-rows`."), "{unnamed}");
        let made = portal.submit("/operator/products", token, &[product.as_slice(), &[("meter_1_header", "X-Rows")]].concat()).await.expect(303);
        let product = made.header("location").split('?').next().unwrap().to_owned();
        let page = portal.page(&product, token).await.expect(200).text();
        assert!(page.contains("upload an OpenAPI document") && page.contains("response header x-rows"));
        let wrong = portal.submit(&format!("{product}/versions"), token, &[("document", "openapi: 3.1.0\npaths:\n  /a:\n    get:\n      summary: x\n")]).await.expect(422).text();
        assert!(wrong.contains("GET /a has no `operationId`") && wrong.contains("line "), "{wrong}");
        let nothing = portal.submit(&format!("{product}/versions"), token, &[("document", " ")]).await.expect(422).text();
        assert!(nothing.contains("Choose a file, or paste the document."));
        let upload = async |file: &[u8]| {
            let cookie = format!("portico_session={token}");
            let headers = [("content-type", "multipart/form-data; boundary=B"), ("cookie", cookie.as_str()), ("origin", "http://portal.test")];
            let mut body = format!("--B\r\nContent-Disposition: form-data; name=\"csrf_token\"\r\n\r\n{}\r\n--B\r\nContent-Disposition: form-data; name=\"document\"\r\n\r\n\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"api.yaml\"\r\n\r\n", crate::web::csrf::token_of(token)).into_bytes();
            body.extend_from_slice(file);
            body.extend_from_slice(b"\r\n--B--\r\n");
            let mut request = http::Request::builder().method("POST").uri(format!("{product}/versions"))
                .header("host", "portal.test").header("spin-client-addr", "192.0.2.1:5000");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            portal.send(request.body(body.into()).unwrap()).await
        };
        let binary = upload(b"openapi: 3.1.0\n\xff\xfe").await.expect(422).text();
        assert!(binary.contains("line 2: this is no UTF-8 text"), "{binary}");
        let twice = upload(b"openapi: 3.1.0\npaths:\n  /a:\n    get: {}\n    put: {}\n").await.expect(422).text();
        assert!(twice.contains("line 4: GET /a") && twice.contains("line 5: PUT /a"), "{twice}");
        upload(b"\xef\xbb\xbfopenapi: 3.1.0\npaths:\n  /a:\n    get: { operationId: listA }\n").await.expect(303);
        assert!(portal.page(&product, token).await.expect(200).text().contains("listA"));
        let plan = portal.submit(&format!("{product}/plans"), token, &[("plan_name", "Basic")]).await.expect(303);
        let plan = plan.header("location").split('?').next().unwrap().to_owned();
        let refused = portal.submit(&format!("{plan}/publish"), token, &[("subscribers", "stay")]).await.expect(422).text();
        assert!(refused.contains("free is a price"));
        let mut fields = vec![
            ("name", "Basic"), ("position", "1"), ("trial_days", "14"), ("cycle", "month"), ("approval", "rules"), ("sla_hours", "24"),
            ("rule_0_fact", "sandbox_calls"), ("rule_0_condition", "at_least"), ("rule_0_value", "5"), ("rule_0_then", "approve"),
            ("rule_0_reason", ""), ("rule_1_fact", "tags"), ("rule_1_condition", "below"), ("rule_1_value", "3"), ("rule_1_reason", "few"), ("otherwise", "ask"),
            ("price_model", "per_unit"), ("price_currency", "usd"), ("price_unit_amount", ""), ("successful_calls", "3"),
            ("quota_limit", "1000"), ("quota_kind", "corridor"), ("quota_ceiling", "50"), ("quota_lease", "overdraft"), ("quota_overdraft", "7"), ("time_zone", "Berlin"), ("week_starts_on", "sunday"), ("proration", "by_second"),
            ("charge_0_kind", "one_off"), ("charge_0_label", "Set-up"), ("charge_0_amount", "10.005"), ("limit_0_name", "burst"), ("limit_0_limit", "0"), ("limit_0_window", "1"),
            ("metered_0_label", "Rows read"), ("metered_0_meter", "Rows"), ("metered_0_unit_amount", "many"), ("metered_0_included_units", "100"),
        ];
        let wrong = portal.submit(&plan, token, &fields).await.expect(422).text();
        for words in ["price_unit_amount-error", "Say why: the partner reads it.", "This fact is a text", "between 101 and 1000 percent", "Allow at least 1 request",
            "Give the name of an IANA time zone", "has more digits than USD", "decimal"] {
            assert!(wrong.contains(words), "{words} is not in {wrong}");
        }
        for (name, value) in [("price_unit_amount", "0.01"), ("quota_ceiling", "120"), ("limit_0_limit", "5"), ("rule_0_reason", "it works."), ("cycle", "week"), ("time_zone", "Europe/Berlin"), ("charge_0_amount", "10"), ("metered_0_unit_amount", "0.002"),
            ("rule_1_condition", "one_of"), ("rule_1_value", "pilot, friends")] {
            fields.iter_mut().find(|(known, _)| *known == name).unwrap().1 = value;
        }
        portal.submit(&plan, token, &fields).await.expect(303);
        let saved = portal.page(&plan, token).await.expect(200).text();
        for part in ["value=\"sandbox_calls\" selected", "value=\"pilot, friends\"", "value=\"it works.\"", "value=\"per_unit\" selected", "value=\"0.01\"",
            "value=\"Europe/Berlin\" aria", "value=\"sunday\" selected", "value=\"by_second\" selected", "value=\"Set-up\"", "value=\"overdraft\" selected", "value=\"7\"", "value=\"Rows read\"", "value=\"Rows\" selected", "value=\"0.002\"",
            "Price: 10 USD once (Set-up); 0.01 USD a unit; Rows read: 100 units included, then 0.002 USD a unit. Billing periods: weeks from Sunday, Europe/Berlin."] {
            assert!(saved.contains(part), "{part} is not in {saved}");
        }
        let preview = portal.page(&format!("{plan}?subscribers=at_once"), token).await.expect(200).text();
        assert!(preview.contains("0 subscriptions of 0 organisations") && preview.contains("0.01 USD a unit"), "{preview}");
        portal.page(&format!("{plan}?subscribers=from"), token).await.expect(422);
        portal.submit(&format!("{plan}/publish"), token, &[("subscribers", "at_once")]).await.expect(303);
        portal.submit(&format!("{product}/publish"), token, &[]).await.expect(303);
        assert!(portal.page("/products", "").await.expect(200).text().contains("Rates API"));
        assert!(portal.page("/operator/products?q=rates", token).await.expect(200).text().contains("Rates API"));
        let next = portal.submit(&format!("{plan}/versions"), token, &[]).await.expect(303);
        assert!(portal.page(next.header("location"), token).await.expect(200).text().contains("Basic, version 2"));
        portal.page("/operator/edges", token).await.expect(200);
    }

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
