//! Logging in: password, then the second factor where one is set up.
//!
//! Throttled by account and by address. An attacker who fails on purpose must not lock the owner out: the
//! strict limit counts failures of one account *from one address*; the loose limit on the account as a
//! whole can be reached only from many addresses, and an open password reset lifts both.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{OrganisationId, PersonId};

use super::store::{self, Membership, Person};
use super::{normalise_email, passwords, second_factor, sessions};
use crate::audit;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::encoding::base64url;
use crate::params;
use crate::sign_on;
use crate::web::Failure;
use crate::web::throttle::{
    Limit, count_attempt, count_attempt_by_address, forget_attempts, neighbourhood,
};

const PER_ACCOUNT_AND_ADDRESS: Limit = Limit {
    name: "log_in_here",
    attempts: 10,
    window_ms: 15 * 60 * 1000,
};
const PER_ACCOUNT: Limit = Limit {
    name: "log_in_account",
    attempts: 200,
    window_ms: 3_600_000,
};
const PER_ADDRESS: Limit = Limit {
    name: "log_in_address",
    attempts: 300,
    window_ms: 3_600_000,
};
/// The second factor must follow the password within this time.
const TICKET_LIFETIME_MS: i64 = 5 * 60 * 1000;
const CODES_PER_PERSON: Limit = Limit {
    name: "second_factor",
    attempts: 10,
    window_ms: 15 * 60 * 1000,
};

/// E-mail and password; or, in a second call, the ticket and a code.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogInRequest {
    /// The address.
    #[serde(default)]
    pub email: String,
    /// The password.
    #[serde(default)]
    pub password: String,
    /// From the answer `second_factor_required`.
    #[serde(default)]
    pub ticket: String,
    /// The authenticator's 6 digits, or a recovery code.
    #[serde(default)]
    pub code: String,
}

/// A new session.
#[derive(Serialize, JsonSchema)]
pub struct SessionAnswer {
    /// Send as `Authorization: Bearer <session_token>`. Shown once.
    pub session_token: String,
    /// The person.
    #[schemars(with = "String")]
    pub person_id: PersonId,
    /// The person's first organisation.
    #[schemars(with = "Option<String>")]
    pub organisation_id: Option<OrganisationId>,
    /// All of the person's organisations.
    pub organisations: Vec<Membership>,
}

/// How far a log-in got.
pub enum Step {
    /// Done: a session's token.
    SignedIn(PersonId, String),
    /// The password was right; a code is missing. The ticket proves the password.
    SecondFactor(String),
}

fn refused() -> Failure {
    Failure::new(
        http::StatusCode::UNAUTHORIZED,
        "wrong_email_or_password",
        "E-mail or password is wrong. If you have just registered, enter the code from the e-mail first.",
    )
}

/// Checks e-mail and password.
pub async fn log_in(context: &Context, email: &str, password: &str) -> Result<Step, Failure> {
    let email = normalise_email(email).unwrap_or_default();
    count_attempt_by_address(context, PER_ADDRESS).await?;
    let here = format!("{email} {}", neighbourhood(&context.address()));
    count_attempt(context, PER_ACCOUNT_AND_ADDRESS, &here).await?;
    count_attempt(context, PER_ACCOUNT, &email).await?;
    let person = store::find_person_by_email(&context.connection, &email)
        .await?
        .filter(|person| person.disabled_at.is_none());
    // The same work for an unknown account.
    let hash = person
        .as_ref()
        .map_or(passwords::NO_PASSWORD, |person| &person.password_hash);
    let is_right = passwords::check_password(context, password, hash).await?;
    let Some(person) = person.filter(|_| is_right) else {
        audit_failure(context, &email).await?;
        return Err(refused());
    };
    forget_attempts(context, PER_ACCOUNT_AND_ADDRESS, &here).await?;
    sign_on::check_password_allowed(context, person.person_id, &person.email).await?;
    if person.totp_enabled_at.is_some() {
        return Ok(Step::SecondFactor(issue_ticket(context, &person).await?));
    }
    let token = open_session(context, person.person_id, None).await?;
    Ok(Step::SignedIn(person.person_id, token))
}

/// Checks the code that follows a right password.
pub async fn finish_log_in(context: &Context, ticket: &str, code: &str) -> Result<Step, Failure> {
    let gone = || {
        Failure::new(
            http::StatusCode::UNAUTHORIZED,
            "ticket_expired",
            "The log-in took longer than 5 minutes. Start again with e-mail and password.",
        )
    };
    let person_id: PersonId = context
        .connection
        .query_optional(
            "SELECT person_id FROM email_proofs
             WHERE token_hash = $1 AND purpose = 'second_factor' AND expires_at > $2 AND used_at IS NULL",
            params![sessions::hash_token(ticket), context.now_ms],
        )
        .await?
        .ok_or_else(gone)?
        .parse(0)?;
    count_attempt(context, CODES_PER_PERSON, &person_id.to_string()).await?;
    if let Err(failure) = second_factor::check_code(context, person_id, code).await {
        audit_failure(context, &person_id.to_string()).await?;
        return Err(failure);
    }
    context
        .connection
        .execute(
            "UPDATE email_proofs SET used_at = $1 WHERE token_hash = $2",
            params![context.now_ms, sessions::hash_token(ticket)],
        )
        .await?;
    forget_attempts(context, CODES_PER_PERSON, &person_id.to_string()).await?;
    let token = open_session(context, person_id, Some(context.now_ms)).await?;
    Ok(Step::SignedIn(person_id, token))
}

/// Describes a new session.
pub async fn session_answer(
    context: &Context,
    person_id: PersonId,
    session_token: String,
) -> Result<SessionAnswer, DatabaseError> {
    let organisations = store::list_memberships(&context.connection, person_id).await?;
    Ok(SessionAnswer {
        session_token,
        person_id,
        organisation_id: organisations.first().map(|first| first.organisation_id),
        organisations,
    })
}

/// Opens a session and records it.
pub async fn open_session(
    context: &Context,
    person_id: PersonId,
    second_factor_at: Option<i64>,
) -> Result<String, DatabaseError> {
    context
        .connection
        .transaction(async || {
            let (session_id, token) =
                sessions::start_session(context, person_id, second_factor_at).await?;
            audit::record_by(
                context,
                &person_id.to_string(),
                None,
                "session.started",
                &session_id.to_string(),
                serde_json::json!({ "address": context.address(), "second_factor": second_factor_at.is_some() }),
            )
            .await?;
            Ok(token)
        })
        .await
}

async fn issue_ticket(context: &Context, person: &Person) -> Result<String, DatabaseError> {
    let ticket = base64url(&context.random::<32>());
    context
        .connection
        .execute(
            "INSERT INTO email_proofs (token_hash, purpose, person_id, email, created_at, expires_at)
             VALUES ($1, 'second_factor', $2, $3, $4, $5)",
            params![
                sessions::hash_token(&ticket),
                person.person_id,
                person.email.as_str(),
                context.now_ms,
                context.now_ms + TICKET_LIFETIME_MS,
            ],
        )
        .await?;
    Ok(ticket)
}

/// Records a refusal; of an address as it was typed, without what is no text.
async fn audit_failure(context: &Context, object: &str) -> Result<(), DatabaseError> {
    context
        .connection
        .transaction(async || {
            audit::record_by(
                context,
                "visitor",
                None,
                "session.refused",
                object,
                serde_json::json!({ "address": context.address() }),
            )
            .await
        })
        .await
}
