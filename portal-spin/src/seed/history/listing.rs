//! The apps of the story: listing, review, publication, installations.

use std::io::Cursor;

use bytes::Bytes;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value as Json, json};

use super::stage::{Known, Stage};
use super::stories::{Act, Story};
use crate::listings::{self, Step};
use crate::params;
use crate::reviews::Track;
use crate::web::Failure;

const PRODUCTS: [&str; 8] = [
    "Order Sync",
    "Stock Watch",
    "Refund Desk",
    "Ledger Bridge",
    "Parcel Planner",
    "Cart Insights",
    "Shop Mirror",
    "Customer Sync",
];

/// The name of the partner's app.
pub fn app_name(story: &Story) -> String {
    let word = story.organisation.split(' ').next().unwrap_or_default();
    let place = usize::try_from(story.number.rem_euclid(8)).unwrap_or(0);
    format!("{word} {}", PRODUCTS.get(place).copied().unwrap_or("Sync"))
}

/// What it does, in a sentence.
pub fn summary(story: &Story) -> String {
    format!(
        "Brings orders of a Meridian shop into {} and keeps them in step.",
        story.organisation
    )
}

fn draft(story: &Story, public_url: &str, logo: &str, screenshot: &str) -> Json {
    let organisation = &story.organisation;
    json!({
        "name": app_name(story),
        "summary": summary(story),
        "description": format!(
            "Orders, customers and products of your shop appear in {organisation} within a minute of a change, \
             and what you ship there is marked as shipped in the shop.\n\nChoose which orders are copied, look at \
             every change in the log, and stop at any time: nothing stays behind."
        ),
        "logo": logo,
        "screenshots": [{ "image": screenshot, "caption": "Orders of today, with what became of each." }],
        "categories": ["automation", "logistics"],
        "languages": ["en"],
        "support_url": format!("{public_url}/directory-partners"),
        "support_email": story.email,
        "privacy_url": format!("{public_url}/products"),
        "terms_url": format!("{public_url}/directory"),
        "scopes": [{ "scope": "orders:read", "reason": "To copy orders of your shop as they come in." }],
        "data_use": "Orders and the names on them are copied to our servers in the European Union and deleted \
                     within a day when you remove the app.",
        "pricing": "Free up to 100 orders a month, then 12 EUR a month.",
        "form": [{ "name": "label", "label": "Which label marks copied orders?", "kind": "text", "max_length": 40 }],
    })
}

/// A square with a mark in it, or a window with rows: plain, and different for every partner.
fn picture(width: u32, height: u32, number: i64) -> Result<Bytes, Failure> {
    let shade = u8::try_from(number.rem_euclid(7) * 18).unwrap_or(0);
    let dark = Rgb([30 + shade, 44, 120 - shade / 2]);
    let light = Rgb([238, 240, 236]);
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let (from_left, from_top) = (x * 8 / width, y * 8 / height);
        let is_mark = if width == height {
            (2..6).contains(&from_left) && (2..6).contains(&from_top) && from_left + from_top != 7
        } else {
            from_top > 0 && from_left < 7 - from_top % 3 && y * 8 % height > height / 2
        };
        if is_mark { light } else { dark }
    });
    let mut bytes = Vec::new();
    picture
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
        .map_err(|error| Failure::internal(&format!("a demo picture cannot be drawn: {error}")))?;
    Ok(Bytes::from(bytes))
}

/// Fills the listing and hands it in. The first time the app gets its client, too.
pub async fn hand_in(stage: &mut Stage, story: &Story, known: &Known) -> Result<(), Failure> {
    let app = known.app_id.ok_or_else(Failure::not_found)?;
    let path = format!("/api/v1/apps/{app}");
    let clients = stage
        .send("GET", &format!("{path}/oauth-clients"), &Json::Null)
        .await?;
    if clients.pointer("/items/0").is_none() {
        let body = json!({ "environment": "live", "name": "Backend" });
        stage
            .send("POST", &format!("{path}/oauth-clients"), &body)
            .await?;
    }
    let mut images = Vec::new();
    for (width, height) in [(256, 256), (960, 540)] {
        let bytes = picture(width, height, story.number)?;
        let uploaded = stage
            .send_bytes(
                "POST",
                &format!("{path}/listing/images"),
                "image/png",
                bytes,
            )
            .await?;
        images.push(
            uploaded
                .get("id")
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned(),
        );
    }
    let public_url = stage.context.configuration().public_url.clone();
    let [logo, screenshot] = images.as_slice() else {
        return Err(Failure::not_found());
    };
    let draft = draft(story, &public_url, logo, screenshot);
    let body = json!({ "visibility": "public", "draft": draft });
    stage
        .send("PATCH", &format!("{path}/listing"), &body)
        .await?;
    stage
        .send("POST", &format!("{path}/submissions"), &json!({}))
        .await
        .map(drop)
}

/// The newest submission of a partner's app.
async fn newest_submission(stage: &Stage, known: &Known) -> Result<String, Failure> {
    let app = known.app_id.ok_or_else(Failure::not_found)?;
    let row = stage
        .context
        .connection
        .query_optional(
            "SELECT s.submission_id FROM submissions s JOIN listings l ON l.listing_id = s.listing_id
             WHERE l.app_id = $1 ORDER BY s.submission_id DESC LIMIT 1",
            params![app],
        )
        .await?
        .ok_or_else(Failure::not_found)?;
    Ok(row.get(0)?)
}

/// A reviewer looks at every track, and approves or asks for changes.
pub async fn review(stage: &mut Stage, known: &Known, act: &Act) -> Result<(), Failure> {
    let submission = newest_submission(stage, known).await?;
    stage.as_operator().await?;
    let path = format!("/api/v1/operator/submissions/{submission}");
    stage
        .send("POST", &format!("{path}/assignments"), &json!({}))
        .await?;
    if *act == Act::AskForChanges {
        let body = json!({
            "event": "request_changes", "rules": ["compliance.data_use"],
            "evidence": "The statement does not say how long names are kept.",
            "comment": "Say when names are deleted, then hand it in again.",
        });
        return stage
            .send("POST", &format!("{path}/decisions"), &body)
            .await
            .map(drop);
    }
    for track in Track::ANY {
        let body = json!({ "verdict": "pass", "ticked": track.checklist() });
        stage
            .send("PUT", &format!("{path}/reviews/{track}"), &body)
            .await?;
    }
    stage
        .send(
            "POST",
            &format!("{path}/decisions"),
            &json!({ "event": "approve" }),
        )
        .await
        .map(drop)
}

/// The partner publishes what was approved.
pub async fn publish(stage: &mut Stage, known: &Known) -> Result<(), Failure> {
    let submission = newest_submission(stage, known).await?;
    let path = format!("/api/v1/submissions/{submission}/events");
    stage
        .send("POST", &path, &json!({ "event": "publish" }))
        .await
        .map(drop)
}

/// A customer looks at the listing, installs the app or removes it.
pub async fn visit_listing(stage: &mut Stage, known: &Known, act: &Act) -> Result<(), Failure> {
    let app = known.app_id.ok_or_else(Failure::not_found)?;
    let listing = listings::find_listing(&stage.context.connection, app)
        .await?
        .filter(|listing| listing.live_submission_id.is_some())
        .ok_or_else(Failure::not_found)?;
    let path = format!("/directory/{}/install", listing.slug);
    match act {
        Act::Install(customer) => {
            stage.as_customer(*customer).await?;
            stage.send("GET", &path, &Json::Null).await?;
            let body = Bytes::from_static(b"decision=install&config.label=copied");
            stage
                .send_bytes("POST", &path, "application/x-www-form-urlencoded", body)
                .await
                .map(drop)
        }
        Act::Remove(customer) => {
            stage.as_customer(*customer).await?;
            let person_id = stage.context.person()?.person_id;
            let row = stage
                .context
                .connection
                .query_optional(
                    "SELECT installation_id FROM installations
                     WHERE app_id = $1 AND person_id = $2 AND removed_at_ms IS NULL",
                    params![app, person_id],
                )
                .await?
                .ok_or_else(Failure::not_found)?;
            let path = format!("/api/v1/installations/{}", row.get::<String>(0)?);
            stage.send("DELETE", &path, &Json::Null).await.map(drop)
        }
        _ => {
            let now_ms = stage.context.now_ms;
            Ok(
                listings::count_step(&stage.context.connection, listing.id, Step::View, now_ms)
                    .await?,
            )
        }
    }
}
