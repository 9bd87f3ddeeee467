//! `allowed_outbound_hosts`: which hosts a component may talk to.
//!
//! Owns Spin's format, `<scheme>://<host>[:<port>]` with `*` for any, and its
//! meaning. The callers (`outbound_http`, `postgres`) decide what a refusal
//! looks like to the component.

use std::net::IpAddr;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use url::Host;

use crate::variables::Variables;

/// The hosts one component may talk to.
#[derive(Debug, Default)]
pub struct AllowedHosts(Vec<AllowedHost>);

#[derive(Debug, PartialEq, Eq)]
struct AllowedHost {
    /// `None` is any scheme.
    scheme: Option<String>,
    host: HostPattern,
    port: PortPattern,
}

#[derive(Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    /// `*.example.com`, kept as `.example.com`.
    Subdomain(String),
    /// The application itself.
    ToSelf,
    Literal(Host),
    Network(IpNet),
}

#[derive(Debug, PartialEq, Eq)]
enum PortPattern {
    Any,
    Range(Range<u32>),
}

impl AllowedHosts {
    /// Parses the entries of a component after filling in their variables. An
    /// entry that becomes empty that way is left out, as an optional endpoint.
    pub fn parse(entries: &[String], variables: &Variables) -> Result<Self> {
        let mut allowed = Vec::new();
        for entry in entries {
            let expanded = variables.expand(entry)?;
            let is_template = expanded != *entry;
            if is_template && matches!(expanded.as_str(), "" | "http://" | "https://") {
                continue;
            }
            allowed.push(AllowedHost::parse(&expanded)?);
        }
        Ok(Self(allowed))
    }

    /// Whether the component may reach `host`; a missing port is the scheme's own.
    pub fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let Ok(host) = Host::parse(host) else {
            return false;
        };
        let port = port.or_else(|| well_known_port(scheme));
        self.0.iter().any(|allowed| {
            allowed.allows_scheme(scheme)
                && allowed.host.matches(&host)
                && allowed.port.matches(port)
        })
    }

    /// Whether the component may call its own application.
    pub fn allows_self(&self) -> bool {
        self.0.iter().any(|allowed| {
            (allowed.allows_scheme("http") || allowed.allows_scheme("https"))
                && matches!(allowed.host, HostPattern::Any | HostPattern::ToSelf)
        })
    }
}

impl AllowedHost {
    fn parse(entry: &str) -> Result<Self> {
        let trimmed = entry.trim();
        let Some((scheme, rest)) = trimmed.split_once("://") else {
            bail!("{entry:?} must have the form <scheme>://<host>[:<port>], as in https://*:*");
        };
        let (host, port) = split_port(rest, entry)?;
        Ok(Self {
            port: PortPattern::parse(port, scheme).with_context(|| format!("in {entry:?}"))?,
            scheme: match scheme {
                "*" => None,
                _ if scheme.chars().all(char::is_alphabetic) => Some(scheme.to_owned()),
                _ => bail!("{entry:?}: a scheme has only letters"),
            },
            host: HostPattern::parse(host).with_context(|| format!("in {entry:?}"))?,
        })
    }

    fn allows_scheme(&self, scheme: &str) -> bool {
        self.scheme
            .as_deref()
            .is_none_or(|allowed| allowed == scheme)
    }
}

fn split_port<'a>(rest: &'a str, entry: &str) -> Result<(&'a str, &'a str)> {
    let Some((host, tail)) = rest.rsplit_once(':') else {
        return Ok((rest, ""));
    };
    // An IPv6 address or network has colons and no port.
    if tail.is_empty() {
        return Ok((host, ""));
    }
    if HostPattern::parse(rest).is_ok() {
        return Ok((rest, ""));
    }
    match tail.split_once('/') {
        Some((port, "")) => Ok((host, port)),
        Some(_) => bail!("{entry:?} must not have a path"),
        None => Ok((host, tail)),
    }
}

impl HostPattern {
    fn parse(host: &str) -> Result<Self> {
        let host = host.trim();
        match host {
            "*" => return Ok(Self::Any),
            "self" | "self.alt" => return Ok(Self::ToSelf),
            _ => {}
        }
        if let Ok(network) = host.parse::<IpNet>() {
            return Ok(Self::Network(network.trunc()));
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Self::Network(IpNet::from(address)));
        }
        let host = host.strip_suffix('/').unwrap_or(host);
        if host.contains('/') {
            bail!("the host {host:?} must not have a path");
        }
        if let Some(domain) = host.strip_prefix("*.") {
            let Ok(Host::Domain(domain)) = Host::parse(domain) else {
                bail!("what follows \"*.\" in {host:?} must be a domain");
            };
            return Ok(Self::Subdomain(format!(".{domain}")));
        }
        if host.contains('*') {
            bail!("in {host:?} a wildcard may stand only for subdomains, as in *.example.com");
        }
        Ok(Self::Literal(Host::parse(host)?))
    }

    fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Subdomain(suffix), Host::Domain(domain)) => domain.ends_with(suffix.as_str()),
            (Self::Literal(literal), host) => literal == host,
            (Self::Network(network), Host::Ipv4(address)) => {
                network.contains(&IpAddr::V4(*address))
            }
            (Self::Network(network), Host::Ipv6(address)) => {
                network.contains(&IpAddr::V6(*address))
            }
            (Self::Subdomain(_) | Self::Network(_) | Self::ToSelf, _) => false,
        }
    }
}

impl PortPattern {
    fn parse(port: &str, scheme: &str) -> Result<Self> {
        let single = |port: u16| Self::Range(u32::from(port)..u32::from(port) + 1);
        match port {
            "*" => return Ok(Self::Any),
            "" => {
                return well_known_port(scheme)
                    .map(single)
                    .with_context(|| format!("the scheme {scheme:?} has no port of its own"));
            }
            _ => {}
        }
        let number = |digits: &str| {
            digits
                .parse::<u16>()
                .with_context(|| format!("the port {port:?} is not a number"))
        };
        match port.split_once("..") {
            Some((start, end)) => Ok(Self::Range(number(start)?.into()..number(end)?.into())),
            None => number(port).map(single),
        }
    }

    fn matches(&self, port: Option<u16>) -> bool {
        match self {
            Self::Any => true,
            Self::Range(range) => port.is_some_and(|port| range.contains(&u32::from(port))),
        }
    }
}

fn well_known_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "postgres" => Some(5432),
        "mysql" => Some(3306),
        "redis" => Some(6379),
        "mqtt" => Some(1883),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str]) -> AllowedHosts {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        AllowedHosts::parse(&entries, &Variables::default()).unwrap()
    }

    #[test]
    fn nothing_is_allowed_unless_it_is_listed() {
        let none = allowed(&[]);
        assert!(!none.allows("https", "example.com", None));
        assert!(!none.allows_self());
    }

    #[test]
    fn scheme_host_and_port_must_all_agree() {
        let hosts = allowed(&[
            "https://example.com",
            "http://127.0.0.1:8080",
            "postgres://db:*",
        ]);
        assert!(hosts.allows("https", "example.com", None));
        assert!(hosts.allows("https", "EXAMPLE.com", Some(443)));
        assert!(!hosts.allows("http", "example.com", Some(443)));
        assert!(!hosts.allows("https", "example.com", Some(8443)));
        assert!(!hosts.allows("https", "sub.example.com", None));
        assert!(hosts.allows("http", "127.0.0.1", Some(8080)));
        assert!(!hosts.allows("http", "127.0.0.1", None));
        assert!(hosts.allows("postgres", "db", Some(6000)));
    }

    #[test]
    fn wildcards_networks_and_ranges_stand_for_many() {
        let hosts = allowed(&["*://*.example.com:8000..8010", "http://10.0.0.0/8:*"]);
        assert!(hosts.allows("http", "a.example.com", Some(8000)));
        assert!(hosts.allows("https", "a.b.example.com", Some(8009)));
        assert!(!hosts.allows("https", "a.example.com", Some(8010)));
        assert!(!hosts.allows("https", "example.com", Some(8000)));
        assert!(hosts.allows("http", "10.1.2.3", Some(1)));
        assert!(!hosts.allows("http", "11.1.2.3", Some(1)));
        assert!(!hosts.allows("http", "ten.example.org", Some(1)));
        assert!(allowed(&["*://*:*"]).allows("http", "[::1]", None));
        assert!(allowed(&["http://::1"]).allows("http", "[::1]", None));
    }

    #[test]
    fn the_application_itself_is_a_host_of_its_own() {
        assert!(allowed(&["http://self"]).allows_self());
        assert!(allowed(&["https://*:*"]).allows_self());
        assert!(!allowed(&["http://localhost"]).allows_self());
        assert!(!allowed(&["http://self"]).allows("http", "self", None));
    }

    #[test]
    fn entries_are_filled_in_from_variables() {
        let declared = crate::manifest::Manifest::parse(
            "spin_manifest_version = 2\n[application]\nname = 'a'\n[variables]\n\
             host = { default = 'example.com' }\nnone = { default = '' }\n",
            std::path::Path::new("."),
        )
        .unwrap();
        let variables =
            Variables::resolve(&declared.variables, &Default::default(), |_| None).unwrap();
        let entries = ["https://{{ host }}".to_owned(), "{{ none }}".to_owned()];
        let hosts = AllowedHosts::parse(&entries, &variables).unwrap();
        assert!(hosts.allows("https", "example.com", None));
        assert_eq!(hosts.0.len(), 1);
    }

    #[test]
    fn malformed_entries_are_refused() {
        for entry in [
            "*",
            "",
            "example.com",
            "https://a/path",
            "https://a.*.b",
            "x://a",
            "https://a:b",
        ] {
            let error = AllowedHosts::parse(&[entry.to_owned()], &Variables::default());
            assert!(error.is_err(), "{entry}");
        }
    }
}
