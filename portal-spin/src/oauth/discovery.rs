//! Metadata of the authorization server (RFC 8414) and its public keys.

use http::header;
use serde_json::json;

use super::keys;
use crate::context::Context;
use crate::routes::Outcome;
use crate::web::response;

/// `GET /.well-known/oauth-authorization-server`
pub async fn show_metadata(context: &Context) -> Outcome {
    let issuer = &context.configuration().public_url;
    let methods = [
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    ];
    let algorithms = ["ES256", "RS256", "EdDSA", "Ed25519"];
    let mut answer = response::ok(&json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "jwks_uri": format!("{issuer}/oauth/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "authorization_response_iss_parameter_supported": true,
        "service_documentation": format!("{issuer}/guides"),
        "ui_locales_supported": ["en"],
    }))?;
    response::set_header(&mut answer, header::CACHE_CONTROL, "public, max-age=300");
    Ok(answer)
}

/// `GET /oauth/jwks`
pub async fn show_jwks(context: &Context) -> Outcome {
    let mut answer = response::ok(&keys::public_keys(context).await?)?;
    response::set_header(&mut answer, header::CACHE_CONTROL, "public, max-age=300");
    Ok(answer)
}
