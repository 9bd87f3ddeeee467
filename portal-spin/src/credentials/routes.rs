//! `/api/v1/apps/{app_id}/credentials`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::credential::{Environment, KeyHash, Pepper, PlainKey};
use shared::ids::{AppId, CredentialId};

use super::addresses;
use super::model::{Credential, CredentialView, State};
use super::store;
use super::waiting::{Awaited, STEPS_OF_API, wait_for};
use crate::apps::{self, App};
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::forms::read_name;
use crate::web::paging::{PageOf, PageRequest};
use crate::web::{Failure, FieldError, response};
use crate::{audit, metering, subscriptions};

/// An app has at most this many credentials that are neither revoked nor expired.
const MOST_STANDING: i64 = 100;
/// The longest overlap of a rotation: 30 days.
const LONGEST_OVERLAP_SECS: i64 = 30 * 24 * 60 * 60;

/// The overlap where none is asked for: a day.
pub const USUAL_OVERLAP_SECS: i64 = 24 * 60 * 60;

/// What a new credential is given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialBody {
    /// `test` or `live`.
    #[serde(default)]
    pub environment: String,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// Scopes it is limited to; without, it has all of its app's.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// When it expires.
    #[serde(default, with = "crate::encoding::optional_time")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<i64>,
    /// Networks (CIDR) or addresses it may be used from; without, any.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// How a credential is replaced.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotationBody {
    /// How long the old key still works, in seconds: 0 to 30 days; a day without.
    #[serde(default)]
    pub overlap_secs: Option<i64>,
}

/// A new credential and, this once, its key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IssuedView {
    /// The credential.
    pub credential: CredentialView,
    /// The key. It is not stored and cannot be shown again.
    pub key: String,
}

/// A page of credentials.
pub type CredentialList = PageOf<CredentialView>;

/// A credential of this app with a new key.
pub async fn issue(
    context: &Context,
    app: &App,
    body: &CredentialBody,
) -> Result<(Credential, PlainKey), Failure> {
    let (mut credential, key) = prepare(context, app, body).await?;
    context
        .connection
        .transaction(async || {
            record(context, app, "credential.issued", &credential).await?;
            store::insert(&context.connection, &mut credential, context.now_ms).await?;
            Ok::<(), Failure>(())
        })
        .await?;
    Ok((credential, key))
}

/// A test key for an app that has none.
pub async fn issue_first(context: &Context, app: &App) -> Result<(Credential, PlainKey), Failure> {
    let body = CredentialBody {
        environment: Environment::Test.as_str().to_owned(),
        name: "First key".to_owned(),
        scopes: None,
        expires_at: None,
        addresses: Vec::new(),
    };
    issue(context, app, &body).await
}

async fn record(
    context: &Context,
    app: &App,
    action: &str,
    credential: &Credential,
) -> Result<(), Failure> {
    let detail = json!({
        "app_id": app.id.to_string(),
        "environment": credential.environment.as_str(),
        "prefix": credential.prefix,
        "last_four": credential.last_four,
    });
    audit::record(
        context,
        Some(app.organisation_id),
        action,
        &credential.id.to_string(),
        detail,
    )
    .await?;
    Ok(())
}

async fn prepare(
    context: &Context,
    app: &App,
    body: &CredentialBody,
) -> Result<(Credential, PlainKey), Failure> {
    let mut problems: Vec<FieldError> = Vec::new();
    let mut wrong = |field: &str, code: &str, detail: &str| {
        problems.push(FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            detail: detail.to_owned(),
        });
    };
    let environment = Environment::from_name(&body.environment);
    if environment.is_none() {
        wrong("environment", "unknown_value", "Give `test` or `live`.");
    }
    let name = body.name.trim();
    if !name.is_empty()
        && let Err(error) = read_name("name", name, 80)
    {
        wrong(&error.field, &error.code, &error.detail);
    }
    if body.expires_at.is_some_and(|at| at <= context.now_ms) {
        wrong(
            "expires_at",
            "in_the_past",
            "Give a time in the future, or none.",
        );
    }
    let networks: Option<Vec<String>> = body
        .addresses
        .iter()
        .map(|text| addresses::canonical(text))
        .collect();
    if networks.is_none() || body.addresses.len() > 50 {
        wrong(
            "addresses",
            "malformed",
            "Give at most 50 networks such as `192.0.2.0/24` or addresses such as `2001:db8::1`.",
        );
    }
    let known = subscriptions::list_scopes(&context.connection, app.id).await?;
    if let Some(unknown) = body
        .scopes
        .iter()
        .flatten()
        .find(|scope| !known.contains(scope))
    {
        let detail = format!(
            "No product of the app has the scope `{unknown}`. There are: {}.",
            known.join(", ")
        );
        wrong("scopes", "unknown_value", &detail);
    }
    let (Some(environment), Some(addresses), true) = (environment, networks, problems.is_empty())
    else {
        return Err(Failure::fields(problems));
    };
    if environment == Environment::Live {
        subscriptions::check_live_credentials(&context.connection, app, context.now_ms).await?;
    }
    if store::count_standing(&context.connection, app.id, context.now_ms).await? >= MOST_STANDING {
        return Err(Failure::conflict(
            "too_many_credentials",
            format!(
                "The app has {MOST_STANDING} credentials. Revoke one that is not used any more."
            ),
        ));
    }
    let (key, hash) = generate_key(context, environment)?;
    let created_by = context
        .person_optional()
        .map_or(String::new(), |person| person.person_id.to_string());
    let credential = Credential {
        id: context.new_id(CredentialId::new),
        app_id: app.id,
        environment,
        name: name.to_owned(),
        prefix: key.prefix().to_owned(),
        last_four: key.last_four().to_owned(),
        hash,
        scopes: body.scopes.clone(),
        addresses,
        expires_at_ms: body.expires_at,
        created_at_ms: context.now_ms,
        created_by,
        issued_position: 0,
        activated_at_ms: None,
        revoked_at_ms: None,
        revoked_position: None,
        refused_at_ms: None,
        rotated_from: None,
    };
    Ok((credential, key))
}

fn generate_key(
    context: &Context,
    environment: Environment,
) -> Result<(PlainKey, KeyHash), Failure> {
    let configuration = context.configuration();
    let pepper = configuration.secret("key_pepper").ok_or_else(|| {
        Failure::internal(
            "no key can be issued: set the variable `key_pepper`, here and at the edges",
        )
    })?;
    let randomness = context.app.randomness.as_ref();
    let key = PlainKey::generate(configuration.get("key_brand"), environment, |bytes| {
        randomness.fill(bytes)
    })
    .map_err(|error| Failure::internal(&format!("the variable `key_brand` is wrong: {error}")))?;
    let hash = Pepper::new(pepper.as_bytes()).digest(key.expose());
    Ok((key, hash))
}

pub(super) async fn app_of_path(context: &Context) -> Result<App, Failure> {
    let app_id: AppId = context.path_id("app_id")?;
    apps::find_app(&context.connection, app_id)
        .await?
        .ok_or_else(Failure::not_found)
}

async fn credential_of_path(context: &Context, app_id: AppId) -> Result<Credential, Failure> {
    let credential_id: CredentialId = context.path_id("credential_id")?;
    store::find(&context.connection, app_id, credential_id)
        .await?
        .ok_or_else(Failure::not_found)
}

pub(super) async fn view(
    context: &Context,
    credential: &Credential,
) -> Result<CredentialView, Failure> {
    let last_used = metering::last_used(&context.connection, credential.id).await?;
    Ok(credential.view(context.now_ms, last_used))
}

/// `POST …/credentials?wait=active`
pub async fn issue_credential(context: &Context) -> Outcome {
    let body: CredentialBody = context.json()?;
    let app = app_of_path(context).await?;
    let awaited = Awaited::read(context, Awaited::Active)?;
    let (mut credential, key) = issue(context, &app, &body).await?;
    if let Some(awaited) = awaited {
        credential = wait_for(context, credential, awaited, STEPS_OF_API).await?;
    }
    response::created(&IssuedView {
        credential: credential.view(context.now_ms, None),
        key: key.expose().to_owned(),
    })
}

/// `GET …/credentials`
pub async fn list_credentials(context: &Context) -> Outcome {
    let page = PageRequest::read(context)?;
    let app = app_of_path(context).await?;
    let environment = context.query("environment").unwrap_or_default();
    let credentials = store::list(&context.connection, app.id, &page, &environment).await?;
    let mut views = Vec::with_capacity(credentials.len());
    for credential in &credentials {
        views.push(view(context, credential).await?);
    }
    response::ok(&page.page_of(views, |view: &CredentialView| view.id.clone()))
}

/// `GET …/credentials/{credential_id}?wait=active`
pub async fn show_credential(context: &Context) -> Outcome {
    let app_id: AppId = context.path_id("app_id")?;
    let mut credential = credential_of_path(context, app_id).await?;
    if let Some(awaited) = Awaited::read(context, Awaited::Active)? {
        credential = wait_for(context, credential, awaited, STEPS_OF_API).await?;
    }
    response::ok(&view(context, &credential).await?)
}

fn ended() -> Failure {
    Failure::conflict(
        "credential_ended",
        "The credential is revoked, expired or already replaced. Issue a new one.",
    )
}

/// Replaces a credential: the old key works on for the overlap.
pub async fn rotate(
    context: &Context,
    overlap_secs: i64,
) -> Result<(Credential, PlainKey), Failure> {
    if !(0..=LONGEST_OVERLAP_SECS).contains(&overlap_secs) {
        return Err(Failure::field(
            "overlap_secs",
            "out_of_range",
            "Give 0 to 2592000 seconds (30 days).",
        ));
    }
    let app = app_of_path(context).await?;
    let mut old = credential_of_path(context, app.id).await?;
    let state = old.state(context.now_ms);
    if matches!(state, State::Revoked | State::Expired) || old.revoked_at_ms.is_some() {
        return Err(ended());
    }
    if old.environment == Environment::Live {
        subscriptions::check_live_credentials(&context.connection, &app, context.now_ms).await?;
    }
    let (key, hash) = generate_key(context, old.environment)?;
    let mut new = Credential {
        id: context.new_id(CredentialId::new),
        prefix: key.prefix().to_owned(),
        last_four: key.last_four().to_owned(),
        hash,
        created_at_ms: context.now_ms,
        created_by: context.person()?.person_id.to_string(),
        activated_at_ms: None,
        rotated_from: Some(old.id),
        ..old.clone()
    };
    let revoked_at_ms = context.now_ms + overlap_secs * 1_000;
    context
        .connection
        .transaction(async || {
            // Of several rotations at once one is first.
            if !store::begin_end(&context.connection, &old, revoked_at_ms).await? {
                return Err(ended());
            }
            record(context, &app, "credential.rotated", &new).await?;
            store::insert(&context.connection, &mut new, context.now_ms).await?;
            store::revoke(&context.connection, &mut old, revoked_at_ms, context.now_ms).await?;
            Ok::<(), Failure>(())
        })
        .await?;
    Ok((new, key))
}

/// `POST …/credentials/{credential_id}/rotations?wait=active`
pub async fn rotate_credential(context: &Context) -> Outcome {
    let body: RotationBody = context.json()?;
    let awaited = Awaited::read(context, Awaited::Active)?;
    let (mut credential, key) =
        rotate(context, body.overlap_secs.unwrap_or(USUAL_OVERLAP_SECS)).await?;
    if let Some(awaited) = awaited {
        credential = wait_for(context, credential, awaited, STEPS_OF_API).await?;
    }
    response::created(&IssuedView {
        credential: credential.view(context.now_ms, None),
        key: key.expose().to_owned(),
    })
}

/// Revokes the credential of the path at once. A second time changes nothing.
pub async fn revoke(context: &Context) -> Result<Credential, Failure> {
    let app = app_of_path(context).await?;
    let credential = credential_of_path(context, app.id).await?;
    revoke_one(context, &app, credential).await
}

/// Refuses a credential of an app from now on.
pub(super) async fn revoke_one(
    context: &Context,
    app: &App,
    mut credential: Credential,
) -> Result<Credential, Failure> {
    if credential.state(context.now_ms) != State::Revoked {
        context
            .connection
            .transaction(async || {
                let now_ms = context.now_ms;
                record(context, app, "credential.revoked", &credential).await?;
                store::revoke(&context.connection, &mut credential, now_ms, now_ms).await?;
                Ok::<(), Failure>(())
            })
            .await?;
    }
    Ok(credential)
}

/// `DELETE …/credentials/{credential_id}?wait=refused`
pub async fn revoke_credential(context: &Context) -> Outcome {
    let awaited = Awaited::read(context, Awaited::Refused)?;
    let mut credential = revoke(context).await?;
    if let Some(awaited) = awaited {
        credential = wait_for(context, credential, awaited, STEPS_OF_API).await?;
    }
    response::ok(&view(context, &credential).await?)
}
