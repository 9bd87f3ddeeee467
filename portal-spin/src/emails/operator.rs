//! What became of e-mails, for the operator: what waits, what the provider refused and why. Never their
//! text: it holds codes and links.

use askama::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::delivery::TRIES;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::encoding::readable_time;
use crate::routes::{ADMINISTRATORS, Outcome};
use crate::web::bulk::{self, Done, Report, Task};
use crate::web::forms::Shown;
use crate::web::listed::Listed;
use crate::web::paging::{PageOf, PageRequest, finds};
use crate::web::{Failure, Page, response};
use crate::{audit, params};

const PATH: &str = "/operator/emails";

/// An e-mail, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EmailView {
    /// The e-mail.
    pub id: String,
    /// To whom.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// `sent`, `waiting`, or `failed` (no further try by itself).
    pub state: String,
    /// How often the provider was asked.
    pub tries: i64,
    /// What the provider said last, if it refused.
    pub last_error: Option<String>,
    /// When it was written.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub created_at: i64,
    /// When the provider took it.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub sent_at: Option<i64>,
}

/// A page of e-mails.
pub type EmailList = PageOf<EmailView>;

async fn list(context: &Context, state: &str) -> Result<EmailList, Failure> {
    let condition = match state {
        "" => "",
        "sent" => "AND sent_at IS NOT NULL",
        "waiting" => "AND sent_at IS NULL AND attempts < $2",
        "failed" => "AND sent_at IS NULL AND attempts >= $2",
        _ => {
            return Err(Failure::field(
                "state",
                "unknown_value",
                "Give `waiting`, `failed` or `sent`.",
            ));
        }
    };
    let page = PageRequest::read(context)?;
    let found = finds("$3", &["recipient", "subject", "last_error"]);
    let sql = format!(
        "SELECT email_id, recipient, subject, attempts, last_error, created_at, sent_at FROM emails
         WHERE email_id < $1 AND CAST($2 AS BIGINT) > 0 {condition} AND {found}
         ORDER BY email_id DESC LIMIT $4"
    );
    let rows = context
        .connection
        .query(
            &sql,
            params![
                page.before.as_str(),
                TRIES,
                page.wanted.as_str(),
                page.limit_and_one()
            ],
        )
        .await?
        .iter()
        .map(|row| {
            let (tries, sent_at): (i64, Option<i64>) = (row.get(3)?, row.get(6)?);
            let state = match sent_at {
                Some(_) => "sent",
                None if tries >= TRIES => "failed",
                None => "waiting",
            };
            Ok(EmailView {
                id: row.get(0)?,
                to: row.get(1)?,
                subject: row.get(2)?,
                state: state.to_owned(),
                tries,
                last_error: row.get(4)?,
                created_at: row.get(5)?,
                sent_at,
            })
        })
        .collect::<Result<Vec<_>, DatabaseError>>()?;
    Ok(page.page_of(rows, |email: &EmailView| email.id.clone()))
}

/// `GET /api/v1/operator/emails?state=`
pub async fn list_emails(context: &Context) -> Outcome {
    response::ok(&list(context, &context.query("state").unwrap_or_default()).await?)
}

#[derive(Template)]
#[template(path = "emails/templates/emails.html")]
struct EmailsPage {
    page: Page,
    emails: Vec<EmailView>,
    listed: Listed,
    may_retry: bool,
    shown: Shown,
    report: Option<Report>,
}

impl EmailsPage {
    fn time(&self, unix_ms: &i64) -> String {
        readable_time(*unix_ms)
    }
}

/// `GET /operator/emails?state=`
pub async fn show_emails(context: &Context) -> Outcome {
    response::html(&emails_page(context, Shown::default(), None).await?)
}

async fn emails_page(
    context: &Context,
    shown: Shown,
    report: Option<Report>,
) -> Result<EmailsPage, Failure> {
    let state = context.query("state").unwrap_or_default();
    let list = list(context, &state).await?;
    let roles = &context.person()?.operator_roles;
    Ok(EmailsPage {
        page: Page::new(context, "E-mails"),
        listed: Listed::of(context, PATH, PATH, list.next_cursor.as_deref()),
        shown,
        report,
        emails: list.items,
        may_retry: crate::organisations::OperatorRole::any_of(roles, ADMINISTRATORS),
    })
}

/// Lets an e-mail that was not sent be tried again, from the first wait on.
async fn retry(context: &Context, email_id: &str) -> Result<(), Failure> {
    context
        .connection
        .transaction(async || {
            let changed = context
                .connection
                .execute(
                    "UPDATE emails SET attempts = 0, next_attempt_at = $2
                     WHERE email_id = $1 AND sent_at IS NULL",
                    params![email_id, context.now_ms],
                )
                .await?;
            if changed == 0 {
                return Err(Failure::not_found());
            }
            let detail = serde_json::json!({});
            audit::record(context, None, "email.retried", email_id, detail).await?;
            Ok(())
        })
        .await
}

/// `POST /api/v1/operator/emails/{email_id}/retries`
pub async fn retry_email(context: &Context) -> Outcome {
    retry(context, context.path_text("email_id")).await?;
    Ok(response::no_content())
}

/// `POST /operator/emails/{email_id}/retry`
pub async fn retry_email_form(context: &Context) -> Outcome {
    retry(context, context.path_text("email_id")).await?;
    Ok(response::see_other(
        "/operator/emails?state=waiting&done=saved",
    ))
}

/// Several e-mails are tried again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailRetriesBody {
    /// The e-mails, at most 100.
    pub email_ids: Vec<String>,
}

async fn retry_each(context: &Context, tasks: &[Task<()>]) -> Report {
    bulk::run(context, tasks, PATH, async |id, ()| {
        let sql = "SELECT recipient, sent_at FROM emails WHERE email_id = $1";
        let found = context.connection.query_optional(sql, params![id]).await?;
        let row = found.ok_or_else(Failure::not_found)?;
        if row.get::<Option<i64>>(1)?.is_some() {
            return Err(Failure::conflict("already_sent", "It was sent."));
        }
        retry(context, id).await?;
        Ok(Done::for_good(row.get::<String>(0)?))
    })
    .await
}

/// `POST /api/v1/operator/email-retries`
pub async fn retry_emails(context: &Context) -> Outcome {
    let body: EmailRetriesBody = context.json()?;
    let tasks = bulk::tasks_of(&body.email_ids, &())?;
    response::ok(&retry_each(context, &tasks).await.told)
}

/// `POST /operator/emails`
pub async fn retry_emails_form(context: &Context) -> Outcome {
    let form = context.form();
    match bulk::tasks_of_form(&form, |_| Ok(())) {
        Ok(tasks) => {
            let report = retry_each(context, &tasks).await;
            response::html(&emails_page(context, Shown::default(), Some(report)).await?)
        }
        Err(failure) => {
            let status = failure.status;
            let shown = bulk::refused(form, failure)?;
            response::html_with(status, &emails_page(context, shown, None).await?)
        }
    }
}
