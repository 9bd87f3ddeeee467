//! Behaviour of keys, on both databases.

use std::cell::Cell;
use std::time::Duration;

use serde_json::json;
use shared::feed::Change;

use super::test_partner::{accept_all, first_call, start, subscription};
use crate::edges::test_edge::TestEdge;
use crate::testing::{Answer, TestPortal, on_every_database};

/// An answer, while an edge goes on reading the feed.
async fn while_beating(
    portal: &TestPortal,
    edge: &mut TestEdge,
    answer: impl Future<Output = Answer>,
) -> Answer {
    let is_done = Cell::new(false);
    let (answer, ()) = tokio::join!(
        async {
            let answer = answer.await;
            is_done.set(true);
            answer
        },
        async {
            while !is_done.get() {
                tokio::time::sleep(Duration::from_millis(60)).await;
                edge.beat(portal).await;
            }
        }
    );
    answer
}

on_every_database! {
    async fn a_live_key_takes_agreements_a_first_call_and_going_live(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        let issue = async |environment: &str| {
            portal.post(&format!("{app}/credentials"), &actor.token, json!({ "environment": environment })).await
        };
        assert_eq!(issue("live").await.expect(409).code(), "subscription_required");
        let subscription = subscription(&portal, &actor, &app).await;
        let go_live = async || portal.post(&format!("{subscription}/go-live"), &actor.token, json!({})).await;
        let refused = go_live().await.expect(409);
        assert_eq!(refused.code(), "agreement_required");
        for title in ["Terms of service", "Data sharing agreement"] {
            assert!(refused.text().contains(title), "{}", refused.text());
        }
        accept_all(&portal, &actor).await;
        assert_eq!(go_live().await.expect(409).code(), "checklist_incomplete");
        first_call(&portal, &actor, &app).await;
        let detail = portal.get(&subscription, &actor.token).await.expect(200).json();
        assert!(detail["checklist"].as_array().unwrap().iter().all(|item| item["is_met"] == true), "{detail}");
        assert_eq!(go_live().await.expect(201).json()["state"], "approved");
        assert_eq!(go_live().await.expect(409).code(), "already_live");
        let live = issue("live").await.expect(201).json();
        assert!(live["key"].as_str().unwrap().starts_with("pk_live_"));
    }

    async fn a_material_change_stops_live_keys_after_its_grace_until_it_is_accepted(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        accept_all(&portal, &actor).await;
        let mut edge = first_call(&portal, &actor, &app).await;
        let subscription = subscription(&portal, &actor, &app).await;
        portal.post(&format!("{subscription}/go-live"), &actor.token, json!({})).await.expect(201);
        let lawyer = portal.sign_up("lawyer@operator.example", "Operator").await;
        portal.make_operator(&lawyer, "lawyer").await;
        let terms = portal.get("/api/v1/agreements", "").await.expect(200).json()["items"].as_array().unwrap()
            .iter().find(|agreement| agreement["title"] == "Terms of service").unwrap()["agreement_id"].as_str().unwrap().to_owned();
        let body = json!({ "label": "2026-2", "markdown": "New terms", "is_material": true, "grace_days": 2 });
        portal.post(&format!("/api/v1/operator/agreements/{terms}/versions"), &lawyer.token, body).await.expect(201);
        assert_eq!(portal.newest_email(&actor.email).await["subject"], "New version of Terms of service");
        let issue = async |environment: &str| {
            portal.post(&format!("{app}/credentials"), &actor.token, json!({ "environment": environment })).await
        };
        issue("live").await.expect(201);
        // What an edge makes of the feed: the version it demands now, and the one that was accepted.
        let stands = async |edge: &mut TestEdge| {
            edge.catch_up(&portal).await;
            let organisation = actor.organisation_id.clone();
            let accepted = edge.newest(|change| match change {
                Change::Organisation(state) if state.organisation.to_string() == organisation => {
                    Some(state.accepted.iter().find(|known| known.agreement.to_string() == terms).map_or(0, |known| known.version))
                }
                _ => None,
            }).unwrap();
            let required = edge.newest(|change| match change {
                Change::Agreement(agreement) if agreement.agreement.to_string() == terms => {
                    Some(agreement.required_at(portal.now_ms().unsigned_abs()))
                }
                _ => None,
            }).unwrap();
            accepted >= required
        };
        assert!(stands(&mut edge).await, "the grace period runs");
        portal.advance_ms(2 * 24 * 3_600_000 + 1);
        assert!(!stands(&mut edge).await, "refused at the gateway without a word from the portal");
        let refused = issue("live").await.expect(409);
        assert_eq!(refused.code(), "agreement_required");
        issue("test").await.expect(201);
        accept_all(&portal, &actor).await;
        assert!(stands(&mut edge).await);
        issue("live").await.expect(201);
    }

    async fn a_key_is_shown_once_and_kept_nowhere(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        let path = format!("{app}/credentials");
        let issued = portal.post(&path, &actor.token, json!({ "environment": "test", "name": "CI" })).await.expect(201).json();
        let key = issued["key"].as_str().unwrap();
        let secret_part = &key["pk_test_0000".len()..key.len() - 4];
        let list = portal.get(&path, &actor.token).await.expect(200).text();
        assert!(list.contains("CI") && !list.contains(secret_part));
        let context = portal.context().await;
        for sql in [
            "SELECT change FROM feed_entries",
            "SELECT change FROM feed_heads",
            "SELECT detail FROM audit_records",
            "SELECT prefix || last_four || name FROM credentials",
        ] {
            for row in context.connection.query(sql, vec![]).await.unwrap() {
                assert!(!row.get::<String>(0).unwrap().contains(secret_part), "{sql}");
            }
        }
    }

    async fn a_rotated_key_works_through_the_overlap_and_no_longer(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        let path = format!("{app}/credentials");
        let old = portal.post(&path, &actor.token, json!({ "environment": "test" })).await.expect(201).json();
        let old_path = format!("{path}/{}", old["credential"]["id"].as_str().unwrap());
        let new = portal.post(&format!("{old_path}/rotations"), &actor.token, json!({ "overlap_secs": 60 })).await.expect(201).json();
        assert_eq!(new["credential"]["rotated_from"], old["credential"]["id"]);
        let mut edge = TestEdge::new(&portal, "edge-1", 1);
        edge.beat(&portal).await;
        edge.catch_up(&portal).await;
        let told = edge.newest(|change| match change {
            Change::Credential(known) if known.credential.to_string() == old["credential"]["id"] => Some((known.revoked_at_ms, known.ends_at_ms)),
            _ => None,
        });
        let shown = portal.get(&old_path, &actor.token).await.expect(200).json();
        assert!(shown["refusal_ms"].is_null(), "it is not refused yet");
        let (revoked_at_ms, ends_at_ms) = told.unwrap();
        assert_eq!(revoked_at_ms, None);
        let told_end = crate::encoding::rfc3339(ends_at_ms.unwrap().cast_signed());
        assert_eq!(shown["revoked_at"], told_end, "edges let it end by their clock");
        let state = async || portal.get(&old_path, &actor.token).await.expect(200).json()["state"].clone();
        assert_eq!(state().await, "active");
        portal.advance_ms(61_000);
        assert_eq!(state().await, "revoked");
        let again = portal.post(&format!("{old_path}/rotations"), &actor.token, json!({})).await.expect(409);
        assert_eq!(again.code(), "credential_ended");
    }

    async fn an_answer_can_wait_until_every_edge_accepts_or_refuses(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        let path = format!("{app}/credentials");
        let body = json!({ "environment": "test" });
        // Without a live edge there is nobody to wait for.
        let nobody = portal.post(&format!("{path}?wait=active"), &actor.token, body.clone()).await.expect(201).json();
        assert_eq!(nobody["credential"]["state"], "pending");
        let mut edge = TestEdge::new(&portal, "edge-1", 1);
        edge.beat(&portal).await;
        let waiting = format!("{path}?wait=active");
        let issued = while_beating(&portal, &mut edge, portal.post(&waiting, &actor.token, body)).await.expect(201).json();
        assert_eq!(issued["credential"]["state"], "active");
        assert!(issued["credential"]["activation_ms"].as_i64().is_some());
        let one = format!("{path}/{}", issued["credential"]["id"].as_str().unwrap());
        assert_eq!(portal.get(&format!("{one}?wait=forever"), &actor.token).await.expect(422).json()["errors"][0]["field"], "wait");
        let ending = format!("{one}?wait=refused");
        let revoked = while_beating(&portal, &mut edge, portal.call("DELETE", &ending, &actor.token, None)).await;
        assert!(revoked.expect(200).json()["refusal_ms"].as_i64().is_some());
    }

    async fn a_list_is_a_file_or_not_modified_where_asked(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        let path = format!("{app}/credentials");
        portal.post(&path, &actor.token, json!({ "environment": "test", "name": "=1+1, CI" })).await.expect(201);
        let file = portal.get(&format!("{path}?format=csv"), &actor.token).await.expect(200);
        assert!(file.header("content-type").starts_with("text/csv"));
        assert_eq!(file.header("content-disposition"), "attachment; filename=\"credentials.csv\"");
        assert!(file.text().contains("\"'=1+1, CI\""), "{}", file.text());
        let first = portal.get(&path, &actor.token).await.expect(200);
        let bearer = format!("Bearer {}", actor.token);
        let headers = [("authorization", bearer.as_str()), ("if-none-match", first.header("etag"))];
        assert!(portal.request("GET", &path, &headers, "").await.expect(304).body.is_empty());
        portal.post(&path, &actor.token, json!({ "environment": "test" })).await.expect(201);
        portal.request("GET", &path, &headers, "").await.expect(200);
    }

    async fn wrong_fields_are_named(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        for (body, field) in [
            (json!({ "environment": "prod" }), "environment"),
            (json!({ "environment": "test", "scopes": ["orders:fly"] }), "scopes"),
            (json!({ "environment": "test", "addresses": ["192.0.2.7/24"] }), "addresses"),
            (json!({ "environment": "test", "expires_at": "2020-01-01T00:00:00Z" }), "expires_at"),
        ] {
            let answer = portal.post(&format!("{app}/credentials"), &actor.token, body).await.expect(422).json();
            assert_eq!(answer["errors"][0]["field"], field);
        }
    }

    async fn a_deleted_app_takes_its_keys_along(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        let mut edge = first_call(&portal, &actor, &app).await;
        portal.call("DELETE", &app, &actor.token, None).await.expect(204);
        portal.get(&app, &actor.token).await.expect(404);
        edge.catch_up(&portal).await;
        let revoked = edge.newest(|change| match change {
            Change::Credential(credential) => Some(credential.revoked_at_ms.is_some()),
            _ => None,
        });
        assert_eq!(revoked, Some(true));
    }

    async fn the_pages_lead_from_an_app_to_its_usage(portal: TestPortal) {
        let (actor, app) = start(&portal).await;
        let page = app.strip_prefix("/api/v1").unwrap();
        let shown = portal.submit(&format!("{page}/credentials"), &actor.token, &[("environment", "test"), ("name", "CI")]).await.expect(200);
        let text = shown.text();
        let at = text.find("pk_test_").unwrap();
        let key = &text[at..at + "pk_test_".len() + 36];
        assert!(shared::credential::check_key(key, "pk").is_ok());
        assert!(!portal.page(&format!("{page}/credentials"), &actor.token).await.expect(200).text().contains(key));
        first_call(&portal, &actor, &app).await;
        let usage = portal.page(&format!("{page}/usage"), &actor.token).await.expect(200).text();
        assert!(usage.contains("listOrders"));
        let plans = portal.page(&format!("{page}/subscriptions"), &actor.token).await.expect(200).text();
        assert!(plans.contains("Before going live") && plans.contains("Terms of service"));
        assert!(portal.page(page, &actor.token).await.expect(200).text().contains("curl -H"));
        let apps = portal.page(&format!("/organisations/{}/apps", actor.organisation_id), &actor.token).await.expect(200).text();
        assert!(apps.contains(page));
        let tiers = portal.page("/products/meridian-commerce", "").await.expect(200).text();
        for word in ["Free", "Starter", "Scale", "49 USD a month in advance", "250\u{202f}000 units included", "orders:read"] {
            assert!(tiers.contains(word), "{word}");
        }
        let refused = portal.submit(&format!("{page}/credentials"), &actor.token, &[("environment", "live")]).await.expect(409).text();
        assert!(refused.contains("not live with any product"), "{refused}");
    }
}
