//! A log-in on its way to a provider and back.

use http::header;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use shared::ids::{OrganisationId, PersonId};

use super::arriving::{NOT_A_CUSTOMER, welcome};
use super::id_token::{Expected, Metadata, verify_id_token};
use super::providers::{
    Audience, Provider, configured_provider, fetch, find_by_email, find_of_organisation, get,
    redirect_uri,
};
use crate::audit;
use crate::context::Context;
use crate::encoding::base64url;
use crate::organisations::sessions::hash_token;
use crate::organisations::{log_in, normalise_email};
use crate::params;
use crate::routes::Outcome;
use crate::web::throttle::{Limit, count_attempt_by_address};
use crate::web::{Failure, response};

const LIFETIME_MS: i64 = 10 * 60 * 1000;
const PER_ADDRESS: Limit = Limit {
    name: "sign_on_by_address",
    attempts: 120,
    window_ms: 3_600_000,
};

/// Who wants to log in.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignOnBody {
    /// Its domain finds the provider; without, the operator's.
    #[serde(default)]
    pub email: String,
    /// Without an address: through the provider of the operator's customers instead of its staff.
    #[serde(default)]
    pub is_customer: bool,
}

/// Where to go.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SignOnStarted {
    /// Open this in a browser.
    pub authorization_url: String,
    /// Send with what the provider answers: proves that the same client began.
    pub binding: String,
}

/// What the provider's redirect carried.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignOnAnswerBody {
    /// As answered.
    pub state: String,
    /// As answered.
    pub code: String,
    /// As answered; empty where it was not.
    #[serde(default)]
    pub iss: String,
    /// From [`SignOnStarted`].
    pub binding: String,
}

fn unavailable(detail: &str) -> Failure {
    let mut failure = Failure::new(
        http::StatusCode::BAD_GATEWAY,
        "identity_provider_unavailable",
        "The identity provider did not answer as it should. Try again, or log in another way.",
    );
    failure.internal = Some(detail.into());
    failure
}

/// `POST /api/v1/sessions/sign-on`
pub async fn start_sign_on(context: &Context) -> Outcome {
    let body: SignOnBody = context.json()?;
    let started = start(context, &body, "/organisations").await?;
    response::ok(&started)
}

/// Begins a log-in at the provider for this address, or at one of the operator's.
pub(super) async fn start(
    context: &Context,
    who: &SignOnBody,
    next: &str,
) -> Result<SignOnStarted, Failure> {
    count_attempt_by_address(context, PER_ADDRESS).await?;
    let provider = match who.email.trim() {
        "" if who.is_customer => configured_provider(context, Audience::Customers),
        "" => configured_provider(context, Audience::Staff),
        email => find_by_email(context, &normalise_email(email).unwrap_or_default()).await?,
    };
    let provider = provider.ok_or_else(|| {
        Failure::field(
            "email",
            "no_sign_on",
            "There is no single sign-on for this address. Log in with your password or a passkey.",
        )
    })?;
    let url = format!(
        "{}/.well-known/openid-configuration",
        provider.issuer.trim_end_matches('/')
    );
    let found = fetch(context, get(&url).map_err(|error| unavailable(&error))?)
        .await
        .map_err(|error| unavailable(&error))?;
    let metadata: Metadata =
        serde_json::from_slice(&found).map_err(|error| unavailable(&error.to_string()))?;
    if metadata.issuer != provider.issuer {
        return Err(unavailable("discovery names another issuer"));
    }
    let development = context.configuration().development;
    for endpoint in [
        &metadata.authorization_endpoint,
        &metadata.token_endpoint,
        &metadata.jwks_uri,
    ] {
        crate::webhooks::address::check_url(endpoint, development)
            .map_err(|error| unavailable(&error))?;
    }
    remember(context, &provider, &metadata, next).await
}

async fn remember(
    context: &Context,
    provider: &Provider,
    metadata: &Metadata,
    next: &str,
) -> Result<SignOnStarted, Failure> {
    let [state, binding, nonce, verifier] = [(); 4].map(|()| base64url(&context.random::<32>()));
    let methods = &metadata.token_endpoint_auth_methods_supported;
    let takes = |wanted: &str| methods.iter().any(|method| method == wanted);
    let posts_secret = takes("client_secret_post") && !takes("client_secret_basic");
    let connection = &context.connection;
    connection
        .execute(
            "DELETE FROM sign_on_attempts WHERE expires_at_ms <= $1",
            params![context.now_ms],
        )
        .await?;
    connection
        .execute(
            "INSERT INTO sign_on_attempts (state_hash, binding_hash, organisation_id, issuer,
                token_endpoint, jwks_uri, names_issuer, posts_secret, nonce, code_verifier, next,
                expires_at_ms, audience)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            params![
                hash_token(&state),
                hash_token(&binding),
                provider.organisation_id.map(|id| id.to_string()),
                provider.issuer.as_str(),
                metadata.token_endpoint.as_str(),
                metadata.jwks_uri.as_str(),
                i64::from(metadata.authorization_response_iss_parameter_supported),
                i64::from(posts_secret),
                nonce.as_str(),
                verifier.as_str(),
                next,
                context.now_ms + LIFETIME_MS,
                provider.audience,
            ],
        )
        .await?;
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("response_type", "code"),
            ("scope", "openid email profile"),
            ("client_id", provider.client_id.as_str()),
            ("redirect_uri", &redirect_uri(context)),
            ("state", &state),
            ("nonce", &nonce),
            (
                "code_challenge",
                &base64url(&Sha256::digest(verifier.as_bytes())),
            ),
            ("code_challenge_method", "S256"),
        ])
        .finish();
    let endpoint = &metadata.authorization_endpoint;
    let join = if endpoint.contains('?') { '&' } else { '?' };
    Ok(SignOnStarted {
        authorization_url: format!("{endpoint}{join}{query}"),
        binding,
    })
}

/// `POST /api/v1/sessions/sign-on/complete`
pub async fn complete_sign_on(context: &Context) -> Outcome {
    let body: SignOnAnswerBody = context.json()?;
    let arrived = finish(context, &body).await?;
    let answer = log_in::session_answer(context, arrived.person_id, arrived.session_token).await?;
    response::created(&answer)
}

/// Someone whom a provider vouched for.
pub(super) struct Arrived {
    pub(super) person_id: PersonId,
    pub(super) session_token: String,
    pub(super) next: String,
}

struct Attempt {
    organisation_id: Option<OrganisationId>,
    audience: Audience,
    issuer: String,
    token_endpoint: String,
    jwks_uri: String,
    names_issuer: bool,
    posts_secret: bool,
    nonce: String,
    code_verifier: String,
    next: String,
}

/// Takes the attempt that a state belongs to; it works once, and only for whoever began it.
async fn take_attempt(
    context: &Context,
    state: &str,
    binding: &str,
) -> Result<Option<Attempt>, Failure> {
    let row = context
        .connection
        .query_optional(
            "DELETE FROM sign_on_attempts
             WHERE state_hash = $1 AND binding_hash = $2 AND expires_at_ms > $3
             RETURNING organisation_id, issuer, token_endpoint, jwks_uri, names_issuer, posts_secret,
                nonce, code_verifier, next, audience",
            params![hash_token(state), hash_token(binding), context.now_ms],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Attempt {
        organisation_id: row.parse_optional(0)?,
        issuer: row.get(1)?,
        token_endpoint: row.get(2)?,
        jwks_uri: row.get(3)?,
        names_issuer: row.get(4)?,
        posts_secret: row.get(5)?,
        nonce: row.get(6)?,
        code_verifier: row.get(7)?,
        next: row.get(8)?,
        audience: row.parse(9)?,
    }))
}

/// Takes what the provider answered and logs the person in.
pub(super) async fn finish(
    context: &Context,
    answer: &SignOnAnswerBody,
) -> Result<Arrived, Failure> {
    count_attempt_by_address(context, PER_ADDRESS).await?;
    let Some(attempt) = take_attempt(context, &answer.state, &answer.binding).await? else {
        return Err(refuse(context, "-", "unknown, used or expired state").await?);
    };
    // Mix-up (RFC 9207): an answer that names another issuer, or hides who it is from.
    let names_another = !answer.iss.is_empty() && answer.iss != attempt.issuer;
    if names_another || attempt.names_issuer && answer.iss.is_empty() {
        return Err(refuse(context, &attempt.issuer, "answer from another issuer").await?);
    }
    let provider = match attempt.organisation_id {
        None => configured_provider(context, attempt.audience),
        Some(organisation_id) => find_of_organisation(context, organisation_id).await?,
    };
    let Some(provider) = provider.filter(|provider| provider.issuer == attempt.issuer) else {
        return Err(refuse(context, &attempt.issuer, "provider changed meanwhile").await?);
    };
    let token = match exchange(context, &provider, &attempt, &answer.code).await {
        Ok(token) => token,
        Err(reason) => return Err(refuse(context, &attempt.issuer, &reason).await?),
    };
    let jwks = match jwks(context, &attempt.jwks_uri).await {
        Ok(jwks) => jwks,
        Err(reason) => return Err(refuse(context, &attempt.issuer, &reason).await?),
    };
    let expected = Expected {
        issuer: &attempt.issuer,
        client_id: &provider.client_id,
        nonce: &attempt.nonce,
        now_ms: context.now_ms,
    };
    let claims = match verify_id_token(&token, &jwks, &expected) {
        Ok(claims) => claims,
        Err(error) => return Err(refuse(context, &attempt.issuer, &error.to_string()).await?),
    };
    match welcome(context, &provider, &claims).await? {
        Ok(person_id) => Ok(Arrived {
            person_id,
            // The staff's provider answers for the factors it asks them for; the customers' does not.
            session_token: log_in::open_session(
                context,
                person_id,
                (provider.audience == Audience::Staff).then_some(context.now_ms),
            )
            .await?,
            next: attempt.next,
        }),
        Err(reason) => {
            let mut failure = refuse(context, &attempt.issuer, reason).await?;
            if reason == NOT_A_CUSTOMER {
                // They have just proved the address, so this tells them nothing about others.
                failure.detail = "This address belongs to a partner or to the staff. Log in with its password, passkey or its own single sign-on.".to_owned();
            }
            Err(failure)
        }
    }
}

async fn jwks(context: &Context, uri: &str) -> Result<Value, String> {
    let found = fetch(context, get(uri)?).await?;
    serde_json::from_slice(&found).map_err(|error| error.to_string())
}

/// Exchanges the code for an ID token.
async fn exchange(
    context: &Context,
    provider: &Provider,
    attempt: &Attempt,
    code: &str,
) -> Result<String, String> {
    let redirect = redirect_uri(context);
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &redirect),
        ("code_verifier", &attempt.code_verifier),
    ]);
    let mut request = http::Request::post(&attempt.token_endpoint)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if attempt.posts_secret {
        form.append_pair("client_id", &provider.client_id);
        form.append_pair("client_secret", &provider.client_secret);
    } else {
        // RFC 6749, section 2.3.1: both are form-encoded first.
        let encode =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!(
            "{}:{}",
            encode(&provider.client_id),
            encode(&provider.client_secret)
        );
        use base64::Engine;
        let basic = base64::engine::general_purpose::STANDARD.encode(pair);
        request = request.header(header::AUTHORIZATION, format!("Basic {basic}"));
    }
    let request = request
        .body(bytes::Bytes::from(form.finish()))
        .map_err(|error| error.to_string())?;
    let found = fetch(context, request).await?;
    let answer: Value = serde_json::from_slice(&found).map_err(|error| error.to_string())?;
    answer
        .get("id_token")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| "the provider gave no ID token".to_owned())
}

/// What a visitor is told of a failed log-in; the reason stands in the audit log.
async fn refuse(context: &Context, issuer: &str, reason: &str) -> Result<Failure, Failure> {
    let detail = serde_json::json!({ "address": context.address(), "reason": reason });
    context
        .connection
        .transaction(async || {
            audit::record_by(
                context,
                "visitor",
                None,
                "sign_on.refused",
                issuer,
                detail.clone(),
            )
            .await
        })
        .await?;
    Ok(Failure::new(
        http::StatusCode::UNAUTHORIZED,
        "sign_on_refused",
        "Your identity provider's answer could not be used. Start the log-in again; if it goes on like this, ask whoever runs your organisation's log-in.",
    ))
}
