//! Registration: a stranger asks to come in, and gets a code and a link by e-mail.
//!
//! A registration is a row of its own until the address is verified (`verification`); only then do person,
//! organisation and membership exist, all at once. So an account can never be half-made: registering
//! again, a second click, a lost mail or an expired code each lead on. The answer to a registration never
//! tells whether the address has an account; the e-mail does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::OrganisationId;

use super::model::Faults;
use super::sessions::hash_token;
use super::{passwords, store};
use crate::audit;
use crate::context::Context;
use crate::database::{DatabaseError, Row};
use crate::emails::{Message, compose, queue_email};
use crate::encoding::base64url;
use crate::web::Failure;
use crate::web::throttle::{Limit, count_attempt, count_attempt_by_address};
use crate::{params, visitors};

/// A code is typed within this time (ASVS 5.0, 6.5.5).
const CODE_LIFETIME_MS: i64 = 10 * 60 * 1000;
/// A link works this long.
const LINK_LIFETIME_MS: i64 = 48 * 60 * 60 * 1000;
/// A second click this soon gets a session too.
pub(super) const DOUBLE_CLICK_MS: i64 = 60 * 1000;

const PER_ADDRESS: Limit = Limit {
    name: "register_by_address",
    attempts: 60,
    window_ms: 3_600_000,
};
const MAILS_PER_EMAIL: Limit = Limit {
    name: "register_mail",
    attempts: 6,
    window_ms: 3_600_000,
};
/// What a stranger sends.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrationRequest {
    /// Where the code goes.
    pub email: String,
    /// At least 8 characters.
    pub password: String,
    /// The organisation's name.
    pub organisation_name: String,
    /// The person's name.
    #[serde(default)]
    pub name: String,
    /// Where they came from (`?source=`), kept through to revenue.
    #[serde(default)]
    pub source: String,
    /// Of a visitor: their key, app and calls become this organisation's.
    #[serde(default)]
    pub visitor_token: String,
}

/// The same whether or not the address has an account.
#[derive(Serialize, JsonSchema)]
pub struct RegistrationAnswer {
    /// Where the code went.
    pub email: String,
    /// What to do.
    pub next: &'static str,
}

/// An address to send to again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResendRequest {
    /// The address.
    pub email: String,
}

/// Registers. Answers the address the e-mail went to.
pub async fn register(context: &Context, request: &RegistrationRequest) -> Result<String, Failure> {
    let mut faults = Faults::default();
    let email = faults.email("email", &request.email);
    let organisation_name = faults.name("organisation_name", &request.organisation_name);
    let name = match request.name.trim() {
        "" => email.split('@').next().unwrap_or_default().to_owned(),
        name => faults.name("name", name),
    };
    faults.password("password", &request.password, &[&email, &organisation_name]);
    faults.check()?;
    count_attempt_by_address(context, PER_ADDRESS).await?;
    count_attempt(context, MAILS_PER_EMAIL, &email).await?;
    // Hashed in any case: the time taken must not tell whether the address has an account.
    let new_hash = passwords::hash_new_password(context, &request.password).await?;
    let password_hash = match same_password(context, &email, &request.password).await? {
        Some(known_hash) => known_hash,
        None => new_hash,
    };
    let source: String = request
        .source
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect();
    let visitor = visitors::find_open(context, &request.visitor_token).await?;
    let connection = &context.connection;
    connection
        .transaction(async || {
            if store::find_person_by_email(connection, &email)
                .await?
                .is_some()
            {
                let message = account_exists_message(context, &email).await?;
                return queue_email(context, &message).await;
            }
            let pending = Pending {
                email: email.clone(),
                name: name.clone(),
                password_hash: password_hash.clone(),
                organisation_name: organisation_name.clone(),
                source: source.clone(),
                visitor: visitor.map(|visitor| visitor.organisation_id),
            };
            let registration_id = insert_and_send(context, &pending).await?;
            audit::record_by(
                context,
                &email,
                None,
                "registration.started",
                &registration_id,
                serde_json::json!({ "organisation_name": organisation_name, "source": source }),
            )
            .await
        })
        .await?;
    Ok(email)
}

/// The hash that the newest registration of the address has of this very password: whoever sends the form twice
/// is one person, and keeps the password. As long with none, so that the time taken tells nothing.
async fn same_password(
    context: &Context,
    email: &str,
    password: &str,
) -> Result<Option<String>, DatabaseError> {
    let row = context
        .connection
        .query_optional(
            "SELECT password_hash FROM registrations
             WHERE email = $1 AND completed_at IS NULL
             ORDER BY registration_id DESC LIMIT 1",
            params![email],
        )
        .await?;
    let newest = row.map(|row| row.get::<String>(0)).transpose()?;
    let hash = newest.as_deref().unwrap_or(passwords::NO_PASSWORD);
    let is_same = passwords::check_password(context, password, hash).await?;
    Ok(newest.filter(|_| is_same))
}

/// Sends a new code and link for the newest open registration of an address. Says nothing about
/// whether there is one.
pub async fn resend(context: &Context, email: &str) -> Result<(), Failure> {
    let mut faults = Faults::default();
    let email = faults.email("email", email);
    faults.check()?;
    count_attempt(context, MAILS_PER_EMAIL, &email).await?;
    renew_newest(context, &email).await
}

/// Sends a new code and link for the newest open registration of an address, if there is one. Where
/// there is none the same rows are written and taken back, so that the time taken tells nothing.
pub async fn renew_newest(context: &Context, email: &str) -> Result<(), Failure> {
    let newest = list_open(context, email)
        .await?
        .into_iter()
        .find(|open| open.completed_at.is_none());
    let connection = &context.connection;
    let Some(open) = newest else {
        let pretended: Result<(), Failure> = connection
            .transaction(async || {
                let nobody = Pending {
                    email: email.to_owned(),
                    name: String::new(),
                    password_hash: String::new(),
                    organisation_name: String::new(),
                    source: String::new(),
                    visitor: None,
                };
                insert_and_send(context, &nobody).await?;
                Err(Failure::not_found())
            })
            .await;
        return pretended.or_else(|failure| match failure.status {
            http::StatusCode::NOT_FOUND => Ok(()),
            _ => Err(failure),
        });
    };
    connection
        .transaction(async || renew(context, &open).await)
        .await?;
    Ok(())
}

/// What is kept of a registration that can still be completed.
pub(super) struct Open {
    pub(super) registration_id: String,
    pub(super) code_hash: Vec<u8>,
    pub(super) code_expires_at: i64,
    pub(super) code_attempts: i64,
    pub(super) completed_at: Option<i64>,
}

pub(super) const OPEN: &str = "SELECT registration_id, code_hash, code_expires_at, code_attempts,
    completed_at FROM registrations";

pub(super) fn open_of(row: &Row) -> Result<Open, DatabaseError> {
    Ok(Open {
        registration_id: row.get(0)?,
        code_hash: row.get(1)?,
        code_expires_at: row.get(2)?,
        code_attempts: row.get(3)?,
        completed_at: row.get(4)?,
    })
}

pub(super) async fn list_open(context: &Context, email: &str) -> Result<Vec<Open>, DatabaseError> {
    context
        .connection
        .query(
            &format!(
                "{OPEN} WHERE email = $1 AND expires_at > $2
                    AND (completed_at IS NULL OR completed_at > $3)
                 ORDER BY registration_id DESC LIMIT 5"
            ),
            params![email, context.now_ms, context.now_ms - DOUBLE_CLICK_MS],
        )
        .await?
        .iter()
        .map(open_of)
        .collect()
}

/// What a person gave when registering.
struct Pending {
    email: String,
    name: String,
    password_hash: String,
    organisation_name: String,
    source: String,
    visitor: Option<OrganisationId>,
}

/// Stores a registration with a fresh code and link, and sends both.
async fn insert_and_send(context: &Context, pending: &Pending) -> Result<String, DatabaseError> {
    let (token, code) = (base64url(&context.random::<32>()), draw_code(context));
    // Sorted by time: the newest is the one whose mail lies on top.
    let random = base64url(&context.random::<16>());
    let registration_id = format!("{:013}-{random}", context.now_ms);
    context
        .connection
        .execute(
            "INSERT INTO registrations (registration_id, email, name, password_hash,
                organisation_name, source, token_hash, code_hash, code_expires_at,
                code_attempts, created_at, expires_at, visitor_organisation_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12)",
            params![
                registration_id.as_str(),
                pending.email.as_str(),
                pending.name.as_str(),
                pending.password_hash.as_str(),
                pending.organisation_name.as_str(),
                pending.source.as_str(),
                hash_token(&token),
                hash_code(&registration_id, &code),
                context.now_ms + CODE_LIFETIME_MS,
                context.now_ms,
                context.now_ms + LINK_LIFETIME_MS,
                pending.visitor.map(|visitor| visitor.to_string()),
            ],
        )
        .await?;
    let message = verification_message(context, &pending.email, &token, &code).await?;
    queue_email(context, &message).await?;
    Ok(registration_id)
}

/// Sends a new code and link for an open registration. The earlier link goes on working, for who finds
/// the first e-mail after all.
pub(super) async fn renew(context: &Context, open: &Open) -> Result<(), DatabaseError> {
    let row = context
        .connection
        .query_one(
            "SELECT email, name, password_hash, organisation_name, source, visitor_organisation_id
             FROM registrations WHERE registration_id = $1",
            params![open.registration_id.as_str()],
        )
        .await?;
    let pending = Pending {
        email: row.get(0)?,
        name: row.get(1)?,
        password_hash: row.get(2)?,
        organisation_name: row.get(3)?,
        source: row.get(4)?,
        visitor: row.parse_optional(5)?,
    };
    insert_and_send(context, &pending).await?;
    Ok(())
}

/// Six digits, every one as likely.
fn draw_code(context: &Context) -> String {
    loop {
        let number = u32::from_be_bytes(context.random());
        // The largest multiple of a million below 2^32.
        if number < 4_294_000_000 {
            return format!("{:06}", number % 1_000_000);
        }
    }
}

pub(super) fn hash_code(registration_id: &str, code: &str) -> Vec<u8> {
    hash_token(&format!("{registration_id}:{code}"))
}

async fn verification_message(
    context: &Context,
    email: &str,
    token: &str,
    code: &str,
) -> Result<Message, DatabaseError> {
    let link = format!(
        "{}/verify?token={token}",
        context.configuration().public_url
    );
    let values = [("code", code), ("link", link.as_str())];
    let message = compose(context, "verification", email, &values).await?;
    Ok(message.with_code(code))
}

async fn account_exists_message(context: &Context, email: &str) -> Result<Message, DatabaseError> {
    let portal = &context.configuration().public_url;
    let (log_in, reset) = (
        format!("{portal}/log-in"),
        format!("{portal}/reset-password"),
    );
    let values = [("log_in_link", log_in.as_str()), ("reset_link", &reset)];
    compose(context, "account-exists", email, &values).await
}
