//! Headers on every answer (ASVS 5.0, chapter 3).

use http::header;

use super::Response;
use super::response::set_header;
use crate::configuration::Configuration;

const POLICY: &str = "default-src 'none'; object-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Completes an answer. A known length spares the host a chunked body in two packets.
pub fn finish(response: &mut Response, request_id: &str, configuration: &Configuration) {
    let length = response.body().len().to_string();
    if response.status() != http::StatusCode::NO_CONTENT
        && response.status() != http::StatusCode::NOT_MODIFIED
    {
        set_header(response, header::CONTENT_LENGTH, &length);
    }
    if !response.headers().contains_key(header::CACHE_CONTROL) {
        set_header(response, header::CACHE_CONTROL, "no-store");
    }
    if !response
        .headers()
        .contains_key(header::CONTENT_SECURITY_POLICY)
    {
        set_header(response, header::CONTENT_SECURITY_POLICY, POLICY);
    }
    set_header(response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // `no-referrer` would turn the Origin of our own forms into `null`.
    set_header(response, header::REFERRER_POLICY, "same-origin");
    set_header(response, header::X_FRAME_OPTIONS, "DENY");
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "camera=(), microphone=(), geolocation=(), payment=()",
        ),
    ] {
        set_header(response, header::HeaderName::from_static(name), value);
    }
    if configuration.is_https() {
        set_header(
            response,
            header::STRICT_TRANSPORT_SECURITY,
            "max-age=63072000; includeSubDomains",
        );
    }
    set_header(
        response,
        header::HeaderName::from_static("x-request-id"),
        request_id,
    );
}
