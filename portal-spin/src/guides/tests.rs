//! Guides, through their routes.

use serde_json::json;

use crate::testing::on_every_database;

on_every_database! {
    async fn a_draft_is_for_the_staff_until_it_is_published(portal: TestPortal) {
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "manager").await;
        let path = "/api/v1/operator/guides/first-call";
        let text = json!({ "title": "First call", "markdown": "# Begin\n\n<script>x</script>\n\n[go](javascript:1)" });
        portal.call("PUT", path, &boss.token, Some(text)).await.expect(200);
        portal.page("/guides/first-call", "").await.expect(404);
        portal.page("/guides/first-call", &boss.token).await.expect(200);
        let text = json!({ "title": "First call", "markdown": "# Begin\n\n<script>x</script>\n\n[go](javascript:1)", "is_published": true });
        portal.call("PUT", path, &boss.token, Some(text)).await.expect(200);
        let page = portal.page("/guides/first-call", "").await.expect(200).text();
        assert!(page.contains("<h2>Begin</h2>") && page.contains("&lt;script&gt;"), "{page}");
        assert!(!page.contains("javascript:"), "{page}");
        let found = portal.get("/api/v1/search?q=begin", "").await.expect(200).json();
        assert_eq!(found["items"][0]["href"], "/guides/first-call");
        portal.call("DELETE", path, &boss.token, None).await.expect(204);
        portal.page("/guides/first-call", &boss.token).await.expect(404);
    }

    async fn a_text_without_a_title_is_shown_again_with_the_reason(portal: TestPortal) {
        let boss = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&boss, "manager").await;
        let fields = [("slug", "Not a slug"), ("markdown", "kept text")];
        let again = portal.submit("/operator/guides/new", &boss.token, &fields).await.expect(422).text();
        assert!(again.contains("kept text") && again.contains("Give a title"), "{again}");
    }
}
