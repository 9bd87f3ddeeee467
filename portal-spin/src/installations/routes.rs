//! `/api/v1/installations` for customers, `/api/v1/apps/{app_id}/installations` for the app's owner.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::changes::{configure, remove};
use super::secrets::{hide_secrets, open_answers};
use super::store::{self, Installation};
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::paging::{PageOf, PageRequest};
use crate::web::{Failure, response};

/// An installation in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InstallationView {
    /// The installation.
    pub id: String,
    /// The app.
    pub app_id: String,
    /// `test` or `live`.
    pub environment: String,
    /// Scopes granted.
    pub scopes: Vec<String>,
    /// Answers of the configuration form; secrets only to the app's owner.
    pub configuration: Map<String, Value>,
    /// When it was installed.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub installed_at: i64,
    /// When it was last configured.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub configured_at: i64,
    /// When it was removed.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub removed_at: Option<i64>,
}

impl Installation {
    fn view(&self, configuration: Map<String, Value>) -> InstallationView {
        InstallationView {
            id: self.id.to_string(),
            app_id: self.app_id.to_string(),
            environment: self.environment.as_str().to_owned(),
            scopes: self.scopes.clone(),
            configuration,
            installed_at: self.installed_at_ms,
            configured_at: self.configured_at_ms,
            removed_at: self.removed_at_ms,
        }
    }

    /// As everyone but the app sees it.
    pub fn public_view(&self) -> InstallationView {
        self.view(hide_secrets(&self.configuration))
    }
}

/// A page of installations.
pub type InstallationList = PageOf<InstallationView>;

/// New answers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationBody {
    /// Answers by field name; a secret left out stays.
    #[serde(default)]
    pub configuration: Map<String, Value>,
}

/// The path's installation, if it is the caller's.
pub async fn own_installation(context: &Context) -> Result<Installation, Failure> {
    let person_id = context.person()?.person_id;
    store::find_installation(&context.connection, context.path_id("installation_id")?)
        .await?
        .filter(|installation| installation.person_id == person_id)
        .ok_or_else(Failure::not_found)
}

/// `GET /api/v1/installations`
pub async fn list_installations(context: &Context) -> Outcome {
    let page = PageRequest::read(context)?;
    let person_id = context.person()?.person_id;
    let connection = &context.connection;
    let environment = context.query("environment").unwrap_or_default();
    let rows = store::list_of_person(connection, person_id, &page, &environment).await?;
    let views = rows.iter().map(Installation::public_view).collect();
    response::ok(&page.page_of(views, |view: &InstallationView| view.id.clone()))
}

/// `GET /api/v1/installations/{installation_id}`
pub async fn show_installation(context: &Context) -> Outcome {
    response::ok(&own_installation(context).await?.public_view())
}

/// `PATCH /api/v1/installations/{installation_id}`
pub async fn configure_installation(context: &Context) -> Outcome {
    let body: ConfigurationBody = context.json()?;
    let mut installation = own_installation(context).await?;
    check_standing(&installation)?;
    configure(context, &mut installation, &body.configuration).await?;
    response::ok(&installation.public_view())
}

/// Refuses a change of what was removed.
pub fn check_standing(installation: &Installation) -> Result<(), Failure> {
    if installation.removed_at_ms.is_some() {
        return Err(Failure::conflict(
            "removed",
            "This installation was removed. Install the app again.",
        ));
    }
    Ok(())
}

/// `DELETE /api/v1/installations/{installation_id}`
pub async fn remove_installation(context: &Context) -> Outcome {
    let mut installation = own_installation(context).await?;
    remove(context, &mut installation).await?;
    response::ok(&installation.public_view())
}

/// `GET /api/v1/apps/{app_id}/installations`
pub async fn list_app_installations(context: &Context) -> Outcome {
    let page = PageRequest::read(context)?;
    let app_id = context.path_id("app_id")?;
    let connection = &context.connection;
    let environment = context.query("environment").unwrap_or_default();
    let rows = store::list_of_app(connection, app_id, &page, &environment).await?;
    let views = rows.iter().map(Installation::public_view).collect();
    response::ok(&page.page_of(views, |view: &InstallationView| view.id.clone()))
}

/// `GET /api/v1/apps/{app_id}/installations/{installation_id}`: with the secrets, for the app's builders.
pub async fn show_app_installation(context: &Context) -> Outcome {
    let app_id = context.path_id("app_id")?;
    let installation =
        store::find_installation(&context.connection, context.path_id("installation_id")?)
            .await?
            .filter(|installation| installation.app_id == app_id)
            .ok_or_else(Failure::not_found)?;
    let opened = open_answers(context, &installation.configuration)?;
    response::ok(&installation.view(opened))
}
