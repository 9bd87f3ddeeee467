//! Pages of apps.

use askama::Template;

use super::routes::{AppBody, AppView, app_of_path, create};
use super::store;
use crate::context::Context;
use crate::encoding::readable_time;
use crate::home;
use crate::metering::{self, UsageView};
use crate::organisations::store::find_organisation;
use crate::routes::{BUILDERS, Outcome};
use crate::web::forms::Shown;
use crate::web::listed::Listed;
use crate::web::paging::PageRequest;
use crate::web::{Failure, Page, response};

#[derive(Template)]
#[template(path = "apps/templates/apps.html")]
struct AppsPage {
    page: Page,
    shown: Shown,
    organisation_id: String,
    apps: Vec<AppView>,
    listed: Listed,
    may_build: bool,
}

#[derive(Template)]
#[template(path = "apps/templates/app.html")]
struct AppPage {
    page: Page,
    app: AppView,
    usage: UsageView,
    gateway: String,
    example_path: String,
    created: String,
}

/// A page of the organisation that the path belongs to, with its name on top.
pub async fn organisation_page(context: &Context, title: &str) -> Result<Page, Failure> {
    let organisation = find_organisation(&context.connection, context.organisation_id()?)
        .await?
        .ok_or_else(Failure::not_found)?;
    Ok(Page::of_organisation(context, title, &organisation.name))
}

/// Whether the visitor may change apps, keys and plans.
pub fn may_build(context: &Context) -> bool {
    context
        .member_role()
        .is_ok_and(|role| BUILDERS.contains(&role))
}

async fn apps_page(context: &Context, shown: Shown) -> Result<AppsPage, Failure> {
    let request = PageRequest::read(context)?;
    let organisation_id = context.organisation_id()?;
    let state = context.query("state").unwrap_or_default();
    let apps = store::list(&context.connection, organisation_id, &request, &state).await?;
    let list = request.page_of(apps.iter().map(AppView::from).collect(), |app: &AppView| {
        app.id.clone()
    });
    Ok(AppsPage {
        page: organisation_page(context, "Apps").await?,
        shown,
        organisation_id: organisation_id.to_string(),
        listed: {
            let path = format!("/organisations/{organisation_id}/apps");
            Listed::of(context, &path, &path, list.next_cursor.as_deref())
        },
        apps: list.items,
        may_build: may_build(context),
    })
}

/// `GET /organisations/{organisation_id}/apps`
pub async fn list_apps_page(context: &Context) -> Outcome {
    response::html(&apps_page(context, Shown::default()).await?)
}

/// `POST /organisations/{organisation_id}/apps`
pub async fn create_app_form(context: &Context) -> Outcome {
    let form = context.form();
    let body = AppBody {
        name: Some(form.text("name")),
        description: None,
    };
    match create(context, context.organisation_id()?, &body).await {
        Ok(app) => Ok(response::see_other(&format!(
            "/apps/{}/credentials?done=saved",
            app.id
        ))),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &apps_page(context, shown).await?)
        }
    }
}

/// `GET /apps/{app_id}`
pub async fn show_app_page(context: &Context) -> Outcome {
    let app = app_of_path(context).await?;
    let example_path = home::example_path(context, Some(app.id)).await?;
    response::html(&AppPage {
        page: organisation_page(context, &app.name).await?,
        usage: metering::last_day(context).await?,
        gateway: context.configuration().get("gateway_url").to_owned(),
        example_path,
        created: readable_time(app.created_at_ms),
        app: AppView::from(&app),
    })
}
