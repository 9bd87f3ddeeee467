//! The demonstration programme.

use serde_json::json;

use crate::testing::{TestDatabase, TestPortal, on_every_database};

on_every_database! {
    async fn seeding_makes_a_programme_that_can_be_used_at_once(portal: TestPortal) {
        let seed = portal.post("/dev/seed", "", json!({})).await.expect(200).json();
        for (key, environment) in [("test_key", "test"), ("live_key", "live")] {
            let key = seed[key].as_str().unwrap();
            let checked = shared::credential::check_key(key, "pk").unwrap();
            assert_eq!(checked.as_str(), environment);
        }
        let login = |who: &str| (seed[who]["email"].as_str().unwrap().to_owned(), seed[who]["password"].as_str().unwrap().to_owned());
        let (email, password) = login("operator");
        let operator = portal.log_in(&email, &password).await;
        let products = portal.get("/api/v1/operator/products", &operator).await.expect(200).json();
        assert_eq!(products["items"][0]["state"], "published");
        assert_eq!(products["items"][0]["missing"], json!([]));
        let (email, password) = login("partner");
        let partner = portal.log_in(&email, &password).await;
        let path = format!("/api/v1/apps/{}/credentials", seed["app_id"].as_str().unwrap());
        assert_eq!(portal.get(&path, &partner).await.expect(200).json()["items"].as_array().unwrap().len(), 2);
        let catalogue = portal.get("/api/v1/products", "").await.expect(200).json();
        let plans: Vec<&str> = catalogue["items"][0]["plans"].as_array().unwrap().iter().map(|plan| plan["name"].as_str().unwrap()).collect();
        assert_eq!(plans, ["Free", "Starter", "Scale"]);
        assert!(catalogue["items"][0].get("missing").is_none());
    }

    async fn seeding_again_gives_the_same_log_ins_and_no_new_keys(portal: TestPortal) {
        let first = portal.post("/dev/seed", "", json!({})).await.expect(200).json();
        portal.advance_ms(60_000);
        let second = portal.post("/dev/seed", "", json!({})).await.expect(200).json();
        assert_eq!((first["already_seeded"].as_bool(), second["already_seeded"].as_bool()), (Some(false), Some(true)));
        for member in ["operator", "partner", "organisation_id", "app_id"] {
            assert_eq!(first[member], second[member]);
        }
        assert!(second.get("test_key").is_none());
        let context = portal.context().await;
        for (table, rows) in [("products", 1), ("plans", 3), ("agreements", 2), ("apps", 1), ("credentials", 2)] {
            let row = context.connection.query_one(&format!("SELECT COUNT(*) FROM {table}"), vec![]).await.unwrap();
            assert_eq!(row.get::<i64>(0), Ok(rows), "{table}");
        }
    }
}

#[tokio::test]
async fn outside_development_there_is_no_seed() {
    let portal = TestPortal::with(TestDatabase::sqlite(), &[("environment", "production")]).await;
    portal.post("/dev/seed", "", json!({})).await.expect(404);
}
