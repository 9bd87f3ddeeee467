//! Install, configure, remove.

use serde_json::{Map, Value, json};
use shared::credential::Environment;
use shared::ids::{InstallationId, OrganisationId};

use super::secrets::{hide_secrets, seal_answers};
use super::store::{Installation, find_standing, publish_installation};
use crate::audit;
use crate::context::{Context, SignedIn};
use crate::database::DatabaseError;
use crate::listings::{self, Audience, Offer, Step, check_answers, count_step};
use crate::oauth::revoke_installation_tokens;
use crate::organisations::sessions::find_member_role;
use crate::params;
use crate::web::Failure;

/// What a customer agreed to.
#[derive(Debug, Clone)]
pub struct Consent {
    /// The app's client.
    pub credential: crate::credentials::Credential,
    /// Scopes granted.
    pub scopes: Vec<String>,
    /// Answers of the configuration form.
    pub answers: Map<String, Value>,
}

/// Whether this person may install what is offered.
pub async fn may_install(
    context: &Context,
    offer: &Offer,
    person: &SignedIn,
) -> Result<bool, DatabaseError> {
    let is_named = match &offer.audience {
        Audience::Everyone => return Ok(true),
        Audience::Named(addresses) => addresses.contains(&person.email),
        Audience::Members => false,
    };
    let role =
        find_member_role(&context.connection, offer.organisation_id, person.person_id).await?;
    Ok(is_named || role.is_some())
}

/// Checks the answers and stores the grant; a standing installation of the same client is renewed. Call
/// it inside a transaction.
pub async fn install(
    context: &Context,
    offer: &Offer,
    person: &SignedIn,
    consent: &Consent,
) -> Result<Installation, Failure> {
    let connection = &context.connection;
    let known = find_standing(connection, consent.credential.id, person.person_id).await?;
    let is_new = known.is_none();
    let mut installation = known.unwrap_or_else(|| Installation {
        id: context.new_id(InstallationId::new),
        app_id: consent.credential.app_id,
        credential_id: consent.credential.id,
        environment: consent.credential.environment,
        person_id: person.person_id,
        scopes: Vec::new(),
        configuration: Map::new(),
        installed_at_ms: context.now_ms,
        configured_at_ms: context.now_ms,
        tokens_revoked_at_ms: None,
        removed_at_ms: None,
        position: 0,
    });
    let form = &offer.content.form;
    let answers = check_answers(form, &consent.answers, &installation.configuration)
        .map_err(Failure::fields)?;
    installation.configuration = seal_answers(context, form, answers)?;
    installation.scopes.clone_from(&consent.scopes);
    installation.configured_at_ms = context.now_ms;
    let action = if is_new {
        "app.installed"
    } else {
        "app.configured"
    };
    record(context, offer.organisation_id, action, &installation).await?;
    if is_new && installation.environment == Environment::Live {
        count_step(connection, offer.listing_id, Step::Install, context.now_ms).await?;
    }
    publish_installation(connection, &mut installation, context.now_ms).await?;
    Ok(installation)
}

async fn record(
    context: &Context,
    organisation_id: OrganisationId,
    action: &str,
    installation: &Installation,
) -> Result<(), DatabaseError> {
    // What the audit log and the partner's webhook say: never a secret.
    let detail = json!({
        "app_id": installation.app_id.to_string(),
        "installation_id": installation.id.to_string(),
        "environment": installation.environment.as_str(),
        "scopes": installation.scopes,
        "configuration": hide_secrets(&installation.configuration),
    });
    let object = installation.id.to_string();
    audit::record(context, Some(organisation_id), action, &object, detail).await
}

async fn owner_of(
    context: &Context,
    installation: &Installation,
) -> Result<OrganisationId, DatabaseError> {
    context
        .connection
        .query_one(
            "SELECT organisation_id FROM apps WHERE app_id = $1",
            params![installation.app_id],
        )
        .await?
        .parse(0)
}

/// Stores new answers of a standing installation.
pub async fn configure(
    context: &Context,
    installation: &mut Installation,
    answers: &Map<String, Value>,
) -> Result<(), Failure> {
    let connection = &context.connection;
    let offer = listings::find_offer(connection, installation.app_id, installation.environment)
        .await?
        .ok_or_else(|| {
            Failure::conflict(
                "not_offered",
                "The app is not offered at the moment; it cannot be configured.",
            )
        })?;
    let form = &offer.content.form;
    let answers =
        check_answers(form, answers, &installation.configuration).map_err(Failure::fields)?;
    installation.configuration = seal_answers(context, form, answers)?;
    installation.configured_at_ms = context.now_ms;
    connection
        .transaction(async || {
            record(
                context,
                offer.organisation_id,
                "app.configured",
                installation,
            )
            .await?;
            publish_installation(connection, installation, context.now_ms).await?;
            Ok::<_, Failure>(())
        })
        .await
}

/// Removes an installation: its tokens are refused everywhere within a second.
pub async fn remove(context: &Context, installation: &mut Installation) -> Result<(), Failure> {
    if installation.removed_at_ms.is_some() {
        return Ok(());
    }
    let connection = &context.connection;
    let owner = owner_of(context, installation).await?;
    let listing = listings::find_listing(connection, installation.app_id).await?;
    connection
        .transaction(async || {
            installation.removed_at_ms = Some(context.now_ms);
            record(context, owner, "app.uninstalled", installation).await?;
            if let (Some(listing), Environment::Live) = (&listing, installation.environment) {
                count_step(connection, listing.id, Step::Remove, context.now_ms).await?;
            }
            revoke_installation_tokens(context, installation).await?;
            Ok::<_, Failure>(())
        })
        .await
}
