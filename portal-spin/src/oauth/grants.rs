//! The three grants: what a client shows, and what it gets for it.

use serde_json::json;
use sha2::{Digest, Sha256};
use shared::ids::InstallationId;
use subtle::ConstantTimeEq;

use super::clients::Client;
use super::error::OAuthError;
use super::families::{Family, find_family, issue_refresh_token, revoke_family};
use crate::audit;
use crate::context::Context;
use crate::database::{DatabaseError, Row};
use crate::encoding::base64url;
use crate::installations::{Installation, find_installation};
use crate::organisations::sessions::hash_token;
use crate::params;
use crate::subscriptions;
use crate::web::forms::Form;

/// What a token is issued for.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Scopes.
    pub scopes: Vec<String>,
    /// The installation; none where the app speaks for itself.
    pub installation: Option<Installation>,
    /// The next refresh token.
    pub refresh_token: Option<String>,
}

/// Something that was used before: its family ended.
enum Use {
    Granted(Grant),
    Refused(OAuthError),
}

async fn decide(
    context: &Context,
    work: impl AsyncFnOnce() -> Result<Use, DatabaseError>,
) -> Result<Grant, OAuthError> {
    // A refusal that ends a family must be committed, so it is no error of the transaction.
    match context.connection.transaction(work).await? {
        Use::Granted(grant) => Ok(grant),
        Use::Refused(error) => Err(error),
    }
}

async fn end_family(
    context: &Context,
    client: &Client,
    family: &Family,
    why: &str,
) -> Result<(), DatabaseError> {
    let owner = context
        .connection
        .query_one(
            "SELECT organisation_id FROM apps WHERE app_id = $1",
            params![client.credential.app_id],
        )
        .await?
        .parse(0)?;
    let detail = json!({ "client_id": client.credential.id, "why": why });
    let object = family.installation_id.to_string();
    audit::record(
        context,
        Some(owner),
        "installation.tokens_revoked",
        &object,
        detail,
    )
    .await?;
    revoke_family(context, family).await
}

async fn standing_installation(
    context: &Context,
    id: InstallationId,
) -> Result<Option<Installation>, DatabaseError> {
    Ok(find_installation(&context.connection, id)
        .await?
        .filter(|installation| installation.removed_at_ms.is_none()))
}

/// The stored code or refresh token of this digest and its family, if they are the client's. Another
/// client with it learns nothing, and spoils nothing (mix-up, RFC 9700, 4.4).
async fn find_own(
    context: &Context,
    client: &Client,
    sql: &str,
    hash: &[u8],
) -> Result<Option<(Row, Family)>, DatabaseError> {
    let connection = &context.connection;
    let Some(row) = connection.query_optional(sql, params![hash]).await? else {
        return Ok(None);
    };
    let family = find_family(connection, &row.get::<String>(0)?).await?;
    Ok(family
        .filter(|family| family.credential_id == client.credential.id)
        .map(|family| (row, family)))
}

/// Marks a code or a refresh token as used; whether this is the first use. Of two at once, the row's lock
/// lets one see the other's.
async fn use_up(context: &Context, sql: &str, hash: &[u8]) -> Result<bool, DatabaseError> {
    let parameters = params![hash, context.now_ms];
    Ok(context.connection.execute(sql, parameters).await? == 1)
}

/// `authorization_code` with PKCE.
pub async fn redeem_code(
    context: &Context,
    client: &Client,
    form: &Form,
) -> Result<Grant, OAuthError> {
    let code = form.raw("code");
    let verifier = form.raw("code_verifier");
    if code.is_empty() {
        return Err(OAuthError::request("The parameter code is missing."));
    }
    if verifier.is_empty() {
        return Err(OAuthError::request(
            "The parameter code_verifier is missing.",
        ));
    }
    let refused =
        || OAuthError::grant("The code is unknown, expired, used before, or not this client's.");
    let hash = hash_token(code);
    decide(context, async || {
        let sql = "SELECT family_id, redirect_uri, challenge, expires_at_ms FROM oauth_codes WHERE code_hash = $1";
        let Some((row, family)) = find_own(context, client, sql, &hash).await? else {
            return Ok(Use::Refused(refused()));
        };
        let sql = "UPDATE oauth_codes SET used_at_ms = $2 WHERE code_hash = $1 AND used_at_ms IS NULL";
        if !use_up(context, sql, &hash).await? {
            // Someone has a copy: whatever came of the code ends (RFC 6749, 4.1.2).
            end_family(context, client, &family, "code_replayed").await?;
            return Ok(Use::Refused(refused()));
        }
        let redirect = form.raw("redirect_uri");
        let is_same_place = row.get::<String>(1)? == redirect;
        let challenge = base64url(&Sha256::digest(verifier.as_bytes()));
        let is_verified: bool = row.get::<String>(2)?.as_bytes().ct_eq(challenge.as_bytes()).into();
        let is_in_time = row.get::<i64>(3)? > context.now_ms && family.revoked_at_ms.is_none();
        if !is_in_time {
            return Ok(Use::Refused(refused()));
        }
        if !is_same_place {
            return Ok(Use::Refused(OAuthError::grant(
                "redirect_uri differs from the one in the authorization request.",
            )));
        }
        if !is_verified {
            return Ok(Use::Refused(OAuthError::grant(
                "code_verifier does not belong to the code_challenge of the authorization request.",
            )));
        }
        let Some(installation) = standing_installation(context, family.installation_id).await? else {
            return Ok(Use::Refused(OAuthError::grant("The customer has removed the installation.")));
        };
        Ok(Use::Granted(Grant {
            refresh_token: Some(issue_refresh_token(context, &family.id).await?),
            scopes: family.scopes,
            installation: Some(installation),
        }))
    })
    .await
}

/// `refresh_token`: each works once; a second use ends the family.
pub async fn refresh(context: &Context, client: &Client, form: &Form) -> Result<Grant, OAuthError> {
    let token = form.raw("refresh_token");
    if token.is_empty() {
        return Err(OAuthError::request(
            "The parameter refresh_token is missing.",
        ));
    }
    let refused = || {
        OAuthError::grant(
            "The refresh token is unknown, expired, used before, revoked, or not this client's.",
        )
    };
    let hash = hash_token(token);
    let wanted: Option<Vec<String>> = Some(form.raw("scope"))
        .filter(|scope| !scope.is_empty())
        .map(|scope| scope.split_whitespace().map(str::to_owned).collect());
    decide(context, async || {
        let sql = "SELECT family_id, expires_at_ms, used_at_ms FROM oauth_refresh_tokens WHERE token_hash = $1";
        let Some((row, family)) = find_own(context, client, sql, &hash).await? else {
            return Ok(Use::Refused(refused()));
        };
        if family.revoked_at_ms.is_some() || row.get::<i64>(1)? <= context.now_ms {
            return Ok(Use::Refused(refused()));
        }
        if row.get::<Option<i64>>(2)?.is_some() {
            end_family(context, client, &family, "refresh_token_reused").await?;
            return Ok(Use::Refused(refused()));
        }
        let Some(installation) = standing_installation(context, family.installation_id).await? else {
            return Ok(Use::Refused(refused()));
        };
        // What the customer granted may have shrunk since; a token never has more.
        let granted: Vec<String> = family
            .scopes
            .iter()
            .filter(|scope| installation.scopes.contains(scope))
            .cloned()
            .collect();
        let scopes = wanted.unwrap_or_else(|| granted.clone());
        if scopes.iter().any(|scope| !granted.contains(scope)) {
            return Ok(Use::Refused(OAuthError::new(
                "invalid_scope",
                "A refresh can narrow the scopes that were granted, not widen them.",
            )));
        }
        let sql = "UPDATE oauth_refresh_tokens SET used_at_ms = $2 WHERE token_hash = $1 AND used_at_ms IS NULL";
        if !use_up(context, sql, &hash).await? {
            end_family(context, client, &family, "refresh_token_reused").await?;
            return Ok(Use::Refused(refused()));
        }
        Ok(Use::Granted(Grant {
            refresh_token: Some(issue_refresh_token(context, &family.id).await?),
            scopes,
            installation: Some(installation),
        }))
    })
    .await
}

/// `client_credentials`: the app for itself, or with the parameter `installation` for one of its
/// installations.
pub async fn grant_client(
    context: &Context,
    client: &Client,
    form: &Form,
) -> Result<Grant, OAuthError> {
    let app_id = client.credential.app_id;
    let mut allowed = subscriptions::list_scopes(&context.connection, app_id).await?;
    let mut installation = None;
    let named = form.raw("installation");
    if !named.is_empty() {
        let found = match named.parse::<InstallationId>() {
            Ok(id) => standing_installation(context, id).await?,
            Err(_) => None,
        };
        let found = found
            .filter(|found| found.credential_id == client.credential.id)
            .ok_or_else(|| {
                OAuthError::grant("The client has no such installation, or it was removed.")
            })?;
        allowed.clone_from(&found.scopes);
        installation = Some(found);
    }
    let wanted = form.raw("scope");
    let scopes: Vec<String> = if wanted.is_empty() {
        allowed.clone()
    } else {
        wanted.split_whitespace().map(str::to_owned).collect()
    };
    if let Some(unknown) = scopes.iter().find(|scope| !allowed.contains(scope)) {
        return Err(OAuthError::new(
            "invalid_scope",
            format!(
                "The scope {unknown} is not granted. There are: {}.",
                allowed.join(" ")
            ),
        ));
    }
    Ok(Grant {
        scopes,
        installation,
        refresh_token: None,
    })
}
