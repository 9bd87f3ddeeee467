//! Cookies: the session, and those of visitors.

use http::header;

use super::Response;
use crate::configuration::Configuration;

const SESSION: &str = "portico_session";

/// A cookie's name. `__Host-` binds it to this host and to https, which http on localhost lacks.
pub fn cookie_name(configuration: &Configuration, name: &str) -> String {
    if configuration.is_https() {
        format!("__Host-{name}")
    } else {
        name.to_owned()
    }
}

/// The name of the cookie that holds a session.
pub fn session_cookie_name(configuration: &Configuration) -> String {
    cookie_name(configuration, SESSION)
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
    let name = session_cookie_name(configuration);
    set_cookie(response, configuration, &name, token, max_age_secs);
}

/// Sets a cookie that scripts cannot read. Lax: links from other sites carry it, their forms do not.
pub fn set_cookie(
    response: &mut Response,
    configuration: &Configuration,
    name: &str,
    value: &str,
    max_age_secs: i64,
) {
    let secure = if configuration.is_https() {
        "; Secure"
    } else {
        ""
    };
    let cookie =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_secs}{secure}");
    if let Ok(value) = cookie.parse() {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Takes the session from the browser.
pub fn clear_session(response: &mut Response, configuration: &Configuration) {
    set_session(response, configuration, "", 0);
}
