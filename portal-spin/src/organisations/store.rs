//! SQL of people, organisations and members.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use shared::ids::{MemberId, OrganisationId, PersonId};

use super::model::{MemberRole, OperatorRole};
use crate::context::Context;
use crate::database::{Connection, DatabaseError, Row, Value, placeholders};
use crate::params;

/// A person who can log in.
#[derive(Debug, Clone)]
pub struct Person {
    /// The id.
    pub person_id: PersonId,
    /// Verified, lower case.
    pub email: String,
    /// As given.
    pub name: String,
    /// PHC string.
    pub password_hash: String,
    /// When the account was closed.
    pub disabled_at: Option<i64>,
    /// The TOTP secret, once set up.
    pub totp_secret: Option<Vec<u8>>,
    /// When TOTP was switched on.
    pub totp_enabled_at: Option<i64>,
}

/// An organisation, as its members see it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Organisation {
    /// The id.
    #[schemars(with = "String")]
    pub organisation_id: OrganisationId,
    /// Its name.
    pub name: String,
    /// Which type of partner it is; the operator defines the types.
    pub partner_type: String,
    /// Its tier.
    pub tier: String,
    /// When it joined.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub created_at: i64,
    /// When it was suspended, if it is.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub suspended_at: Option<i64>,
    /// Why.
    pub suspension_reason: Option<String>,
    /// When its owner closed it, if it is closed.
    #[serde(with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub closed_at: Option<i64>,
}

/// An organisation of a person, with their role there.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Membership {
    /// The organisation.
    #[schemars(with = "String")]
    pub organisation_id: OrganisationId,
    /// Its name.
    pub name: String,
    /// The person's role.
    pub role: MemberRole,
}

const PERSON: &str = "SELECT person_id, email, name, password_hash, disabled_at, totp_secret,
    totp_enabled_at FROM people";

fn person_of(row: &Row) -> Result<Person, DatabaseError> {
    Ok(Person {
        person_id: row.parse(0)?,
        email: row.get(1)?,
        name: row.get(2)?,
        password_hash: row.get(3)?,
        disabled_at: row.get(4)?,
        totp_secret: row.get(5)?,
        totp_enabled_at: row.get(6)?,
    })
}

/// The person with this address.
pub async fn find_person_by_email(
    connection: &Connection,
    email: &str,
) -> Result<Option<Person>, DatabaseError> {
    connection
        .query_optional(&format!("{PERSON} WHERE email = $1"), params![email])
        .await?
        .as_ref()
        .map(person_of)
        .transpose()
}

/// The person with this id.
pub async fn find_person(
    connection: &Connection,
    person_id: PersonId,
) -> Result<Option<Person>, DatabaseError> {
    connection
        .query_optional(
            &format!("{PERSON} WHERE person_id = $1"),
            params![person_id],
        )
        .await?
        .as_ref()
        .map(person_of)
        .transpose()
}

/// What a person who signs up reads from now on: what their browser asked for, if that is not the
/// programme's own language.
fn language_of(context: &Context) -> &'static str {
    let own = context.app.default_language().tag;
    Some(context.language.tag)
        .filter(|tag| *tag != own)
        .unwrap_or_default()
}

/// Adds a person whose address is verified.
pub async fn insert_person(
    context: &Context,
    email: &str,
    name: &str,
    password_hash: &str,
) -> Result<PersonId, DatabaseError> {
    let person_id = context.new_id(PersonId::new);
    context
        .connection
        .execute(
            "INSERT INTO people (person_id, email, name, password_hash, created_at, language)
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![
                person_id,
                email,
                name,
                password_hash,
                context.now_ms,
                language_of(context)
            ],
        )
        .await?;
    Ok(person_id)
}

/// Adds an organisation.
pub async fn insert_organisation(
    context: &Context,
    name: &str,
    source: &str,
) -> Result<OrganisationId, DatabaseError> {
    let organisation_id = context.new_id(OrganisationId::new);
    context
        .connection
        .execute(
            "INSERT INTO organisations (organisation_id, name, partner_type, tier, source, created_at)
             VALUES ($1, $2, (SELECT partner_type FROM partner_types WHERE is_default = 1),
                (SELECT tier FROM tiers WHERE is_default = 1), $3, $4)",
            params![organisation_id, name, source, context.now_ms],
        )
        .await?;
    Ok(organisation_id)
}

/// Adds a member. A person who is one already keeps their role.
pub async fn insert_member(
    context: &Context,
    organisation_id: OrganisationId,
    person_id: PersonId,
    role: MemberRole,
) -> Result<bool, DatabaseError> {
    let member_id = context.new_id(MemberId::new);
    let added = context
        .connection
        .execute(
            "INSERT INTO members (member_id, organisation_id, person_id, role, created_at)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organisation_id, person_id) DO NOTHING",
            params![member_id, organisation_id, person_id, role, context.now_ms],
        )
        .await?;
    Ok(added == 1)
}

/// Gives a person a role on the operator's side.
pub async fn insert_operator_role(
    context: &Context,
    person_id: PersonId,
    role: OperatorRole,
) -> Result<(), DatabaseError> {
    context
        .connection
        .execute(
            "INSERT INTO operator_members (person_id, role, created_at) VALUES ($1, $2, $3)
             ON CONFLICT (person_id, role) DO NOTHING",
            params![person_id, role, context.now_ms],
        )
        .await?;
    Ok(())
}

/// An organisation.
pub async fn find_organisation(
    connection: &Connection,
    organisation_id: OrganisationId,
) -> Result<Option<Organisation>, DatabaseError> {
    connection
        .query_optional(
            "SELECT organisation_id, name, partner_type, tier, created_at, suspended_at,
                suspension_reason, closed_at FROM organisations WHERE organisation_id = $1",
            params![organisation_id],
        )
        .await?
        .map(|row| {
            Ok(Organisation {
                organisation_id: row.parse(0)?,
                name: row.get(1)?,
                partner_type: row.get(2)?,
                tier: row.get(3)?,
                created_at: row.get(4)?,
                suspended_at: row.get(5)?,
                suspension_reason: row.get(6)?,
                closed_at: row.get(7)?,
            })
        })
        .transpose()
}

/// The organisations of a person, oldest membership first.
pub async fn list_memberships(
    connection: &Connection,
    person_id: PersonId,
) -> Result<Vec<Membership>, DatabaseError> {
    connection
        .query(
            "SELECT o.organisation_id, o.name, m.role FROM members m
             JOIN organisations o ON o.organisation_id = m.organisation_id
             WHERE m.person_id = $1 ORDER BY m.member_id",
            params![person_id],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(Membership {
                organisation_id: row.parse(0)?,
                name: row.get(1)?,
                role: row.parse(2)?,
            })
        })
        .collect()
}

/// Addresses of an organisation's members with one of these roles, for e-mails.
pub async fn list_member_emails(
    connection: &Connection,
    organisation_id: OrganisationId,
    roles: &[MemberRole],
) -> Result<Vec<String>, DatabaseError> {
    let mut emails = member_emails_of(connection, &[organisation_id], roles).await?;
    Ok(emails.remove(&organisation_id).unwrap_or_default())
}

/// As [`list_member_emails`], of several organisations at once.
pub async fn member_emails_of(
    connection: &Connection,
    organisations: &[OrganisationId],
    roles: &[MemberRole],
) -> Result<HashMap<OrganisationId, Vec<String>>, DatabaseError> {
    let sql = format!(
        "SELECT p.email, m.role, m.organisation_id FROM members m
         JOIN people p ON p.person_id = m.person_id
         WHERE m.organisation_id IN {} AND p.disabled_at IS NULL ORDER BY m.member_id",
        placeholders(1, organisations.len())
    );
    let ids = organisations.iter().map(|id| Value::from(id.to_string()));
    let mut emails: HashMap<OrganisationId, Vec<String>> = HashMap::new();
    for row in connection.query(&sql, ids.collect()).await? {
        if roles.contains(&row.parse(1)?) {
            emails.entry(row.parse(2)?).or_default().push(row.get(0)?);
        }
    }
    Ok(emails)
}
