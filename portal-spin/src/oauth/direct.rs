//! Installation from the directory: the customer consents here, and the app learns of it by webhook.
//!
//! An app with a page of its own begins there and comes back to the authorization endpoint; any other
//! gets tokens for the installation by `client_credentials`.

use askama::Template;
use http::StatusCode;
use shared::credential::Environment;
use shared::ids::AppId;

use super::authorize::{Question, answers_of, render_consent};
use super::clients::{Client, clients_of_app};
use crate::context::Context;
use crate::installations::{Consent, install, may_install};
use crate::listings::{self, Offer, Step, address};
use crate::params;
use crate::routes::Outcome;
use crate::web::forms::Shown;
use crate::web::{Failure, Page, response};

fn not_installable() -> Failure {
    Failure::conflict(
        "not_installable",
        "This app cannot be installed at the moment.",
    )
}

async fn offer_of_path(context: &Context) -> Result<(Offer, Client), Failure> {
    let row = context
        .connection
        .query_optional(
            "SELECT app_id FROM listings WHERE slug = $1",
            params![context.path_text("slug")],
        )
        .await?
        .ok_or_else(Failure::not_found)?;
    let app_id: AppId = row.parse(0)?;
    let offer = listings::find_offer(&context.connection, app_id, Environment::Live)
        .await?
        .ok_or_else(Failure::not_found)?;
    if !may_install(context, &offer, context.person()?).await? {
        return Err(Failure::not_found());
    }
    let client = clients_of_app(context, app_id)
        .await?
        .into_iter()
        .find(|client| {
            client.credential.environment == Environment::Live && client.is_standing(context.now_ms)
        })
        .ok_or_else(not_installable)?;
    Ok((offer, client))
}

fn scopes_of(offer: &Offer) -> Vec<String> {
    offer
        .content
        .scopes
        .iter()
        .map(|asked| asked.scope.clone())
        .collect()
}

/// Leads to the app's own page. A redirect would do for a link, not behind the log-in: that is a form, and
/// browsers follow a form's redirects only to where `form-action` lets them.
#[derive(Template)]
#[template(path = "oauth/templates/leaving.html")]
struct LeavingPage {
    page: Page,
    place: String,
}

/// `GET /directory/{slug}/install`
pub async fn begin_install(context: &Context) -> Outcome {
    let (offer, client) = offer_of_path(context).await?;
    if !offer.content.install_url.is_empty() {
        // A private app's draft has not been judged.
        if !address::is_safe_redirect(&offer.content.install_url) {
            return Err(not_installable());
        }
        let title = format!("Install {}", offer.content.name);
        return response::html(&LeavingPage {
            page: Page::new(context, &title),
            place: offer.content.install_url,
        });
    }
    let connection = &context.connection;
    listings::count_step(connection, offer.listing_id, Step::Begin, context.now_ms).await?;
    show(context, &offer, &client, Shown::default(), StatusCode::OK).await
}

async fn show(
    context: &Context,
    offer: &Offer,
    client: &Client,
    shown: Shown,
    status: StatusCode,
) -> Outcome {
    let question = Question {
        offer,
        client,
        scopes: &scopes_of(offer),
        action: context.request.uri().path(),
        hidden: Vec::new(),
        returns_to: String::new(),
    };
    render_consent(context, question, shown, status).await
}

/// `POST /directory/{slug}/install`
pub async fn submit_install(context: &Context) -> Outcome {
    let (offer, client) = offer_of_path(context).await?;
    let form = context.form();
    if form.raw("decision") != "install" {
        return Ok(response::see_other(&format!(
            "/directory/{}",
            context.path_text("slug")
        )));
    }
    let person = context.person()?;
    let consent = Consent {
        credential: client.credential.clone(),
        scopes: scopes_of(&offer),
        answers: answers_of(&form, &offer.content.form),
    };
    let installed = context
        .connection
        .transaction(async || install(context, &offer, person, &consent).await)
        .await;
    match installed {
        Ok(installation) => {
            let id = installation.id;
            Ok(response::see_other(&format!(
                "/installations/{id}?done=saved"
            )))
        }
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            show(context, &offer, &client, shown, status).await
        }
    }
}
