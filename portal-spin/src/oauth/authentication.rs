//! Who a client is: Basic, secret in the form, or a signed assertion; exactly one of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::assertion::{self, ASSERTION_TYPE};
use super::clients::{Authentication, Client, find_client};
use super::error::OAuthError;
use crate::context::Context;
use crate::organisations::sessions::hash_token;
use crate::web::forms::Form;

/// The form of a request to the token endpoint or its neighbours. Parameters must not come twice
/// (RFC 6749, section 3.2); `resource` may (RFC 8707, section 2).
pub fn read_form(context: &Context) -> Result<Form, OAuthError> {
    let is_form = context
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if !is_form {
        return Err(OAuthError::request(
            "Send the parameters as application/x-www-form-urlencoded.",
        ));
    }
    let mut names: Vec<String> = form_urlencoded::parse(context.request.body())
        .map(|(name, _)| name.into_owned())
        .filter(|name| name != "resource")
        .collect();
    names.sort_unstable();
    let doubled = names.windows(2).find(|pair| pair.first() == pair.last());
    match doubled.and_then(|pair| pair.first()) {
        Some(name) => Err(OAuthError::request(format!(
            "The parameter {name} came twice."
        ))),
        None => Ok(context.form()),
    }
}

/// The client that sent this request, proven.
pub async fn authenticate_client(context: &Context, form: &Form) -> Result<Client, OAuthError> {
    let basic = basic_credentials(context)?;
    let secret = form.raw("client_secret");
    let assertion = form.raw("client_assertion");
    let methods = [basic.is_some(), !secret.is_empty(), !assertion.is_empty()];
    if methods.iter().filter(|used| **used).count() > 1 {
        return Err(OAuthError::request(
            "Use one way of client authentication: Basic, client_secret or client_assertion.",
        ));
    }
    let refused = |detail: &str| OAuthError::new("invalid_client", detail);
    let client_id = match &basic {
        Some((id, _)) => id.clone(),
        None if !assertion.is_empty() => assertion::claimed_client(assertion)
            .ok_or_else(|| refused("The client assertion is no signed JWT."))?,
        None => form.raw("client_id").to_owned(),
    };
    if !form.raw("client_id").is_empty() && form.raw("client_id") != client_id {
        return Err(OAuthError::request(
            "client_id differs from the client that authenticated.",
        ));
    }
    let unknown = || refused("The client is unknown, its secret is wrong, or it was revoked.");
    let client = find_client(context, &client_id)
        .await?
        .ok_or_else(unknown)?;
    if client
        .credential
        .revoked_at_ms
        .is_some_and(|at| at <= context.now_ms)
    {
        return Err(unknown());
    }
    match client.authentication {
        Authentication::Secret => {
            let given = basic.map_or_else(|| secret.to_owned(), |(_, secret)| secret);
            let is_right = client
                .secret_hash
                .as_deref()
                .is_some_and(|hash| bool::from(hash_token(&given).ct_eq(hash)));
            if given.is_empty() || !is_right {
                return Err(unknown());
            }
        }
        Authentication::PrivateKey => {
            if form.raw("client_assertion_type") != ASSERTION_TYPE || assertion.is_empty() {
                return Err(refused("This client authenticates by private_key_jwt."));
            }
            assertion::accept_assertion(context, &client_id, &client.keys, assertion).await?;
        }
    }
    Ok(client)
}

/// Id and secret of HTTP Basic, form-decoded (RFC 6749, section 2.3.1).
fn basic_credentials(context: &Context) -> Result<Option<(String, String)>, OAuthError> {
    let Some(header) = context.header("authorization") else {
        return Ok(None);
    };
    let malformed = || {
        OAuthError::new(
            "invalid_client",
            "The Authorization header is not HTTP Basic with client id and secret.",
        )
    };
    let (scheme, value) = header.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let bytes = STANDARD.decode(value.trim()).map_err(|_| malformed())?;
    let text = String::from_utf8(bytes).map_err(|_| malformed())?;
    let (id, secret) = text.split_once(':').ok_or_else(malformed)?;
    Ok(Some((form_decode(id), form_decode(secret))))
}

fn form_decode(text: &str) -> String {
    form_urlencoded::parse(format!("v={text}").as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}
