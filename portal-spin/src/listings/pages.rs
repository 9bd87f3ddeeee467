//! The page where a listing is edited.

use askama::Template;

use super::content::{CATEGORIES, Content, FieldKind, ScopeRequest, Screenshot, Visibility};
use super::form_rows::{FormRow, read_rows, rows_of};
use super::images::store_image;
use super::routes::{ListingBody, app_of_path, change_listing, listing_of_path};
use super::store::Listing;
use crate::apps::{may_build, organisation_page};
use crate::context::Context;
use crate::reviews::{Checks, check_listing};
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
    /// The configuration form, with an empty row for one more field.
    rows: Vec<FormRow>,
    kinds: &'static [FieldKind],
    checks: Checks,
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

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn shown_draft(listing: &Listing) -> Shown {
    let draft = &listing.draft;
    let scopes = scope_lines(&draft.scopes);
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
        ("customers", &customers),
    ])
}

async fn listing_page(
    context: &Context,
    listing: &Listing,
    shown: Shown,
    asks_addresses: bool,
) -> Result<ListingPage, Failure> {
    let draft = &listing.draft;
    let app = app_of_path(context).await?;
    let mut rows: Vec<FormRow> = draft.form.iter().map(FormRow::of).collect();
    rows.push(FormRow::default());
    Ok(ListingPage {
        rows,
        kinds: FieldKind::ANY,
        checks: check_listing(context, &app, listing, asks_addresses).await?,
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
    response::html(&listing_page(context, &listing, shown_draft(&listing), false).await?)
}

/// `POST /apps/{app_id}/listing/checks`: the page again with what is typed, checked and not saved. With
/// `quick` no address is asked: that is while someone types.
pub async fn check_typed_listing(context: &Context) -> Outcome {
    let mut listing = listing_of_path(context).await?;
    let form = context.form();
    match typed(&listing, &form) {
        Ok(body) => {
            let (draft, customers) = (body.draft, body.customers);
            listing.draft = draft.unwrap_or_default();
            listing.customers = customers.unwrap_or_default();
            listing.visibility = body.visibility.unwrap_or(listing.visibility);
            let asks_addresses = !form.is_ticked("quick");
            let shown = shown_draft(&listing);
            response::html(&listing_page(context, &listing, shown, asks_addresses).await?)
        }
        Err(failure) => show_again(context, &listing, form, failure).await,
    }
}

async fn show_again(context: &Context, listing: &Listing, form: Form, failure: Failure) -> Outcome {
    let status = failure.status;
    let mut rows = rows_of(&form);
    rows.push(FormRow::default());
    let chosen = form.all("categories");
    let is_public = form.raw("visibility") == Visibility::Public.as_str();
    let shown = Shown::again(form, failure)?;
    let mut page = listing_page(context, listing, shown, false).await?;
    page.rows = rows;
    page.is_public = is_public;
    for (name, is_chosen) in &mut page.categories {
        *is_chosen = chosen.iter().any(|chosen| chosen == name);
    }
    response::html_with(status, &page)
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
        form: read_rows(&rows_of(form))?,
        logo: known.logo.clone(),
        screenshots: known.screenshots.clone(),
    })
}

/// What the form says.
fn typed(listing: &Listing, form: &Form) -> Result<ListingBody, Failure> {
    Ok(ListingBody {
        visibility: form.text("visibility").parse().ok(),
        customers: Some(lines(&form.text("customers")).map(str::to_owned).collect()),
        draft: Some(read_draft(form, &listing.draft)?),
    })
}

async fn save(context: &Context, listing: Listing, form: &Form) -> Result<(), Failure> {
    let body = typed(&listing, form)?;
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
        Err(failure) => show_again(context, &listing, form, failure).await,
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
            let mut page = listing_page(context, &listing, shown_draft(&listing), false).await?;
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
    fn scopes_read_back_as_they_are_shown() {
        let scopes = vec![ScopeRequest {
            scope: "orders:read".to_owned(),
            reason: "To copy orders".to_owned(),
        }];
        assert_eq!(read_scopes(&scope_lines(&scopes)), scopes);
    }
}
