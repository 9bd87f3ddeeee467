//! The page of an app's OAuth clients.

use askama::Template;

use super::clients::{
    Authentication, ClientBody, ClientView, IssuedClient, clients_of_app, create, end_client,
    renew_secret,
};
use crate::apps::{may_build, organisation_page};
use crate::context::Context;
use crate::listings::app_of_path;
use crate::routes::Outcome;
use crate::web::forms::Shown;
use crate::web::{Failure, Page, response};

#[derive(Template)]
#[template(path = "oauth/templates/clients.html")]
struct ClientsPage {
    page: Page,
    shown: Shown,
    app_id: String,
    clients: Vec<ClientView>,
    issued: Option<IssuedClient>,
    may_build: bool,
    issuer: String,
}

async fn clients_page(
    context: &Context,
    shown: Shown,
    issued: Option<IssuedClient>,
) -> Result<ClientsPage, Failure> {
    let app = app_of_path(context).await?;
    let clients = clients_of_app(context, app.id).await?;
    Ok(ClientsPage {
        page: organisation_page(context, &app.name).await?,
        shown,
        app_id: app.id.to_string(),
        clients: clients
            .iter()
            .map(|client| client.view(context.now_ms))
            .collect(),
        issued,
        may_build: may_build(context),
        issuer: context.configuration().public_url.clone(),
    })
}

/// `GET /apps/{app_id}/oauth-clients`
pub async fn show_clients_page(context: &Context) -> Outcome {
    response::html(&clients_page(context, Shown::default(), None).await?)
}

async fn issue(context: &Context) -> Result<IssuedClient, Failure> {
    let form = context.form();
    let keys = form.text("keys");
    let body = ClientBody {
        environment: form.text("environment"),
        name: form.text("name"),
        authentication: (form.text("authentication") == "private_key_jwt")
            .then_some(Authentication::PrivateKey),
        keys: serde_json::from_str(&keys).ok(),
    };
    create(context, &app_of_path(context).await?, &body).await
}

/// `POST /apps/{app_id}/oauth-clients`
pub async fn create_client_form(context: &Context) -> Outcome {
    match issue(context).await {
        // Not a redirect: the secret is shown this once.
        Ok(issued) => response::html(&clients_page(context, Shown::default(), Some(issued)).await?),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(context.form(), failure)?;
            response::html_with(status, &clients_page(context, shown, None).await?)
        }
    }
}

/// `POST /apps/{app_id}/oauth-clients/{credential_id}/secret`
pub async fn rotate_secret_form(context: &Context) -> Outcome {
    let issued = renew_secret(context).await?;
    response::html(&clients_page(context, Shown::default(), Some(issued)).await?)
}

/// `POST /apps/{app_id}/oauth-clients/{credential_id}/revoke`
pub async fn revoke_client_form(context: &Context) -> Outcome {
    end_client(context).await?;
    let app_id = context.path_text("app_id");
    Ok(response::see_other(&format!(
        "/apps/{app_id}/oauth-clients?done=removed"
    )))
}
