//! `/api/v1/organisations/{organisation_id}/apps` and `/api/v1/apps/{app_id}`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::ids::{AppId, OrganisationId};

use super::store::{self, App};
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::forms::read_name;
use crate::web::paging::{PageOf, PageRequest};
use crate::web::{Failure, response};
use crate::{audit, credentials, subscriptions};

/// An app in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AppView {
    /// The app.
    pub id: String,
    /// Its owner.
    pub organisation_id: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// `active` or `suspended`.
    pub state: String,
    /// When it was created.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub created_at: i64,
}

impl From<&App> for AppView {
    fn from(app: &App) -> Self {
        let state = if app.suspended_at_ms.is_some() {
            "suspended"
        } else {
            "active"
        };
        Self {
            id: app.id.to_string(),
            organisation_id: app.organisation_id.to_string(),
            name: app.name.clone(),
            description: app.description.clone(),
            state: state.to_owned(),
            created_at: app.created_at_ms,
        }
    }
}

/// What a new or changed app is given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppBody {
    /// Its name, at most 80 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// What it does, at most 2 000 characters.
    #[serde(default)]
    pub description: Option<String>,
}

/// A page of apps.
pub type AppList = PageOf<AppView>;

fn check_name(name: &str) -> Result<String, Failure> {
    read_name("name", name, 80).map_err(|fault| Failure::fields(vec![fault]))
}

fn check_description(description: &str) -> Result<String, Failure> {
    if description.chars().count() > 2_000 {
        return Err(Failure::field(
            "description",
            "too_long",
            "Use at most 2 000 characters.",
        ));
    }
    Ok(description.trim().to_owned())
}

/// Creates an app of this organisation and puts it on the default plan of each self-service product.
pub async fn create(
    context: &Context,
    organisation_id: OrganisationId,
    body: &AppBody,
) -> Result<App, Failure> {
    let app = App {
        id: context.new_id(AppId::new),
        organisation_id,
        name: check_name(body.name.as_deref().unwrap_or_default())?,
        description: check_description(body.description.as_deref().unwrap_or_default())?,
        created_at_ms: context.now_ms,
        suspended_at_ms: None,
        deleted_at_ms: None,
    };
    context
        .connection
        .transaction(async || {
            let detail = json!({ "name": &app.name });
            audit::record(
                context,
                Some(organisation_id),
                "app.created",
                &app.id.to_string(),
                detail,
            )
            .await?;
            store::put(&context.connection, &app, context.now_ms).await?;
            subscriptions::subscribe_to_defaults(context, &app).await?;
            Ok::<(), Failure>(())
        })
        .await?;
    Ok(app)
}

/// The app that an organisation begins with.
pub async fn create_first(
    context: &Context,
    organisation_id: OrganisationId,
) -> Result<App, Failure> {
    let body = AppBody {
        name: Some("First app".to_owned()),
        description: None,
    };
    create(context, organisation_id, &body).await
}

/// The app of the path.
pub(super) async fn app_of_path(context: &Context) -> Result<App, Failure> {
    let app_id: AppId = context.path_id("app_id")?;
    store::find_app(&context.connection, app_id)
        .await?
        .ok_or_else(Failure::not_found)
}

/// `POST …/apps`
pub async fn create_app(context: &Context) -> Outcome {
    let body: AppBody = context.json()?;
    let app = create(context, context.organisation_id()?, &body).await?;
    response::created(&AppView::from(&app))
}

/// `GET …/apps`
pub async fn list_apps(context: &Context) -> Outcome {
    let page = PageRequest::read(context)?;
    let organisation_id = context.organisation_id()?;
    let state = context.query("state").unwrap_or_default();
    let apps = store::list(&context.connection, organisation_id, &page, &state).await?;
    let views = apps.iter().map(AppView::from).collect();
    response::ok(&page.page_of(views, |app: &AppView| app.id.clone()))
}

/// `GET /api/v1/apps/{app_id}`
pub async fn show_app(context: &Context) -> Outcome {
    response::ok(&AppView::from(&app_of_path(context).await?))
}

/// `PATCH /api/v1/apps/{app_id}`
pub async fn update_app(context: &Context) -> Outcome {
    let body: AppBody = context.json()?;
    let mut app = app_of_path(context).await?;
    if let Some(name) = &body.name {
        app.name = check_name(name)?;
    }
    if let Some(description) = &body.description {
        app.description = check_description(description)?;
    }
    store_change(context, &app, "app.changed").await?;
    response::ok(&AppView::from(&app))
}

/// `DELETE /api/v1/apps/{app_id}`: its credentials are revoked and its subscriptions end.
pub async fn delete_app(context: &Context) -> Outcome {
    let app = app_of_path(context).await?;
    context
        .connection
        .transaction(async || delete(context, app.id).await)
        .await?;
    Ok(response::no_content())
}

/// Deletes an app with its credentials and subscriptions. Call it inside a transaction.
pub async fn delete(context: &Context, app_id: AppId) -> Result<(), Failure> {
    let mut app = store::find_app(&context.connection, app_id)
        .await?
        .ok_or_else(Failure::not_found)?;
    app.deleted_at_ms = Some(context.now_ms);
    audit::record(
        context,
        Some(app.organisation_id),
        "app.deleted",
        &app.id.to_string(),
        json!({}),
    )
    .await?;
    credentials::revoke_all(context, app.id).await?;
    subscriptions::cancel_all(context, app.id).await?;
    store::put(&context.connection, &app, context.now_ms).await?;
    Ok(())
}

async fn store_change(context: &Context, app: &App, action: &str) -> Result<(), Failure> {
    context
        .connection
        .transaction(async || {
            let detail = json!({ "name": &app.name });
            audit::record(
                context,
                Some(app.organisation_id),
                action,
                &app.id.to_string(),
                detail,
            )
            .await?;
            store::put(&context.connection, app, context.now_ms).await?;
            Ok::<(), Failure>(())
        })
        .await
}
