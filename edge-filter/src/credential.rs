//! Finding the credential that a request presents.
//!
//! Owns: the places a credential is read from, their order, the conflict rule,
//! and what must be taken off the request. Does not own: whether it is known.

use crate::request::RequestView;
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use shared::problem::Code;
use std::borrow::Cow;

/// Basic authentication's base64, with or without padding: clients differ.
const BASIC_BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A credential as presented, and where it stood.
pub struct Presented<'a> {
    /// An API key or an access token.
    pub text: Cow<'a, str>,
    /// Whether `authorization` carried it.
    pub in_authorization: bool,
    /// Whether `x-api-key` carried it.
    pub in_api_key: bool,
    /// The target without the query parameter, where that carried it.
    pub target_without: Option<String>,
}

/// Finds the one credential of a request.
///
/// # Errors
/// `ambiguous_credential` for two different ones, `malformed_credential` for an
/// `authorization` that names a scheme of ours and carries nothing usable.
pub fn find_presented<'a>(
    request: &RequestView<'a>,
    query_parameter: Option<&str>,
) -> Result<Option<Presented<'a>>, Code> {
    if request.repeated_credential {
        return Err(Code::AmbiguousCredential);
    }
    let mut found = None;
    if let Some(text) = authorization_credential(request.authorization)? {
        add(&mut found, text, |presented| {
            presented.in_authorization = true
        })?;
    }
    // An empty one is what clients without a key send; it presents nothing.
    if let Some(text) = request
        .api_key
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        add(&mut found, Cow::Borrowed(text), |presented| {
            presented.in_api_key = true;
        })?;
    }
    if let (Some(name), Some(query)) = (query_parameter, request.query()) {
        for value in query_values(query, name) {
            add(&mut found, value, |_| ())?;
        }
        if let Some(presented) = &mut found {
            presented.target_without = target_without(request, query, name);
        }
    }
    Ok(found)
}

fn add<'a>(
    found: &mut Option<Presented<'a>>,
    text: Cow<'a, str>,
    mark: impl FnOnce(&mut Presented<'a>),
) -> Result<(), Code> {
    let presented = match found {
        Some(presented) if presented.text != text => return Err(Code::AmbiguousCredential),
        Some(presented) => presented,
        None => found.insert(Presented {
            text,
            in_authorization: false,
            in_api_key: false,
            target_without: None,
        }),
    };
    mark(presented);
    Ok(())
}

/// The credential in an `authorization` header. Schemes that are not ours belong
/// to the upstream and are left alone.
fn authorization_credential(header: Option<&str>) -> Result<Option<Cow<'_, str>>, Code> {
    let Some(header) = header.map(str::trim) else {
        return Ok(None);
    };
    // Servers also take a tab for the space: what they would read must not pass by here.
    let is_space = |char: char| char.is_ascii_whitespace();
    let (scheme, rest) = header.split_once(is_space).unwrap_or((header, ""));
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        if rest.is_empty() {
            return Err(Code::MalformedCredential);
        }
        return Ok(Some(Cow::Borrowed(rest)));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let user = BASIC_BASE64
            .decode(rest)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(|text| match text.split_once(':') {
                Some((user, _)) => user.to_owned(),
                None => text,
            })
            .filter(|user| !user.is_empty())
            .ok_or(Code::MalformedCredential)?;
        return Ok(Some(Cow::Owned(user)));
    }
    Ok(None)
}

fn query_values<'a>(query: &'a str, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
    query
        .split('&')
        .filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(key) == name).then_some(value)
        })
        .filter(|value| !value.is_empty())
        .map(percent_decoded)
}

/// `text` with `%XX` decoded; left as it is where that yields no UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let decoded = (first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(hex_byte);
        match (decoded, tail.get(2..)) {
            (Some(byte), Some(after)) => {
                bytes.push(byte);
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// `text` with everything but unreserved characters percent-encoded.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0u8, |value, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(value << 4 | digit as u8)
    })
}

fn target_without(request: &RequestView<'_>, query: &str, name: &str) -> Option<String> {
    let is_named =
        |pair: &&str| percent_decoded(pair.split_once('=').map_or(*pair, |(key, _)| key)) == name;
    query.split('&').find(is_named)?;
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_named(pair)).collect();
    let mut target = request.path().to_owned();
    if !kept.is_empty() {
        target.push('?');
        target.push_str(&kept.join("&"));
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(request: &RequestView<'_>) -> Result<Option<String>, Code> {
        find_presented(request, Some("api_key"))
            .map(|found| found.map(|presented| presented.text.into_owned()))
    }

    #[test]
    fn every_place_is_read() {
        let bearer = RequestView {
            authorization: Some("Bearer k1"),
            ..RequestView::default()
        };
        assert_eq!(find(&bearer), Ok(Some("k1".into())));
        // printf 'k1:' | base64
        let basic = RequestView {
            authorization: Some("basic azE6"),
            ..RequestView::default()
        };
        assert_eq!(find(&basic), Ok(Some("k1".into())));
        let header = RequestView {
            api_key: Some("k1"),
            ..RequestView::default()
        };
        assert_eq!(find(&header), Ok(Some("k1".into())));
        let query = RequestView {
            target: "/x?a=1&api_key=k%31&b",
            ..RequestView::default()
        };
        let found = find_presented(&query, Some("api_key")).unwrap().unwrap();
        assert_eq!(found.text, "k1");
        assert_eq!(found.target_without.as_deref(), Some("/x?a=1&b"));
        assert_eq!(find_presented(&query, None).map(|f| f.is_none()), Ok(true));
    }

    #[test]
    fn two_different_credentials_are_refused_and_equal_ones_are_one() {
        let mut request = RequestView {
            authorization: Some("Bearer k1"),
            api_key: Some("k2"),
            target: "/",
            ..RequestView::default()
        };
        assert_eq!(find(&request), Err(Code::AmbiguousCredential));
        request.api_key = Some("k1");
        assert_eq!(find(&request), Ok(Some("k1".into())));
        request.target = "/?api_key=k3";
        assert_eq!(find(&request), Err(Code::AmbiguousCredential));
        request.repeated_credential = true;
        assert_eq!(find(&request), Err(Code::AmbiguousCredential));
    }

    #[test]
    fn schemes_of_others_are_left_alone_and_empty_ones_of_ours_are_malformed() {
        let with = |value| RequestView {
            authorization: Some(value),
            ..RequestView::default()
        };
        assert_eq!(find(&with("Digest x")), Ok(None));
        assert_eq!(find(&with("bEaReR\t k1")), Ok(Some("k1".into())));
        // printf ':secret' | base64
        assert_eq!(
            find(&with("Basic OnNlY3JldA==")),
            Err(Code::MalformedCredential)
        );
        assert_eq!(
            find(&with("Bearer k1, Bearer k2")),
            Ok(Some("k1, Bearer k2".into()))
        );
        assert_eq!(find(&with("Bearer")), Err(Code::MalformedCredential));
        assert_eq!(find(&with("Basic !!!")), Err(Code::MalformedCredential));
    }

    #[test]
    fn an_empty_api_key_presents_nothing() {
        let mut request = RequestView {
            api_key: Some("  "),
            target: "/",
            ..RequestView::default()
        };
        assert_eq!(find(&request), Ok(None));
        request.authorization = Some("Bearer k1");
        assert_eq!(find(&request), Ok(Some("k1".into())));
    }

    #[test]
    fn the_only_query_parameter_leaves_no_question_mark() {
        let request = RequestView {
            target: "/x?api_key=k1",
            ..RequestView::default()
        };
        let found = find_presented(&request, Some("api_key")).unwrap().unwrap();
        assert_eq!(found.target_without.as_deref(), Some("/x"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_finder_panic(authorization: String, target: String) {
            let request = RequestView {
                authorization: Some(&authorization),
                target: &target,
                ..RequestView::default()
            };
            let _ = find(&request);
        }
    }
}
