use crate::params;
use crate::testing::{TestPortal, on_every_database};

/// So many published apps of one partner: `App 0001` and so on; every hundredth is for sales.
async fn publish_apps(portal: &TestPortal, count: i64) {
    let partner = portal.sign_up("partner@example.com", "Widgets").await;
    let context = portal.context().await;
    let connection = &context.connection;
    connection
        .transaction(async || {
            for number in 0..count {
                let [app, listing, submission] =
                    ["app", "lst", "smn"].map(|prefix| format!("{prefix}_{number:026}"));
                let (name, slug) = (format!("App {number:04}"), format!("app-{number:04}"));
                let category = if number % 100 == 0 { "sales" } else { "data" };
                let languages: &[&str] = if number % 50 == 0 { &["en", "de"] } else { &["en"] };
                let content = serde_json::json!({ "name": name, "summary": "Ünder test.", "categories": [category], "languages": languages });
                let parameters = params![app.as_str(), partner.organisation_id.as_str(), name.as_str(), context.now_ms];
                connection.execute("INSERT INTO apps (app_id, organisation_id, name, description, created_at_ms) VALUES ($1, $2, $3, '', $4)", parameters).await?;
                let parameters = params![listing.as_str(), app.as_str(), slug.as_str(), context.now_ms, submission.as_str()];
                connection.execute("INSERT INTO listings (listing_id, app_id, slug, visibility, customers, draft, created_at_ms, changed_at_ms, live_submission_id, published_at_ms)
                    VALUES ($1, $2, $3, 'public', '[]', '{}', $4, $4, $5, $4)", parameters).await?;
                let parameters = params![submission.as_str(), listing.as_str(), content.to_string(), context.now_ms];
                connection.execute("INSERT INTO submissions (submission_id, listing_id, version, content, state, submitted_at_ms, submitted_by, queued_at_ms, due_at_ms, decision, findings)
                    VALUES ($1, $2, 1, $3, 'published', $4, '', $4, $4, '{}', '[]')", parameters).await?;
            }
            Ok::<_, crate::database::DatabaseError>(())
        })
        .await
        .unwrap();
}

on_every_database! {
    async fn a_directory_of_more_than_five_hundred_apps_is_read_to_its_end(portal: TestPortal) {
        publish_apps(&portal, 620).await;
        let mut seen = std::collections::BTreeSet::new();
        let mut cursor = String::new();
        loop {
            let list = portal.get(&format!("/api/v1/directory?limit=200{cursor}"), "").await.expect(200).json();
            assert_eq!(list["total"], 620);
            for item in list["items"].as_array().unwrap() {
                assert!(seen.insert(item["slug"].as_str().unwrap().to_owned()));
            }
            match list["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), 620);
        let sales = portal.get("/api/v1/directory?category=sales", "").await.expect(200).json();
        assert_eq!((&sales["total"], &sales["items"][6]["name"]), (&7.into(), &"App 0600".into()));
        for (filter, total) in [("language=de", 13), ("language=de&category=data", 6), ("language=fr", 0)] {
            let found = portal.get(&format!("/api/v1/directory?{filter}"), "").await.expect(200).json();
            assert_eq!(found["total"], total, "{filter}");
        }
        let last = portal.get("/api/v1/directory?q=%C3%BCNDER+0619", "").await.expect(200).json();
        assert_eq!(last["items"][0]["slug"], "app-0619");
        let page = portal.page("/directory?q=test", "").await.expect(200).text();
        assert!(page.contains("620 apps") && page.contains("/directory?q=test&#38;cursor=24"), "{page}");
        let next = portal.page("/directory?q=test&cursor=600", "").await.expect(200).text();
        assert!(next.contains("App 0619") && !next.contains("More apps"));
        portal.page("/directory?cursor=x", "").await.expect(422);
        let map = portal.page("/sitemap.xml", "").await.expect(200).text();
        assert!(map.contains("<loc>http://portal.test/directory/app-0619</loc>"));
        assert!(portal.page("/robots.txt", "").await.expect(200).text().contains("/sitemap.xml"));
        let entry = portal.page("/directory/app-0000", "").await.expect(200).text();
        assert!(entry.contains("rel=\"canonical\" href=\"http://portal.test/directory/app-0000\""));
    }
}
