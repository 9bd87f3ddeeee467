//! `/api/v1/guides` and the operator's side of it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::store::{self, Guide};
use crate::audit;
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, whole};
use crate::web::{Failure, FieldError, response};

const LONGEST_TEXT: usize = 200_000;

/// A text as the operator writes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuideBody {
    /// `guide` or `news`; `guide` without.
    #[serde(default)]
    pub kind: String,
    /// The title.
    pub title: String,
    /// The text, in Markdown. Raw HTML is shown as text.
    pub markdown: String,
    /// Guides are listed by this, lowest first.
    #[serde(default)]
    pub position: i64,
    /// Whether partners see it.
    #[serde(default)]
    pub is_published: bool,
}

/// Texts that partners see.
pub type GuideList = PageOf<Guide>;

fn is_slug(slug: &str) -> bool {
    (1..=60).contains(&slug.len())
        && slug
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Checks and keeps a text.
pub async fn save(context: &Context, slug: &str, body: &GuideBody) -> Result<(), Failure> {
    let mut problems = Vec::new();
    let mut wrong = |field: &str, code: &str, detail: &str| {
        problems.push(FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            detail: detail.to_owned(),
        });
    };
    if !is_slug(slug) {
        wrong(
            "slug",
            "malformed",
            "Small letters, digits and hyphens, at most 60.",
        );
    }
    if body.title.trim().is_empty() || body.title.chars().count() > 120 {
        wrong(
            "title",
            "missing",
            "Give a title of at most 120 characters.",
        );
    }
    if body.markdown.len() > LONGEST_TEXT {
        wrong("markdown", "too_long", "At most 200 000 bytes.");
    }
    if !matches!(body.kind.as_str(), "" | "guide" | "news") {
        wrong("kind", "unknown_value", "Give `guide` or `news`.");
    }
    if !problems.is_empty() {
        return Err(Failure::fields(problems));
    }
    let known = store::find(&context.connection, slug).await?;
    let guide = Guide {
        slug: slug.to_owned(),
        kind: if body.kind.is_empty() {
            "guide"
        } else {
            &body.kind
        }
        .to_owned(),
        title: body.title.trim().to_owned(),
        markdown: body.markdown.clone(),
        position: body.position,
        published_at: body.is_published.then(|| {
            known
                .and_then(|known| known.published_at)
                .unwrap_or(context.now_ms)
        }),
        updated_at: context.now_ms,
    };
    context
        .connection
        .transaction(async || {
            let detail = json!({ "title": guide.title, "is_published": body.is_published });
            audit::record(context, None, "guide.saved", slug, detail).await?;
            store::put(&context.connection, &guide).await
        })
        .await?;
    Ok(())
}

/// Removes the text of the path.
pub(super) async fn remove(context: &Context) -> Result<(), Failure> {
    let slug = context.path_text("guide_slug");
    context
        .connection
        .transaction(async || {
            if store::delete(&context.connection, slug).await? == 0 {
                return Err(Failure::not_found());
            }
            audit::record(context, None, "guide.deleted", slug, json!({})).await?;
            Ok(())
        })
        .await
}

/// `GET /api/v1/guides`
pub async fn list_guides(context: &Context) -> Outcome {
    let items = store::list_published(&context.connection).await?;
    response::ok(&whole(context, items, |item| item.slug.clone())?)
}

/// `GET /api/v1/guides/{guide_slug}`: staff see drafts too.
pub async fn show_guide(context: &Context) -> Outcome {
    response::ok(&guide_of_path(context).await?)
}

/// The text of the path, if the visitor may read it.
pub(super) async fn guide_of_path(context: &Context) -> Result<Guide, Failure> {
    let is_staff = context
        .person_optional()
        .is_some_and(|person| !person.operator_roles.is_empty());
    store::find(&context.connection, context.path_text("guide_slug"))
        .await?
        .filter(|guide| is_staff || guide.published_at.is_some())
        .ok_or_else(Failure::not_found)
}

/// `PUT /api/v1/operator/guides/{guide_slug}`
pub async fn put_guide(context: &Context) -> Outcome {
    let body: GuideBody = context.json()?;
    save(context, context.path_text("guide_slug"), &body).await?;
    response::ok(&guide_of_path(context).await?)
}

/// `DELETE /api/v1/operator/guides/{guide_slug}`
pub async fn delete_guide(context: &Context) -> Outcome {
    remove(context).await?;
    Ok(response::no_content())
}
