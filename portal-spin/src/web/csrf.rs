//! Forged cross-site requests are refused (ASVS 5.0, 3.5.1).
//!
//! A form, and whatever else the cookie authenticates, must come from the portal's own pages:
//! `Sec-Fetch-Site` and `Origin`, or where a browser sends neither `Referer`, must not say otherwise; and
//! within a session a form carries a token that only a page of this session can know. JSON requests cannot carry a form token; for them a foreign page is
//! stopped by the two headers, and by the content type, which a cross-site form cannot send. Requests
//! with a bearer token are exempt: a browser never adds one by itself.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Failure;
use crate::context::Context;
use crate::encoding::base64url;

/// The name of the hidden field.
pub const FIELD: &str = "csrf_token";

/// The form token of a session: derived from its secret, so nothing is stored.
pub fn token_of(session_token: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(b"portico csrf\0");
    digest.update(session_token.as_bytes());
    base64url(&digest.finalize())
}

/// Refuses a request that another site made the browser send.
pub fn check_origin(context: &Context) -> Result<(), Failure> {
    let refused = || {
        Failure::forbidden(
            "cross_site_request",
            "This request came from another site. Open the page in the portal and send the form from there.",
        )
    };
    if context
        .header("sec-fetch-site")
        .is_some_and(|site| site != "same-origin" && site != "none")
    {
        return Err(refused());
    }
    let is_own = match (context.header("origin"), context.header("referer")) {
        (Some(origin), _) => is_own_origin(context, origin),
        (None, Some(page)) if context.header("sec-fetch-site").is_none() => {
            is_own_origin(context, origin_of(page))
        }
        (None, _) => true,
    };
    if is_own { Ok(()) } else { Err(refused()) }
}

/// `https://portal.example` of the address of a page.
fn origin_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |place| place + 3);
    let authority = url.get(start..).unwrap_or_default();
    let length = authority
        .find(['/', '?', '#', '\\'])
        .unwrap_or(authority.len());
    url.get(..start + length).unwrap_or_default()
}

fn is_own_origin(context: &Context, origin: &str) -> bool {
    if origin == context.configuration().public_url {
        return true;
    }
    // Without a proxy in front, the authority the browser asked for is the portal's own.
    let own = context.authority();
    origin.split_once("://").map(|(_, authority)| authority) == own && own.is_some()
}

/// As [`check_origin`], and the form must carry the session's token.
pub fn check_session_request(context: &Context, expected: &str) -> Result<(), Failure> {
    check_origin(context)?;
    let is_json = context
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"));
    let has_body = !context.request.body().is_empty();
    if context.is_api() && (is_json || !has_body && context.header("origin").is_some()) {
        return Ok(());
    }
    let given = context.form();
    if bool::from(given.raw(FIELD).as_bytes().ct_eq(expected.as_bytes())) {
        return Ok(());
    }
    Err(Failure::forbidden(
        "stale_form",
        "This form belongs to an earlier session. Go back, reload the page and send it again.",
    ))
}
