//! Reading guides and news, and writing them.

use askama::Template;
use http::StatusCode;

use super::routes::{self, GuideBody, guide_of_path};
use super::store::{self, Guide};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::routes::Outcome;
use crate::web::forms::{Form, Shown};
use crate::web::{Page, markdown, response};

#[derive(Template)]
#[template(path = "guides/templates/guides.html")]
struct GuidesPage {
    page: Page,
    guides: Vec<Guide>,
}

/// `GET /guides`
pub async fn show_guides(context: &Context) -> Outcome {
    response::html(&GuidesPage {
        page: Page::new(context, "Guides"),
        guides: store::list_published(&context.connection).await?,
    })
}

#[derive(Template)]
#[template(path = "guides/templates/guide.html")]
struct GuidePage {
    page: Page,
    guides: Vec<Guide>,
    slug: String,
    document: String,
    updated: String,
    is_draft: bool,
}

/// `GET /guides/{guide_slug}`
pub async fn show_guide_page(context: &Context) -> Outcome {
    let guide = guide_of_path(context).await?;
    response::html(&GuidePage {
        page: Page::new(context, &guide.title).named(),
        guides: store::list_published(&context.connection).await?,
        document: markdown::render(&guide.markdown),
        updated: readable_time(guide.updated_at),
        is_draft: guide.published_at.is_none(),
        slug: guide.slug,
    })
}

#[derive(Template)]
#[template(path = "guides/templates/operator_guides.html")]
struct OperatorGuidesPage {
    page: Page,
    guides: Vec<Guide>,
}

/// `GET /operator/guides`
pub async fn show_operator_guides(context: &Context) -> Outcome {
    response::html(&OperatorGuidesPage {
        page: Page::new(context, "Guides and news"),
        guides: store::list_all(&context.connection).await?,
    })
}

#[derive(Template)]
#[template(path = "guides/templates/edit.html")]
struct EditPage {
    page: Page,
    shown: Shown,
    is_new: bool,
    slug: String,
}

/// `GET /operator/guides/{guide_slug}`: `new` opens an empty form.
pub async fn edit_guide(context: &Context) -> Outcome {
    if context.path_text("guide_slug") == "new" {
        return render(context, StatusCode::OK, Shown::default());
    }
    let guide = guide_of_path(context).await?;
    let shown = Shown::with_values(&[
        ("slug", &guide.slug),
        ("kind", &guide.kind),
        ("title", &guide.title),
        ("markdown", &guide.markdown),
        ("position", &guide.position.to_string()),
        (
            "is_published",
            if guide.published_at.is_some() {
                "yes"
            } else {
                ""
            },
        ),
    ]);
    render(context, StatusCode::OK, shown)
}

fn render(context: &Context, status: StatusCode, shown: Shown) -> Outcome {
    let slug = context.path_text("guide_slug").to_owned();
    let is_new = slug == "new";
    let title = if is_new { "New text" } else { "Change a text" };
    let page = EditPage {
        page: Page::new(context, title),
        shown,
        is_new,
        slug,
    };
    response::html_with(status, &page)
}

fn body_of(form: &Form) -> GuideBody {
    GuideBody {
        kind: form.text("kind"),
        title: form.text("title"),
        markdown: form.text("markdown"),
        position: form.text("position").parse().unwrap_or_default(),
        is_published: form.is_ticked("is_published"),
    }
}

/// `POST /operator/guides/{guide_slug}`
pub async fn save_guide_form(context: &Context) -> Outcome {
    let form = context.form();
    let slug = match context.path_text("guide_slug") {
        "new" => form.text("slug"),
        known => known.to_owned(),
    };
    match routes::save(context, &slug, &body_of(&form)).await {
        Ok(()) => Ok(response::see_other(&format!(
            "/operator/guides/{slug}?done=saved"
        ))),
        Err(failure) => {
            let status = failure.status;
            render(context, status, Shown::again(form, failure)?)
        }
    }
}

/// `POST /operator/guides/{guide_slug}/delete`
pub async fn delete_guide_form(context: &Context) -> Outcome {
    routes::remove(context).await?;
    Ok(response::see_other("/operator/guides?done=removed"))
}
