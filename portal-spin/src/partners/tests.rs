//! Partner types, the matrix and invitations, on both databases.

use serde_json::{Value, json};

use crate::credentials::test_partner::{start, subscription};
use crate::edges::test_edge::TestEdge;
use crate::testing::{Actor, PASSWORD, TestPortal, on_every_database};
use shared::feed::Change;

async fn manager(portal: &TestPortal) -> Actor {
    let manager = portal.sign_up("manager@operator.example", "Operator").await;
    portal.make_operator(&manager, "manager").await;
    manager
}

async fn product(portal: &TestPortal) -> Value {
    let catalogue = portal.get("/api/v1/products", "").await.expect(200).json();
    catalogue["items"][0].clone()
}

/// The environments that an edge knows of the app's subscription.
async fn environments(portal: &TestPortal, edge: &mut TestEdge, path: &str) -> usize {
    edge.catch_up(portal).await;
    let id = path.rsplit('/').next().unwrap();
    let newest = edge.changes.iter().rev().find_map(|change| match change {
        Change::Subscription(known) if known.subscription.to_string() == id => {
            Some(known.environments.len())
        }
        _ => None,
    });
    newest.unwrap()
}

on_every_database! {
    async fn a_product_closed_to_a_type_leaves_catalogue_api_and_gateway(portal: TestPortal) {
        let (ada, app) = start(&portal).await;
        let boss = manager(&portal).await;
        let product = product(&portal).await;
        let subscription = subscription(&portal, &ada, &app).await;
        let mut edge = TestEdge::new(&portal, "edge-1", 1);
        assert_eq!(environments(&portal, &mut edge, &subscription).await, 1);

        let put = |path: &str, body: Value| {
            let (path, token) = (format!("/api/v1/operator/{path}"), boss.token.clone());
            let portal = &portal;
            async move { portal.call("PUT", &path, &token, Some(body)).await }
        };
        put("partner-types/agency", json!({ "name": "Agency" })).await.expect(200);
        let matrix = "/api/v1/operator/access-matrix/agency";
        let close = json!({ "cells": [{ "product_id": product["id"], "is_open": false }] });
        let done = portal.call("PATCH", matrix, &boss.token, Some(close)).await.expect(200).json();
        assert_eq!(done["subscriptions_barred"], 0, "nobody is of the type yet");

        let partner = format!("/api/v1/operator/organisations/{}", ada.organisation_id);
        let done = portal.call("PATCH", &partner, &boss.token, Some(json!({ "partner_type": "agency" }))).await.expect(200).json();
        assert_eq!((done["partner_type"].as_str(), done["subscriptions_barred"].as_u64()), (Some("agency"), Some(1)));
        assert_eq!(environments(&portal, &mut edge, &subscription).await, 0, "an edge then says subscription_required");
        assert_eq!(portal.get(&subscription, &ada.token).await.expect(200).json()["state"], "barred");
        let told = portal.newest_email(&ada.email).await;
        assert!(told["text"].as_str().unwrap().contains("no longer open"), "{told}");

        let id = product["id"].as_str().unwrap();
        let slug = product["slug"].as_str().unwrap();
        let own = format!("/api/v1/organisations/{}/products", ada.organisation_id);
        assert_eq!(portal.get(&own, &ada.token).await.expect(200).json()["items"].as_array().unwrap().len(), 0);
        portal.get(&format!("/api/v1/products/{id}"), &ada.token).await.expect(404);
        portal.get(&format!("/api/v1/products/{id}"), "").await.expect(200);
        portal.page(&format!("/products/{slug}"), &ada.token).await.expect(404);
        assert!(!portal.page("/products", &ada.token).await.expect(200).text().contains(&format!("/products/{slug}")));
        let plan = json!({ "plan_id": product["plans"][0]["id"] });
        let apps = format!("/api/v1/organisations/{}/apps", ada.organisation_id);
        let second = portal.post(&apps, &ada.token, json!({ "name": "Second" })).await.expect(201).json();
        let refused = portal.post(&format!("/api/v1/apps/{}/subscriptions", second["id"].as_str().unwrap()), &ada.token, plan).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], "plan_id");

        let open = json!({ "cells": [{ "product_id": product["id"], "is_open": null }] });
        let done = portal.call("PATCH", matrix, &boss.token, Some(open)).await.expect(200).json();
        assert_eq!(done["subscriptions_opened"], 1);
        assert_eq!(environments(&portal, &mut edge, &subscription).await, 1);
        assert_eq!(portal.get(&subscription, &ada.token).await.expect(200).json()["state"], "active");
    }

    async fn a_plan_closed_to_a_type_is_hidden_and_its_product_stays(portal: TestPortal) {
        let (ada, _) = start(&portal).await;
        let boss = manager(&portal).await;
        let product = product(&portal).await;
        let scale = product["plans"].as_array().unwrap().iter().find(|plan| plan["name"] == "Scale").unwrap().clone();
        let body = json!({ "cells": [{ "product_id": product["id"], "plan_slug": scale["slug"], "is_open": false }] });
        portal.call("PATCH", "/api/v1/operator/access-matrix/standard", &boss.token, Some(body)).await.expect(200);
        let own = format!("/api/v1/organisations/{}/products", ada.organisation_id);
        let seen = portal.get(&own, &ada.token).await.expect(200).json();
        let names: Vec<&str> = seen["items"][0]["plans"].as_array().unwrap().iter().map(|plan| plan["name"].as_str().unwrap()).collect();
        assert!(!names.contains(&"Scale") && names.contains(&"Free"), "{names:?}");
        for body in [
            json!({ "cells": [{ "product_id": "prd_none", "is_open": true }] }),
            json!({ "cells": [{ "product_id": product["id"], "plan_slug": "none", "is_open": true }] }),
        ] {
            portal.call("PATCH", "/api/v1/operator/access-matrix/standard", &boss.token, Some(body)).await.expect(422);
        }
        portal.call("PATCH", "/api/v1/operator/access-matrix/none", &boss.token, Some(json!({ "cells": [] }))).await.expect(404);
    }

    async fn a_type_closed_by_default_sees_only_what_is_opened(portal: TestPortal) {
        let (ada, _) = start(&portal).await;
        let boss = manager(&portal).await;
        let product = product(&portal).await;
        let body = json!({ "name": "Pilot", "is_open_by_default": false });
        portal.call("PUT", "/api/v1/operator/partner-types/pilot", &boss.token, Some(body)).await.expect(200);
        let partner = format!("/api/v1/operator/organisations/{}", ada.organisation_id);
        let body = json!({ "partner_type": "pilot", "tags": ["Cohort-1", "cohort-1"] });
        let sorted = portal.call("PATCH", &partner, &boss.token, Some(body)).await.expect(200).json();
        assert_eq!(sorted["tags"], json!(["cohort-1"]));
        let own = format!("/api/v1/organisations/{}/products", ada.organisation_id);
        let count = async || portal.get(&own, &ada.token).await.expect(200).json()["items"].as_array().unwrap().len();
        assert_eq!(count().await, 0);
        let body = json!({ "cells": [{ "product_id": product["id"], "is_open": true }] });
        portal.call("PATCH", "/api/v1/operator/access-matrix/pilot", &boss.token, Some(body)).await.expect(200);
        assert_eq!(count().await, 1);
        for (filter, found) in [("tag=cohort-1", 1), ("tag=cohort-2", 0), ("partner_type=pilot", 1), ("tier=standard&tag=COHORT-1", 1)] {
            let list = portal.get(&format!("/api/v1/operator/organisations?{filter}"), &boss.token).await.expect(200).json();
            assert_eq!(list["items"].as_array().unwrap().len(), found, "{filter}");
        }
        let page = portal.page("/operator/partners?tag=cohort-1", &boss.token).await.expect(200).text();
        assert!(page.contains("Partner") && page.contains("value=\"cohort-1\""));
        portal.call("DELETE", "/api/v1/operator/partner-types/pilot", &boss.token, None).await.expect(409);
        portal.call("DELETE", "/api/v1/operator/partner-types/standard", &boss.token, None).await.expect(409);
        portal.call("PATCH", &partner, &boss.token, Some(json!({ "tier": "gold" }))).await.expect(422);
        portal.call("PUT", "/api/v1/operator/tiers/gold", &boss.token, Some(json!({ "name": "Gold", "position": 2, "is_default": true }))).await.expect(200);
        let bob = portal.sign_up("bob@example.com", "Bobs").await;
        let own = portal.get(&format!("/api/v1/organisations/{}", bob.organisation_id), &bob.token).await.json();
        assert_eq!((own["tier"].as_str(), own["partner_type"].as_str()), (Some("gold"), Some("standard")));
    }

    async fn a_bad_row_of_an_invitation_list_costs_no_other(portal: TestPortal) {
        start(&portal).await;
        let boss = manager(&portal).await;
        let product = product(&portal).await;
        let starter = product["plans"].as_array().unwrap().iter().find(|plan| plan["name"] == "Starter").unwrap()["id"].clone();
        portal.call("PUT", "/api/v1/operator/partner-types/agency", &boss.token, Some(json!({ "name": "Agency" }))).await.expect(200);
        let rows = "email,organisation,partner_type,tags\nnew@example.com,New Ltd,agency,beta\nnonsense,,,\nother@example.com,,nowhere,\nNEW@example.com,,,\nthird@example.com,,,\n";
        let body = json!({ "rows": rows, "tags": ["pilot-1"], "plan_id": starter });
        let done = portal.post("/api/v1/operator/invitations", &boss.token, body.clone()).await.expect(200).json();
        let outcomes: Vec<(&str, u64)> = done["rows"].as_array().unwrap().iter().map(|row| (row["outcome"].as_str().unwrap(), row["line"].as_u64().unwrap())).collect();
        assert_eq!(outcomes, [("invited", 2), ("invalid", 3), ("invalid", 4), ("repeated", 5), ("invited", 6)]);
        assert_eq!(done["invited"], 2);
        assert!(done["rows"][2]["detail"].as_str().unwrap().contains("nowhere"));
        let again = portal.post("/api/v1/operator/invitations", &boss.token, body).await.expect(200).json();
        assert_eq!((again["invited"].as_u64(), again["rows"][0]["outcome"].as_str()), (Some(0), Some("already_invited")));
        portal.post("/api/v1/operator/invitations", &boss.token, json!({ "rows": "a@b.example", "plan_id": "pln_none" })).await.expect(422);
        portal.post("/api/v1/operator/invitations", &boss.token, json!({ "rows": " \n" })).await.expect(422);

        let link = portal.newest_email("new@example.com").await["links"][0].as_str().unwrap().to_owned();
        let token = link.split("token=").nth(1).unwrap();
        let page = portal.page(&format!("/join?token={token}"), "").await.expect(200).text();
        assert!(page.contains("New Ltd") && page.contains("new@example.com"));
        let body = json!({ "token": token, "organisation_name": "New Ltd", "password": PASSWORD });
        let joined = portal.post("/api/v1/programme-invitations/accept", "", body.clone()).await.expect(201).json();
        let (session, organisation) = (joined["session_token"].as_str().unwrap(), joined["organisation_id"].as_str().unwrap());
        assert_eq!(portal.post("/api/v1/programme-invitations/accept", "", body).await.expect(409).code(), "already_joined");
        let seen = portal.get(&format!("/api/v1/operator/organisations/{organisation}"), &boss.token).await.expect(200).json();
        assert_eq!((seen["partner_type"].as_str(), &seen["tags"]), (Some("agency"), &json!(["beta", "pilot-1"])));
        let app = portal.post(&format!("/api/v1/organisations/{organisation}/apps"), session, json!({ "name": "App" })).await.expect(201).json();
        let list = portal.get(&format!("/api/v1/apps/{}/subscriptions", app["id"].as_str().unwrap()), session).await.expect(200).json();
        assert_eq!(list["items"][0]["plan_name"], "Starter");
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        let sent = portal.get("/api/v1/operator/invitations?tag=beta", &boss.token).await.expect(200).json();
        assert_eq!((sent["items"].as_array().unwrap().len(), &sent["items"][0]["state"]), (1, &json!("accepted")));
    }

    async fn who_was_invited_and_registers_without_the_link_gets_the_preset(portal: TestPortal) {
        start(&portal).await;
        let boss = manager(&portal).await;
        let body = json!({ "rows": "third@example.com", "tags": ["pilot-1"] });
        portal.post("/api/v1/operator/invitations", &boss.token, body).await.expect(200);
        let link = portal.newest_email("third@example.com").await["links"][0].as_str().unwrap().to_owned();
        let third = portal.sign_up("third@example.com", "Third").await;
        let seen = portal.get(&format!("/api/v1/operator/organisations/{}", third.organisation_id), &boss.token).await.expect(200).json();
        assert_eq!(seen["tags"], json!(["pilot-1"]));
        let path = link.trim_start_matches("http://portal.test");
        assert_eq!(portal.page(path, &third.token).await.expect(303).header("location"), "/organisations");
    }

    async fn an_invited_person_with_an_account_gets_another_organisation(portal: TestPortal) {
        start(&portal).await;
        let boss = manager(&portal).await;
        let bob = portal.sign_up("bob@example.com", "Bobs").await;
        portal.post("/api/v1/operator/invitations", &boss.token, json!({ "rows": "bob@example.com", "tags": ["pilot-2"] })).await.expect(200);
        let link = portal.newest_email("bob@example.com").await["links"][0].as_str().unwrap().to_owned();
        let body = json!({ "token": link.split("token=").nth(1).unwrap(), "organisation_name": "Bobs Lab" });
        assert_eq!(portal.post("/api/v1/programme-invitations/accept", "", body.clone()).await.expect(409).code(), "log_in_first");
        let joined = portal.post("/api/v1/programme-invitations/accept", &bob.token, body).await.expect(200).json();
        let path = format!("/api/v1/operator/organisations/{}", joined["organisation_id"].as_str().unwrap());
        assert_eq!(portal.get(&path, &boss.token).await.expect(200).json()["tags"], json!(["pilot-2"]));
    }

    async fn pages_for_access_and_invitations_do_what_the_api_does(portal: TestPortal) {
        let (ada, _) = start(&portal).await;
        let boss = manager(&portal).await;
        let product = product(&portal).await;
        portal.submit("/operator/access/types", &boss.token, &[("partner_type", "agency"), ("name", "Agency"), ("is_open_by_default", "yes")]).await.expect(303);
        portal.submit("/operator/access/types", &boss.token, &[("partner_type", "No!"), ("name", "X")]).await.expect(422);
        portal.submit("/operator/access/tiers", &boss.token, &[("tier", "gold"), ("tier_name", "Gold")]).await.expect(303);
        let fields = [("partner_type", "agency"), ("tier", "gold"), ("tags", "pilot beta")];
        portal.submit(&format!("/operator/partners/{}", ada.organisation_id), &boss.token, &fields).await.expect(200);
        let field = format!("{}:", product["id"].as_str().unwrap());
        portal.submit("/operator/access/matrix/agency", &boss.token, &[(field.as_str(), "closed")]).await.expect(303);
        let own = format!("/api/v1/organisations/{}/products", ada.organisation_id);
        assert_eq!(portal.get(&own, &ada.token).await.expect(200).json()["items"].as_array().unwrap().len(), 0);
        assert!(portal.page("/operator/access", &boss.token).await.expect(200).text().contains("Agency"));
        let page = portal.submit("/operator/invitations", &boss.token, &[("rows", "a@b.example\nbad"), ("partner_type", "agency")]).await.expect(200).text();
        assert!(page.contains("1 of 2 rows invited"), "{page}");
        portal.page("/operator/access", &ada.token).await.expect(404);
    }
}
