use proptest::prelude::*;
use serde_json::json;
use shared::ids::{AgreementId, AgreementVersionId};

use super::evidence::{Evidence, EvidenceError, verify_evidence, write_file};
use super::model::{Agreement, Kind, State, Version};
use super::publishing::{render_document, send_reminders};
use crate::audit::{AuditError, verify_audit};
use crate::testing::{Actor, TestPortal, on_every_database};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn version(number: u32, is_material: bool, effective_at: i64, required_from: i64) -> Version {
    Version {
        agreement_version_id: AgreementVersionId::from_bytes([number.to_le_bytes()[0]; 16]),
        version: number,
        label: number.to_string(),
        locale: "en".to_owned(),
        is_material,
        effective_at,
        required_from,
        document_sha256: String::new(),
        sentence: String::new(),
    }
}

fn agreement(versions: Vec<Version>) -> Agreement {
    Agreement {
        agreement_id: AgreementId::from_bytes([1; 16]),
        title: "Terms".to_owned(),
        kind: Kind::TermsOfService,
        products: None,
        versions,
    }
}

#[test]
fn a_version_that_is_not_material_asks_nothing_of_who_accepted_before() {
    let terms = agreement(vec![version(1, true, 0, 0), version(2, false, 100, 100)]);
    assert_eq!(terms.standing(1, 500).state, State::Accepted);
    assert_eq!(terms.standing(0, 500).state, State::Required);
}

#[test]
fn a_material_version_is_due_until_its_grace_period_ends() {
    let terms = agreement(vec![version(1, true, 0, 0), version(2, true, 100, 300)]);
    let standing = terms.standing(1, 200);
    assert_eq!((standing.state, standing.due_at), (State::Due, Some(300)));
    assert_eq!(terms.standing(1, 299).state, State::Due);
    assert_eq!(terms.standing(1, 300).state, State::Required);
    assert_eq!(terms.standing(2, 300).state, State::Accepted);
}

proptest! {
    #[test]
    fn the_page_says_required_exactly_when_the_gateway_refuses(
        versions in proptest::collection::vec((any::<bool>(), 0_i64..1000, 0_i64..500), 1..6),
        accepted in 0_u32..7,
        now in 0_i64..2000,
    ) {
        let mut effective_at = 0;
        let versions = (1..).zip(versions).map(|(number, (is_material, later, grace))| {
            effective_at += later;
            version(number, is_material, effective_at, effective_at + grace)
        });
        let terms = agreement(versions.collect());
        let gateway_refuses = accepted < terms.for_edges().required_at(now.unsigned_abs());
        prop_assert_eq!(terms.standing(accepted, now).state == State::Required, gateway_refuses);
        if let Some(due_at) = terms.standing(accepted, now).due_at {
            prop_assert_eq!(terms.standing(accepted, due_at).state, State::Required);
        }
    }
}

#[test]
fn raw_html_and_dangerous_links_are_only_text() {
    let html = render_document(
        "T",
        "1",
        "<script>x</script>\n\n[a](javascript:x) <b>b</b> [c](https://c.example) ![i](https://i.example/i.png)",
    );
    assert!(
        !html.contains("<script") && !html.contains("javascript:") && !html.contains("<b>"),
        "{html}"
    );
    assert!(!html.contains("<img"), "{html}");
    assert!(
        html.contains("<a href=\"https://c.example\">c</a>"),
        "{html}"
    );
}

/// A lawyer of the operator, and terms of service in force.
async fn with_terms(portal: &TestPortal) -> (Actor, String) {
    let lawyer = portal.sign_up("lawyer@example.com", "Operator").await;
    portal.make_operator(&lawyer, "lawyer").await;
    let made = portal
        .post(
            "/api/v1/operator/agreements",
            &lawyer.token,
            json!({ "title": "Terms of service", "kind": "terms_of_service" }),
        )
        .await
        .expect(201)
        .json();
    let agreement_id = made["agreement_id"].as_str().unwrap().to_owned();
    publish(
        portal,
        &lawyer,
        &agreement_id,
        json!({ "label": "2026-1", "markdown": "Be *nice*." }),
    )
    .await;
    (lawyer, agreement_id)
}

async fn publish(
    portal: &TestPortal,
    lawyer: &Actor,
    agreement_id: &str,
    body: serde_json::Value,
) -> String {
    let path = format!("/api/v1/operator/agreements/{agreement_id}/versions");
    let published = portal
        .post(&path, &lawyer.token, body)
        .await
        .expect(201)
        .json();
    published["agreement_version_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn standing(portal: &TestPortal, actor: &Actor) -> serde_json::Value {
    let path = format!("/api/v1/organisations/{}/agreements", actor.organisation_id);
    portal.get(&path, &actor.token).await.expect(200).json()["items"][0].clone()
}

async fn accept(portal: &TestPortal, actor: &Actor) -> String {
    let version = standing(portal, actor).await["version"].clone();
    let path = format!(
        "/api/v1/organisations/{}/acceptances",
        actor.organisation_id
    );
    let body = json!({
        "agreement_version_id": version["agreement_version_id"],
        "document_sha256": version["document_sha256"],
        "has_authority": true,
        "stated_role": "Managing director",
    });
    let answer = portal
        .post(&path, &actor.token, body)
        .await
        .expect(201)
        .json();
    answer["acceptance_id"].as_str().unwrap().to_owned()
}

async fn evidence(portal: &TestPortal, actor: &Actor, acceptance_id: &str) -> Vec<u8> {
    let path = format!(
        "/api/v1/organisations/{}/acceptances/{acceptance_id}/evidence",
        actor.organisation_id
    );
    portal
        .get(&path, &actor.token)
        .await
        .expect(200)
        .body
        .to_vec()
}

async fn evidence_key(portal: &TestPortal) -> String {
    let key = portal
        .get("/api/v1/evidence-key", "")
        .await
        .expect(200)
        .json();
    key["public_key"].as_str().unwrap().to_owned()
}

on_every_database! {
    async fn terms_are_required_until_accepted_and_accepting_twice_is_once(portal: TestPortal) {
        with_terms(&portal).await;
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        assert_eq!(standing(&portal, &ada).await["state"], "required");
        let first = accept(&portal, &ada).await;
        assert_eq!(standing(&portal, &ada).await["state"], "accepted");
        assert_eq!(accept(&portal, &ada).await, first);
    }

    async fn accepting_needs_authority_the_owner_and_the_document_that_was_shown(portal: TestPortal) {
        with_terms(&portal).await;
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let bob = portal.sign_up("bob@example.com", "Bobs").await;
        portal.join(&ada, &bob, "developer").await;
        let version = standing(&portal, &ada).await["version"]["agreement_version_id"].clone();
        let path = format!("/api/v1/organisations/{}/acceptances", ada.organisation_id);
        let body = json!({ "agreement_version_id": version, "has_authority": false });
        portal.post(&path, &ada.token, body).await.expect(422);
        let body = json!({ "agreement_version_id": version, "has_authority": true });
        portal.post(&path, &bob.token, body.clone()).await.expect(403);
        let mut other = body;
        other["document_sha256"] = json!("00");
        portal.post(&path, &ada.token, other).await.expect(422);
    }

    async fn a_material_change_is_told_reminded_of_and_then_required(portal: TestPortal) {
        let (lawyer, agreement_id) = with_terms(&portal).await;
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        accept(&portal, &ada).await;
        publish(&portal, &lawyer, &agreement_id, json!({
            "label": "2026-2", "markdown": "Be nicer.", "is_material": true, "grace_days": 30,
        })).await;
        assert!(portal.newest_email("ada@example.com").await["subject"].as_str().unwrap().contains("New version"));
        assert_eq!(standing(&portal, &ada).await["state"], "due");
        assert_eq!(send_reminders(&portal.context().await).await, Ok(0));
        portal.advance_ms(24 * DAY_MS);
        assert_eq!(send_reminders(&portal.context().await).await, Ok(1));
        assert_eq!(send_reminders(&portal.context().await).await, Ok(0));
        assert!(portal.newest_email("ada@example.com").await["subject"].as_str().unwrap().starts_with("7 days left"));
        let ada = Actor { token: portal.log_in("ada@example.com", crate::testing::PASSWORD).await, ..ada };
        portal.advance_ms(7 * DAY_MS - 1000);
        assert_eq!(standing(&portal, &ada).await["state"], "required");
        accept(&portal, &ada).await;
        assert_eq!(standing(&portal, &ada).await["state"], "accepted");
    }

    async fn an_evidence_file_verifies_with_the_published_key_only(portal: TestPortal) {
        with_terms(&portal).await;
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let acceptance_id = accept(&portal, &ada).await;
        let file = evidence(&portal, &ada, &acceptance_id).await;
        let key = evidence_key(&portal).await;
        let record = verify_evidence(&file, &key).unwrap();
        assert_eq!(record.person_email, "ada@example.com");
        assert_eq!(record.stated_role, "Managing director");
        assert_eq!(record.address, "192.0.2.1");
        assert_eq!(record.previous_hash, "0".repeat(64));
        let other = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(verify_evidence(&file, other), Err(EvidenceError::OtherKey));
    }

    async fn every_record_holds_the_hash_of_the_one_before(portal: TestPortal) {
        with_terms(&portal).await;
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let bob = portal.sign_up("bob@example.com", "Bobs").await;
        let key = evidence_key(&portal).await;
        let first = evidence(&portal, &ada, &accept(&portal, &ada).await).await;
        let second = evidence(&portal, &bob, &accept(&portal, &bob).await).await;
        let first: Evidence = serde_json::from_slice(&first).unwrap();
        assert_eq!(verify_evidence(&second, &key).unwrap().previous_hash, first.hash);
    }

    async fn the_audit_log_verifies_and_every_tampering_is_found(portal: TestPortal) {
        let (lawyer, _) = with_terms(&portal).await;
        portal.make_operator(&lawyer, "administrator").await;
        let log = portal.get("/api/v1/operator/audit-log/export", &lawyer.token).await.expect(200).text();
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(verify_audit(log.as_bytes()).unwrap().0, lines.len());
        assert!(lines.len() >= 4);
        let without_second = [&lines[..1], &lines[2..]].concat().join("\n");
        assert_eq!(verify_audit(without_second.as_bytes()), Err(AuditError::Broken { line: 2 }));
        let changed = log.replacen("lawyer@example.com", "lawyer@example.org", 1);
        assert!(matches!(verify_audit(changed.as_bytes()), Err(AuditError::Changed { .. })));
        let without_first = lines[1..].join("\n");
        assert!(verify_audit(without_first.as_bytes()).is_err());
    }
}

#[tokio::test]
async fn any_changed_byte_of_an_evidence_file_is_found() {
    let portal = TestPortal::on_sqlite().await;
    with_terms(&portal).await;
    let ada = portal.sign_up("ada@example.com", "Acme").await;
    let acceptance_id = accept(&portal, &ada).await;
    let file = evidence(&portal, &ada, &acceptance_id).await;
    let key = evidence_key(&portal).await;
    let parsed: Evidence = serde_json::from_slice(&file).unwrap();
    assert_eq!(write_file(&parsed), file);
    for position in 0..file.len() {
        let mut changed = file.clone();
        changed[position] ^= [1, 0x20, 0x80][position % 3];
        assert!(verify_evidence(&changed, &key).is_err(), "byte {position}");
        if position % 16 == 0 {
            let cut = [&file[..position], &file[position + 1..]].concat();
            assert!(
                verify_evidence(&cut, &key).is_err(),
                "without byte {position}"
            );
        }
    }
}
