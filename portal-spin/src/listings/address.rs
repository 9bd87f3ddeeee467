//! Addresses in a listing: what is https, what is a safe redirect, what is public. No I/O.

/// The parts of an absolute http(s) address that rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `https` or `http`.
    pub scheme: String,
    /// The host, in lower case, without a port.
    pub host: String,
    /// `scheme://host[:port]`.
    pub origin: String,
    /// Whether it carries user information.
    pub has_user: bool,
    /// Whether it has a fragment.
    pub has_fragment: bool,
    /// Path and query.
    pub rest: String,
}

/// Reads an address; `None` if it is no absolute http(s) address.
pub fn parse(text: &str) -> Option<Address> {
    if text
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || c == '\\')
    {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "https" && scheme != "http" {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    let (user, host_port) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let host = match host_port.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?.0,
        None => host_port.split(':').next()?,
    };
    let is_name = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
    if host.is_empty() || !is_name || text.parse::<http::Uri>().is_err() && !text.contains('#') {
        return None;
    }
    Some(Address {
        origin: format!("{scheme}://{}", host_port.to_ascii_lowercase()),
        scheme,
        host: host.to_ascii_lowercase(),
        has_user: user.is_some(),
        has_fragment: rest.contains('#'),
        rest: rest.to_owned(),
    })
}

/// An absolute https address without user information.
pub fn is_https(text: &str) -> bool {
    parse(text).is_some_and(|address| address.scheme == "https" && !address.has_user)
}

/// Whether the host is this machine, where http is allowed for redirects (RFC 8252, 7.3).
pub fn is_loopback(address: &Address) -> bool {
    matches!(address.host.as_str(), "localhost" | "127.0.0.1" | "::1")
}

/// Whether a customer may be sent back to this address: https, or http to this machine; no user
/// information, no fragment, no wildcard (RFC 9700, 2.1).
pub fn is_safe_redirect(text: &str) -> bool {
    parse(text).is_some_and(|address| {
        (address.scheme == "https" || is_loopback(&address))
            && !address.has_user
            && !address.has_fragment
            && !text.contains('*')
    })
}

/// Whether a request's redirect address is the registered one: the same text, except that a native app on
/// this machine chooses its port when it starts (RFC 8252, 7.3; RFC 9700, 4.1.3).
pub fn is_same_redirect(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    let (Some(one), Some(other)) = (parse(registered), parse(asked)) else {
        return false;
    };
    // Not `localhost`: a name may be resolved to elsewhere.
    let is_native = one.scheme == "http" && matches!(one.host.as_str(), "127.0.0.1" | "::1");
    is_native
        && !other.has_user
        && (one.scheme, one.host, one.rest) == (other.scheme, other.host, other.rest)
}

/// Whether the host can be reached by the public: a name with a dot, not of a private range.
pub fn is_public(address: &Address) -> bool {
    let host = address.host.as_str();
    if let Ok(ip) = host.parse::<std::net::IpAddr>() {
        return match ip {
            std::net::IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                !(v4.is_private()
                    || v4.is_loopback()
                    || v4.is_link_local()
                    || v4.is_unspecified()
                    || v4.is_broadcast()
                    || v4.is_multicast()
                    || v4.is_documentation()
                    || a == 0
                    || a == 100 && (64..128).contains(&b)
                    || a >= 240)
            }
            // Names lead to IPv6 where they should; a bare address has no place in a listing.
            std::net::IpAddr::V6(_) => false,
        };
    }
    let is_number_like = host
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x"));
    host.contains('.')
        && !is_number_like
        && ![".localhost", ".local", ".internal", ".lan", ".home.arpa"]
            .iter()
            .any(|end| host.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_https_or_this_machine_and_nothing_clever() {
        for good in [
            "https://app.example/callback",
            "https://app.example:8443/callback?tenant=1",
            "http://127.0.0.1:26001/callback",
            "http://localhost/callback",
        ] {
            assert!(is_safe_redirect(good), "{good}");
        }
        for bad in [
            "http://app.example/callback",
            "https://app.example/callback#part",
            "https://user@app.example/callback",
            "https://*.app.example/callback",
            "https://app.example\\@evil.example",
            "javascript:alert(1)",
            "https://",
            "//app.example",
            "myapp://callback",
            "http://127.0.0.1.evil.example/",
        ] {
            assert!(!is_safe_redirect(bad), "{bad}");
        }
    }

    #[test]
    fn a_registered_redirect_is_the_same_text_but_for_a_native_apps_port() {
        for (registered, asked, is_same) in [
            ("https://a.example/x", "https://a.example/x", true),
            ("https://a.example/x", "https://a.example:444/x", false),
            ("https://a.example/x", "https://A.example/x", false),
            ("http://127.0.0.1/x", "http://127.0.0.1:51004/x", true),
            ("http://127.0.0.1:9/x", "http://127.0.0.1:51004/x", true),
            ("http://[::1]/x", "http://[::1]:51004/x", true),
            ("http://127.0.0.1/x", "http://127.0.0.1:51004/y", false),
            ("http://127.0.0.1/x", "http://127.0.0.1:51004/x?y=1", false),
            ("http://127.0.0.1/x", "https://127.0.0.1:51004/x", false),
            (
                "http://127.0.0.1/x",
                "http://127.0.0.1@evil.example/x",
                false,
            ),
            ("http://127.0.0.1/x", "http://evil@127.0.0.1/x", false),
            ("http://localhost/x", "http://localhost:51004/x", false),
        ] {
            assert_eq!(
                is_same_redirect(registered, asked),
                is_same,
                "{registered} {asked}"
            );
        }
    }

    #[test]
    fn private_hosts_are_told_from_public_ones() {
        let public = |text: &str| is_public(&parse(text).unwrap());
        for good in [
            "https://app.example",
            "https://8.8.8.8/x",
            "https://a.b.example:444",
        ] {
            assert!(public(good), "{good}");
        }
        for bad in [
            "http://localhost",
            "http://127.0.0.1",
            "http://10.1.2.3",
            "http://169.254.169.254/latest",
            "http://[::1]/",
            "http://intranet/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://100.64.0.1/",
            "http://printer.local/",
        ] {
            assert!(!public(bad), "{bad}");
        }
    }
}
