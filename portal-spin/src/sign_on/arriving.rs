//! Whom a provider's subject is here, and who may still use a password.

use shared::ids::PersonId;

use super::id_token::Claims;
use super::providers::{Audience, Provider};
use crate::audit;
use crate::context::Context;
use crate::database::DatabaseError;
use crate::organisations::members::add_member;
use crate::organisations::store::{self, Person};
use crate::organisations::{normalise_email, sessions};
use crate::params;
use crate::web::Failure;

/// The person behind verified claims, made if they are new; or why not, for the audit log.
///
/// A subject that came before is the same person, whatever its address is now. A new subject is matched
/// by its verified address, and a partner's provider is believed only for its own proved domain and never
/// for the operator's staff; the customers' provider for nobody who is more than a customer.
pub async fn welcome(
    context: &Context,
    provider: &Provider,
    claims: &Claims,
) -> Result<Result<PersonId, &'static str>, Failure> {
    let connection = &context.connection;
    let known = connection
        .query_optional(
            "SELECT i.person_id, p.disabled_at FROM person_identities i
             JOIN people p ON p.person_id = i.person_id WHERE i.issuer = $1 AND i.subject = $2",
            params![provider.issuer.as_str(), claims.subject.as_str()],
        )
        .await?;
    if let Some(row) = known {
        let person_id: PersonId = row.parse(0)?;
        if row.get::<Option<i64>>(1)?.is_some() {
            return Ok(Err("the account is closed"));
        }
        return check_reach(context, provider, person_id).await;
    }
    let Some(email) = claims.email.as_deref().and_then(normalise_email) else {
        return Ok(Err("the provider gave no verified address"));
    };
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    if provider.organisation_id.is_some() && domain != provider.domain {
        return Ok(Err("the address is not of the provider's domain"));
    }
    let person = store::find_person_by_email(connection, &email).await?;
    if let Some(person) = &person {
        if person.disabled_at.is_some() {
            return Ok(Err("the account is closed"));
        }
        if let Err(reason) = check_reach(context, provider, person.person_id).await? {
            return Ok(Err(reason));
        }
    }
    let person_id = connection
        .transaction(async || link(context, provider, claims, &email, person.as_ref()).await)
        .await?;
    Ok(Ok(person_id))
}

/// Why a customers' provider does not log someone in.
pub const NOT_A_CUSTOMER: &str = "the customers' provider does not speak for partners or staff";

/// A provider logs nobody in who may do more than it vouches for.
async fn check_reach(
    context: &Context,
    provider: &Provider,
    person_id: PersonId,
) -> Result<Result<PersonId, &'static str>, Failure> {
    let connection = &context.connection;
    let is_staff = !sessions::list_operator_roles(connection, person_id)
        .await?
        .is_empty();
    Ok(match provider.audience {
        Audience::Organisation if is_staff => {
            Err("a partner's provider does not speak for the operator's staff")
        }
        Audience::Customers
            if is_staff
                || !store::list_memberships(connection, person_id)
                    .await?
                    .is_empty() =>
        {
            Err(NOT_A_CUSTOMER)
        }
        _ => Ok(person_id),
    })
}

async fn link(
    context: &Context,
    provider: &Provider,
    claims: &Claims,
    email: &str,
    person: Option<&Person>,
) -> Result<PersonId, Failure> {
    let person_id = match person {
        Some(person) => person.person_id,
        None => {
            let name: String = claims
                .name
                .as_deref()
                .unwrap_or_else(|| email.split('@').next().unwrap_or_default())
                .chars()
                .filter(|c| !c.is_control())
                .take(100)
                .collect();
            // No password has an empty hash.
            store::insert_person(context, email, &name, "").await?
        }
    };
    context
        .connection
        .execute(
            "INSERT INTO person_identities (issuer, subject, person_id, created_at_ms)
             VALUES ($1, $2, $3, $4)",
            params![
                provider.issuer.as_str(),
                claims.subject.as_str(),
                person_id,
                context.now_ms
            ],
        )
        .await?;
    audit::record_by(
        context,
        &person_id.to_string(),
        provider.organisation_id,
        "identity.linked",
        &person_id.to_string(),
        serde_json::json!({ "issuer": provider.issuer, "is_new": person.is_none() }),
    )
    .await?;
    if let Some(organisation_id) = provider.organisation_id {
        let role =
            sessions::find_member_role(&context.connection, organisation_id, person_id).await?;
        if role.is_none() {
            add_member(context, organisation_id, person_id, provider.role).await?;
        }
    }
    Ok(person_id)
}

/// Refuses a password or a passkey where the person must log in through a provider: members of an
/// organisation that enforces its own, except owners, who must be able to mend it; and the operator's
/// staff and its customers where the settings say so, except the first administrator.
pub async fn check_password_allowed(
    context: &Context,
    person_id: PersonId,
    email: &str,
) -> Result<(), Failure> {
    let connection = &context.connection;
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    let enforced: Result<Option<_>, DatabaseError> = connection
        .query_optional(
            "SELECT 1 FROM identity_providers i JOIN members m
                ON m.organisation_id = i.organisation_id AND m.person_id = $1
             WHERE i.domain = $2 AND i.is_enforced = 1 AND i.domain_verified_at_ms IS NOT NULL
                AND m.role <> 'owner'",
            params![person_id, domain],
        )
        .await;
    let configuration = context.configuration();
    let staff_must = configuration.get("staff_sign_on") == "required"
        && email
            != configuration
                .get("first_administrator_email")
                .to_lowercase();
    let customers_must = configuration.get("customer_sign_on") == "required"
        && !configuration.get("customer_issuer").is_empty();
    let is_staff = (staff_must || customers_must)
        && !sessions::list_operator_roles(connection, person_id)
            .await?
            .is_empty();
    let is_customer = customers_must
        && !is_staff
        && store::list_memberships(connection, person_id)
            .await?
            .is_empty();
    if enforced?.is_some() || is_staff && staff_must || is_customer {
        return Err(Failure::forbidden(
            "sign_on_required",
            "Your organisation asks you to log in through its own identity provider: choose single sign-on.",
        ));
    }
    Ok(())
}
