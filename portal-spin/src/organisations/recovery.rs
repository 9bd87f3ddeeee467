//! Getting back in and moving on: password reset, password change, e-mail change.

use schemars::JsonSchema;
use serde::Deserialize;
use shared::ids::PersonId;

use super::model::Faults;
use super::sessions::hash_token;
use super::{passwords, registration, store};
use crate::audit;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::emails::{self, compose, queue_email};
use crate::encoding::base64url;
use crate::params;
use crate::web::Failure;
use crate::web::throttle::{Limit, count_attempt, count_attempt_by_address};

const RESET_LIFETIME_MS: i64 = 60 * 60 * 1000;
const PER_EMAIL: Limit = Limit {
    name: "reset_mail",
    attempts: 6,
    window_ms: 3_600_000,
};
const PER_ADDRESS: Limit = Limit {
    name: "reset_address",
    attempts: 60,
    window_ms: 3_600_000,
};
const CONFIRMATIONS: Limit = Limit {
    name: "confirm_password",
    attempts: 10,
    window_ms: 900_000,
};

/// Whose password is forgotten.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetRequest {
    /// The account's address.
    pub email: String,
}

/// A new password, with the token from the e-mail.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPasswordRequest {
    /// From the link.
    pub token: String,
    /// At least 8 characters.
    pub password: String,
}

/// A change of password by someone who knows the present one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePasswordRequest {
    /// The present password.
    pub current_password: String,
    /// At least 8 characters.
    pub password: String,
}

/// A change of address.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeEmailRequest {
    /// The new address; it counts once its link is opened.
    pub email: String,
    /// The present password.
    pub current_password: String,
}

/// The token of a link.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// From the link.
    pub token: String,
}

fn link_expired() -> Failure {
    Failure::new(
        http::StatusCode::GONE,
        "link_expired",
        "This link was used or is no longer valid. Ask for a new one.",
    )
}

/// Sends a link to choose a new password, if the address has an account; the code again, if it was
/// registered and never verified. Never tells.
pub async fn request_reset(context: &Context, email: &str) -> Result<(), Failure> {
    let mut faults = Faults::default();
    let email = faults.email("email", email);
    faults.check()?;
    count_attempt_by_address(context, PER_ADDRESS).await?;
    count_attempt(context, PER_EMAIL, &email).await?;
    let person = store::find_person_by_email(&context.connection, &email).await?;
    let Some(person) = person.filter(|person| person.disabled_at.is_none()) else {
        return registration::renew_newest(context, &email).await;
    };
    context
        .connection
        .transaction(async || send_reset(context, person.person_id, &email).await)
        .await?;
    Ok(())
}

/// Sends a link to choose a password; answers its token. Call it inside a transaction.
pub(super) async fn send_reset(
    context: &Context,
    person_id: PersonId,
    email: &str,
) -> Result<String, DatabaseError> {
    let token = issue_proof(context, "reset", person_id, email).await?;
    let portal = &context.configuration().public_url;
    let link = format!("{portal}/reset-password/new?token={token}");
    let message = compose(context, "password-reset", email, &[("link", &link)]).await?;
    queue_email(context, &message).await?;
    Ok(token)
}

/// Sets a new password by the token from the e-mail and ends every session. A second factor stays on
/// (ASVS 5.0, 6.4.3).
pub async fn reset_password(context: &Context, token: &str, password: &str) -> Result<(), Failure> {
    let (person_id, email) = find_proof(context, "reset", token).await?;
    let mut faults = Faults::default();
    faults.password("password", password, &[&email]);
    faults.check()?;
    let hash = passwords::hash_new_password(context, password).await?;
    context
        .connection
        .transaction(async || {
            use_proof(context, token).await?;
            write_password(context, person_id, &hash, None).await?;
            // Whoever holds the mailbox is the owner: failures on purpose must not keep them out.
            context
                .connection
                .execute(
                    "DELETE FROM attempts WHERE (name = 'log_in_account' AND subject = $1)
                        OR (name = 'log_in_here' AND subject LIKE $2)",
                    params![email.as_str(), format!("{email} %")],
                )
                .await?;
            let object = person_id.to_string();
            audit::record_by(
                context,
                &object,
                None,
                "password.reset",
                &object,
                serde_json::json!({}),
            )
            .await?;
            Ok(())
        })
        .await
}

/// Changes the password and ends the person's other sessions.
pub async fn change_password(
    context: &Context,
    current_password: &str,
    password: &str,
) -> Result<(), Failure> {
    let person = context.person()?;
    confirm_password(context, current_password).await?;
    let mut faults = Faults::default();
    faults.password("password", password, &[&person.email]);
    faults.check()?;
    let hash = passwords::hash_new_password(context, password).await?;
    context
        .connection
        .transaction(async || {
            let keep = person.session_id.to_string();
            write_password(context, person.person_id, &hash, Some(keep)).await?;
            let object = person.person_id.to_string();
            audit::record(
                context,
                None,
                "password.changed",
                &object,
                serde_json::json!({}),
            )
            .await
        })
        .await?;
    Ok(())
}

/// Sends a link to a new address. Says nothing about whether it has an account.
pub async fn request_email_change(
    context: &Context,
    email: &str,
    current_password: &str,
) -> Result<(), Failure> {
    let person = context.person()?;
    let mut faults = Faults::default();
    let email = faults.email("email", email);
    faults.check()?;
    confirm_password(context, current_password).await?;
    count_attempt(context, PER_EMAIL, &email).await?;
    let is_taken = store::find_person_by_email(&context.connection, &email)
        .await?
        .is_some();
    context
        .connection
        .transaction(async || {
            let portal = &context.configuration().public_url;
            if is_taken {
                let link = format!("{portal}/log-in");
                return emails::send(context, "address-taken", &email, &[("link", &link)]).await;
            }
            let token = issue_proof(context, "change_email", person.person_id, &email).await?;
            let link = format!("{portal}/account/email?token={token}");
            emails::send(context, "address-change", &email, &[("link", &link)]).await
        })
        .await?;
    Ok(())
}

/// Moves the account to the address that the link was sent to, and tells the old one.
pub async fn change_email(context: &Context, token: &str) -> Result<(), Failure> {
    if is_moved(context, token).await? {
        return Ok(());
    }
    let (person_id, email) = find_proof(context, "change_email", token).await?;
    let person = store::find_person(&context.connection, person_id)
        .await?
        .ok_or_else(link_expired)?;
    let connection = &context.connection;
    connection
        .transaction(async || {
            use_proof(context, token).await?;
            end_proofs(context, person_id).await?;
            if store::find_person_by_email(connection, &email)
                .await?
                .is_some()
            {
                return Err(link_expired());
            }
            connection
                .execute(
                    "UPDATE people SET email = $1 WHERE person_id = $2",
                    params![email.as_str(), person_id],
                )
                .await?;
            let object = person_id.to_string();
            audit::record_by(
                context,
                &object,
                None,
                "email.changed",
                &object,
                serde_json::json!({}),
            )
            .await?;
            let values = [("email", email.as_str())];
            emails::send(context, "address-changed", &person.email, &values).await?;
            Ok(())
        })
        .await
}

/// Whether the link did its work already: a second click is no failure.
async fn is_moved(context: &Context, token: &str) -> Result<bool, Failure> {
    let done = context
        .connection
        .query_optional(
            "SELECT 1 FROM email_proofs e JOIN people p
                ON p.person_id = e.person_id AND p.email = e.email
             WHERE e.token_hash = $1 AND e.purpose = 'change_email' AND e.used_at IS NOT NULL
                AND e.expires_at > $2",
            params![hash_token(token), context.now_ms],
        )
        .await?;
    Ok(done.is_some())
}

/// Who logged in this recently need not give the password again.
const FRESH_MS: i64 = 10 * 60 * 1000;

/// Someone who logged in just now, or the present password (ASVS 5.0, 7.5.1). Who has no password, because
/// their organisation's identity provider or a passkey logs them in, does so again.
pub async fn confirm_identity(context: &Context, password: &str) -> Result<(), Failure> {
    let session_id = context.person()?.session_id;
    let created_at: i64 = context
        .connection
        .query_one(
            "SELECT created_at FROM sessions WHERE session_id = $1",
            params![session_id],
        )
        .await?
        .get(0)?;
    if created_at > context.now_ms - FRESH_MS {
        return Ok(());
    }
    confirm_password(context, password).await
}

/// The present password, again, before something sensitive (ASVS 5.0, 7.5.1).
pub async fn confirm_password(context: &Context, password: &str) -> Result<(), Failure> {
    let person_id = context.person()?.person_id;
    count_attempt(context, CONFIRMATIONS, &person_id.to_string()).await?;
    let person = store::find_person(&context.connection, person_id).await?;
    let hash = person
        .map(|person| person.password_hash)
        .unwrap_or_default();
    if passwords::check_password(context, password, &hash).await? {
        Ok(())
    } else {
        Err(Failure::field(
            "current_password",
            "wrong_password",
            "This is not your present password.",
        ))
    }
}

async fn issue_proof(
    context: &Context,
    purpose: &str,
    person_id: PersonId,
    email: &str,
) -> Result<String, DatabaseError> {
    let token = base64url(&context.random::<32>());
    context
        .connection
        .execute(
            "INSERT INTO email_proofs (token_hash, purpose, person_id, email, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![
                hash_token(&token),
                purpose,
                person_id,
                email,
                context.now_ms,
                context.now_ms + RESET_LIFETIME_MS,
            ],
        )
        .await?;
    Ok(token)
}

async fn find_proof(
    context: &Context,
    purpose: &str,
    token: &str,
) -> Result<(PersonId, String), Failure> {
    let row = context
        .connection
        .query_optional(
            "SELECT person_id, email FROM email_proofs
             WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3 AND used_at IS NULL",
            params![hash_token(token), purpose, context.now_ms],
        )
        .await?
        .ok_or_else(link_expired)?;
    Ok((row.parse(0)?, row.get(1)?))
}

async fn use_proof(context: &Context, token: &str) -> Result<(), Failure> {
    let used = context
        .connection
        .execute(
            "UPDATE email_proofs SET used_at = $1 WHERE token_hash = $2 AND used_at IS NULL",
            params![context.now_ms, hash_token(token)],
        )
        .await?;
    if used == 1 {
        Ok(())
    } else {
        Err(link_expired())
    }
}

/// Ends every link that was sent to a person before: whoever asked for one may not be the one who now
/// holds the account.
pub(super) async fn end_proofs(
    context: &Context,
    person_id: PersonId,
) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "UPDATE email_proofs SET expires_at = $1
             WHERE person_id = $2 AND used_at IS NULL AND expires_at > $1",
            params![context.now_ms, person_id],
        )
        .await?;
    Ok(())
}

async fn write_password(
    context: &Context,
    person_id: PersonId,
    hash: &str,
    keep_session: Option<String>,
) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "UPDATE people SET password_hash = $1 WHERE person_id = $2",
            params![hash, person_id],
        )
        .await?;
    end_proofs(context, person_id).await?;
    context
        .connection
        .execute(
            "UPDATE sessions SET revoked_at = $1
             WHERE person_id = $2 AND revoked_at IS NULL AND session_id <> $3",
            params![context.now_ms, person_id, keep_session.unwrap_or_default()],
        )
        .await?;
    Ok(())
}
