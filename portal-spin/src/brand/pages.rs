//! The settings page of the brand.

use askama::Template;
use http::StatusCode;

use super::model::{BrandSettings, FooterLink};
use super::{routes, store};
use crate::context::Context;
use crate::organisations::OperatorRole;
use crate::routes::{ADMINISTRATORS, Outcome};
use crate::web::forms::{Form, Shown};
use crate::web::languages::{self, Language};
use crate::web::{Page, response};

#[derive(Template)]
#[template(path = "brand/templates/brand.html")]
struct BrandPage {
    page: Page,
    shown: Shown,
    may_change: bool,
    default_name: String,
    languages: Vec<Language>,
    default_sender: String,
}

fn render(context: &Context, status: StatusCode, shown: Shown) -> Outcome {
    let roles = &context.person()?.operator_roles;
    response::html_with(
        status,
        &BrandPage {
            page: Page::new(context, "Brand"),
            shown,
            may_change: OperatorRole::any_of(roles, ADMINISTRATORS),
            languages: languages::all().collect(),
            default_name: context.configuration().get("programme_name").to_owned(),
            default_sender: context.configuration().get("email_from").to_owned(),
        },
    )
}

/// `GET /operator/brand`
pub async fn show_brand_page(context: &Context) -> Outcome {
    let settings = store::load_brand(&context.connection).await?;
    let links: Vec<String> = settings
        .links
        .iter()
        .map(|link| format!("{} | {}", link.label, link.href))
        .collect();
    let shown = Shown::with_values(&[
        ("name", &settings.name),
        ("logo_svg", &settings.logo_svg),
        ("accent", &settings.accent),
        ("accent_dark", &settings.accent_dark),
        ("mail_from", &settings.mail_from),
        ("legal", &settings.legal),
        ("links", &links.join("\n")),
        ("language", &settings.language),
    ]);
    render(context, StatusCode::OK, shown)
}

/// `Label | https://…`, one a line.
fn read_links(text: &str) -> Vec<FooterLink> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (label, href) = line.split_once('|').unwrap_or((line, ""));
            FooterLink {
                label: label.trim().to_owned(),
                href: href.trim().to_owned(),
            }
        })
        .collect()
}

fn read_settings(form: &Form) -> BrandSettings {
    BrandSettings {
        name: form.text("name"),
        logo_svg: form.text("logo_svg"),
        accent: form.text("accent").to_ascii_lowercase(),
        accent_dark: form.text("accent_dark").to_ascii_lowercase(),
        mail_from: form.text("mail_from"),
        legal: form.text("legal"),
        links: read_links(&form.text("links")),
        language: form.text("language"),
    }
}

/// `POST /operator/brand`
pub async fn save_brand_form(context: &Context) -> Outcome {
    let form = context.form();
    match routes::save(context, &read_settings(&form)).await {
        Ok(()) => Ok(response::see_other("/operator/brand?done=saved")),
        Err(failure) => {
            let status = failure.status;
            render(context, status, Shown::again(form, failure)?)
        }
    }
}
