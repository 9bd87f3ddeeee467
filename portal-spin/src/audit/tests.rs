//! Finding records, and the export.

use super::verify_audit;
use crate::testing::on_every_database;

on_every_database! {
    async fn administrators_find_records_by_who_what_to_what_and_when(portal: TestPortal) {
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        portal.sign_up("bob@example.com", "Bobs & Sons").await;
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "administrator").await;
        let app = portal.post(&format!("/api/v1/organisations/{}/apps", ada.organisation_id), &ada.token,
            serde_json::json!({ "name": "App" })).await.expect(201).json()["id"].as_str().unwrap().to_owned();
        let found = async |query: &str| {
            let path = format!("/api/v1/operator/audit-records?{query}");
            portal.get(&path, &boss.token).await.expect(200).json()["items"].as_array().unwrap().clone()
        };
        for record in found("actor=Ada@example.com").await {
            assert!(record["actor"] == ada.person_id.as_str() || record["actor"] == "ada@example.com", "{record}");
        }
        assert_eq!(found(&format!("actor={}&action=app.", ada.person_id)).await.len(), 1);
        let made = found("action=organisation.created").await;
        assert_eq!(made.len(), 3);
        let of_app = found(&format!("object={app}")).await;
        assert!(!of_app.is_empty() && of_app.iter().all(|record| record["object"] == app.as_str()));
        let of_acme = found(&format!("organisation_id={}&limit=200", ada.organisation_id)).await;
        assert!(of_acme.iter().all(|record| record["organisation_id"] == ada.organisation_id.as_str()));
        let today = crate::encoding::rfc3339(portal.now_ms())[..10].to_owned();
        assert!(!found(&format!("from={today}&until={today}")).await.is_empty());
        assert!(found("until=2001-01-01").await.is_empty());
        let refused = portal.get("/api/v1/operator/audit-records?from=yesterday", &boss.token).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["field"], "from");
        let csv = portal.get("/api/v1/operator/audit-records?action=organisation.created&format=csv", &boss.token).await.expect(200);
        assert_eq!(csv.text().lines().count(), 4);
        // Whoever runs partners only does not read the log.
        let manager = portal.sign_up("manager@example.com", "More").await;
        portal.make_operator(&manager, "manager").await;
        portal.get("/api/v1/operator/audit-records", &manager.token).await.expect(403);
        portal.page("/operator/audit", &manager.token).await.expect(403);
    }

    async fn the_page_shows_names_pages_and_what_is_wrong_with_a_day(portal: TestPortal) {
        let boss = portal.sign_up("boss@example.com", "Bosses & Co").await;
        portal.make_operator(&boss, "administrator").await;
        let page = portal.page("/operator/audit?action=organisation.created", &boss.token).await.expect(200).text();
        assert!(page.contains("boss@example.com") && page.contains("Bosses &#38; Co"), "{page}");
        let first = portal.page("/operator/audit?limit=1", &boss.token).await.expect(200).text();
        let next = first.split("cursor=").nth(1).unwrap().split('"').next().unwrap();
        let second = portal.page(&format!("/operator/audit?limit=1&cursor={next}"), &boss.token).await.expect(200).text();
        assert_ne!(first, second);
        let wrong = portal.page("/operator/audit?until=soon", &boss.token).await.expect(422).text();
        assert!(wrong.contains("Give a day such as"), "{wrong}");
        let export = portal.page("/api/v1/operator/audit-log/export", &boss.token).await.expect(200);
        let (count, _) = verify_audit(&export.body).unwrap();
        assert!(count >= 2, "{count}");
    }
}
