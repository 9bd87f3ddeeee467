//! The page where a listing is edited.

use askama::Template;

use super::content::{
    CATEGORIES, Content, FieldKind, FormField, ScopeRequest, Screenshot, Visibility,
};
use super::images::store_image;
use super::routes::{ListingBody, change_listing, listing_of_path};
use super::store::Listing;
use crate::apps::{may_build, organisation_page};
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::forms::{Form, Shown};
use crate::web::{Failure, Page, response};

#[derive(Template)]
#[template(path = "listings/templates/listing.html")]
struct ListingPage {
    page: Page,
    shown: Shown,
    app_id: String,
    slug: String,
    logo: String,
    screenshots: Vec<Screenshot>,
    is_public: bool,
    is_published: bool,
    categories: Vec<(&'static str, bool)>,
    may_build: bool,
}

/// One scope a line: `orders:read | To copy new orders`.
fn scope_lines(scopes: &[ScopeRequest]) -> String {
    let lines: Vec<String> = scopes
        .iter()
        .map(|asked| format!("{} | {}", asked.scope, asked.reason))
        .collect();
    lines.join("\n")
}

fn read_scopes(text: &str) -> Vec<ScopeRequest> {
    lines(text)
        .map(|line| {
            let (scope, reason) = line.split_once('|').unwrap_or((line, ""));
            ScopeRequest {
                scope: scope.trim().to_owned(),
                reason: reason.trim().to_owned(),
            }
        })
        .collect()
}

/// One field a line: `name | Label | kind | required or optional | choices, by comma | hint`.
fn form_lines(form: &[FormField]) -> String {
    let lines: Vec<String> = form
        .iter()
        .map(|field| {
            let need = if field.required {
                "required"
            } else {
                "optional"
            };
            format!(
                "{} | {} | {} | {need} | {} | {}",
                field.name,
                field.label,
                field.kind,
                field.choices.join(", "),
                field.hint
            )
        })
        .collect();
    lines.join("\n")
}

fn read_form(text: &str, known: &[FormField]) -> Result<Vec<FormField>, Failure> {
    lines(text)
        .map(|line| {
            let mut parts = line.split('|').map(str::trim);
            let mut next = || parts.next().unwrap_or_default();
            let (name, label, kind, need, choices, hint) =
                (next(), next(), next(), next(), next(), next());
            let kind: FieldKind = kind.parse().map_err(|()| {
                Failure::field(
                    "form",
                    "unknown_kind",
                    format!(
                        "In the line “{line}” the kind must be text, secret, choice, url or number."
                    ),
                )
            })?;
            // Bounds have no place in a line; they stay as the API set them.
            let old = known.iter().find(|field| field.name == name);
            Ok(FormField {
                name: name.to_owned(),
                label: label.to_owned(),
                kind,
                hint: hint.to_owned(),
                required: need == "required",
                choices: choices
                    .split(',')
                    .map(|choice| choice.trim().to_owned())
                    .filter(|choice| !choice.is_empty())
                    .collect(),
                min: old.and_then(|field| field.min),
                max: old.and_then(|field| field.max),
                max_length: old.and_then(|field| field.max_length),
            })
        })
        .collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn shown_draft(listing: &Listing) -> Shown {
    let draft = &listing.draft;
    let (scopes, form) = (scope_lines(&draft.scopes), form_lines(&draft.form));
    let (languages, redirects) = (draft.languages.join(", "), draft.redirect_uris.join("\n"));
    let customers = listing.customers.join("\n");
    Shown::with_values(&[
        ("name", &draft.name),
        ("summary", &draft.summary),
        ("description", &draft.description),
        ("support_url", &draft.support_url),
        ("support_email", &draft.support_email),
        ("privacy_url", &draft.privacy_url),
        ("terms_url", &draft.terms_url),
        ("install_url", &draft.install_url),
        ("webhook_url", &draft.webhook_url),
        ("data_use", &draft.data_use),
        ("pricing", &draft.pricing),
        ("languages", &languages),
        ("redirect_uris", &redirects),
        ("scopes", &scopes),
        ("form", &form),
        ("customers", &customers),
    ])
}

async fn listing_page(
    context: &Context,
    listing: &Listing,
    shown: Shown,
) -> Result<ListingPage, Failure> {
    let draft = &listing.draft;
    Ok(ListingPage {
        page: organisation_page(context, "Listing").await?,
        shown,
        app_id: listing.app_id.to_string(),
        slug: listing.slug.clone(),
        logo: draft.logo.clone(),
        screenshots: draft.screenshots.clone(),
        is_public: listing.visibility == Visibility::Public,
        is_published: listing.live_submission_id.is_some(),
        categories: CATEGORIES
            .iter()
            .map(|name| (*name, draft.categories.iter().any(|chosen| chosen == name)))
            .collect(),
        may_build: may_build(context),
    })
}

/// `GET /apps/{app_id}/listing`
pub async fn show_listing_page(context: &Context) -> Outcome {
    let listing = listing_of_path(context).await?;
    response::html(&listing_page(context, &listing, shown_draft(&listing)).await?)
}

fn read_draft(form: &Form, known: &Content) -> Result<Content, Failure> {
    Ok(Content {
        name: form.text("name"),
        summary: form.text("summary"),
        description: form.text("description").replace("\r\n", "\n"),
        categories: form.all("categories"),
        languages: form
            .text("languages")
            .split([',', ' '])
            .filter(|tag| !tag.is_empty())
            .map(str::to_owned)
            .collect(),
        support_url: form.text("support_url"),
        support_email: form.text("support_email"),
        privacy_url: form.text("privacy_url"),
        terms_url: form.text("terms_url"),
        install_url: form.text("install_url"),
        redirect_uris: lines(&form.text("redirect_uris"))
            .map(str::to_owned)
            .collect(),
        webhook_url: form.text("webhook_url"),
        scopes: read_scopes(&form.text("scopes")),
        data_use: form.text("data_use"),
        pricing: form.text("pricing"),
        form: read_form(&form.text("form"), &known.form)?,
        logo: known.logo.clone(),
        screenshots: known.screenshots.clone(),
    })
}

async fn save(context: &Context, listing: Listing, form: &Form) -> Result<(), Failure> {
    let body = ListingBody {
        visibility: form.text("visibility").parse().ok(),
        customers: Some(lines(&form.text("customers")).map(str::to_owned).collect()),
        draft: Some(read_draft(form, &listing.draft)?),
    };
    change_listing(context, listing, body).await?;
    Ok(())
}

/// `POST /apps/{app_id}/listing`
pub async fn save_listing_form(context: &Context) -> Outcome {
    let listing = listing_of_path(context).await?;
    let form = context.form();
    match save(context, listing.clone(), &form).await {
        Ok(()) => {
            let app_id = listing.app_id;
            Ok(response::see_other(&format!(
                "/apps/{app_id}/listing?done=saved"
            )))
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &listing_page(context, &listing, shown).await?)
        }
    }
}

/// `POST /apps/{app_id}/listing/images`: a logo or a screenshot, as a browser sends files.
pub async fn upload_image_form(context: &Context) -> Outcome {
    let mut listing = listing_of_path(context).await?;
    let form = context.form();
    let app_id = listing.app_id;
    match store_image(context, &listing, context.file("image")).await {
        Ok(image) => {
            if form.text("kind") == "screenshot" {
                listing.draft.screenshots.push(Screenshot {
                    image: image.id,
                    caption: form.text("caption"),
                });
            } else {
                listing.draft.logo = image.id;
            }
            let body = ListingBody {
                draft: Some(listing.draft.clone()),
                ..ListingBody::default()
            };
            change_listing(context, listing, body).await?;
            Ok(response::see_other(&format!(
                "/apps/{app_id}/listing?done=saved"
            )))
        }
        Err(failure) => {
            let status = failure.status;
            let mut page = listing_page(context, &listing, shown_draft(&listing)).await?;
            page.shown = page.shown.with_general(&failure.detail);
            response::html_with(status, &page)
        }
    }
}

/// `POST /apps/{app_id}/listing/screenshots/{image_id}/remove`
pub async fn remove_screenshot_form(context: &Context) -> Outcome {
    let mut listing = listing_of_path(context).await?;
    let image_id = context.path_text("image_id");
    listing
        .draft
        .screenshots
        .retain(|shot| shot.image != image_id);
    let app_id = listing.app_id;
    let body = ListingBody {
        draft: Some(listing.draft.clone()),
        ..ListingBody::default()
    };
    change_listing(context, listing, body).await?;
    Ok(response::see_other(&format!(
        "/apps/{app_id}/listing?done=removed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_and_form_fields_read_back_as_they_are_shown() {
        let scopes = vec![ScopeRequest {
            scope: "orders:read".to_owned(),
            reason: "To copy orders".to_owned(),
        }];
        assert_eq!(read_scopes(&scope_lines(&scopes)), scopes);
        let form = vec![FormField {
            name: "region".to_owned(),
            label: "Region".to_owned(),
            kind: FieldKind::Choice,
            hint: "Where".to_owned(),
            required: true,
            choices: vec!["eu".to_owned(), "us".to_owned()],
            min: None,
            max: None,
            max_length: None,
        }];
        assert_eq!(read_form(&form_lines(&form), &form).unwrap(), form);
        assert_eq!(
            read_form("a | A | banana", &[]).unwrap_err().errors[0].field,
            "form"
        );
    }
}
