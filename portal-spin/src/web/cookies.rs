//! The session cookie.

use http::header;

use super::Response;
use crate::configuration::Configuration;

/// The cookie's name. `__Host-` binds it to this host and to https, which http on localhost lacks.
pub fn session_cookie_name(configuration: &Configuration) -> &'static str {
    if configuration.is_https() {
        "__Host-portico_session"
    } else {
        "portico_session"
    }
}

/// The value of a cookie in a `Cookie` header.
pub fn find_cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').find_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    })
}

/// Gives the browser a session.
pub fn set_session(
    response: &mut Response,
    configuration: &Configuration,
    token: &str,
    max_age_secs: i64,
) {
    let secure = if configuration.is_https() {
        "; Secure"
    } else {
        ""
    };
    let name = session_cookie_name(configuration);
    let cookie =
        format!("{name}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_secs}{secure}");
    if let Ok(value) = cookie.parse() {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Takes the session from the browser.
pub fn clear_session(response: &mut Response, configuration: &Configuration) {
    set_session(response, configuration, "", 0);
}
