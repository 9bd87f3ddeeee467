//! Where a delivery may go: to the public internet over https, never into the operator's own networks
//! (server-side request forgery).
//!
//! The URL is judged when it is entered and again at every try, and so is every address its name stands
//! for. The host that sends the request looks the name up once more; where that gap matters, it is closed
//! by the host's own rules for outbound networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

/// Names that never lead to the public internet (RFC 6761, RFC 6762, RFC 8375 and custom).
const PRIVATE_SUFFIXES: &[&str] = &[
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home.arpa",
    "localdomain",
    "corp",
    "private",
];

/// A URL that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Where the request goes.
    pub uri: Uri,
    /// The name to look up; none where the URL has an address.
    pub name: Option<String>,
}

/// Judges a URL. `allows_loopback` is for development: it lets http and this machine pass.
pub fn check_url(url: &str, allows_loopback: bool) -> Result<Destination, String> {
    if url.len() > 2_000 {
        return Err("Use at most 2 000 characters.".to_owned());
    }
    let uri: Uri = url
        .parse()
        .map_err(|_| "Give a full URL such as https://example.com/hooks.".to_owned())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("Give a full URL such as https://example.com/hooks.".to_owned());
    };
    if authority.as_str().contains('@') {
        return Err("Leave out user name and password; deliveries are signed.".to_owned());
    }
    let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = bare.parse().ok();
    let is_loopback = address.is_some_and(|address| address.is_loopback()) || host == "localhost";
    if is_loopback && allows_loopback && matches!(scheme, "http" | "https") {
        return Ok(Destination { uri, name: None });
    }
    if scheme != "https" {
        return Err("Give a URL that begins with https://.".to_owned());
    }
    match address {
        Some(address) => {
            check_address(address)?;
            Ok(Destination { uri, name: None })
        }
        None => {
            check_name(&host)?;
            Ok(Destination {
                uri,
                name: Some(host),
            })
        }
    }
}

fn check_name(host: &str) -> Result<(), String> {
    let labels: Vec<&str> = host.split('.').collect();
    let is_name = labels.len() >= 2
        && host.len() <= 253
        && labels.iter().all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        });
    // `127.1`, `0x7f.0.0.1` and `2130706433` are addresses in other clothes.
    let ends_in_letters = labels
        .last()
        .is_some_and(|last| last.starts_with(|first: char| first.is_ascii_alphabetic()));
    if !is_name || !ends_in_letters {
        return Err("Give a full host name, such as hooks.example.com.".to_owned());
    }
    let is_private = PRIVATE_SUFFIXES
        .iter()
        .any(|suffix| host == *suffix || host.ends_with(&format!(".{suffix}")));
    if is_private {
        return Err(
            "This name is of a private network. Give one that the internet knows.".to_owned(),
        );
    }
    Ok(())
}

/// Refuses an address that is not of the public internet.
pub fn check_address(address: IpAddr) -> Result<(), String> {
    let is_public = match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    };
    if is_public {
        return Ok(());
    }
    Err(format!(
        "The address {address} is not of the public internet; deliveries never go to private networks."
    ))
}

/// By the IANA registry of special-purpose addresses.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=255, _, _)
    )
}

/// Global unicast, without the ranges that stand for something else (Teredo, 6to4, documentation).
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_global = (0x2000..0x4000).contains(&first);
    let is_special = first == 0x2001 && (second < 0x0200 || second == 0x0db8)
        || first == 0x2002
        || first == 0x3fff && second < 0x1000;
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_destinations_pass() {
        for url in [
            "https://hooks.example.com/a?b=c",
            "https://example.co.uk:8443/",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
            "https://xn--bcher-kva.example/",
        ] {
            assert!(check_url(url, false).is_ok(), "{url}");
        }
    }

    #[test]
    fn private_and_disguised_destinations_are_refused() {
        for url in [
            "http://hooks.example.com/",
            "ftp://example.com/",
            "/relative",
            "example.com",
            "",
            "https://user:secret@example.com/",
            "https://localhost/",
            "https://a.localhost/",
            "https://LOCALHOST./",
            "https://db/",
            "https://metadata.google.internal/",
            "https://printer.local/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://10.1.2.3/",
            "https://172.31.255.255/",
            "https://192.168.0.1/",
            "https://169.254.169.254/latest/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://198.18.0.1/",
            "https://192.0.2.1/",
            "https://[::1]/",
            "https://[::]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://[2001::1]/",
            "https://[ff02::1]/",
        ] {
            assert!(check_url(url, false).is_err(), "{url}");
        }
    }

    #[test]
    fn in_development_only_this_machine_passes_as_well() {
        assert!(check_url("http://127.0.0.1:9000/hooks", true).is_ok());
        assert!(check_url("http://localhost:9000/hooks", true).is_ok());
        for url in [
            "http://10.0.0.1/",
            "http://example.com/",
            "https://192.168.1.1/",
        ] {
            assert!(check_url(url, true).is_err(), "{url}");
        }
    }
}
