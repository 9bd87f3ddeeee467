//! E-mails to send: rows written in the transaction of the change they tell of.
//!
//! Owns the queue, its delivery, the development outbox and the texts that the operator may word anew.
//! Other texts are of the domains that send them.

mod delivery;
mod operator;
mod texts;
mod wording;
#[cfg(test)]
mod wording_tests;

pub use delivery::send_due_emails;
pub use operator::*;
pub use texts::compose;
pub use wording::*;

use serde::Serialize;
use shared::ids::EmailId;

use crate::context::Context;
use crate::database::DatabaseError;
use crate::encoding::{escape_html, rfc3339};
use crate::params;
use crate::routes::Outcome;
use crate::web::response;

/// A message in plain words. The HTML part is made from the text, so the two never differ.
#[derive(Debug, Clone)]
pub struct Message {
    /// To whom.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The text; a line that is only a URL becomes a link.
    pub text: String,
    /// The 6-digit code in it, if it has one.
    pub code: Option<String>,
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
                html_of(&message.text),
                message.code.clone(),
                context.now_ms,
                context.now_ms,
            ],
        )
        .await?;
    Ok(())
}

/// Paragraphs and links; everything else is escaped.
fn html_of(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let lines = paragraph.lines().map(|line| {
            let escaped = escape_html(line);
            if is_link(line) {
                format!("<a href=\"{escaped}\">{escaped}</a>")
            } else {
                escaped
            }
        });
        format!("<p>{}</p>", lines.collect::<Vec<_>>().join("<br>\n"))
    });
    paragraphs.collect::<Vec<_>>().join("\n")
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
