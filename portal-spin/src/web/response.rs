//! Answers.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::Failure;

/// An answer whose body is complete, so that its length is known.
pub type Response = http::Response<Bytes>;

/// An answer with a body of this media type.
pub fn with_body(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// JSON.
pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Failure> {
    let body = serde_json::to_vec(body)
        .map_err(|error| Failure::internal(&format!("an answer does not serialise: {error}")))?;
    Ok(with_body(status, "application/json", body))
}

/// 200 with JSON.
pub fn ok(body: &impl Serialize) -> Result<Response, Failure> {
    json(StatusCode::OK, body)
}

/// 201 with JSON.
pub fn created(body: &impl Serialize) -> Result<Response, Failure> {
    json(StatusCode::CREATED, body)
}

/// 204.
pub fn no_content() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A page.
pub fn html(template: &impl askama::Template) -> Result<Response, Failure> {
    html_with(StatusCode::OK, template)
}

/// A page with another status than 200. It is in English, with marks, until
/// [`super::languages::finish`] has seen it.
pub fn html_with(
    status: StatusCode,
    template: &impl askama::Template,
) -> Result<Response, Failure> {
    let body = template
        .render()
        .map_err(|error| Failure::internal(&format!("a template does not render: {error}")))?;
    let mut response = with_body(status, "text/html; charset=utf-8", body);
    response.extensions_mut().insert(super::languages::Rendered);
    Ok(response)
}

/// 303 to a path of the portal: what a form's POST answers.
pub fn see_other(location: &str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    set_header(&mut response, header::LOCATION, location);
    response
}

/// Whether a browser that is sent here stays at the portal (ASVS 5.0, 3.7.2). Browsers take `\` for `/`
/// and leave tabs and line ends out, so a path has none of them.
pub fn is_own_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.is_ascii()
        && !path.contains(|c: char| c == '\\' || c.is_ascii_control())
}

/// JSON with an `ETag` over its bytes; 304 when the client has them already.
pub fn json_with_etag(
    if_none_match: Option<&str>,
    body: &impl Serialize,
) -> Result<Response, Failure> {
    let mut response = ok(body)?;
    let etag = etag_of(response.body());
    let known = if_none_match.is_some_and(|list| {
        list.split(',')
            .any(|known| known.trim().trim_start_matches("W/") == etag)
    });
    if known {
        response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    set_header(&mut response, header::ETAG, &etag);
    set_header(&mut response, header::CACHE_CONTROL, "private, no-cache");
    Ok(response)
}

/// A strong entity tag over these bytes.
pub fn etag_of(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(bytes);
    format!(
        "\"{}\"",
        crate::encoding::base64url(digest.get(..12).unwrap_or_default())
    )
}

/// A file to keep.
pub fn download(content_type: &'static str, file_name: &str, body: impl Into<Bytes>) -> Response {
    let mut response = with_body(StatusCode::OK, content_type, body);
    let safe: String = file_name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        .collect();
    set_header(
        &mut response,
        header::CONTENT_DISPOSITION,
        &format!("attachment; filename=\"{safe}\""),
    );
    response
}

/// Sets a header; a value that cannot stand in a header is left out.
pub fn set_header(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
