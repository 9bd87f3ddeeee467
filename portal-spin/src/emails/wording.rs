//! `/operator/email-texts`: the operator words e-mails anew.

use askama::Template;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::catalogue::TEXTS;
use super::html::html_of;
use super::texts::{Text, fill, find_text, find_wording, problem};
use crate::audit;
use crate::context::Context;
use crate::organisations::OperatorRole;
use crate::params;
use crate::routes::{ADMINISTRATORS, Outcome};
use crate::web::forms::Shown;
use crate::web::paging::{PageOf, whole};
use crate::web::{Failure, FieldError, Page, response};

/// A wording; both empty give back the one of the product.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wording {
    /// The subject line.
    pub subject: String,
    /// The text; a line that is only a link becomes one.
    pub text: String,
}

/// What may stand in braces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// An example, as previews show it.
    pub example: String,
    /// Whether the text must have it.
    pub is_needed: bool,
}

/// A text that may be worded anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EmailTextView {
    /// Its name.
    pub name: String,
    /// When it is sent.
    pub when: String,
    /// The subject as it is sent now.
    pub subject: String,
    /// The text as it is sent now.
    pub text: String,
    /// Whether it was worded anew.
    pub is_changed: bool,
    /// What may stand in braces.
    pub variables: Vec<Variable>,
}

/// Every text.
pub type EmailTextList = PageOf<EmailTextView>;

/// A text with examples in place of its variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Preview {
    /// The subject line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

fn text_of_path(context: &Context) -> Result<&'static Text, Failure> {
    find_text(context.path_text("text_name")).ok_or_else(Failure::not_found)
}

async fn view(context: &Context, text: &Text) -> Result<EmailTextView, Failure> {
    let wording = find_wording(&context.connection, text.name).await?;
    let is_changed = wording.is_some();
    let (subject, body) =
        wording.unwrap_or_else(|| (text.subject.to_owned(), text.body.to_owned()));
    Ok(EmailTextView {
        name: text.name.to_owned(),
        when: text.when.to_owned(),
        subject,
        text: body,
        is_changed,
        variables: text
            .variables
            .iter()
            .map(|(name, example)| Variable {
                name: (*name).to_owned(),
                example: (*example).to_owned(),
                is_needed: text.needed.contains(name),
            })
            .collect(),
    })
}

fn check(text: &Text, wording: &Wording) -> Result<(), Failure> {
    let errors: Vec<FieldError> = [("subject", &wording.subject), ("text", &wording.text)]
        .into_iter()
        .filter_map(|(field, words)| {
            let detail = if words.trim().is_empty() {
                Some("Fill this in, or empty both for the product's own words.".to_owned())
            } else {
                problem(text, field, words)
            };
            Some(FieldError {
                field: field.to_owned(),
                code: "malformed".to_owned(),
                detail: detail?,
            })
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::fields(errors))
    }
}

fn preview_of(context: &Context, text: &Text, wording: &Wording) -> Result<Preview, Failure> {
    check(text, wording)?;
    let brand = context.app.brand();
    let value_of = |name: &str| {
        if name == "programme" {
            return Some(brand.name.as_str());
        }
        let found = text.variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, example)| *example)
    };
    let filled = |words: &str| fill(words, value_of).map_err(|wrong| Failure::internal(&wrong));
    let body = filled(&wording.text)?;
    Ok(Preview {
        subject: filled(&wording.subject)?,
        html: html_of(&brand, &body, "en"),
        text: body,
    })
}

/// Keeps a wording, or gives back the product's own.
async fn save(context: &Context, text: &Text, wording: &Wording) -> Result<(), Failure> {
    let is_reset = wording.subject.trim().is_empty() && wording.text.trim().is_empty();
    if !is_reset {
        check(text, wording)?;
    }
    let connection = &context.connection;
    connection
        .transaction(async || {
            let detail = json!({ "subject": wording.subject, "is_reset": is_reset });
            audit::record(context, None, "email_text.worded", text.name, detail).await?;
            connection
                .execute(
                    "DELETE FROM email_texts WHERE name = $1",
                    params![text.name],
                )
                .await?;
            if !is_reset {
                connection
                    .execute(
                        "INSERT INTO email_texts (name, subject, body, updated_at_ms)
                         VALUES ($1, $2, $3, $4)",
                        params![
                            text.name,
                            wording.subject.trim(),
                            wording.text.as_str(),
                            context.now_ms
                        ],
                    )
                    .await?;
            }
            Ok(())
        })
        .await
}

/// `GET /api/v1/operator/email-texts`
pub async fn list_email_texts(context: &Context) -> Outcome {
    let mut items = Vec::with_capacity(TEXTS.len());
    for text in TEXTS {
        items.push(view(context, text).await?);
    }
    response::ok(&whole(context, items, |item| item.name.clone())?)
}

/// `PUT /api/v1/operator/email-texts/{text_name}`
pub async fn put_email_text(context: &Context) -> Outcome {
    let text = text_of_path(context)?;
    save(context, text, &context.json()?).await?;
    response::ok(&view(context, text).await?)
}

/// `POST /api/v1/operator/email-texts/{text_name}/previews`
pub async fn preview_email_text(context: &Context) -> Outcome {
    let text = text_of_path(context)?;
    response::ok(&preview_of(context, text, &context.json()?)?)
}

#[derive(Template)]
#[template(path = "emails/templates/texts.html")]
struct TextsPage {
    page: Page,
    texts: Vec<EmailTextView>,
}

#[derive(Template)]
#[template(path = "emails/templates/text.html")]
struct TextPage {
    page: Page,
    shown: Shown,
    text: EmailTextView,
    preview: Option<Preview>,
    may_change: bool,
}

/// `GET /operator/email-texts`
pub async fn show_email_texts(context: &Context) -> Outcome {
    let mut texts = Vec::with_capacity(TEXTS.len());
    for text in TEXTS {
        texts.push(view(context, text).await?);
    }
    response::html(&TextsPage {
        page: Page::new(context, "Words of e-mails"),
        texts,
    })
}

async fn text_page(
    context: &Context,
    status: StatusCode,
    shown: Option<Shown>,
    wording: Option<Wording>,
) -> Outcome {
    let text = text_of_path(context)?;
    let seen = view(context, text).await?;
    let wording = wording.unwrap_or_else(|| Wording {
        subject: seen.subject.clone(),
        text: seen.text.clone(),
    });
    let page = TextPage {
        page: Page::new(context, text.when.trim_end_matches('.')),
        preview: preview_of(context, text, &wording).ok(),
        shown: shown.unwrap_or_else(|| {
            Shown::with_values(&[("subject", &wording.subject), ("text", &wording.text)])
        }),
        may_change: OperatorRole::any_of(&context.person()?.operator_roles, ADMINISTRATORS),
        text: seen,
    };
    response::html_with(status, &page)
}

/// `GET /operator/email-texts/{text_name}`
pub async fn show_email_text(context: &Context) -> Outcome {
    text_page(context, StatusCode::OK, None, None).await
}

/// `POST /operator/email-texts/{text_name}`: keeps the wording, or only shows it.
pub async fn submit_email_text(context: &Context) -> Outcome {
    let text = text_of_path(context)?;
    let form = context.form();
    let wording = Wording {
        subject: form.text("subject"),
        text: form.raw("text").replace("\r\n", "\n").trim().to_owned(),
    };
    let outcome = match form.text("do").as_str() {
        "preview" => preview_of(context, text, &wording).map(|_| false),
        "reset" => save(context, text, &Wording::default())
            .await
            .map(|()| true),
        _ => save(context, text, &wording).await.map(|()| true),
    };
    match outcome {
        Ok(true) => Ok(response::see_other(&format!(
            "/operator/email-texts/{}?done=saved",
            text.name
        ))),
        Ok(false) => text_page(context, StatusCode::OK, None, Some(wording)).await,
        Err(failure) => {
            let status = failure.status;
            let shown = Shown::again(form, failure)?;
            text_page(context, status, Some(shown), Some(wording)).await
        }
    }
}
