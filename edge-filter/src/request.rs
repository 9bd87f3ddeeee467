//! A request as the filter reads it: one crossing, no copies.
//!
//! Owns: the decoding of Envoy's header list and the headers that matter.

/// The header list in the form Envoy hands it over: a count, the lengths of
/// every name and value, then all texts, each closed by a zero byte.
pub fn header_pairs(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let count = read_u32(bytes, 0).unwrap_or(0) as usize;
    let mut place = count.saturating_mul(8).saturating_add(4);
    (0..count).map_while(move |index| {
        let lengths = index * 8 + 4;
        let name_length = read_u32(bytes, lengths)? as usize;
        let value_length = read_u32(bytes, lengths + 4)? as usize;
        let name = bytes.get(place..place.checked_add(name_length)?)?;
        place += name_length + 1;
        let value = bytes.get(place..place.checked_add(value_length)?)?;
        place += value_length + 1;
        Some((name, value))
    })
}

fn read_u32(bytes: &[u8], place: usize) -> Option<u32> {
    bytes
        .get(place..place + 4)?
        .try_into()
        .ok()
        .map(u32::from_le_bytes)
}

/// Encodes a header list in the same form.
#[must_use]
pub fn encode_pairs<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: &[(N, V)]) -> Vec<u8> {
    let mut bytes = (pairs.len() as u32).to_le_bytes().to_vec();
    for (name, value) in pairs {
        bytes.extend_from_slice(&(name.as_ref().len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(value.as_ref().len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        bytes.extend_from_slice(name.as_ref());
        bytes.push(0);
        bytes.extend_from_slice(value.as_ref());
        bytes.push(0);
    }
    bytes
}

/// The headers that decide. Texts that are not UTF-8 count as absent.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RequestView<'a> {
    /// `:method`.
    pub method: &'a str,
    /// `:path` with its query.
    pub target: &'a str,
    /// Every `authorization`.
    pub authorization: Option<&'a str>,
    /// `x-api-key`.
    pub api_key: Option<&'a str>,
    /// Whether `authorization` or `x-api-key` came more than once, or not as text.
    pub repeated_credential: bool,
    /// `x-request-id`.
    pub request_id: &'a str,
    /// `content-length`.
    pub content_length: Option<u64>,
    /// Inbound names that upstreams could take for `x-portico-…`.
    pub forged: Vec<&'a str>,
    /// The value of the header that makes a fault-injection build panic.
    #[cfg(feature = "fault-injection")]
    pub fault: Option<&'a str>,
}

/// The prefix of every header that tells the upstream who calls.
pub const IDENTITY_PREFIX: &str = "x-portico-";

/// Whether a name reads as one of those: upstreams behind CGI or WSGI cannot tell
/// `_` from `-`.
fn is_identity(name: &[u8]) -> bool {
    let head = name.get(..IDENTITY_PREFIX.len());
    let is_same = |(own, other): (&u8, u8)| *own == other || (*own == b'_' && other == b'-');
    head.is_some_and(|head| head.iter().zip(IDENTITY_PREFIX.bytes()).all(is_same))
}

impl<'a> RequestView<'a> {
    /// Reads the header list. Names are lower case, as Envoy keeps them.
    #[must_use]
    pub fn read(pairs: &'a [u8]) -> Self {
        let mut view = Self::default();
        for (name, value) in header_pairs(pairs) {
            // Read as text only where it matters: most headers do not.
            let text = || core::str::from_utf8(value).ok();
            match name {
                b":method" => view.method = text().unwrap_or_default(),
                b":path" => view.target = text().unwrap_or_default(),
                b"authorization" => {
                    let text = text();
                    view.repeated_credential |= view.authorization.is_some() || text.is_none();
                    view.authorization = text.or(view.authorization);
                }
                b"x-api-key" => {
                    let text = text();
                    view.repeated_credential |= view.api_key.is_some() || text.is_none();
                    view.api_key = text.or(view.api_key);
                }
                b"x-request-id" => view.request_id = text().unwrap_or_default(),
                b"content-length" => {
                    view.content_length = text().and_then(|text| text.parse().ok());
                }
                _ if is_identity(name) => {
                    let Ok(name) = core::str::from_utf8(name) else {
                        continue;
                    };
                    #[cfg(feature = "fault-injection")]
                    if name == "x-portico-fault" {
                        view.fault = text();
                    }
                    view.forged.push(name);
                }
                _ => {}
            }
        }
        view
    }

    /// The path without its query.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.target
            .split_once('?')
            .map_or(self.target, |(path, _)| path)
    }

    /// The query, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.target.split_once('?').map(|(_, query)| query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_headers_that_matter_are_read_in_one_pass() {
        let pairs = encode_pairs(&[
            (":method", "GET"),
            (":path", "/v1/orders?limit=1"),
            ("authorization", "Bearer a"),
            ("x-portico-environment", "live"),
            ("x-request-id", "r1"),
            ("accept", "*/*"),
        ]);
        let view = RequestView::read(&pairs);
        assert_eq!((view.path(), view.query()), ("/v1/orders", Some("limit=1")));
        assert_eq!(view.authorization, Some("Bearer a"));
        assert_eq!(view.forged, ["x-portico-environment"]);
        assert!(!view.repeated_credential);
    }

    #[test]
    fn names_that_upstreams_may_read_as_ours_are_forged() {
        let pairs = encode_pairs(&[
            ("x_portico_organisation", "org_forged"),
            ("x-portico_app", "app_forged"),
            ("x-portico", "of somebody else"),
            ("x-porticos-app", "of somebody else"),
        ]);
        let view = RequestView::read(&pairs);
        assert_eq!(view.forged, ["x_portico_organisation", "x-portico_app"]);
    }

    #[test]
    fn a_repeated_credential_header_is_noticed() {
        let pairs = encode_pairs(&[("x-api-key", "a"), ("x-api-key", "b")]);
        assert!(RequestView::read(&pairs).repeated_credential);
    }

    proptest! {
        #[test]
        fn pairs_round_trip(pairs in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..8)) {
            let encoded = encode_pairs(&pairs);
            let read: Vec<_> = header_pairs(&encoded).map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(read, pairs);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = RequestView::read(&bytes);
        }
    }
}
