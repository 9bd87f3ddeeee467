//! Verification: the code or the link from the e-mail makes person, organisation and membership, all at once.
//!
//! An address can be registered by others than who reads its mail, and the mail does not tell whose code it
//! carries. So where several passwords wait for one address, none of them counts: the reader of the mail
//! chooses one (pre-hijacking, Sudhodanan and Paverd, USENIX Security 2022).
//!
//! A second click soon after the first gets a session too, and a code that came too late sends another.

use schemars::JsonSchema;
use serde::Deserialize;
use shared::ids::{OrganisationId, PersonId};

use super::model::{MemberRole, OperatorRole, normalise_email};
use super::registration::{DOUBLE_CLICK_MS, OPEN, Open, hash_code, list_open, open_of, renew};
use super::sessions::{hash_token, start_session};
use super::{passwords, recovery, store};
use crate::audit;
use crate::context::Context;
use crate::database::{DatabaseError, Row};
use crate::web::Failure;
use crate::web::throttle::{Limit, count_attempt};
use crate::{params, partners, reactions, visitors};

/// A wrong code may be typed this often.
const CODE_ATTEMPTS: i64 = 5;
const CODES_PER_EMAIL: Limit = Limit {
    name: "verify_by_email",
    attempts: 30,
    window_ms: 3_600_000,
};

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

/// Signed in, as the owner of a new organisation.
pub struct Verified {
    /// The new session's token.
    pub session_token: String,
    /// The person.
    pub person_id: PersonId,
    /// Their organisation.
    pub organisation_id: OrganisationId,
    /// Where several registrations waited with other passwords: what chooses the account's first.
    pub password_token: Option<String>,
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
            let mut password_token = None;
            let (person_id, organisation_id) = if is_first {
                let rivals = find_rivals(context, &row.get::<String>(0)?, registration_id).await?;
                let made = create_account(context, registration_id, &row, &rivals).await?;
                if rivals.have_other_passwords {
                    let email: String = row.get(0)?;
                    password_token = Some(recovery::send_reset(context, made.0, &email).await?);
                }
                made
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
                password_token,
            })
        })
        .await
}

/// What else was registered for an address and never completed, by whomever.
struct Rivals {
    have_other_passwords: bool,
    have_other_visitors: bool,
}

async fn find_rivals(
    context: &Context,
    email: &str,
    registration_id: &str,
) -> Result<Rivals, DatabaseError> {
    let row = context
        .connection
        .query_one(
            "SELECT COUNT(DISTINCT password_hash), COUNT(DISTINCT COALESCE(visitor_organisation_id, ''))
             FROM registrations WHERE email = $1 AND (completed_at IS NULL OR registration_id = $2)",
            params![email, registration_id],
        )
        .await?;
    Ok(Rivals {
        have_other_passwords: row.get::<i64>(0)? > 1,
        have_other_visitors: row.get::<i64>(1)? > 1,
    })
}

async fn create_account(
    context: &Context,
    registration_id: &str,
    row: &Row,
    rivals: &Rivals,
) -> Result<(PersonId, OrganisationId), Failure> {
    let (email, name): (String, String) = (row.get(0)?, row.get(1)?);
    let (password_hash, organisation_name): (String, String) = (row.get(2)?, row.get(3)?);
    let source: String = row.get(4)?;
    let visitor = row.parse_optional(7)?;
    let account = NewAccount {
        email: &email,
        name: &name,
        password_hash: if rivals.have_other_passwords {
            passwords::NO_PASSWORD
        } else {
            &password_hash
        },
        organisation_name: &organisation_name,
        source: &source,
        // What a visitor made, keys included, must not come along with a stranger.
        visitor: visitor.filter(|_| !(rivals.have_other_passwords && rivals.have_other_visitors)),
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
