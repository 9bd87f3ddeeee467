//! The token endpoint, revocation, introspection, and what a token tells about its installation.

use http::header;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::ids::{CredentialId, InstallationId};

use super::authentication::{authenticate_client, read_form};
use super::clients::{Client, find_client};
use super::error::OAuthError;
use super::families::{end_access_tokens, find_family, revoke_family};
use super::grants::{Grant, grant_client, redeem_code, refresh};
use super::{jwt, keys};
use crate::context::Context;
use crate::edges::boots;
use crate::encoding::base64url;
use crate::installations::{Installation, find_installation, open_answers};
use crate::organisations::sessions::hash_token;
use crate::params;
use crate::routes::Outcome;
use crate::web::forms::Form;
use crate::web::{Failure, Response, response};

/// An access token lives this long.
pub const ACCESS_LIFE_SECS: i64 = 600;
/// How long an answer waits for the edges to know a new installation.
const LONGEST_WAIT_MS: u64 = 2_000;
const PAUSE_MS: u64 = 50;
/// Why a resource is refused.
pub(super) const WRONG_RESOURCE: &str = "Tokens are for this programme's API only: leave out `resource`, or give the gateway's address.";

/// The claims of our access tokens that matter here.
#[derive(Debug, Clone, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: i64,
    iat: i64,
    client_id: CredentialId,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    installation: Option<InstallationId>,
}

#[derive(Serialize)]
struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    installation_id: Option<String>,
}

/// Whether a request names no other API than ours as the place its token is for (RFC 8707).
pub(super) fn is_for_this_api(context: &Context, form: &Form) -> bool {
    let gateway = context.configuration().get("gateway_url");
    let is_ours =
        |resource: &String| resource.trim_end_matches('/') == gateway.trim_end_matches('/');
    form.all("resource").iter().all(is_ours)
}

async fn sign_access_token(
    context: &Context,
    client: &Client,
    grant: &Grant,
) -> Result<String, Failure> {
    let key = keys::current_key(context).await?;
    let configuration = context.configuration();
    let client_id = client.credential.id.to_string();
    let installation = grant
        .installation
        .as_ref()
        .map(|found| found.id.to_string());
    let now_secs = context.now_ms.div_euclid(1_000);
    let mut claims = json!({
        "iss": configuration.public_url,
        "aud": configuration.get("gateway_url"),
        // Without the customer's identity: the app learns an installation, not a person.
        "sub": installation.as_deref().unwrap_or(&client_id),
        "client_id": client_id,
        "iat": now_secs,
        "exp": now_secs + ACCESS_LIFE_SECS,
        "jti": base64url(&context.random::<16>()),
        "scope": grant.scopes.join(" "),
    });
    if let (Some(id), Some(claims)) = (installation, claims.as_object_mut()) {
        claims.insert("installation".to_owned(), json!(id));
    }
    Ok(jwt::sign(&key.key, &key.kid, "at+jwt", &claims))
}

/// Waits, not long, until every live edge knows the installation: a token shown is a token that works.
async fn wait_for_edges(context: &Context, installation: &Installation) -> Result<(), Failure> {
    let mut waited_ms = 0;
    while waited_ms < LONGEST_WAIT_MS {
        let now_ms = context.app.clock.now_ms();
        let liveness = boots::liveness(&context.connection, now_ms).await?;
        if liveness.edges == 0 || liveness.applied_by_all >= installation.position {
            return Ok(());
        }
        context.connection.pause(PAUSE_MS).await?;
        waited_ms += PAUSE_MS;
    }
    Ok(())
}

async fn grant_token(context: &Context) -> Result<Response, OAuthError> {
    let form = read_form(context)?;
    let client = authenticate_client(context, &form).await?;
    if !client.is_standing(context.now_ms) {
        return Err(OAuthError::new(
            "unauthorized_client",
            "The app is suspended in the directory; its tokens are refused.",
        ));
    }
    if !is_for_this_api(context, &form) {
        return Err(OAuthError::new("invalid_target", WRONG_RESOURCE));
    }
    let grant = match form.raw("grant_type") {
        "authorization_code" => redeem_code(context, &client, &form).await?,
        "refresh_token" => refresh(context, &client, &form).await?,
        "client_credentials" => grant_client(context, &client, &form).await?,
        "" => return Err(OAuthError::request("The parameter grant_type is missing.")),
        _ => {
            return Err(OAuthError::new(
                "unsupported_grant_type",
                "Use authorization_code, refresh_token or client_credentials.",
            ));
        }
    };
    let access_token = sign_access_token(context, &client, &grant).await?;
    if let Some(installation) = &grant.installation {
        wait_for_edges(context, installation).await?;
    }
    let mut answer = response::ok(&TokenAnswer {
        access_token,
        token_type: "Bearer",
        expires_in: ACCESS_LIFE_SECS,
        scope: grant.scopes.join(" "),
        refresh_token: grant.refresh_token,
        installation_id: grant.installation.map(|found| found.id.to_string()),
    })?;
    response::set_header(&mut answer, header::PRAGMA, "no-cache");
    Ok(answer)
}

/// `POST /oauth/token`
pub async fn issue_token(context: &Context) -> Outcome {
    grant_token(context).await.or_else(OAuthError::into_outcome)
}

/// The claims of an access token of ours that is signed, unexpired and not revoked.
async fn read_access_token(context: &Context, token: &str) -> Result<Option<Claims>, Failure> {
    let Some(parts) = jwt::split(token) else {
        return Ok(None);
    };
    let set = keys::public_keys(context).await?;
    let key = set
        .get("keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|key| key.get("kid").and_then(Value::as_str) == parts.header.kid.as_deref());
    let is_signed = key.is_some_and(|key| parts.is_signed_by(key));
    let Some(claims) = parts.claims::<Claims>().filter(|_| is_signed) else {
        return Ok(None);
    };
    if claims.iss != context.configuration().public_url || claims.exp * 1_000 <= context.now_ms {
        return Ok(None);
    }
    let client = find_client(context, &claims.client_id.to_string()).await?;
    if !client.is_some_and(|client| client.is_standing(context.now_ms)) {
        return Ok(None);
    }
    if let Some(id) = claims.installation {
        let installation = find_installation(&context.connection, id).await?;
        let is_standing = installation.is_some_and(|found| {
            found.removed_at_ms.is_none()
                && found
                    .tokens_revoked_at_ms
                    .is_none_or(|at| claims.iat * 1_000 > at)
        });
        if !is_standing {
            return Ok(None);
        }
    }
    Ok(Some(claims))
}

async fn introspect(context: &Context) -> Result<Response, OAuthError> {
    let form = read_form(context)?;
    let client = authenticate_client(context, &form).await?;
    let token = form.raw("token");
    if token.is_empty() {
        return Err(OAuthError::request("The parameter token is missing."));
    }
    let inactive = json!({ "active": false });
    let own = client.credential.id;
    if let Some(claims) = read_access_token(context, token).await? {
        // Another client's token is nobody's business.
        if claims.client_id != own {
            return Ok(response::ok(&inactive)?);
        }
        return Ok(response::ok(&json!({
            "active": true, "token_type": "Bearer", "client_id": own, "scope": claims.scope,
            "iss": claims.iss, "sub": claims.sub, "iat": claims.iat, "exp": claims.exp,
            "aud": context.configuration().get("gateway_url"), "installation": claims.installation,
        }))?);
    }
    let row = context
        .connection
        .query_optional(
            "SELECT family_id, issued_at_ms, expires_at_ms, used_at_ms FROM oauth_refresh_tokens WHERE token_hash = $1",
            params![hash_token(token)],
        )
        .await?;
    let Some(row) = row else {
        return Ok(response::ok(&inactive)?);
    };
    let family = find_family(&context.connection, &row.get::<String>(0)?).await?;
    let expires_at_ms: i64 = row.get(2)?;
    let family =
        family.filter(|family| family.credential_id == own && family.revoked_at_ms.is_none());
    let (Some(family), None, true) = (
        family,
        row.get::<Option<i64>>(3)?,
        expires_at_ms > context.now_ms,
    ) else {
        return Ok(response::ok(&inactive)?);
    };
    Ok(response::ok(&json!({
        "active": true, "client_id": own, "scope": family.scopes.join(" "),
        "iat": row.get::<i64>(1)? / 1_000, "exp": expires_at_ms / 1_000,
        "iss": context.configuration().public_url, "installation": family.installation_id,
    }))?)
}

/// `POST /oauth/introspect`
pub async fn introspect_token(context: &Context) -> Outcome {
    introspect(context).await.or_else(OAuthError::into_outcome)
}

async fn revoke(context: &Context) -> Result<Response, OAuthError> {
    let form = read_form(context)?;
    let client = authenticate_client(context, &form).await?;
    let token = form.raw("token");
    if token.is_empty() {
        return Err(OAuthError::request("The parameter token is missing."));
    }
    let own = client.credential.id;
    let done = || response::ok(&json!({})).map_err(OAuthError::from);
    if let Some(claims) = read_access_token(context, token).await? {
        if claims.client_id != own {
            return done();
        }
        let Some(id) = claims.installation else {
            return Err(OAuthError::new(
                "unsupported_token_type",
                "A token of client_credentials without installation lives ten minutes; revoke the client to end it earlier.",
            ));
        };
        context
            .connection
            .transaction(async || end_access_tokens(context, id).await)
            .await?;
        return done();
    }
    let row = context
        .connection
        .query_optional(
            "SELECT family_id FROM oauth_refresh_tokens WHERE token_hash = $1",
            params![hash_token(token)],
        )
        .await?;
    if let Some(row) = row {
        let family = find_family(&context.connection, &row.get::<String>(0)?).await?;
        if let Some(family) = family.filter(|family| family.credential_id == own) {
            context
                .connection
                .transaction(async || revoke_family(context, &family).await)
                .await?;
        }
    }
    done()
}

/// `POST /oauth/revoke`. An access token's end takes all access tokens of its installation along: they
/// are refused by time, not one by one.
pub async fn revoke_token(context: &Context) -> Outcome {
    revoke(context).await.or_else(OAuthError::into_outcome)
}

#[derive(Serialize)]
struct OwnInstallation {
    installation_id: String,
    environment: &'static str,
    scopes: Vec<String>,
    configuration: Map<String, Value>,
}

/// `GET /oauth/installation`: what the customer configured, for the app that holds the token.
pub async fn show_own_installation(context: &Context) -> Outcome {
    let refused = || {
        let mut failure = Failure::new(
            http::StatusCode::UNAUTHORIZED,
            "invalid_token",
            "Send an access token of an installation as `Authorization: Bearer <token>`.",
        );
        let challenge = "Bearer error=\"invalid_token\"".to_owned();
        failure.headers.push((header::WWW_AUTHENTICATE, challenge));
        failure
    };
    let token = context
        .header("authorization")
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(refused)?;
    let claims = read_access_token(context, token)
        .await?
        .ok_or_else(refused)?;
    let id = claims.installation.ok_or_else(refused)?;
    let installation = find_installation(&context.connection, id)
        .await?
        .ok_or_else(refused)?;
    response::ok(&OwnInstallation {
        installation_id: id.to_string(),
        environment: installation.environment.as_str(),
        configuration: open_answers(context, &installation.configuration)?,
        scopes: installation.scopes,
    })
}
