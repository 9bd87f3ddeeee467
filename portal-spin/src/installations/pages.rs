//! Pages of a customer's installations, and the installs of an app.

use askama::Template;
use serde_json::Value;
use shared::credential::Environment;

use super::changes::{configure, remove};
use super::routes::{check_standing, own_installation};
use super::secrets::hide_secrets;
use super::store::{self, Installation};
use crate::apps::organisation_page;
use crate::context::Context;
use crate::directory::find_opinion;
use crate::encoding::readable_time;
use crate::listings::{self, FormField, Funnel, app_of_path, funnel_of_path, plain_words};
use crate::params;
use crate::routes::Outcome;
use crate::web::forms::{Form, Shown};
use crate::web::listed::Listed;
use crate::web::paging::PageRequest;
use crate::web::{Failure, Page, response};

struct Row {
    id: String,
    app: String,
    words: Vec<String>,
    environment: &'static str,
    installed: String,
    removed: Option<String>,
}

async fn rows_of(context: &Context, list: &[Installation]) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::with_capacity(list.len());
    for installation in list {
        let app: String = context
            .connection
            .query_one(
                "SELECT name FROM apps WHERE app_id = $1",
                params![installation.app_id],
            )
            .await?
            .get(0)?;
        rows.push(Row {
            id: installation.id.to_string(),
            app,
            words: installation
                .scopes
                .iter()
                .map(|scope| plain_words(scope))
                .collect(),
            environment: installation.environment.as_str(),
            installed: readable_time(installation.installed_at_ms),
            removed: installation.removed_at_ms.map(readable_time),
        });
    }
    Ok(rows)
}

#[derive(Template)]
#[template(path = "installations/templates/installations.html")]
struct InstallationsPage {
    page: Page,
    rows: Vec<Row>,
    listed: Listed,
}

/// `GET /installations`
pub async fn show_installations_page(context: &Context) -> Outcome {
    let request = PageRequest::read(context)?;
    let person_id = context.person()?.person_id;
    let connection = &context.connection;
    let environment = context.query("environment").unwrap_or_default();
    let list = store::list_of_person(connection, person_id, &request, &environment).await?;
    let list = request.page_of(list, |installation| installation.id.to_string());
    response::html(&InstallationsPage {
        page: Page::new(context, "Your installations"),
        rows: rows_of(context, &list.items).await?,
        listed: {
            let path = "/installations";
            Listed::of(context, path, path, list.next_cursor.as_deref())
        },
    })
}

#[derive(Template)]
#[template(path = "installations/templates/installation.html")]
struct InstallationPage {
    page: Page,
    shown: Shown,
    row: Row,
    form: Vec<FormField>,
    /// What is said of the app, or what was typed.
    opinion: Shown,
    may_say: bool,
}

async fn installation_page(
    context: &Context,
    installation: &Installation,
    shown: Shown,
) -> Result<InstallationPage, Failure> {
    let offer = listings::find_offer(
        &context.connection,
        installation.app_id,
        installation.environment,
    )
    .await?;
    let row = rows_of(context, std::slice::from_ref(installation))
        .await?
        .pop()
        .ok_or_else(Failure::not_found)?;
    let known = find_opinion(&context.connection, installation.id).await?;
    let opinion = known.map_or_else(Shown::default, |known| {
        Shown::with_values(&[
            ("rating", known.rating.to_string().as_str()),
            ("body", &known.body),
            ("signed_by", &known.signed_by),
        ])
    });
    Ok(InstallationPage {
        opinion,
        may_say: installation.environment == Environment::Live,
        page: Page::new(context, &row.app).named(),
        shown,
        row,
        form: offer.map(|offer| offer.content.form).unwrap_or_default(),
    })
}

/// `GET /installations/{installation_id}`
pub async fn show_installation_page(context: &Context) -> Outcome {
    let installation = own_installation(context).await?;
    let shown_answers = hide_secrets(&installation.configuration);
    let pairs: Vec<(String, String)> = shown_answers
        .iter()
        .map(|(name, value)| {
            (
                format!("config.{name}"),
                value.as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let pairs: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let shown = Shown::with_values(&pairs);
    response::html(&installation_page(context, &installation, shown).await?)
}

/// `POST /installations/{installation_id}/configure`
pub async fn configure_installation_form(context: &Context) -> Outcome {
    let mut installation = own_installation(context).await?;
    check_standing(&installation)?;
    let form = context.form();
    let page = installation_page(context, &installation, Shown::default()).await?;
    let answers = page
        .form
        .iter()
        .map(|field| {
            (
                field.name.clone(),
                form.text(&format!("config.{}", field.name)),
            )
        })
        .filter(|(_, answer)| !answer.is_empty())
        .map(|(name, answer)| (name, Value::String(answer)))
        .collect();
    match configure(context, &mut installation, &answers).await {
        Ok(()) => Ok(response::see_other(&format!(
            "/installations/{}?done=saved",
            installation.id
        ))),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            let page = installation_page(context, &installation, shown).await?;
            response::html_with(status, &page)
        }
    }
}

/// The page again with the opinion that was refused.
pub async fn refuse_opinion(
    context: &Context,
    installation: &Installation,
    form: Form,
    failure: Failure,
) -> Outcome {
    let status = failure.status;
    let mut page = installation_page(context, installation, Shown::default()).await?;
    page.opinion = Shown::again(form, failure)?;
    response::html_with(status, &page)
}

/// `POST /installations/{installation_id}/remove`
pub async fn remove_installation_form(context: &Context) -> Outcome {
    let mut installation = own_installation(context).await?;
    remove(context, &mut installation).await?;
    Ok(response::see_other("/installations?done=removed"))
}

#[derive(Template)]
#[template(path = "installations/templates/installs.html")]
struct InstallsPage {
    page: Page,
    funnel: Funnel,
    rows: Vec<Row>,
    listed: Listed,
}

/// `GET /apps/{app_id}/installs`
pub async fn show_installs_page(context: &Context) -> Outcome {
    let request = PageRequest::read(context)?;
    let app = app_of_path(context).await?;
    let connection = &context.connection;
    let environment = context.query("environment").unwrap_or_default();
    let list = store::list_of_app(connection, app.id, &request, &environment).await?;
    let list = request.page_of(list, |installation| installation.id.to_string());
    response::html(&InstallsPage {
        page: organisation_page(context, &app.name).await?,
        funnel: funnel_of_path(context).await?,
        rows: rows_of(context, &list.items).await?,
        listed: Listed::of(
            context,
            &format!("/apps/{}/installs", app.id),
            &format!("/apps/{}/installations", app.id),
            list.next_cursor.as_deref(),
        ),
    })
}
