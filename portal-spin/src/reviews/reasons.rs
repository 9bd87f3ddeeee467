//! Reasons that reviewers write often: kept by name, chosen on the page of a submission.

use askama::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::service::check_grounds;
use crate::audit;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::listings::{parse_json, to_json};
use crate::params;
use crate::routes::{Outcome, REVIEWERS};
use crate::web::forms::{Form, Shown};
use crate::web::paging::{PageOf, whole};
use crate::web::{Failure, Page, response};

/// A reason that reviewers write often.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonTemplate {
    /// Its name.
    pub name: String,
    /// Rules it cites.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Its text.
    pub body: String,
}

/// Every reason template.
pub type ReasonTemplateList = PageOf<ReasonTemplate>;

/// The reason templates.
pub async fn read_templates(context: &Context) -> Result<Vec<ReasonTemplate>, DatabaseError> {
    let rows = context
        .connection
        .query(
            "SELECT name, rules, body FROM review_templates ORDER BY name LIMIT 200",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(ReasonTemplate {
                name: row.get(0)?,
                rules: parse_json(&row.get::<String>(1)?)?,
                body: row.get(2)?,
            })
        })
        .collect()
}

async fn save(context: &Context, reason: &ReasonTemplate) -> Result<(), Failure> {
    let name = reason.name.trim();
    if name.is_empty() || name.chars().count() > 80 {
        let detail = "Give a name of 1 to 80 characters.";
        return Err(Failure::field("name", "length", detail));
    }
    if reason.body.trim().is_empty() || reason.body.chars().count() > 4_000 {
        let detail = "Give a text of 1 to 4 000 characters.";
        return Err(Failure::field("body", "length", detail));
    }
    check_grounds(&reason.rules, &reason.body)?;
    let connection = &context.connection;
    connection
        .transaction(async || {
            let detail = json!({ "rules": reason.rules });
            audit::record(context, None, "review_template.saved", name, detail).await?;
            connection
                .execute(
                    "INSERT INTO review_templates (name, rules, body, changed_at_ms)
                     VALUES ($1, $2, $3, $4)
                     ON CONFLICT (name) DO UPDATE SET rules = excluded.rules, body = excluded.body,
                        changed_at_ms = excluded.changed_at_ms",
                    params![name, to_json(&reason.rules)?, &reason.body, context.now_ms],
                )
                .await?;
            Ok::<_, Failure>(())
        })
        .await
}

async fn remove(context: &Context, name: &str) -> Result<(), Failure> {
    let connection = &context.connection;
    connection
        .transaction(async || {
            let removed = connection
                .execute(
                    "DELETE FROM review_templates WHERE name = $1",
                    params![name],
                )
                .await?;
            if removed == 0 {
                return Err(Failure::not_found());
            }
            audit::record(context, None, "review_template.removed", name, json!({})).await?;
            Ok(())
        })
        .await
}

/// `GET /api/v1/operator/review-templates`
pub async fn list_review_templates(context: &Context) -> Outcome {
    let templates = read_templates(context).await?;
    response::ok(&whole(context, templates, |template| {
        template.name.clone()
    })?)
}

/// `PUT /api/v1/operator/review-templates`: stores one, by name.
pub async fn put_review_template(context: &Context) -> Outcome {
    save(context, &context.json()?).await?;
    list_review_templates(context).await
}

/// `DELETE /api/v1/operator/review-templates/{name}`
pub async fn delete_review_template(context: &Context) -> Outcome {
    remove(context, context.path_text("name")).await?;
    Ok(response::no_content())
}

#[derive(Template)]
#[template(path = "reviews/templates/reasons.html")]
struct ReasonsPage {
    page: Page,
    reasons: Vec<ReasonTemplate>,
    shown: Shown,
    may_review: bool,
}

async fn reasons_page(context: &Context, shown: Shown) -> Result<ReasonsPage, Failure> {
    let roles = &context.person()?.operator_roles;
    Ok(ReasonsPage {
        page: Page::new(context, "Reasons often given"),
        reasons: read_templates(context).await?,
        shown,
        may_review: crate::organisations::OperatorRole::any_of(roles, REVIEWERS),
    })
}

/// `GET /operator/review-templates?name=`: with a name, that one stands in the form.
pub async fn show_reasons_page(context: &Context) -> Outcome {
    let wanted = context.query("name").unwrap_or_default();
    let mut page = reasons_page(context, Shown::default()).await?;
    if let Some(reason) = page.reasons.iter().find(|reason| reason.name == wanted) {
        page.shown = Shown::with_values(&[
            ("name", &reason.name),
            ("rules", &reason.rules.join(" ")),
            ("body", &reason.body),
        ]);
    }
    response::html(&page)
}

async fn again(context: &Context, form: Form, failure: Failure) -> Outcome {
    let status = failure.status;
    let shown = Shown::again(form, failure)?;
    response::html_with(status, &reasons_page(context, shown).await?)
}

/// `POST /operator/review-templates`
pub async fn submit_reason(context: &Context) -> Outcome {
    let form = context.form();
    let rules = form.text("rules");
    let reason = ReasonTemplate {
        name: form.text("name"),
        rules: rules
            .split([' ', ',', '\n', '\r'])
            .filter(|rule| !rule.is_empty())
            .map(str::to_owned)
            .collect(),
        body: form.text("body"),
    };
    match save(context, &reason).await {
        Ok(()) => Ok(response::see_other("/operator/review-templates?done=saved")),
        Err(failure) => again(context, form, failure).await,
    }
}

/// `POST /operator/review-templates/remove`
pub async fn submit_reason_removal(context: &Context) -> Outcome {
    remove(context, &context.form().text("name")).await?;
    Ok(response::see_other(
        "/operator/review-templates?done=removed",
    ))
}
