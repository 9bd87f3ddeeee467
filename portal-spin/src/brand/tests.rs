//! The brand, through its routes.

use serde_json::json;

use crate::testing::on_every_database;

on_every_database! {
    async fn a_brand_shows_on_every_page_and_in_mails(portal: TestPortal) {
        let operator = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&operator, "administrator").await;
        let brand = json!({
            "name": "Meridian partners", "accent": "#7a0019",
            "logo_svg": "<svg xmlns=\"http://www.w3.org/2000/svg\"><path d=\"M0 0h9v9z\"/></svg>",
            "legal": "Meridian Ltd, 1 High Street", "links": [{ "label": "Imprint", "href": "/imprint" }],
        });
        portal.call("PUT", "/api/v1/operator/brand", &operator.token, Some(brand)).await.expect(200);
        let page = portal.page("/log-in", "").await.expect(200).text();
        for part in ["Meridian partners", "1 High Street", "href=\"/imprint\"", "/assets/logo.", "/assets/brand."] {
            assert!(page.contains(part), "{part}");
        }
        let name = page.split("/assets/brand.").nth(1).unwrap().split('"').next().unwrap();
        let css = portal.page(&format!("/assets/brand.{name}"), "").await.expect(200).text();
        assert!(css.contains("--accent:#7a0019"), "{css}");
    }

    async fn colours_that_cannot_be_read_are_refused_with_the_contrast(portal: TestPortal) {
        let operator = portal.sign_up("boss@example.com", "Operator").await;
        portal.make_operator(&operator, "administrator").await;
        for (brand, field) in [
            (json!({ "accent": "#ffee00" }), "accent"),
            (json!({ "accent_dark": "#000033" }), "accent_dark"),
            (json!({ "logo_svg": "<svg><script>1</script></svg>" }), "logo_svg"),
            (json!({ "mail_from": "nobody" }), "mail_from"),
            (json!({ "links": [{ "label": "x", "href": "javascript:1" }] }), "links"),
        ] {
            let refused = portal.call("PUT", "/api/v1/operator/brand", &operator.token, Some(brand)).await.expect(422);
            assert_eq!(refused.json()["errors"][0]["field"], field);
        }
    }
}
