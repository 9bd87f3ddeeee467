//! The demonstration programme's guides: what a partner reads first.

use crate::context::Context;
use crate::guides::{GuideBody, find_guide, save_guide};
use crate::web::Failure;

/// Name in the address, title, text; in the order of the list.
const GUIDES: &[(&str, &str, &str)] = &[
    (
        "first-call",
        "Make the first call",
        include_str!("guides/first-call.md"),
    ),
    (
        "errors-and-limits",
        "Errors and limits",
        include_str!("guides/errors-and-limits.md"),
    ),
    (
        "going-live",
        "Go live",
        include_str!("guides/going-live.md"),
    ),
    (
        "webhooks",
        "Receive webhooks",
        include_str!("guides/webhooks.md"),
    ),
    (
        "apps-for-customers",
        "Build an app for customers",
        include_str!("guides/apps-for-customers.md"),
    ),
];

/// Publishes the guides that are not there. One that was edited stays as it is.
pub async fn make_guides(context: &Context) -> Result<(), Failure> {
    for (position, (slug, title, text)) in (1..).zip(GUIDES) {
        if find_guide(&context.connection, slug).await?.is_some() {
            continue;
        }
        let body = GuideBody {
            kind: "guide".to_owned(),
            title: (*title).to_owned(),
            markdown: (*text).to_owned(),
            position,
            is_published: true,
        };
        save_guide(context, slug, &body).await?;
    }
    Ok(())
}
