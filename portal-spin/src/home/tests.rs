//! Both homes, through their routes.

use serde_json::json;

use crate::testing::on_every_database;

on_every_database! {
    async fn a_new_partner_finds_a_curl_line_with_a_key_of_their_own(portal: TestPortal) {
        portal.post("/dev/seed", "", json!({})).await.expect(200);
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let home = format!("/organisations/{}", ada.organisation_id);
        let page = portal.page(&home, &ada.token).await.expect(200).text();
        assert!(page.contains("YOUR_TEST_KEY") && page.contains("Issue a test key"), "{page}");
        let page = portal.submit(&format!("{home}/first-key"), &ada.token, &[]).await.expect(200).text();
        let key = page.split("Bearer ").nth(1).unwrap().split('&').next().unwrap();
        assert!(key.starts_with("pk_test_"), "{key}");
        assert!(page.contains("Waiting for the first call"));
        let again = portal.page(&home, &ada.token).await.expect(200).text();
        assert!(!again.contains(key), "a key is shown once");
        let path = format!("/api/v1{home}/activity");
        let activity = portal.get(&path, &ada.token).await.expect(200).json();
        assert_eq!(activity["successes"], 0);
        assert_eq!(activity["last_call"], json!(null));
    }

    async fn the_operator_sees_counts_with_links(portal: TestPortal) {
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "manager").await;
        let home = portal.get("/api/v1/operator/home", &boss.token).await.expect(200).json();
        assert_eq!(home["programme"][0]["count"], 1);
        assert_eq!(home["headline"][0]["name"], "revenue");
        assert_eq!(home["newest"][0]["name"], "Operator");
        let page = portal.page("/operator", &boss.token).await.expect(200).text();
        assert!(page.contains("Requests to decide") && page.contains("No gateway has reported yet"));
    }
}
