//! Registration: from a stranger to the verified owner of an organisation.
//!
//! A registration is a row of its own until the address is verified; only then do person, organisation
//! and membership exist, all at once. So an account can never be half-made: registering again, a second
//! click, a lost mail or an expired code each lead on. The answer to a registration never tells whether
//! the address has an account; the e-mail does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::ids::{OrganisationId, PersonId};

use super::model::{Faults, MemberRole, OperatorRole, normalise_email};
use super::sessions::{hash_token, start_session};
use super::{passwords, store};
use crate::audit;
use crate::context::Context;
use crate::database::{DatabaseError, Row};
use crate::emails::{Message, compose, queue_email};
use crate::encoding::base64url;
use crate::web::Failure;
use crate::web::throttle::{Limit, count_attempt, count_attempt_by_address};
use crate::{params, partners, reactions, visitors};

/// A code is typed within this time (ASVS 5.0, 6.5.5).
const CODE_LIFETIME_MS: i64 = 10 * 60 * 1000;
/// A link works this long.
const LINK_LIFETIME_MS: i64 = 48 * 60 * 60 * 1000;
/// A wrong code may be typed this often.
const CODE_ATTEMPTS: i64 = 5;
/// A second click this soon gets a session too.
const DOUBLE_CLICK_MS: i64 = 60 * 1000;

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
const CODES_PER_EMAIL: Limit = Limit {
    name: "verify_by_email",
    attempts: 30,
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

/// A code, with the address it went to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerificationRequest {
    /// The address.
    #[serde(default)]
    pub email: String,
    /// The 6 digits from the e-mail.
    #[serde(default)]
    pub code: String,
    /// Or the token of the link.
    #[serde(default)]
    pub token: String,
}

/// An address to send to again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResendRequest {
    /// The address.
    pub email: String,
}

/// Signed in, as the owner of a new organisation.
pub struct Verified {
    /// The new session's token.
    pub session_token: String,
    /// The person.
    pub person_id: PersonId,
    /// Their organisation.
    pub organisation_id: OrganisationId,
}

/// Why a registration does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerificationError {
    /// The code is not the one sent.
    #[error("wrong code")]
    WrongCode,
    /// Too many wrong codes.
    #[error("too many wrong codes")]
    TooManyCodes,
    /// The code was right and too old; a new one is on its way.
    #[error("code expired")]
    CodeExpired,
    /// The link is unknown or too old.
    #[error("link expired")]
    LinkExpired,
    /// The address got an account in the meantime.
    #[error("already registered")]
    AlreadyRegistered,
}

impl From<VerificationError> for Failure {
    fn from(error: VerificationError) -> Self {
        match error {
            VerificationError::WrongCode => Self::field(
                "code",
                "wrong_code",
                "This is not the code of the newest e-mail. Check the 6 digits, or ask for a new code.",
            ),
            VerificationError::TooManyCodes => Self::field(
                "code",
                "too_many_codes",
                "Too many wrong codes. Use the link in the e-mail, or ask for a new code.",
            ),
            VerificationError::CodeExpired => Self::field(
                "code",
                "code_expired",
                "This code was older than 10 minutes. A new one is on its way to you.",
            ),
            VerificationError::LinkExpired => Self::new(
                http::StatusCode::GONE,
                "link_expired",
                "This link is no longer valid. Register again with the same address; nothing is lost.",
            ),
            VerificationError::AlreadyRegistered => Self::conflict(
                "already_registered",
                "This address has an account already. Log in, or reset the password.",
            ),
        }
    }
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
    let password_hash = passwords::hash_new_password(context, &request.password).await?;
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
struct Open {
    registration_id: String,
    code_hash: Vec<u8>,
    code_expires_at: i64,
    code_attempts: i64,
    completed_at: Option<i64>,
}

const OPEN: &str = "SELECT registration_id, code_hash, code_expires_at, code_attempts,
    completed_at FROM registrations";

fn open_of(row: &Row) -> Result<Open, DatabaseError> {
    Ok(Open {
        registration_id: row.get(0)?,
        code_hash: row.get(1)?,
        code_expires_at: row.get(2)?,
        code_attempts: row.get(3)?,
        completed_at: row.get(4)?,
    })
}

async fn list_open(context: &Context, email: &str) -> Result<Vec<Open>, DatabaseError> {
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

/// Verifies by code.
pub async fn verify_by_code(
    context: &Context,
    email: &str,
    code: &str,
) -> Result<Verified, Failure> {
    let email = normalise_email(email).unwrap_or_default();
    let code: String = code.chars().filter(char::is_ascii_digit).collect();
    count_attempt(context, CODES_PER_EMAIL, &email).await?;
    let open = list_open(context, &email).await?;
    let usable: Vec<&Open> = open
        .iter()
        .filter(|open| open.code_attempts < CODE_ATTEMPTS)
        .collect();
    if usable.is_empty() && !open.is_empty() {
        return Err(VerificationError::TooManyCodes.into());
    }
    let matching = usable
        .iter()
        .find(|open| hash_code(&open.registration_id, &code) == open.code_hash);
    let Some(matching) = matching else {
        for open in usable {
            context
                .connection
                .execute(
                    "UPDATE registrations SET code_attempts = code_attempts + 1
                     WHERE registration_id = $1",
                    params![open.registration_id.as_str()],
                )
                .await?;
        }
        return Err(VerificationError::WrongCode.into());
    };
    if matching.code_expires_at <= context.now_ms {
        context
            .connection
            .transaction(async || renew(context, matching).await)
            .await?;
        return Err(VerificationError::CodeExpired.into());
    }
    complete(context, &matching.registration_id).await
}

/// The address and organisation that a link is about, for the page that asks to confirm.
pub async fn find_by_link(
    context: &Context,
    token: &str,
) -> Result<Option<(String, String)>, DatabaseError> {
    context
        .connection
        .query_optional(
            "SELECT email, organisation_name FROM registrations
             WHERE token_hash = $1 AND expires_at > $2",
            params![hash_token(token), context.now_ms],
        )
        .await?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .transpose()
}

/// Verifies by link.
pub async fn verify_by_link(context: &Context, token: &str) -> Result<Verified, Failure> {
    let open = context
        .connection
        .query_optional(
            &format!("{OPEN} WHERE token_hash = $1 AND expires_at > $2"),
            params![hash_token(token), context.now_ms],
        )
        .await?
        .as_ref()
        .map(open_of)
        .transpose()?
        .ok_or(VerificationError::LinkExpired)?;
    if open
        .completed_at
        .is_some_and(|at| at <= context.now_ms - DOUBLE_CLICK_MS)
    {
        return Err(VerificationError::AlreadyRegistered.into());
    }
    complete(context, &open.registration_id).await
}

/// Makes person, organisation, membership and session, all or nothing. A second call soon after the
/// first only makes another session.
async fn complete(context: &Context, registration_id: &str) -> Result<Verified, Failure> {
    let connection = &context.connection;
    connection
        .transaction(async || {
            let is_first = connection
                .execute(
                    "UPDATE registrations SET completed_at = $1
                     WHERE registration_id = $2 AND completed_at IS NULL",
                    params![context.now_ms, registration_id],
                )
                .await?
                == 1;
            let row = connection
                .query_one(
                    "SELECT email, name, password_hash, organisation_name, source, person_id,
                        organisation_id, visitor_organisation_id FROM registrations
                     WHERE registration_id = $1",
                    params![registration_id],
                )
                .await?;
            let (person_id, organisation_id) = if is_first {
                create_account(context, registration_id, &row).await?
            } else {
                (
                    row.parse_optional(5)?
                        .ok_or(VerificationError::AlreadyRegistered)?,
                    row.parse_optional(6)?
                        .ok_or(VerificationError::AlreadyRegistered)?,
                )
            };
            let (_, session_token) = start_session(context, person_id, None).await?;
            Ok(Verified {
                session_token,
                person_id,
                organisation_id,
            })
        })
        .await
}

async fn create_account(
    context: &Context,
    registration_id: &str,
    row: &Row,
) -> Result<(PersonId, OrganisationId), Failure> {
    let (email, name): (String, String) = (row.get(0)?, row.get(1)?);
    let (password_hash, organisation_name): (String, String) = (row.get(2)?, row.get(3)?);
    let source: String = row.get(4)?;
    let account = NewAccount {
        email: &email,
        name: &name,
        password_hash: &password_hash,
        organisation_name: &organisation_name,
        source: &source,
        visitor: row.parse_optional(7)?,
    };
    let (person_id, organisation_id) = open_account(context, &account).await?;
    context
        .connection
        .execute(
            "UPDATE registrations SET person_id = $1, organisation_id = $2, password_hash = ''
             WHERE registration_id = $3",
            params![person_id, organisation_id, registration_id],
        )
        .await?;
    Ok((person_id, organisation_id))
}

/// A person whose address is proved, and their first organisation.
pub struct NewAccount<'a> {
    /// The proved address, normalised.
    pub email: &'a str,
    /// The person's name.
    pub name: &'a str,
    /// PHC string.
    pub password_hash: &'a str,
    /// The organisation's name.
    pub organisation_name: &'a str,
    /// Where they came from.
    pub source: &'a str,
    /// The organisation of the visitor they were.
    pub visitor: Option<OrganisationId>,
}

/// Makes person, organisation and membership. Call it inside a transaction.
pub async fn open_account(
    context: &Context,
    account: &NewAccount<'_>,
) -> Result<(PersonId, OrganisationId), Failure> {
    let email = account.email;
    if store::find_person_by_email(&context.connection, email)
        .await?
        .is_some()
    {
        return Err(VerificationError::AlreadyRegistered.into());
    }
    let person_id =
        store::insert_person(context, email, account.name, account.password_hash).await?;
    let name = account.organisation_name;
    let organisation_id = match account.visitor {
        Some(visitor) if visitors::claim(context, visitor, name, account.source).await? => visitor,
        _ => store::insert_organisation(context, name, account.source).await?,
    };
    store::insert_member(context, organisation_id, person_id, MemberRole::Owner).await?;
    let first_administrator = context.configuration().get("first_administrator_email");
    if email == first_administrator.to_lowercase() {
        store::insert_operator_role(context, person_id, OperatorRole::Administrator).await?;
    }
    partners::claim_invitation(context, email, organisation_id).await?;
    audit::record_by(
        context,
        &person_id.to_string(),
        Some(organisation_id),
        "organisation.created",
        &organisation_id.to_string(),
        serde_json::json!({ "name": name }),
    )
    .await?;
    reactions::organisation_created(context, organisation_id).await?;
    Ok((person_id, organisation_id))
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
async fn renew(context: &Context, open: &Open) -> Result<(), DatabaseError> {
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

fn hash_code(registration_id: &str, code: &str) -> Vec<u8> {
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
