//! `/account/passkeys`, and the form that a script fills on the log-in page.

use askama::Template;

use super::routes::{Credential, PasskeyBody, add, log_in_with, remove};
use super::store::{PasskeyView, list_passkeys};
use crate::context::Context;
use crate::encoding::readable_time;
use crate::organisations::pages::{local_path, signed_in};
use crate::routes::Outcome;
use crate::web::forms::{Form, Shown};
use crate::web::{Failure, Page, response};

struct PasskeyRow {
    passkey: PasskeyView,
    created: String,
    last_used: String,
}

#[derive(Template)]
#[template(path = "passkeys/templates/passkeys.html")]
struct PasskeysPage {
    page: Page,
    shown: Shown,
    rows: Vec<PasskeyRow>,
}

async fn passkeys_page(context: &Context, shown: Shown) -> Result<PasskeysPage, Failure> {
    let person_id = context.person()?.person_id;
    let rows = list_passkeys(&context.connection, person_id).await?;
    Ok(PasskeysPage {
        page: Page::new(context, "Passkeys"),
        shown,
        rows: rows
            .into_iter()
            .map(|passkey| PasskeyRow {
                created: readable_time(passkey.created_at),
                last_used: passkey
                    .last_used_at
                    .map_or_else(|| "never".to_owned(), readable_time),
                passkey,
            })
            .collect(),
    })
}

/// `GET /account/passkeys`
pub async fn show_passkeys(context: &Context) -> Outcome {
    response::html(&passkeys_page(context, Shown::default()).await?)
}

async fn after(context: &Context, form: Form, outcome: Result<(), Failure>, done: &str) -> Outcome {
    match outcome {
        Ok(()) => Ok(response::see_other(&format!(
            "/account/passkeys?done={done}"
        ))),
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            response::html_with(status, &passkeys_page(context, shown).await?)
        }
    }
}

fn credential_of(form: &Form) -> Result<Credential, Failure> {
    serde_json::from_str(form.raw("credential")).map_err(|_| {
        Failure::field(
            "credential",
            "malformed",
            "The browser gave no passkey. Allow scripts for this page and try again.",
        )
    })
}

/// `POST /account/passkeys`: the form as the script filled it.
pub async fn submit_passkey(context: &Context) -> Outcome {
    let form = context.form();
    let outcome = match credential_of(&form) {
        Ok(credential) => {
            let body = PasskeyBody {
                name: form.text("name"),
                credential,
            };
            add(context, &body).await.map(|_| ())
        }
        Err(failure) => Err(failure),
    };
    after(context, form, outcome, "saved").await
}

/// `POST /account/passkeys/{passkey_id}/remove`
pub async fn submit_passkey_removal(context: &Context) -> Outcome {
    let form = context.form();
    let outcome = remove(context, form.raw("current_password")).await;
    after(context, form, outcome, "removed").await
}

/// `POST /log-in/passkey`: the form as the script filled it.
pub async fn submit_passkey_log_in(context: &Context) -> Outcome {
    let form = context.form();
    let credential = credential_of(&form)?;
    let (_, token) = log_in_with(context, &credential).await?;
    Ok(signed_in(context, &token, &local_path(&form.text("next"))))
}
