//! E-mails to send: rows written in the transaction of the change they tell of.
//!
//! Owns the queue, its delivery, the development outbox and every text, which the operator may word anew.
//! When a mail is sent, and what fills its text, is of the domains.

mod catalogue;
mod delivery;
mod html;
mod operator;
mod texts;
mod wording;
#[cfg(test)]
mod wording_tests;

pub use delivery::send_due_emails;
pub use operator::*;
pub use texts::{compose, send};
pub use wording::*;

use serde::Serialize;
use shared::ids::EmailId;

use self::html::html_of;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::encoding::rfc3339;
use crate::params;
use crate::routes::Outcome;
use crate::web::response;

/// A message in plain words, where a line that is only a URL is a link. Only [`compose`] makes one, so
/// there is no e-mail that the operator cannot word.
#[derive(Debug, Clone)]
pub struct Message {
    to: String,
    subject: String,
    text: String,
    code: Option<String>,
    language: &'static str,
}

impl Message {
    /// With the 6-digit code that stands in it, for the development outbox.
    pub fn with_code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }
}

/// Queues a message. Call it inside the transaction of the change.
pub async fn queue_email(context: &Context, message: &Message) -> Result<(), DatabaseError> {
    let email_id = context.new_id(EmailId::new);
    context
        .connection
        .execute(
            "INSERT INTO emails (email_id, recipient, subject, text_body, html_body, code, created_at,
                attempts, next_attempt_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)",
            params![
                email_id,
                message.to.to_lowercase(),
                message.subject.as_str(),
                message.text.as_str(),
                html_of(&context.app.brand(), &message.text, message.language),
                message.code.clone(),
                context.now_ms,
                context.now_ms,
            ],
        )
        .await?;
    Ok(())
}

fn is_link(line: &str) -> bool {
    line.starts_with("https://") || line.starts_with("http://")
}

#[derive(Serialize)]
struct OutboxEmail {
    to: String,
    subject: String,
    text: String,
    html: String,
    links: Vec<String>,
    code: Option<String>,
    created_at: String,
    sent_at: Option<String>,
}

/// `GET /dev/outbox?to=`: the newest e-mails, sent or not.
pub async fn list_outbox(context: &Context) -> Outcome {
    let to = context.query("to").unwrap_or_default().to_lowercase();
    let rows = context
        .connection
        .query(
            "SELECT recipient, subject, text_body, html_body, code, created_at, sent_at FROM emails
             WHERE recipient = $1 OR $1 = '' ORDER BY email_id DESC LIMIT 100",
            params![to],
        )
        .await?;
    let emails = rows
        .iter()
        .map(|row| {
            let text: String = row.get(2)?;
            Ok(OutboxEmail {
                to: row.get(0)?,
                subject: row.get(1)?,
                links: text
                    .lines()
                    .filter(|line| is_link(line))
                    .map(str::to_owned)
                    .collect(),
                text,
                html: row.get(3)?,
                code: row.get(4)?,
                created_at: rfc3339(row.get(5)?),
                sent_at: row.get::<Option<i64>>(6)?.map(rfc3339),
            })
        })
        .collect::<Result<Vec<_>, DatabaseError>>()?;
    response::ok(&serde_json::json!({ "emails": emails }))
}
