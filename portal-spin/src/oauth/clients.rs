//! OAuth clients of an app: create, list, new secret, revoke, suspend with the listing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::credential::{Environment, Pepper};
use shared::feed::Change;
use shared::ids::{AppId, CredentialId};

use super::jwt;
use crate::apps::App;
use crate::context::Context;
use crate::credentials::{self, CLIENT_PREFIX, Credential};
use crate::database::{DatabaseError, Row};
use crate::edges::feed;
use crate::encoding::base64url;
use crate::listings::{app_of_path, is_stopped};
use crate::organisations::sessions::hash_token;
use crate::params;
use crate::routes::Outcome;
use crate::text_enum::text_enum;
use crate::web::paging::{PageOf, whole};
use crate::web::{Failure, response};
use crate::{audit, subscriptions};

/// An app has at most this many clients that stand.
const MOST_STANDING: i64 = 20;

text_enum! {
    /// How a client proves itself.
    Authentication {
        /// A secret, by HTTP Basic or in the form.
        Secret = "client_secret",
        /// A token signed with one of its registered keys.
        PrivateKey = "private_key_jwt",
    }
}

/// A client.
#[derive(Debug, Clone)]
pub struct Client {
    /// The credential that its tokens name.
    pub credential: Credential,
    /// How it proves itself.
    pub authentication: Authentication,
    /// Digest of its secret.
    pub secret_hash: Option<Vec<u8>>,
    /// Its public keys, a JWK set.
    pub keys: Value,
    /// While its listing is suspended or revoked.
    pub suspended_at_ms: Option<i64>,
}

/// What a new client is given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientBody {
    /// `test` or `live`.
    #[serde(default)]
    pub environment: String,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// `client_secret` (without) or `private_key_jwt`.
    #[serde(default)]
    pub authentication: Option<Authentication>,
    /// Public keys of `private_key_jwt`: a JWK set.
    #[serde(default)]
    pub keys: Option<Value>,
}

/// A client in JSON.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ClientView {
    /// The `client_id`.
    pub client_id: String,
    /// `test` or `live`.
    pub environment: String,
    /// What people call it.
    pub name: String,
    /// How it proves itself.
    pub authentication: Authentication,
    /// The last four characters of its secret.
    pub last_four: String,
    /// `active`, `suspended` or `revoked`.
    pub state: String,
    /// When it was created.
    #[serde(with = "crate::encoding::time")]
    #[schemars(with = "String")]
    pub created_at: i64,
}

/// A client and, this once, its secret.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IssuedClient {
    /// The client.
    pub client: ClientView,
    /// The secret; absent where the client signs. It is not stored and cannot be shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

/// Every client of an app.
pub type ClientList = PageOf<ClientView>;

impl Client {
    /// Whether it may get tokens.
    pub fn is_standing(&self, now_ms: i64) -> bool {
        self.credential.revoked_at_ms.is_none_or(|at| at > now_ms) && self.suspended_at_ms.is_none()
    }

    /// The client in JSON.
    pub fn view(&self, now_ms: i64) -> ClientView {
        let state = if self.credential.revoked_at_ms.is_some_and(|at| at <= now_ms) {
            "revoked"
        } else if self.suspended_at_ms.is_some() {
            "suspended"
        } else {
            "active"
        };
        ClientView {
            client_id: self.credential.id.to_string(),
            environment: self.credential.environment.as_str().to_owned(),
            name: self.credential.name.clone(),
            authentication: self.authentication,
            last_four: self.credential.last_four.clone(),
            state: state.to_owned(),
            created_at: self.credential.created_at_ms,
        }
    }
}

async fn read(context: &Context, row: &Row) -> Result<Client, DatabaseError> {
    let missing = || DatabaseError::Shape("a client has no credential".to_owned());
    Ok(Client {
        credential: credentials::find_any(&context.connection, row.parse(0)?)
            .await?
            .ok_or_else(missing)?,
        authentication: row.parse(1)?,
        secret_hash: row.get(2)?,
        keys: serde_json::from_str(&row.get::<String>(3)?).unwrap_or(Value::Null),
        suspended_at_ms: row.get(4)?,
    })
}

const COLUMNS: &str = "credential_id, authentication, secret_hash, keys, suspended_at_ms";

/// A client by its `client_id`.
pub async fn find_client(
    context: &Context,
    client_id: &str,
) -> Result<Option<Client>, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM oauth_clients WHERE credential_id = $1");
    let row = context
        .connection
        .query_optional(&sql, params![client_id])
        .await?;
    match row {
        Some(row) => Ok(Some(read(context, &row).await?)),
        None => Ok(None),
    }
}

/// The clients of an app, newest first.
pub async fn clients_of_app(
    context: &Context,
    app_id: AppId,
) -> Result<Vec<Client>, DatabaseError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM oauth_clients WHERE app_id = $1 ORDER BY credential_id DESC LIMIT 200"
    );
    let rows = context.connection.query(&sql, params![app_id]).await?;
    let mut clients = Vec::with_capacity(rows.len());
    for row in &rows {
        clients.push(read(context, row).await?);
    }
    Ok(clients)
}

fn new_secret(context: &Context) -> (String, Vec<u8>, String) {
    let secret = format!("pcs_{}", base64url(&context.random::<32>()));
    let last_four = secret
        .get(secret.len().saturating_sub(4)..)
        .unwrap_or_default()
        .to_owned();
    let hash = hash_token(&secret);
    (secret, hash, last_four)
}

fn check_keys(keys: Option<&Value>) -> Result<Value, Failure> {
    let list = keys
        .and_then(|set| set.get("keys"))
        .and_then(Value::as_array);
    let list = list.filter(|list| (1..=10).contains(&list.len()));
    let is_good = list.is_some_and(|list| {
        list.iter()
            .all(|key| key.get("d").is_none() && jwt::algorithm_of(key).is_some())
    });
    match (keys, is_good) {
        (Some(keys), true) if keys.to_string().len() < 20_000 => Ok(keys.clone()),
        _ => Err(Failure::field(
            "keys",
            "invalid_keys",
            "Give a JWK set with 1 to 10 public keys: P-256, Ed25519, or RSA of at least 2048 bits. Never a private key.",
        )),
    }
}

/// Creates a client of an app.
pub async fn create(
    context: &Context,
    app: &App,
    body: &ClientBody,
) -> Result<IssuedClient, Failure> {
    let environment = Environment::from_name(&body.environment)
        .ok_or_else(|| Failure::field("environment", "unknown_value", "Give `test` or `live`."))?;
    if body.name.chars().count() > 80 {
        return Err(Failure::field(
            "name",
            "too_long",
            "Use at most 80 characters.",
        ));
    }
    let authentication = body.authentication.unwrap_or(Authentication::Secret);
    let keys = match authentication {
        Authentication::Secret => json!({ "keys": [] }),
        Authentication::PrivateKey => check_keys(body.keys.as_ref())?,
    };
    if environment == Environment::Live {
        subscriptions::check_live_credentials(&context.connection, app, context.now_ms).await?;
        if is_stopped(&context.connection, app.id).await? {
            return Err(Failure::conflict(
                "listing_suspended",
                "The app is suspended in the directory or revoked: it gets no new client. Answer the reviewer first.",
            ));
        }
    }
    let standing: i64 = context
        .connection
        .query_one(
            "SELECT COUNT(*) FROM oauth_clients o JOIN credentials c ON c.credential_id = o.credential_id
             WHERE o.app_id = $1 AND c.revoked_at_ms IS NULL",
            params![app.id],
        )
        .await?
        .get(0)?;
    if standing >= MOST_STANDING {
        return Err(Failure::conflict(
            "too_many_clients",
            format!(
                "The app has {MOST_STANDING} OAuth clients. Revoke one that is not used any more."
            ),
        ));
    }
    let (secret, hash, last_four) = new_secret(context);
    let has_secret = authentication == Authentication::Secret;
    let id = context.new_id(CredentialId::new);
    let pepper = context
        .configuration()
        .secret("key_pepper")
        .ok_or_else(|| {
            Failure::internal(
                "no client can be created: set the variable `key_pepper`, here and at the edges",
            )
        })?;
    let mut credential = Credential {
        id,
        app_id: app.id,
        environment,
        name: body.name.trim().to_owned(),
        prefix: CLIENT_PREFIX.to_owned(),
        last_four: if has_secret { last_four } else { String::new() },
        // Edges find the client by the digest of the id that its tokens name.
        hash: Pepper::new(pepper.as_bytes()).digest(&id.to_string()),
        scopes: None,
        addresses: Vec::new(),
        expires_at_ms: None,
        created_at_ms: context.now_ms,
        created_by: context
            .person_optional()
            .map_or(String::new(), |person| person.person_id.to_string()),
        issued_position: 0,
        activated_at_ms: None,
        revoked_at_ms: None,
        revoked_position: None,
        refused_at_ms: None,
        rotated_from: None,
    };
    let secret_hash = has_secret.then_some(hash);
    context
        .connection
        .transaction(async || {
            record(context, app, "oauth_client.created", id).await?;
            credentials::store_credential(&context.connection, &mut credential, context.now_ms).await?;
            context
                .connection
                .execute(
                    "INSERT INTO oauth_clients (credential_id, app_id, authentication, secret_hash, keys)
                     VALUES ($1, $2, $3, $4, $5)",
                    params![id, app.id, authentication, secret_hash.clone(), keys.to_string()],
                )
                .await?;
            Ok::<_, Failure>(())
        })
        .await?;
    let client = Client {
        credential,
        authentication,
        secret_hash,
        keys,
        suspended_at_ms: None,
    };
    Ok(IssuedClient {
        client: client.view(context.now_ms),
        client_secret: has_secret.then_some(secret),
    })
}

async fn record(
    context: &Context,
    app: &App,
    action: &str,
    client_id: CredentialId,
) -> Result<(), DatabaseError> {
    let detail = json!({ "app_id": app.id.to_string() });
    audit::record(
        context,
        Some(app.organisation_id),
        action,
        &client_id.to_string(),
        detail,
    )
    .await
}

async fn client_of_path(context: &Context) -> Result<(App, Client), Failure> {
    let app = app_of_path(context).await?;
    let client = find_client(context, context.path_text("credential_id"))
        .await?
        .filter(|client| client.credential.app_id == app.id)
        .ok_or_else(Failure::not_found)?;
    Ok((app, client))
}

/// Gives the path's client a new secret; the old one ends at once.
pub async fn renew_secret(context: &Context) -> Result<IssuedClient, Failure> {
    let (app, mut client) = client_of_path(context).await?;
    if client.authentication != Authentication::Secret || client.credential.revoked_at_ms.is_some()
    {
        return Err(Failure::conflict(
            "no_secret",
            "This client has no secret that could be replaced: it signs, or it is revoked.",
        ));
    }
    let (secret, hash, last_four) = new_secret(context);
    let id = client.credential.id;
    client.credential.last_four.clone_from(&last_four);
    context
        .connection
        .transaction(async || {
            record(context, &app, "oauth_client.secret_replaced", id).await?;
            let connection = &context.connection;
            connection
                .execute(
                    "UPDATE oauth_clients SET secret_hash = $2 WHERE credential_id = $1",
                    params![id, hash],
                )
                .await?;
            connection
                .execute(
                    "UPDATE credentials SET last_four = $2 WHERE credential_id = $1",
                    params![id, last_four],
                )
                .await?;
            Ok::<_, Failure>(())
        })
        .await?;
    Ok(IssuedClient {
        client: client.view(context.now_ms),
        client_secret: Some(secret),
    })
}

/// Revokes the path's client: its tokens are refused everywhere within a second.
pub async fn end_client(context: &Context) -> Result<Client, Failure> {
    let (app, mut client) = client_of_path(context).await?;
    if client.credential.revoked_at_ms.is_none() {
        context
            .connection
            .transaction(async || {
                record(context, &app, "oauth_client.revoked", client.credential.id).await?;
                let now_ms = context.now_ms;
                credentials::store_revocation(
                    &context.connection,
                    &mut client.credential,
                    now_ms,
                    now_ms,
                )
                .await?;
                Ok::<_, Failure>(())
            })
            .await?;
    }
    Ok(client)
}

/// Ends or restores the tokens of an app's live clients, as its listing is suspended or released. Call
/// it inside a transaction, behind the audit record.
pub async fn set_suspended(
    context: &Context,
    app_id: AppId,
    is_suspended: bool,
) -> Result<(), DatabaseError> {
    let at = is_suspended.then_some(context.now_ms);
    for client in clients_of_app(context, app_id).await? {
        let credential = &client.credential;
        if credential.environment != Environment::Live || credential.revoked_at_ms.is_some() {
            continue;
        }
        context
            .connection
            .execute(
                "UPDATE oauth_clients SET suspended_at_ms = $2 WHERE credential_id = $1",
                params![credential.id, at],
            )
            .await?;
        let mut wire = credential.wire(context.now_ms);
        wire.revoked_at_ms = at.map(i64::unsigned_abs);
        feed::publish(
            &context.connection,
            context.now_ms,
            &Change::Credential(wire),
        )
        .await?;
    }
    Ok(())
}

/// `GET /api/v1/apps/{app_id}/oauth-clients`
pub async fn list_clients(context: &Context) -> Outcome {
    let app = app_of_path(context).await?;
    let clients = clients_of_app(context, app.id).await?;
    let views = clients
        .iter()
        .map(|client| client.view(context.now_ms))
        .collect();
    response::ok(&whole(context, views, |client: &ClientView| {
        client.client_id.clone()
    })?)
}

/// `POST /api/v1/apps/{app_id}/oauth-clients`
pub async fn create_client(context: &Context) -> Outcome {
    let body: ClientBody = context.json()?;
    let app = app_of_path(context).await?;
    response::created(&create(context, &app, &body).await?)
}

/// `POST /api/v1/apps/{app_id}/oauth-clients/{credential_id}/secrets`
pub async fn rotate_secret(context: &Context) -> Outcome {
    response::created(&renew_secret(context).await?)
}

/// `DELETE /api/v1/apps/{app_id}/oauth-clients/{credential_id}`
pub async fn revoke_client(context: &Context) -> Outcome {
    response::ok(&end_client(context).await?.view(context.now_ms))
}
