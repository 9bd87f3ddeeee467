//! The operator's words reach the reader.

use serde_json::json;

use crate::testing::on_every_database;

on_every_database! {
    async fn the_operators_words_are_sent_and_bad_ones_are_refused_by_name(portal: TestPortal) {
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "administrator").await;
        let path = "/api/v1/operator/email-texts/verification";
        let put = async |subject: &str, text: &str| {
            portal.call("PUT", path, &boss.token, Some(json!({ "subject": subject, "text": text }))).await
        };
        let wrong = put("Hello {name}", "{code} {link}").await.expect(422).json();
        assert_eq!(wrong["errors"][0]["field"], "subject");
        assert!(wrong["errors"][0]["detail"].as_str().unwrap().starts_with("{name} is no variable"), "{wrong}");
        let wrong = put("Hello", "Your code: {code}").await.expect(422).json();
        assert_eq!((wrong["errors"][0]["field"].as_str(), wrong["errors"][0]["detail"].as_str().unwrap().contains("{link}")), (Some("text"), true));
        put("Welcome to {programme}: {code}", "Type {code} or open\n{link}").await.expect(200);
        let ada = portal.sign_up("ada@example.com", "Acme").await;
        let told = portal.newest_email(&ada.email).await;
        assert_eq!(told["subject"], format!("Welcome to Partner programme: {}", told["code"].as_str().unwrap()));
        assert!(told["links"][0].as_str().unwrap().contains("/verify?token="), "{told}");
        let list = portal.get("/api/v1/operator/email-texts", &boss.token).await.expect(200).json();
        assert_eq!(list["items"].as_array().unwrap().iter().filter(|text| text["is_changed"] == true).count(), 1);
        put("", "").await.expect(200);
        portal.sign_up("bob@example.com", "Bobs").await;
        assert!(portal.newest_email("bob@example.com").await["subject"].as_str().unwrap().contains("is your code for"));
        portal.get("/api/v1/operator/email-texts", &ada.token).await.expect(404);
    }

    async fn the_page_previews_before_it_saves(portal: TestPortal) {
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "administrator").await;
        let path = "/operator/email-texts/password-reset";
        assert!(portal.page("/operator/email-texts", &boss.token).await.expect(200).text().contains("forgotten their password"));
        let page = portal.page(path, &boss.token).await.expect(200).text();
        assert!(page.contains("{link}") && page.contains("Choose a new password for Partner programme"), "{page}");
        let fields = |action: &'static str| [("subject", "New <b>password</b>"), ("text", "Go:\r\n{link}"), ("do", action)];
        let seen = portal.submit(path, &boss.token, &fields("preview")).await.expect(200).text();
        assert!(seen.contains("New &#60;b&#62;password") && seen.contains("reset-password/new?token="), "{seen}");
        assert!(!portal.page(path, &boss.token).await.expect(200).text().contains("your words"));
        portal.submit(path, &boss.token, &fields("save")).await.expect(303);
        assert!(portal.page(path, &boss.token).await.expect(200).text().contains("your words"));
        let wrong = portal.submit(path, &boss.token, &[("subject", "x"), ("text", "{lnik}")]).await.expect(422).text();
        assert!(wrong.contains("{lnik} is no variable"), "{wrong}");
        portal.submit(path, &boss.token, &[("do", "reset")]).await.expect(303);
        assert!(!portal.page(path, &boss.token).await.expect(200).text().contains("your words"));
        portal.page("/operator/email-texts/nothing", &boss.token).await.expect(404);
    }
}
