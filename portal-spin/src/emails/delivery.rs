//! Delivery through a provider's HTTP API, with retries.

use bytes::Bytes;
use serde_json::json;

use crate::context::Context;
use crate::database::{DatabaseError, Row};
use crate::params;

/// How many messages one tick sends.
const BATCH: i64 = 20;
/// So often the provider is asked.
pub(super) const TRIES: i64 = RETRY_AFTER_MS.len() as i64 + 1;
/// Waits before the next tries. After the last the message stays, with its error, for a person.
const RETRY_AFTER_MS: &[i64] = &[10_000, 60_000, 300_000, 1_800_000, 7_200_000, 43_200_000];

struct Due {
    email_id: String,
    to: String,
    subject: String,
    text: String,
    html: String,
    attempts: i64,
}

fn due_of(row: &Row) -> Result<Due, DatabaseError> {
    Ok(Due {
        email_id: row.get(0)?,
        to: row.get(1)?,
        subject: row.get(2)?,
        text: row.get(3)?,
        html: row.get(4)?,
        attempts: row.get(5)?,
    })
}

/// Sends what is due. Answers how many messages the provider took. Without a provider nothing is due.
pub async fn send_due_emails(context: &Context) -> Result<u64, DatabaseError> {
    if context.configuration().get("email_api_url").is_empty() {
        return Ok(0);
    }
    let rows = context
        .connection
        .query(
            "SELECT email_id, recipient, subject, text_body, html_body, attempts FROM emails
             WHERE sent_at IS NULL AND next_attempt_at <= $1
             ORDER BY next_attempt_at LIMIT $2",
            params![context.now_ms, BATCH],
        )
        .await?;
    let mut sent = 0;
    for row in &rows {
        let email = due_of(row)?;
        if !claim(context, &email).await? {
            continue;
        }
        match send(context, &email).await {
            Ok(()) => {
                context
                    .connection
                    .execute(
                        "UPDATE emails SET sent_at = $1, last_error = NULL WHERE email_id = $2",
                        params![context.now_ms, email.email_id],
                    )
                    .await?;
                sent += 1;
            }
            Err(error) => {
                let error: String = error.chars().take(500).collect();
                context
                    .connection
                    .execute(
                        "UPDATE emails SET last_error = $1 WHERE email_id = $2",
                        params![error, email.email_id],
                    )
                    .await?;
            }
        }
    }
    Ok(sent)
}

/// Takes a message for this tick: another tick at the same time finds it taken. The next try is written
/// before the first byte is sent, so that a crash in between cannot send in a tight loop.
async fn claim(context: &Context, email: &Due) -> Result<bool, DatabaseError> {
    let wait = usize::try_from(email.attempts)
        .ok()
        .and_then(|attempts| RETRY_AFTER_MS.get(attempts))
        .map_or(i64::MAX, |wait| context.now_ms + wait);
    let claimed = context
        .connection
        .execute(
            "UPDATE emails SET attempts = attempts + 1, next_attempt_at = $1
             WHERE email_id = $2 AND attempts = $3 AND sent_at IS NULL",
            params![wait, email.email_id.as_str(), email.attempts],
        )
        .await?;
    Ok(claimed == 1)
}

async fn send(context: &Context, email: &Due) -> Result<(), String> {
    let configuration = context.configuration();
    let brand = context.app.brand();
    let (from, key) = (&brand.mail_from, configuration.get("email_api_key"));
    let style = configuration.get("email_api_style");
    let body = match style {
        "postmark" => json!({
            "From": from, "To": email.to, "Subject": email.subject,
            "TextBody": email.text, "HtmlBody": email.html,
        }),
        "resend" => json!({
            "from": from, "to": [email.to], "subject": email.subject,
            "text": email.text, "html": email.html,
        }),
        _ => json!({
            "id": email.email_id, "from": from, "to": email.to, "subject": email.subject,
            "text": email.text, "html": email.html,
        }),
    };
    let mut request = http::Request::post(configuration.get("email_api_url"))
        .header("content-type", "application/json")
        .header("accept", "application/json")
        // Providers that know the header drop a repeated message.
        .header("idempotency-key", &email.email_id);
    request = match style {
        "postmark" => request.header("x-postmark-server-token", key),
        _ => request.header("authorization", format!("Bearer {key}")),
    };
    let request = request
        .body(Bytes::from(body.to_string()))
        .map_err(|error| format!("email_api_url or email_api_key cannot be used: {error}"))?;
    let answer = context.app.http.send(request).await?;
    if answer.status().is_success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    Err(format!("the provider answered {}: {text}", answer.status()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::send_due_emails;
    use crate::emails::{Message, queue_email};
    use crate::testing::{PASSWORD, TestDatabase, TestPortal};

    fn answer(status: u16) -> http::Response<Bytes> {
        http::Response::builder()
            .status(status)
            .body(Bytes::from("busy"))
            .unwrap()
    }

    #[tokio::test]
    async fn what_the_provider_never_takes_is_shown_with_its_reason_and_tried_again_by_hand() {
        let settings = [("email_api_url", "https://mail.example/send")];
        let portal = TestPortal::with(TestDatabase::sqlite(), &settings).await;
        let chief = portal.sign_up("chief@example.com", "Operator").await;
        portal.make_operator(&chief, "administrator").await;
        for _ in 0..super::TRIES {
            portal.http.answers.borrow_mut().push(answer(422));
            send_due_emails(&portal.context().await).await.unwrap();
            portal.advance_ms(43_200_000);
        }
        let token = portal.log_in("chief@example.com", PASSWORD).await;
        let failed = portal
            .page("/operator/emails?state=failed", &token)
            .await
            .expect(200)
            .text();
        assert!(
            failed.contains("the provider answered 422") && failed.contains("chief@example.com"),
            "{failed}"
        );
        let list = portal
            .get("/api/v1/operator/emails?state=failed", &token)
            .await
            .expect(200)
            .json();
        let id = list["items"][0]["id"].as_str().unwrap();
        portal
            .submit(&format!("/operator/emails/{id}/retry"), &token, &[])
            .await
            .expect(303);
        portal.http.answers.borrow_mut().push(answer(200));
        assert_eq!(send_due_emails(&portal.context().await).await, Ok(1));
        let path = format!("/api/v1/operator/emails/{id}/retries");
        portal.post(&path, &token, json!({})).await.expect(404);
    }

    #[tokio::test]
    async fn a_message_that_the_provider_refuses_is_tried_again_later_and_sent_once() {
        let settings = [
            ("email_api_url", "https://mail.example/send"),
            ("email_api_key", "secret"),
            ("email_api_style", "resend"),
        ];
        let portal = TestPortal::with(TestDatabase::sqlite(), &settings).await;
        let message = Message {
            to: "ada@example.com".to_owned(),
            subject: "Hello".to_owned(),
            text: "Text".to_owned(),
            code: None,
            language: "en",
        };
        queue_email(&portal.context().await, &message)
            .await
            .unwrap();
        portal.http.answers.borrow_mut().push(answer(503));
        assert_eq!(send_due_emails(&portal.context().await).await, Ok(0));
        assert_eq!(send_due_emails(&portal.context().await).await, Ok(0));
        assert_eq!(
            portal.http.requests.borrow().len(),
            1,
            "not tried again at once"
        );
        portal.advance_ms(10_000);
        portal.http.answers.borrow_mut().push(answer(200));
        assert_eq!(send_due_emails(&portal.context().await).await, Ok(1));
        portal.advance_ms(1_000_000);
        assert_eq!(send_due_emails(&portal.context().await).await, Ok(0));
        let manager = portal.sign_up("chief@example.com", "Operator").await;
        portal.make_operator(&manager, "administrator").await;
        let list = portal
            .get("/api/v1/operator/emails?state=sent", &manager.token)
            .await
            .expect(200)
            .json();
        assert_eq!(list["items"][0]["subject"], "Hello");
        let requests = portal.http.requests.borrow();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[1].headers()["authorization"], "Bearer secret");
        let body: serde_json::Value = serde_json::from_slice(requests[1].body()).unwrap();
        assert_eq!(body["to"][0], "ada@example.com");
    }
}
